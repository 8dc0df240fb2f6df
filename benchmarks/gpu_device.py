"""Device of `benchmarks/gpu.py`: the job of all parts, what TensorFlow computes on, and its ceilings."""

import os
import platform
import re
import shutil
import statistics
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmarks.gpu_images import write_images
from benchmarks.isolation import peak_bytes, wall_seconds
from benchmarks.supervisor import Emit, Stop, first_line
from tasks.settings.model_specs import ModelName
from tasks.storage.parallel import count_processors

if TYPE_CHECKING:
    import tensorflow as tf

POLICIES = {"float32": ("float32", False), "tf32": ("float32", True), "bfloat16": ("mixed_bfloat16", True)}
"""Of each precision: the policy of Keras, and whether products of float32 may be computed in TF32."""
ROUNDS = 3  # a figure is their median


class Sizes(NamedTuple):
    """How much each part does."""

    networks: tuple[ModelName, ...]
    """Those whose steps are measured."""
    product: int
    """Rows of the square matrices whose product is a ceiling."""
    copied: int
    """Numbers of float32 that are copied."""
    batches: tuple[int, ...]
    precisions: tuple[str, ...]
    executions: tuple[int, ...]
    """Steps per execution, besides 1."""
    fed: tuple[int, ...]
    """Batch sizes at which the waiting is measured."""
    least: float
    """Seconds that a step is measured for."""
    trained: ModelName
    """What the short trainings train."""
    images: int
    """Of the short trainings."""
    epochs: int
    """Of the short trainings, more than `KILLED_AFTER`."""
    whole: int | None = None
    """Epochs of the whole trainings; None: as many as the recipe says."""


class Job(NamedTuple):
    """What every part is given."""

    gpu: bool
    sizes: Sizes
    folder: Path
    """Scratch: arrays, checkpoints, and what the parts found."""
    source: str | None = None
    """None: a few drawn castings."""
    images: int | None = None
    """Most training images; None: all."""
    beside: dict[str, dict] = {}
    """Figures of whole trainings elsewhere, by network."""


def prepare_images(job: Job, emit: Emit) -> None:
    """Make the images that the other parts learn from."""
    write_images(job.source, job.images, job.folder, emit)


def set_up(job: Job) -> None:
    """Load TensorFlow. Raises Stop where a GPU is asked for and TensorFlow sees none."""
    import tensorflow as tf

    from tasks.networks import devices, gpu_diagnosis

    if job.gpu and not tf.config.list_physical_devices("GPU"):
        raise Stop(
            f"TensorFlow {tf.__version__} sees no GPU: {gpu_diagnosis.why_no_gpu()}; or measure the processors with --device cpu"
        )
    devices.share_memory()


def measure_device(job: Job, emit: Emit) -> None:
    """Describe what TensorFlow computes on, and measure its ceilings."""
    set_up(job)
    emit("device", describe_hardware())
    emit("versions", library_versions())
    for precision in job.sizes.precisions:
        emit(f"product {precision}", attempt(partial(measure_product, job.sizes.product, precision, job.sizes.least)))
    emit("copy", attempt(partial(measure_copy, job.sizes.copied, job.sizes.least)))
    if job.gpu:
        emit("copy to the device", attempt(partial(measure_transfer, job.sizes.copied, job.sizes.least)))
        emit("loaded", {"libraries": ", ".join(nvidia_libraries(Path("/proc/self/maps").read_text()))})


def describe_hardware() -> dict[str, object]:
    """Return the device, its driver and memory, and the processors."""
    import tensorflow as tf

    from tasks.networks import devices

    gpus = tf.config.list_physical_devices("GPU")
    details = tf.config.experimental.get_device_details(gpus[0]) if gpus else {}
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e6
    return {
        "name": devices.device(),
        "gpus": len(gpus),
        "compute_capability": ".".join(map(str, details.get("compute_capability", ()))) or None,
        **query_nvidia_smi("driver_version", "memory.total"),
        "processors": count_processors(),
        "memory_mb": memory,
    }


def query_nvidia_smi(*properties: str) -> dict[str, str]:
    """Return what the driver's tool says of the first GPU; nothing where there is no such tool, or it has no answer."""
    if not shutil.which("nvidia-smi"):
        return {}
    command = ["nvidia-smi", f"--query-gpu={','.join(properties)}", "--format=csv,noheader"]
    lines = subprocess.run(command, capture_output=True, text=True, timeout=30).stdout.splitlines()
    values = lines[0].split(", ") if lines else []
    return dict(zip((name.replace(".", "_") for name in properties), values, strict=False))


def library_versions() -> dict[str, object]:
    """Return the versions of Python and the libraries, and of CUDA and cuDNN for which TensorFlow was built."""
    import keras
    import tensorflow as tf

    build = tf.sysconfig.get_build_info()
    return {
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
        "built_for_cuda": build.get("cuda_version"),
        "built_for_cudnn": build.get("cudnn_version"),
    }


def nvidia_libraries(maps: str) -> list[str]:
    """Return the NVIDIA libraries in a process's map of its memory."""
    return sorted(set(re.findall(r"lib(?:cu|nv)[\w.-]*\.so[\d.]*", maps)))


@contextmanager
def use_precision(precision: str) -> Iterator[None]:
    """Compute by a precision's policy, for networks that are built inside, and in TF32 or not."""
    import tensorflow as tf

    from tasks.training import trainer

    policy, tf32 = POLICIES[precision]
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(tf32)
    try:
        with trainer.dtype_policy(policy):
            yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)


def median_seconds(work: Callable[[int], object], least: float) -> float:
    """Return the seconds of one repetition. `work` repeats in a row and waits for the result, in rounds of at least `least` seconds."""
    work(2)
    times = min(1_000, max(2, round(2 * least / wall_seconds(partial(work, 2)))))
    return statistics.median(wall_seconds(partial(work, times)) for _ in range(ROUNDS)) / times


def measure_product(size: int, precision: str, least: float) -> dict[str, float]:
    """Measure the product of two square matrices."""
    import tensorflow as tf

    kind = tf.bfloat16 if precision == "bfloat16" else tf.float32
    left, right = (tf.cast(tf.random.stateless_normal((size, size), (0, n)) / size**0.5, kind) for n in range(2))

    @tf.function
    def repeat(times: "tf.Tensor") -> "tf.Tensor":
        result = left
        for _ in tf.range(times):
            result = tf.matmul(result, right)
        return tf.reduce_sum(result)

    with use_precision(precision):
        elapsed = median_seconds(lambda times: repeat(tf.constant(times)).numpy(), least)
    return {"size": size, "milliseconds": 1e3 * elapsed, "teraflops": 2 * size**3 / elapsed / 1e12}


def measure_copy(numbers: int, least: float) -> dict[str, float]:
    """Measure how fast memory is read and written at once."""
    import tensorflow as tf

    first = tf.zeros(numbers)

    @tf.function
    def repeat(times: "tf.Tensor") -> "tf.Tensor":
        result = first
        for _ in tf.range(times):
            result = result + 1.0
        return result[-1]

    elapsed = median_seconds(lambda times: repeat(tf.constant(times)).numpy(), least)
    return {"megabytes": 4 * numbers / 1e6, "milliseconds": 1e3 * elapsed, "gb_per_second": 8 * numbers / elapsed / 1e9}


def measure_transfer(numbers: int, least: float) -> dict[str, float]:
    """Measure how fast arrays of the host come to the device."""
    import tensorflow as tf

    with tf.device("/CPU:0"):
        host = tf.zeros(numbers)

    def send(times: int) -> None:
        for _ in range(times):
            with tf.device("/GPU:0"):
                tf.identity(host)[-1].numpy()

    elapsed = median_seconds(send, least)
    return {"megabytes": 4 * numbers / 1e6, "milliseconds": 1e3 * elapsed, "gb_per_second": 4 * numbers / elapsed / 1e9}


def attempt(measure: Callable[[], dict]) -> dict:
    """Return the figures, or why there are none: most likely too little memory, and the next may need less."""
    try:
        return measure()
    except Exception as error:
        return {"error": first_line(error)}


def peak_memory(job: Job) -> float:
    """Return the most bytes in use at once: on the GPU since the learner was made, else of this process so far."""
    import tensorflow as tf

    return tf.config.experimental.get_memory_info("GPU:0")["peak"] if job.gpu else peak_bytes()
