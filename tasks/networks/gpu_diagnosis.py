"""GPU diagnosis: say why TensorFlow sees no GPU, and what to do next: the driver, its version, or a library by name."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from tasks.networks.gpu_libraries import OVERLOOKED, PACKAGES, is_overlooked
from tasks.networks.gpu_signs import DEVICES, DRIVER, GpuProbe, Machine, look_at_machine, probe

MANAGEMENT = "libnvidia-ml.so.1"
"""The driver's second library. Without it, TensorFlow uses no GPU and does not say why."""


def why_no_gpu() -> str:
    """Say why TensorFlow sees no GPU, and what to do next. Takes some seconds."""
    return "; ".join(reasons(look_at_machine(), probe(), is_overlooked()))


def describe_gpus(machine: Machine) -> str:
    """Name the GPUs that TensorFlow sees and say what is wrong with them, or say why it sees none. Takes some seconds."""
    answer = probe()
    if answer.gpus:
        faults = library_reasons(machine, {}, overlooked=False)
        return "; ".join([", ".join(answer.gpus), *old_driver_reasons(machine.driver, answer.cuda), *faults])
    why = "; ".join(reasons(machine, answer, is_overlooked()))
    return f"none: {why}; until then training runs on the processors, which is right where no GPU is meant"


def reasons(machine: Machine, answer: GpuProbe, overlooked: bool) -> Iterator[str]:
    """Yield each reason why TensorFlow sees no GPU, with what to do about it."""
    if answer.failure:
        yield f"TensorFlow fails while it lists its devices ({answer.failure})"
        yield from library_reasons(machine, {}, overlooked)
    elif answer.gpus:
        yield "a new process sees one: try again"
    elif not answer.cuda:
        yield "this TensorFlow is built without CUDA: install that of requirements-gpu.txt, on Linux"
    else:
        causes = [
            *driver_reasons(machine, answer),
            *old_driver_reasons(machine.driver, answer.cuda),
            *library_reasons(machine, answer.faults, overlooked),
            *(f"TensorFlow says: {line.rstrip('.')}" for line in answer.ignored),
        ]
        yield from causes or ["no reason found: see TensorFlow's own log, with TF_CPP_MIN_LOG_LEVEL=0"]


def driver_reasons(machine: Machine, answer: GpuProbe) -> Iterator[str]:
    """Yield what is wrong with NVIDIA's driver."""
    smi = f"nvidia-smi says: {machine.smi}" if machine.smi else ""
    if DRIVER in answer.faults:
        signs = [
            f"{DRIVER} is missing"
            if is_absent(answer.faults[DRIVER])
            else f"{DRIVER}: {reason_of(answer.faults[DRIVER])}",
            "" if machine.device_files else f"no {DEVICES}/nvidia*",
            "no nvidia-smi" if machine.smi is None else smi,
            "though an NVIDIA card is there" if machine.cards else "",
        ]
        yield (
            f"no NVIDIA driver ({', '.join(filter(None, signs))}): install it on the host; "
            "a container needs the NVIDIA Container Toolkit and `--gpus all` besides"
        )
    elif "NO_DEVICE" in answer.start and machine.visible is not None:
        yield f"CUDA_VISIBLE_DEVICES is {machine.visible!r}, which leaves no GPU: unset it, or name one"
    elif "NO_DEVICE" in answer.start:
        yield f"the NVIDIA driver finds no GPU ({answer.start}): see `nvidia-smi -L`; a container needs `--gpus all`"
    elif answer.start:
        yield (
            f"the NVIDIA driver does not start ({', '.join(filter(None, (answer.start, smi)))}): "
            "restart the machine; if that does not help, install it anew"
        )
    elif MANAGEMENT in answer.faults:
        yield (
            f"{MANAGEMENT} of the NVIDIA driver is missing: install the whole driver; "
            "a container needs NVIDIA_DRIVER_CAPABILITIES=compute,utility"
        )


def old_driver_reasons(driver: int, cuda: str) -> Iterator[str]:
    """Yield that the driver is too old for TensorFlow's CUDA version, where it is. Versions of one major number work together.

    `driver` is 12040 for CUDA 12.4, 0 without a driver; `cuda` is as `12.5`, empty without CUDA.
    """
    major = int(cuda.partition(".")[0] or 0)
    if 0 < driver // 1000 < major:
        yield (
            f"the NVIDIA driver supports CUDA {driver // 1000}.{driver % 1000 // 10} and TensorFlow needs {major}: "
            f"install a driver for which nvidia-smi shows CUDA {major}.0 or later"
        )


def library_reasons(machine: Machine, faults: Mapping[str, str], overlooked: bool) -> Iterator[str]:
    """Yield the libraries that TensorFlow cannot open or will miss later, grouped by what to do about them."""
    groups = dict[str, dict[str, None]]()
    lost = {library: f"{library}: No such file" for library in machine.lost}
    for library, fault in (lost | dict(faults)).items():
        if library not in (DRIVER, MANAGEMENT):
            culprit = Path(fault.partition(": ")[0]).name  # the library itself, or one that it needs
            package = PACKAGES.get(culprit) or machine.lost.get(culprit)
            step = next_step(package, machine.packages, overlooked and culprit == OVERLOOKED)
            groups.setdefault(step, {})[describe(culprit, package, fault)] = None
    for step, libraries in groups.items():
        yield f"TensorFlow cannot open {', '.join(libraries)}: {step}"


def describe(library: str, package: str | None, fault: str) -> str:
    """Name a library with its package, and say what is wrong with it unless it is absent."""
    facts = [package, "" if is_absent(fault) else reason_of(fault)]
    return f"{library} ({', '.join(filter(None, facts))})" if any(facts) else library


def is_absent(fault: str) -> bool:
    """Return whether the system's loader finds no file of the library."""
    return "No such file" in fault


def reason_of(fault: str) -> str:
    """Return what the system's loader says, without the file that it names first."""
    return fault.partition(": ")[2] or fault


def next_step(package: str | None, installed: frozenset[str], overlooked: bool) -> str:
    """Say how to get a library of this package."""
    if package is None:
        return "install it"
    if package not in installed:
        return "`make gpu` installs what is missing"
    if overlooked:
        return "it lies where TensorFlow does not search; `make gpu` links it"
    return f'`make gpu ARGS="--reinstall-package {package}"` installs it anew'
