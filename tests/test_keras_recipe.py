"""Augmentation and training, on a few real photographs."""
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from utils.silence import quiet

quiet("tensorflow")

import tensorflow as tf  # noqa: E402

from utils import keras_recipe as recipe  # noqa: E402
from utils.backbone import scale_pixels  # noqa: E402

SIZE = 64


@pytest.fixture(scope="module")
def pictures():
    """Crops of two photographs, a Chinese palace and a flower: uint8 (16, 80, 80, 3), and their classes 0 and 1."""
    crops = [np.asarray(Image.fromarray(image).crop((x, 100, x + 240, 340)).resize((80, 80)))
             for image in load_sample_images().images for x in range(0, 400, 50)]
    return np.stack(crops), np.repeat([0, 1], 8)


def only(**settings):
    return replace(recipe.NO_AUGMENTATION, **settings)


def test_the_same_seed_gives_the_same_pictures_and_another_gives_others(pictures):
    first, again, other = [recipe.augment(pictures[0], seed, SIZE).numpy() for seed in ((1, 2), (1, 2), (1, 3))]
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert not np.array_equal(first[0], first[1])


def test_augmented_pictures_have_the_size_and_range_that_the_network_takes(pictures):
    changed = recipe.augment(pictures[0], (1, 2), SIZE).numpy()
    assert changed.shape == (16, SIZE, SIZE, 3) and changed.dtype == np.float32
    assert changed.min() >= 0 and changed.max() <= 255 and changed.std() > 20


def test_without_augmentation_a_picture_is_only_mirrored(pictures):
    changed = recipe.augment(pictures[0], (1, 2), 80, recipe.NO_AUGMENTATION).numpy()
    same = [np.abs(c - p).max() < 0.01 for c, p in zip(changed, pictures[0])]
    mirrored = [np.abs(c - p[:, ::-1]).max() < 0.01 for c, p in zip(changed, pictures[0])]
    assert all(a != b for a, b in zip(same, mirrored)) and any(same) and any(mirrored)


def test_a_zoom_below_one_shows_more_and_its_border_is_plain_where_asked(pictures):
    white = np.full((8, 80, 80, 3), 255, np.uint8)
    changed = recipe.augment(white, (1, 2), 80, only(zoom=(0.5, 0.5), plain_border=1.0)).numpy()
    inside = changed[:, 22:58, 22:58]
    corners = changed[:, :10, :10]
    assert (inside == 255).all()
    assert (np.ptp(corners, axis=(1, 2, 3)) == 0).all() and len(np.unique(corners)) > 1


def test_a_part_in_the_middle_stays_in_the_frame_whatever_the_rotation():
    dot = np.zeros((32, 80, 80, 3), np.uint8)
    dot[:, 36:44, 36:44] = 255
    changed = recipe.augment(dot, (1, 2), 80, only(rotation=180.0)).numpy()
    assert np.allclose(changed.sum(axis=(1, 2, 3)), dot[0].sum(), rtol=0.02)


@pytest.mark.parametrize("setting, size_of_change", [
    ("exposure", 0.3), ("contrast", 0.3), ("white_balance", 0.3), ("saturation", 0.5), ("hue", 60.0), ("grey", 1.0),
    ("blur", 1.0), ("noise", 20.0), ("erase", 1.0), ("shift", 0.2), ("perspective", 0.3)])
def test_each_setting_changes_the_picture(pictures, setting, size_of_change):
    plain = recipe.augment(pictures[0], (1, 2), 80, recipe.NO_AUGMENTATION)
    changed = recipe.augment(pictures[0], (1, 2), 80, only(**{setting: size_of_change}))
    assert np.abs(changed.numpy() - plain.numpy()).mean() > 1


def test_grey_pictures_are_grey_and_keep_their_brightness(pictures):
    grey = recipe.augment(pictures[0], (1, 2), 80, only(grey=1.0)).numpy()
    assert np.ptp(grey, axis=-1).max() < 0.1
    luma = pictures[0] @ np.array([0.299, 0.587, 0.114])
    assert np.allclose(grey.mean(axis=(1, 2, 3)), luma.mean(axis=(1, 2)), atol=0.1)


def test_batches_are_scaled_repeat_from_the_seed_and_cover_every_picture(pictures):
    def batches():
        return list(recipe.training_batches(*pictures, 2, 4, SIZE, recipe.NO_AUGMENTATION, seed=5).take(8))

    first, again = batches(), batches()
    assert all(np.array_equal(a[0], b[0]) and np.array_equal(a[1], b[1]) for a, b in zip(first, again))
    for epoch in (first[:4], first[4:]):
        assert np.sum([y for _, y in epoch], axis=(0, 1)).tolist() == [8, 8]
    assert scale_pixels(0) <= min(x.numpy().min() for x, _ in first) < 0


def test_training_learns_from_the_head_on_and_leaves_the_first_stages_alone(pictures, monkeypatch):
    monkeypatch.setattr(recipe, "HEAD_EXAMPLES", 64)
    large = np.repeat(np.repeat(pictures[0], 3, axis=1), 3, axis=2)[:, :224, :224]
    train, valid = large[::2], large[1::2]
    targets = pictures[1][::2]
    model = recipe.build_classifier(2)
    assert np.allclose(recipe.predict(model, valid), 0.5)  # a head of zeros knows nothing
    recipe.train_head(model, train, targets, valid, targets)
    before = {layer.name: layer.get_weights() for layer in model.layers}
    short = recipe.FineTuning(first="block7a_expand_conv", steps=8, size=96, batch_size=4)
    history = recipe.fine_tune(model, train, targets, valid, targets, short, verbose=0)
    changed = {name for name, weights in before.items()
               if any(not np.array_equal(a, b) for a, b in zip(weights, model.get_layer(name).get_weights()))}
    assert changed == {"block7a_expand_conv", "block7a_project_conv", "head_conv", "logits"}
    assert set(history.history) == {"accuracy", "loss", "val_accuracy", "val_loss"}
    assert (recipe.predict(model, valid).argmax(axis=1) == targets).all()
    tuned = model.get_weights()
    recipe.fine_tune(model, train, targets, valid, targets, replace(short, keep=1), verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(tuned, model.get_weights()))


@pytest.mark.parametrize("capabilities, expected", [
    ({"avx512_bf16": True, "amx_bf16": False}, True), ({"amx_bf16": True}, True), ({"avx512_bf16": False}, False),
    ({}, False),
])
def test_bfloat16_is_for_processors_that_have_it(capabilities, expected):
    assert recipe.has_bfloat16(capabilities, {}) == expected


@pytest.mark.parametrize("name, value, expected", [
    ("TF_ENABLE_ONEDNN_OPTS", "0", False), ("TF_ENABLE_ONEDNN_OPTS", "1", True), ("ONEDNN_MAX_CPU_ISA", "AVX2", False),
    ("ONEDNN_MAX_CPU_ISA", "avx512_core", False), ("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_BF16", True),
    ("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_AMX", True), ("ONEDNN_MAX_CPU_ISA", "ALL", True),
])
def test_no_bfloat16_where_onednn_is_off_or_held_to_older_instructions(name, value, expected):
    assert recipe.has_bfloat16({"amx_bf16": True}, {name: value}) == expected


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="the system describes its CPU elsewhere")
def test_this_processor_is_known_as_the_system_describes_it():
    flags = re.findall(r"^flags\s*:(.*)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    assert recipe.has_bfloat16(environment={}) == bool({"avx512_bf16", "amx_bf16"} & set(" ".join(flags).split()))


def test_convolutions_compute_in_bfloat16_where_asked_and_in_float32_afterwards():
    x, weights = [np.random.RandomState(0).rand(*shape).astype("float32") for shape in ((1, 8, 8, 64), (1, 1, 64, 32))]
    exact = x.astype("float64") @ weights[0].astype("float64")

    def rounding():
        """The largest relative error of a graph that TensorFlow compiles now."""
        compiled = tf.function(lambda pictures: tf.nn.conv2d(pictures, weights, 1, "SAME"))
        return (np.abs(compiled(x) - exact) / exact).max()

    assert rounding() < 1e-5
    with recipe._convolutions_in_bfloat16(recipe.has_bfloat16()):
        assert (rounding() > 1e-4) == recipe.has_bfloat16()
    assert rounding() < 1e-5


def test_an_unknown_object_gets_even_probabilities_and_is_seen_twice_in_a_pass():
    targets = np.array([0, 2, -1, 1])
    assert np.allclose(recipe.shares_of(targets, 3), [[1, 0, 0], [0, 0, 1], [1 / 3] * 3, [0, 1, 0]])
    batches = recipe.training_batches(np.zeros((4, 32, 32, 3), "uint8"), targets, 3, batch_size=5, size=32)
    _, seen = next(iter(batches))
    assert (np.asarray(seen).max(axis=1) < 0.5).sum() == recipe.UNKNOWN_REPEATS == 2
