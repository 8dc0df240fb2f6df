"""Caching: a step is remembered by what decides its result, and believed only while its files are whole.

The key holds the step's name, its inputs (records and its own settings), the code of its file and of the nouns
it leans on, and the versions of the libraries these use. The two places are in no key, so folders can move.
"""

import hashlib
import inspect
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from prefect import State, Task
from prefect.cache_policies import CachePolicy
from pydantic import BaseModel

from tasks.runs.code import code_and_libraries
from tasks.runs.config import Places
from tasks.runs.messages import say
from tasks.runs.records import Record, Release

R = TypeVar("R", bound=Record)


@dataclass(kw_only=True)
class SameStep(CachePolicy):
    """Equal step, inputs, code and libraries give an equal key."""

    def compute_key(self, task_ctx: Any, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any) -> str:
        task = task_ctx.task
        parts = [task.name, *code_and_libraries(Path(inspect.getfile(task.fn)))]
        parts += [f"{name}={as_text(value)}" for name, value in sorted(inputs.items()) if not isinstance(value, Places)]
        return f"{task.name}-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()}"


same_step = SameStep()


def as_text(value: Any) -> str:
    """An input as text that is equal for equal values; what only people read is left out. Steps take settings and records."""
    if isinstance(value, BaseModel):
        told = value.told if isinstance(value, Record) else ()
        fields = [name for name, field in type(value).model_fields.items() if not field.exclude and name not in told]
        return f"{{{','.join(f'{name}={as_text(getattr(value, name))}' for name in fields)}}}"
    if isinstance(value, tuple | list):
        return f"[{','.join(map(as_text, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{json.dumps(key)}:{as_text(item)}' for key, item in sorted(value.items()))}}}"
    return json.dumps(str(value) if isinstance(value, Path) else value)


@dataclass
class Steps:
    """Runs a flow's steps, remembers them under `data/cache`, and keeps of each `{"cached", "seconds", "key"}`."""

    places: Places
    times: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __call__(self, step: Task[..., R], *inputs: Any) -> R:
        """The record of `step`, made now, or remembered while all its files are whole."""
        began = time.perf_counter()
        located = step.with_options(result_storage=self.places.data.absolute() / "cache", result_serializer="json")
        result, cached, key = self.run(located, *inputs)
        if cached and (what := result.damage(self.places)):
            say(f"{step.name}: remembered, but {what}: made again")
            result, cached, key = self.run(located.with_options(refresh_cache=True), *inputs)
        elif cached:
            say(f"{step.name}: unchanged, remembered")
        self.times[step.name] = {"cached": cached, "seconds": round(time.perf_counter() - began, 3), "key": key}
        return result

    def run(self, step: Task[..., R], *inputs: Any) -> tuple[R, bool, str | None]:
        """The record, whether it was remembered, and the name under which it is."""
        state: State[R] = step(*inputs, places=self.places, return_state=True)  # type: ignore[assignment]  # Prefect's overloads do not see it
        record = state.result()
        cached = state.name == "Cached" or (isinstance(record, Release) and record.cached)
        stored = state.data.metadata.storage_key if step.persist_result else ""  # type: ignore[union-attr]  # there is a record
        return record, cached, Path(stored).name or None
