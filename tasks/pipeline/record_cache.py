"""Record cache: store records by key, outside Prefect, and use them again only while all their files are whole."""

from collections.abc import Callable
from typing import TypeVar

from pydantic import ValidationError

from tasks.records.results import Record
from tasks.settings.messages import say
from tasks.settings.settings import Places
from tasks.storage import result_cache

R = TypeVar("R", bound=Record)


def stored_record(kind: str, version: str, key: str, record_type: type[R], places: Places) -> R | None:
    """Return the record that is stored under the key, while its files are whole; else None."""
    value = result_cache.read(kind, version, [key], places).get(key)
    try:
        record = record_type.model_validate_json(value) if value else None
    except ValidationError:  # of another version of the record
        return None
    if record and (fault := record.damage(places)):
        say(f"{kind}: remembered, but {fault}: made again")
        return None
    return record


def cached_record(kind: str, version: str, key: str, record_type: type[R], make: Callable[[], R], places: Places) -> R:
    """Return the stored record, else make and store it. `version` names everything that decides the record besides its key."""
    if record := stored_record(kind, version, key, record_type, places):
        return record
    record = make()
    result_cache.write(kind, version, {key: record.model_dump_json().encode()}, places)
    return record
