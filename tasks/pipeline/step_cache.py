"""Step cache: the result of a step is stored by everything that decides it, and used again only while its record and its files are whole.

The key holds the step's name, its inputs (records and its own settings), the code of its file and of the nouns that it imports, and the
versions of the libraries that these use. The two places are in no key, so folders can move.
"""

import hashlib
import inspect
import json
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from prefect import State, Task
from prefect.cache_policies import CachePolicy
from prefect.filesystems import LocalFileSystem
from prefect.results import ResultRecord, ResultRecordMetadata
from prefect.serializers import JSONSerializer
from pydantic import BaseModel, PrivateAttr

from tasks.pipeline import step_record
from tasks.pipeline.server_access import authenticate_or_exit
from tasks.records.results import Record, Release
from tasks.settings.messages import say, without_secrets
from tasks.settings.settings import Places
from tasks.storage.code_version import code_and_libraries
from tasks.storage.files import erase, write_whole

authenticate_or_exit()  # before the first step is called, in a flow or alone
R = TypeVar("R", bound=Record)


@dataclass(kw_only=True)
class SameStep(CachePolicy):
    """Equal step, inputs, code and libraries give an equal key."""

    def compute_key(self, task_ctx: Any, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any) -> str:
        """Return the key: the step's name, and a sha256 over the code, the libraries and the inputs."""
        task = task_ctx.task
        parts = [task.name, *code_and_libraries(Path(inspect.getfile(inspect.unwrap(task.fn))))]
        parts += [f"{name}={as_text(value)}" for name, value in sorted(inputs.items()) if not isinstance(value, Places)]
        return f"{task.name}-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()}"


same_step = SameStep()


def as_text(value: Any) -> str:
    """Return an input as text that is equal for equal values, without fields that only people read.

    Steps take settings and records.
    """
    if isinstance(value, BaseModel):
        report_only = value.report_only if isinstance(value, Record) else ()
        fields = [
            name for name, field in type(value).model_fields.items() if not field.exclude and name not in report_only
        ]
        return f"{{{','.join(f'{name}={as_text(getattr(value, name))}' for name in fields)}}}"
    if isinstance(value, tuple | list):
        return f"[{','.join(map(as_text, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{json.dumps(key)}:{as_text(item)}' for key, item in sorted(value.items()))}}}"
    return json.dumps(str(value) if isinstance(value, Path) else value)


class RecordFolder(LocalFileSystem):
    """The folder `data/cache` as Prefect uses it. Prefect never gets the bytes of a file, but the record in it, written anew.

    Prefect asks here whether there is a result, and for the result; to Prefect an error is a miss. It offers no other place at which a file
    can be checked before its serializer is chosen.
    """

    _block_type_slug = "recast-record-folder"
    _kind: type[Record] = PrivateAttr()

    @classmethod
    def for_step(cls, step: Task[..., Any], places: Places) -> "RecordFolder":
        """Return the folder for the records of one step."""
        folder = cls(basepath=str(places.cache))
        folder._kind = step.fn.__annotations__["return"]
        return folder

    def _resolve_path(self, path: str) -> Path:
        """Return the path of a key, or the folder for an empty one. Follows no link, which could lead out of the folder."""
        return Path(str(self.basepath)) / Path(path).name

    def read_path(self, path: str, _sync: bool = True) -> bytes:  # type: ignore[override]  # Prefect's is both kinds at once
        """Return the record of a key as Prefect would have written it. Anything else there is deleted, and one line says so."""
        file = self._resolve_path(path)
        try:
            record = step_record.read(file, self._kind)
        except FileNotFoundError:
            raise
        except (OSError, ValueError) as error:
            say(
                f"{file.name.partition('-')[0]}: remembered, but {file} is no record of this step ({error}): made again"
            )
            with suppress(OSError):
                erase(file)
            raise
        serializer = JSONSerializer(object_decoder=f"{step_record.__name__}.{step_record.decode.__name__}")
        metadata = ResultRecordMetadata(storage_key=str(file), serializer=serializer)
        return ResultRecord(result=record, metadata=metadata).serialize()

    async def aread_path(self, path: str) -> bytes:
        """Return the record of a key, as `read_path` does."""
        return self.read_path(path)

    def write_path(self, path: str, content: bytes, _sync: bool = True) -> str:  # type: ignore[override]
        """Write the record of a key, whole or not at all."""
        write_whole(self._resolve_path(path), content)
        return path

    async def awrite_path(self, path: str, content: bytes) -> str:
        """Write the record of a key, as `write_path` does."""
        return self.write_path(path, content)


@dataclass
class Steps:
    """A runner of a flow's steps. It stores them under `data/cache`, and notes `{"cached", "seconds", "key"}` for each."""

    places: Places
    times: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __call__(self, step: Task[..., R], *inputs: Any) -> R:
        """Return the record of `step`: the stored one while all its files are whole, otherwise a new one."""
        began = time.perf_counter()
        result, cached, key = self.run(self.bind_to_places(step), *inputs)
        if cached and (what := result.damage(self.places)):
            say(f"{step.name}: remembered, but {what}: made again")
            result, cached, key = self.run(self.bind_to_places(step, refresh_cache=True), *inputs)
        elif cached:
            say(f"{step.name}: unchanged, remembered")
        self.times[step.name] = {"cached": cached, "seconds": round(time.perf_counter() - began, 3), "key": key}
        return result

    def bind_to_places(self, step: Task[..., R], **options: Any) -> Task[..., R]:
        """Return the step with its records in these places, and without secrets in the errors that Prefect stores."""
        bound = step.with_options(result_serializer="json", **options)
        bound.fn = without_secrets()(step.fn)
        bound.result_storage = RecordFolder.for_step(step, self.places)  # an option takes only what the server knows
        return bound

    def run(self, step: Task[..., R], *inputs: Any) -> tuple[R, bool, str | None]:
        """Return the record, whether it came from the cache, and the name under which it is stored."""
        state: State[R] = step(*inputs, places=self.places, return_state=True)  # type: ignore[assignment]  # Prefect's overloads do not see it
        record = state.result()
        cached = state.name == "Cached" or (isinstance(record, Release) and record.cached)
        stored = state.data.metadata.storage_key if step.persist_result else ""  # type: ignore[union-attr]  # there is a record
        return record, cached, Path(stored).name or None
