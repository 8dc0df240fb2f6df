"""Devices: what TensorFlow computes on, of which class they are, and on how many at once."""

from functools import cache

import tensorflow as tf

from tasks.networks import gpu_diagnosis
from tasks.networks.tuning import DeviceClass, class_of
from tasks.settings.errors import BadInput


def device() -> str:
    """The devices that TensorFlow computes on, for people."""
    gpus = tf.config.list_physical_devices("GPU")
    names = [tf.config.experimental.get_device_details(gpu).get("device_name", "GPU") for gpu in gpus]
    return ", ".join(names) or "CPU"


def require_gpu() -> None:
    """Raise BadInput, with the reason, when TensorFlow sees no GPU; it would train on the CPU without a word."""
    if not tf.config.list_physical_devices("GPU"):
        build = "with" if tf.test.is_built_with_cuda() else "without"
        raise BadInput(
            f"TensorFlow {tf.__version__} (built {build} CUDA) sees no GPU, and --require-gpu asks for one: "
            f"{gpu_diagnosis.why_no_gpu()}; or leave --require-gpu out"
        )


def share_memory() -> None:
    """Lets each GPU's memory grow with need; TensorFlow would take all of it, and other processes none."""
    for gpu in tf.config.list_physical_devices("GPU"):
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except RuntimeError:  # in use already: this process has set it before, or has chosen otherwise
            return


def make_deterministic() -> None:
    """Operations give equal results for equal inputs from here on, in the whole process; there is no way back."""
    tf.config.experimental.enable_op_determinism()


def device_class() -> DeviceClass:
    """Return the class of the devices that TensorFlow computes on: that of the least able GPU."""
    gpus = tf.config.list_physical_devices("GPU")
    abilities = [tf.config.experimental.get_device_details(gpu).get("compute_capability") or (0, 0) for gpu in gpus]
    return class_of(min(abilities, default=None))


def gpu_devices() -> list[str]:
    """The devices that share each batch."""
    return [device.name for device in tf.config.list_logical_devices("GPU")]


def strategy() -> tf.distribute.Strategy:
    """All GPUs of this host, each with an equal part of every batch; the device that TensorFlow takes where there are fewer than two.

    A batch has as many images as the recipe says, however many GPUs share it, so its learning rate holds.
    """
    devices = gpu_devices()
    return mirrored_strategy(tuple(devices)) if len(devices) > 1 else tf.distribute.get_strategy()


@cache
def mirrored_strategy(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    """The one strategy of this process: the sums of a second one would be taken for those of the first, and fail."""
    return tf.distribute.MirroredStrategy(devices)
