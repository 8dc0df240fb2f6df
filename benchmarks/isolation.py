"""Isolation: run work in a process of its own, so that its time and its peak memory are its own."""

import resource
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

from tasks.training.stopwatch import Elapsed

R = TypeVar("R")


def run_isolated(work: Callable[..., R], *inputs: object) -> R:
    """Return what `work` returns in a new process. It may start others, which a worker of `multiprocessing.Pool` may not."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *inputs).result()


def peak_bytes() -> int:
    """Return the most memory that this process has held at once, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # `ru_maxrss` is never less than what the parent held when it started this process
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def wall_seconds(work: Callable[[], object]) -> float:
    """Return the seconds that `work` takes on the clock."""
    began = Elapsed.now()
    work()
    return (Elapsed.now() - began).wall
