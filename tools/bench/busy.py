"""The busy part of `make bench`: how much of their speed do training and the Core ML runtime keep while another program
has one of the cores to itself, as a browser or a video call may?

Each contestant works for SECONDS on a quiet computer and for as long while the other program is busy, by turns; each
ratio is the median of the ratios of the turns. A contestant's process reads lines, each a number of seconds, works for
that long and prints how many photographs per second it did.
"""
import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from tools.bench import inference, processes, scale
from utils import paths, photos
from utils.silence import quiet

SECONDS, TURNS = 8, 3
SETTLED = 1.5  # seconds that a contestant works before its clock starts, each time
BATCH = 32
FASTAI, KERAS, RUNTIME = "fastai's recipe", "Keras' recipe", "Core ML runtime"
BUSY = "while True: pass"
QUIET_SPEED, BUSY_SPEED = "photographs a second, quiet", "photographs a second, busy"
KEPT = "speed kept"


class Rate:
    """How many photographs a second, from SETTLED seconds after the start on."""

    def __init__(self, seconds, clock=time.perf_counter):
        self.clock, self.start = clock, clock() + SETTLED
        self.end, self.since, self.until, self.count = self.start + seconds, None, None, 0

    def add(self, count):
        """Notes that so many more are done; returns whether there is time for more."""
        self.until = self.clock()
        if self.since is not None:
            self.count += count
        elif self.until >= self.start:
            self.since = self.until
        return self.until < self.end or not self.count

    def result(self):
        """Photographs a second, once `add` has said that it is over."""
        return self.count / (self.until - self.since)


# ---- a function each, of a Rate, that works until the rate is known --------------------------------------------------

def fastai_training(folder):
    # isort: off
    from tools import train_fastai  # before fastai
    from fastai.vision.all import Callback, CancelFitException, CancelValidException, ProgressCallback

    class Measure(Callback):
        def __init__(self, rate):
            self.rate = rate

        def after_batch(self):
            if self.training and not self.rate.add(len(self.x)):
                raise CancelFitException

        def before_validate(self):
            raise CancelValidException

    sample = folder / "photos"
    scale.copy_sample(sample)
    learn = train_fastai.learner(sample, photos.read_table(sample), BATCH)
    learn.remove_cb(ProgressCallback)

    def work(rate):
        with learn.no_logging():
            learn.fit(1000, cbs=Measure(rate))

    return work


def keras_training(folder):
    quiet("tensorflow")
    import keras

    from utils import keras_recipe

    noise = np.random.default_rng(0)
    pictures, targets = noise.integers(0, 256, (2 * BATCH, 256, 256, 3), np.uint8), np.arange(2 * BATCH) % 4
    model = keras_recipe.build_classifier(4)
    keras_recipe.fine_tune(model, pictures, targets, pictures[:8], targets[:8], keras_recipe.FineTuning(steps=8),
                           verbose=0)

    def work(rate):
        def after_batch(batch, logs):
            model.stop_training = not rate.add(BATCH)

        model.fit(keras_recipe.training_batches(pictures, targets, 4, BATCH), steps_per_epoch=1_000_000, verbose=0,
                  callbacks=[keras.callbacks.LambdaCallback(on_train_batch_end=after_batch)])

    return work


def runtime(folder):
    quiet("coremltools")
    answer, picture = inference.load_runtime(folder), inference.bundled_pictures(1)

    def work(rate):
        while rate.add(1):
            answer(picture)

    return work


CONTESTANTS = {FASTAI: fastai_training, KERAS: keras_training, RUNTIME: runtime}


# ---- measuring -------------------------------------------------------------------------------------------------------

@contextlib.contextmanager
def busy_program():
    """Keeps a core busy inside."""
    process = subprocess.Popen([sys.executable, "-c", BUSY])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def take_turns(measure, turns=TURNS):
    """[(photographs per second on a quiet computer, and while another program is busy)], per turn. measure: a function
    without arguments that works and returns the speed."""
    found = []
    for _ in range(turns):
        alone = measure()
        with busy_program():
            found.append((alone, measure()))
    return found


def measure_contestant(name, folder):
    """What take_turns returns, of a contestant in a process of its own. Raises CourseError where it fails."""
    print(f"busy: {name}", file=sys.stderr, flush=True)
    process = subprocess.Popen(processes.python(processes.__name__, "busy", name, folder), cwd=paths.ROOT,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(question):
        try:
            print(question, file=process.stdin, flush=True)
            return float(process.stdout.readline())
        except (ValueError, OSError):
            raise processes.ended(name, process.wait()) from None

    try:
        ask(0)  # is it ready?
        return take_turns(lambda: ask(SECONDS))
    finally:
        process.kill()
        process.communicate()


def compare(found):
    """A table with a row per contestant: the medians of its turns, quiet and busy, and the median of their ratios.
    found: {name: what take_turns returns}."""
    rows = {}
    for name, turns in found.items():
        alone, beside = (statistics.median(each) for each in zip(*turns))
        rows[name] = {QUIET_SPEED: alone, BUSY_SPEED: beside, "ms a photograph, busy": 1000 / beside,
                      KEPT: statistics.median(b / a for a, b in turns)}
    return pd.DataFrame(rows).T


def run():
    """{title: table} of all contestants. Raises CourseError where one fails."""
    with tempfile.TemporaryDirectory() as folder:
        processes.figures_of_contestant("inference", inference.NETWORKS, folder)
        return {"busy": compare({name: measure_contestant(name, folder) for name in CONTESTANTS})}


def contestant(name, folder):
    """Gets a contestant ready with the files of inference.write_networks in the folder, and answers the lines of stdin
    with rates."""
    work = processes.one_of(CONTESTANTS, name)(Path(folder))
    for line in sys.stdin:
        rate = Rate(float(line))
        work(rate)
        print(rate.result(), flush=True)
