"""Processes that tests start, wait for and interrupt."""
import signal
import subprocess
import sys
import time

from utils.paths import ROOT


def start(*arguments, **options):
    """A Python process in the course's folder with these arguments. It heeds Ctrl-C, which a shell's background job, as
    a test run may be, ignores and passes on."""
    return subprocess.Popen([sys.executable, *map(str, arguments)], cwd=ROOT, text=True, preexec_fn=heed_interrupts,
                            **{"stderr": subprocess.PIPE, **options})


def heed_interrupts():
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_until(condition, process):
    """Returns once a function without arguments gives something true, while the process runs."""
    while not condition():
        assert process.poll() is None, "the process ended first"
        time.sleep(0.02)
