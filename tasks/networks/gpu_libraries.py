"""GPU libraries: list what TensorFlow's loader opens before it uses a GPU, the package of each library, and where it must lie."""

import csv
import os
from importlib import metadata
from pathlib import Path

OPENED = (
    "libcudart.so.12",
    "libcublas.so.12",
    "libcublasLt.so.12",
    "libcufft.so.11",
    "libcusolver.so.11",
    "libcusparse.so.12",
    "libcudnn.so.9",
)
"""Libraries that TensorFlow 2.21 opens, in its order; it uses no GPU if one of them fails."""
PACKAGES = {
    "libcudart.so.12": "nvidia-cuda-runtime-cu12",
    "libcublas.so.12": "nvidia-cublas-cu12",
    "libcublasLt.so.12": "nvidia-cublas-cu12",
    "libcufft.so.11": "nvidia-cufft-cu12",
    "libcusolver.so.11": "nvidia-cusolver-cu12",
    "libcusparse.so.12": "nvidia-cusparse-cu12",
    "libcudnn.so.9": "nvidia-cudnn-cu12",
    "libnvJitLink.so.12": "nvidia-nvjitlink-cu12",  # cuSOLVER and cuSPARSE need it
    "libnvrtc.so.12": "nvidia-cuda-nvrtc-cu12",  # cuDNN compiles with it
    "libcupti.so.12": "nvidia-cuda-cupti-cu12",  # the profiler's
    "libnccl.so.2": "nvidia-nccl-cu12",  # between several GPUs
}
"""Library: the package of TensorFlow's extra `and-cuda` that brings it."""
OVERLOOKED = "libcusolver.so.11"
"""TensorFlow 2.21's loader does not search the folder of this library (its RUNPATH lacks `nvidia/cusolver/lib`)."""
SEARCHED = "nvidia-cusparse-cu12"
"""Package whose folder the loader does search. So this folder holds a link to the overlooked library."""


def package_folder(package: str) -> Path | None:
    """Return the folder of a package's libraries; None where the package is not installed."""
    name = package.removeprefix("nvidia-").removesuffix("-cu12").replace("-", "_")
    try:
        return Path(str(metadata.distribution(package).locate_file(f"nvidia/{name}/lib")))
    except metadata.PackageNotFoundError:
        return None


def library_file(library: str, package: str | None = None) -> Path | None:
    """Return the library's file in the folder of a package, by default its own; None without the package or without the file."""
    folder = package_folder(package or PACKAGES[library])
    return folder / library if folder and (folder / library).exists() else None


def searched_file(library: str) -> Path | None:
    """Return the library's file where TensorFlow's loader finds it; None if there is none."""
    return library_file(library, SEARCHED if library == OVERLOOKED else None)


def installed_packages() -> frozenset[str]:
    """Return the packages of `PACKAGES` that are installed."""
    return frozenset(package for package in PACKAGES.values() if package_folder(package))


def lost_files() -> dict[str, str]:
    """Return the libraries of installed packages that are missing or truncated, each with its package.

    TensorFlow opens some only while it trains, such as the parts of cuDNN: it lists the GPU without them, or the process aborts.
    A truncated file ends the process that opens it.
    """
    lost = {}
    for package in sorted(installed_packages()):
        installed = metadata.distribution(package)
        rows = csv.reader((installed.read_text("RECORD") or "").splitlines())  # `files` leaves out missing files
        for name, _, size in rows:
            file = Path(str(installed.locate_file(name)))
            if ".so" in file.suffixes and not (file.exists() and size in ("", str(file.stat().st_size))):
                lost[file.name] = package
    return lost


def is_overlooked() -> bool:
    """Return whether the library `OVERLOOKED` is installed but TensorFlow's loader does not find it."""
    return bool(library_file(OVERLOOKED) and not searched_file(OVERLOOKED))


def link_overlooked() -> Path | None:
    """Link the overlooked library into a folder that TensorFlow's loader searches.

    Returns:
        The link; None where the packages are not installed.
    """
    file, folder = library_file(OVERLOOKED), package_folder(SEARCHED)
    if not file or not folder or not folder.is_dir():
        return None
    link = folder / OVERLOOKED
    link.unlink(missing_ok=True)
    link.symlink_to(os.path.relpath(file, folder))
    return link
