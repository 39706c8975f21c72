"""Photographs: a folder that has one folder per class becomes a collection."""
import collections
import datetime
import functools
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from utils import photos
from utils.capture.collection import SESSION_GAP, as_label, collecting, printable, progress_bar, relative_source
from utils.capture.picture import Picture, sha256, shrink
from utils.capture.video import SUFFIXES as VIDEO_SUFFIXES
from utils.photos import PhotoError


def import_photos(folder, out, gap=SESSION_GAP, progress=True):
    """Copies the photographs of a folder that has one folder per class into `out`. Returns a Report.

    A folder inside a class folder is a capture session. Photographs that lie directly in their class folder are divided
    where more than `gap` seconds passed between two of them; one that does not say when it was taken is a session of
    its own. Near-duplicates within a class are set aside, and so is, in both places, a picture that is in two classes.
    progress: whether to show a bar on stderr.
    Raises PhotoError: before anything is written when `folder` or `out` cannot be used or a class folder is empty;
    after all others were taken when none of a class's photographs can be used. ImportStopped: the disk is full.
    """
    folder, out = Path(folder), Path(out)
    originals, unusable = _scan(folder, out)
    with collecting(out, gap) as collection:
        for source, reason in unusable.items():
            collection.set_aside(source, reason)
        with progress_bar(progress, total=len(originals), desc="photographs", unit="photo") as bar, \
                warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, about oddities that it copes with
            for original, outcome in map_in_order(functools.partial(_read, collection=collection), originals):
                collection.receive(original.source, outcome)
                bar.update()
        collection.note_missing(folder, {original.source for original in originals} | set(unusable))
    report = collection.report
    undated = {original.source for original in originals if not original.session}
    count = sum(not row["taken"] and row["source"] in undated for row in collection.rows.values())
    if count:
        report.notes.append(f"{count} photographs do not say when they were taken: each counts as a capture session of "
                            "its own. Put those of one scene into a folder inside their class folder.")
    _require_every_class(folder, originals, collection)
    return report


@dataclass(frozen=True)
class _Original:
    path: Path
    source: str  # the path as the table states it
    label: str
    session: str  # empty when no folder says


def _scan(folder, out):
    """([_Original], {source: reason}) of a folder: its photographs in order, and what is none.

    Raises PhotoError when the folder or `out` is none, one lies in the other, or a class has no photographs.
    """
    _require_separate(folder, out)
    originals, unusable, classes = [], {}, collections.Counter()
    for path in _walk(folder, lambda path, reason: unusable.update({relative_source(path, out): reason})):
        parts, source = path.relative_to(folder).parts, relative_source(path, out)
        is_photo, is_video = path.suffix.lower() in photos.SUFFIXES, path.suffix.lower() in VIDEO_SUFFIXES
        if len(parts) == 1:
            if is_photo or is_video:  # a README or a licence may lie there
                unusable[source] = "in no class folder: Put it into the folder of its class."
            continue
        label = as_label(parts[0])
        if is_photo:
            classes[label] += 1
            session = "/".join([label, *map(printable, parts[1:-1])]) if len(parts) > 2 else ""
            originals.append(_Original(path, source, label, session))
        elif is_video:
            unusable[source] = "video: Import it with python -m utils.capture video."
        else:
            unusable[source] = "not a photograph: " + photos.WARNINGS["not a photograph"]
    for name in sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        if not classes[as_label(name)]:
            empty = f"empty class folder. {photos.FATAL['empty class folder']}"
            raise PhotoError(f"{folder / name}: {unusable.get(relative_source(folder / name, out), empty)}")
    if not originals:
        raise PhotoError(f"{folder}: no photographs found. Put them into one folder a class, for example "
                         f"{folder.name}/relay/photo.jpg.")
    return originals, unusable


def _require_separate(folder, out):
    """Raises PhotoError when the folder of the originals is none, is a collection, or lies in `out` or around it."""
    if not folder.is_dir():
        raise PhotoError(f"{folder}: no such folder. Name a folder that holds one folder of photographs a class.")
    inner, outer = out.resolve(), folder.resolve()
    if inner == outer or inner in outer.parents or outer in inner.parents:
        raise PhotoError(f"{out}: lies in the folder of the originals, {folder}, or the other way round. "
                         "Name an output folder beside it.")
    if (folder / "photos.csv").exists():
        raise PhotoError(f"{folder}: has a photos.csv already. It can be used as it is; to import the pictures all the "
                         "same, copy the class folders without photos.csv.")


def _walk(folder, refuse):
    """Yields the files below a folder in order, hidden ones left out. What it does not enter goes to
    refuse(path, reason)."""
    def unreadable(error):
        refuse(Path(error.filename), f"unreadable folder: {error.strerror}. Change its permissions.")

    for place, folders, files in os.walk(folder, onerror=unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in folders:
            if os.path.islink(os.path.join(place, name)):
                refuse(Path(place, name), "link to a folder: Links are not followed; put the folder itself there.")
        yield from (Path(place, name) for name in sorted(files) if not name.startswith("."))


def _read(original, collection):
    """A Picture of an _Original; None when it is in the collection already; a PhotoError when it cannot be used."""
    try:
        content = sha256(original.path)
        if collection.has(content, original.source, original.label):
            return None
        picture = photos.decode(original.path, prepare=shrink)
    except PhotoError as error:
        return PhotoError(f"unreadable picture: It {error}")
    taken = _time_taken(picture)
    name = f"{original.label}/{printable(original.path.name)}"
    return Picture(picture, original.path.stem, label=original.label, source=original.source, id=content, taken=taken,
                   session=original.session or ("" if taken else name))


def _time_taken(picture):
    """DateTimeOriginal of the EXIF data as "2024-05-01 14:03:09", or an empty string."""
    try:
        text = str(picture.getexif().get_ifd(0x8769)[0x9003])  # the Exif sub-folder; CIPA DC-008
        return str(datetime.datetime.strptime(text.strip("\0 "), "%Y:%m:%d %H:%M:%S"))
    except Exception:  # missing, or damaged in one of the many ways that Pillow's reader trips over
        return ""


def map_in_order(function, items, workers=2, ahead=8):
    """Yields (item, function(item)) in the items' order. Two threads work, at most `ahead` items before the caller.

    Pillow decodes, resizes and encodes without holding Python's lock: two threads are as fast as two processes.
    """
    with ThreadPoolExecutor(workers) as pool:
        waiting = collections.deque()
        for item in items:
            waiting.append((item, pool.submit(function, item)))
            if len(waiting) > ahead:
                item, outcome = waiting.popleft()
                yield item, outcome.result()
        for item, outcome in waiting:
            yield item, outcome.result()


def _require_every_class(folder, originals, collection):
    """Raises PhotoError when nothing of a class is in the collection, with the reason of its first photograph."""
    usable = {row["label"] for row in collection.rows.values()}
    for original in originals:
        if original.label not in usable:
            reason = collection.reasons.get(original.source)
            raise PhotoError(f"Class {original.label}: none of its photographs in {folder} can be used. "
                             f"{printable(original.path.name)}: {reason} All reasons are in "
                             f"{collection.out / 'set_aside.csv'}.")
