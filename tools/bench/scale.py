"""The scale part of `make bench`: fastai's recipe on one process, and on two that share each batch.

Both train in the same steps on the same small sample, started as a user starts them: `python -m tools.train_fastai`,
and accelerate's launcher with two processes of one thread each. On one computer with two cores this shows what sharing
costs, and that it works; it is meant for more computers or GPUs (notebooks/SCALE.md).
"""
import os
import resource
import shutil
import tempfile
from pathlib import Path

import pandas as pd

from tools.bench import processes
from utils import paths, photos

FRAMES = 2  # of each session
EPOCHS, BATCH, SIZE = 2, 32, 192
TURNS = 2  # of each, alternating; the faster one counts, because a computer also has other work
ONE, TWO = "one process", "two processes"
LAUNCHER = ["accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1",
            "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0",  # 0: one that is free
            "-m"]


def copy_sample(folder):
    """Copies a few photographs of each bundled session, with their photos.csv, into a folder."""
    table = photos.read_table(paths.TABLETOP)
    table = table[table["label"] != photos.OTHER].groupby("session").head(FRAMES)
    for file in table["file"]:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(paths.TABLETOP / file, folder / file)
    table.to_csv(folder / "photos.csv", index=False)


def train(name, folder, out, *options):
    """What tools.train_fastai.train returns and the CPU seconds ("cpu") of all its processes, trained by ONE or TWO on
    a folder of photographs, its weights in the file `out`. All cores are used, by each process its share. Raises
    CourseError when it fails."""
    count, launcher = (2, LAUNCHER) if name == TWO else (1, [])
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    record = processes.figures("scale", name, *launcher, "tools.train_fastai", "--photos", folder, "--out", out,
                               *options, environment={"OMP_NUM_THREADS": str(max(1, os.cpu_count() // count))})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {**record, "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}


def compare(found):
    """A table with a row for ONE and for TWO, from the faster of its turns. found: {name: [what train returns]}."""
    best = {name: min(turns, key=lambda each: each["seconds"]) for name, turns in found.items()}
    table = pd.DataFrame(best).T[["steps", "accuracy", "seconds", "cpu"]].astype(float)
    table = table.rename(columns={"cpu": "CPU seconds, start included"})
    table["time over one process's"] = table["seconds"] / table.loc[ONE, "seconds"]
    return table


def run():
    """{title: table} of both."""
    found = {ONE: [], TWO: []}
    with tempfile.TemporaryDirectory() as folder:
        sample, out = Path(folder, "photos"), Path(folder, "a.safetensors")
        copy_sample(sample)
        for name in list(found) * TURNS:
            found[name].append(train(name, sample, out, "--epochs", EPOCHS, "--batch", BATCH, "--side", SIZE))
    return {"scale": compare(found)}
