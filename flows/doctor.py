"""Doctor: one screen that says what is there for recast, and what is not.

python flows/doctor.py
"""

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder
import tasks  # noqa: F401, I001  before TensorFlow, which reads its defaults when it is imported

from rich.table import Table

from tasks.runs import registry
from tasks.runs.addresses import parted, status_of
from tasks.runs.commandline import Arguments, exit_status, parse
from tasks.runs.config import Places
from tasks.runs.errors import BadInput
from tasks.runs.messages import cell, show
from tasks.runs.outcome import installed
from tasks.runs.redaction import redacted
from tasks.sources import kaggle
from tasks.sources.folder import is_image, walk

SHOWN = ("recast", "tensorflow", "keras", "prefect", "kaggle", "numpy", "pillow")


class DoctorArguments(Arguments):
    """Say what is there: versions, devices, places, server, credentials."""

    places: Places = Places()


def findings(places: Places) -> Iterator[tuple[str, str]]:
    """What was looked at, and what was found."""
    yield (
        "python",
        f"{platform.python_version()} on {platform.system()} {platform.machine()}, {os.cpu_count()} processors",
    )
    yield "libraries", ", ".join(f"{name} {installed(name) or 'not installed'}" for name in SHOWN)
    yield "GPU seen by TensorFlow", device()
    for name, place in (("data", places.data), ("artifacts", places.artifacts)):
        yield name, f"{place.absolute()}, {free_gb(place):,.0f} GB free"
    yield "inbox", inbox(places)
    champion = registry.champion(places)
    yield "model in use", f"version {champion.number}, {champion.model[:12]}" if champion else "none yet: make retrain"
    yield "Prefect server", server()
    yield "Kaggle credentials", credentials()


def device() -> str:
    from tasks.models import devices

    found = devices.device()
    return (
        "none: training runs on the processors (pip install 'recast[gpu]' where there is one)"
        if found == "CPU"
        else found
    )


def free_gb(place: Path) -> float:
    """Free space of the disk that holds the place, or will hold it."""
    there = next(path for path in (place.absolute(), *place.absolute().parents) if path.exists())
    return shutil.disk_usage(there).free / 1e9


def inbox(places: Places) -> str:
    folder = places.data.absolute() / "inbox"
    return f"{sum(map(is_image, walk(folder))):,} images in {folder}" if folder.is_dir() else f"none: {folder}"


def server() -> str:
    from prefect.settings import PREFECT_API_URL

    address = PREFECT_API_URL.value()
    if not address:
        return "none named by PREFECT_API_URL: each run starts its own for a while"
    shown = redacted(parted(address).plain)
    try:
        return f"{shown} answers {status_of(address, '/health', seconds=5)}"
    except (OSError, BadInput) as error:
        return redacted(f"{shown} does not answer: {error}")


def credentials() -> str:
    try:
        return kaggle.credentials()
    except BadInput as error:
        return str(error)


def main() -> None:
    arguments = parse(DoctorArguments, sys.argv[1:])
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, found in findings(arguments.places):
        table.add_row(cell(name, "bold"), cell(found))
    show(table)


if __name__ == "__main__":
    sys.exit(exit_status(main))
