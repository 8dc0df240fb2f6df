"""Stopwatch: measure the time that a piece of work takes."""

import resource
import time
from typing import NamedTuple


class Elapsed(NamedTuple):
    """Seconds on the clock, and on the processors by this process and its children."""

    wall: float
    cpu: float

    @classmethod
    def now(cls) -> "Elapsed":
        """Read both clocks; the difference of two readings is the time between them."""
        usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return cls(time.perf_counter(), sum(usage.ru_utime + usage.ru_stime for usage in usages))

    def __sub__(self, earlier: "Elapsed") -> "Elapsed":
        return Elapsed(self.wall - earlier.wall, self.cpu - earlier.cpu)
