"""The studio's plain data and its camera, without Blender."""
import ast
import dataclasses
import importlib
import json
import signal
import subprocess
import sys
from collections import Counter
from unittest.mock import MagicMock

import numpy as np
import pytest

from studio import outlines, parts, scene
from studio.__main__ import main, shard
from studio.develop import develop, meter
from tests import processes
from utils.paths import ROOT

COMMAND = """
import os, signal, sys, types

def render(scene, files, threads):
    for file in files:
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            partial = file.with_suffix(f".{os.getpid()}.part")
            partial.write_text(scene.session)
            try:
                DURING
            except KeyboardInterrupt:
                pass  # Blender prints and forgets what is raised while it renders
            partial.replace(file)

sys.modules["studio.render"] = types.ModuleType("studio.render")
sys.modules["studio.render"].render = render
from studio.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def studio(out, during="pass"):
    """The studio's command on one session, with a Blender that writes the session's name in place of a picture and runs
    the statement ``during`` while it renders ``file``."""
    code = COMMAND.replace("DURING", during)
    return processes.start("-c", code, "--out", out, "--sessions", "relay-12", stdout=subprocess.PIPE)


@pytest.fixture
def stand_in(monkeypatch):
    """Imports a module of the studio with stand-ins for Blender's modules, and forgets it after the test."""
    for name in ("bpy", "mathutils"):
        monkeypatch.setitem(sys.modules, name, MagicMock())
    before = set(sys.modules)
    yield lambda name: importlib.import_module(f"studio.{name}")
    for name in set(sys.modules) - before:
        if name.startswith("studio."):
            del sys.modules[name]


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


@pytest.mark.parametrize("family", [*parts.LABELS, "clutter"])
def test_every_variant_that_has_a_weight_can_be_built_and_the_other_way_round(stand_in, family):
    assert set(parts.WEIGHTS[family]) == set(stand_in(f"parts.{family}").VARIANTS)
    assert all(weight > 0 for weight in parts.WEIGHTS[family].values())


def test_every_session_shows_variants_and_surfaces_that_exist(stand_in):
    shaders = stand_in("surroundings").SHADERS
    assert set(shaders) == set(scene.SURFACES)
    for drawn in map(scene.draw, scene.sessions()):
        assert drawn.surface in shaders
        assert all(thing.variant in parts.WEIGHTS[thing.family] for thing in (drawn.thing, *drawn.clutter))


@pytest.mark.parametrize("family", [*parts.LABELS, "clutter"])
def test_no_family_of_parts_imports_from_another(family):
    tree = ast.parse((ROOT / "studio" / "parts" / f"{family}.py").read_text(encoding="utf-8"))
    modules = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {name for alias in node.names for name in alias.name.split(".")}
        elif isinstance(node, ast.ImportFrom):
            modules |= {*(node.module or "").split("."), *(alias.name for alias in node.names)}
    assert not modules & {*parts.LABELS, "clutter"}


def test_what_a_kit_makes_inside_a_group_hangs_under_the_group_and_then_under_the_part_again(stand_in):
    module = stand_in("kit")
    module.bpy.data.objects.new.side_effect = lambda name, data: MagicMock()
    kit = module.Kit(rng=None)
    part = kit.root
    with pytest.raises(ZeroDivisionError), kit.moved((1, 2, 3), (0, 0, 180)) as root:
        assert kit.root is root and root.parent is part and root.location == (1, 2, 3)
        assert root.rotation_euler == pytest.approx([0, 0, np.pi])
        raise ZeroDivisionError
    assert kit.root is part


def test_a_shade_is_lighter_or_darker_within_8_bits(stand_in):
    shade = stand_in("kit").shade
    assert shade("#204080", 0.5) == "#102040" and shade("#ff0010", 1.25, 8) == "#ff081c"


def test_outlines_are_centred_and_as_large_as_they_say():
    for outline in (outlines.rectangle(0, 0, 4, 2), outlines.rounded(4, 2, 0.5)):
        xs, ys = zip(*outline)
        assert (min(xs), max(xs), min(ys), max(ys)) == pytest.approx((-2, 2, -1, 1))
    assert max(x for x, _ in outlines.eared(1.0, 1.5, 0.3, True)) == pytest.approx(1.8)


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
    process = studio(tmp_path, "file.stem == 'relay-12_2' and (print('at work', flush=True), signal.pause())")
    assert process.stdout.readline() == "at work\n"
    process.send_signal(how)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130 and "run the same command again to go on" in said and "Traceback" not in said
    assert sorted(file.name for file in (tmp_path / "relay").iterdir()) == ["relay-12_0.jpg", "relay-12_1.jpg"]
    assert studio(tmp_path).wait(60) == 0 and len(list((tmp_path / "relay").iterdir())) == 8


def test_a_full_disk_is_one_sentence(tmp_path):
    said = studio(tmp_path, "raise OSError(28, 'No space left on device')").communicate(timeout=60)
    assert "No space left on device. Make room, " in said[1] and "Traceback" not in said[1] and said[0] == ""
    assert list((tmp_path / "relay").iterdir()) == []


def test_each_training_session_of_strangers_has_its_kind_and_four_frames():
    sessions = [name for name in scene.sessions() if name.startswith("other-") and scene.split_of(name) == "train"]
    assert sorted(map(scene.variant_of, sessions)) == sorted(scene.STRANGERS)
    assert {len(scene.draw(name).frames) for name in sessions} == {scene.STRANGERS_FRAMES}
    assert len(scene.draw("relay-40").frames) == scene.FRAMES
