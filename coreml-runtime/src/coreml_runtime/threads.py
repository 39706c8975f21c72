"""How many threads to compute with: as many as there are cores that other programs leave free.

After each operation PyTorch's threads wait for one another. Where another program keeps one of two cores busy, one
thread always waits for its turn on that core, and the other for it: both together are many times slower than one thread
alone. How busy the others are is therefore looked at again and again, and the number of threads follows.
"""

import contextlib
import os
import threading
import time
from collections.abc import Iterator

import psutil
import torch

INTERVAL = 0.5
"""Seconds from one look at the processor to the next, at least: it counts its time in hundredths of a second."""

NEARLY_FREE = 0.4
"""What may be missing from a core that still counts as free, in cores. One busy program beside as many threads as cores
gets half of a core or more; the small things that are always going on take less than this."""

WORK = ("user", "nice", "system", "irq", "softirq", "interrupt", "dpc")
"""psutil's names, on any system, for the time in which a processor works. Waiting and stolen time are none of it."""


class Others:
    """How many cores the other programs on this computer keep busy."""

    def __init__(self) -> None:
        self._busy, self._before = 0.0, self._look()

    def busy(self) -> float:
        """Cores, from 0.0 on, as a mean of the time since the last look; read anew after INTERVAL seconds, and never
        waited for."""
        if time.monotonic() - self._before[0] >= INTERVAL:
            before, self._before = self._before, self._look()
            seconds, work, own = (now - then for now, then in zip(self._before, before))
            self._busy = max(0.0, (work - own) / seconds)
        return self._busy

    @staticmethod
    def _look() -> tuple[float, float, float]:
        """The time, how long all cores have worked, and how long for this process: seconds."""
        times = psutil.cpu_times()
        return time.monotonic(), sum(getattr(times, name, 0.0) for name in WORK), time.process_time()


class _Given(threading.local):
    """What this thread was given, and what it had before: PyTorch keeps a number for each."""

    threads: int | None = None
    limit: int = 1


_others, _given = Others(), _Given()


def number_of_threads(busy: float, cores: int, limit: int) -> int:
    """How many threads to compute with, 1 to `limit`, where others keep `busy` of so many cores busy."""
    return min(limit, max(1, int(cores - busy + NEARLY_FREE)))


def adapt() -> int:
    """Give PyTorch as many threads as there are free cores, and return the number.

    There are never more than it had before: by itself, or by torch.set_num_threads. `restore` gives these back. Takes
    microseconds, and may be called as often as one likes.
    """
    current = torch.get_num_threads()
    if current != _given.threads:  # nobody was here before, or somebody has asked for another number since
        _given.limit = current
    _given.threads = number_of_threads(_others.busy(), os.cpu_count() or 1, _given.limit)
    if _given.threads != current:
        torch.set_num_threads(_given.threads)
    return _given.threads


def restore() -> None:
    """Give PyTorch back the threads that `adapt` took, unless somebody has asked for another number since."""
    if torch.get_num_threads() == _given.threads != _given.limit:
        torch.set_num_threads(_given.limit)
    _given.threads = None


@contextlib.contextmanager
def adapted() -> Iterator[int]:
    """Compute with as many threads as there are free cores inside, and with as many as before afterwards."""
    try:
        yield adapt()
    finally:
        restore()
