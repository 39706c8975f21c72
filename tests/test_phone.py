"""Compression against the network's own answers, and what the simulated camera does to pictures whose pixels are
known."""
import math

import coremltools as ct
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import coreml_runtime
from utils import files, phone


class Network(torch.nn.Module):
    """A small convolution, a depthwise one whose channels differ a hundredfold, one that narrows and one that
    widens."""

    def __init__(self):
        super().__init__()
        self.small, self.depthwise = torch.nn.Conv2d(3, 768, 1), torch.nn.Conv2d(768, 768, 3, groups=768)
        self.narrowing, self.widening = torch.nn.Conv2d(768, 64, 1), torch.nn.Conv2d(64, 256, 1)
        with torch.no_grad():
            self.depthwise.weight *= torch.logspace(0, 2, 768).reshape(-1, 1, 1, 1)

    def forward(self, image):
        return self.widening(self.narrowing(self.depthwise(self.small(image)))).mean((2, 3))


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    traced = torch.jit.trace(Network().eval(), torch.zeros(1, 3, 8, 8))
    return ct.convert(traced, inputs=[ct.TensorType(name="image", shape=(1, 3, 8, 8))], convert_to="mlprogram",
                      minimum_deployment_target=ct.target.iOS15)


def answer(model, path):
    phone.save(model, path)
    inputs = np.random.default_rng(0).normal(size=(1, 3, 8, 8)).astype(np.float32)
    return next(iter(coreml_runtime.load(path).predict({"image": inputs}).values()))


def error(model, reference, folder):
    expected = answer(reference, folder / "reference.mlpackage")
    return np.abs(answer(model, folder / "other.mlpackage") - expected).mean() / np.abs(expected).mean()


def test_fewer_bits_make_smaller_files_and_larger_errors(model, tmp_path):
    errors, sizes = [], []
    for bits in (8, 6, 4):
        errors.append(error(phone.palettize(model, bits), model, tmp_path))
        sizes.append(files.megabytes(tmp_path / "other.mlpackage"))
    assert 0 < errors[0] < errors[1] < errors[2] < 0.5
    assert sizes == sorted(sizes, reverse=True) and sizes[2] < 0.5 * files.megabytes(tmp_path / "reference.mlpackage")


def test_mixed_precision_gives_each_kind_of_layer_its_bits(model, tmp_path):
    path = tmp_path / "mixed.mlpackage"
    phone.save(phone.mixed_precision(model, bits=6, bits_of_widening=4, widening=1), path)
    program = ct.models.MLModel(str(path), skip_model_load=True).get_spec().mlProgram
    operations = [op for block in program.functions["main"].block_specializations.values() for op in block.operations]
    tables = {tuple(d.constant.size for d in op.outputs[0].type.tensorType.dimensions)[0]:
              op.attributes["lut"].type.tensorType.dimensions[0].constant.size
              for op in operations if op.type == "constexpr_lut_to_dense"}
    assert tables == {64: 64, 256: 16}  # by output channels: six bits where it narrows, four where it widens
    assert [op.type for op in operations].count("constexpr_affine_dequantize") == 2  # the small and the depthwise one
    assert phone.oldest_ios(path) == "iOS 16"


def test_a_table_for_a_whole_depthwise_layer_costs_more_than_a_scale_a_channel(model, tmp_path):
    all_linear, six_bits = phone.mixed_precision(model, widening=0), phone.palettize(model, 6)
    assert error(all_linear, model, tmp_path) < error(six_bits, model, tmp_path)


def test_saving_adds_metadata_to_what_is_there(model, tmp_path):
    phone.save(model, tmp_path / "a.mlpackage", temperature=0.5)
    again = ct.models.MLModel(str(tmp_path / "a.mlpackage"), skip_model_load=True)
    phone.save(again, tmp_path / "a.mlpackage", threshold="0.7")
    found = coreml_runtime.load(tmp_path / "a.mlpackage").metadata.user_defined
    assert (found["temperature"], found["threshold"]) == ("0.5", "0.7")


def test_a_missing_file_is_named_with_the_line_that_makes_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="a.mlpackage is missing.*tools.course notebooks/05"):
        phone.made_earlier(tmp_path / "a.mlpackage")
    assert phone.made_earlier(tmp_path) == tmp_path


@pytest.mark.parametrize("interleaved", [False, True])
def test_a_sample_takes_whole_sessions_of_every_class_and_split(interleaved):
    labels = ["a", "b"] * 10 if interleaved else ["a"] * 10 + ["b"] * 10
    table = pd.DataFrame({"label": np.repeat(labels, 4), "split": np.repeat(["valid"] * 10 + ["test"] * 10, 4),
                          "session": np.repeat(np.arange(20), 4)})
    some = phone.whole_sessions(table, 40)
    assert (some.groupby("session").size() == 4).all()
    assert some.groupby(["label", "split"]).ngroups == table.groupby(["label", "split"]).ngroups
    assert 40 <= len(some) <= 48
    assert len(phone.whole_sessions(table, 80)) == 80


def test_the_average_looks_back_and_never_into_another_session():
    probabilities = np.array([[1, 0], [0, 1], [1, 0], [0, 1]])
    found = phone.average_last(probabilities, ["a", "a", "a", "b"], frames=2)
    np.testing.assert_allclose(found, [[1, 0], [0.5, 0.5], [0.5, 0.5], [0, 1]])
    np.testing.assert_allclose(phone.average_last(probabilities, ["a", "a", "a", "b"], frames=1), probabilities)


def test_changes_are_counted_within_sessions():
    assert phone.share_of_changes([0, 1, 1, 0], ["a", "a", "a", "b"]) == 0.5
    assert math.isnan(phone.share_of_changes([0, 1], ["a", "b"]))


def gradient(width=40, height=40):
    ramp = np.linspace(40, 200, width).astype(np.uint8)
    return Image.fromarray(np.repeat(np.repeat(ramp[None, :, None], height, 0), 3, 2))


def test_a_wide_frame_has_the_picture_in_its_middle():
    frame = phone.wide_frame(gradient())
    assert frame.size == (53, 40)
    np.testing.assert_array_equal(np.asarray(frame)[:, 6:46], np.asarray(gradient()))


def test_the_three_crop_options_cut_pad_and_squeeze():
    frame = phone.wide_frame(gradient())
    centre, fit, fill = (np.asarray(phone.crop_and_scale(frame, option, (40, 40))) for option in phone.CROP_OPTIONS)
    assert np.abs(centre.astype(int) - np.asarray(gradient())).max() <= 4
    assert (fit[0] == 0).all() and (fit[-1] == 0).all() and (fit[20] > 0).all()
    assert fill[0].min() > 0 and np.abs(fill.astype(int) - centre).max() > 10
    with pytest.raises(ValueError, match="none of centerCrop"):
        phone.crop_and_scale(frame, "stretch", (40, 40))


def test_turning_twice_by_90_degrees_is_turning_by_180():
    picture = gradient()
    assert phone.turned(phone.turned(picture, 90), 90) == phone.turned(picture, 180)
    assert phone.turned(picture, 180) == picture.rotate(180)
    assert phone.turned(picture, 90) != picture


def test_blur_takes_contrast_and_leaves_the_mean():
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8))
    blurred = phone.out_of_focus(noise, 0.05)
    assert np.std(blurred) < 0.5 * np.std(noise)
    assert np.mean(blurred) == pytest.approx(np.mean(noise), abs=3)


def test_less_light_is_darker_and_grainier_and_repeats():
    grey = Image.new("RGB", (40, 40), (180, 180, 180))
    dim, dimmer = phone.in_dim_light(grey, 2), phone.in_dim_light(grey, 4)
    assert np.mean(grey) > np.mean(dim) > np.mean(dimmer) > 20
    assert np.std(np.asarray(dim) / np.mean(dim)) < np.std(np.asarray(dimmer) / np.mean(dimmer))
    assert phone.in_dim_light(grey, 2) == dim
    assert np.mean(dim) == pytest.approx(180 * 4 ** (-1 / phone.GAMMA), rel=0.02)


def test_twice_the_distance_halves_the_part():
    picture = np.zeros((40, 40, 3), np.uint8)
    picture[10:30, 10:30] = 255
    white = (np.asarray(phone.from_further_away(Image.fromarray(picture), 2)) > 127)[..., 0]
    assert white.sum() == pytest.approx(10 * 10, abs=20)
    assert white[15:25, 15:25].all()


def test_source_takes_a_block_to_its_closing_brace_and_removes_the_indentation(tmp_path):
    path = tmp_path / "A.swift"
    path.write_text("struct A {\n    func a() {\n        if b {\n        }\n    }\n\n    let c = 1\n}\n")
    assert phone.source(path, "func a") == "func a() {\n    if b {\n    }\n}"
    assert phone.source(path, "if b", "}") == "if b {\n}"
    assert phone.source(path, "let c", "let c") == "let c = 1"


def test_source_names_a_line_that_is_not_there(tmp_path):
    path = tmp_path / "A.swift"
    path.write_text("let a = 1\nlet b = 2\n")
    assert phone.source(path, "let a", "let b") == "let a = 1\nlet b = 2"
    for arguments, message in ((("let x",), "A.swift has no line with 'let x'"),
                               (("let a", "let x"), "'let x' after 'let a'")):
        with pytest.raises(LookupError, match=message):
            phone.source(path, *arguments)
