"""Threads: one function over many items at once. Reading, hashing and decoding work outside Python's lock."""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def map_chunks_in_threads(function: Callable[[Sequence[T]], list[R]], items: Sequence[T]) -> list[R]:
    """Return the results of `function` for the items, in order.

    The function gets pieces of up to 16 items, because handing over one piece costs some 30 us.
    """
    size = max(1, min(16, len(items) // 16))
    pieces = [items[start : start + size] for start in range(0, len(items), size)]
    if len(pieces) == 1:
        return function(pieces[0])
    return [result for piece in map_in_threads(function, pieces) for result in piece]


def map_in_threads(function: Callable[[T], R], pieces: Iterable[T]) -> list[R]:
    """Call `function` with each piece, in a thread for each processor, and return the results in order."""
    with ThreadPoolExecutor(max_workers=count_processors()) as pool:  # more of them only wait for Python's lock
        return list(pool.map(function, pieces))


def count_processors() -> int:
    """Return how many processors this process may use, where the system tells; else all of the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
