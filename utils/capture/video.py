"""Videos: the sharp frames of one become a capture session."""
import itertools
from pathlib import Path

import av
import numpy as np

from utils import photos
from utils.capture.collection import as_label, collecting, printable, progress_bar, relative_source
from utils.capture.picture import LONG_SIDE, MAX_PIXELS, Picture, sha256
from utils.photos import PhotoError

SUFFIXES = {".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".3gp"}
FORMATS = {"mov", "matroska", "avi", "mpeg", "mpegts", "asf", "flv", "ogg"}  # as FFmpeg names them


def import_video(file, label, out, every=1.0, progress=True):
    """Takes the sharpest frame (variance of the Laplacian) of each `every` seconds of a video. Returns a Report.

    Frames that look nearly as one taken before are set aside. All frames of a video are one capture session.
    progress: whether to show a bar on stderr.
    Raises PhotoError when the file is no video, no frame can be decoded, it was imported with another label, or `label`
    or `out` cannot be used; ImportStopped when the disk fails.
    """
    file, out, label = Path(file), Path(out), as_label(label)
    if not file.is_file():
        raise PhotoError(f"{file}: no such file. Name a video.")
    if not every > 0:
        raise PhotoError(f"A moment of {every} seconds: name a number above 0.")
    with collecting(out) as collection:
        source = relative_source(file, out)
        try:
            _receive_frames(file, label, source, every, progress, collection)
        except PhotoError as error:
            collection.set_aside(source, f"unusable video: It {error}")
            raise PhotoError(f"{file}: {error}") from None
        collection.reasons.pop(source, None)
    return collection.report


def _receive_frames(file, label, source, every, progress, collection):
    """Raises PhotoError when the video cannot be used; its message does not name the file."""
    content = sha256(file)
    for row in collection.rows.values():
        if row["id"].startswith(f"{content}#") and row["label"] != label:
            raise PhotoError(f"was imported as {row['label']} before. Name that label, or import into a new folder.")
    session, seconds = f"{label}/{printable(file.stem)}-{content[:8]}", None
    for seconds, picture in _sharpest_frames(file, every, collection.report, progress):
        moment = f"#t={seconds:.3f}"
        is_there = collection.has(content + moment, source + moment, label)
        collection.receive(source + moment, None if is_there else Picture(
            picture, file.stem, label=label, source=source + moment, id=content + moment, session=session))
    if seconds is None:
        raise PhotoError("has no readable frame. Copy it again from the phone, or save it as MP4.")


def _sharpest_frames(file, every, report, progress):
    """Yields (seconds, upright RGB PIL image) for each moment of a video. The report's notes tell of damage.

    Raises PhotoError when it is no video.
    """
    try:
        container = av.open(f"file:{file}")  # "file:" so that no name is taken for an address
    except (av.FFmpegError, OSError, ValueError):
        raise PhotoError("is not a video that can be read. Copy it again from the phone, or save it as MP4.") from None
    with container:
        if not container.streams.video or not FORMATS & set(container.format.name.split(",")):
            raise PhotoError("is not a video: a picture or sound. Name a video.")
        duration = max(0, (container.duration or 0) / av.time_base)
        with progress_bar(progress, total=round(duration) or None, desc=printable(file.name), unit="s") as bar:
            frames = _decoded(container, report, bar)
            for _, of_moment in itertools.groupby(frames, key=lambda shot: shot[0] // every):
                seconds, frame = max(of_moment, key=lambda shot: _sharpness(shot[1]))
                yield seconds, _upright(frame)


def _decoded(container, report, bar):
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
                continue
            seconds = frame.time if frame.time is not None else count / 30
            bar.update(max(0, round(seconds) - bar.n))
            yield seconds, frame
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
