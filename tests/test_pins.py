"""utils.pins: which pins are behind."""
import json
import subprocess

import pytest

from utils import pins


def answering(monkeypatch, found, stderr="", code=0):
    done = subprocess.CompletedProcess([], code, json.dumps(found), stderr)
    monkeypatch.setattr(subprocess, "run", lambda *args, **options: done)


def test_pins_with_something_newer_are_listed_whatever_the_spelling(monkeypatch, capsys):
    answering(monkeypatch, [{"name": "Pillow_Heif", "version": "1.0", "latest_version": "1.1"},
                            {"name": "not-pinned", "version": "1", "latest_version": "2"}])
    monkeypatch.setattr(pins, "required_versions", lambda: {"pillow-heif": "1.0", "numpy": "2.0"})
    assert pins.main() == 0
    line, last = capsys.readouterr().out.splitlines()
    assert line.split() == ["pillow-heif", "1.0", "→", "1.1"] and last == "1 of 2 pins are behind."


@pytest.mark.parametrize("stderr, code", [
    ("WARNING: Retrying (Retry(total=0))\nERROR: nothing", 0), ("ERROR: broken", 2)])
def test_without_a_network_nothing_is_claimed(monkeypatch, capsys, stderr, code):
    answering(monkeypatch, [], stderr, code)
    assert pins.main() == 1
    captured = capsys.readouterr()
    assert captured.out == "" and "is there a network?" in captured.err and len(captured.err.splitlines()) == 1
