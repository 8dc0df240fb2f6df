"""Doctor: one screen that says what recast finds on this machine, and what is missing.

python flows/doctor.py  [--source S]
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

from tasks.dataset.group_split import NEEDS_DEFECTS
from tasks.networks.gpu_diagnosis import describe_gpus
from tasks.networks.gpu_signs import look_at_machine
from tasks.pipeline.last_run import resolve_model
from tasks.reporting.run_json import versions
from tasks.settings.cli import Arguments, exit_status, parse
from tasks.settings.errors import BadInput
from tasks.settings.messages import cell, show
from tasks.settings.redaction import redact
from tasks.settings.settings import FetchSettings, Places
from tasks.sources import kaggle
from tasks.sources.folder import is_image, left_out, look_through, shorten
from tasks.sources.locate import locate
from tasks.tracking import connection, registry
from tasks.tracking.addresses import split_address

MAX_DIFFERENCE = 10.0  # seconds between two clocks: a worker looks for runs that often
LIBRARIES = ("tensorflow", "keras", "prefect", "kaggle", "numpy", "pillow")


class DoctorArguments(Arguments):
    """Say what is there: versions, devices, places, server, credentials; and, of a source, how its photographs are labeled."""

    fetch: FetchSettings = FetchSettings()
    places: Places = Places()


def findings(fetch: FetchSettings, places: Places) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each line: what was looked at, and what was found."""
    if "source" in fetch.model_fields_set:
        yield "source", source(fetch, places)
    yield "machine", f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors"
    yield "versions", ", ".join(f"{name} {number or 'not installed'}" for name, number in versions(LIBRARIES).items())
    yield "GPU seen by TensorFlow", device()
    for name, place in (("data", places.data), ("artifacts", places.artifacts)):
        yield name, f"{place.absolute()}, {free_gb(place):,.0f} GB free"
    yield "inbox", inbox(places)
    yield "model in use", model(places)
    yield "Prefect server", server()
    yield "Kaggle credentials", credentials()


def source(fetch: FetchSettings, places: Places) -> str:
    """Return how the photographs of the source are labeled, what is missing and what is left out, or why the source cannot be used."""
    try:
        located = locate(fetch, places)
    except (BadInput, ConnectionError) as error:
        return str(error)
    unknown = "it is not fetched yet: its layout shows when it is"
    alone = [] if located.has_defects else [f"no image of a defective part: {NEEDS_DEFECTS}"]
    return "; ".join([located.layout or unknown, *alone, *(f"left out: {line}" for line in shorten(located.left_out))])


def model(places: Places) -> str:
    """Return which version is in use, or what is wrong with the registry."""
    try:
        connection.require_usable(places)
        places = resolve_model(places)
        champion = registry.champion(places)
    except (BadInput, ConnectionError) as error:
        return str(error)
    return (
        f"version {champion.number}, {champion.model[:12]}, of {places.registered_name}"
        if champion
        else "none yet: make retrain"
    )


def device() -> str:
    """Return the names of the GPUs that TensorFlow sees, or why there are none."""
    machine = look_at_machine()
    if machine.has_sign:  # a process of its own looks, for a broken library can abort the one that opens it
        return describe_gpus(machine)

    from tasks.networks import devices

    gpus = devices.device()
    return "none: training runs on the processors (`make gpu` where there is one)" if gpus == "CPU" else gpus


def free_gb(place: Path) -> float:
    """Return the free space, in GB, of the disk that holds the place or will hold it."""
    existing = next(path for path in (place.absolute(), *place.absolute().parents) if path.exists())
    return shutil.disk_usage(existing).free / 1e9


def inbox(places: Places) -> str:
    """Return how many images lie in the inbox, and what is left out of them, or why the inbox cannot be read."""
    folder = places.inbox
    if not folder.is_dir():
        return f"none: {folder}"
    try:
        names, faults = look_through(folder)
    except BadInput as error:
        return str(error)
    images = f"{sum(map(is_image, names)):,} images in {folder}"
    return "; ".join([images, *(f"left out: {line}" for line in shorten([*faults, *left_out(names)]))])


def server() -> str:
    """Return whether the Prefect server answers, at which address and in which version, or why it does not."""
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
    shown_address = redact(split_address(address).plain)
    try:
        with get_client(sync_client=True, httpx_settings={"timeout": 5}) as client:
            version = client.api_version()
        date = httpx.get(f"{address}/health", timeout=5).headers.get("date", "")
        return "; ".join([f"{shown_address} answers, version {version}", *clock(date, datetime.now(UTC))])
    except httpx.HTTPStatusError as error:
        is_refused = error.response.status_code in (401, 403)
        return redact(
            f"{shown_address} {'refuses the name and password' if is_refused else 'answers with an error'}: {error}"
        )
    except httpx.InvalidURL:  # its text holds parts of the password
        return f"{shown_address} is no address of a server: expected http://HOST:PORT/api"
    except (httpx.HTTPError, RuntimeError) as error:
        return redact(f"{shown_address} does not answer: {error}")


def clock(date: str, now: datetime) -> list[str]:
    """Return one sentence if the server's clock differs from this machine's by 10 s or more, else an empty list.

    `date` is the text of the server's header `Date`.
    """
    try:
        seconds = (now - parsedate_to_datetime(date)).total_seconds()
    except (ValueError, TypeError):  # the header is missing, or is no date
        return []
    if abs(seconds) < MAX_DIFFERENCE:
        return []
    side, runs = ("ahead of", "early, all at once") if seconds > 0 else ("behind", "late")
    return [f"this machine's clock is {abs(seconds):,.0f} s {side} its: runs begin here {runs}; set both by NTP"]


def credentials() -> str:
    """Return where the Kaggle credentials come from, or what is wrong with them."""
    try:
        return kaggle.credentials()
    except BadInput as error:
        return str(error)


def main() -> None:
    """Print the findings as a table."""
    arguments = parse(DoctorArguments, sys.argv[1:])
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, text in findings(arguments.fetch, arguments.places):
        table.add_row(cell(name, "bold"), cell(text))
    show(table)


if __name__ == "__main__":
    sys.exit(exit_status(main))
