"""`make findings`: what do the notebooks' findings come to, over seeds, instruction sets and numbers of threads?

`python -m tools.findings [--notebooks 02,05,06] [--settings AVX2] [--jobs 2] [--table]` runs the notebooks under each
of SETTINGS, and two of them spoilt on purpose (SPOILT), each in a folder of its own below exported/findings. What each
`finding` came to is added to data/findings_runs.csv, and the usual ranges (utils.findings.usual_range) are written into
data/findings.csv. Runs that are there already are not repeated: it can be stopped and started again, on one machine
after the other. Hours of work: `nice -n 19 make findings`. With --table, only the ranges are worked out again; with
--add FILE, after a run is added that was made anyway.
"""
import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import pandas as pd
from tqdm import tqdm

from tools.course import find_notebooks, why_left_out
from utils import findings
from utils.files import written_whole
from utils.paths import EXPORTED, ROOT, SEED

# What a processor with fewer instructions would do, made on one with more (PyTorch, TensorFlow and oneDNN read these).
INSTRUCTIONS = {
    "native": {},
    "AVX512": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE", "ATEN_CPU_CAPABILITY": "avx512"},
    "AVX2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "TF_ENABLE_ONEDNN_OPTS": "0"},
    "SSE4.1": {"ONEDNN_MAX_CPU_ISA": "SSE41", "ATEN_CPU_CAPABILITY": "default", "TF_ENABLE_ONEDNN_OPTS": "0"},
    "bfloat16": {},  # what a processor with AVX512-BF16 or AMX does: FORCED makes oneDNN round so on any with AVX512
}
# As Linux calls them, the best first. Processors of very different kinds go by one name.
FLAGS = {"amx_bf16": "AMX", "avx512_bf16": "AVX512-BF16", "avx512f": "AVX512", "avx2": "AVX2"}
FORCED = {"02": "torch_recipe.bfloat16_is_faster = lambda: True", "05": "keras_recipe.has_bfloat16 = lambda: True"}
IMPORTS = "from utils.findings import finding"  # in the cell after which code of our own is run
# In the last cell of a spoilt notebook that is of interest.
UNTIL = {"02": "probability moved without normalization", "05": "accuracy, parts never seen"}
CHAINS = [("01",), ("02", "03"), ("04",), ("05", "06")]  # notebooks that read each other's files


@dataclass(frozen=True)
class Setting:
    """A run of the notebooks: on which instructions, with how many threads, from which seed, and how it is spoilt."""

    instructions: str
    threads: int
    seed: int
    spoilt: str = ""
    code: dict = field(default_factory=dict, compare=False)  # {notebook: (a text of the cell before, the code)}

    @property
    def name(self):
        return "-".join(filter(None, [self.instructions, f"{self.threads}t", f"seed{self.seed}",
                                      self.spoilt.replace(" ", "_")]))

    def environment(self):
        threads = {name: str(self.threads) for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")}
        return {**os.environ, **INSTRUCTIONS[self.instructions], **threads, "COURSE_SEED": str(self.seed),
                "EXPORTED": str(EXPORTED / "findings" / self.name), "PHOTOS": ""}


SETTINGS = [
    Setting("native", 2, 0), Setting("AVX2", 1, 0), Setting("AVX2", 1, 1), Setting("native", 1, 2),
    Setting("AVX512", 1, 3), Setting("SSE4.1", 1, 0), Setting("bfloat16", 1, 0), Setting("native", 1, 4),
    Setting("AVX2", 2, 5), Setting("native", 4, 6), Setting("AVX512", 2, 0), Setting("SSE4.1", 1, 7),
    Setting("bfloat16", 2, 1), Setting("native", 2, 8),
]
SPOILT = [
    Setting("native", 1, 0, "shuffled labels", {
        "02": ("rows = {split: part", 'rows["train"]["label"] = rows["train"]["label"].sample(frac=1).to_numpy()'),
        "05": ("train, train_targets = read", "train_targets = np.random.default_rng(0).permutation(train_targets)")}),
    Setting("native", 1, 0, "no normalization", {
        "02": (IMPORTS, "from fastai.vision import learner\n"
               "for each in learner.model_meta.values():\n    each.update(stats=([0] * 3, [1] * 3))\n"
               "scale_pixels = torch_recipe.scale_pixels = lambda x: x / 255"),
        "05": (IMPORTS, "scale_pixels = keras_recipe.scale_pixels = lambda x: x")}),
    Setting("native", 1, 0, "no fine-tuning", {
        "02": (IMPORTS, "from fastai.learner import Learner\n"
               "Learner.fine_tune = lambda self, *a, **k: (self.freeze(), self.fit_one_cycle(1, 2e-3))"),
        "05": (IMPORTS, "keras_recipe.fine_tune = lambda *a, **k: head_history")}),
]


def changed_copy(notebook, setting, folder):
    """A notebook as a setting runs it: the original, or a copy with the setting's code in it; spoilt ones end after
    UNTIL. Raises ValueError where the cell that the code belongs to is not there."""
    number = notebook.name[:2]
    forced = (IMPORTS, FORCED[number]) if setting.instructions == "bfloat16" and number in FORCED else None
    place, code = setting.code.get(number) or forced or (None, None)
    if not code:
        return notebook
    content = nbformat.read(notebook, as_version=4)
    at = [i for i, cell in enumerate(content.cells) if cell.cell_type == "code" and place in cell.source]
    if len(at) != 1:
        raise ValueError(f"{notebook.name}: {len(at)} cells with {place!r}, and one is wanted.")
    content.cells.insert(at[0] + 1, nbformat.v4.new_code_cell(code))
    if setting.spoilt:
        end = next(i for i, cell in enumerate(content.cells)
                   if UNTIL[number] in cell.source and "finding(" in cell.source)
        content.cells = content.cells[:end + 1]
    copy = folder / notebook.name
    folder.mkdir(parents=True, exist_ok=True)
    nbformat.write(content, copy)
    return copy


def processor():
    """This computer's processor, in words, with the instructions that training makes the most of."""
    try:
        about = Path("/proc/cpuinfo").read_text()
        name, flags = re.search(r"model name\s*:\s*(.+)", about)[1], re.search(r"flags\s*:\s*(.+)", about)[1].split()
    except (OSError, TypeError):
        return platform.processor() or platform.machine()
    return f"{name}, {next((words for flag, words in FLAGS.items() if flag in flags), 'SSE')}"


def run_chain(setting, notebooks):
    """Runs notebooks that belong together under a setting: a DataFrame like that of findings.read_runs. Raises
    RuntimeError with the last line of what went wrong."""
    environment = setting.environment()
    folder = Path(environment["EXPORTED"]) / notebooks[0].stem
    environment["EXPORTED"] = str(folder)
    copies = [changed_copy(notebook, setting, folder / "changed") for notebook in notebooks]
    done = subprocess.run([sys.executable, "-m", "tools.course", *map(str, copies)], cwd=ROOT, env=environment,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    noted = folder / "findings.json"
    if done.returncode or not noted.exists():
        raise RuntimeError(f"{setting.name}, {notebooks[0].stem}: " + done.stdout.strip().splitlines()[-1])
    rows = rows_of(setting, noted)
    shutil.rmtree(folder)
    return rows


def rows_of(setting, noted):
    """What a course on this computer noted, exported/findings.json, as a DataFrame like that of findings.read_runs."""
    return pd.DataFrame([
        {"setting": setting.name, "spoilt": setting.spoilt, "instructions": setting.instructions,
         "threads": setting.threads, "seed": setting.seed, "processor": processor(), "name": name, **entry}
        for name, entry in json.loads(noted.read_text(encoding="utf-8")).items()])


def add(rows):
    """Puts the rows of a run into data/findings_runs.csv, in the place of the same run on the same processor."""
    runs = findings.read_runs()
    setting, computer = rows[["setting", "processor"]].iloc[0]
    again = (runs["setting"] == setting) & (runs["processor"] == computer) & runs["name"].isin(rows["name"])
    store(pd.concat([runs[~again], rows]).set_index("setting"), findings.RUNS)


def table(runs):
    """The usual range of each finding, as data/findings.csv holds it, from the runs that nothing spoilt."""
    rows = {}
    for name, found in runs[runs["spoilt"] == ""].groupby("name"):
        unit, photographs = found["unit"].iloc[0], int(found["photographs"].iloc[0])
        values = found["value"].astype(float)
        low, high = findings.usual_range(values, unit, photographs)
        threads = " or ".join(map(str, sorted(set(found["threads"].astype(int)))))
        under = "; ".join([", ".join(sorted(set(found["instructions"]))), f"threads: {threads}",
                           f"seeds: {found['seed'].nunique()}", f"kinds of processor: {found['processor'].nunique()}"])
        rows[name] = {"unit": unit, "photographs": photographs, "low": low, "high": high, "smallest": values.min(),
                      "mean": values.mean(), "largest": values.max(), "runs": len(found), "under": under}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("name").sort_index()


def store(frame, path):
    """Writes a table as CSV, whole or not at all."""
    with written_whole(path) as unfinished:
        frame.to_csv(unfinished, float_format="%.6g")


def pending(settings, numbers, runs):
    """[(setting, notebooks)] of what is not in the runs yet; notebooks whose kernel is not here are left out. Native
    runs count on the same processor only."""
    runs = runs[(runs["instructions"] != "native") | (runs["processor"] == processor())]
    here = {path.name[:2]: path for path in find_notebooks(ROOT / "notebooks") if not why_left_out(path)}
    done = set(zip(runs["setting"], runs["name"].str[:2]))
    jobs = []
    for setting in settings:
        for chain in CHAINS:
            wanted = [n for n in chain if n in here and n in numbers and (not setting.spoilt or n in setting.code)]
            if any((setting.name, n) not in done for n in wanted):
                jobs.append((setting, [here[n] for n in wanted]))
    return jobs


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m tools.findings", description="Measure what the findings come to.")
    parser.add_argument("--notebooks", default="01,02,03,04,05,06", help="default: %(default)s")
    parser.add_argument("--settings", default="", metavar="TEXT", help="only settings whose name contains this")
    parser.add_argument("--jobs", type=int, default=1, help="runs of one thread at the same time (default: 1)")
    parser.add_argument("--table", action="store_true", help="only work out the ranges again")
    parser.add_argument("--add", type=Path, metavar="FILE", help="add what a whole make course on this computer noted, "
                        "exported/findings.json, instead of running anything")
    options = parser.parse_args(arguments)
    settings = [each for each in (*SETTINGS, *SPOILT) if options.settings in each.name]
    if options.add:
        add(rows_of(Setting("native", os.cpu_count(), SEED), options.add))
    jobs = [] if options.table or options.add else pending(settings, options.notebooks.split(","), findings.read_runs())
    writing, failed = threading.Lock(), []

    def run(job):
        try:
            rows = run_chain(*job)
        except (RuntimeError, ValueError) as error:
            failed.append(str(error))
            return
        with writing:
            add(rows)

    with tqdm(total=len(jobs), unit="run") as bar:
        beside = [job for job in jobs if job[0].threads == 1]
        for some, workers in ((beside, options.jobs), ([job for job in jobs if job not in beside], 1)):
            with ThreadPoolExecutor(workers) as pool:
                for _ in pool.map(run, some):
                    bar.update()
    for error in failed:
        print(error, file=sys.stderr)
    ranges = table(findings.read_runs())
    store(ranges, findings.RANGES)
    print(ranges.drop(columns="under").round(3).to_string())
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
