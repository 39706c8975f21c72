"""Trains notebook 02's classifier outside a notebook, on one process or on several that share each batch.

    python -m tools.train_fastai --photos DIR --out FILE
    accelerate-launch --multi_gpu --num_processes 2 -m tools.train_fastai --photos DIR --out FILE

FILE holds the weights as safetensors, as notebook 02 writes them. `--batch` photographs are looked at in a step by all
processes together, so that one process and several take the same steps. Without a GPU the processes meet over gloo and
compute on the CPU, `--multi_gpu` or not: with `--cpu`, accelerate would start one process, unless there is an MPI.
"""
import argparse
import hashlib
import json
import sys
import time
from pathlib import Path

# isort: off
from utils import photos, torch_recipe  # torch_recipe comes before fastai
import torch
from accelerate.utils import gather_object
from fastai.distributed import DistributedDL, DistributedTrainer
from fastai.vision.all import Callback, ProgressCallback, num_distrib, rank_distrib, set_seed

from utils.command_line import CourseError, command
from utils.paths import SEED


class TrainingError(CourseError):
    """A training that failed. The message says why, and that nothing was written."""


class SharedBatches(DistributedDL):
    """fastai's DistributedDL, which tells the order of the photographs from process to process on a GPU only."""

    def _broadcast(self, numbers, rank):
        numbers = torch.as_tensor(numbers, device=self.device)
        torch.distributed.broadcast(numbers, rank)
        return numbers.tolist()


class SharedTraining(DistributedTrainer):
    """fastai's DistributedTrainer, on the CPU too: each process trains on its part of each batch, and the gradients are
    averaged. Batch norm stays local: synchronized, it needs a GPU."""

    def __init__(self):
        super().__init__(sync_bn=False, cpu=not torch.cuda.is_available())

    def _wrap_dl(self, dl):
        return dl if isinstance(dl, SharedBatches) else SharedBatches(dl, device=self.learn.model.device)


class Count(Callback):
    """Counts the steps, and the photographs that this process is trained on."""

    def __init__(self):
        self.steps = self.photographs = 0

    def after_step(self):
        self.steps += 1
        self.photographs += len(self.x)


def learner(folder, table, batch=torch_recipe.BATCH_SIZE, size=torch_recipe.INPUT_SIZE):
    """torch_recipe's Learner for a table of photographs. batch: photographs in a step of all processes together; size:
    pixels per side of the network's input.

    Raises photos.PhotoError where they are too few for that.
    """
    names = photos.class_names(table)
    table = table[table["label"].isin(names) & (table["split"] != "test")]
    table = table.assign(is_valid=table["split"] == "valid")
    trained, processes = (~table["is_valid"]).sum(), max(num_distrib(), 1)
    each = torch_recipe.batch_size(table, batch) // processes
    if each < 2:
        raise photos.PhotoError(f"{processes} processes share {batch} photographs per step, of {trained} for training: "
                                "each needs two or more. Take fewer processes.")
    return torch_recipe.learner(torch_recipe.dataloaders(folder, table, names, each, size), (size // 2, size * 3 // 4))


def fingerprint(model):
    """SHA-256 of a model's weights and statistics."""
    digest = hashlib.sha256()
    for tensor in model.state_dict().values():
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def train(folder, table, out, epochs=None, batch=torch_recipe.BATCH_SIZE, size=torch_recipe.INPUT_SIZE):
    """Trains, and writes the weights to `out` from the first process only.

    epochs: those of fine_tune after a first one of the head alone; default torch_recipe.epochs_for. size: pixels per
    side of the network's input, a multiple of 64. Returns {"processes", "steps", "photographs": [trained on by each
    process], "seconds", "accuracy": of validation}. Raises photos.PhotoError, and TrainingError when the processes end
    with different weights.
    """
    rank = rank_distrib()
    set_seed(SEED + rank)  # each process augments differently; weights and order are the first one's
    learn, count = learner(folder, table, batch, size), Count()
    learn.add_cb(count)
    if num_distrib() > 1:
        learn.add_cb(SharedTraining())
    if rank or not sys.stdout.isatty():
        learn.remove_cb(ProgressCallback)
    started = time.perf_counter()
    with learn.no_logging():
        learn.fine_tune(epochs or torch_recipe.epochs_for((table["split"] == "train").sum()), **torch_recipe.RATES)
    seconds = time.perf_counter() - started
    each = gather_object([(fingerprint(learn.model), count.photographs)])
    if len({weights for weights, _ in each}) > 1:
        raise TrainingError("The processes ended with different weights; nothing was written.")
    if rank == 0:
        torch_recipe.save_weights(learn.model, out, learn.dls.vocab)
    return {"processes": len(each), "steps": count.steps, "photographs": [number for _, number in each],
            "seconds": seconds, "accuracy": float(learn.recorder.values[-1][-1])}


@command
def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m tools.train_fastai", description="Train notebook 02's classifier.")
    parser.add_argument("--photos", type=Path, required=True, help="folder of photographs: one folder per class")
    parser.add_argument("--out", type=Path, required=True, help="file for the weights, .safetensors")
    parser.add_argument("--epochs", type=int, help="default: as many as notebook 02 trains")
    parser.add_argument("--batch", type=int, default=torch_recipe.BATCH_SIZE,
                        help="photographs in a step of all processes together")
    parser.add_argument("--side", type=int, default=torch_recipe.INPUT_SIZE, help="pixels, a multiple of 64")
    options = parser.parse_args(arguments)
    if options.side < 64 or options.side % 64 or options.epochs is not None and options.epochs < 1:
        parser.error("--side is a multiple of 64, and --epochs at least 1")
    try:
        table = photos.require_healthy(options.photos)
        record = train(options.photos, table, options.out, options.epochs, options.batch, options.side)
    except (CourseError, RuntimeError, OSError) as error:  # RuntimeError: another process has ended
        if rank_distrib():
            return 1  # the first process gives the reason
        if isinstance(error, RuntimeError):
            raise TrainingError(f"The training stopped, and nothing was written: {error}") from error
        raise
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
    if rank_distrib() == 0:
        print(json.dumps(record))
    return 0


if __name__ == "__main__":
    sys.exit(main())
