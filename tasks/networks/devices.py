"""Devices: name the devices that TensorFlow computes on and their class, and share work between several GPUs."""

from functools import cache
from typing import Any

import tensorflow as tf

from tasks.networks import gpu_diagnosis
from tasks.networks.tuning import DeviceClass, class_of
from tasks.settings.errors import BadInput


def device() -> str:
    """Name the devices that TensorFlow computes on, for people."""
    return ", ".join(details.get("device_name", "GPU") for details in gpu_details()) or "CPU"


def gpu_details() -> list[dict[str, Any]]:
    """Return what TensorFlow says of each GPU, as its `get_device_details` does."""
    return [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")]


def require_gpu() -> None:
    """Raise BadInput, with the reason, when TensorFlow sees no GPU; otherwise it would silently train on the CPU."""
    if not tf.config.list_physical_devices("GPU"):
        build = "with" if tf.test.is_built_with_cuda() else "without"
        raise BadInput(
            f"TensorFlow {tf.__version__} (built {build} CUDA) sees no GPU, and --require-gpu asks for one: "
            f"{gpu_diagnosis.why_no_gpu()}; or leave --require-gpu out"
        )


def share_memory() -> None:
    """Let each GPU's memory grow with need. By default, TensorFlow would take all of it and leave other processes none."""
    for gpu in tf.config.list_physical_devices("GPU"):
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except RuntimeError:  # the GPU is in use already: this process has set its memory before, or chose otherwise
            return


def device_class() -> DeviceClass:
    """Return the class of the devices that TensorFlow computes on: that of the least capable GPU, or `cpu` without one."""
    abilities = [details.get("compute_capability") or (0, 0) for details in gpu_details()]
    return class_of(min(abilities, default=None))


def gpu_devices() -> list[str]:
    """Return the names of the GPUs, which share each batch."""
    return [device.name for device in tf.config.list_logical_devices("GPU")]


def strategy() -> tf.distribute.Strategy:
    """Return a strategy in which all GPUs of this host share each batch equally; with fewer than two, TensorFlow's default.

    A batch has as many images as the recipe says, however many GPUs share it, so the recipe's learning rate stays right.
    """
    devices = gpu_devices()
    return mirrored_strategy(tuple(devices)) if len(devices) > 1 else tf.distribute.get_strategy()


@cache
def mirrored_strategy(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    """Return the only strategy of this process. TensorFlow would mistake the sums of a second one for those of the first, and fail."""
    return tf.distribute.MirroredStrategy(devices)
