"""The collection: the folder that all importers write, its two tables, its duplicates, its sessions, and the report."""
import collections
import contextlib
import datetime
import itertools
import os
import re
import sys
import time
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

import filelock
import numpy as np
import pandas as pd
from tqdm import tqdm

from utils import photos
from utils.capture.picture import hash_bits, thumbnail
from utils.command_line import CourseError
from utils.files import written_whole
from utils.lesson import one_line
from utils.photos import PhotoError

EXTRAS = ["source", "author", "licence", "taken", "id", "phash"]
SESSION_GAP = 120  # seconds without a photograph of the class, after which a new session begins
SAVE_EVERY = 15  # seconds; a power cut costs no more than this

# Two pictures are nearly the same when so few of the 64 bits of one of their perceptual hashes differ, and when their
# colours, averaged over 16 x 16 fields, differ by so few levels of 255 in the mean; they are the same picture saved
# twice when no field differs by more. Measured on data/tabletop: a JPEG of quality 40 differs from its original by 2
# bits and 16 levels at most, a picture moved by 1 % of its width typically by 2 bits and 3 levels in the mean. No two
# of its photographs are nearly the same.
NEAR_BITS, NEAR_LEVELS, SAME_LEVELS = 6, 8, 16


class ImportStopped(CourseError):
    """The disk, the network or a server fails, not one picture. What was taken is saved; a later run goes on."""


@dataclass
class Report:
    """What an import did, to be printed.

    taken: {label: photographs}. already: how many were there before. set_aside: [(file, reason)]. notes: what else to
    know. table: all photographs in `out`, as photos.read_table gives them; None when there are none.
    """

    out: Path
    taken: dict = field(default_factory=collections.Counter)
    already: int = 0
    set_aside: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    table: pd.DataFrame = field(default=None, repr=False)

    @property
    def all_new(self):
        """Whether this very import has decoded, compared and written every photograph of the table."""
        return self.table is not None and sum(self.taken.values()) == len(self.table)

    def __str__(self):
        by_class = ", ".join(f"{label} {count}" for label, count in sorted(self.taken.items()) if count)
        paragraphs = [f"{self.out}: {sum(self.taken.values())} taken{by_class and f' ({by_class})'}, "
                      f"{self.already} there already, {len(self.set_aside)} set aside."]
        if self.table is not None:
            counts = photos.summary(self.table).to_string()
            paragraphs.append(f"In all, capture sessions / photographs:\n{counts}")
        if self.set_aside:
            paragraphs.append(self._reasons())
        if self.notes:
            paragraphs.append("\n".join(f"Note: {note}" for note in self.notes))
        return "\n\n".join(paragraphs)

    def _reasons(self):
        """How many were set aside for each kind of reason, with three files as examples."""
        kinds = collections.defaultdict(list)
        for file, reason in self.set_aside:
            kind, _, detail = reason.partition(": ")
            kinds[kind].append(f"       {file}: {detail}")
        lines = [f"Set aside, each with its reason in {self.out / 'set_aside.csv'}:"]
        for kind, files in sorted(kinds.items()):
            lines += [f"{len(files):5}  {kind}", *files[:3]]
            if len(files) > 3:
                lines.append("       …")
        return "\n".join(lines)


@contextlib.contextmanager
def collecting(out, gap=SESSION_GAP):
    """The Collection of a folder, made on demand, saved at the end, also an unhappy one, and locked until then.

    Raises PhotoError when the folder holds something else or another import is writing to it, ImportStopped when it
    cannot be written.
    """
    if out.exists() and not out.is_dir():
        raise PhotoError(f"{out}: is a file. Name a folder.")
    if out.is_dir() and not (out / "set_aside.csv").exists() and any(not p.name.startswith(".") for p in out.iterdir()):
        raise PhotoError(f"{out}: holds files that were not imported. Name a new folder, or one that an import made.")
    with _stopping(out):
        out.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(out / ".lock")
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            raise PhotoError(f"{out}: another import is writing to it. Wait until it has finished.") from None
        except NotImplementedError:  # some network drives have no locks
            pass
    try:
        collection = Collection(out, gap)
        collection.save()  # before the first picture, so that set_aside.csv marks an interrupted import, too
        try:
            yield collection
        finally:
            collection.finish()
    finally:
        lock.release()


@contextlib.contextmanager
def _stopping(path):
    """Makes an ImportStopped of an OSError while something is written to `path`."""
    try:
        yield
    except OSError as error:
        raise ImportStopped(f"{path}: cannot be written ({error.strerror or error}). Make room or change the "
                            "permissions, and run the import again: it goes on where it stopped.") from None


@contextlib.contextmanager
def _saved_whole(path):
    """files.written_whole, whose OSErrors become ImportStopped."""
    with _stopping(path), written_whole(path) as unfinished:
        yield unfinished


class Collection:
    """The folder `out` during an import.

    rows: {id: row of the table}. reasons: {source: why it was set aside}. report: the Report of this import.
    """

    def __init__(self, out, gap):
        self.out, self.gap, self.report = out, gap, Report(out)
        listed = self._read("photos.csv")
        there = [row for row in listed if (out / row["file"]).is_file()]
        if len(there) < len(listed):
            self.report.notes.append(f"{len(listed) - len(there)} pictures were gone from {out} and left its table; "
                                     "importing their originals again brings them back.")
        self.rows = {}
        for row in there:  # one that was added by hand has no id, or that of the row it was copied from
            self.rows[row["id"] if row["id"] and row["id"] not in self.rows else row["file"]] = row
        self.splits = {row["session"]: row["split"] for row in listed}
        self.reasons = {row["file"]: row["reason"] for row in self._read("set_aside.csv")}
        self.new = set()  # ids
        # What a new picture is compared with: rows, their hashes in the same order, thumbnails by id, made on demand.
        self.compared = [row for row in there if re.fullmatch("p[0-9a-f]{16}d[0-9a-f]{16}", row["phash"])]
        self.hashes = hash_bits(self.compared)
        self.thumbnails = {}

    def _read(self, name):
        if not (self.out / name).exists():
            return []
        if name == "photos.csv":
            photos.read_table(self.out)  # for its sentences; it takes a column of digits for numbers
        try:
            table = pd.read_csv(self.out / name, dtype=str, keep_default_na=False, encoding="utf-8-sig")
            table = table.reindex(columns=list(dict.fromkeys([*table, *EXTRAS])), fill_value="")
            return table.to_dict("records") if name == "photos.csv" else table[["file", "reason"]].to_dict("records")
        except (ValueError, KeyError):
            raise PhotoError(f"{self.out / name}: is not the table that an import has written. Remove it.") from None

    def has(self, id, source, label):
        row = self.rows.get(id)
        return row is not None and (row["source"], row["label"]) == (source, label)

    def set_aside(self, source, reason):
        self.reasons[source] = reason = " ".join(str(reason).split())  # some decoders' messages have several lines
        self.report.set_aside.append((source, reason))

    def receive(self, source, outcome):
        """Takes in a Picture, or notes a PhotoError, or None for what was there. Returns whether the table has it."""
        if time.monotonic() - self.saved > SAVE_EVERY:
            self.save()
        if isinstance(outcome, PhotoError):
            self.set_aside(source, outcome)
            return False
        if outcome is None:
            self.report.already += 1
            self.reasons.pop(source, None)
            return True
        return self._receive_picture(outcome)

    def _receive_picture(self, picture):
        row = picture.row
        before = self.rows.get(row["id"])
        if before is not None and (before["source"] == row["source"] or not self._exists(before["source"])):
            self._remove(before)  # moved to another folder: where it is now counts
            self.hashes = self.hashes[[other is not before for other in self.compared]]
            self.compared = [other for other in self.compared if other is not before]
        duplicate = self._duplicate_of(picture)
        if duplicate is None:
            self._add(picture)
        elif duplicate["label"] == row["label"]:
            self.set_aside(row["source"], f"near-duplicate: It is nearly the same picture as {duplicate['file']}.")
        else:
            self._set_both_aside(row, duplicate)
            self._compare_with(picture)  # a third of the kind is recognised, too
            self.thumbnails[row["id"]] = picture.thumbnail  # no copy to look at
        return duplicate is None

    def _add(self, picture):
        row = picture.row
        with _saved_whole(self.out / row["file"]) as unfinished:
            unfinished.write_bytes(picture.jpeg)
        self.rows[row["id"]] = row
        self.new.add(row["id"])
        self.report.taken[row["label"]] += 1
        self.reasons.pop(row["source"], None)
        self._compare_with(picture)

    def _remove(self, row):
        """Takes a row and its copy out; its original is there."""
        del self.rows[row["id"]]
        (self.out / row["file"]).unlink(missing_ok=True)

    def _compare_with(self, picture):
        """From now on, further pictures are compared with this one."""
        self.compared.append(picture.row)
        self.hashes = np.concatenate([self.hashes, hash_bits([picture.row])])

    def _duplicate_of(self, picture):
        """The row of the same picture in another class, else of a near-duplicate in its own class, else None."""
        near, row = None, picture.row
        bits = np.bitwise_count(self.hashes ^ hash_bits([row])).min(axis=1)
        for i in np.flatnonzero(bits <= NEAR_BITS):
            other = self.compared[i]
            thumbnail_of_other = self._thumbnail(other)
            if thumbnail_of_other is None:
                continue
            levels = abs(thumbnail_of_other - picture.thumbnail)
            if other["label"] != row["label"]:
                if levels.max() <= SAME_LEVELS:
                    return other
            elif near is None and levels.mean() <= NEAR_LEVELS and self.rows.get(other["id"]) is other:
                near = other
        return near

    def _thumbnail(self, row):
        """The thumbnail of a row's copy, also where the original is at hand: a later run has to judge the same way.
        None when the copy cannot be read."""
        if row["id"] not in self.thumbnails:
            try:
                copy = photos.decode(self.out / row["file"], prepare=lambda picture: picture.draft("RGB", (128, 128)))
                self.thumbnails[row["id"]] = thumbnail(copy)
            except PhotoError:  # damaged since; check_health tells
                self.thumbnails[row["id"]] = None
        return self.thumbnails[row["id"]]

    def _set_both_aside(self, row, other):
        """Sets a picture aside that is in two classes, and the other one unless an earlier import has taken that."""
        def reason(twin):
            return (f"same photo in two classes: In class {twin['label']} it is {twin['source']}. "
                    + photos.FATAL["same photo in two classes"])

        self.set_aside(row["source"], reason(other))
        if other["id"] in self.new and self.rows.get(other["id"]) is other:
            self._remove(other)
            self.report.taken[other["label"]] -= 1
            self.set_aside(other["source"], reason(row))

    def _exists(self, source):
        path = source if "#t=" not in source else source.rpartition("#t=")[0]
        return "://" in source or os.path.lexists(self.out.resolve() / path)

    def note_missing(self, folder, sources):
        """Forgets what was set aside from a folder and has left it; notes how much was taken and has left it.

        sources: what is in the folder now.
        """
        def has_left(source):
            return source.startswith(inside) and source not in sources and not self._exists(source)

        inside = relative_source(folder, self.out) + "/"
        self.reasons = {source: reason for source, reason in self.reasons.items() if not has_left(source)}
        gone = [row["file"] for row in self.rows.values() if has_left(row["source"])]
        if gone:
            self.report.notes.append(f"{len(gone)} photographs, among them {gone[0]}, are no longer in {folder}. They "
                                     f"stay in {self.out}; to be rid of them, import into a new folder.")

    def save(self):
        """Writes both tables, whole or not at all, and completes the report."""
        rows = with_sessions([dict(row) for row in self.rows.values()], self.gap)
        if rows:
            table = pd.DataFrame(rows).fillna("").sort_values("file", ignore_index=True)
            table = photos.split_by_session(table, keep=self.splits, partial=True)
            self.report.table = table
            with _saved_whole(self.out / "photos.csv") as unfinished:
                table.to_csv(unfinished, index=False)
        with _saved_whole(self.out / "set_aside.csv") as unfinished:
            pd.DataFrame(sorted(self.reasons.items()), columns=["file", "reason"]).to_csv(unfinished, index=False)
        self.saved = time.monotonic()

    def finish(self):
        self.save()
        names = photos.class_names(self.report.table) if self.rows else []
        if len(names) == 1:
            self.report.notes.append(f"There is only one class, {names[0]}; a classifier needs two or more.")


def with_sessions(rows, gap):
    """Fills in the sessions of photographs that no folder and no earlier import has given one.

    Per class, a pause of more than `gap` seconds divides. Where some of what lies between two pauses has a session, the
    others join the nearest in time; otherwise the session is called after its first photograph's time.
    """
    dated = sorted(((_time(row), row) for row in rows if _time(row)), key=lambda shot: shot[0])
    series = collections.defaultdict(list)  # {label: [[(time, row) of one shot after the other], …]}
    for moment, row in dated:
        of_class = series[row["label"]]
        if not of_class or (moment - of_class[-1][-1][0]).total_seconds() > gap:
            of_class.append([])
        of_class[-1].append((moment, row))
    for shots in itertools.chain.from_iterable(series.values()):
        begin, first = shots[0]
        known = [(moment, row["session"]) for moment, row in shots if row["session"]]
        known = known or [(begin, f"{first['label']}/{begin:%Y-%m-%d %H.%M.%S}")]
        for moment, row in shots:
            row["session"] = row["session"] or min(known, key=lambda other: abs(other[0] - moment))[1]
    return rows


def _time(row):
    try:
        return datetime.datetime.fromisoformat(row["taken"])
    except ValueError:  # empty, or rewritten by a spreadsheet
        return None


def as_label(name):
    """A folder's or a user's name for a class as the table has it: composed accents, single spaces.

    Raises PhotoError when no folder can be called so.
    """
    label = " ".join(printable(unicodedata.normalize("NFC", str(name))).split())
    if not label or label.startswith(".") or re.search(r"[/\\]", label) or len(label.encode()) > 200:
        raise PhotoError(f"{one_line(name, 60)!r} cannot be the label of a class: it becomes a folder's name, not "
                         "empty, not beginning with a dot and without slashes.")
    return label


def printable(text):
    """Text without what breaks a line or cannot be written as UTF-8: a file may be called like that."""
    return "".join(c.encode("unicode_escape").decode() if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") else c
                   for c in text)


def relative_source(path, out):
    """A path relative to `out`, with forward slashes: it holds as long as both stay where they are to each other."""
    path = Path(path)
    path = path.parent.resolve() / path.name if path.name not in ("", "..") else path.resolve()
    try:
        return printable(Path(os.path.relpath(path, out.resolve())).as_posix())
    except ValueError:  # another drive of a Windows computer
        return printable(path.as_posix())


def progress_bar(progress, **options):
    """A progress bar on stderr, whatever TQDM_DISABLE says: silence.quiet sets it for the libraries' own bars."""
    return tqdm(disable=not progress, leave=False, mininterval=0.5 if sys.stderr.isatty() else 30, **options)
