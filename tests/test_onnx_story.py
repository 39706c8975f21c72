"""Notebook 03's helpers: the windows are PyTorch's, and exporters' reports stay out of the notebook."""
import pytest
import torch
from torch import nn

from utils import onnx_story, plots


@pytest.mark.parametrize("size, outputs", [(8, 4), (8, 5), (8, 7), (8, 1), (7, 3), (13, 5), (5, 5)])
def test_windows_are_those_of_pytorch(size, outputs):
    numbers = torch.arange(float(size))[None, None]
    last = nn.AdaptiveMaxPool1d(outputs)(numbers)[0, 0].tolist()
    first = (-nn.AdaptiveMaxPool1d(outputs)(-numbers))[0, 0].tolist()
    assert onnx_story.windows(size, outputs) == [(int(a), int(b) + 1) for a, b in zip(first, last)]


def test_a_drawing_has_a_bar_for_each_output():
    axes = plots.pooling_windows(8, {n: onnx_story.windows(8, n) for n in (4, 5)}).axes
    assert [len(axis.patches) for axis in axes] == [4, 5]
    assert [axis.get_title() for axis in axes] == ["4 of 8: 2 wide", "5 of 8: 2 or 3 wide"]


def test_an_exporter_s_report_does_not_reach_the_notebook(tmp_path, capfd):
    with pytest.raises(Exception, match="not factor of input size"):
        onnx_story.export_onnx(nn.AdaptiveMaxPool2d(5), tmp_path / "a.onnx", "TorchScript")
    assert capfd.readouterr() == ("", "")


def test_open_axes_are_open_in_the_file(tmp_path):
    import onnx

    onnx_story.export_onnx(nn.AdaptiveAvgPool2d(1), tmp_path / "a.onnx", "TorchScript", dynamic=(0, 2))
    shape = onnx.load(tmp_path / "a.onnx").graph.input[0].type.tensor_type.shape
    assert [axis.dim_param or axis.dim_value for axis in shape.dim] == ["batch", 16, "height", 8]
