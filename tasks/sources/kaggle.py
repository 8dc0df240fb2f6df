"""Kaggle: the newest version of a data set, and its archive, whole and checked or not at all."""

import base64
import hashlib
import re
import shutil
import time
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, Self

from tasks.settings.errors import BadInput
from tasks.settings.messages import say
from tasks.sources.kaggle_client import Damaged, Unavailable, connect
from tasks.sources.kaggle_credentials import credentials
from tasks.storage.files import exclusive_lock, publish

__all__ = ["DatasetVersion", "Unavailable", "credentials", "download", "latest_version"]

ATTEMPTS = 6
LONGEST_PAUSE = 60.0  # seconds, whatever Retry-After asks
SPEC = re.compile(r"([\w-]+)/([\w-]+)(?:/([1-9]\d*))?", re.ASCII)


class DatasetVersion(NamedTuple):
    """A data set as its address names it, and one of its versions; None is the newest."""

    owner: str
    slug: str
    version: int | None = None

    @classmethod
    def parse(cls, spec: str) -> Self:
        """What `OWNER/SLUG[/VERSION]` names, the text after `kaggle:`. Raises BadInput on another form."""
        if not (found := SPEC.fullmatch(spec)):
            raise BadInput(
                f"kaggle:{spec} names no data set: write kaggle:OWNER/SLUG or kaggle:OWNER/SLUG/VERSION, versions count from 1"
            )
        return cls(found[1], found[2], int(found[3]) if found[3] else None)

    def __str__(self) -> str:
        return f"{self.owner}/{self.slug}" + (f"/{self.version}" if self.version else "")

    @property
    def address(self) -> str:
        return f"kaggle.com/datasets/{self.owner}/{self.slug}"


def latest_version(dataset: DatasetVersion) -> int:
    """The number of the newest version, by one small request.

    Raises BadInput if Kaggle refuses access or knows no such data set, Unavailable if it cannot be asked now.
    """
    from kagglesdk.datasets.types.dataset_api_service import ApiGetDatasetRequest

    request = ApiGetDatasetRequest()
    request.owner_slug, request.dataset_slug = dataset.owner, dataset.slug
    with connect(dataset.address) as api, api.build_kaggle_client() as client:
        number = client.datasets.dataset_api_client.get_dataset(request).current_version_number
    if not number:
        raise BadInput(
            f"Kaggle names no version of {dataset.address}: name one, as in kaggle:{dataset.owner}/{dataset.slug}/1"
        )
    return number


def download(dataset: DatasetVersion, archive: Path, pause: Callable[[float], object] = time.sleep) -> None:
    """Puts the zip of a numbered version at `archive`, or raises and leaves `archive` as it was.

    A part that arrived stays hidden beside `archive`, and the next call for the same folder goes on from there. Of two
    calls at once, one downloads and the other waits for it. Raises BadInput as `latest_version` does, and Unavailable
    after ATTEMPTS tries, between which `pause` gets the seconds to wait.
    """
    assert dataset.version, "ask `latest_version` for the number first"
    archive.parent.mkdir(parents=True, exist_ok=True)
    name = f".{dataset.owner}-{dataset.slug}-v{dataset.version}"
    scratch, before = archive.with_name(f"{name}.part"), identity(archive)
    with exclusive_lock(archive.with_name(f"{name}.lock")):
        if identity(archive) != before:
            return  # the call that this one waited for has put it there
        try:
            publish(persistently(lambda: transfer(dataset, scratch), pause), archive)
        finally:
            if not any(scratch.glob("*.zip")):  # nothing to go on from
                shutil.rmtree(scratch, ignore_errors=True)


def identity(path: Path) -> tuple[int, int] | None:
    """Another one for each file that was ever put at `path`; None where there is none."""
    if not path.exists():
        return None
    return path.stat().st_ino, path.stat().st_mtime_ns


def persistently(attempt: Callable[[], Path], pause: Callable[[float], object]) -> Path:
    """What `attempt` returns, within ATTEMPTS tries; waits between them as long as Kaggle asks, else ever longer."""
    for number in range(1, ATTEMPTS):
        try:
            return attempt()
        except Unavailable as trouble:
            seconds = min(trouble.retry_after or 2.0**number, LONGEST_PAUSE)
            say(f"{trouble}; next try in {seconds:.0f} s")
            pause(seconds)
    return attempt()


def transfer(dataset: DatasetVersion, folder: Path) -> Path:
    """The checked zip in `folder`, by one try. A broken connection leaves its part for the next one, damage leaves nothing."""
    archive = folder / f"{dataset.slug}.zip"
    try:
        with connect(dataset.address) as api:
            api.dataset_download_files(str(dataset), path=str(folder), quiet=True)
        check(archive, api.answer.headers)
    except Damaged:
        archive.unlink(missing_ok=True)
        archive.with_name(f"{archive.name}.kaggle-partial").unlink(
            missing_ok=True
        )  # the client's note on what the part is of
        raise
    return archive


def check(archive: Path, headers: Mapping[str, str]) -> None:
    """Raises Damaged unless `archive` is a zip of the size and md5 that the headers announce; without md5 every member is read."""
    size, announced = archive.stat().st_size, int(headers.get("Content-Length", -1))
    md5 = re.search(r"md5=([^,\s]+)", headers.get("x-goog-hash", ""))
    if announced not in (-1, size):
        raise Damaged(f"Kaggle announced {announced:,} bytes and sent {size:,}")
    if md5 and md5[1] != md5_of(archive):
        raise Damaged(f"the {size:,} bytes from Kaggle have another md5 than it announced")
    if not zipfile.is_zipfile(archive):
        raise Damaged(
            f"the {size:,} bytes from Kaggle are no zip archive: the login page of a network or a proxy may have answered"
        )
    if not md5 and (fault := unreadable(archive)):
        raise Damaged(f"the zip archive from Kaggle is damaged: {fault}")


def md5_of(path: Path) -> str:
    """In base64, as Google's storage announces it."""
    with open(path, "rb") as opened:
        return base64.b64encode(
            hashlib.file_digest(opened, lambda: hashlib.md5(usedforsecurity=False)).digest()
        ).decode()


def unreadable(archive: Path) -> str | None:
    """The first member that differs from its checksum, or what else cannot be read, or None."""
    try:
        with zipfile.ZipFile(archive) as opened:
            return opened.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        return str(error)
