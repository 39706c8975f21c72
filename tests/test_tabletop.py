"""data/tabletop: the bundled photographs are complete, well split and the ones that data/README.md describes."""
import re

import pytest
from PIL import Image

from utils import photos
from utils.paths import DATA, TABLETOP


@pytest.fixture(scope="module")
def table():
    return photos.read_table(TABLETOP)


def test_the_health_check_finds_nothing():
    findings = photos.check_health(TABLETOP)
    assert findings.empty, findings.to_string()


def test_no_session_is_in_two_splits(table):
    assert (table.groupby("session")["split"].nunique() == 1).all()


def test_four_classes_and_other_with_sessions_enough_in_each_split(table):
    assert len(photos.class_names(table)) == 4
    sessions = table.groupby(["label", "split"])["session"].nunique().unstack(fill_value=0)
    for label in photos.class_names(table):
        train, valid, test = sessions.loc[label, list(photos.SPLITS)]
        assert train + valid + test >= 36 and (train >= 24, valid >= 6, test >= 6) == (True, True, True), label
    assert (sessions.loc[photos.OTHER, ["valid", "test"]] >= 15).all()


def test_strangers_of_the_test_are_of_kinds_that_training_does_not_show(table):
    kinds = table[table["label"] == photos.OTHER].groupby("split")["variant"].agg(set)
    assert len(kinds["train"]) >= 20 and not kinds["train"] & kinds["test"]


def test_every_photograph_is_256_pixels_square_and_all_are_under_25_megabytes(table):
    for file in table["file"]:
        with Image.open(TABLETOP / file) as picture:
            assert picture.size == (256, 256) and picture.format == "JPEG", file
    assert sum((TABLETOP / file).stat().st_size for file in table["file"]) < 25e6


def test_the_datasheet_states_the_checksum():
    stated = re.findall(r"\b[0-9a-f]{64}\b", (DATA / "README.md").read_text())
    assert photos.checksum(TABLETOP) in stated
