"""The table of routes, exported/routes.csv: each way from a trained model to a file that a phone runs, and how it went.

A notebook records its route where it has checked it; notebook 06 shows the table. One row per route:

| column | what it says |
| --- | --- |
| `route` | its name, the hops joined by arrows: `fastai → torch.jit.trace → Core ML` |
| `notebook` | the notebook that took it, without suffix: `03_onnx_export_that_fails` |
| `file` | the file it ends in, relative to EXPORTED; empty where the route is closed |
| `status` | `open`, or `closed` |
| `closed_at` | where it is closed and by what, in a few words; empty where it is open |
| `accuracy`, `low`, `high`, `n` | top-1 accuracy 0..1 on the test photographs, its 95 % interval, of how many |
| `parity` | largest absolute difference of any probability from the model that the file was made of |
| `megabytes` | size of the file, in 10⁶ bytes |
| `ms_per_photo` | milliseconds per photograph, of the model alone, on the machine that ran the notebook |
| `platform` | the oldest system that runs the file: `iOS 15` |
"""
import math
from pathlib import Path

import filelock
import pandas as pd

from utils.command_line import CourseError
from utils.files import megabytes, written_whole
from utils.paths import EXPORTED

FILE = EXPORTED / "routes.csv"
COLUMNS = ["route", "notebook", "file", "status", "closed_at", "accuracy", "low", "high", "n", "parity", "megabytes",
           "ms_per_photo", "platform"]
TEXT = ["route", "notebook", "file", "status", "closed_at", "platform"]
LOCK_SECONDS = 30  # a row is written in milliseconds: whoever holds the lock longer hangs
IOS_OF_SPECIFICATION = {6: 15, 7: 16, 8: 17, 9: 18, 10: 26}  # coremltools.SPECIFICATION_VERSION and its targets


def record_open(route, notebook, file, evaluation, parity, platform, table=FILE):
    """Records a route that ends in a file; a row of the same name is replaced. Returns the whole table.

    file: path of the file or package; evaluation: what evaluate.evaluate returns for the test photographs (accuracy,
    interval, n, seconds_per_photo); parity, platform: as in the module's table; table: path of the CSV file.
    Raises CourseError: no such file, an evaluation without one of these keys, a parity that is no number from 0 to 1.
    """
    file = Path(file).resolve()
    if not file.exists():
        raise CourseError(f"{route}: there is no file {file}. Record an open route after its file is written.")
    missing = [key for key in ("accuracy", "interval", "n", "seconds_per_photo") if key not in evaluation]
    if missing:
        raise CourseError(f"{route}: the evaluation lacks {', '.join(missing)}; give what evaluate.evaluate returns.")
    if not 0 <= parity <= 1:  # false for NaN, too
        raise CourseError(f"{route}: the parity is {parity}; probabilities differ by 0 to 1.")
    low, high = evaluation["interval"]
    folder = Path(table).resolve().parent
    return _replace_row({
        "route": route, "notebook": notebook, "status": "open", "platform": platform,
        "file": file.relative_to(folder).as_posix() if file.is_relative_to(folder) else file.name,
        "accuracy": evaluation["accuracy"], "low": low, "high": high, "n": evaluation["n"], "parity": float(parity),
        "megabytes": megabytes(file), "ms_per_photo": 1000 * evaluation["seconds_per_photo"]}, Path(table))


def record_closed(route, notebook, closed_at, table=FILE):
    """Records a route that ends nowhere; a row of the same name is replaced. Returns the whole table.

    closed_at: the hop and what closes it, in a few words: `ONNX → Core ML: coremltools has no ONNX reader since 6.0`.
    Raises CourseError when closed_at is empty.
    """
    if not closed_at.strip():
        raise CourseError(f"{route}: say where it is closed.")
    return _replace_row({"route": route, "notebook": notebook, "status": "closed", "closed_at": closed_at}, Path(table))


def oldest_ios(path):
    """The oldest system that reads an .mlpackage, by its specification's version: `iOS 16`."""
    from coremltools.models.utils import load_spec

    return f"iOS {IOS_OF_SPECIFICATION[load_spec(str(path)).specificationVersion]}"


def read_routes(table=FILE):
    """The table as a DataFrame, in the order of notebooks and names; without rows where nothing is recorded yet.

    `n` is a whole number or missing; a closed route has no figures. Raises CourseError when the file is damaged.
    """
    table = Path(table)
    if not table.exists():
        return _typed(pd.DataFrame(columns=COLUMNS))
    try:
        found = pd.read_csv(table, dtype={name: str for name in TEXT}, keep_default_na=False,
                            na_values={name: [""] for name in COLUMNS if name not in TEXT}, encoding="utf-8")
        if list(found) != COLUMNS:
            raise ValueError(f"its columns are {', '.join(found)}")
        return _typed(found)
    except (ValueError, TypeError) as error:  # pandas' parser errors and UnicodeDecodeError are ValueErrors
        raise CourseError(f"{table}: is no table of routes ({str(error).strip()}). Delete it; `make course` "
                          "makes it again.") from None


def _typed(table):
    numbers = {name: float for name in COLUMNS if name not in TEXT}
    return table.astype({**{name: str for name in TEXT}, **numbers, "n": "Int64"})


def _replace_row(row, table):
    table.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(table.with_name(f".{table.name}.lock"), timeout=LOCK_SECONDS)
    try:
        with lock:  # two notebooks may record at once: what was read must not change before it is written
            before = read_routes(table)
            rows = [each for each in before.to_dict("records") if each["route"] != row["route"]]
            rows.append({**{name: "" if name in TEXT else math.nan for name in COLUMNS}, **row})
            after = _typed(pd.DataFrame(rows, columns=COLUMNS).sort_values(["notebook", "route"], ignore_index=True))
            with written_whole(table) as unfinished:
                after.to_csv(unfinished, index=False, encoding="utf-8")
            return after
    except filelock.Timeout:
        raise CourseError(f"{table}: another program has held its lock for {LOCK_SECONDS} s. Stop that program and try "
                          "again.") from None
