"""Supervisor: run the parts of a benchmark, each in a process and under a time limit of its own, and publish figures as they come."""

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
    """An error of a part that finds nothing to measure: no other part runs."""


class Part(NamedTuple):
    """A question that is answered in a process of its own."""

    name: str
    work: Callable[[Emit], None]
    weight: float = 1.0
    """Its share of the time, beside the weights of the parts that are still to come."""
    least: float = 1.0
    """Seconds that it is given at least; with less it is skipped, since it would end before it has measured anything."""


def run_parts(parts: Sequence[Part], folder: Path, until: float, publish: Publish) -> dict[str, dict]:
    """Run one part after the other until a moment of the monotonic clock. Publish all results after each part, and each second.

    Time that a part does not use goes to the others. Figures lie in `folder`. Raises BadInput where a part stops the run.
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
        limit = time_limit(left, parts[number:])
        print(f"\n{part.name}, {limit:.0f} s at most", flush=True)
        supervise(part, folder, limit, partial(note, part.name))
    return results


def time_limit(left: float, parts: Sequence[Part]) -> float:
    """Return the seconds for the first of the parts that are still to come: its share of the time left, or what it needs at least."""
    return max(parts[0].least, left * parts[0].weight / sum(part.weight for part in parts))


def supervise(part: Part, folder: Path, limit: float, note: Callable[[dict], None]) -> None:
    """Run a part, note its figures, and kill it and all that it started at its limit."""
    rows, began = rows_file(part.name, folder), time.monotonic()

    def result(**state: str) -> dict:
        seconds = {"seconds": round(time.monotonic() - began, 2), "limit_seconds": round(limit, 2)}
        return {**state, **seconds, "figures": read_figures(part.name, folder)}

    process = get_context("spawn").Process(target=run_part, args=(part, rows))
    process.start()
    try:
        while process.is_alive() and (left := began + limit - time.monotonic()) > 0:
            note(result(cut_off=f"after {time.monotonic() - began:.0f} s"))  # stands if this process is killed now
            process.join(min(1.0, left))
    finally:
        late = process.is_alive()
        kill_group(process)
    faults = {"timed_out": f"after {round(limit, 2):.0f} s"} if late else describe_failure(process.exitcode, rows)
    note(result(**faults))
    for state, reason in faults.items():
        print(f"{state.replace('_', ' ')}: {reason}", flush=True)
    if process.exitcode == STOPPED:
        raise BadInput(faults["error"])


def describe_failure(status: int | None, rows: Path) -> dict[str, str]:
    """Return why a part ended with this exit status, as `error`; an empty dictionary where it ended well."""
    if status == 0:
        return {}
    errors = [figures["error"] for name, figures in read_rows(rows) if not name]
    return {"error": errors[0] if errors else f"its process ended with exit status {status}"}


def kill_group(process: SpawnProcess) -> None:
    """Kill a part's process and those that it started."""
    assert process.pid, "it was started; 0 would be the group of this process"
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:  # all have ended, or it has not come to lead a group
        process.kill()
    process.join()


def run_part(part: Part, rows: Path) -> None:
    """Do a part's work in its process. It ends with the process that started it, and takes along those that it started itself."""
    os.setsid()

    def follow() -> None:
        if parent := parent_process():
            parent.join()
            os.killpg(0, signal.SIGKILL)

    Thread(target=follow, daemon=True).start()
    table = FigureTable(rows)
    try:
        part.work(table.add)
    except Exception as error:
        table.append("", {"error": first_line(error)})
        if not isinstance(error, BadInput):
            traceback.print_exc()
        raise SystemExit(STOPPED if isinstance(error, Stop) else 1) from None


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, with its class where it is no `BadInput`: 300 characters at most."""
    message = str(error) if isinstance(error, BadInput) else f"{type(error).__name__}: {error}"
    return message.splitlines()[0][:300]


class FigureTable:
    """The figures of a part: printed in columns, and kept in a file whose whole lines stay when the process is killed."""

    def __init__(self, rows: Path) -> None:
        self.rows, self.columns = rows, list[str]()

    def add(self, name: str, figures: dict) -> None:
        """Print a row, and append it to the file."""
        self.append(name, figures)
        if list(figures) != self.columns:
            self.columns = list(figures)
            print(f"{'':<32}" + "".join(f"  {column.replace('_', ' '):>8}" for column in self.columns))
        cells = (f"  {format_cell(value):>{max(len(column), 8)}}" for column, value in figures.items())
        print(f"{name:<32}" + "".join(cells), flush=True)

    def append(self, name: str, figures: dict) -> None:
        """Append a row to the file."""
        with open(self.rows, "a", encoding="utf-8") as file:
            file.write(json.dumps([name, figures]) + "\n")


def format_cell(value: object) -> str:
    """Return a value as it stands in a row: a number with three digits or more, None as a dash."""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return "-" if value is None else str(value)


def rows_file(name: str, folder: Path) -> Path:
    """Return the file of a part's rows."""
    return folder / f"{name}.jsonl"


def read_rows(rows: Path) -> list[tuple[str, dict]]:
    """Return the whole rows of the file: name and figures."""
    text = rows.read_text(encoding="utf-8") if rows.exists() else ""
    return [tuple(json.loads(line)) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def read_figures(name: str, folder: Path) -> dict[str, dict]:
    """Return the figures of a part so far: the last row of each name."""
    return {figure: figures for figure, figures in read_rows(rows_file(name, folder)) if figure}
