"""Apart: work in a process of its own, so that its time and its peak memory are its own."""

import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple, TypeVar

R = TypeVar("R")


def apart(work: Callable[..., R], *inputs: object) -> R:
    """What `work` returns in a new process. It may start others, which a worker of `multiprocessing.Pool` may not."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *inputs).result()


def peak_bytes() -> int:
    """The most memory that this process has held at once."""
    status = Path("/proc/self/status")
    if status.exists():  # `ru_maxrss` is never less than what the parent held when it started this process
        held = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(held.split()[1]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


class Clock(NamedTuple):
    """Seconds on the clock, and on the processors by this process and its children."""

    wall: float
    cpu: float


def clock() -> Clock:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return Clock(time.perf_counter(), sum(usage.ru_utime + usage.ru_stime for usage in usages))


def since(began: Clock) -> Clock:
    now = clock()
    return Clock(now.wall - began.wall, now.cpu - began.cpu)


def seconds(work: Callable[[], object]) -> float:
    """How long `work` takes on the clock."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
