"""The scale part of `make bench`: fastai's recipe on one process, and on two that share each batch.

Both train in the same steps on the same small sample, started as a user starts them: `python -m tools.train_fastai`,
and accelerate's launcher with two processes of one thread each. On one computer with two cores this shows what sharing
costs, and that it works; more computers or GPUs are what it is for (notebooks/SCALE.md).
"""
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

from utils import paths, photos

FRAMES = 2  # of each session
EPOCHS, BATCH, SIDE = 2, 32, 192
TURNS = 2  # of each, by turns; the faster one counts, for a computer has other work, too
ONE, TWO = "one process", "two processes"
LAUNCHER = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1",
            "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]  # 0: one that is free


def command(name, *arguments):
    """The command line that trains with ONE or TWO."""
    return [sys.executable, "-W", "ignore", *(LAUNCHER if name == TWO else []), "-m", "tools.train_fastai",
            *map(str, arguments)]


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
    a folder of photographs, its weights in the file `out`. All processors are used, by each process its share. Raises
    RuntimeError when it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    threads = max(1, os.cpu_count() // (2 if name == TWO else 1))
    done = subprocess.run(command(name, "--photos", folder, "--out", out, *options), cwd=paths.ROOT, text=True,
                          stdout=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": str(threads)})
    if done.returncode:
        raise RuntimeError(f"{name} ended with exit code {done.returncode}; the messages are above.")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {**json.loads(done.stdout.splitlines()[-1]),
            "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}


def compare(found):
    """A table with a row for ONE and for TWO, of the faster of its turns. found: {name: [what train returns]}."""
    best = {name: min(turns, key=lambda each: each["seconds"]) for name, turns in found.items()}
    table = pd.DataFrame(best).T[["steps", "accuracy", "seconds", "cpu"]].astype(float)
    table = table.rename(columns={"cpu": "CPU seconds, start included"})
    table["time over one process's"] = table["seconds"] / table.loc[ONE, "seconds"]
    return table


def run():
    """{title: table} of both."""
    found = {ONE: [], TWO: []}
    with tempfile.TemporaryDirectory() as folder:
        copy_sample(Path(folder, "photos"))
        for name in list(found) * TURNS:
            print(f"scale: {name}", file=sys.stderr, flush=True)
            found[name].append(train(name, Path(folder, "photos"), Path(folder, "a.safetensors"), "--epochs", EPOCHS,
                                     "--batch", BATCH, "--side", SIDE))
    return {"scale": compare(found)}
