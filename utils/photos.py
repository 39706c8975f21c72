"""The table of photographs: finding, reading, splitting and checking them.

A table is a pandas DataFrame with a row a photograph and at least four columns:

| column | what it says |
| --- | --- |
| `file` | path relative to the folder, with forward slashes |
| `label` | the class; `other` stands for unknown objects, things of none of the classes |
| `session` | the capture session: frames of one session are nearly the same picture, so a session is never divided |
| `split` | `train`, `valid` or `test` |

It comes from `photos.csv` in the folder. Without one, each sub-folder is a class, and each folder inside a class is a
session (a photograph that lies directly in its class folder is a session of its own).

`python -m utils.photos DIR` prints the table's summary and what is wrong with it. The exit code is 0 when nothing is, 1
when the photographs or their table failed a check or cannot be used, 2 when it could not be run. Nothing here writes to
a folder of photographs. Works on Python 3.8 with pandas, Pillow and NumPy; HEIC needs pillow-heif.
"""
from __future__ import annotations

import argparse
import hashlib
import math
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
from coreml_runtime.pictures import to_rgb
from PIL import Image, ImageOps

from utils.command_line import CourseError, command

try:
    import pillow_heif

    pillow_heif.register_heif_opener()
except ImportError:  # only HEIC files need it, and read_photo says so when it meets one
    pillow_heif = None

OTHER = "other"
SPLITS = ("train", "valid", "test")
COLUMNS = ["file", "label", "session", "split"]
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".heic", ".heif", ".bmp", ".tif", ".tiff"}
HEIC_SUFFIXES = {".heic", ".heif"}
MIN_SIDE = 16  # pixels; nothing can be recognised in less

# What check_health may find, and what to do about it. Training on any of the first group gives wrong figures or none.
FATAL = {
    "table cannot be used": "Correct photos.csv or the folders.",
    "no such file": "Add the file, or take its row out of photos.csv.",
    "unreadable picture": "Open it in a photo viewer: save it again as JPEG or PNG, or take it out.",
    "empty class folder": "Put photographs in it or remove the folder.",
    "only one class": "A classifier needs two or more: add a folder of photographs for each.",
    "same photo in two classes": "Keep it in the class that it shows and take out the other.",
    "same photo in two splits": "Put both into one session, or take one out: a test on training data says nothing.",
    "session in two splits": "Give all its photographs one split: frames of a session are nearly the same picture.",
    "class missing from a split": "A class is trained, tuned and tested on different capture sessions.",
}
WARNINGS = {
    "not in photos.csv": "It is left out: add a row to photos.csv to use it.",
    "not a photograph": "It is left out: only " + ", ".join(sorted(s[1:] for s in SUFFIXES)) + " are read.",
}


class PhotoError(CourseError):
    """A photograph or a table that cannot be used. The message is one sentence or two: which file, what is wrong,
    what to do."""

    exit_code = 1


def _files(folder):
    """All files below a folder as sorted paths, without the hidden ones that systems leave behind (.DS_Store)."""
    paths = sorted(folder.rglob("*"))
    return [p for p in paths if p.is_file() and not any(part.startswith(".") for part in p.relative_to(folder).parts)]


def _class_folders(folder):
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _existing(folder):
    folder = Path(folder)
    if not folder.is_dir():
        raise PhotoError(f"{folder}: no such folder. Name a folder that holds one folder of photographs a class.")
    return folder


def _read_csv(folder):
    name = folder / "photos.csv"
    try:
        table = pd.read_csv(name, dtype={c: str for c in COLUMNS}, keep_default_na=False, encoding="utf-8-sig")
    except (ValueError, OSError) as error:  # pandas' parser errors and UnicodeDecodeError are ValueErrors
        reason = str(error).strip()
        raise PhotoError(f"{name}: cannot be read as a table ({reason}). Save it as CSV in UTF-8.") from None
    missing = [c for c in COLUMNS if c not in table]
    if missing:
        raise PhotoError(f"{name}: has no column {', '.join(missing)}. Its columns begin with {','.join(COLUMNS)}.")
    if table.empty:
        raise PhotoError(f"{name}: lists no photographs. Add a row for each, or remove the file.")
    for column in COLUMNS:
        empty = np.flatnonzero(table[column].str.strip() == "")
        if len(empty):
            raise PhotoError(f"{name}, line {empty[0] + 2}: the column {column} is empty. Fill it in.")
    wrong = np.flatnonzero(~table["split"].isin(SPLITS))
    if len(wrong):
        raise PhotoError(f"{name}, line {wrong[0] + 2}: the split is {table['split'].iloc[wrong[0]]!r}. "
                         f"Use one of {', '.join(SPLITS)}.")
    twice = table["file"][table["file"].duplicated()]
    if len(twice):
        raise PhotoError(f"{name}: lists {twice.iloc[0]} twice. Keep one of the two rows.")
    return table[COLUMNS + [c for c in table if c not in COLUMNS]]


def find_photos(folder):
    """The table of a folder that has one folder a class: `file`, `label` and `session`, not yet split.

    Labels are the folders' names in Unicode's composed form (macOS stores accents decomposed, Linux does not).
    Raises PhotoError when there is no photograph.
    """
    folder = _existing(folder)
    rows = []
    for class_folder in _class_folders(folder):
        label = unicodedata.normalize("NFC", class_folder.name)
        for path in _files(class_folder):
            if path.suffix.lower() in SUFFIXES:
                file = path.relative_to(folder)
                session = file if path.parent == class_folder else file.parent
                rows.append((file.as_posix(), label, session.as_posix()))
    if not rows:
        raise PhotoError(f"{folder}: no photographs found. Put them into one folder a class, "
                         f"for example {folder.name}/relay/photo.jpg.")
    return pd.DataFrame(rows, columns=["file", "label", "session"])


def read_table(folder):
    """The table of photographs of a folder: from its photos.csv, or from its sub-folders, split by session.

    Returns a DataFrame whose first columns are file, label, session, split; further columns of photos.csv follow.
    Raises PhotoError: no folder, no photographs, a malformed photos.csv, too few sessions to split.
    """
    folder = _existing(folder)
    if (folder / "photos.csv").exists():
        return _read_csv(folder)
    return split_by_session(find_photos(folder))


def class_names(table):
    """The classes' labels, sorted, without `other`. Their order is the order of a model's outputs."""
    return sorted(set(table["label"]) - {OTHER})


def targets(table, names):
    """For each photograph the place of its label in names, an int64 array (N,); -1 for `other`."""
    return table["label"].map({OTHER: -1} | {name: i for i, name in enumerate(names)}).to_numpy("int64")


def split_by_session(table, fractions=(0.67, 0.165, 0.165), seed=0, keep=None, partial=False):
    """A copy of the table with whole sessions dealt out to `split`, class by class.

    fractions: shares of train, valid and test among a class's sessions; each split gets at least one session.
    Unknown objects (`other`) measure first of all: two sessions go to valid and test, and only a third one to train.
    keep: {session: split} of sessions dealt out before; they stay, and new ones bring the shares as near as they can.
    partial: a class with too few sessions gets as many of the splits as it can, train first.
    The same sessions and seed give the same splits on any machine and with any version of NumPy.
    Raises PhotoError when a session holds two classes or, unless partial, a class has too few sessions.
    """
    keep = keep or {}
    labels = table.groupby("session")["label"].unique()
    for session, found in labels.items():
        if len(found) > 1:
            raise PhotoError(f"Session {session} holds photographs of {' and '.join(sorted(found))}. "
                             "Give each class a session of its own.")
    split_of = {}
    for label, sessions in table.groupby("label")["session"].unique().items():
        splits, shares = SPLITS, fractions
        if label == OTHER and len(sessions) < len(SPLITS):
            splits, shares = SPLITS[1:], fractions[1:]
        short = len(splits) - len(sessions)
        if short > 0 and not partial:
            raise PhotoError(f"Class {label} has {len(sessions)} capture session{'s' * (len(sessions) > 1)} and needs "
                             f"at least {len(splits)}, one for each of {', '.join(splits)}: photograph {short} more.")
        # A hash shuffles alike everywhere, and a new session moves few of the old ones.
        shuffled = sorted((session for session in sessions if session not in keep),
                          key=lambda session: hashlib.sha256(f"{seed}/{session}".encode()).digest())
        kept = [keep[session] for session in sessions if session in keep]
        for i in reversed(range(1, len(splits))):
            count = max(1, round(len(sessions) * shares[i] / sum(shares))) - kept.count(splits[i])
            to_spare = len(shuffled) - sum(split not in kept for split in splits[:i])  # the others need one each
            for _ in range(min(count, to_spare)):
                split_of[shuffled.pop()] = splits[i]
        split_of.update(dict.fromkeys(shuffled, splits[0]))
    columns = COLUMNS + [c for c in table if c not in COLUMNS]
    return table.assign(split=table["session"].map({**split_of, **keep}))[columns]


def whole_sessions(table, most):
    """Rows of whole sessions, evenly spaced over those of each class and split, about `most` photographs; all where
    there are fewer.

    table: a DataFrame with the columns label, split and session.
    """
    step = max(1, math.ceil(len(table) / most))
    sessions = table.drop_duplicates("session")
    chosen = sessions[sessions.groupby(["label", "split"]).cumcount() % step == 0]["session"]
    return table[table["session"].isin(chosen)]


def read_photo(path, size=None):
    """A photograph as an upright 8-bit RGB PIL image.

    coreml_runtime.pictures.to_rgb says what becomes of EXIF rotation, transparency, 16 bits, CMYK and palettes.
    size: (width, height) in pixels; the picture is cropped in the middle to this aspect and resized (bilinear).
    Raises PhotoError: no such file, not a picture, truncated, smaller than MIN_SIDE pixels, floating point,
    HEIC without pillow-heif.
    """
    try:
        picture = decode(Path(path))
    except PhotoError as error:
        raise PhotoError(f"{path}: {error}") from None
    return picture if size is None else ImageOps.fit(picture, size, Image.Resampling.BILINEAR)


def decode(path, prepare=None):
    """A photograph as read_photo gives it; the messages of its PhotoErrors say what is wrong and do not name the file.

    path: a Path or a file opened for reading bytes.
    prepare: a function that is called with the opened PIL image before it is decoded. It may shrink it in place, or
    raise a PhotoError.
    """
    try:
        with Image.open(path) as picture:
            if prepare is not None:
                prepare(picture)
            picture.load()
            if picture.mode == "F":
                raise PhotoError("is a floating-point picture. Save it as 8-bit JPEG or PNG.")
            picture = to_rgb(picture)
    except FileNotFoundError:
        raise PhotoError("no such file.") from None
    except PhotoError:
        raise
    except Exception as error:  # Pillow's decoders raise nearly anything on a damaged file
        reason = "it is not a picture" if isinstance(error, Image.UnidentifiedImageError) else f"damaged: {error}"
        problem = f"cannot be read ({reason}). {FATAL['unreadable picture']}"
        if Path(getattr(path, "name", "")).suffix.lower() in HEIC_SUFFIXES and pillow_heif is None:
            problem = "is HEIC, which needs the package pillow-heif. Install it or save the photo as JPEG."
        raise PhotoError(problem) from None
    if min(picture.size) < MIN_SIDE:
        raise PhotoError(f"has {picture.width} x {picture.height} pixels; {MIN_SIDE} a side are the least. "
                         "Replace it or take it out.")
    return picture


def read_photos(folder, table, size):
    """The photographs of a table, in its order, as a uint8 array of shape (N, height, width, 3).

    size: (width, height) in pixels, as for read_photo, which also tells the errors.
    """
    width, height = size
    pictures = np.empty((len(table), height, width, 3), np.uint8)
    for i, file in enumerate(table["file"]):
        pictures[i] = read_photo(Path(folder) / file, size)
    return pictures


def check_health(folder):
    """What is wrong with a folder of photographs: a DataFrame with columns file, finding, advice; empty if all is well.

    Every picture is opened and decoded. Photographs count as the same when their upright pixels are the same.
    `finding` is a key of FATAL or of WARNINGS. Raises PhotoError only where there is no such folder.
    """
    return _examine(folder)[0]


def _examine(folder, pictures=True):
    """(what check_health returns, the table): the table is None where none can be read, and has no column `split` where
    its sessions are too few. pictures: whether to decode each picture."""
    folder = _existing(folder)
    has_csv = (folder / "photos.csv").exists()
    rows, table = [], None
    try:
        table = read_table(folder) if has_csv else find_photos(folder)
        if not has_csv:
            table = split_by_session(table)
    except PhotoError as error:
        rows.append(("photos.csv" if has_csv else folder.name, "table cannot be used", str(error)))
    rows += _folder_findings(folder, table if has_csv else None)
    if table is not None:
        rows += _table_findings(folder, table)
        rows += _picture_findings(folder, table) if pictures else []
    return pd.DataFrame(rows, columns=["file", "finding", "advice"]), table


def _finding(file, finding, detail=""):
    return str(file), finding, (detail + " " + {**FATAL, **WARNINGS}[finding]).strip()


def _folder_findings(folder, listing):
    """listing: the table of photos.csv, or None where the folders themselves are the table."""
    for class_folder in _class_folders(folder):
        if not any(p.suffix.lower() in SUFFIXES for p in _files(class_folder)):
            yield _finding(class_folder.name, "empty class folder")
    listed = None if listing is None else set(listing["file"])
    for path in _files(folder):
        file = path.relative_to(folder).as_posix()
        if path.suffix.lower() not in SUFFIXES:
            if path.parent != folder:  # beside the class folders lie photos.csv, a README, a licence
                yield _finding(file, "not a photograph")
        elif listed is not None and file not in listed:
            yield _finding(file, "not in photos.csv")


def _table_findings(folder, table):
    names = class_names(table)
    if len(names) < 2:
        yield _finding(folder.name, "only one class", f"Found only {', '.join(names) or OTHER}.")
    if "split" in table:
        for session, splits in table.groupby("session")["split"].unique().items():
            if len(splits) > 1:
                yield _finding(session, "session in two splits", f"It is in {' and '.join(sorted(splits))}.")
        for label, of_class in table.groupby("label"):
            missing = [split for split in (SPLITS[1:] if label == OTHER else SPLITS)
                       if split not in set(of_class["split"])]
            if missing:
                sessions = of_class["session"].nunique()
                yield _finding(label, "class missing from a split", (
                    f"Its {sessions} capture session{'s' * (sessions > 1)} leave{'s' * (sessions == 1)} none for "
                    f"{' and '.join(missing)}: photograph {len(missing)} more."))


def _picture_findings(folder, table):
    first = {}  # the first photograph with these pixels
    for row in table.to_dict("records"):
        if not (folder / row["file"]).is_file():
            yield _finding(row["file"], "no such file", "photos.csv lists it.")
            continue
        try:
            picture = decode(folder / row["file"])
        except PhotoError as error:
            yield row["file"], "unreadable picture", f"It {error}"
            continue
        twin = first.setdefault((picture.size, hashlib.sha256(picture.tobytes()).digest()), row)
        if twin["label"] != row["label"]:
            yield _finding(row["file"], "same photo in two classes", f"It is also {twin['file']}.")
        elif twin.get("split") != row.get("split"):
            yield _finding(row["file"], "same photo in two splits", f"In {twin['split']} it is {twin['file']}.")


def require_healthy(folder, pictures=True):
    """The table of a folder. Raises PhotoError, naming the first file and what to do, when check_health finds anything
    fatal. pictures: whether to decode each picture, which an import of this very moment has done (Report.all_new)."""
    findings, table = _examine(folder, pictures)
    fatal = findings[findings["finding"].isin(list(FATAL))]
    if len(fatal):
        first = fatal.iloc[0]
        more = f" ({len(fatal) - 1} more: python -m utils.photos {folder})" if len(fatal) > 1 else ""
        raise PhotoError(f"{first['file']}: {first['finding']}. {first['advice']}{more}")
    return table


def summary(table):
    """Capture sessions and photographs, class by split: a DataFrame of strings such as "24 / 192"."""
    counts = table.groupby(["label", "split"]).agg(sessions=("session", "nunique"), photos=("file", "size"))
    text = counts.apply(lambda row: f"{row['sessions']} / {row['photos']}", axis=1)
    return text.unstack(fill_value="-").reindex(columns=list(SPLITS), fill_value="-")


def checksum(folder):
    """SHA-256, as hex digits, over every file below a folder: its relative name, a zero byte, its own SHA-256, in the
    names' order. data/README.md states it for data/tabletop."""
    digest = hashlib.sha256()
    for path in sorted(_files(Path(folder)), key=lambda p: p.relative_to(folder).as_posix()):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


@command
def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m utils.photos", description="Check a folder of photographs.")
    parser.add_argument("folder", metavar="DIR", help="holds one folder per class, or a photos.csv")
    findings, table = _examine(parser.parse_args(arguments).folder)
    if table is not None and "split" in table:
        print("capture sessions / photographs", summary(table).to_string(), sep="\n", end="\n\n")
    fatal = findings["finding"].isin(list(FATAL))
    for (_, row), is_fatal in zip(findings.iterrows(), fatal):
        print(f"[{'FAIL' if is_fatal else 'note'}] {row['file']}: {row['finding']}. {row['advice']}")
    if findings.empty:
        print("[OK] nothing found wrong")
    return int(fatal.any())


if __name__ == "__main__":
    sys.exit(main())
