"""Kaggle: ask for the newest version of a data set, and download its archive, complete and checked or not at all."""

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
from tasks.storage.files import publish
from tasks.storage.locks import exclusive_lock

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
        """Parse `OWNER/SLUG[/VERSION]`, the text after `kaggle:`. Raises BadInput for another form."""
        if not (match := SPEC.fullmatch(spec)):
            raise BadInput(
                f"kaggle:{spec} names no data set: write kaggle:OWNER/SLUG or kaggle:OWNER/SLUG/VERSION, versions count from 1"
            )
        return cls(match[1], match[2], int(match[3]) if match[3] else None)

    def __str__(self) -> str:
        return f"{self.owner}/{self.slug}" + (f"/{self.version}" if self.version else "")

    @property
    def address(self) -> str:
        """Return the address of the data set's page, without the protocol."""
        return f"kaggle.com/datasets/{self.owner}/{self.slug}"


def latest_version(dataset: DatasetVersion) -> int:
    """Return the number of the newest version, by one small request.

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
    """Download the zip of a numbered version to `archive`, or raise and leave `archive` as it was.

    A part that arrived stays hidden beside `archive`, and the next call for the same folder continues from there. When two
    calls run at once, one downloads and the other waits for it. Raises BadInput as `latest_version` does, and Unavailable
    after ATTEMPTS tries. `pause` waits between them; its argument is in seconds.
    """
    assert dataset.version, "ask `latest_version` for the number first"
    archive.parent.mkdir(parents=True, exist_ok=True)
    name = f".{dataset.owner}-{dataset.slug}-v{dataset.version}"
    scratch, before = archive.with_name(f"{name}.part"), file_identity(archive)
    with exclusive_lock(archive.with_name(f"{name}.lock")):
        if file_identity(archive) != before:
            return  # another call, for which this one waited, has downloaded it
        try:
            publish(retry(lambda: transfer(dataset, scratch), pause), archive)
        finally:
            if not any(scratch.glob("*.zip")):  # nothing to continue from
                shutil.rmtree(scratch, ignore_errors=True)


def file_identity(path: Path) -> tuple[int, int] | None:
    """Return inode and time of the file at `path`, which differ for each file that is put there; None where there is no file."""
    if not path.exists():
        return None
    return path.stat().st_ino, path.stat().st_mtime_ns


def retry(attempt: Callable[[], Path], pause: Callable[[float], object]) -> Path:
    """Call `attempt` up to ATTEMPTS times and return its result. Between tries wait as long as Kaggle asks, else ever longer."""
    for number in range(1, ATTEMPTS):
        try:
            return attempt()
        except Unavailable as trouble:
            seconds = min(trouble.retry_after or 2.0**number, LONGEST_PAUSE)
            say(f"{trouble}; next try in {seconds:.0f} s")
            pause(seconds)
    return attempt()


def transfer(dataset: DatasetVersion, folder: Path) -> Path:
    """Download and check the zip in `folder`, in one try. A broken connection leaves its part for the next try, damage leaves nothing."""
    archive = folder / f"{dataset.slug}.zip"
    try:
        with connect(dataset.address) as api:
            api.dataset_download_files(str(dataset), path=str(folder), quiet=True)
        check(archive, api.answer.headers)
    except Damaged:
        archive.unlink(missing_ok=True)
        archive.with_name(f"{archive.name}.kaggle-partial").unlink(missing_ok=True)  # the client's note on the part
        raise
    return archive


def check(archive: Path, headers: Mapping[str, str]) -> None:
    """Raise Damaged unless `archive` is a zip of the size and md5 that the headers announce. Without md5, read every member."""
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
    if not md5 and (fault := damage_of(archive)):
        raise Damaged(f"the zip archive from Kaggle is damaged: {fault}")


def md5_of(path: Path) -> str:
    """Return the md5 of a file in base64, as Google's storage announces it."""
    with open(path, "rb") as file:
        return base64.b64encode(hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).digest()).decode()


def damage_of(archive: Path) -> str | None:
    """Return the first member that differs from its checksum, or why the zip cannot be read, or None."""
    try:
        with zipfile.ZipFile(archive) as file:
            return file.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        return str(error)
