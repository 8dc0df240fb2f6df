"""Doctor: one screen that says what is there for recast, and what is not.

python flows/doctor.py
"""

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder
import tasks  # noqa: F401, I001  before TensorFlow, which reads its defaults when it is imported

from rich.table import Table

from tasks.networks.gpu_diagnosis import describe_gpus
from tasks.networks.gpu_signs import look_at_machine
from tasks.pipeline.last_run import resolve_model
from tasks.reporting.run_json import versions
from tasks.settings.cli import Arguments, exit_status, parse
from tasks.settings.errors import BadInput
from tasks.settings.messages import cell, show
from tasks.settings.redaction import redact
from tasks.settings.settings import Places
from tasks.sources import kaggle
from tasks.sources.folder import is_image, left_out, look_through, shorten
from tasks.tracking import registry, runs as mlflow_runs
from tasks.tracking.addresses import split_address

MAX_DIFFERENCE = 10.0  # seconds between two clocks: a worker looks for runs that often
SHOWN = ("tensorflow", "keras", "prefect", "kaggle", "numpy", "pillow")


class DoctorArguments(Arguments):
    """Say what is there: versions, devices, places, server, credentials."""

    places: Places = Places()


def findings(places: Places) -> Iterator[tuple[str, str]]:
    """What was looked at, and what was found."""
    yield "machine", f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors"
    yield "versions", ", ".join(f"{name} {number or 'not installed'}" for name, number in versions(SHOWN).items())
    yield "GPU seen by TensorFlow", device()
    for name, place in (("data", places.data), ("artifacts", places.artifacts)):
        yield name, f"{place.absolute()}, {free_gb(place):,.0f} GB free"
    yield "inbox", inbox(places)
    yield "model in use", model(places)
    yield "Prefect server", server()
    yield "Kaggle credentials", credentials()


def model(places: Places) -> str:
    """Say which version is in use, or what is wrong with the registry."""
    try:
        mlflow_runs.require_usable(places)
        places = resolve_model(places)
        champion = registry.champion(places)
    except (BadInput, ConnectionError) as error:
        return str(error)
    if champion is None:
        return "none yet: make retrain"
    return f"version {champion.number}, {champion.model[:12]}, of {places.registered_name}"


def device() -> str:
    """Name the GPUs that TensorFlow sees, or say why there are none."""
    machine = look_at_machine()
    if machine.has_sign:  # a process of its own looks, for a broken library can abort the one that opens it
        return describe_gpus(machine)

    from tasks.networks import devices

    found = devices.device()
    return "none: training runs on the processors (`make gpu` where there is one)" if found == "CPU" else found


def free_gb(place: Path) -> float:
    """Free space of the disk that holds the place, or will hold it."""
    there = next(path for path in (place.absolute(), *place.absolute().parents) if path.exists())
    return shutil.disk_usage(there).free / 1e9


def inbox(places: Places) -> str:
    folder = places.data.absolute() / "inbox"
    if not folder.is_dir():
        return f"none: {folder}"
    try:
        names, faults = look_through(folder)
    except BadInput as error:
        return str(error)
    lines = [f"left out: {line}" for line in shorten([*faults, *left_out(names)])]
    return "; ".join([f"{sum(map(is_image, names)):,} images in {folder}", *lines])


def server() -> str:
    import httpx
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL

    from tasks.pipeline.server_access import authenticate

    try:
        authenticate()
    except BadInput as error:
        return str(error)
    address = PREFECT_API_URL.value()
    if not address:
        return "none named by PREFECT_API_URL: each run starts its own for a while"
    shown = redact(split_address(address).plain)
    try:
        with get_client(sync_client=True, httpx_settings={"timeout": 5}) as client:
            version = client.api_version()
        there = httpx.get(f"{address}/health", timeout=5).headers.get("date", "")
        return "; ".join([f"{shown} answers, version {version}", *clock(there, datetime.now(UTC))])
    except httpx.HTTPStatusError as error:
        refused = error.response.status_code in (401, 403)
        return redact(f"{shown} {'refuses the name and password' if refused else 'answers with an error'}: {error}")
    except httpx.InvalidURL:  # its text holds parts of the password
        return f"{shown} is no address of a server: expected http://HOST:PORT/api"
    except (httpx.HTTPError, RuntimeError) as error:
        return redact(f"{shown} does not answer: {error}")


def clock(told: str, now: datetime) -> list[str]:
    """Return a sentence where the server's clock, as the header `Date` told it, differs from this machine's, else none."""
    try:
        seconds = (now - parsedate_to_datetime(told)).total_seconds()
    except (ValueError, TypeError):  # it told none
        return []
    if abs(seconds) < MAX_DIFFERENCE:
        return []
    side, runs = ("ahead of", "early, all at once") if seconds > 0 else ("behind", "late")
    return [f"this machine's clock is {abs(seconds):,.0f} s {side} its: runs begin here {runs}; set both by NTP"]


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
