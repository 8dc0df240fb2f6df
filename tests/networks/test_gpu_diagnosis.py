"""GPU diagnosis: each planted failure gets its reason and the next step, and so does a machine without a driver."""

import ctypes

import pytest
from gpu_logs import logged_probe

from tasks.networks import gpu_diagnosis
from tasks.networks.gpu_diagnosis import old_driver_reasons, reasons
from tasks.networks.gpu_libraries import OPENED, PACKAGES
from tasks.networks.gpu_signs import GpuProbe, Machine

ALL = frozenset(PACKAGES.values())
HEALTHY = Machine(cards=1, device_files=True, smi="", packages=ALL, driver=12080)
BARE = Machine()
INSTALL = "install it on the host; a container needs the NVIDIA Container Toolkit and `--gpus all` besides"


@pytest.mark.parametrize(
    ("failure", "machine", "expected"),
    [
        ("no driver", BARE, f"no NVIDIA driver (libcuda.so.1 is missing, no /dev/nvidia*, no nvidia-smi): {INSTALL}"),
        (
            "no driver",
            Machine(cards=2, device_files=True, smi="NVIDIA-SMI has failed"),
            "no NVIDIA driver (libcuda.so.1 is missing, nvidia-smi says: NVIDIA-SMI has failed, "
            f"though an NVIDIA card is there): {INSTALL}",
        ),
        (
            "no device",
            HEALTHY,
            "the NVIDIA driver finds no GPU (CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected): "
            "see `nvidia-smi -L`; a container needs `--gpus all`",
        ),
        (
            "no device",
            Machine(visible="-1"),
            "CUDA_VISIBLE_DEVICES is '-1', which leaves no GPU: unset it, or name one",
        ),
        ("no device", Machine(visible=""), "CUDA_VISIBLE_DEVICES is '', which leaves no GPU: unset it, or name one"),
        (
            "mismatch",
            Machine(smi="Failed to initialize NVML: Driver/library version mismatch", visible="0"),
            "the NVIDIA driver does not start (CUDA_ERROR_SYSTEM_DRIVER_MISMATCH: system has unsupported display driver / cuda "
            "driver combination, nvidia-smi says: Failed to initialize NVML: Driver/library version mismatch): "
            "restart the machine; if that does not help, install it anew",
        ),
        (
            "no management library",
            HEALTHY,
            "libnvidia-ml.so.1 of the NVIDIA driver is missing: install the whole driver; "
            "a container needs NVIDIA_DRIVER_CAPABILITIES=compute,utility",
        ),
        (
            "one library",
            HEALTHY,
            "TensorFlow cannot open libcusolver.so.11 (nvidia-cusolver-cu12): "
            '`make gpu ARGS="--reinstall-package nvidia-cusolver-cu12"` installs it anew',
        ),
        (
            "one library",
            Machine(packages=ALL - {"nvidia-cusolver-cu12"}),
            "TensorFlow cannot open libcusolver.so.11 (nvidia-cusolver-cu12): `make gpu` installs what is missing",
        ),
        (
            "a library that another needs",
            HEALTHY,
            "TensorFlow cannot open libnvJitLink.so.12 (nvidia-nvjitlink-cu12): "
            '`make gpu ARGS="--reinstall-package nvidia-nvjitlink-cu12"` installs it anew',
        ),
        (
            "cut files",
            HEALTHY,
            "TensorFlow cannot open libcufft.so.11 (nvidia-cufft-cu12, invalid ELF header): "
            '`make gpu ARGS="--reinstall-package nvidia-cufft-cu12"` installs it anew; '
            "TensorFlow cannot open libcusparse.so.12 (nvidia-cusparse-cu12, file too short): "
            '`make gpu ARGS="--reinstall-package nvidia-cusparse-cu12"` installs it anew',
        ),
        (
            "an old card",
            HEALTHY,
            "TensorFlow says: Ignoring visible gpu device (device: 0, name: NVIDIA Fake, pci bus id: 0000:01:00.0, compute "
            "capability: 3.0) with Cuda compute capability 3.0. The minimum required Cuda capability is 3.5",
        ),
        ("nothing", HEALTHY, "no reason found: see TensorFlow's own log, with TF_CPP_MIN_LOG_LEVEL=0"),
        (
            "nothing",
            Machine(driver=11040),
            "the NVIDIA driver supports CUDA 11.4 and TensorFlow needs 12: "
            "install a driver for which nvidia-smi shows CUDA 12.0 or later",
        ),
    ],
)
def test_each_failure_has_its_reason_and_the_next_step(failure, machine, expected):
    assert "; ".join(reasons(machine, logged_probe(failure), overlooked=False)) == expected


def test_all_libraries_that_one_step_brings_are_one_reason():
    (reason,) = reasons(BARE, logged_probe("no libraries"), overlooked=False)
    libraries = ", ".join(f"{library} ({PACKAGES[library]})" for library in (OPENED[-1], *OPENED[:-1]))  # as in the log
    assert reason == f"TensorFlow cannot open {libraries}: `make gpu` installs what is missing"


def test_a_library_that_lies_where_tensorflow_does_not_search_is_linked():
    (reason,) = reasons(HEALTHY, logged_probe("one library"), overlooked=True)
    assert reason == (
        "TensorFlow cannot open libcusolver.so.11 (nvidia-cusolver-cu12): "
        "it lies where TensorFlow does not search; `make gpu` links it"
    )
    (other,) = reasons(HEALTHY, logged_probe("a library that another needs"), overlooked=True)
    assert "--reinstall-package nvidia-nvjitlink-cu12" in other


def test_driver_and_libraries_are_told_together():
    faults = {"libcudnn.so.9": "libcudnn.so.9: cannot open shared object file: No such file or directory"}
    driver, library = reasons(BARE, logged_probe("no driver", faults=faults), overlooked=False)
    assert driver.startswith("no NVIDIA driver (")
    assert library == "TensorFlow cannot open libcudnn.so.9 (nvidia-cudnn-cu12): `make gpu` installs what is missing"


def test_a_library_of_no_known_package_is_named():
    seen = GpuProbe(
        cuda="12.5.1", faults={"libcudnn.so.9": "libz.so.1: cannot open shared object file: No such file or directory"}
    )
    assert [*reasons(HEALTHY, seen, overlooked=False)] == ["TensorFlow cannot open libz.so.1: install it"]


def test_a_driver_that_cannot_be_opened_says_why():
    seen = GpuProbe(
        cuda="12.5.1", faults={"libcuda.so.1": "/lib/libcuda.so.1: invalid ELF header"}, start="UNKNOWN ERROR (303)"
    )
    (reason,) = reasons(HEALTHY, seen, overlooked=False)
    assert reason == f"no NVIDIA driver (libcuda.so.1: invalid ELF header, though an NVIDIA card is there): {INSTALL}"


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (GpuProbe(failure="no answer in 120 s"), "TensorFlow fails while it lists its devices (no answer in 120 s)"),
        (GpuProbe(gpus=("NVIDIA H200",), cuda="12.5.1"), "a new process sees one: try again"),
        (GpuProbe(), "this TensorFlow is built without CUDA: "),
    ],
)
def test_what_tensorflow_itself_is_comes_first(seen, expected):
    (reason,) = reasons(HEALTHY, seen, overlooked=False)
    assert reason.startswith(expected)


LOST = Machine(
    packages=ALL, driver=12080, lost={"libcudnn_ops.so.9": "nvidia-cudnn-cu12", "libnccl.so.2": "nvidia-nccl-cu12"}
)
LOST_REASONS = (
    'TensorFlow cannot open libcudnn_ops.so.9 (nvidia-cudnn-cu12): `make gpu ARGS="--reinstall-package nvidia-cudnn-cu12"` '
    "installs it anew; TensorFlow cannot open libnccl.so.2 (nvidia-nccl-cu12): "
    '`make gpu ARGS="--reinstall-package nvidia-nccl-cu12"` installs it anew'
)


def test_a_lost_library_is_named_where_tensorflow_sees_no_gpu_and_where_it_aborts():
    started, *libraries = reasons(LOST, GpuProbe(failure="Cannot load symbol cudnnGetProperty"), overlooked=False)
    assert started == "TensorFlow fails while it lists its devices (Cannot load symbol cudnnGetProperty)"
    assert "; ".join(libraries) == LOST_REASONS
    assert "; ".join(reasons(LOST, logged_probe("nothing"), overlooked=False)) == LOST_REASONS


def test_a_library_that_is_lost_and_not_opened_is_named_once():
    lost = Machine(packages=ALL, lost={"libcusolver.so.11": "nvidia-cusolver-cu12"})
    (reason,) = reasons(lost, logged_probe("one library"), overlooked=False)
    assert reason.count("libcusolver.so.11") == 1


@pytest.mark.parametrize(
    ("machine", "seen", "expected"),
    [
        (HEALTHY, GpuProbe(gpus=("NVIDIA H200", "NVIDIA L4"), cuda="12.5.1"), "NVIDIA H200, NVIDIA L4"),
        (LOST, GpuProbe(gpus=("NVIDIA H200",), cuda="12.5.1"), f"NVIDIA H200; {LOST_REASONS}"),
        (
            Machine(driver=11040),
            GpuProbe(gpus=("NVIDIA H200",), cuda="12.5.1"),
            "NVIDIA H200; the NVIDIA driver supports CUDA 11.4 and TensorFlow needs 12: "
            "install a driver for which nvidia-smi shows CUDA 12.0 or later",
        ),
        (
            HEALTHY,
            logged_probe("no management library"),
            "none: libnvidia-ml.so.1 of the NVIDIA driver is missing: install the whole driver; a container needs "
            "NVIDIA_DRIVER_CAPABILITIES=compute,utility; until then training runs on the processors, which is right where no GPU is meant",
        ),
    ],
)
def test_gpus_are_named_with_what_is_wrong_or_it_is_said_why_there_are_none(machine, seen, expected, monkeypatch):
    monkeypatch.setattr(gpu_diagnosis, "probe", lambda: seen)
    monkeypatch.setattr(gpu_diagnosis, "is_overlooked", lambda: False)
    assert gpu_diagnosis.describe_gpus(machine) == expected


@pytest.mark.parametrize(
    ("driver", "cuda", "is_old"),
    [
        (0, "12.5.1", False),
        (11040, "12.5.1", True),
        (12000, "12.5.1", False),
        (13000, "12.5.1", False),
        (12080, "13.0", True),
        (11040, "", False),
    ],
)
def test_a_driver_is_too_old_when_its_major_version_is(driver, cuda, is_old):
    assert bool([*old_driver_reasons(driver, cuda)]) == is_old


@pytest.mark.usefixtures("process")
def test_tensorflow_itself_says_that_there_is_no_driver():
    """In a real process, on a machine without a driver."""
    try:
        ctypes.CDLL("libcuda.so.1")
        pytest.skip("this machine has an NVIDIA driver")
    except OSError:
        told = gpu_diagnosis.why_no_gpu()
    assert told.startswith("no NVIDIA driver (libcuda.so.1 is missing, ") and INSTALL in told
