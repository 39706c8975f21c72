"""Operators of ML Programs that image networks seldom use, against PyTorch, TensorFlow and NumPy."""

import coreml_runtime
import coreml_runtime.information
import numpy as np
import pytest
import test_neural_network
import torch
from coreml_runtime.imports import import_coremltools
from coreml_runtime.ml_program import MLProgram
from hypothesis import given, settings, strategies as st
from torch import nn
from torch.nn import functional as F

ct = import_coremltools()
mb = ct.converters.mil.Builder

RANDOM = {"random_normal", "random_uniform", "random_bernoulli", "random_categorical"}
COMPARED = {"PyTorch": {"conv", "linear"}, "TensorFlow": {"crop_resize", "non_maximum_suppression", "reverse_sequence"},
            "definition": {"crop_resize", "non_maximum_suppression", "reshape_like", "reverse_sequence", *RANDOM}}
"""The operators that the tests here compare, by what with. Random numbers: with their distribution."""

LAYERS_COMPARED = {
    "NonMaximumSuppression", "broadcastToDynamic", "categoricalDistribution", "convolution", "convolution3d",
    "cropResize", "fillDynamic", "gatherND", "globalPooling3d", "pooling3d", "rangeDynamic", "rangeStatic",
    "reshapeDynamic", "reverseSeq", "scatter", "scatterAlongAxis", "scatterND", "sliceBySize", "sliceDynamic",
    "slidingWindows", "whereNonZero",
    *(f"random{kind}{shape}" for kind in ("Normal", "Uniform", "Bernoulli") for shape in ("Static", "Dynamic", "Like"))}
"""The layers that the tests here compare with their definition."""

EXAMPLES = settings(max_examples=25, deadline=None, derandomize=True)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


def compute(build, *inputs, target=ct.target.iOS17):
    """What the runtime makes of operators that `build` writes for these inputs; nothing is written to a file."""
    types = ct.converters.mil.mil.types
    placeholders = {f"x{i}": mb.placeholder(np.shape(array), types.int32 if np.asarray(array).dtype.kind in "iu"
                                            else types.fp32) for i, array in enumerate(inputs)}
    with ct.converters.mil.mil.Function(placeholders, opset_version=target) as function:
        results = build(*function.inputs.values())
        function.set_outputs([*results] if isinstance(results, tuple | list) else [results])
    runnable = MLProgram(function, "test.mlpackage")
    found = runnable.run({name: torch.as_tensor(np.asarray(array)) for name, array in zip(placeholders, inputs)})
    return [found[name].numpy() for name in runnable.outputs]


# ---- parts of a picture ----------------------------------------------------------------------------------------------

def grid(first, last, count, mode):
    """The points of MIL's sampling modes on the interval from `first` to `last`, in the specification's words."""
    size = last - first + 1
    if mode == "ALIGN_CORNERS" and count == 1:
        return np.array([(first + last) / 2])
    if mode in ("ALIGN_CORNERS", "STRICT_ALIGN_CORNERS"):
        return np.linspace(first, last, count)
    if mode == "DEFAULT":
        return first + np.minimum(size - 1, np.linspace(0, size - size / count, count))
    spacing = max(1, size - 1) / count if mode == "OFFSET_CORNERS" else size / count
    begin = 0.5 * spacing if mode == "OFFSET_CORNERS" else 0.5 * spacing - 0.5
    return first + np.clip(begin + np.arange(count) * spacing, 0, size - 1)


def bilinear(picture, row, column, outside):
    """A picture [C, H, W] at one fractional point."""
    _, height, width = picture.shape
    if not (-1e-4 <= row <= height - 1 + 1e-4 and -1e-4 <= column <= width - 1 + 1e-4):
        return np.full(len(picture), outside)
    top, left = int(max(row, 0)), int(max(column, 0))
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    down, along = row - top, column - left
    upper = picture[:, top, left] * (1 - along) + picture[:, top, right] * along
    lower = picture[:, bottom, left] * (1 - along) + picture[:, bottom, right] * along
    return upper * (1 - down) + lower * down


def crop(picture, box, target, mode, outside=0.0):
    """A picture [C, H, W] in a box (first row, first column, last row, last column): [C, *target]."""
    rows, columns = grid(box[0], box[2], target[0], mode), grid(box[1], box[3], target[1], mode)
    return np.stack([[bilinear(picture, row, column, outside) for column in columns] for row in rows]
                    ).transpose(2, 0, 1)


SAMPLING = ["DEFAULT", "STRICT_ALIGN_CORNERS", "ALIGN_CORNERS", "OFFSET_CORNERS", "UNALIGN_CORNERS"]
PICTURES = noise(2, 3, 7, 9)
BOXES = np.float32([[1, 2, 4, 7], [0, 0, 6, 8], [2.5, 3.25, 5.5, 4.0], [3, 3, 3.25, 3.5], [-2, 1, 4, 10]])
"""(first row, first column, last row, last column), the last one partly beyond the picture."""


@pytest.mark.parametrize("mode", SAMPLING)
@pytest.mark.parametrize("target", [(4, 5), (1, 1), (8, 3)])
def test_crop_resize_samples_on_the_grid_of_its_mode(mode, target):
    places = np.int32([0, 1, 1, 0, 1])
    found, = compute(lambda x, boxes: mb.crop_resize(
        x=x, boxes=boxes, box_indices=places, target_height=target[0], target_width=target[1], sampling_mode=mode,
        pad_value=5.0), PICTURES, BOXES)
    expected = [crop(PICTURES[place], box, target, mode, 5.0) for place, box in zip(places, BOXES)]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def centred(boxes):
    return np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], 1)


WRITTEN = {"CORNERS_HEIGHT_FIRST": lambda boxes: boxes, "CORNERS_WIDTH_FIRST": lambda boxes: boxes[:, [1, 0, 3, 2]],
           "CENTER_SIZE_HEIGHT_FIRST": centred,
           "CENTER_SIZE_WIDTH_FIRST": lambda boxes: centred(boxes)[:, [1, 0, 3, 2]]}


@pytest.mark.parametrize("scale", ["pixels", "normalized", "spatial scale"])
@pytest.mark.parametrize("mode", WRITTEN)
def test_crop_resize_takes_boxes_in_every_way_of_writing_them(mode, scale):
    factor = {"pixels": 1, "normalized": 1 / np.float32([6, 8, 6, 8]), "spatial scale": 2}[scale]
    written = WRITTEN[mode](BOXES * factor)
    options = {"normalized_coordinates": scale == "normalized",
               "spatial_scale": 0.5 if scale == "spatial scale" else 1.0}
    found, = compute(lambda x, boxes: mb.crop_resize(
        x=x, boxes=boxes, box_indices=np.zeros(5, np.int32), target_height=3, target_width=4, box_coordinate_mode=mode,
        sampling_mode="ALIGN_CORNERS", **options), PICTURES, written)
    expected = [crop(PICTURES[0], box, (3, 4), "ALIGN_CORNERS") for box in BOXES]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_crop_resize_before_ios_17_crops_every_picture_or_the_one_that_the_box_names():
    arguments = {"target_height": 3, "target_width": 4, "sampling_mode": "DEFAULT"}
    every, = compute(lambda x, roi: mb.crop_resize(x=x, roi=roi, **arguments), PICTURES,
                     BOXES.reshape(5, 1, 4, 1, 1), target=ct.target.iOS15)
    assert every.shape == (5, 2, 3, 3, 4)
    named, = compute(lambda x, roi: mb.crop_resize(x=x, roi=roi, pad_value=2.0, **arguments), PICTURES, np.concatenate(
        [np.float32([[0], [1], [0], [1], [1]]), BOXES], 1).reshape(5, 1, 5, 1, 1), target=ct.target.iOS16)
    assert named.shape == (5, 1, 3, 3, 4)
    for i, box in enumerate(BOXES):
        expected = [crop(picture, box, (3, 4), "DEFAULT") for picture in PICTURES]
        np.testing.assert_allclose(every[i], expected, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(named[i, 0], crop(PICTURES[[0, 1, 0, 1, 1][i]], box, (3, 4), "DEFAULT", 2.0),
                                   rtol=1e-4, atol=1e-4)


def test_a_box_whose_ends_are_swapped_is_read_backwards():
    x = np.arange(1, 17, dtype=np.float32).reshape(1, 1, 4, 4)
    found, = compute(lambda x: mb.crop_resize(x=x, boxes=np.float32([[2, 2, 1, 1]]), target_height=2, target_width=2,
                                              sampling_mode="ALIGN_CORNERS"), x)
    assert found.ravel().tolist() == [11, 10, 7, 6]  # what coremltools' tests expect of Core ML


@pytest.mark.parametrize("size, expected", [(3, [1, 2, 2]), (4, [1, 1, 2, 2]), (1, [1]), (6, [1, 1, 2, 2, 2, 2])])
def test_resize_takes_the_nearest_pixel(size, expected):
    """The first is what coremltools' tests expect of Core ML."""
    found, = compute(lambda x: mb.resize(x=x, shape=[size, 1], resized_dims=np.uint32(2),
                                         interpolation_mode="NEAREST_NEIGHBOR"), np.float32([[[[1], [2]]]]))
    assert found.ravel().tolist() == expected


# ---- TensorFlow's functions, as coremltools writes them --------------------------------------------------------------

def tensorflow_cases():
    import tensorflow as tf
    boxes = np.float32([[0.1, 0.2, 0.7, 0.9], [0, 0, 1, 1], [-0.2, 0.3, 0.6, 1.3]])
    return {
        "crop_resize": (lambda x: tf.image.crop_and_resize(x, boxes, [1, 0, 1], [4, 5], extrapolation_value=3.0),
                        noise(2, 7, 9, 3)),
        "reverse_sequence": (lambda x: tf.reverse_sequence(x, [3, 1, 0, 5], seq_axis=2, batch_axis=0),
                             noise(4, 2, 5)),
        "non_maximum_suppression": (lambda x: tf.image.non_max_suppression(
            tf.concat([x[:, :2], x[:, :2] + tf.abs(x[:, 2:4])], 1), tf.reshape(x[:, 4:], [-1]), 4, 0.3), noise(12, 5))}


@pytest.mark.parametrize("case, target", [  # coremltools 9 writes these two for one target each
    ("crop_resize", ct.target.iOS17), ("non_maximum_suppression", ct.target.iOS16),
    ("reverse_sequence", ct.target.iOS16), ("reverse_sequence", ct.target.iOS17)])
def test_a_function_converted_from_tensorflow_answers_as_tensorflow_does(tmp_path, case, target):
    import tensorflow as tf
    function, x = tensorflow_cases()[case]
    concrete = tf.function(function, [tf.TensorSpec(x.shape, name="x")]).get_concrete_function()
    path = tmp_path / "tensorflow.mlpackage"
    ct.convert([concrete], source="tensorflow", convert_to="mlprogram", compute_precision=ct.precision.FLOAT32,
               skip_model_load=True, minimum_deployment_target=target).save(str(path))
    assert case in coreml_runtime.information.model_information(path)["operations"]
    found, = coreml_runtime.load(path).predict({"x": x}).values()
    np.testing.assert_allclose(found, function(tf.constant(x)), atol=1e-5)


# ---- detection -------------------------------------------------------------------------------------------------------

def overlap(one, other):
    """Intersection over union of two boxes (x, y, width, height), by their areas."""
    sides = [max(0, min(one[i] + one[i + 2] / 2, other[i] + other[i + 2] / 2)
                 - max(one[i] - one[i + 2] / 2, other[i] - other[i + 2] / 2)) for i in (0, 1)]
    shared = sides[0] * sides[1]
    union = one[2] * one[3] + other[2] * other[3] - shared
    return shared / union if union else 0


def greedy(boxes, scores, iou, threshold, count, per_class):
    """Which boxes are kept: the best first, each unless it overlaps a kept one (of its class) too much."""
    best, classes = scores.max(1), scores.argmax(1)
    kept = []
    for i in np.argsort(-best, kind="stable"):
        rivals = [k for k in kept if not per_class or classes[k] == classes[i]]
        if best[i] > threshold and all(overlap(boxes[k], boxes[i]) <= iou for k in rivals):
            kept.append(int(i))
    return kept[:count] or [int(best.argmax())]


@EXAMPLES
@given(seed=st.integers(0, 999), count=st.integers(1, 12), classes=st.integers(1, 4), iou=st.floats(0, 1, width=32),
       threshold=st.floats(-2, 3, width=32), limit=st.integers(1, 8), per_class=st.booleans())
def test_non_maximum_suppression_keeps_the_best_boxes(seed, count, classes, iou, threshold, limit, per_class):
    boxes = np.abs(noise(2, count, 4, seed=seed))
    scores = noise(2, count, classes, seed=seed + 1)
    options = {"iou_threshold": np.float32(iou), "max_boxes": limit, "per_class_suppression": per_class}
    old = compute(lambda b, s: mb.non_maximum_suppression(
        boxes=b, scores=s, score_threshold=np.float32(threshold), **options), boxes, scores, target=ct.target.iOS15)
    new = compute(lambda b, s: mb.non_maximum_suppression(boxes=b, scores=s, **options),
                  boxes.transpose(0, 2, 1), scores.transpose(0, 2, 1))
    for i in range(2):
        kept = greedy(boxes[i], scores[i], np.float32(iou), threshold, limit, per_class)
        check_kept([value[i] for value in old[:3]], boxes[i], scores[i], kept, limit)
        assert old[3][i] == len(kept)
        kept = greedy(boxes[i], scores[i], np.float32(iou), -np.inf, limit, per_class)
        check_kept([new[0][i].T, new[1][i].T, new[2][i]], boxes[i], scores[i], kept, limit)


def check_kept(found, boxes, scores, kept, limit):
    missing = limit - len(kept)
    assert found[2].tolist() == kept + [-1] * missing
    np.testing.assert_array_equal(found[0], np.pad(boxes[kept], ((0, missing), (0, 0))))
    np.testing.assert_array_equal(found[1], np.pad(scores[kept], ((0, missing), (0, 0))))


# ---- shapes and sequences --------------------------------------------------------------------------------------------

@EXAMPLES
@given(shape=st.lists(st.integers(1, 4), min_size=2, max_size=4), data=st.data())
def test_reverse_sequence_turns_the_beginning_of_each_slice(shape, data):
    axes = data.draw(st.permutations(range(len(shape))))
    seq_axis, batch_axis = axes[:2]
    lengths = np.int32(data.draw(st.lists(st.integers(0, shape[seq_axis]), min_size=shape[batch_axis],
                                          max_size=shape[batch_axis])))
    x = noise(*shape)
    expected = np.moveaxis(x.copy(), (batch_axis, seq_axis), (0, 1))  # a view of the copy
    for i, length in enumerate(lengths):
        expected[i, :length] = expected[i, :length][::-1].copy()
    found, = compute(lambda x, lengths: mb.reverse_sequence(x=x, lengths=lengths, seq_axis=seq_axis,
                                                            batch_axis=batch_axis), x, lengths)
    np.testing.assert_array_equal(np.moveaxis(found, (batch_axis, seq_axis), (0, 1)), expected)


def test_reshape_like_takes_sizes_of_several_tensors():
    x = noise(2, 90)
    found, = compute(lambda x, a, b: mb.reshape_like(
        x=x, ref_tensors=(a, b), begins=(0, 1), ends=(2, 0), end_masks=(False, True)),
        x, noise(2, 3, 4), noise(1, 5, 6))
    np.testing.assert_array_equal(found, x.reshape(2, 3, 5, 6))


# ---- computed weights ------------------------------------------------------------------------------------------------

class Modulated(nn.Module):
    """Convolutions and a linear layer whose weights are computed from the second input."""

    def forward(self, x, style):
        weight = (torch.arange(54.0).reshape(3, 2, 3, 3) / 54 - 0.5) * style.reshape(3, 1, 1, 1)
        y = F.conv2d(x, weight, None, 1, 1)
        y = F.relu(F.conv2d(y, weight.transpose(0, 1)) + 0.1)
        return F.linear(y.mean((2, 3)), weight[:, :, 0, 0])


@pytest.mark.parametrize("precision, tolerance", [("float32", 1e-5), ("float16", 1e-2)])
def test_computed_weights_answer_as_pytorch_does(tmp_path, precision, tolerance):
    x, style = torch.from_numpy(noise(1, 2, 6, 6)), torch.tensor([0.5, -1.0, 2.0])
    network = Modulated().eval()
    path = tmp_path / "modulated.mlpackage"
    ct.convert(torch.jit.trace(network, (x, style)), convert_to="mlprogram", compute_precision=ct.precision(precision),
               inputs=[ct.TensorType("x", x.shape), ct.TensorType("style", style.shape)], skip_model_load=True,
               outputs=[ct.TensorType("y", dtype=np.float32)], minimum_deployment_target=ct.target.iOS16
               ).save(str(path))
    for factor in (1, -0.5):
        found = coreml_runtime.load(path, precision).predict({"x": x.numpy(), "style": (style * factor).numpy()})["y"]
        np.testing.assert_allclose(found, network(x, style * factor), atol=tolerance)


# ---- random numbers --------------------------------------------------------------------------------------------------

def drawn(name, **arguments):
    """So many numbers of a random operator."""
    build = getattr(mb, name)
    return compute(lambda x: mb.add(x=mb.mul(x=x, y=0.0), y=build(**arguments)), np.zeros(1, np.float32))[0]


DISTRIBUTIONS = {
    "random_normal": ({"mean": 2.0, "stddev": 3.0}, lambda x: (x.mean(), 2), lambda x: (x.std(), 3),
                      lambda x: ((np.abs(x - 2) < 3).mean(), 0.683)),
    "random_uniform": ({"low": -1.0, "high": 3.0}, lambda x: (x.mean(), 1), lambda x: (x.min(), -1),
                       lambda x: (x.max(), 3), lambda x: ((x < 0).mean(), 0.25)),
    "random_bernoulli": ({"prob": 0.3}, lambda x: (x.mean(), 0.3), lambda x: (np.unique(x).tolist(), [0, 1]))}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_random_numbers_have_their_distribution_and_come_again_with_their_seed(name):
    arguments, *figures = DISTRIBUTIONS[name]
    x = drawn(name, shape=[100, 400], seed=7, **arguments)
    assert x.shape == (100, 400)
    for figure in figures:
        np.testing.assert_allclose(*figure(x), atol=0.05)
    np.testing.assert_array_equal(drawn(name, shape=[100, 400], seed=7, **arguments), x)
    for seed in (8, -1):
        assert (drawn(name, shape=[100, 400], seed=seed, **arguments) != x).any()


@pytest.mark.parametrize("mode", ["logits", "probs"])
def test_classes_are_drawn_with_their_probabilities(mode):
    probabilities = np.float32([[0.1, 0.6, 0.3], [0.5, 0.0, 0.5]])
    x = probabilities if mode == "probs" else np.log(probabilities + 1e-30)
    found, again, other = (compute(lambda x, seed=seed: mb.random_categorical(x=x, mode=mode, size=20000, seed=seed),
                                   x)[0] for seed in (3, 3, 4))
    assert found.shape == (2, 20000) and found.dtype == np.float32
    for row, expected in zip(found, probabilities):
        np.testing.assert_allclose([(row == i).mean() for i in range(3)], expected, atol=0.02)
    np.testing.assert_array_equal(found, again)
    assert (found != other).any()


# ---- layers of neural networks ---------------------------------------------------------------------------------------

def network(add, count=1, exact=True, **inputs):
    """The `count` answers of a network that `add(builder, names of inputs, names of outputs)` fills."""
    outputs = [f"y{i}" for i in range(count)]
    built = test_neural_network.builder(outputs, exact=exact, **{name: np.shape(x) for name, x in inputs.items()})
    add(built, list(inputs), outputs)
    found = test_neural_network.run(built, **inputs)
    return [found[name] for name in outputs]


INDICES = np.float32([2, 0, -1])
MATRIX = noise(4, 5)
UPDATES = noise(3, 5, seed=1)


def scattered(function):
    """What a scatter along axis 0 makes of MATRIX, one index after the other."""
    result = MATRIX.copy()
    for index, update in zip(INDICES.astype(int), UPDATES):
        result[index] = function(result[index], update)
    return result


SCATTER = {"UPDATE": lambda a, b: b, "ADD": np.add, "SUB": np.subtract, "MUL": np.multiply, "DIV": np.divide,
           "MAX": np.maximum, "MIN": np.minimum}


@pytest.mark.parametrize("mode", SCATTER)
def test_scatter_layers_change_slices_in_every_mode(mode):
    expected = scattered(SCATTER[mode])
    inputs = {"x": MATRIX, "indices": INDICES, "updates": UPDATES}
    found, = network(lambda b, i, o: b.add_scatter("layer", i, o[0], 0, mode), **inputs)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    found, = network(lambda b, i, o: b.add_scatter_nd("layer", i, o[0], mode), **inputs | {"indices": INDICES[:, None]})
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    found, = network(lambda b, i, o: b.add_scatter_along_axis("layer", i, o[0], 0, mode),
                     **inputs | {"indices": np.broadcast_to(INDICES[:, None], (3, 5))})
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    found, = network(lambda b, i, o: b.add_scatter("layer", i, o[0], 1, mode), x=MATRIX.T, indices=INDICES,
                     updates=UPDATES.T)
    np.testing.assert_allclose(found, expected.T, rtol=1e-5)


def test_scatter_takes_indices_of_several_axes():
    x, indices, updates = noise(2, 5, 3), np.int32([[4, 0], [2, 2]]), noise(2, 2, 2, 3, seed=1)
    expected = x.copy()
    for i, j in np.ndindex(2, 2):
        expected[:, indices[i, j]] += updates[:, i, j]
    found, = compute(lambda x, i, u: mb.scatter(data=x, indices=i, updates=u, axis=1, mode="add"), x, indices, updates)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    found, = network(lambda b, i, o: b.add_scatter("layer", i, o[0], 1, "ADD"), x=x, indices=np.float32(indices),
                     updates=updates)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


CUBE = noise(3, 4, 5, seed=2)
DYNAMIC = {
    "broadcastToDynamic": (lambda b, i, o: b.add_broadcast_to_dynamic("layer", i, o[0]),
                           {"x": noise(4, 1), "shape": [3, 4, 5]}, lambda x, s: np.broadcast_to(x, (3, 4, 5))),
    "fillDynamic": (lambda b, i, o: b.add_fill_dynamic("layer", i[0], o[0], 2.5), {"shape": [2, 3]},
                    lambda s: np.full((2, 3), 2.5)),
    "reshapeDynamic": (lambda b, i, o: b.add_reshape_dynamic("layer", i, o[0]), {"x": CUBE, "shape": [0, -1]},
                       lambda x, s: x.reshape(3, 20)),
    "gatherND": (lambda b, i, o: b.add_gather_nd("layer", i, o[0]), {"x": CUBE, "indices": [[0, 3], [2, 1]]},
                 lambda x, i: np.stack([x[0, 3], x[2, 1]])),
    "whereNonZero": (lambda b, i, o: b.add_where_nonzero("layer", i[0], o[0]), {"x": np.float32([[0, 2], [-1, 0]])},
                     lambda x: np.argwhere(x)),
    "slidingWindows": (lambda b, i, o: b.add_sliding_windows("layer", i[0], o[0], 1, 2, 2), {"x": CUBE},
                       lambda x: np.stack([x[:, :2], x[:, 2:]], 1)),
    "sliceBySize": (lambda b, i, o: b.add_slice_by_size("layer", i, o[0], 1, 2), {"x": CUBE, "begin": [1]},
                    lambda x, b: x[:, 1:3]),
    "sliceDynamic from": (lambda b, i, o: b.add_slice_dynamic(
        "layer", i, o[0], end_ids=[3, 4, 5], strides=[1, 2, 1], begin_masks=[True, False, False],
        end_masks=[False] * 3, squeeze_masks=[False, False, True]), {"x": CUBE, "begin": [7, 1, 2]},
        lambda x, b: x[:, 1:4:2, 2]),
    "sliceDynamic from, to and by": (lambda b, i, o: b.add_slice_dynamic("layer", i, o[0]), {
        "x": CUBE, "begin": [0, -1, 0], "end": [2, 0, 5], "stride": [1, -2, 1]}, lambda x, *_: x[0:2, -1:0:-2, 0:5]),
    "sliceDynamic with masks": (lambda b, i, o: b.add_slice_dynamic("layer", i, o[0]), {
        "x": CUBE, "begin": [1, 1, 1], "end": [2, 2, 2], "stride": [1, 1, 1], "begin_mask": [0, 1, 0],
        "end_mask": [0, 0, 1], "squeeze_mask": [1, 0, 0]}, lambda x, *_: x[1, :2, 1:]),
    "rangeDynamic to": (lambda b, i, o: b.add_range_dynamic("layer", i, o[0], start=1, step=2), {"end": [8]},
                        lambda e: np.arange(1, 8, 2)),
    "rangeDynamic from and to": (lambda b, i, o: b.add_range_dynamic("layer", i, o[0], step=3),
                                 {"end": [8], "start": [-1]}, lambda e, s: np.arange(-1, 8, 3)),
    "rangeDynamic by": (lambda b, i, o: b.add_range_dynamic("layer", i, o[0]),
                        {"end": [2], "start": [0], "step": [0.5]}, lambda *_: np.arange(0, 2, 0.5)),
    "reverseSeq": (lambda b, i, o: b.add_reverse_sequence("layer", i, o[0], 0, 1), {"x": CUBE, "lengths": [2, 0, 4]},
                   lambda x, n: np.stack([x[0, [1, 0, 2, 3]], x[1], x[2, ::-1]])),
    "cumSum along": (lambda b, i, o: b.add_cumsum("layer", i, o[0]), {"x": CUBE, "axis": [1]},
                     lambda x, a: np.cumsum(x, 1)),
    "gatherND of one number": (lambda b, i, o: b.add_gather_nd("layer", i, o[0]), {"x": CUBE, "indices": [1, 2, 3]},
                               lambda x, i: x[1, 2, 3:4]),
    "constantPad": (lambda b, i, o: b.add_constant_pad("layer", i, o[0], 1.5), {"x": CUBE, "pad": [1, 0, 0, 2, 0, 0]},
                    lambda x, p: np.pad(x, ((1, 0), (0, 2), (0, 0)), constant_values=1.5)),
    "constantPad to a size": (lambda b, i, o: b.add_constant_pad("layer", i, o[0], 1.5, True, [0, 5, 6, 0, 0, 0]),
                              {"x": CUBE}, lambda x: np.pad(x, ((0, 2), (2, 0), (0, 0)), constant_values=1.5)),
    "oneHot": (lambda b, i, o: b.add_one_hot("layer", i, o[0], axis=-1), {"x": [2, 0], "size": [4]},
               lambda x, n: np.eye(4)[[2, 0]]),
    "tile": (lambda b, i, o: b.add_tile("layer", i, o[0]), {"x": CUBE, "reps": [1, 2, 3]},
             lambda x, r: np.tile(x, (1, 2, 3))),
    "topK": (lambda b, i, o: b.add_topk("layer", i, [*o, "places"], axis=1), {"x": CUBE, "k": [2]},
             lambda x, k: -np.sort(-x, 1)[:, :2]),
}
"""Layers whose shapes or places are inputs: how each is added, its inputs, and what it is by definition."""


@pytest.mark.parametrize("case", DYNAMIC)
def test_a_layer_with_computed_shapes_or_places_follows_its_definition(case):
    add, inputs, definition = DYNAMIC[case]
    inputs = {name: np.asarray(value, np.float32) for name, value in inputs.items()}
    expected = definition(*inputs.values())
    found, = network(add, **inputs)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_range_in_the_file_is_a_constant():
    def add(built, inputs, outputs):
        built.add_range_static("range", "range", end=2, start=-1, step=0.5, input_names=[])
        built.add_add_broadcastable("add", ["range", *inputs], outputs[0])

    np.testing.assert_allclose(network(add, x=np.float32([1]))[0], np.arange(-1, 2, 0.5) + 1)


# ---- three dimensions ------------------------------------------------------------------------------------------------

VOLUMES = torch.from_numpy(noise(2, 4, 6, 7, 8))
PADDING_3D = {"custom": dict(padding_mode="custom", padding_front=1, padding_back=1, padding_top=2, padding_bottom=2,
                             padding_left=1, padding_right=1), "valid": dict(padding_mode="valid")}


@pytest.mark.parametrize("stride, dilation, groups", [((1, 1, 1), (1, 1, 1), 1), ((2, 1, 3), (1, 2, 1), 2)])
@pytest.mark.parametrize("padding", PADDING_3D)
def test_a_convolution_in_three_dimensions_is_pytorchs(padding, stride, dilation, groups):
    weight, bias = torch.from_numpy(noise(6, 4 // groups, 2, 3, 3, seed=3)), torch.from_numpy(noise(6))
    found, = network(lambda b, i, o: b.add_convolution3d(
        "layer", 4, 6, 2, 3, 3, weight.numpy(), bias.numpy(), True, groups, *stride, dilation[2], dilation[1],
        dilation[0], input_name=i[0], output_name=o[0], **PADDING_3D[padding]), x=VOLUMES.numpy())
    expected = F.conv3d(VOLUMES, weight, bias, stride, (1, 2, 1) if padding == "custom" else 0, dilation, groups)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_a_convolution_in_three_dimensions_with_same_padding():
    """The example of the specification: size [1, 3, 3, 8, 8], stride 2, kernel 3 and `same` pad [1, 1, 0, 1, 0, 1]."""
    x, weight = torch.from_numpy(noise(1, 3, 3, 8, 8)), torch.from_numpy(noise(2, 3, 3, 3, 3))
    found, = network(lambda b, i, o: b.add_convolution3d(
        "layer", 3, 2, 3, 3, 3, weight.numpy(), None, False, 1, 2, 2, 2, padding_mode="same", input_name=i[0],
        output_name=o[0]), x=x.numpy())
    assert found.shape == (1, 2, 2, 4, 4)
    np.testing.assert_allclose(found, F.conv3d(F.pad(x, (0, 1, 0, 1, 1, 1)), weight, stride=2), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [None, (12, 14, 16)])
def test_a_deconvolution_in_three_dimensions_is_pytorchs(shape):
    weight = torch.from_numpy(noise(4, 3, 2, 3, 3, seed=4))  # [in, out, ...], as the specification has it
    found, = network(lambda b, i, o: b.add_convolution3d(
        "layer", 4, 6, 2, 3, 3, weight.numpy().transpose(1, 0, 2, 3, 4), None, False, 2, 2, 2, 2, is_deconv=True,
        output_shape=shape, input_name=i[0], output_name=o[0]), x=VOLUMES.numpy())
    expected = F.conv_transpose3d(VOLUMES, weight, None, 2, groups=2)
    np.testing.assert_allclose(found, expected[..., :14, :16] if shape else expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["MAX", "AVERAGE"])
@pytest.mark.parametrize("padding", [None, "counted", "not counted"])
def test_pooling_in_three_dimensions_is_pytorchs(kind, padding):
    if kind == "MAX" and padding == "not counted":
        padding = "counted"
    pads = dict(zip(("front", "back", "top", "bottom", "left", "right"), (1, 1, 1, 1, 1, 1))) if padding else {}
    found, = network(lambda b, i, o: b.add_pooling3d(
        "layer", i[0], o[0], kind, 2, 3, 3, 2, 1, 2, padding_mode="CUSTOM" if padding else "VALID",
        average_pooling_count_excludes_padding=padding == "not counted",
        **{f"custom_padding_{side}": n for side, n in pads.items()}), x=VOLUMES.numpy())
    options = (2, 3, 3), (2, 1, 2), 1 if padding else 0
    expected = (F.max_pool3d(VOLUMES, *options) if kind == "MAX"
                else F.avg_pool3d(VOLUMES, *options, count_include_pad=padding != "not counted"))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind, function", [("MAX", np.max), ("AVERAGE", np.mean)])
def test_global_pooling_in_three_dimensions_leaves_one_value_a_channel(kind, function):
    found, = network(lambda b, i, o: b.add_global_pooling3d("layer", i[0], o[0], kind), x=VOLUMES.numpy())
    np.testing.assert_allclose(found, function(VOLUMES.numpy(), (2, 3, 4), keepdims=True), rtol=1e-5, atol=1e-6)


# ---- pictures in networks --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("is_deconvolution", [False, True])
def test_a_convolution_with_computed_weights_is_pytorchs(is_deconvolution):
    x = torch.from_numpy(noise(1, 4, 6, 7))
    weight = torch.from_numpy(noise(*((4, 3, 3, 2) if is_deconvolution else (3, 4, 3, 2)), seed=5))
    found, = network(lambda b, i, o: b.add_convolution(
        "layer", 4, 3, 3, 2, 1, 2, "valid", 1, None, None, False, is_deconvolution, None, i, o[0]),
        x=x.numpy(), weight=weight.numpy())
    expected = (F.conv_transpose2d if is_deconvolution else F.conv2d)(x, weight, None, (1, 2))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


NN_SAMPLING = {"STRICT_ALIGN_ENDPOINTS_MODE": "STRICT_ALIGN_CORNERS", "ALIGN_ENDPOINTS_MODE": "ALIGN_CORNERS",
               "UPSAMPLE_MODE": "DEFAULT", "ROI_ALIGN_MODE": "OFFSET_CORNERS"}


@pytest.mark.parametrize("mode", NN_SAMPLING)
@pytest.mark.parametrize("names_the_picture", [False, True])
def test_the_layer_crop_resize_samples_on_the_grid_of_its_mode(mode, names_the_picture):
    places = [0, 1, 1, 0]
    boxes = np.concatenate([np.float32(places)[:, None], BOXES[:4]], 1) if names_the_picture else BOXES[:4]
    found, = network(lambda b, i, o: b.add_crop_resize("layer", i, o[0], 3, 4, mode), x=PICTURES[None],
                     roi=boxes.reshape(4, 1, -1, 1, 1))
    for i, box in enumerate(BOXES[:4]):
        expected = [crop(picture, box, (3, 4), NN_SAMPLING[mode]) for picture in PICTURES]
        np.testing.assert_allclose(found[i], expected[places[i]:][:1] if names_the_picture else expected, rtol=1e-4,
                                   atol=1e-4)


@pytest.mark.parametrize("are_inputs", [False, True])
@pytest.mark.parametrize("per_class", [False, True])
def test_the_layer_non_maximum_suppression_keeps_the_best_boxes(are_inputs, per_class):
    boxes, scores = np.abs(noise(2, 12, 4)), noise(2, 12, 3, seed=1)
    inputs = {"boxes": boxes, "scores": scores}
    if are_inputs:
        inputs |= {"iou": np.float32([0.2]), "score": np.float32([0.1]), "limit": np.float32([5])}
    found = network(lambda b, i, o: b.add_nms(
        "layer", i, o, 0.9 if are_inputs else 0.2, 9 if are_inputs else 0.1, 1 if are_inputs else 5, per_class),
        4, **inputs)
    for i in range(2):
        kept = greedy(boxes[i], scores[i], np.float32(0.2), np.float32(0.1), 5, per_class)
        check_kept([value[i] for value in found[:3]], boxes[i], scores[i], kept, 5)
        assert found[3][i] == len(kept)


# ---- random layers ---------------------------------------------------------------------------------------------------

RANDOM_LAYERS = {"normal": ({"mean": 2.0, "stddev": 3.0}, "random_normal"),
                 "uniform": ({"minval": -1.0, "maxval": 3.0}, "random_uniform"),
                 "bernoulli": ({"prob": 0.3}, "random_bernoulli")}


@pytest.mark.parametrize("kind", RANDOM_LAYERS)
@pytest.mark.parametrize("shape", ["static", "dynamic", "like"])
def test_a_random_layer_has_its_distribution_and_comes_again_with_its_seed(kind, shape):
    options, name = RANDOM_LAYERS[kind]

    def add(built, inputs, outputs, seed=5):
        given = {"static": [outputs[0], (100, 400)], "dynamic": [inputs[:1], outputs[0]],
                 "like": [inputs[1], outputs[0]]}[shape]
        getattr(built, f"add_random_{kind}_{shape}")("layer", *given, seed=seed, **options)

    inputs = {"shape": np.float32([100, 400]), "x": np.zeros((100, 400), np.float32)}
    x, = network(add, **inputs)
    assert x.shape == (100, 400)
    for figure in DISTRIBUTIONS[name][1:]:
        np.testing.assert_allclose(*figure(x), atol=0.05)
    np.testing.assert_array_equal(network(add, **inputs)[0], x)
    assert (network(lambda *names: add(*names, seed=6), **inputs)[0] != x).any()


@pytest.mark.parametrize("is_logits, temperature", [(True, 1.0), (True, 2.0), (False, 1.0)])
def test_a_categorical_layer_draws_with_the_probabilities(is_logits, temperature):
    logits = noise(2, 4)
    probabilities = np.exp(logits / temperature) / np.exp(logits / temperature).sum(1, keepdims=True)
    found, = network(lambda b, i, o: b.add_categorical_distribution(
        "layer", i[0], o[0], 20000, is_logits, temperature=temperature, seed=1), x=logits if is_logits
        else probabilities)
    assert found.shape == (2, 20000)
    for row, expected in zip(found, probabilities):
        np.testing.assert_allclose([(row == i).mean() for i in range(4)], expected, atol=0.02)
