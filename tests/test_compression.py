"""Compression against the network's own answers."""
import coreml_runtime
import coremltools as ct
import numpy as np
import pytest
import torch

from utils import compression, files, routes


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
    compression.save(model, path)
    inputs = np.random.default_rng(0).normal(size=(1, 3, 8, 8)).astype(np.float32)
    return next(iter(coreml_runtime.load(path).predict({"image": inputs}).values()))


def error(model, reference, folder):
    expected = answer(reference, folder / "reference.mlpackage")
    return np.abs(answer(model, folder / "other.mlpackage") - expected).mean() / np.abs(expected).mean()


def test_fewer_bits_make_smaller_files_and_larger_errors(model, tmp_path):
    errors, sizes = [], []
    for bits in (8, 6, 4):
        errors.append(error(compression.palettize(model, bits), model, tmp_path))
        sizes.append(files.megabytes(tmp_path / "other.mlpackage"))
    assert 0 < errors[0] < errors[1] < errors[2] < 0.5
    assert sizes == sorted(sizes, reverse=True) and sizes[2] < 0.5 * files.megabytes(tmp_path / "reference.mlpackage")


def test_mixed_precision_gives_each_kind_of_layer_its_bits(model, tmp_path):
    path = tmp_path / "mixed.mlpackage"
    compression.save(compression.mixed_precision(model, bits=6, bits_of_widening=4, widening=1), path)
    program = ct.models.MLModel(str(path), skip_model_load=True).get_spec().mlProgram
    operations = [op for block in program.functions["main"].block_specializations.values() for op in block.operations]
    tables = {tuple(d.constant.size for d in op.outputs[0].type.tensorType.dimensions)[0]:
              op.attributes["lut"].type.tensorType.dimensions[0].constant.size
              for op in operations if op.type == "constexpr_lut_to_dense"}
    assert tables == {64: 64, 256: 16}  # by output channels: six bits where it narrows, four where it widens
    assert [op.type for op in operations].count("constexpr_affine_dequantize") == 2  # the small and the depthwise one
    assert routes.oldest_ios(path) == "iOS 16"


def test_a_table_for_a_whole_depthwise_layer_costs_more_than_a_scale_a_channel(model, tmp_path):
    all_linear, six_bits = compression.mixed_precision(model, widening=0), compression.palettize(model, 6)
    assert error(all_linear, model, tmp_path) < error(six_bits, model, tmp_path)


def test_saving_adds_metadata_to_what_is_there(model, tmp_path):
    compression.save(model, tmp_path / "a.mlpackage", temperature=0.5)
    again = ct.models.MLModel(str(tmp_path / "a.mlpackage"), skip_model_load=True)
    compression.save(again, tmp_path / "a.mlpackage", threshold="0.7")
    found = coreml_runtime.load(tmp_path / "a.mlpackage").metadata.user_defined
    assert (found["temperature"], found["threshold"]) == ("0.5", "0.7")
