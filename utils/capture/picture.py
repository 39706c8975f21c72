"""A picture on its way into a collection: decoded small and in sRGB, described by hashes, encoded without metadata."""
import contextlib
import hashlib
import io
import os
import re
import stat
import unicodedata

import imagehash
import numpy as np
from PIL import Image, ImageCms

from utils.photos import PhotoError

ANIMATED = {"GIF", "PNG", "WEBP"}  # formats whose further frames are not spare pictures of the same photograph
LONG_SIDE = 1024  # pixels of a copy, at most
DRAFT_SIDE = 896  # a JPEG is decoded at 1/2, 1/4 or 1/8 where that leaves this much: 4032 pixels become 1008
MAX_PIXELS = 64e6  # that are decoded in full: 192 MB in RGB, two pictures at a time


class Picture:
    """A picture that may be taken in: its row of the table, its JPEG (bytes), and its thumbnail, to be compared by."""

    def __init__(self, picture, name, *, label, source, id, session, taken="", author="", licence=""):
        """picture: an RGB PIL image, which is shrunk in place. name: what its file's name begins with. The others are
        columns of the table."""
        picture.info.clear()  # comment, XMP, EXIF with the place: the encoder would copy some of it
        picture.thumbnail((LONG_SIDE, LONG_SIDE))
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=90)
        self.jpeg, self.thumbnail = buffer.getvalue(), thumbnail(picture)
        small = picture.reduce(max(1, min(picture.size) // 128))
        phash = f"p{imagehash.phash(small)}d{imagehash.dhash(small)}"
        words = re.sub(r"[^\w-]+", "_", unicodedata.normalize("NFC", name)).strip("_")[:40] or "photo"
        content, _, seconds = id.partition("#t=")
        file = f"{label}/{words}-{content[:10]}{seconds and f'-{float(seconds):08.3f}s'}.jpg"
        self.row = {"file": file, "label": label, "session": session, "split": "",
                    "source": source, "author": author, "licence": licence, "taken": taken, "id": id, "phash": phash}


def thumbnail(picture):
    """A picture's colours, averaged over 16 x 16 fields: int16 of shape (16, 16, 3), 0 to 255."""
    return np.asarray(picture.resize((16, 16), Image.Resampling.BOX), np.int16)


def hash_bits(rows):
    """The two perceptual hashes of each row of the table: uint64 of shape (len(rows), 2)."""
    hashes = [[int(row["phash"][1:17], 16), int(row["phash"][18:], 16)] for row in rows]
    return np.array(hashes, np.uint64).reshape(-1, 2)


def shrink(picture):
    """Decodes an opened PIL image in place, no larger than needed and in sRGB: for photos.decode to begin with.

    Raises PhotoError when it is animated or too large.
    """
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


def sha256(path):
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
