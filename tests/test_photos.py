"""utils.photos: finding, reading, splitting and checking photographs; every kind of bad input has its sentence."""
import ast
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from utils import photos
from utils.paths import ROOT
from utils.photos import PhotoError

RED = (200, 30, 30)


def picture(seed=0, size=(40, 30)):
    """A picture of smooth noise, so that two seeds never look the same."""
    noise = np.random.default_rng(seed).integers(0, 255, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BILINEAR)


def fill(folder, sessions=3, frames=2, labels=("relay", "Schrittmotor größer")):
    """A small healthy folder: classes / sessions / frames."""
    for i, label in enumerate(labels):
        for session in range(sessions):
            place = folder / label / f"session {session}"
            place.mkdir(parents=True)
            for frame in range(frames):
                picture(1000 * i + 10 * session + frame).save(place / f"{frame}.jpg")
    return folder


def write_table(folder, rows):
    pd.DataFrame(rows, columns=photos.COLUMNS).to_csv(folder / "photos.csv", index=False)


def findings(folder):
    return {(row.finding, row.file) for row in photos.check_health(folder).itertuples()}


# The table

def test_a_folder_without_photos_csv_takes_classes_and_sessions_from_its_folders(tmp_path):
    table = photos.read_table(fill(tmp_path))
    assert list(table)[:4] == ["file", "label", "session", "split"]
    assert len(table) == 12 and table["session"].nunique() == 6
    assert photos.class_names(table) == ["Schrittmotor größer", "relay"]
    assert "relay/session 0/1.jpg" in set(table["file"])


def test_photographs_directly_in_a_class_folder_are_sessions_of_their_own(tmp_path):
    for label in "ab":
        (tmp_path / label).mkdir()
        for i in range(3):
            picture(i + ord(label)).save(tmp_path / label / f"{i}.PNG")
    assert photos.read_table(tmp_path)["session"].nunique() == 6


def test_decomposed_accents_of_macos_become_one_label(tmp_path):
    (tmp_path / "Re\u0301lais").mkdir()
    picture().save(tmp_path / "Re\u0301lais" / "a.jpg")
    assert list(photos.find_photos(tmp_path)["label"]) == ["R\u00e9lais"]


def test_photos_csv_keeps_its_further_columns_behind_the_four(tmp_path):
    (tmp_path / "photos.csv").write_text("light,split,file,label,session\nlamp,train,a.jpg,NA,007\n")
    table = photos.read_table(tmp_path)
    assert list(table) == ["file", "label", "session", "split", "light"]
    assert table.iloc[0, :4].tolist() == ["a.jpg", "NA", "007", "train"]  # neither a missing value nor a number


@pytest.mark.parametrize("text, message", [
    ("file,label\na.jpg,relay\n", "no column session, split"),
    ("file,label,session,split\n", "lists no photographs"),
    ("file,label,session,split\na.jpg,relay,1,training\n", "line 2: the split is 'training'"),
    ("file,label,session,split\na.jpg,,1,train\n", "line 2: the column label is empty"),
    ("file,label,session,split\na.jpg,x,1,train\na.jpg,x,1,train\n", "lists a.jpg twice"),
    ("file,label,session,split\n\"a.jpg,x,1,train\n", "cannot be read as a table"),
    ("", "cannot be read as a table"),
    ("file,label,session,split\n\udcff.jpg,x,1,train\n", "cannot be read as a table"),
])
def test_a_malformed_photos_csv_is_one_sentence_that_names_it(tmp_path, text, message):
    (tmp_path / "photos.csv").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(PhotoError, match=message) as error:
        photos.read_table(tmp_path)
    assert "photos.csv" in str(error.value) and "\n" not in str(error.value)


def test_a_missing_and_an_empty_folder_are_told_apart(tmp_path):
    with pytest.raises(PhotoError, match="no such folder"):
        photos.read_table(tmp_path / "nowhere")
    with pytest.raises(PhotoError, match="no photographs found"):
        photos.read_table(tmp_path)


# Splitting

def table_of(**sessions):
    rows = [(f"{label}/{i}-{f}.jpg", label, f"{label}-{i}") for label, n in sessions.items()
            for i in range(n) for f in range(3)]
    return pd.DataFrame(rows, columns=["file", "label", "session"])


def test_a_split_divides_no_session_and_gives_24_6_6_of_36():
    table = photos.split_by_session(table_of(relay=36, piezo=36, other=30))
    assert (table.groupby("session")["split"].nunique() == 1).all()
    counts = table.groupby(["label", "split"])["session"].nunique().to_dict()
    assert counts == {("relay", "train"): 24, ("relay", "valid"): 6, ("relay", "test"): 6,
                      ("piezo", "train"): 24, ("piezo", "valid"): 6, ("piezo", "test"): 6,
                      ("other", "train"): 20, ("other", "valid"): 5, ("other", "test"): 5}


def test_a_split_repeats_with_its_seed_and_changes_with_another():
    table = table_of(relay=12, piezo=12)
    again = photos.split_by_session(table.sample(frac=1, random_state=1)).sort_index()
    assert photos.split_by_session(table)["split"].tolist() == again["split"].tolist()
    assert photos.split_by_session(table, seed=1)["split"].tolist() != again["split"].tolist()


@pytest.mark.parametrize("sessions", [3, 4, 5, 7, 100])
def test_every_class_is_in_every_split(sessions):
    table = photos.split_by_session(table_of(relay=sessions, piezo=3, other=2))
    assert table.groupby("label")["split"].unique().map(set).to_dict() == {
        "relay": {"train", "valid", "test"}, "piezo": {"train", "valid", "test"}, "other": {"valid", "test"}}


def test_too_few_sessions_are_refused_with_how_many_more():
    with pytest.raises(PhotoError, match="piezo has 1 capture session and needs at least 3.*photograph 2 more"):
        photos.split_by_session(table_of(relay=9, piezo=1))


def test_a_session_of_two_classes_is_refused():
    table = table_of(relay=3, piezo=3).assign(session="1")
    with pytest.raises(PhotoError, match="Session 1 holds photographs of piezo and relay"):
        photos.split_by_session(table)


# Reading

def saved(tmp_path, image, name, **options):
    image.save(tmp_path / name, **options)
    return tmp_path / name


@pytest.mark.parametrize("mode, name", [("RGB", "a.png"), ("L", "a.png"), ("1", "a.png"), ("P", "a.png"),
                                        ("CMYK", "a.jpg"), ("RGBA", "a.webp"), ("LA", "a.png"), ("YCbCr", "a.jpg")])
def test_every_mode_is_read_as_upright_rgb(tmp_path, mode, name):
    read = photos.read_photo(saved(tmp_path, picture().convert(mode), name))
    assert read.mode == "RGB" and read.size == (40, 30)
    expected = np.asarray(picture().convert(mode).convert("RGB"), float)
    assert abs(np.asarray(read, float) - expected).mean() < 12


def test_sixteen_bits_are_scaled_and_not_clipped(tmp_path):
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    for name in "a.png", "a.tif":
        read = np.asarray(photos.read_photo(saved(tmp_path, Image.fromarray(ramp), name)))
        assert abs(read[..., 0] - ramp / 257).max() <= 1


def test_transparent_parts_become_white(tmp_path):
    clear = Image.new("RGBA", (20, 20), RED + (0,))
    assert photos.read_photo(saved(tmp_path, clear, "a.png")).getpixel((5, 5)) == (255, 255, 255)
    palette = Image.new("P", (20, 20), 0)
    palette.putpalette(RED)
    assert photos.read_photo(saved(tmp_path, palette, "b.png", transparency=0)).getpixel((5, 5)) == (255, 255, 255)


def test_exif_rotation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn right to see it upright"
    sideways = Image.new("RGB", (40, 20), "blue")
    sideways.paste(RED, (0, 0, 20, 20))
    read = photos.read_photo(saved(tmp_path, sideways, "a.png", exif=exif))
    assert read.size == (20, 40) and read.getpixel((10, 5)) == RED


def test_heic_is_read(tmp_path):
    read = photos.read_photo(saved(tmp_path, Image.new("RGB", (64, 48), RED), "a.heic"))
    assert read.size == (64, 48) and np.allclose(read.getpixel((30, 20)), RED, atol=6)


def test_heic_without_its_package_says_which(tmp_path, monkeypatch):
    path = tmp_path / "a.heic"
    path.write_bytes(b"\0\0\0\x18ftypheic")
    monkeypatch.setattr(photos, "pillow_heif", None)
    with pytest.raises(PhotoError, match="pillow-heif"):
        photos.read_photo(path)


def test_size_is_width_and_height_and_crops_the_middle(tmp_path):
    wide = Image.new("RGB", (90, 30), "blue")
    wide.paste(RED, (30, 0, 60, 30))
    path = saved(tmp_path, wide, "a.png")
    middle = photos.read_photo(path, (20, 20))
    assert middle.getpixel((2, 10)) == middle.getpixel((17, 10)) == RED
    assert photos.read_photo(path, (24, 12)).size == (24, 12)
    table = pd.DataFrame({"file": ["a.png", "a.png"]})
    batch = photos.read_photos(tmp_path, table, (24, 12))
    assert batch.shape == (2, 12, 24, 3) and batch.dtype == np.uint8


def truncated(path):
    picture(size=(200, 200)).save(path)
    path.write_bytes(path.read_bytes()[:-700])


BAD_PICTURES = {
    "a truncated JPEG": ("a.jpg", truncated, "damaged"),
    "a truncated PNG": ("a.png", truncated, "damaged"),
    "a text named .jpg": ("a.jpg", lambda p: p.write_text("hello"), "not a picture"),
    "an empty file": ("a.jpg", lambda p: p.touch(), "not a picture"),
    "one pixel": ("a.png", lambda p: Image.new("RGB", (1, 1)).save(p), "1 x 1 pixels"),
    "floating point": ("a.tif", lambda p: Image.new("F", (30, 30)).save(p), "floating-point"),
    "a missing file": ("a.jpg", lambda p: None, "no such file"),
}


@pytest.mark.parametrize("kind", BAD_PICTURES)
def test_a_bad_picture_is_one_sentence_that_names_the_file(tmp_path, kind):
    name, make, message = BAD_PICTURES[kind]
    make(tmp_path / name)
    with pytest.raises(PhotoError, match=message) as error:
        photos.read_photo(tmp_path / name)
    assert str(tmp_path / name) in str(error.value) and "\n" not in str(error.value)


# Health

def test_a_healthy_folder_has_no_findings(tmp_path):
    assert photos.check_health(fill(tmp_path)).empty
    assert len(photos.require_healthy(tmp_path)) == 12


@pytest.mark.parametrize("kind", [kind for kind in BAD_PICTURES if kind != "a missing file"])
def test_health_finds_a_bad_picture(tmp_path, kind):
    name, make, message = BAD_PICTURES[kind]
    make(fill(tmp_path) / "relay" / "session 0" / name)
    assert ("unreadable picture", f"relay/session 0/{name}") in findings(tmp_path)
    with pytest.raises(PhotoError, match=f"relay/session 0/{name}.*{message}"):
        photos.require_healthy(tmp_path)


def test_the_table_is_read_once_where_it_has_to_be_healthy(tmp_path, monkeypatch):
    expected, read, calls = listed(tmp_path), photos.read_table, []
    monkeypatch.setattr(photos, "read_table", lambda folder: calls.append(folder) or read(folder))
    assert photos.require_healthy(tmp_path).equals(expected) and calls == [tmp_path]


def test_a_folder_whose_pictures_are_known_to_be_sound_is_checked_without_decoding_them(tmp_path, monkeypatch):
    fill(tmp_path, labels=["relay"])
    monkeypatch.setattr(photos, "decode", lambda *_: pytest.fail("a picture was decoded"))
    with pytest.raises(PhotoError, match="only one class"):
        photos.require_healthy(tmp_path, pictures=False)
    fill(tmp_path, labels=["piezo"])
    assert len(photos.require_healthy(tmp_path, pictures=False)) == 12


def test_health_finds_an_empty_class_folder(tmp_path):
    (fill(tmp_path) / "piezo").mkdir()
    assert findings(tmp_path) == {("empty class folder", "piezo")}


def test_health_finds_that_there_is_one_class_only(tmp_path):
    assert findings(fill(tmp_path, labels=["relay", "other"])) == {("only one class", tmp_path.name)}


def test_health_finds_the_same_photo_in_two_classes(tmp_path):
    table = photos.read_table(fill(tmp_path))
    first = table[table["label"] == "relay"]["file"].iloc[0]
    copy = tmp_path / "Schrittmotor größer" / "session 0" / "copy.png"  # another file format, the same pixels
    Image.open(tmp_path / first).save(copy)
    assert ("same photo in two classes" in {f for f, _ in findings(tmp_path)})


def listed(tmp_path, **changes):
    """A folder with a photos.csv; changes: {column: (row, value)}."""
    table = photos.read_table(fill(tmp_path))
    for column, (row, value) in changes.items():
        table.loc[row, column] = value
    write_table(tmp_path, table)
    return table


def test_health_finds_a_session_in_two_splits(tmp_path):
    table = listed(tmp_path)
    row = table.index[table["split"] == "train"][0]
    table.loc[row, "split"] = "test"
    write_table(tmp_path, table)
    assert findings(tmp_path) == {("session in two splits", table.loc[row, "session"])}


def test_health_finds_the_same_photo_in_two_splits(tmp_path):
    table = listed(tmp_path)
    relay = table[table["label"] == "relay"]
    train, test = (relay[relay["split"] == split]["file"].iloc[0] for split in ("train", "test"))
    (tmp_path / test).write_bytes((tmp_path / train).read_bytes())
    assert {finding for finding, _ in findings(tmp_path)} == {"same photo in two splits"}


def test_health_finds_rows_without_a_file_and_files_without_a_row(tmp_path):
    listed(tmp_path, file=(0, "relay/gone.jpg"))
    found = findings(tmp_path)
    assert ("no such file", "relay/gone.jpg") in found
    assert {finding for finding, _ in found} == {"no such file", "not in photos.csv"}


def test_health_notes_files_that_are_no_photographs_without_refusing(tmp_path):
    (fill(tmp_path) / "relay" / "notes.txt").write_text("hello")
    assert findings(tmp_path) == {("not a photograph", "relay/notes.txt")}
    photos.require_healthy(tmp_path)


def test_checking_and_reading_leave_the_folder_as_it_was(tmp_path):
    before = photos.checksum(fill(tmp_path))
    photos.check_health(tmp_path)
    photos.read_photos(tmp_path, photos.read_table(tmp_path), (20, 20))
    assert photos.checksum(tmp_path) == before
    (tmp_path / "relay" / "session 0" / "0.jpg").rename(tmp_path / "relay" / "session 0" / "9.jpg")
    assert photos.checksum(tmp_path) != before


# The command

def command(*arguments):
    return subprocess.run([sys.executable, "-m", "utils.photos", *map(str, arguments)], cwd=ROOT, capture_output=True,
                          text=True)


def test_the_command_prints_the_table_and_exits_1_on_fatal_findings(tmp_path):
    good = command(fill(tmp_path))
    assert good.returncode == 0 and "1 / 2" in good.stdout and "[OK]" in good.stdout
    (tmp_path / "piezo").mkdir()
    bad = command(tmp_path)
    assert bad.returncode == 1 and "[FAIL] piezo: empty class folder" in bad.stdout
    nowhere = command(tmp_path / "nowhere")
    assert nowhere.returncode == 1 and "no such folder" in nowhere.stderr and "Traceback" not in nowhere.stderr


def test_photos_and_paths_are_python_3_8():
    for name in "photos.py", "paths.py":
        source = (ROOT / "utils" / name).read_text()
        ast.parse(source, feature_version=(3, 8))
        assert "is_relative_to" not in source and "removeprefix" not in source  # came with 3.9


@pytest.mark.parametrize("interleaved", [False, True])
def test_a_sample_takes_whole_sessions_of_every_class_and_split(interleaved):
    labels = ["a", "b"] * 10 if interleaved else ["a"] * 10 + ["b"] * 10
    table = pd.DataFrame({"label": np.repeat(labels, 4), "split": np.repeat(["valid"] * 10 + ["test"] * 10, 4),
                          "session": np.repeat(np.arange(20), 4)})
    some = photos.whole_sessions(table, 40)
    assert (some.groupby("session").size() == 4).all()
    assert some.groupby(["label", "split"]).ngroups == table.groupby(["label", "split"]).ngroups
    assert 40 <= len(some) <= 48
    assert len(photos.whole_sessions(table, 80)) == 80
