"""How many lines of utils the unit tests run, for conftest.py. What counts is said in .coveragerc.

Imports nothing of utils: it has to be started before.
"""
import io
import os
import tempfile
from pathlib import Path

import coverage

ROOT = Path(__file__).resolve().parent.parent
WANTED = 90  # per cent of lines
VARIABLE = "COVERAGE_PROCESS_CONFIG"  # by which coverage tells child processes to measure, too


def save_in_a_worker():
    """Writes what a process has run that was started by a measured one, where it may be killed before its end."""
    measuring = coverage.Coverage.current()
    if measuring:
        measuring.stop()
        measuring.save()


class Lines:
    """Lines run from `start` to `stop`, by this process and by those that it starts."""

    def __init__(self, config=ROOT / ".coveragerc"):
        self._folder = tempfile.TemporaryDirectory(prefix="coverage-")
        file = Path(self._folder.name) / "coverage"
        self._coverage = coverage.Coverage(data_file=file, data_suffix=True, config_file=config)
        self._running = False

    def start(self):
        """Does nothing in a process that is measured already."""
        if VARIABLE not in os.environ:
            self._coverage.start()
            self._running = True

    def stop(self):
        """May be called again."""
        if self._running:
            self._running = False
            self._coverage.stop()
            self._coverage.save()
            os.environ.pop(VARIABLE, None)

    def found(self):
        """(per cent of all lines, {file: per cent} of those below WANTED, the lowest first), once stopped."""
        self._coverage.combine()
        total = self._coverage.report(file=io.StringIO())
        shares = {}
        for file in self._coverage.get_data().measured_files():
            _, lines, _, missing, _ = self._coverage.analysis2(file)
            shares[os.path.relpath(file, ROOT)] = 100 * (1 - len(missing) / max(len(lines), 1))
        low = sorted((share, file) for file, share in shares.items() if share < WANTED)
        return total, {file: share for share, file in low}
