"""Limited: parts of a benchmark, each in a process and under a time limit of its own, told as their figures come."""

import json
import os
import signal
import time
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing import get_context, parent_process
from multiprocessing.context import SpawnProcess
from pathlib import Path
from threading import Thread
from typing import NamedTuple

from tasks.settings.errors import BadInput

Emit = Callable[[str, dict], None]
"""Takes a figure's name and its numbers. A second call with one name replaces the first."""
Publish = Callable[[dict[str, dict]], None]
"""Takes what is known of each part so far."""
STOPPED = 2  # exit status of a part without which no other makes sense


class Stop(BadInput):
    """What a part raises where there is nothing to measure: no other part runs."""


class Part(NamedTuple):
    """A question that is answered in a process of its own."""

    name: str
    work: Callable[[Emit], None]
    weight: float = 1.0
    """Its share of the time, beside the weights of the parts that are still to come."""
    least: float = 1.0
    """Seconds that it is given at least; with less it is skipped, since it would end before it has told anything."""


def run(parts: Sequence[Part], folder: Path, until: float, publish: Publish) -> dict[str, dict]:
    """Run one part after the other until a moment of the monotonic clock; publish what is known after each, and each second.

    What a part leaves of its time is for the others. What it finds lies in `folder`. Raises BadInput where a part stops the run.
    """
    results: dict[str, dict] = {part.name: {"skipped": "the run ended before"} for part in parts}

    def note(name: str, result: dict) -> None:
        results[name] = result
        publish(results)

    for number, part in enumerate(parts):
        left = max(0.0, until - time.monotonic())
        if left < part.least:
            note(part.name, {"skipped": f"{left:.1f} s are left, and it needs {part.least:g} at least"})
            print(f"\n{part.name}, skipped: {results[part.name]['skipped']}", flush=True)
            continue
        limit = limit_of(left, parts[number:])
        print(f"\n{part.name}, {limit:.0f} s at most", flush=True)
        supervise(part, folder, limit, partial(note, part.name))
    return results


def limit_of(left: float, parts: Sequence[Part]) -> float:
    """Return the seconds of the first of the parts that are still to come: its share of what is left, or what it needs at least."""
    return max(parts[0].least, left * parts[0].weight / sum(part.weight for part in parts))


def supervise(part: Part, folder: Path, limit: float, note: Callable[[dict], None]) -> None:
    """Run a part, note what it finds, and kill it and all that it started at its limit."""
    lines, began = lines_of(part.name, folder), time.monotonic()

    def result(**state: str) -> dict:
        seconds = {"seconds": round(time.monotonic() - began, 2), "limit_seconds": round(limit, 2)}
        return {**state, **seconds, "figures": figures_of(part.name, folder)}

    process = get_context("spawn").Process(target=work, args=(part, lines))
    process.start()
    try:
        while process.is_alive() and (left := began + limit - time.monotonic()) > 0:
            note(result(cut_off=f"after {time.monotonic() - began:.0f} s"))  # stands if this process is killed now
            process.join(min(1.0, left))
    finally:
        late = process.is_alive()
        kill(process)
    ended = {"timed_out": f"after {round(limit, 2):.0f} s"} if late else failure(process.exitcode, lines)
    note(result(**ended))
    for state, reason in ended.items():
        print(f"{state.replace('_', ' ')}: {reason}", flush=True)
    if process.exitcode == STOPPED:
        raise BadInput(ended["error"])


def failure(status: int | None, lines: Path) -> dict[str, str]:
    """Return what is told of a part that ended with this exit status; nothing where all is well."""
    if status == 0:
        return {}
    errors = [figures["error"] for name, figures in read(lines) if not name]
    return {"error": errors[0] if errors else f"its process ended with exit status {status}"}


def kill(process: SpawnProcess) -> None:
    """End a part's process and those that it started."""
    assert process.pid, "it was started; 0 would be the group of this process"
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:  # all have ended, or it has not come to lead a group
        process.kill()
    process.join()


def work(part: Part, lines: Path) -> None:
    """Do a part's work in its process, which ends with the one that started it, and takes along those that it started."""
    os.setsid()

    def follow() -> None:
        if parent := parent_process():
            parent.join()
            os.killpg(0, signal.SIGKILL)

    Thread(target=follow, daemon=True).start()
    table = Table(lines)
    try:
        part.work(table.add)
    except Exception as error:
        table.append("", {"error": first_line(error)})
        if not isinstance(error, BadInput):
            traceback.print_exc()
        raise SystemExit(STOPPED if isinstance(error, Stop) else 1) from None


def first_line(error: Exception) -> str:
    told = str(error) if isinstance(error, BadInput) else f"{type(error).__name__}: {error}"
    return told.splitlines()[0][:300]


class Table:
    """The figures of a part: printed in columns, and kept in a file whose whole lines stay when the process is killed."""

    def __init__(self, lines: Path) -> None:
        self.lines, self.heads = lines, list[str]()

    def add(self, name: str, figures: dict) -> None:
        """Print and keep a row."""
        self.append(name, figures)
        if list(figures) != self.heads:
            self.heads = list(figures)
            print(f"{'':<32}" + "".join(f"  {head.replace('_', ' '):>8}" for head in self.heads))
        cells = (f"  {cell(value):>{max(len(head), 8)}}" for head, value in figures.items())
        print(f"{name:<32}" + "".join(cells), flush=True)

    def append(self, name: str, figures: dict) -> None:
        with open(self.lines, "a", encoding="utf-8") as file:
            file.write(json.dumps([name, figures]) + "\n")


def cell(value: object) -> str:
    """Return a value as it stands in a row; a number with three digits or more."""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return "-" if value is None else str(value)


def lines_of(name: str, folder: Path) -> Path:
    return folder / f"{name}.jsonl"


def read(lines: Path) -> list[tuple[str, dict]]:
    """Return the rows that are whole."""
    text = lines.read_text(encoding="utf-8") if lines.exists() else ""
    return [tuple(json.loads(line)) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def figures_of(name: str, folder: Path) -> dict[str, dict]:
    """Return what a part has found so far: the last row of each name."""
    return {figure: figures for figure, figures in read(lines_of(name, folder)) if figure}
