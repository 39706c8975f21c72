"""utils.capture: photographs, videos and Wikimedia Commons become one healthy folder; nothing vanishes; no network."""
import contextlib
import email.utils
import http.server
import io
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
import unicodedata
import urllib.parse
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageCms, ImageEnhance, ImageFilter

from tests import processes
from tools import course
from utils import capture, photos
from utils.capture import (
    ImportStopped,
    collection,
    commons as importer_of_commons,
    import_commons,
    import_photos,
    import_video,
    photographs,
    picture as importing_of_a_picture,
)
from utils.paths import ROOT
from utils.photos import PhotoError

RED, BLUE = (200, 30, 30), (30, 30, 200)


def picture(seed=0, size=(120, 90)):
    """A picture of smooth noise: two seeds never look alike."""
    noise = np.random.default_rng(seed).integers(0, 255, (5, 5, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BILINEAR)


def exif(taken=None, orientation=1):
    """EXIF data of a phone: when, which way up, and where."""
    data = Image.Exif()
    data[0x0112] = orientation
    if taken:
        data.get_ifd(0x8769)[0x9003] = taken
    data.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 17.0)})
    return data


def saved(path, image, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def fill(folder, labels=("relay", "Schrittmotor größer"), sessions=3, frames=2):
    """A small healthy folder: classes / sessions / frames."""
    for i, label in enumerate(labels):
        for session in range(sessions):
            for frame in range(frames):
                saved(folder / label / f"session {session}" / f"{frame}.jpg", picture(1000 * i + 10 * session + frame))
    return folder


def run(folder, out, **options):
    return import_photos(folder, out, progress=False, **options)


def aside(out):
    """{file name of the original: reason}"""
    table = pd.read_csv(out / "set_aside.csv", dtype=str, keep_default_na=False)
    return {Path(file).name: reason for file, reason in zip(table["file"], table["reason"])}


def names(table):
    return sorted(Path(source).name for source in table["source"])


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "my photos"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


# Photographs: the copy

@pytest.mark.parametrize("name, options", [("a.jpg", {}), ("b.jpg", {"progressive": True}), ("c.PNG", {}),
                                           ("d.webp", {}), ("f.tif", {}), ("g.jpeg", {"quality": 30})])
def test_every_format_becomes_an_upright_small_jpeg_without_metadata(folder, out, name, options):
    sideways = Image.new("RGB", (2400, 1600), BLUE)
    sideways.paste(RED, (0, 0, 1200, 1600))
    saved(folder / "relay" / name, sideways, exif=exif("2024:05:01 12:00:00", orientation=6), **options)
    table = run(folder, out).table
    copy = Image.open(out / table["file"][0])
    assert copy.format == "JPEG" and copy.mode == "RGB"
    assert table["taken"][0] == "2024-05-01 12:00:00" or name == "f.tif"  # no phone writes TIFF
    assert copy.size[1] > copy.size[0] and 800 < max(copy.size) <= 1024  # EXIF says: turn it right
    assert np.allclose(copy.getpixel((50, 50)), RED, atol=10) and np.allclose(copy.getpixel((50, 800)), BLUE, atol=10)
    assert not copy.getexif() and not set(copy.info) - {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_an_iphones_heic_is_taken_without_its_metadata(folder, out):
    wide = Image.new("RGB", (2400, 1600), BLUE)
    wide.paste(RED, (0, 0, 1200, 1600))
    saved(folder / "relay" / "a.HEIC", wide, format="HEIF", exif=exif("2024:05:01 12:00:00"))
    table = run(folder, out).table
    copy = Image.open(out / table["file"][0])
    assert copy.size == (1024, 683) and np.allclose(copy.getpixel((50, 50)), RED, atol=10) and not copy.getexif()
    assert table["taken"][0] == "2024-05-01 12:00:00"


def test_no_byte_of_the_place_the_comment_or_the_xmp_is_in_the_copy(folder, out):
    saved(folder / "relay" / "a.jpg", picture(), exif=exif(), comment=b"my garden", xmp=b"<x>my garden</x>")
    assert b"my garden" in (folder / "relay" / "a.jpg").read_bytes()
    table = run(folder, out).table
    copy = (out / table["file"][0]).read_bytes()
    assert not any(word in copy for word in (b"Exif", b"my garden", b"xmp", b"ICC"))


def test_colours_of_another_profile_become_srgb(folder, out):
    # A profile whose red is sRGB's green: an extreme Display P3.
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = profile.replace(b"rXYZ", b"xXYZ").replace(b"gXYZ", b"rXYZ").replace(b"xXYZ", b"gXYZ")
    for name, red, icc in ("swapped", 200, swapped), ("srgb", 150, profile), ("damaged", 100, profile[:200]):
        saved(folder / name / "a.png", Image.new("RGB", (60, 60), (red, 0, 0)), icc_profile=icc)
    table = run(folder, out).table.set_index("label")
    colours = {name: Image.open(out / file).getpixel((30, 30)) for name, file in table["file"].items()}
    for name, colour in ("swapped", (0, 200, 0)), ("srgb", (150, 0, 0)), ("damaged", (100, 0, 0)):
        assert np.allclose(colours[name], colour, atol=12), colours


@pytest.mark.parametrize("mode, name", [("CMYK", "a.jpg"), ("P", "a.png"), ("LA", "a.png"), ("L", "a.png"),
                                        ("1", "a.png"), ("RGBA", "a.webp"), ("YCbCr", "a.jpg")])
def test_every_mode_is_converted_right(folder, out, mode, name):
    original = picture(size=(300, 200)).convert(mode)
    saved(folder / "relay" / name, original)
    copy = Image.open(out / run(folder, out).table["file"][0])
    # Dots of a palette or of black and white are soft in a JPEG: fields of 10 x 10 are compared.
    copy, original = copy.reduce(10), original.convert("RGB").reduce(10)
    assert abs(np.asarray(copy, float) - np.asarray(original, float)).mean() < 4


def test_sixteen_bits_are_scaled_transparency_is_white_and_large_ones_shrink(folder, out):
    ramp = np.linspace(0, 65535, 1200 * 1200).reshape(1200, 1200).astype(np.uint16)
    saved(folder / "ramp" / "a.png", Image.fromarray(ramp))
    saved(folder / "clear" / "a.png", Image.new("RGBA", (2000, 1500), RED + (0,)))
    table = run(folder, out).table.set_index("label")
    ramp, clear = (np.asarray(Image.open(out / table["file"][label]), float) for label in ("ramp", "clear"))
    assert ramp.shape == (1024, 1024, 3) and ramp[0].mean() < 3 and 250 < ramp[-1].mean()
    assert clear.shape == (768, 1024, 3) and clear.min() > 250


def test_a_phones_12_megapixels_are_decoded_at_a_quarter(folder, out):
    saved(folder / "relay" / "a.jpg", picture(size=(4032, 3024)))
    assert Image.open(out / run(folder, out).table["file"][0]).size == (1008, 756)


# Photographs: labels, sessions, splits

def test_labels_keep_spaces_accents_and_case(folder, out):
    labels = ["Relais rouge", "Größe", "élan", "PIEZO", "继电器", "🔧 tool", "Re\u0301le\u0301"]
    report = run(fill(folder, labels), out)
    expected = {unicodedata.normalize("NFC", label) for label in labels}
    assert set(report.table["label"]) == expected == {p.name for p in out.iterdir() if p.is_dir()}
    assert len(photos.require_healthy(out)) == 42 and (report.table["split"] == "test").sum() == 14


def test_one_accent_spelled_in_two_ways_is_one_class(folder, out):
    saved(folder / "Re\u0301lais" / "a.jpg", picture(1))
    saved(folder / "R\u00e9lais" / "b.jpg", picture(2))
    assert set(run(folder, out).table["label"]) == {"R\u00e9lais"}


def test_a_folder_inside_a_class_is_a_session(folder, out):
    table = run(fill(folder), out).table
    assert set(table["session"]) >= {"relay/session 0", "Schrittmotor größer/session 2"}
    assert table["session"].nunique() == 6 and list(table)[:4] == photos.COLUMNS
    assert photos.check_health(out).empty


def test_a_pause_divides_sessions_and_undated_photographs_are_sessions_of_their_own(folder, out):
    for i, moment in enumerate(["12:00:00", "12:01:30", "12:03:00", "12:10:00", "12:10:01"]):
        saved(folder / "relay" / f"{5 - i}.jpg", picture(i), exif=exif(f"2024:05:01 {moment}"))
    for i, damaged in enumerate(["0000:00:00 00:00:00", "yesterday", None]):
        saved(folder / "relay" / f"undated {i}.jpg", picture(10 + i), exif=exif(damaged))
    report = run(folder, out)
    sessions = report.table.groupby("session")["source"].apply(lambda s: sorted(Path(p).stem for p in s)).to_dict()
    assert sessions == {"relay/2024-05-01 12.00.00": ["3", "4", "5"], "relay/2024-05-01 12.10.00": ["1", "2"],
                        **{f"relay/undated {i}.jpg": [f"undated {i}"] for i in range(3)}}
    assert any(note.startswith("3 photographs do not say when") for note in report.notes)
    assert run(folder, out.with_name("wide"), gap=600).table["session"].nunique() == 4


def test_later_photographs_join_a_session_and_no_session_changes_its_split(folder, out):
    for session in range(6):
        saved(folder / "relay" / f"{session}.jpg", picture(session), exif=exif(f"2024:05:01 {session:02}:00:00"))
    before = run(folder, out).table.set_index("session")["split"].to_dict()
    for session in range(12):
        saved(folder / "relay" / f"{session}b.jpg", picture(50 + session), exif=exif(f"2024:05:01 {session:02}:00:50"))
    saved(folder / "relay" / "early.jpg", picture(99), exif=exif("2024:04:30 23:59:00"))  # joins what began later
    after = run(folder, out).table
    assert after.groupby("session")["split"].nunique().eq(1).all() and after["session"].nunique() == 12
    assert before.items() <= after.set_index("session")["split"].to_dict().items()
    assert len(after[after["session"] == "relay/2024-05-01 00.00.00"]) == 3
    assert after.drop_duplicates("session")["split"].value_counts().to_dict() == {"train": 8, "valid": 2, "test": 2}


def test_too_few_sessions_are_imported_and_refused_by_the_health_check_until_there_are_enough(folder, out):
    table = run(fill(folder, sessions=1), out).table
    assert set(table["split"]) == {"train"}
    with pytest.raises(PhotoError, match="from a split.*1 capture session leaves none for valid and test.*2 more"):
        photos.require_healthy(out)
    run(fill(folder, sessions=2), out)
    with pytest.raises(PhotoError, match="2 capture sessions leave none for test: photograph 1 more"):
        photos.require_healthy(out)
    after = run(fill(folder, sessions=3), out).table
    assert photos.require_healthy(out)["split"].value_counts().to_dict() == {"train": 4, "valid": 4, "test": 4}
    assert set(after[after["session"] == "relay/session 0"]["split"]) == {"train"}


@pytest.mark.parametrize("sessions, splits", [(4, {"train", "valid", "test"}), (2, {"valid", "test"})])
def test_other_measures_before_it_is_trained_on(folder, out, sessions, splits):
    fill(folder, ["relay", "piezo", "other"], sessions=4)
    for surplus in range(sessions, 4):
        shutil.rmtree(folder / "other" / f"session {surplus}")
    table = run(folder, out).table
    assert set(table[table["label"] == "other"]["split"]) == splits


# Photographs: the same and nearly the same

def test_near_duplicates_of_a_class_are_set_aside_and_others_are_not(folder, out):
    base = picture(1, (400, 300))
    saved(folder / "relay" / "a.jpg", base)
    (folder / "relay" / "b copy.jpg").write_bytes((folder / "relay" / "a.jpg").read_bytes())
    saved(folder / "relay" / "c smaller.png", base.resize((200, 150)))
    saved(folder / "relay" / "d poor.jpg", base, quality=30)
    saved(folder / "relay" / "e next frame.jpg", base.crop((4, 3, 400, 300)))
    saved(folder / "relay" / "f other light.jpg", ImageEnhance.Brightness(base).enhance(0.6))
    saved(folder / "relay" / "g mirrored.jpg", base.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    saved(folder / "relay" / "h other colour.jpg", Image.merge("RGB", base.split()[::-1]))
    table = run(folder, out).table
    assert names(table) == ["a.jpg", "f other light.jpg", "g mirrored.jpg", "h other colour.jpg"]
    assert set(aside(out)) == {"b copy.jpg", "c smaller.png", "d poor.jpg", "e next frame.jpg"}
    kept = table["file"][0]
    assert all(reason == f"near-duplicate: It is nearly the same picture as {kept}." for reason in aside(out).values())


def test_no_two_photographs_of_the_bundled_set_are_near_duplicates(out, tmp_path):
    for label in "relay", "piezo":
        (tmp_path / "set" / label).mkdir(parents=True)
        for path in sorted((ROOT / "data" / "tabletop" / label).glob("*.jpg"))[:60]:
            (tmp_path / "set" / label / path.name).symlink_to(path)
    assert len(run(tmp_path / "set", out).table) == 120


def test_a_picture_in_two_classes_is_taken_in_neither_and_both_are_named(folder, out):
    fill(folder, ["relay", "piezo", "other"])
    for label, name in ("relay", "x.jpg"), ("piezo", "y.png"), ("other", "z.jpg"), ("relay", "x again.jpg"):
        saved(folder / label / name, picture(77))
    for _ in range(2):  # a second run finds the same
        report = run(folder, out)
        conflicts = {name: reason for name, reason in aside(out).items() if "two classes" in reason}
        assert set(conflicts) == {"x.jpg", "y.png", "z.jpg", "x again.jpg"} and len(report.table) == 18
        assert "In class" in conflicts["x.jpg"] and conflicts["x.jpg"].endswith("take out the other.")
        assert {p.name for p in out.rglob("*.jpg")} == {Path(file).name for file in report.table["file"]}
    for label, name in ("relay", "x.jpg"), ("other", "z.jpg"), ("relay", "x again.jpg"):
        (folder / label / name).unlink()
    report = run(folder, out)
    assert report.taken == {"piezo": 1} and not aside(out)


def test_what_an_earlier_import_took_stays_when_another_class_brings_the_same_picture(folder, out, tmp_path):
    table = run(fill(folder), out).table
    saved(tmp_path / "second" / "piezo" / "a.jpg", picture(0))
    saved(tmp_path / "second" / "piezo" / "b.jpg", picture(500))
    report = run(tmp_path / "second", out)
    assert set(table["file"]) < set(report.table["file"]) and report.taken == {"piezo": 1}
    assert "same photo in two classes" in aside(out)["a.jpg"] and len(report.set_aside) == 1


# Photographs: again, interrupted, originals

def test_a_second_run_adds_only_what_is_new_and_originals_are_only_read(folder, out):
    fill(folder)
    saved(folder / "relay" / "session 0" / "broken.jpg", picture()).write_bytes(b"no picture")
    before = photos.checksum(folder)
    first = run(folder, out)
    state = photos.checksum(out)
    second = run(folder, out)
    assert (second.already, sum(second.taken.values()), len(second.set_aside)) == (12, 0, 1)
    assert photos.checksum(out) == state and photos.checksum(folder) == before
    saved(folder / "relay" / "session 0" / "new.jpg", picture(500))
    third = run(folder, out)
    assert third.taken == {"relay": 1} and names(third.table) == sorted(names(first.table) + ["new.jpg"])


def test_a_photograph_that_was_moved_to_another_class_follows_and_a_deleted_one_stays_with_a_note(folder, out):
    run(fill(folder), out)
    (folder / "relay" / "session 0" / "0.jpg").rename(folder / "Schrittmotor größer" / "moved.jpg")
    (folder / "relay" / "session 1" / "0.jpg").unlink()
    report = run(folder, out)
    moved = report.table[report.table["source"].str.endswith("moved.jpg")]
    assert list(moved["label"]) == ["Schrittmotor größer"] and len(report.table) == 12 and not report.set_aside
    assert any("1 photographs, among them relay/0-" in note and "no longer in" in note for note in report.notes)
    assert {p.relative_to(out).as_posix() for p in out.rglob("*.jpg")} == set(report.table["file"])


def test_a_copy_that_is_gone_is_made_again(folder, out):
    table = run(fill(folder), out).table
    (out / table["file"][0]).unlink()
    report = run(folder, out)
    assert sum(report.taken.values()) == 1 and any("1 pictures were gone" in note for note in report.notes)
    assert report.table.equals(table)


def test_a_reason_is_forgotten_when_the_file_is_gone_or_mended(folder, out):
    fill(folder)
    for name in "gone.jpg", "mended.jpg", "kept.jpg":
        (folder / "relay" / name).write_text("hello")
    run(folder, out)
    assert set(aside(out)) == {"gone.jpg", "mended.jpg", "kept.jpg"}
    (folder / "relay" / "gone.jpg").unlink()
    saved(folder / "relay" / "mended.jpg", picture(500))
    run(folder, out)
    assert set(aside(out)) == {"kept.jpg"}


def test_ctrl_c_leaves_a_consistent_folder_and_a_later_run_goes_on(folder, out, monkeypatch):
    fill(folder, sessions=8)
    take, calls = collection.Collection._receive_picture, []

    def interrupted(self, candidate):
        calls.append(1)
        if len(calls) > 10:
            raise KeyboardInterrupt
        return take(self, candidate)

    monkeypatch.setattr(collection.Collection, "_receive_picture", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(folder, out)
    table = photos.read_table(out)
    assert len(table) == 10 and {p.relative_to(out).as_posix() for p in out.rglob("*.jpg")} == set(table["file"])
    monkeypatch.undo()
    report = run(folder, out)
    assert report.already == 10 and len(report.table) == 32 and photos.check_health(out).empty


def test_a_power_cut_costs_no_photograph(folder, out):
    fill(folder, sessions=8)
    code = ("import os, sys; from utils.capture import collection, import_photos\n"
            "collection.SAVE_EVERY = 0; take = collection.Collection._receive_picture; n = []\n"
            "def cut(self, picture):\n    n.append(1)\n    os._exit(9) if len(n) > 10 else None\n"
            "    return take(self, picture)\n"
            "collection.Collection._receive_picture = cut; import_photos(*sys.argv[1:], progress=False)")
    done = subprocess.run([sys.executable, "-c", code, folder, out], cwd=ROOT)
    assert done.returncode == 9 and 0 < len(photos.read_table(out)) <= 10
    assert len(run(folder, out).table) == 32 and photos.check_health(out).empty


def test_a_full_disk_is_one_sentence_and_a_later_run_goes_on(folder, out, monkeypatch):
    fill(folder)
    whole, calls = collection.written_whole, []

    @contextlib.contextmanager
    def full(path):
        with whole(path) as unfinished:
            yield unfinished
            calls.append(1)
            if len(calls) > 5:
                raise OSError(28, "No space left on device")

    monkeypatch.setattr(collection, "written_whole", full)
    with pytest.raises(ImportStopped, match="cannot be written .No space left on device"):
        run(folder, out)
    monkeypatch.undo()
    assert not [p for p in out.rglob("*unfinished*")]
    assert len(run(folder, out).table) == 12 and photos.check_health(out).empty


def test_work_in_progress_is_bounded_and_answers_come_in_order():
    begun = []
    for item, answer in photographs.map_in_order(lambda n: begun.append(n) or n * n, range(100)):
        assert answer == item * item and len(begun) <= item + 10
    assert len(begun) == 100


def test_make_course_decodes_each_photograph_once_before_it_trains(folder, tmp_path, monkeypatch, capsys):
    saved(fill(folder) / "relay" / "session 1" / "again.png", Image.open(folder / "relay" / "session 0" / "0.jpg"))
    saved(folder / "Schrittmotor größer" / "s" / "too.png", Image.open(folder / "relay" / "session 0" / "1.jpg"))
    decode, decoded = photos.decode, []
    monkeypatch.setattr(photos, "decode", lambda path, prepare=None: decoded.append(path) or decode(path, prepare))
    out = course.prepare_photos(folder, tmp_path / "exported")
    assert len(decoded) == 14 + 2 and sum(folder in path.parents for path in decoded) == 14  # 2 to compare duplicates
    assert "11 taken" in capsys.readouterr().out and photos.check_health(out).empty
    (out / photos.read_table(out)["file"][0]).write_bytes(b"damaged since")
    with pytest.raises(PhotoError, match="unreadable picture"):
        course.prepare_photos(folder, tmp_path / "exported")


# Photographs: bad input

def truncated(path):
    saved(path, picture(size=(300, 200)))
    path.write_bytes(path.read_bytes()[:-900])


def bomb(path):
    Image.new("1", (13_000, 13_000)).save(path)


def animated(path):
    picture(1).save(path, save_all=True, append_images=[picture(2)])


def loop(path):
    path.symlink_to(path)


BAD = {
    "a truncated JPEG": ("a.jpg", truncated, "unreadable picture: .*damaged"),
    "a truncated PNG": ("a.png", truncated, "unreadable picture: .*damaged"),
    "a truncated HEIC": ("a.heic", truncated, "unreadable picture: .*damaged"),
    "a text named .jpg": ("a.jpg", lambda p: p.write_text("hello"), "unreadable picture: .*not a picture"),
    "an empty file": ("a.jpg", Path.touch, r"unreadable picture: It is empty \(0 bytes\)"),
    "one pixel": ("a.png", lambda p: Image.new("RGB", (1, 1)).save(p), "unreadable picture: It has 1 x 1 pixels"),
    "floating point": ("a.tif", lambda p: Image.new("F", (30, 30)).save(p), "unreadable picture: .*floating-point"),
    "169 million pixels": ("a.png", bomb, "unreadable picture: It has 13000 x 13000 pixels, more than 64 million"),
    "a decompression bomb": ("a.bmp", lambda p: p.write_bytes(
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 60000, 60000, 1, 24, 0, 0, 0, 0, 0, 0)),
        "unreadable picture: .*decompression bomb"),
    "an animated WebP": ("a.webp", animated, "unreadable picture: It is animated"),
    "an animated PNG": ("a.png", animated, "unreadable picture: It is animated"),
    "a link to itself": ("a.jpg", loop, "unreadable picture: It cannot be opened"),
    "a link to nowhere": ("a.jpg", lambda p: p.symlink_to("nowhere"), "unreadable picture: .*No such file"),
    "a pipe": ("a.jpg", os.mkfifo, "unreadable picture: It is not a plain file"),
    "a link to a folder": ("a", lambda p: p.symlink_to(p.parent), "link to a folder: Links are not followed"),
    "a note": ("a.txt", lambda p: p.write_text("hello"), "not a photograph: "),
    "a video": ("a.MOV", lambda p: p.write_text("hello"), "video: Import it with"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_set_aside_with_its_reason_and_the_rest_is_taken(folder, out, kind):
    name, make, reason = BAD[kind]
    make(fill(folder) / "relay" / name)
    report = run(folder, out)
    assert len(report.table) == 12 and set(aside(out)) == {name}
    assert re.match(reason, aside(out)[name]), aside(out)[name]
    assert name in str(report) and "\n" not in aside(out)[name]


def test_a_file_that_may_not_be_read_is_set_aside(folder, out, monkeypatch):
    saved(fill(folder) / "relay" / "secret.jpg", picture(500))

    def refuse(path, *arguments):  # root, as which tests may run, may read everything
        if Path(path).name == "secret.jpg":
            raise PermissionError(13, "Permission denied", path)
        return open(path, *arguments)

    monkeypatch.setattr(importing_of_a_picture, "open", refuse, raising=False)
    run(folder, out)
    assert "cannot be opened (Permission denied)" in aside(out)["secret.jpg"]


def test_a_second_picture_in_the_file_as_phones_write_it_is_no_animation(folder, out):
    saved(folder / "relay" / "a.jpg", picture(1), format="MPO", save_all=True, append_images=[picture(2)])
    assert len(run(folder, out).table) == 1


@pytest.mark.parametrize("name", [
    "two\nlines.jpg", "tab\tand\rreturn.jpg", "🔧👩‍🔬.jpg", "継電器.jpg", "-rf.jpg", "a, \"b\".jpg", "#t=3.jpg",
    "x" * 240 + ".jpg", "a ..jpg", os.fsdecode(b"\xff\xfe.jpg"), "=1+1.jpg", "a.b.JPG"])
def test_any_file_name_is_taken_once(folder, out, name):
    saved(folder / "relay" / name, picture(1), format="JPEG")
    saved(folder / "relay" / ("z" + name[1:]), picture(2), format="JPEG")
    (folder / "relay" / ("b" + name[1:-4] + ".png")).write_text("hello")
    report = run(folder, out)
    assert len(report.table) == 2 and len(aside(out)) == 1 and len(str(report).splitlines()) == 13
    assert set(photos.check_health(out)["finding"]) == {"only one class", "class missing from a split"}
    again = run(folder, out)
    assert again.already == 2 and again.table.equals(report.table) and len(aside(out)) == 1


REFUSED = {
    "no folder": (lambda f: None, "no such folder"),
    "a file": (lambda f: f.write_text(""), "no such folder"),
    "an empty folder": (lambda f: f.mkdir(), "no photographs found. Put them into one folder a class"),
    "no class folders": (lambda f: saved(f / "a.jpg", picture()), "no photographs found. Put them into one folder"),
    "an empty class folder": (lambda f: (fill(f) / "piezo").mkdir(), "piezo: empty class folder"),
    "a class of videos": (lambda f: (saved(fill(f) / "piezo" / "a.jpg", picture()).rename(f / "piezo" / "a.mp4")),
                          "piezo: empty class folder"),
    "a class folder that is a link": (lambda f: (fill(f) / "piezo").symlink_to("relay"), "piezo: link to a folder"),
    "a table already": (lambda f: (fill(f) / "photos.csv").write_text(""), "has a photos.csv already"),
    "a class name with a backslash": (lambda f: saved(f / "a\\b" / "a.jpg", picture()), "cannot be the label"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_folder_that_cannot_be_used_is_one_sentence_and_nothing_is_written(folder, out, kind):
    make, message = REFUSED[kind]
    make(folder)
    with pytest.raises(PhotoError, match=message) as error:
        run(folder, out)
    assert not out.exists() and "\n" not in str(error.value)


def test_a_class_of_which_nothing_can_be_used_is_named_after_the_others_were_taken(folder, out):
    fill(folder)
    for name in "a.jpg", "b.jpg":
        saved(folder / "piezo" / name, picture()).write_text("hello")
    with pytest.raises(PhotoError, match="Class piezo: none of its photographs.*a.jpg: unreadable picture.*set_aside"):
        run(folder, out)
    assert len(photos.require_healthy(out)) == 12 and set(aside(out)) == {"a.jpg", "b.jpg"}


def test_a_photograph_outside_the_class_folders_is_set_aside_and_a_readme_is_not(folder, out):
    saved(fill(folder) / "stray.jpg", picture(500))
    (folder / "README.md").write_text("hello")
    run(folder, out)
    assert set(aside(out)) == {"stray.jpg"} and "in no class folder" in aside(out)["stray.jpg"]


def test_one_class_only_is_noted_and_refused_by_the_health_check(folder, out):
    report = run(fill(folder, ["relay"]), out)
    assert "There is only one class, relay" in str(report)
    with pytest.raises(PhotoError, match="only one class"):
        photos.require_healthy(out)


def test_an_output_folder_that_cannot_be_used_is_one_sentence(folder, tmp_path):
    fill(folder)
    (tmp_path / "file").write_text("")
    before = photos.checksum(folder)
    for out, message in ((folder, "lies in the folder"), (folder / "out", "lies in the folder"),
                         (tmp_path, "or the other way"), (tmp_path / "file", "is a file"),
                         (tmp_path / "file" / "out", "cannot be written")):
        with pytest.raises((PhotoError, ImportStopped), match=message):
            run(folder, out)
    theirs = fill(tmp_path / "theirs")
    with pytest.raises(PhotoError, match="holds files that were not imported"):
        run(folder, theirs)
    assert photos.checksum(folder) == photos.checksum(theirs) == before


@pytest.mark.parametrize("name", ["photos.csv", "set_aside.csv"])
def test_a_spoilt_table_is_one_sentence(folder, out, name):
    run(fill(folder), out)
    (out / name).write_text("hello\n")
    with pytest.raises(PhotoError, match=name):
        run(folder, out)


def test_a_table_that_a_spreadsheet_has_rewritten_is_still_read(folder, out):
    saved(fill(folder) / "relay" / "dated.jpg", picture(500), exif=exif("2024:05:01 12:00:00"))
    table = run(folder, out).table
    table["taken"] = table["taken"].replace("2024-05-01 12:00:00", "01.05.24 12:00")
    table.assign(note="mine").to_csv(out / "photos.csv", index=False, encoding="utf-8-sig")
    report = run(folder, out)
    assert report.already == 13 and set(report.table["note"]) == {"mine"}


def test_rows_that_were_added_by_hand_stay(folder, out):
    table = run(fill(folder), out).table
    first = table.iloc[0]
    for name in "copied.jpg", "written.jpg":
        (out / name).write_bytes((out / first["file"]).read_bytes())
    written = pd.DataFrame([{**first[photos.COLUMNS], "file": "written.jpg"}])
    pd.concat([table, table.iloc[:1].assign(file="copied.jpg"), written]).to_csv(out / "photos.csv", index=False)
    assert {"copied.jpg", "written.jpg"} < set(run(folder, out).table["file"])
    assert len(photos.read_table(out)) == 14


def test_two_imports_at_a_time_are_refused(folder, out):
    fill(folder)
    with collection.collecting(out):
        with pytest.raises(PhotoError, match="another import is writing to it"):
            run(folder, out)
    assert len(run(folder, out).table) == 12


# Videos

def video(path, pictures, rate=10, codec="mpeg4"):
    """A video of pictures of one size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height = pictures[0].size
        stream.pix_fmt, stream.bit_rate = "yuvj420p" if codec == "mjpeg" else "yuv420p", 4_000_000
        for image in pictures:
            container.mux(stream.encode(av.VideoFrame.from_image(image)))
        container.mux(stream.encode())
    return path


def clip(path, seconds=4, still=0, **options):
    """Ten frames a second; a new view each second, the third frame of each second sharp; then a still view."""
    views = [picture(i, (160, 120)) for i in range(seconds)]
    for view in views:
        view.paste(RED, (60, 40, 100, 80))
    frames = [view if i == 3 else view.filter(ImageFilter.GaussianBlur(3)) for view in views for i in range(10)]
    return video(path, frames + views[-1:] * 10 * still, **options)


def movie(file, out, label="relay", **options):
    return import_video(file, label, out, progress=False, **options)


@pytest.mark.parametrize("name, codec", [("a.mp4", "libx264"), ("a.MOV", "mpeg4"), ("a.avi", "mjpeg"),
                                         ("a.mkv", "libx265"), ("a.webm", "libvpx-vp9")])
def test_the_sharpest_frame_of_each_second_is_taken(tmp_path, out, name, codec):
    table = movie(clip(tmp_path / name, codec=codec), out).table
    assert [source.partition("#t=")[2] for source in sorted(table["source"])] == ["0.300", "1.300", "2.300", "3.300"]
    assert table["session"].nunique() == 1 and set(table["label"]) == {"relay"} and set(table["split"]) == {"train"}
    assert Image.open(out / table["file"][0]).size == (160, 120)


def test_nearly_equal_moments_are_dropped_and_listed(tmp_path, out):
    report = movie(clip(tmp_path / "a.mp4", still=3), out)
    assert report.taken == {"relay": 4} and len(report.set_aside) == 3
    assert all("near-duplicate" in reason for reason in aside(out).values())
    assert len(movie(tmp_path / "a.mp4", out.with_name("b"), every=0.5).table) == 4


def test_a_phone_held_upright_gives_upright_frames(tmp_path, out):
    view = Image.new("RGB", (160, 120), BLUE)
    view.paste(RED, (0, 0, 160, 40))
    path = video(tmp_path / "a.mp4", [view] * 5)
    data = path.read_bytes()
    matrix = data.index(struct.pack(">3i", 0x10000, 0, 0), data.index(b"tkhd"))  # of the track: "as it is"
    turned = struct.pack(">9i", 0, 0x10000, 0, -0x10000, 0, 0, 120 << 16, 0, 0x40000000)  # "turn it right"
    path.write_bytes(data[:matrix] + turned + data[matrix + 36:])
    copy = Image.open(out / movie(path, out).table["file"][0])
    assert copy.size == (120, 160) and np.allclose(copy.getpixel((110, 80)), RED, atol=20)


def test_a_video_is_taken_once_also_when_moved_and_never_with_two_labels(tmp_path, out):
    first = movie(clip(tmp_path / "a.mp4", still=1), out)
    second = movie(tmp_path / "a.mp4", out)
    assert second.already == 4 and not second.taken and second.table.equals(first.table)
    with pytest.raises(PhotoError, match="was imported as relay before"):
        movie(tmp_path / "a.mp4", out, label="piezo")
    (tmp_path / "a.mp4").rename(tmp_path / "b.mp4")
    moved = movie(tmp_path / "b.mp4", out).table
    assert len(moved) == 4 and all("b.mp4" in source for source in moved["source"])


def test_videos_of_long_names_do_not_overwrite_each_other_s_frames(tmp_path, out):
    table = movie(clip(tmp_path / ("x" * 200 + ".mp4")), out).table
    assert table["file"].nunique() == 4 == len(list(out.rglob("*.jpg")))


def test_videos_photographs_and_a_second_label_share_one_table(folder, tmp_path, out):
    run(fill(folder), out)
    for i in range(3):
        video(tmp_path / f"{i}.mp4", [picture(700 + i, (160, 120))] * 3)
        movie(tmp_path / f"{i}.mp4", out, label="piezo")
    assert len(photos.require_healthy(out)) == 15 and photos.class_names(photos.read_table(out))[1] == "piezo"
    assert list(photos.read_table(out)) == photos.COLUMNS + capture.EXTRAS


def half(path):
    """The index lies at the end of an MP4: half a file cannot be read."""
    clip(path).write_bytes(clip(path).read_bytes()[:-2000])


BAD_VIDEOS = {
    "an empty file": (Path.touch, "is empty"),
    "a text": (lambda p: p.write_text("hello"), "is not a video that can be read"),
    "half a video": (half, "is not a video that can be read"),
    "a photograph": (lambda p: picture().save(p, "JPEG"), "is not a video: a picture or sound"),
    "a list of addresses": (lambda p: p.write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n"), "is not a video"),
    "a list of other files": (lambda p: p.write_text(f"ffconcat version 1.0\nfile {clip(p.with_name('b.mp4')).name}\n"),
                              "is not a video"),
    "frames of 2 pixels": (lambda p: video(p, [Image.new("RGB", (2, 2))] * 3), "has no readable frame"),
}


@pytest.mark.parametrize("kind", BAD_VIDEOS)
def test_a_bad_video_is_one_sentence_and_listed(tmp_path, out, kind):
    make, message = BAD_VIDEOS[kind]
    make(tmp_path / "a.mp4")
    with pytest.raises(PhotoError, match=message) as error:
        movie(tmp_path / "a.mp4", out)
    assert str(tmp_path / "a.mp4") in str(error.value) and "\n" not in str(error.value)
    assert message in aside(out)["a.mp4"] and not (out / "photos.csv").exists()


def test_a_video_without_a_readable_frame_is_listed_and_a_mended_one_is_not(tmp_path, out):
    path = clip(tmp_path / "a.avi", codec="mjpeg")
    good, data = path.read_bytes(), bytearray(path.read_bytes())
    start, stop = data.index(b"movi") + 4, data.index(b"idx1")
    data[start:stop] = bytes(stop - start)
    path.write_bytes(data)
    with pytest.raises(PhotoError, match="no readable frame"):
        movie(path, out)
    path.write_bytes(good)
    assert len(movie(path, out).table) == 4 and not aside(out)


def test_a_damaged_part_of_a_video_is_left_out_and_told(tmp_path, out):
    path = clip(tmp_path / "a.avi", codec="mjpeg")
    data = bytearray(path.read_bytes())
    first = data.index(b"\xff\xd8", data.index(b"movi"))
    second = data.index(b"\xff\xd8", first + 2)
    data[first:second - 8] = bytes(second - 8 - first)
    path.write_bytes(data)
    report = movie(path, out)
    assert len(report.table) == 4 and any("could not be decoded" in note for note in report.notes)


@pytest.mark.parametrize("label", ["", " ", ".", "..", ".hidden", "a/b", "a\\b", "x" * 300])
def test_a_label_that_no_folder_can_have_is_one_sentence(tmp_path, out, label):
    with pytest.raises(PhotoError, match="cannot be the label of a class"):
        movie(clip(tmp_path / "a.mp4", seconds=1), out, label=label)
    assert not out.exists()


def test_a_missing_video_and_no_length_of_a_moment_are_one_sentence(tmp_path, out):
    with pytest.raises(PhotoError, match="no such file"):
        movie(tmp_path / "a.mp4", out)
    with pytest.raises(PhotoError, match="above 0"):
        movie(clip(tmp_path / "a.mp4", seconds=1), out, every=0)
    assert not out.exists()


# Wikimedia Commons, spoken by a server on this machine

class Commons(http.server.ThreadingHTTPServer):
    """A MediaWiki API with a page a name. faults: {name: [what goes wrong, one a request]}; api_faults: the same."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.api = f"{self.url}/w/api.php"
        self.files, self.faults, self.api_faults, self.asked, self.batch, self.at_once = {}, {}, [], [], 3, 0

    def add(self, name, licence="CC BY-SA 4.0", author="Ada", mime="image/jpeg", image=None, fault=()):
        buffer = io.BytesIO()
        (image or picture(len(self.files), (300, 200))).save(buffer, "JPEG", exif=exif("2020:01:01 00:00:00"))
        self.files[name] = {"data": buffer.getvalue(), "licence": licence, "author": author, "mime": mime}
        self.faults[name] = list(fault)

    def downloads(self):
        return [path for path, _ in self.asked if path.startswith("/thumb/")]

    def answer(self, query):
        if query["gsrsearch"][0] == "nothing filetype:bitmap":
            return {"batchcomplete": True}
        start = int(query.get("gsroffset", ["0"])[0])
        shown = list(self.files.items())[start:start + self.batch]
        pages = [{"pageid": 1000 - i, "ns": 6, "title": f"File:{name}", "index": start + i + 1, "imageinfo": [{
            "thumburl": f"{self.url}/thumb/{urllib.parse.quote(name)}", "url": f"{self.url}/full/{name}",
            "descriptionurl": f"{self.url}/wiki/File:{urllib.parse.quote(name)}", "mime": file["mime"],
            "width": 4000, "height": 3000, "size": 5_000_000,
            "extmetadata": {"LicenseShortName": {"value": file["licence"]},
                            "Artist": {"value": f'<a href="//x" title="y">{file["author"]}</a>\n<br>'}}}]}
            for i, (name, file) in enumerate(shown)]
        more = {"continue": {"gsroffset": start + self.batch, "continue": "gsroffset||"}} if start + self.batch < len(
            self.files) else {"batchcomplete": True}
        return {"query": {"pages": pages[::-1]}, **more}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        parts = urllib.parse.urlsplit(self.path)
        self.server.asked.append((parts.path, dict(self.headers)))
        name = urllib.parse.unquote(parts.path.rpartition("/")[2])
        faults = self.server.api_faults if name == "api.php" else self.server.faults[name]
        with contextlib.suppress(ConnectionError):
            if faults:
                getattr(self, faults.pop(0))()
            elif name == "api.php":
                query = urllib.parse.parse_qs(parts.query)
                wanted = {"generator": "search", "gsrnamespace": "6", "prop": "imageinfo", "iiurlwidth": "1280"}
                assert {key: query[key][0] for key in wanted} == wanted
                self.send(json.dumps(self.server.answer(query)).encode(), "application/json")
            else:
                self.send(self.server.files[name]["data"], "image/jpeg")

    def send(self, body, kind="text/html", status=200, **headers):
        self.send_response(status)
        for key, value in {"Content_Type": kind, "Content_Length": len(body), **headers}.items():
            if value is not None:
                self.send_header(key.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def busy(self):
        self.send(b"slow down", status=429, Retry_After=0)

    def busy_until(self):
        self.send(b"slow down", status=503, Retry_After=email.utils.formatdate(time.time() - 5, usegmt=True))

    def come_back_tomorrow(self):
        self.send(b"slow down", status=429, Retry_After=86400)

    def broken(self):
        self.send(b"sorry", status=500)

    def missing(self):
        self.send(b"no", status=404)

    def cut(self):
        self.send(b"\xff\xd8" * 50, "image/jpeg", Content_Length=100_000)
        self.close_connection = True

    def silent(self):
        self.close_connection = True

    def html(self):
        self.send(b"<html>Please log in</html>")

    def text_as_picture(self):
        self.send(b"hello", "image/jpeg")

    def two_gigabytes(self):
        self.send(b"\xff\xd8" * 50, "image/jpeg", Content_Length=2 * 10**9)

    def endless(self):
        self.send(b"", "image/jpeg", Transfer_Encoding="chunked", Content_Length=None)
        while True:
            self.wfile.write(b"10000\r\n" + bytes(65536) + b"\r\n")

    def dripping(self):
        self.send(b"", "image/jpeg", Content_Length=100_000)
        while True:
            self.wfile.write(b"x")
            time.sleep(0.05)

    def maxlag(self):
        self.send(b'{"error": {"code": "maxlag", "info": "Waiting for a database"}}', "application/json", Retry_After=0)

    def other_json(self):
        self.send(b'{"query": {"pages": ["a"]}, "error": "b"}', "application/json")

    def refused(self):
        self.send(b'{"error": {"code": "badvalue", "info": "Unrecognized <b>value</b>"}}', "application/json")


@pytest.fixture
def commons():
    server = Commons()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def search(commons, out, query="relay", count=50, **options):
    return import_commons(query, "relay", out, count=count, api=commons.api, pause=0.001, progress=False, **options)


def test_a_photograph_from_commons_has_author_licence_and_page_in_the_table(commons, out):
    commons.add("Relay é 1.jpg", author="Ada &amp; <i>Zoë</i>", licence="CC BY 2.0")
    row = search(commons, out).table.iloc[0]
    assert (row["author"], row["licence"], row["session"]) == ("Ada & Zoë", "CC BY 2.0", "relay/Commons/Ada & Zoë")
    assert row["source"] == f"{commons.url}/wiki/File:Relay%20%C3%A9%201.jpg"
    assert row["file"].startswith("relay/Relay_é_1-")
    assert not Image.open(out / row["file"]).getexif()


def test_the_best_found_come_first_in_batches_up_to_the_count_and_one_author_is_one_session(commons, out):
    for i in range(9):
        commons.add(f"{i}.jpg", author=f"author {i // 3}")
    report = search(commons, out, count=7)
    assert [Path(p).name for p in commons.downloads()] == [f"{i}.jpg" for i in range(7)]
    assert report.table["session"].nunique() == 3 and set(report.table["split"]) == {"train", "valid", "test"}
    assert not report.notes or "asked for" not in str(report.notes)


def test_only_free_licences_are_downloaded(commons, out):
    free = ["CC0", "Public domain", "CC BY 4.0", "CC BY-SA 3.0 de", "cc-by-sa-2.5", "PD-USGov"]
    for i, licence in enumerate(free + ["CC BY-NC 2.0", "CC BY-ND 4.0", "CC BY-NC-SA 4.0", "GFDL", "Fair use", "",
                                        "© me", "CC BY 2.0-NC", "Copyrighted, not PD"]):
        commons.add(f"{i}.jpg", licence)
    report = search(commons, out)
    assert set(report.table["licence"]) == set(free) and len(commons.downloads()) == len(free)
    assert "not freely licensed: Its licence is not stated." in aside(out).values()
    assert any("Of 50 photographs asked for there are 6" in note for note in report.notes)


def test_one_request_at_a_time_that_says_who_asks(commons, out):
    for i in range(4):
        commons.add(f"{i}.jpg")
    search(commons, out, contact="class@example.org")
    agents = {headers["User-Agent"] for _, headers in commons.asked}
    assert len(agents) == 1 and re.match(r"mobile-deployment-course.*; class@example.org\)", agents.pop())


def test_a_second_search_takes_nothing_new_and_a_larger_one_goes_on(commons, out):
    for i in range(5):
        commons.add(f"{i}.jpg")
    search(commons, out, count=2)
    again = search(commons, out, count=2)
    assert again.already == 2 and not again.taken and len(commons.downloads()) == 2
    assert search(commons, out, count=4).taken == {"relay": 2} and len(commons.downloads()) == 4


FAULTS = {  # fault: (requests until it is taken or given up, reason or None when it is taken)
    "busy": (2, None), "busy_until": (2, None), "broken": (2, None), "cut": (2, None), "silent": (2, None),
    "missing": (1, "unreadable picture: It cannot be had .*404"), "html": (1, "unreadable picture: .*not a picture"),
    "text_as_picture": (1, "unreadable picture: .*not a picture"),
    "two_gigabytes": (1, "unreadable picture: It is larger than 25 MB"),
    "endless": (1, "unreadable picture: It is larger than 25 MB"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_one_download_is_retried_or_set_aside_and_the_next_is_taken(commons, out, fault):
    tries, reason = FAULTS[fault]
    commons.add("first.jpg", fault=[fault])
    commons.add("second.jpg")
    report = search(commons, out)
    assert len(commons.downloads()) == tries + 1 and report.taken == {"relay": 2 if reason is None else 1}
    found = aside(out).get("File:first.jpg")
    assert (found is None) if reason is None else re.match(reason, found), found


@pytest.mark.parametrize("fault", ["broken", "cut", "silent"])
def test_a_download_that_keeps_failing_is_given_up_after_a_few_tries(commons, out, fault):
    commons.add("first.jpg", fault=[fault] * 20)
    commons.add("second.jpg")
    report = search(commons, out)
    assert len(commons.downloads()) == importer_of_commons.TRIES + 1 and report.taken == {"relay": 1}
    assert "cannot be had" in aside(out)["File:first.jpg"]


def test_waits_grow_exponentially_and_are_as_long_as_the_server_asks(commons, out, monkeypatch):
    commons.add("first.jpg", fault=["broken", "broken", "asks_for_9"])
    monkeypatch.setattr(Handler, "asks_for_9", lambda self: self.send(b"", status=503, Retry_After=9), raising=False)
    waited = []
    monkeypatch.setattr(time, "sleep", waited.append)
    import_commons("relay", "relay", out, api=commons.api, pause=1, progress=False)
    assert waited == [1, 1, 2, 4, 9]  # the search; the first try and two more; as long as the server asks


def test_a_slow_drip_does_not_hang(commons, out, monkeypatch):
    commons.add("first.jpg", fault=["dripping"])
    monkeypatch.setattr(importer_of_commons, "MAX_SECONDS", 0.3)
    search(commons, out)
    assert "takes longer than" in aside(out)["File:first.jpg"]


@pytest.mark.parametrize("faults, message", [
    (["come_back_tomorrow"], "asks for a pause of 86400 seconds"), (["busy"] * 9, "asks for a pause")])
def test_a_server_that_wants_a_pause_gets_it_and_what_was_taken_is_kept(commons, out, faults, message):
    commons.add("first.jpg")
    commons.add("second.jpg", fault=faults)
    commons.add("third.jpg")
    with pytest.raises(ImportStopped, match=message):
        search(commons, out)
    assert len(photos.read_table(out)) == 1 and "third.jpg" not in str(commons.downloads())
    commons.faults["second.jpg"].clear()
    assert search(commons, out).taken == {"relay": 2}


@pytest.mark.parametrize("faults, message", [
    (["maxlag", "busy", "broken"], None), (["refused"], "Unrecognized value"), (["html"], "not a MediaWiki API"),
    (["maxlag"] * 9, "Waiting for a database"), (["other_json"], "not a MediaWiki API"), (["broken"] * 9, "500"),
    (["missing"], "404"), (["cut"] * 9, "cannot be had")])
def test_faults_of_the_api_are_retried_or_one_sentence(commons, out, faults, message):
    commons.add("first.jpg")
    commons.api_faults[:] = faults
    if message is None:
        assert search(commons, out).taken == {"relay": 1}
    else:
        with pytest.raises(ImportStopped, match=message) as error:
            search(commons, out)
        assert "\n" not in str(error.value)


def test_without_a_network_one_sentence_says_that_it_is_needed(commons, out):
    for api in ("http://127.0.0.1:9/w/api.php", "http://no.such.host.invalid/w/api.php", "nonsense", "http://[::1/",
                "ftp://127.0.0.1/"):
        started = time.monotonic()
        with pytest.raises(ImportStopped, match="cannot be reached, and this import needs the network"):
            import_commons("relay", "relay", out, api=api, pause=0.001, progress=False)
        assert time.monotonic() - started < 20


def test_a_search_that_finds_nothing_and_one_that_asks_for_nothing(commons, out):
    with pytest.raises(PhotoError, match="no pictures for 'nothing'"):
        search(commons, out, query="nothing")
    with pytest.raises(PhotoError, match="Name words"):
        search(commons, out, query=" ")
    with pytest.raises(PhotoError, match="a count of 1"):
        search(commons, out, count=0)


def test_an_api_that_goes_round_in_circles_is_left(commons, out, monkeypatch):
    monkeypatch.setattr(Commons, "answer", lambda self, query: {"continue": {"gsroffset": 3}})
    with pytest.raises(ImportStopped, match="round in circles"):
        search(commons, out)


def test_a_page_of_another_class_and_a_file_that_is_no_photograph_are_not_downloaded(commons, out):
    commons.add("first.jpg")
    commons.add("second.svg", mime="image/svg+xml")
    search(commons, out)
    assert not import_commons("piezo", "piezo", out, api=commons.api, pause=0, progress=False).taken
    assert len(commons.downloads()) == 1
    assert aside(out) == {
        "File:first.jpg": "same photo in two classes: It is also in class relay. Search for narrower words.",
        "File:second.svg": "not a photograph: It is image/svg+xml."}


# The command

def command(*arguments, **options):
    return subprocess.run([sys.executable, "-m", "utils.capture", *map(str, arguments)], cwd=ROOT, capture_output=True,
                          text=True, **options)


def test_the_command_imports_and_tells_what_it_did(folder, tmp_path, out, commons):
    (fill(folder) / "relay" / "a.jpg").write_text("hello")
    done = command("photos", folder, "--out", out, env={**os.environ, "TQDM_DISABLE": "1"})
    assert done.returncode == 0
    assert "12 taken (Schrittmotor größer 6, relay 6), 0 there already, 1 set aside" in done.stdout
    assert "1 / 2" in done.stdout and "a.jpg: It cannot be read (it is not a picture)" in done.stdout
    assert "photographs" in done.stderr  # the bar, whatever TQDM_DISABLE says
    done = command("video", clip(tmp_path / "a.mp4"), "--label", "piezo", "--out", out, "--every", 2)
    assert done.returncode == 0 and "2 taken (piezo 2)" in done.stdout
    commons.add("first.jpg", image=picture(900))
    done = command("commons", "relay", "--label", "relay", "--out", out, "--api", commons.api, "--count", 1)
    assert done.returncode == 0 and "1 taken (relay 1)" in done.stdout


def test_the_command_says_in_one_line_what_is_wrong_and_exits_1_for_the_users_files_2_for_a_network(tmp_path, out):
    for exit_code, *arguments in ((1, "photos", tmp_path / "nowhere"),
                                  (1, "video", tmp_path / "nowhere.mp4", "--label", "relay"),
                                  (2, "commons", "relay", "--label", "relay", "--api", "http://127.0.0.1:9/")):
        done = command(*arguments, "--out", out)
        lines = [line for line in done.stderr.replace("\r", "\n").splitlines() if line.strip() and "|" not in line]
        assert done.returncode == exit_code and len(lines) == 1 and not done.stdout, done.stderr


def test_the_command_can_be_interrupted(commons, out):
    commons.add("first.jpg")
    commons.add("second.jpg", fault=["dripping"])
    arguments = ["commons", "relay", "--label", "relay", "--out", out, "--api", commons.api]
    process = processes.start("-m", "utils.capture", *arguments)
    processes.wait_until(lambda: len(commons.downloads()) >= 2, process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130 and "run the same command again" in errors and "Traceback" not in errors
    assert len(photos.read_table(out)) == 1
    assert search(commons, out).taken == {"relay": 1}


# What utils.photos does for it

def test_a_split_keeps_what_was_dealt_out_and_fills_what_is_missing():
    table = pd.DataFrame([(f"{i}.jpg", "relay", f"s{i}") for i in range(12)], columns=["file", "label", "session"])
    keep = {f"s{i}": "train" for i in range(10)}
    split = photos.split_by_session(table, keep=keep).set_index("session")["split"].to_dict()
    assert keep.items() <= split.items() and {split["s10"], split["s11"]} == {"valid", "test"}
    assert photos.split_by_session(table, keep={}).equals(photos.split_by_session(table))


@pytest.mark.parametrize("label, splits", [("relay", ["train", "valid", "test"]),
                                           ("other", ["valid", "test", "train"])])
def test_a_partial_split_grows_session_by_session_into_all(label, splits):
    keep = {}
    for n in range(1, len(splits) + 1):
        table = pd.DataFrame([(f"{i}.jpg", label, f"s{i}") for i in range(n)], columns=["file", "label", "session"])
        keep = photos.split_by_session(table, keep=keep, partial=True).set_index("session")["split"].to_dict()
        assert len(set(keep.values())) == n
    assert set(keep.values()) == set(splits)


# Fuzz

def mutated(data, rng):
    """Bytes with one kind of damage: no end, bytes changed, header bits flipped, a gap of zeros, a part missing."""
    data, n = bytearray(data), len(data)
    kind, (start, stop) = rng.integers(5), sorted(rng.integers(0, n, 2))
    if kind == 0:
        return bytes(data[:start])
    if kind == 1:
        for place in rng.integers(0, n, 20):
            data[place] = rng.integers(256)
    elif kind == 2:
        for place in rng.integers(0, min(n, 400), 5):
            data[place] ^= 1 << rng.integers(8)
    elif kind == 3:
        data[start:start + 200] = bytes(len(data[start:start + 200]))
    return bytes(data[:start] + data[stop:]) if kind == 4 else bytes(data)


def encoded(image, form, **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def test_500_mutated_files_neither_crash_nor_hang_the_import_nor_vanish(tmp_path, folder, out):
    rng, image = np.random.default_rng(0), picture(1, (200, 150))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    sources = [("jpg", encoded(image, "JPEG", exif=exif("2024:05:01 12:00:00", 6), icc_profile=profile)),
               ("jpg", encoded(image, "JPEG", progressive=True)), ("jpg", encoded(image.convert("CMYK"), "JPEG")),
               ("png", encoded(image, "PNG", exif=exif(), icc_profile=profile)),
               ("png", encoded(image.convert("P"), "PNG")), ("png", encoded(image.convert("I;16"), "PNG")),
               ("webp", encoded(image, "WEBP", exif=exif())),
               ("webp", encoded(image, "WEBP", save_all=True, append_images=[picture(2, (200, 150))])),
               ("heic", encoded(image, "HEIF", exif=exif())), ("bmp", encoded(image, "BMP")),
               ("tif", encoded(image, "TIFF", compression="tiff_lzw"))]
    for i in range(440):
        suffix, data = sources[i % len(sources)]
        path = folder / f"class {i % 3}" / f"{i}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(mutated(data, rng))
    videos = [(name, clip(tmp_path / f"good.{name}", seconds=2, codec=codec).read_bytes()) for name, codec in (
        ("mp4", "libx264"), ("mov", "mpeg4"), ("avi", "mjpeg"), ("mkv", "libx265"), ("webm", "libvpx-vp9"))]
    for i in range(60):
        suffix, data = videos[i % len(videos)]
        (tmp_path / f"{i}.{suffix}").write_bytes(mutated(data, rng))
    code = ("import sys; from pathlib import Path; from utils import capture, photos\n"
            "folder, out = map(Path, sys.argv[1:])\n"
            "capture.import_photos(folder, out, progress=False)\n"
            "for path in sorted(folder.parent.glob('[0-9]*.*')):\n"
            "    try:\n        capture.import_video(path, 'class 0', out, progress=False)\n"
            "    except photos.PhotoError as error:\n        print(error)\n")
    done = subprocess.run([sys.executable, "-c", code, folder, out], cwd=ROOT, timeout=120, capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(out / "photos.csv", dtype=str, keep_default_na=False)
    listed = pd.read_csv(out / "set_aside.csv", dtype=str, keep_default_na=False)
    told = {Path(source.partition("#")[0]).name for source in [*table["source"], *listed["file"]]}
    assert told == {path.name for path in [*folder.rglob("*.*"), *tmp_path.glob("[0-9]*.*")]} and len(told) == 500
    assert not listed["reason"].str.contains("\n").any() and photos.check_health(out).empty
    kinds = set(listed["reason"].str.partition(":")[0])
    assert kinds >= {"unreadable picture", "near-duplicate", "unusable video"} and len(table) > 5
