"""GPU signs: what is read from the system's folders, from nvidia-smi, and from the log of TensorFlow's loader."""

import ctypes
from pathlib import Path

import pytest
from gpu_logs import logged_probe

from tasks.networks import gpu_signs
from tasks.networks.gpu_libraries import OPENED
from tasks.networks.gpu_signs import GpuProbe, Machine

ABSENT = "cannot open shared object file: No such file or directory"


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        ("no driver", {"libcuda.so.1": f"libcuda.so.1: {ABSENT}"}),
        ("no device", {}),
        ("no management library", {"libnvidia-ml.so.1": f"libnvidia-ml.so.1: {ABSENT}"}),
        ("no libraries", {library: f"{library}: {ABSENT}" for library in OPENED}),
        ("one library", {"libcusolver.so.11": f"libcusolver.so.11: {ABSENT}"}),
        ("a library that another needs", {"libcusparse.so.12": f"libnvJitLink.so.12: {ABSENT}"}),
        (
            "cut files",
            {
                "libcufft.so.11": "/venv/tensorflow/python/platform/../../../nvidia/cufft/lib/libcufft.so.11: invalid ELF header",
                "libcusparse.so.12": "/venv/tensorflow/python/platform/../../../nvidia/cusparse/lib/libcusparse.so.12: file too short",
            },
        ),
        ("nothing", {}),
    ],
)
def test_the_log_names_the_libraries_that_were_not_opened(failure, expected):
    assert logged_probe(failure).faults == expected


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        ("no driver", "UNKNOWN ERROR (303)"),
        ("no device", "CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected"),
        (
            "mismatch",
            "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH: system has unsupported display driver / cuda driver combination",
        ),
        ("no libraries", ""),
    ],
)
def test_the_log_says_why_the_driver_does_not_start(failure, expected):
    assert logged_probe(failure).start == expected


def test_a_card_that_tensorflow_ignores_is_named_once():
    (line,) = logged_probe("an old card").ignored
    assert line.startswith("Ignoring visible gpu device (device: 0, name: NVIDIA Fake") and line.endswith("is 3.5.")


def test_tensorflow_s_word_on_a_library_holds_before_the_other_try():
    seen = logged_probe(
        "one library",
        gpus=["NVIDIA H200"],
        cuda="",
        faults={"libcusolver.so.11": "x: other", "libcudnn.so.9": "y: other"},
    )
    assert seen.faults == {"libcusolver.so.11": f"libcusolver.so.11: {ABSENT}", "libcudnn.so.9": "y: other"}
    assert (seen.gpus, seen.cuda) == (("NVIDIA H200",), "")


def test_nvidia_s_graphics_cards_are_counted(tmp_path):
    for name, vendor, kind in (
        ("0000:01:00.0", "0x10de", "0x030000"),  # a card with a display
        ("0000:02:00.0", "0x10de", "0x030200"),  # one without
        ("0000:01:00.1", "0x10de", "0x040300"),  # the card's sound
        ("0000:03:00.0", "0x8086", "0x030000"),  # another maker's
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "vendor").write_text(f"{vendor}\n", encoding="utf-8")
        (tmp_path / name / "class").write_text(f"{kind}\n", encoding="utf-8")
    assert gpu_signs.count_cards(tmp_path) == 2
    assert gpu_signs.count_cards(tmp_path / "none") == 0


def smi(folder: Path, script: str, monkeypatch) -> None:
    """Let the only program that is found be an `nvidia-smi` of this script."""
    (folder / "nvidia-smi").write_text(script, encoding="utf-8")
    (folder / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("#!/bin/sh\necho all is well\n", ""),
        (
            '#!/bin/sh\necho "NVIDIA-SMI has failed because it couldn\'t communicate with the NVIDIA driver."\n'
            "echo 'Make sure that the latest NVIDIA driver is installed and running.'\nexit 9\n",
            "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. "
            "Make sure that the latest NVIDIA driver is installed and running.",
        ),
        ("#!/bin/sh\nexit 18\n", "exit status 18"),
        ("#!/no/such/shell\n", "No such file or directory"),
    ],
)
@pytest.mark.usefixtures("process")
def test_what_nvidia_smi_says_when_it_fails_is_one_line(script, expected, tmp_path, monkeypatch):
    smi(tmp_path, script, monkeypatch)
    assert gpu_signs.ask_smi() == expected


@pytest.mark.usefixtures("process")
def test_an_nvidia_smi_that_hangs_is_left(tmp_path, monkeypatch):
    smi(tmp_path, "#!/bin/sh\nwhile :; do :; done\n", monkeypatch)
    monkeypatch.setattr(gpu_signs, "SMI_LIMIT", 0.1)
    assert gpu_signs.ask_smi() == "no answer in 0.1 s"


def test_a_machine_without_any_sign_of_a_gpu_has_none(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    monkeypatch.setattr(gpu_signs, "PCI", tmp_path)
    monkeypatch.setattr(gpu_signs, "DEVICES", tmp_path)
    monkeypatch.setattr(gpu_signs, "driver_version", lambda: 0)
    monkeypatch.setattr(gpu_signs, "installed_packages", frozenset)
    monkeypatch.setattr(gpu_signs, "lost_files", dict)
    assert gpu_signs.look_at_machine() == Machine(visible="1")
    assert not gpu_signs.look_at_machine().has_sign
    (tmp_path / "nvidiactl").touch()
    assert gpu_signs.look_at_machine().has_sign


@pytest.mark.parametrize(
    "sign",
    [{"cards": 1}, {"device_files": True}, {"smi": ""}, {"packages": frozenset({"nvidia-cudnn-cu12"})}, {"driver": 1}],
)
def test_each_sign_counts(sign):
    assert Machine(**sign).has_sign


def test_the_driver_tells_its_version_or_there_is_none(monkeypatch):
    class Driver:
        def __init__(self, name: str):
            assert name == "libcuda.so.1"

        def cuDriverGetVersion(self, version):  # noqa: N802  NVIDIA's name
            version._obj.value = 12040

    def refuse(name):
        raise OSError(f"{name}: {ABSENT}")

    monkeypatch.setattr(ctypes, "CDLL", Driver)
    assert gpu_signs.driver_version() == 12040
    monkeypatch.setattr(ctypes, "CDLL", refuse)
    assert gpu_signs.driver_version() == 0


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("raise ImportError('no libstdc++ here')", "exit status 1: ImportError: no libstdc++ here"),
        ("import os; os._exit(3)", "exit status 3"),
        ("import os; os.abort()", "SIGABRT"),
    ],
)
@pytest.mark.usefixtures("process")
def test_a_tensorflow_that_does_not_start_is_told(code, expected, monkeypatch):
    monkeypatch.setattr(gpu_signs, "PROBE", code)
    assert gpu_signs.probe() == GpuProbe(failure=expected)


@pytest.mark.usefixtures("process")
def test_a_tensorflow_that_hangs_is_left(monkeypatch):
    monkeypatch.setattr(gpu_signs, "PROBE", "while True: pass")
    monkeypatch.setattr(gpu_signs, "PROBE_LIMIT", 0.1)
    assert gpu_signs.probe() == GpuProbe(failure="no answer in 0.1 s")


@pytest.mark.usefixtures("process")
def test_the_probe_opens_the_log_and_each_library_by_where_it_lies(monkeypatch, tmp_path):
    code = """
import json, os, sys
level = os.environ["TF_CPP_MIN_LOG_LEVEL"]
print(f"dso_loader.cc:144] Could not load dynamic library '{sys.argv[1]}'; dlerror: {level}: x", file=sys.stderr)
print(json.dumps({"gpus": [], "cuda": "12.5.1", "faults": dict.fromkeys(sys.argv[2:], "")}))
"""
    monkeypatch.setattr(gpu_signs, "PROBE", code)
    monkeypatch.setattr(gpu_signs, "searched_file", lambda library: tmp_path / library if "dnn" in library else None)
    faults = gpu_signs.probe().faults
    assert faults.pop("libcudart.so.12") == "0: x"
    assert list(faults) == [*OPENED[1:-1], str(tmp_path / "libcudnn.so.9")]
