"""Caching: a step is remembered by what decides its result, and believed only while its files are whole.

The key holds the step's name, its inputs (records and its own settings), the code of its file and of the nouns
it leans on, and the versions of the libraries these use. The two places are in no key, so folders can move.
"""

import ast
import hashlib
import inspect
import json
import time
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from prefect import State, Task
from prefect.cache_policies import CachePolicy
from pydantic import BaseModel

from tasks.runs.config import Places
from tasks.runs.records import Record, Release

LIBRARIES = {  # import name: distribution, of those that decide a result
    "tensorflow": "tensorflow", "keras": "keras", "numpy": "numpy", "scipy": "scipy",
    "PIL": "pillow", "simplejpeg": "simplejpeg", "matplotlib": "matplotlib",
}  # fmt: skip
ROOT = Path(__file__).parents[2]  # holds the package `tasks`
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
    """An input as text that is equal for equal values. Settings and records are all that steps take."""
    if isinstance(value, BaseModel):
        return value.model_dump_json()
    if isinstance(value, tuple | list):
        return "[" + ",".join(map(as_text, value)) + "]"
    return json.dumps(value)


@cache
def code_and_libraries(module: Path) -> tuple[str, ...]:
    """The code of the file `module` and of the nouns below it, with the versions of the libraries that they import.

    Read without importing, since importing a network would load TensorFlow. Comments and docstrings are left
    out, and `tasks.runs` is too: it carries and shows results, and decides none.
    """
    code, libraries, waiting = {}, set(), [module]
    while waiting:
        path = waiting.pop()
        if path in code or not path.is_file():
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        code[path] = ast.dump(without_docstrings(tree))
        for imported in imports_of(tree):
            if imported.startswith("tasks.") and not imported.startswith("tasks.runs"):
                waiting.append(ROOT / f"{imported.replace('.', '/')}.py")
            elif (top := imported.partition(".")[0]) in LIBRARIES:
                libraries.add(top)
    return (
        *(f"{path.stem}:{text}" for path, text in sorted(code.items())),
        *(f"{name}=={version(LIBRARIES[name])}" for name in sorted(libraries)),
    )


def imports_of(tree: ast.AST) -> set[str]:
    """Every module that the code may import, inside functions too; `from a import b` counts as a and a.b."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [line for line in node.body if not is_text(line)]
    return tree


def is_text(line: ast.stmt) -> bool:
    """Whether it is a string and nothing else: the docstring of what it is in, or of the field above it."""
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) and isinstance(line.value.value, str)


@dataclass
class Steps:
    """Runs a flow's steps, remembers them under `data/cache`, and keeps their times: `{"fetch": {"cached", "seconds"}}`."""

    places: Places
    times: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __call__(self, step: Task[..., R], *inputs: Any) -> R:
        """The record of `step`, made now, or remembered while all its files are whole."""
        began = time.perf_counter()
        located = step.with_options(result_storage=self.places.data.absolute() / "cache", result_serializer="json")
        result, cached = self.run(located, *inputs)
        if cached and (what := result.damage(self.places)):
            print(f"{step.name}: remembered, but {what}: made again")
            result, cached = self.run(located.with_options(refresh_cache=True), *inputs)
        elif cached:
            print(f"{step.name}: unchanged, remembered")
        self.times[step.name] = {"cached": cached, "seconds": round(time.perf_counter() - began, 3)}
        return result

    def run(self, step: Task[..., R], *inputs: Any) -> tuple[R, bool]:
        state: State[R] = step(*inputs, places=self.places, return_state=True)  # type: ignore[assignment]  # Prefect's overloads do not see it
        record = state.result()
        return record, state.name == "Cached" or (isinstance(record, Release) and record.cached)
