"""Settings for pytest and for the kernels that nbval starts."""
import os
import shutil
import tempfile
from collections import Counter, defaultdict

import pytest

# Before utils.paths is imported: tests and notebooks write into a folder of their own, not into the user's exported/,
# and the stored outputs belong to the bundled photographs.
os.environ["EXPORTED"] = tempfile.mkdtemp(prefix="exported-")
os.environ.pop("PHOTOS", None)
os.environ["FINDINGS"] = "strict"  # what training came to has to lie in its usual range: utils/findings.py

from tests import exercises  # noqa: E402
from tools import course
from utils.paths import ROOT  # noqa: E402

os.environ.update(course.kernel_environment())  # pytest's pythonpath does not reach the kernels

NOTEBOOKS = course.find_notebooks(ROOT / "notebooks")
LEFT_OUT = {path: why for path, why in zip(NOTEBOOKS, map(course.why_left_out, NOTEBOOKS)) if why}


class LeftOut(pytest.File):
    """A notebook that cannot run here: skipped, whether it is named or found."""

    class Reason(pytest.Item):
        def runtest(self):
            pytest.skip(f"left out: {LEFT_OUT[self.path]}")

    def collect(self):
        yield self.Reason.from_parent(self, name="left out")


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path, parent):
    collectors = yield
    return [LeftOut.from_parent(parent, path=file_path)] if file_path in LEFT_OUT else collectors


def pytest_unconfigure():
    shutil.rmtree(os.environ["EXPORTED"], ignore_errors=True)


def pytest_collectstart(collector):
    if hasattr(collector, "skip_compare"):
        # Which library warns on stderr differs between machines; that a committed notebook has none of it is tested in
        # tests/test_notebook_rules.py.
        collector.skip_compare += ("stderr",)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    """Adds to the cells of a notebook its exercises, answered rightly and wrongly; nbval runs them in the same
    kernel."""
    report = yield
    if report.passed and collector.path in NOTEBOOKS and collector.path not in LEFT_OUT:
        kind, first = type(report.result[0]), len(report.result)
        options = defaultdict(bool, check=True)
        report.result += [kind.from_parent(collector, name=name, cell_num=first + i, cell=cell, options=options)
                          for i, (name, cell) in enumerate(exercises.cells(collector.path))]
    return report


def pytest_terminal_summary(terminalreporter):
    """Prints how long each notebook took, and which were left out."""
    seconds = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            file = getattr(report, "nodeid", "").split("::")[0]
            if file.endswith(".ipynb") and hasattr(report, "duration"):  # those left out by -k have none
                seconds[file] += report.duration
    for file, total in sorted(seconds.items()):
        terminalreporter.write_line(f"{total:6.0f} s  {file}")
    for path, why in LEFT_OUT.items():
        terminalreporter.write_line(f"left out: {path.relative_to(ROOT)}, {why}")
