"""The studio's plain data and its camera, without Blender."""
import dataclasses
import json
import signal
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pytest

from utils.paths import ROOT
from studio import parts, scene
from studio.__main__ import main, shard
from studio.develop import develop, meter


def test_the_same_name_draws_the_same_scene_and_another_name_another():
    assert scene.draw("relay-07") == scene.draw("relay-07")
    assert scene.draw("relay-07") != scene.draw("relay-08")


def test_a_scene_is_plain_data():
    assert json.loads(json.dumps(dataclasses.asdict(scene.draw("piezo-00"))))["label"] == "piezo"


def test_every_label_has_its_sessions_in_its_splits():
    found = Counter((name.rsplit("-", 1)[0], scene.split_of(name)) for name in scene.sessions())
    for label in set(parts.LABELS) - {"other"}:
        assert [found[label, split] for split in ("train", "valid", "test")] == [54, 12, 6], label
    assert [found["other", split] for split in ("train", "valid", "test")] == [36, 15, 15]
    assert len(set(scene.sessions())) == len(scene.sessions())


def test_a_quarter_of_the_sessions_has_a_quarter_of_each_label():
    names = scene.sessions()
    quarter = Counter(name.rsplit("-", 1)[0] for name in names[:len(names) // 4])
    assert all(abs(quarter[label] - len(scene.SPLITS[label]) / 4) <= 2 for label in parts.LABELS)


def test_every_variant_of_every_family_has_a_weight():
    for family in parts.LABELS + ["clutter"]:
        assert all(weight > 0 for weight in parts.WEIGHTS[family].values())


@pytest.mark.parametrize("label", sorted(set(parts.LABELS) - {"other"}))
def test_the_test_shows_parts_of_training_in_other_sessions_and_validation_shows_new_parts(label):
    scenes = [scene.draw(name) for name in scene.sessions() if name.startswith(label)]
    shown = {split: {s.thing for s in scenes if s.split == split} for split in ("train", "valid", "test")}
    assert shown["test"] < shown["train"] and not shown["valid"] & shown["train"]
    trained = Counter(s.thing for s in scenes if s.split == "train")
    assert {trained[thing] for thing in shown["test"]} == {5} and len(shown["test"]) == 6
    assert len({s.frames for s in scenes}) == len(scenes)
    for s in scenes:
        assert s.thing == scene.draw(scene.part_of(s.session)).thing


def test_sessions_of_one_number_share_everything_but_the_thing():
    one, other = scene.draw("relay-40"), scene.draw("piezo-40")
    same = ["clutter", "surface", "wall", "hdri", "hdri_turn", "lamps", "flash", "turn", "field_of_view", "frames"]
    assert all(getattr(one, field) == getattr(other, field) for field in same) and one.thing != other.thing
    assert scene.draw("relay-40").frames != scene.draw("relay-41").frames
    assert scene.draw("relay-04").frames != scene.draw("piezo-04").frames


@pytest.mark.parametrize("label", sorted(set(parts.LABELS) - {"other"}))
def test_training_sees_every_variant_that_the_test_shows(label):
    shown = {split: {scene.variant_of(name) for name in scene.sessions()
                     if name.startswith(label) and scene.split_of(name) == split} for split in ("train", "test")}
    assert shown["test"] <= shown["train"] == set(parts.WEIGHTS[label])


def test_shards_share_the_sessions_out_without_overlap():
    names = scene.sessions()
    pieces = [shard(names, f"{k}/4") for k in range(1, 5)]
    assert sorted(sum(pieces, [])) == sorted(names)


@pytest.mark.parametrize("which", ["0/4", "5/4", "1", "a/b", "1/0"])
def test_a_shard_that_makes_no_sense_is_one_sentence(which, tmp_path, capsys):
    assert main(["--out", str(tmp_path), "--shard", which]) == 2
    assert "expected k/n" in capsys.readouterr().err


def test_an_unknown_session_is_one_sentence(tmp_path, capsys):
    assert main(["--out", str(tmp_path), "--sessions", "teapot-01"]) == 2
    assert "there is no session teapot-01" in capsys.readouterr().err


def test_the_meter_makes_up_for_dim_light():
    light = np.random.default_rng(0).uniform(0.1, 1, (32, 32, 3))
    assert meter(light) * 0.01 == pytest.approx(meter(light * 100), rel=0.01)


def test_a_longer_exposure_is_a_brighter_picture():
    s = scene.draw("relay-00")
    light = np.random.default_rng(0).uniform(0.1, 1, (32, 32, 3))
    under, over = (np.mean(develop(light, s, dataclasses.replace(s.frames[0], exposure=e), 1)) for e in (-1, 1))
    assert under + 30 < over


def test_a_shaken_camera_blurs_along_its_way():
    s = scene.draw("relay-00")
    light = np.full((33, 33, 3), 0.1)
    light[16, 16] = 20
    still = dataclasses.replace(s.frames[0], motion=(0.0, 0.0), noise=0.0)
    sharp, blurred = (np.asarray(develop(light, s, frame, 1).convert("L"), float)
                      for frame in (still, dataclasses.replace(still, motion=(8.0, 0.0))))
    assert (blurred[16] > 150).sum() > (sharp[16] > 150).sum() + 3
    assert (blurred[:, 16] > 150).sum() <= (sharp[:, 16] > 150).sum()


FAKE = """
import sys, time, types
from pathlib import Path
def render(scene, files, threads):
    for file in files:
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            partial = file.with_suffix(f".{os.getpid()}.part")
            partial.write_text(scene.session)
            try:
                time.sleep(SECONDS)
            except KeyboardInterrupt:
                pass  # Blender prints and forgets what is raised while it renders
            ENDING
            partial.replace(file)
import os
import studio
studio.render = sys.modules["studio.render"] = types.ModuleType("render")
studio.render.render = render
from studio.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def studio(out, seconds=0.0, ending="pass"):
    """The studio's command on one session, with a Blender that paints nothing."""
    code = FAKE.replace("SECONDS", str(seconds)).replace("ENDING", ending)
    return subprocess.Popen([sys.executable, "-c", code, "--out", out, "--sessions", "relay-12"], cwd=ROOT, text=True,
                            stderr=subprocess.PIPE, stdout=subprocess.PIPE,
                            # a shell's background job, which a test run may be, ignores interrupts
                            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))


def test_only_what_is_missing_is_rendered(tmp_path):
    assert studio(tmp_path).wait(60) == 0
    files = sorted((tmp_path / "relay").iterdir())
    assert len(files) == 8
    for file in files:
        file.write_text("there")
    files[2].unlink()
    assert studio(tmp_path).wait(60) == 0
    assert [file.read_text() for file in files] == ["there"] * 2 + ["relay-12"] + ["there"] * 5


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_stops_the_render_even_while_blender_works_and_leaves_nothing_half_written(tmp_path, how):
    process = studio(tmp_path, seconds=0.3)
    while not (tmp_path / "relay" / "relay-12_1.jpg").exists():
        time.sleep(0.01)
        assert process.poll() is None
    process.send_signal(how)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130 and "run the same command again to go on" in said and "Traceback" not in said
    names = {file.name for file in (tmp_path / "relay").iterdir()}
    assert "relay-12_1.jpg" in names and "relay-12_7.jpg" not in names and not [n for n in names if n.endswith(".part")]
    assert studio(tmp_path).wait(60) == 0 and len(list((tmp_path / "relay").iterdir())) == 8


def test_a_full_disk_is_one_sentence(tmp_path):
    said = studio(tmp_path, ending="raise OSError(28, 'No space left on device')").communicate(timeout=60)
    assert "No space left on device. Make room, " in said[1] and "Traceback" not in said[1] and said[0] == ""
    assert list((tmp_path / "relay").iterdir()) == []


def test_each_training_session_of_strangers_has_its_kind_and_four_frames():
    sessions = [name for name in scene.sessions() if name.startswith("other-") and scene.split_of(name) == "train"]
    assert sorted(map(scene.variant_of, sessions)) == sorted(scene.STRANGERS)
    assert {len(scene.draw(name).frames) for name in sessions} == {scene.STRANGERS_FRAMES}
    assert len(scene.draw("relay-40").frames) == scene.FRAMES
