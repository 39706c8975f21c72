"""`make bench`: how fast this course's tools are compared with what you would use instead, in one run, as ratios.

`training` (tools/bench/training.py): until a classifier is as good as fastai's defaults make it.

`inference` (tools/bench/inference.py): EfficientNet-Lite0 in the Core ML runtime, ONNX Runtime, LiteRT and Keras; time,
loading and memory.

`scale` (tools/bench/scale.py): fastai's recipe on two processes that share each batch, compared with one.

`busy` (tools/bench/busy.py): training and the Core ML runtime while another program keeps a core busy, and on a quiet
computer.

`course`: the seconds of set-up and of each notebook, as the last `make course` noted them; nothing is run again.

`python -m tools.bench [training] [inference] [scale] [busy] [course]` runs those parts, or all if none is named, prints
their tables and writes them into bench.json in the exported folder.
"""
import argparse
import json
import sys
from pathlib import Path

import pandas as pd

from tools.bench import busy, inference, processes, scale, training
from utils import paths
from utils.command_line import CourseError, command
from utils.files import written_whole


def course():
    """{title: table} of the seconds of set-up and of each notebook when it last ran. Raises CourseError when none
    did."""
    noted, of_setup = paths.exported("course.json"), Path(sys.prefix) / "setup-seconds"
    if not noted.exists():
        raise CourseError(f"There is no {noted.name} in the exported folder yet: make course writes it.")
    seconds = json.loads(noted.read_text())
    seconds["all notebooks"] = sum(seconds.values())
    if of_setup.exists():
        seconds = {"make setup": float(of_setup.read_text()), **seconds}
    return {"course": pd.DataFrame({"seconds": seconds})}


PARTS = {"training": training.run, "inference": inference.run, "scale": scale.run, "busy": busy.run, "course": course}


def write_tables(tables, file):
    """Adds tables, {title: DataFrame}, to a JSON file, or replaces those of the same titles. A missing figure is
    null."""
    found = json.loads(file.read_text()) if file.exists() else {}
    found.update({title: json.loads(table.to_json(orient="index")) for title, table in tables.items()})
    with written_whole(file) as unfinished:
        unfinished.write_text(json.dumps(found, indent=2))


@command
def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description="How fast are the course's tools?")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; default: all")
    names = parser.parse_args(arguments).parts or PARTS
    for run in [processes.one_of(PARTS, name, "part") for name in names]:
        tables = run()
        for title, table in tables.items():
            print(f"\n{title}:\n{table.round(2).to_string()}", flush=True)
        write_tables(tables, paths.exported("bench.json"))


if __name__ == "__main__":
    sys.exit(main())
