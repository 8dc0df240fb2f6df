"""Step records: the files under `data/cache` in which Prefect stores what a step returned, read as data and never run.

Such a file names the serializer that reads it, and `pickle` runs code; its JSON names classes, and Prefect imports whatever it names.
So the caller says which record it expects, and the file decides nothing but the values.
"""

import os
import stat
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, Field, Json, ValidationError

from tasks.records import results
from tasks.records.results import Record
from tasks.settings.escaping import for_terminal

MAX_BYTES = 64 << 20  # a record of ten thousand origins takes a few MB
SERIALIZER = {  # as Prefect notes `result_serializer="json"`
    "type": "json",
    "jsonlib": "json",
    "object_encoder": "prefect.serializers.prefect_json_object_encoder",
    "object_decoder": "prefect.serializers.prefect_json_object_decoder",
    "dumps_kwargs": {},
    "loads_kwargs": {},
}
R = TypeVar("R", bound=Record)


class Metadata(BaseModel):
    """Prefect's notes about a result."""

    storage_key: str
    """Path of the file when it was written; the folder may have moved since."""
    expiration: None
    serializer: dict[str, Any]
    prefect_version: str
    storage_block_id: None


class Result(BaseModel, Generic[R]):
    """A record, and the name of its class."""

    kind: str = Field(alias="__class__")
    data: R


class StepRecord(BaseModel, Generic[R]):
    """A file under `data/cache`."""

    metadata: Metadata
    result: Json[Result[R]]


def name_of(kind: type[Record]) -> str:
    """Return the name under which Prefect stores a class."""
    return f"{kind.__module__}.{kind.__qualname__}"


RECORDS = {
    name_of(kind): kind for kind in vars(results).values() if isinstance(kind, type) and issubclass(kind, Record)
}


def read(path: Path, kind: type[R]) -> R:
    """Return the record in the file.

    Raises FileNotFoundError when there is no file, and another OSError when it cannot be read. Raises ValueError, which says why, when it
    is not the file of this name that a step with this kind of record wrote.
    """
    try:
        stored = StepRecord[kind].model_validate_json(content_of(path), strict=True, extra="forbid")  # type: ignore[valid-type]
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ValueError(
            excerpt(": ".join([*filter(None, [".".join(map(str, first["loc"]))]), first["msg"]]))
        ) from error
    if stored.metadata.serializer != SERIALIZER:
        raise ValueError(f"its serializer is {excerpt(str(stored.metadata.serializer))}, not recast's")
    if (name := Path(stored.metadata.storage_key).name) != path.name:
        raise ValueError(f"it was written as {excerpt(name)}")
    if stored.result.kind != name_of(kind):
        raise ValueError(f"it holds {excerpt(stored.result.kind)}, not {name_of(kind)}")
    return stored.result.data


def excerpt(text: str) -> str:
    """Return the beginning of a text from the file, safe to show in a message."""
    return for_terminal(text[:200])


def content_of(path: Path) -> bytes:
    """Return the content of a regular file. Follows no link, waits for no pipe, and reads no more than a record may take."""
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as opened:
        status = os.fstat(opened.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is not a regular file")
        if status.st_size > MAX_BYTES:
            raise ValueError(f"it has {status.st_size:,} bytes, and {MAX_BYTES:,} is the most")
        return opened.read(MAX_BYTES)


def decode(item: dict[str, Any]) -> Any:
    """Decode an object of the JSON that was made of a record that `read` returned. Prefect calls it by name."""
    kind = item.get("__class__")
    return RECORDS[kind].model_validate(item["data"]) if isinstance(kind, str) and kind in RECORDS else item
