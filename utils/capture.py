"""Phone photographs, phone videos and Wikimedia Commons into one folder that utils.photos reads.

`python -m utils.capture photos DIR --out OUT` takes photographs, one folder a class; `video FILE --label L --out OUT`
the sharp frames of a video; `commons QUERY --label L --out OUT` freely licensed photographs from Wikimedia Commons. All
write the same form: upright JPEGs without metadata in OUT/<label>/, and OUT/photos.csv. After its file, label, session
and split follow

| column | what it says |
| --- | --- |
| `source` | the original: its path as seen from OUT, with `#t=` seconds for a frame of a video; or its Commons page |
| `author`, `licence` | of a picture from Commons |
| `taken` | when, by the phone's clock; empty where the file does not say |
| `id` | SHA-256 of the original's bytes, with `#t=` seconds for a frame: what was imported is not imported again |
| `phash` | two perceptual hashes, each 16 hex digits behind a letter: p of its cosine transform, d of its gradients |

What is not taken is listed with its reason in OUT/set_aside.csv. Originals are only read. An interrupted import goes on
when it is run again, and a later one adds what is new. A session keeps the split that it was once given.
"""
import argparse
import collections
import contextlib
import datetime
import email.utils
import functools
import hashlib
import html
import io
import json
import os
import re
import stat
import sys
import time
import unicodedata
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import av
import filelock
import imagehash
import numpy as np
import pandas as pd
import requests
import urllib3
from PIL import Image, ImageCms
from tqdm import tqdm

from utils import photos
from utils.files import written_whole
from utils.lesson import one_line
from utils.photos import PhotoError

EXTRAS = ["source", "author", "licence", "taken", "id", "phash"]
VIDEO_SUFFIXES = {".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".3gp"}
VIDEO_FORMATS = {"mov", "matroska", "avi", "mpeg", "mpegts", "asf", "flv", "ogg"}  # as FFmpeg names them
ANIMATED = {"GIF", "PNG", "WEBP"}  # formats whose further frames are not spare pictures of the same photograph
LONG_SIDE = 1024  # pixels of a copy, at most
DRAFT_SIDE = 896  # a JPEG is decoded at 1/2, 1/4 or 1/8 where that leaves this much: 4032 pixels become 1008
MAX_PIXELS = 64e6  # that are decoded in full: 192 MB in RGB, two pictures at a time
SESSION_GAP = 120  # seconds without a photograph of the class, after which a new session begins
SAVE_EVERY = 15  # seconds; a power cut costs no more than this

# Two pictures are nearly the same when so few of the 64 bits of one of their perceptual hashes differ, and when their
# colours, averaged over 16 x 16 fields, differ by so few levels of 255 in the mean; they are the same picture saved
# twice when no field differs by more. Measured on data/tabletop: a JPEG of quality 40 differs from its original by 2
# bits and 16 levels at most, a picture moved by 1 % of its width typically by 2 bits and 3 levels in the mean. No two
# of its photographs are nearly the same.
NEAR_BITS, NEAR_LEVELS, SAME_LEVELS = 6, 8, 16

COMMONS_API = "https://commons.wikimedia.org/w/api.php"
FREE_LICENCE = re.compile(r"CC0\b.*|Public domain|PD\b.*|CC[ -]BY([ -]SA)?[ -]\d(?!.*\bN[CD]\b).*", re.IGNORECASE)
THUMB_WIDTH = 1280  # pixels; a width that Wikimedia keeps ready
MAX_DOWNLOAD = 25_000_000  # bytes
MAX_SECONDS = 120  # for one download, and the longest wait that a server may ask for
TRIES = 5


class ImportStopped(PhotoError):
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

    def __str__(self):
        by_class = ", ".join(f"{label} {count}" for label, count in sorted(self.taken.items()) if count)
        lines = [f"{self.out}: {sum(self.taken.values())} taken{by_class and f' ({by_class})'}, "
                 f"{self.already} there already, {len(self.set_aside)} set aside."]
        if self.table is not None:
            lines += ["", "In all, capture sessions / photographs:", photos.summary(self.table).to_string()]
        if self.set_aside:
            lines += ["", f"Set aside, each with its reason in {self.out / 'set_aside.csv'}:"]
        kinds = collections.defaultdict(list)
        for file, reason in self.set_aside:
            kind, _, detail = reason.partition(": ")
            kinds[kind].append(f"       {file}: {detail}")
        for kind, found in sorted(kinds.items()):
            lines += [f"{len(found):5}  {kind}", *found[:3], *["       …"][:len(found) - 3]]
        return "\n".join([*lines, *[""][:len(self.notes)], *(f"Note: {note}" for note in self.notes)])


# Photographs

def import_photos(folder, out, gap=SESSION_GAP, progress=True):
    """Copies the photographs of a folder that has one folder a class into `out`. Returns a Report.

    A folder inside a class folder is a capture session. Photographs that lie directly in their class folder are divided
    where more than `gap` seconds passed between two of them; one that does not say when it was taken is a session of
    its own. Near-duplicates within a class are set aside, and so is, in both places, a picture that is in two classes.
    progress: whether to show a bar on stderr.
    Raises PhotoError: before anything is written when `folder` or `out` cannot be used or a class folder is empty;
    after all others were taken when none of a class's photographs can be used. ImportStopped: the disk is full.
    """
    folder, out = Path(folder), Path(out)
    originals, refused = _scan(folder, out)
    with _collecting(out, gap) as collection:
        for source, reason in refused.items():
            collection.refuse(source, reason)
        with _bar(progress, total=len(originals), desc="photographs", unit="photo") as bar, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, about oddities that it copes with
            for original, answer in _in_order(functools.partial(_read_photo, collection=collection), originals):
                collection.receive(original.source, answer)
                bar.update()
        collection.compare(folder, {original.source for original in originals} | set(refused))
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
    if not folder.is_dir():
        raise PhotoError(f"{folder}: no such folder. Name a folder that holds one folder of photographs a class.")
    inner, outer = out.resolve(), folder.resolve()
    if inner == outer or inner in outer.parents or outer in inner.parents:
        raise PhotoError(f"{out}: lies in the folder of the originals, {folder}, or the other way round. "
                         "Name an output folder beside it.")
    if (folder / "photos.csv").exists():
        raise PhotoError(f"{folder}: has a photos.csv already. It can be used as it is; to import the pictures all the "
                         "same, copy the class folders without photos.csv.")
    originals, refused, classes = [], {}, {}
    for path in _walk(folder, lambda path, reason: refused.update({_seen_from(out, path): reason})):
        parts = path.relative_to(folder).parts
        is_photo = path.suffix.lower() in photos.SUFFIXES
        if len(parts) == 1:
            if is_photo or path.suffix.lower() in VIDEO_SUFFIXES:  # a README or a licence may lie there
                refused[_seen_from(out, path)] = "in no class folder: Put it into the folder of its class."
            continue
        label = as_label(parts[0])
        classes[label] = classes.get(label, 0) + is_photo
        if is_photo:
            session = "/".join([label, *map(_printable, parts[1:-1])]) if len(parts) > 2 else ""
            originals.append(_Original(path, _seen_from(out, path), label, session))
        elif path.suffix.lower() in VIDEO_SUFFIXES:
            refused[_seen_from(out, path)] = "video: Import it with python -m utils.capture video."
        else:
            refused[_seen_from(out, path)] = "not a photograph: " + photos.WARNINGS["not a photograph"]
    for name in sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        if not classes.get(as_label(name)):
            empty = f"empty class folder. {photos.FATAL['empty class folder']}"
            raise PhotoError(f"{folder / name}: {refused.get(_seen_from(out, folder / name), empty)}")
    if not originals:
        raise PhotoError(f"{folder}: no photographs found. Put them into one folder a class, for example "
                         f"{folder.name}/relay/photo.jpg.")
    return originals, refused


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


def _read_photo(original, collection):
    """A _Picture of an _Original; None when it is in the collection already; a PhotoError when it cannot be used."""
    try:
        content = _sha256(original.path)
        if collection.has(content, original.source, original.label):
            return None
        picture = photos.decode(original.path, prepare=_shrink)
    except PhotoError as error:
        return PhotoError(f"unreadable picture: It {error}")
    taken = _time_taken(picture)
    name = f"{original.label}/{_printable(original.path.name)}"
    return _Picture(picture, original.path.stem, label=original.label, source=original.source, id=content, taken=taken,
                    session=original.session or ("" if taken else name))


def _sha256(path):
    """SHA-256 of a file as hex digits. Raises PhotoError when it cannot be read, is empty or is no plain file."""
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise PhotoError("is not a plain file. Take it out.")  # opening a pipe would wait for ever
        if status.st_size == 0:
            raise PhotoError("is empty (0 bytes). Copy it again from the phone or the card.")
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise PhotoError(f"cannot be opened ({error.strerror}). Check the file and its permissions.") from None


def _shrink(picture):
    """Decodes an opened PIL image in place, no larger than needed and in sRGB. Raises PhotoError."""
    if picture.format in ANIMATED and getattr(picture, "is_animated", False):
        raise PhotoError("is animated. Save the frame that you want as JPEG or PNG.")
    scale = DRAFT_SIDE / max(picture.size)
    picture.draft("RGB", [max(1, round(side * scale)) for side in picture.size])  # JPEG only; others ignore it
    if picture.width * picture.height > MAX_PIXELS:
        raise PhotoError(f"has {picture.width} x {picture.height} pixels, more than {MAX_PIXELS / 1e6:.0f} million. "
                         "Save it smaller.")
    picture.load()
    if picture.mode in ("RGB", "RGBA", "L", "LA", "CMYK"):  # palettes and 16 bits have to be converted first
        picture.thumbnail((LONG_SIDE, LONG_SIDE))
    profile = picture.info.get("icc_profile")
    if profile and picture.mode == "RGB":  # an iPhone's is Display P3: without its profile the copy would look pale
        with contextlib.suppress(ImageCms.PyCMSError, OSError, ValueError):  # a damaged profile
            ImageCms.profileToProfile(picture, io.BytesIO(profile), ImageCms.createProfile("sRGB"), inPlace=True)


def _time_taken(picture):
    """DateTimeOriginal of the EXIF data as "2024-05-01 14:03:09", or an empty string."""
    try:
        text = str(picture.getexif().get_ifd(0x8769)[0x9003])  # the Exif sub-folder; CIPA DC-008
        return str(datetime.datetime.strptime(text.strip("\0 "), "%Y:%m:%d %H:%M:%S"))
    except Exception:  # missing, or damaged in one of the many ways that Pillow's reader trips over
        return ""


def _in_order(function, items, workers=2, ahead=8):
    """Yields (item, function(item)) in the items' order. Two threads work, at most `ahead` items before the caller.

    Pillow decodes, resizes and encodes without holding Python's lock: two threads are as fast as two processes.
    """
    with ThreadPoolExecutor(workers) as pool:
        waiting = collections.deque()
        for item in items:
            waiting.append((item, pool.submit(function, item)))
            if len(waiting) > ahead:
                item, answer = waiting.popleft()
                yield item, answer.result()
        for item, answer in waiting:
            yield item, answer.result()


def _require_every_class(folder, originals, collection):
    usable = {row["label"] for row in collection.rows.values()}
    for original in originals:
        if original.label not in usable:
            reason = collection.aside.get(original.source)
            raise PhotoError(f"Class {original.label}: none of its photographs in {folder} can be used. "
                             f"{_printable(original.path.name)}: {reason} All reasons are in "
                             f"{collection.out / 'set_aside.csv'}.")


# Videos

def import_video(file, label, out, every=1.0, progress=True):
    """Takes the sharpest frame (variance of the Laplacian) of each `every` seconds of a video. Returns a Report.

    Frames that look nearly as one taken before are set aside. All frames of a video are one capture session.
    progress: whether to show a bar on stderr.
    Raises PhotoError when the file is no video, no frame can be decoded, it was imported with another label, or `label`
    or `out` cannot be used.
    """
    file, out, label = Path(file), Path(out), as_label(label)
    if not file.is_file():
        raise PhotoError(f"{file}: no such file. Name a video.")
    if not every > 0:
        raise PhotoError(f"A moment of {every} seconds: name a number above 0.")
    with _collecting(out) as collection:
        source, frames = _seen_from(out, file), 0
        try:
            content = _sha256(file)
            other = next((row["label"] for row in collection.rows.values()
                          if row["id"].startswith(f"{content}#") and row["label"] != label), None)
            if other is not None:
                raise PhotoError(f"was imported as {other} before. Name that label, or import into a new folder.")
            for seconds, picture in _sharpest_frames(file, every, collection.report, progress):
                frames += 1
                moment = f"#t={seconds:.3f}"
                if collection.has(content + moment, source + moment, label):
                    collection.receive(source + moment, None)
                    continue
                collection.receive(source + moment, _Picture(
                    picture, file.stem, label=label, source=source + moment,
                    id=content + moment, session=f"{label}/{_printable(file.stem)}-{content[:8]}"))
            if not frames:
                raise PhotoError("has no readable frame. Copy it again from the phone, or save it as MP4.")
            collection.aside.pop(source, None)
        except ImportStopped:
            raise
        except PhotoError as error:
            collection.refuse(source, f"unusable video: It {error}")
            raise PhotoError(f"{file}: {error}") from None
    return collection.report


def _sharpest_frames(file, every, report, progress):
    """Yields (seconds, upright RGB PIL image) for each moment of a video. Damage is told in the report's notes.

    Raises PhotoError when it is no video.
    """
    try:
        container = av.open(f"file:{file}")  # "file:" so that no name is taken for an address
    except (av.FFmpegError, OSError, ValueError):
        raise PhotoError("is not a video that can be read. Copy it again from the phone, or save it as MP4.") from None
    with container:
        if not container.streams.video or not VIDEO_FORMATS & set(container.format.name.split(",")):
            raise PhotoError("is not a video: a picture or sound. Name a video.")
        duration = max(0, (container.duration or 0) / av.time_base)
        best = None  # (moment, sharpness, seconds, frame)
        with _bar(progress, total=round(duration) or None, desc=_printable(file.name), unit="s") as bar:
            for seconds, frame in _decoded(container, report):
                bar.update(max(0, round(seconds) - bar.n))
                moment, sharpness = seconds // every, _sharpness(frame)
                if best is not None and best[0] != moment:
                    yield best[2], _upright(best[3])
                    best = None
                if best is None or sharpness > best[1]:
                    best = moment, sharpness, seconds, frame
        if best is not None:
            yield best[2], _upright(best[3])


def _decoded(container, report):
    """Yields (seconds, frame) of a container's first video; what cannot be decoded is counted in a note."""
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    packets, damaged, count = container.demux(stream), 0, 0
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                break
            frames = packet.decode()
        except av.FFmpegError:
            damaged += 1
            continue
        for frame in frames:
            count += 1
            if (frame.is_corrupt or min(frame.width, frame.height) < photos.MIN_SIDE
                    or frame.width * frame.height > MAX_PIXELS):
                damaged += 1
            else:
                yield (frame.time if frame.time is not None else count / 30), frame
    if damaged:
        report.notes.append(f"The video is damaged: {damaged} pieces of it could not be decoded and were left out.")


def _sharpness(frame):
    """Variance of the Laplacian of a frame's brightness, at 640 pixels a side or less; 0 where all is one colour."""
    scale = min(1, 640 / max(frame.width, frame.height))
    size = {"width": max(3, round(frame.width * scale)), "height": max(3, round(frame.height * scale))}
    grey = frame.reformat(**size, format="gray").to_ndarray().astype(np.float32)
    return (grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1]).var()


def _upright(frame):
    picture = frame.to_image()
    picture.thumbnail((LONG_SIDE, LONG_SIDE))
    return picture.rotate(frame.rotation, expand=True) if frame.rotation else picture


# Wikimedia Commons

def import_commons(query, label, out, count=50, api=COMMONS_API, pause=1.0, contact=None, progress=True):
    """Takes up to `count` freely licensed photographs (CC0, public domain, CC BY, CC BY-SA) that a search of Wikimedia
    Commons finds. Returns a Report.

    Author, licence and page are in the table. Photographs of one author are one capture session. What is in the table
    already counts: the same search again takes nothing new.
    api: address of a MediaWiki API. pause: seconds between two requests, doubled with each failure.
    contact: an e-mail address or a page, sent along, where Wikimedia may complain.
    progress: whether to show a bar on stderr.
    Raises PhotoError when nothing is found or `label` or `out` cannot be used, and ImportStopped when the network, the
    server or the disk fails.
    """
    out, label = Path(out), as_label(label)
    if count < 1 or not query.strip():
        raise PhotoError("Name words to search for, and a count of 1 or more.")
    network, found, taken = _Network(pause, contact), 0, 0
    with _collecting(out) as collection, _bar(progress, total=count, desc=_printable(query), unit="photo") as bar:
        for info in _search(network, api, query):
            taken += collection.receive(info["descriptionurl"], _download(network, info, label, collection))
            bar.update(taken - bar.n)
            found += 1
            if taken == count:
                break
    if not found:
        raise PhotoError(f"Wikimedia Commons has no pictures for {query!r}. Search for other words, best in English.")
    if taken < count:
        collection.report.notes.append(f"Of {count} photographs asked for there are {taken}. Try other words, too.")
    return collection.report


def _search(network, api, query):
    """Yields the image info of what a search finds, best first: a dict with descriptionurl, thumburl, mime and
    extmetadata."""
    asked = {"action": "query", "format": "json", "formatversion": 2, "maxlag": 5,
             "generator": "search", "gsrsearch": f"{query} filetype:bitmap", "gsrnamespace": 6, "gsrlimit": 50,
             "prop": "imageinfo", "iiprop": "url|extmetadata|size|mime", "iiurlwidth": THUMB_WIDTH,
             "iiextmetadatafilter": "Artist|LicenseShortName"}
    more, seen = {}, set()
    while more is not None:
        answer = network.ask(api, {**asked, **more})
        for page in sorted(answer.get("query", {}).get("pages", []), key=lambda page: page.get("index", 0)):
            for info in page.get("imageinfo", []):  # a long answer comes in parts, and a part may leave it out
                if info.get("descriptionurl"):
                    yield info
        more = answer.get("continue")
        if str(more) in seen:
            raise ImportStopped(f"{api}: goes round in circles. Try again later.")
        seen.add(str(more))


def _download(network, info, label, collection):
    """A _Picture; None when it is in the collection already; a PhotoError when it cannot be used.

    Raises ImportStopped.
    """
    page, about = info["descriptionurl"], info.get("extmetadata", {})
    author, licence = (_plain(about.get(key, {}).get("value", "")) for key in ("Artist", "LicenseShortName"))
    before = next((row for row in collection.rows.values() if row["source"] == page), None)
    if before is not None:
        return None if before["label"] == label else PhotoError(
            f"same photo in two classes: It is also in class {before['label']}. Search for narrower words.")
    if not FREE_LICENCE.fullmatch(licence):
        return PhotoError(f"not freely licensed: Its licence is {licence or 'not stated'}.")
    if info.get("mime") not in ("image/jpeg", "image/png", "image/webp", "image/tiff"):
        return PhotoError(f"not a photograph: It is {info.get('mime')}.")
    try:
        content = network.get(info.get("thumburl") or info["url"])
        picture = photos.decode(io.BytesIO(content), prepare=_shrink)
    except ImportStopped:
        raise
    except PhotoError as error:
        return PhotoError(f"unreadable picture: It {error}")
    title = requests.utils.unquote(page.rpartition("/")[2]).partition(":")[2]
    return _Picture(picture, Path(title).stem, label=label, source=page, id=hashlib.sha256(content).hexdigest(),
                    session=f"{label}/Commons/{author or title}", author=author, licence=licence)


def _plain(text):
    """HTML as one line of plain text, of 200 characters at most."""
    return _printable(one_line(html.unescape(re.sub(r"<[^>]*>", " ", str(text))), 200))


class _Network:
    """Asks one thing at a time, says who is asking, waits when told to, and tries again when it fails."""

    def __init__(self, pause, contact):
        self.pause, self.session = pause, requests.Session()
        self.session.headers["User-Agent"] = (f"mobile-deployment-course/1.0 (utils.capture, teaching"
                                              f"{f'; {contact}' if contact else ''}) requests/{requests.__version__}")

    def ask(self, api, asked):
        """The answer of a MediaWiki API, a dict. Raises ImportStopped."""
        for wait in self._waits():
            try:
                answer = json.loads(self.get(api, asked))
                error = answer.get("error", {})
                code, info = error.get("code"), error.get("info", error)
                if not error and all(isinstance(page, dict) for page in answer.get("query", {}).get("pages", [])):
                    return answer
            except ImportStopped:
                raise
            except PhotoError as error:
                raise ImportStopped(f"{api}: {error}") from None
            except (ValueError, AttributeError):
                raise ImportStopped(f"{api}: what answers is not a MediaWiki API; perhaps the network wants a log-in "
                                    "first. Open a web page in the browser and try again.") from None
            if code not in ("maxlag", "ratelimited"):
                break
            time.sleep(wait)
        raise ImportStopped(f"{api}: answers {_plain(info)!r}. Try again later.")

    def get(self, url, asked=None):
        """The bytes at an address. Raises PhotoError when this one cannot be had, ImportStopped when none can."""
        host = url.partition("://")[2].partition("/")[0] or url
        for wait in self._waits():
            time.sleep(wait)
            try:
                with self.session.get(url, params=asked, stream=True, timeout=(10, 30)) as answer:
                    if answer.ok:
                        return _body(answer)
                    problem = f"{answer.status_code} {answer.reason}".strip()
                    if answer.status_code != 429 and answer.status_code < 500:
                        raise PhotoError(f"cannot be had ({host} answers {problem}).")
                    told = _retry_after(answer)
            except (requests.ConnectionError, requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema,
                    requests.exceptions.MissingSchema) as error:
                was_cut = any(isinstance(why, urllib3.exceptions.ProtocolError) for why in error.args)
                if not was_cut:
                    raise ImportStopped(f"{host} cannot be reached, and this import needs the network. Check the "
                                        "connection and run it again: it goes on where it stopped.") from None
                problem, told = "cut connection", 0
            except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                problem, told = f"interrupted transfer, {type(error).__name__}", 0
            if told > MAX_SECONDS:
                break
            time.sleep(max(0, told - wait))
        if told or problem.startswith("429"):
            seconds = f" of {told:.0f} seconds" if told else ""
            raise ImportStopped(f"{host} asks for a pause{seconds} ({problem}). Run the import again after it: it goes "
                                "on where it stopped.")
        raise PhotoError(f"cannot be had ({host}: {problem}, each time). Run the import again later.")

    def _waits(self):
        return [self.pause * 2 ** attempt for attempt in range(TRIES)]


def _retry_after(answer):
    """Seconds that a server asks to wait, as a number or as a date (RFC 9110, 10.2.3); 0 where it does not say."""
    text = answer.headers.get("Retry-After", "")
    try:
        if text.isdigit():
            return int(text)
        moment = email.utils.parsedate_to_datetime(text)
        return max(0, (moment - datetime.datetime.now(datetime.timezone.utc)).total_seconds())
    except (TypeError, ValueError):
        return 0


def _body(answer):
    """The body of an answer. Raises PhotoError when it is too large or too slow, urllib3's errors when it is cut."""
    too_large = f"is larger than {MAX_DOWNLOAD / 1e6:.0f} MB. Nothing is to be done: it is left out."
    length = answer.headers.get("Content-Length", "")
    if length.isdigit() and int(length) > MAX_DOWNLOAD:
        raise PhotoError(too_large)
    body, started = bytearray(), time.monotonic()
    while chunk := answer.raw.read1(65536, decode_content=True):
        body += chunk
        if len(body) > MAX_DOWNLOAD:  # whatever Content-Length says
            raise PhotoError(too_large)
        if time.monotonic() - started > MAX_SECONDS:
            raise PhotoError(f"takes longer than {MAX_SECONDS} seconds. Run the import again on a faster network.")
    return bytes(body)


# The folder that all three write

class _Picture:
    """A picture that may be taken in: its row of the table, its JPEG, and what it is compared by."""

    def __init__(self, picture, name, *, label, source, id, session, taken="", author="", licence=""):
        picture.info.clear()  # comment, XMP, EXIF with the place: the encoder would copy some of it
        picture.thumbnail((LONG_SIDE, LONG_SIDE))
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=90)
        self.jpeg, self.thumbnail = buffer.getvalue(), _thumbnail(picture)
        small = picture.reduce(max(1, min(picture.size) // 128))
        phash = f"p{imagehash.phash(small)}d{imagehash.dhash(small)}"
        words = re.sub(r"[^\w-]+", "_", unicodedata.normalize("NFC", name)).strip("_")[:40] or "photo"
        content, _, seconds = id.partition("#t=")
        file = f"{label}/{words}-{content[:10]}{seconds and f'-{float(seconds):08.3f}s'}.jpg"
        self.row = {"file": file, "label": label, "session": session, "split": "",
                    "source": source, "author": author, "licence": licence, "taken": taken, "id": id, "phash": phash}


def _thumbnail(picture):
    """A picture's colours, averaged over 16 x 16 fields: int16 of shape (16, 16, 3), 0 to 255."""
    return np.asarray(picture.resize((16, 16), Image.Resampling.BOX), np.int16)


def _bits(rows):
    """The two hashes of rows of the table: uint64 of shape (N, 2)."""
    hashes = [[int(row["phash"][1:17], 16), int(row["phash"][18:], 16)] for row in rows]
    return np.array(hashes, np.uint64).reshape(-1, 2)


@contextlib.contextmanager
def _collecting(out, gap=SESSION_GAP):
    """The _Collection of a folder, made on demand, saved at the end, also an unhappy one, and locked until then.

    Raises PhotoError when the folder holds something else, cannot be written, or another import is writing to it.
    """
    if out.exists() and not out.is_dir():
        raise PhotoError(f"{out}: is a file. Name a folder.")
    if out.is_dir() and not (out / "set_aside.csv").exists() and any(not p.name.startswith(".") for p in out.iterdir()):
        raise PhotoError(f"{out}: holds files that were not imported. Name a new folder, or one that an import made.")
    with _refusing(out):
        out.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(out / ".lock")
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            raise PhotoError(f"{out}: another import is writing to it. Wait until it has finished.") from None
        except NotImplementedError:  # some network drives have no locks
            pass
    try:
        collection = _Collection(out, gap)
        collection.save()  # before the first picture, so that set_aside.csv marks an interrupted import, too
        try:
            yield collection
        finally:
            collection.finish()
    finally:
        lock.release()


@contextlib.contextmanager
def _refusing(path):
    """Makes one sentence of an error while a file is written."""
    try:
        yield
    except OSError as error:
        raise ImportStopped(f"{path}: cannot be written ({error.strerror or error}). Make room or change the "
                            "permissions, and run the import again: it goes on where it stopped.") from None


class _Collection:
    """The folder `out` during an import.

    rows: {id: row of the table}. aside: {source: reason}. report: the Report of this import.
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
        self.aside = {row["file"]: row["reason"] for row in self._read("set_aside.csv")}
        self.new = set()  # ids
        self.compared = [row for row in there if re.fullmatch("p[0-9a-f]{16}d[0-9a-f]{16}", row["phash"])]
        self.hashes = _bits(self.compared)
        self.thumbnails = {}  # by id, made when needed

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

    def refuse(self, source, reason):
        self.aside[source] = reason = " ".join(str(reason).split())  # some decoders' messages have several lines
        self.report.set_aside.append((source, reason))

    def receive(self, source, answer):
        """Takes in a _Picture, or notes a PhotoError, or None for what was there. Returns whether the table has it."""
        if time.monotonic() - self.saved > SAVE_EVERY:
            self.save()
        if isinstance(answer, PhotoError):
            self.refuse(source, answer)
            return False
        if answer is None:
            self.report.already += 1
            self.aside.pop(source, None)
            return True
        return self._admit(answer)

    def _admit(self, picture):
        row = picture.row
        before = self.rows.get(row["id"])
        if before is not None and (before["source"] == row["source"] or not self._exists(before["source"])):
            self._take_out(before)  # moved to another folder: where it is now counts
            self.compared = [None if row is before else row for row in self.compared]
        twin, conflict = self._twin(picture)
        if conflict:
            self._refuse_both(row, twin)
        elif twin is not None:
            self.refuse(row["source"], f"near-duplicate: It is nearly the same picture as {twin['file']}.")
        else:
            with _refusing(self.out / row["file"]), written_whole(self.out / row["file"]) as unfinished:
                unfinished.write_bytes(picture.jpeg)
            self.rows[row["id"]] = row
            self.new.add(row["id"])
            self.report.taken[row["label"]] += 1
            self.aside.pop(row["source"], None)
        if conflict:  # no copy to look at: a third of the kind is recognised, too
            self.thumbnails[row["id"]] = picture.thumbnail
        if twin is None or conflict:
            self.compared.append(row)
            self.hashes = np.concatenate([self.hashes, _bits([row])])
        return twin is None

    def _twin(self, picture):
        """(row, True) of the same picture in another class, (row, False) of a near-duplicate, or (None, False)."""
        near, row = None, picture.row
        bits = np.bitwise_count(self.hashes ^ _bits([row])).min(axis=1)
        for i in np.flatnonzero(bits <= NEAR_BITS):
            other = self.compared[i]
            if other is None or (thumbnail := self._thumbnail(other)) is None:
                continue
            levels = abs(thumbnail - picture.thumbnail)
            if other["label"] != row["label"]:
                if levels.max() <= SAME_LEVELS:
                    return other, True
            elif near is None and levels.mean() <= NEAR_LEVELS and self.rows.get(other["id"]) is other:
                near = other
        return near, False

    def _thumbnail(self, row):
        """The thumbnail of a row's copy, also where the original is at hand: a later run has to judge the same way."""
        if row["id"] not in self.thumbnails:
            try:
                copy = photos.decode(self.out / row["file"], prepare=lambda picture: picture.draft("RGB", (128, 128)))
                self.thumbnails[row["id"]] = _thumbnail(copy)
            except PhotoError:  # damaged since; check_health tells
                self.thumbnails[row["id"]] = None
        return self.thumbnails[row["id"]]

    def _refuse_both(self, row, twin):
        """Sets a picture aside that is in two classes, and its twin with it unless an earlier import has taken that."""
        def reason(other):
            return (f"same photo in two classes: In class {other['label']} it is {other['source']}. "
                    + photos.FATAL["same photo in two classes"])

        self.refuse(row["source"], reason(twin))
        if twin["id"] in self.new and self.rows.get(twin["id"]) is twin:
            self._take_out(twin)
            self.report.taken[twin["label"]] -= 1
            self.refuse(twin["source"], reason(row))

    def _take_out(self, row):
        """Takes a row and its copy out; its original is there."""
        del self.rows[row["id"]]
        (self.out / row["file"]).unlink(missing_ok=True)

    def _exists(self, source):
        path = source if "#t=" not in source else source.rpartition("#t=")[0]
        return "://" in source or os.path.lexists(self.out.resolve() / path)

    def compare(self, folder, sources):
        """Forgets what was set aside from a folder and has left it; notes how much was taken and has left it."""
        inside = _seen_from(self.out, folder) + "/"
        for source in [s for s in self.aside if s.startswith(inside) and s not in sources and not self._exists(s)]:
            del self.aside[source]
        gone = [row for row in self.rows.values() if row["source"].startswith(inside) and row["source"] not in sources
                and not self._exists(row["source"])]
        if gone:
            self.report.notes.append(f"{len(gone)} photographs, among them {gone[0]['file']}, are no longer in "
                                     f"{folder}. They stay in {self.out}; to be rid of them, import into a new folder.")

    def save(self):
        """Writes both tables, whole or not at all, and completes the report."""
        rows = _with_sessions([dict(row) for row in self.rows.values()], self.gap)
        if rows:
            table = pd.DataFrame(rows).fillna("").sort_values("file", ignore_index=True)
            table = photos.split_by_session(table, keep=self.splits, partial=True)
            self.report.table = table
            with _refusing(self.out / "photos.csv"), written_whole(self.out / "photos.csv") as unfinished:
                table.to_csv(unfinished, index=False)
        aside = pd.DataFrame(sorted(self.aside.items()), columns=["file", "reason"])
        with _refusing(self.out / "set_aside.csv"), written_whole(self.out / "set_aside.csv") as unfinished:
            aside.to_csv(unfinished, index=False)
        self.saved = time.monotonic()

    def finish(self):
        self.save()
        names = photos.class_names(self.report.table) if self.rows else []
        if len(names) == 1:
            self.report.notes.append(f"There is only one class, {names[0]}; a classifier needs two or more.")


def _with_sessions(rows, gap):
    """Fills in the sessions of photographs that no folder and no earlier import has given one.

    Per class, a pause of more than `gap` seconds divides. Where some of what lies between two pauses has a session, the
    others join the nearest in time; otherwise the session is called after its first photograph's time.
    """
    series = collections.defaultdict(list)
    for moment, row in sorted(((_moment(row), row) for row in rows if _moment(row)), key=lambda one: one[0]):
        shots = series[row["label"]]
        if not shots or (moment - shots[-1][-1][0]).total_seconds() > gap:
            shots.append([])
        shots[-1].append((moment, row))
    for shots in (shots for of_class in series.values() for shots in of_class):
        begin, first = shots[0]
        settled = [(moment, row["session"]) for moment, row in shots if row["session"]]
        settled = settled or [(begin, f"{first['label']}/{begin:%Y-%m-%d %H.%M.%S}")]
        for moment, row in shots:
            row["session"] = row["session"] or min(settled, key=lambda one: abs(one[0] - moment))[1]
    return rows


def _moment(row):
    try:
        return datetime.datetime.fromisoformat(row["taken"])
    except ValueError:  # empty, or rewritten by a spreadsheet
        return None


def as_label(name):
    """A folder's or a user's name for a class as the table has it: composed accents, single spaces.

    Raises PhotoError when no folder can be called so.
    """
    label = " ".join(_printable(unicodedata.normalize("NFC", str(name))).split())
    if not label or label.startswith(".") or re.search(r"[/\\]", label) or len(label.encode()) > 200:
        raise PhotoError(f"{one_line(name, 60)!r} cannot be the label of a class: it becomes a folder's name, not "
                         "empty, not beginning with a dot and without slashes.")
    return label


def _printable(text):
    """Text without what breaks a line or cannot be written as UTF-8: a file may be called like that."""
    return "".join(c.encode("unicode_escape").decode() if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") else c
                   for c in text)


def _seen_from(out, path):
    """A path relative to `out`, with forward slashes: it holds as long as both stay where they are to each other."""
    path = Path(path)
    path = path.parent.resolve() / path.name if path.name not in ("", "..") else path.resolve()
    try:
        return _printable(Path(os.path.relpath(path, out.resolve())).as_posix())
    except ValueError:  # another drive of a Windows computer
        return _printable(path.as_posix())


def _bar(progress, **options):
    """A progress bar on stderr, whatever TQDM_DISABLE says: silence.quiet sets it for the libraries' own bars."""
    return tqdm(disable=not progress, leave=False, mininterval=0.5 if sys.stderr.isatty() else 30, **options)


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m utils.capture", description="Import photographs for the course.")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("photos", help="a folder that holds one folder of photographs a class")
    command.add_argument("folder", metavar="DIR", type=Path)
    command.add_argument("--gap", type=float, default=SESSION_GAP, metavar="SECONDS",
                         help="a longer pause begins a new capture session (default: %(default)s)")
    command = commands.add_parser("video", help="a video that shows one class in one place")
    command.add_argument("file", metavar="FILE", type=Path)
    command.add_argument("--every", type=float, default=1.0, metavar="SECONDS",
                         help="one frame for so many seconds (default: %(default)s)")
    command = commands.add_parser("commons", help="freely licensed photographs from Wikimedia Commons")
    command.add_argument("query", metavar="QUERY", help="words to search for, best in English")
    command.add_argument("--count", type=int, default=50, help="at most so many (default: %(default)s)")
    command.add_argument("--contact", help="an e-mail address or a page, sent along, where Wikimedia may complain")
    command.add_argument("--api", default=COMMONS_API, metavar="ADDRESS", help="of a MediaWiki (default: %(default)s)")
    for name, command in commands.choices.items():
        command.add_argument("--out", type=Path, required=True, help="the folder to fill; a later import adds to it")
        if name != "photos":
            command.add_argument("--label", required=True, help="the class that the pictures show")
    given = vars(parser.parse_args(arguments))
    importer = {"photos": import_photos, "video": import_video, "commons": import_commons}[given.pop("command")]
    try:
        print(importer(**given))
    except PhotoError as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:
        raise  # utils/command_line.py
    except OSError as error:
        print(f"{error.filename}: {error.strerror}. Check the name and the permissions.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nInterrupted. What was taken is in {given['out']}; run the same command again to go on.",
              file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
