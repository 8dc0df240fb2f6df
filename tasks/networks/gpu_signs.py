"""GPU signs: collect what the machine, the driver and TensorFlow's loader say about a GPU. `gpu_diagnosis` turns it into reasons.

A separate process lists TensorFlow's devices with the loader's log open, because TensorFlow reads its log level once and writes to the
process's standard error. TensorFlow opens its libraries only after the driver has answered, so that process also tries each library itself.
"""

import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tasks.networks.gpu_libraries import OPENED, installed_packages, lost_files, searched_file

DRIVER = "libcuda.so.1"
PROBE_LIMIT = 120.0  # s; loading TensorFlow takes 3 s on an idle machine
SMI_LIMIT = 20.0  # s; with a broken driver nvidia-smi may hang
PCI, DEVICES = Path("/sys/bus/pci/devices"), Path("/dev")
NVIDIA, DISPLAY = "0x10de", "0x03"  # vendor of a PCI device, and how the class of a graphics card begins
LOG = {"TF_CPP_MIN_LOG_LEVEL": "0", "TF_CPP_VMODULE": "dso_loader=1,cuda_diagnostics=1"}
NOT_OPENED = r"Could not load dynamic library '(.+?)'; dlerror: (.+?)(?:; LD_LIBRARY_PATH: .*)?$"
PROBE = """
import ctypes, json, os, sys
import tensorflow as tf
devices, faults = tf.config.list_physical_devices("GPU"), {}
gpus = [tf.config.experimental.get_device_details(gpu).get("device_name", "GPU") for gpu in devices]
for file in sys.argv[1:]:
    try:
        ctypes.CDLL(file)
    except OSError as error:
        faults[os.path.basename(file)] = str(error)
print(json.dumps({"gpus": gpus, "cuda": tf.sysconfig.get_build_info().get("cuda_version", ""), "faults": faults}))
"""


@dataclass(frozen=True)
class Machine:
    """Signs, found without TensorFlow, that a GPU is there or is meant to be."""

    cards: int = 0
    """NVIDIA's graphics cards, with or without a driver."""
    device_files: bool = False
    smi: str | None = None
    """What `nvidia-smi` says when it fails; empty where it works, None where there is none."""
    packages: frozenset[str] = frozenset()
    """Packages of `make gpu` that are installed."""
    lost: Mapping[str, str] = field(default_factory=dict)
    """Library that is missing or differs from what its package installed: the package."""
    visible: str | None = None
    """CUDA_VISIBLE_DEVICES."""
    driver: int = 0
    """Newest CUDA version that the driver supports, as the driver writes it: 12040 is 12.4. 0 without a driver."""

    @property
    def has_sign(self) -> bool:
        """Return whether there is any sign of a GPU."""
        return bool(self.cards or self.device_files or self.packages or self.driver or self.smi is not None)


@dataclass(frozen=True)
class GpuProbe:
    """The answer of a separate process about TensorFlow and its libraries."""

    gpus: tuple[str, ...] = ()
    cuda: str = ""
    """CUDA version that TensorFlow is built for; empty without CUDA."""
    faults: Mapping[str, str] = field(default_factory=dict)
    """Library: why the system's loader cannot open it."""
    start: str = ""
    """Why the driver does not start."""
    ignored: tuple[str, ...] = ()
    """What TensorFlow says about GPUs that it finds and does not use."""
    failure: str = ""
    """Why the process gave no answer."""


def look_at_machine() -> Machine:
    """Collect the signs of a GPU that need no TensorFlow."""
    return Machine(
        cards=count_cards(PCI),
        device_files=any(DEVICES.glob("nvidia*")) or (DEVICES / "dxg").exists(),  # dxg: Windows' subsystem for Linux
        smi=ask_smi(),
        packages=installed_packages(),
        lost=lost_files(),
        visible=os.environ.get("CUDA_VISIBLE_DEVICES"),
        driver=driver_version(),
    )


def count_cards(folder: Path) -> int:
    """Count NVIDIA's graphics cards among the PCI devices."""
    return sum(
        vendor.read_text().strip() == NVIDIA and (vendor.parent / "class").read_text().startswith(DISPLAY)
        for vendor in folder.glob("*/vendor")
    )


def driver_version() -> int:
    """Return the newest CUDA version that the driver supports, 12040 for 12.4; 0 without a driver. Does not start the driver."""
    version = ctypes.c_int()
    try:
        ctypes.CDLL(DRIVER).cuDriverGetVersion(ctypes.byref(version))
    except OSError:
        return 0
    return version.value


def ask_smi() -> str | None:
    """Return what `nvidia-smi` says when it fails, in one line; empty where it works, None where there is none."""
    program = shutil.which("nvidia-smi")
    if not program:
        return None
    try:
        done = subprocess.run([program], capture_output=True, text=True, errors="replace", timeout=SMI_LIMIT)
    except subprocess.TimeoutExpired:
        return f"no answer in {SMI_LIMIT:g} s"
    except OSError as error:
        return str(error.strerror)
    output = " ".join((done.stdout + done.stderr).split())
    return (output or f"exit status {done.returncode}") if done.returncode else ""


def probe() -> GpuProbe:
    """List TensorFlow's devices and open its libraries in a separate process. Takes some seconds."""
    files = (str(searched_file(library) or library) for library in OPENED)
    command = [sys.executable, "-P", "-c", PROBE, *files]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=PROBE_LIMIT, env={**os.environ, **LOG}
        )
    except subprocess.TimeoutExpired:
        return GpuProbe(failure=f"no answer in {PROBE_LIMIT:g} s")
    if done.returncode:
        end = f"exit status {done.returncode}" if done.returncode > 0 else signal.Signals(-done.returncode).name
        return GpuProbe(failure=": ".join([end, *done.stderr.strip().splitlines()[-1:]]))
    return read_probe(done.stdout, done.stderr)


def read_probe(answer: str, log: str) -> GpuProbe:
    """Read the process's answer and TensorFlow's log. Where both name a fault of a library, TensorFlow's log counts."""
    facts = json.loads(answer.splitlines()[-1])
    start = re.search(r"failed call to cuInit: (?:.*Failed call to cuInit: )?(.+)$", log, re.MULTILINE)
    return GpuProbe(
        gpus=tuple(facts["gpus"]),
        cuda=facts["cuda"],
        # the libraries that TensorFlow's loader could not open, each with what the system's loader said
        faults={**facts["faults"], **dict(re.findall(NOT_OPENED, log, re.MULTILINE))},
        start=start[1] if start else "",
        ignored=tuple(dict.fromkeys(re.findall(r"\] (Ignoring visible gpu device .+)$", log, re.MULTILINE))),
    )
