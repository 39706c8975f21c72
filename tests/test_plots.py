"""The figures: labelled, for any classes, and drawn without pyplot's global state."""
import io

import numpy as np
import pandas as pd
import pytest
from matplotlib import colors

from utils import plots

PICTURES = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
NAMES = ["bolt", "röhre mit Gewinde", "a name that is much too long to stand under a small picture"]


def drawn(figure):
    """The figure's visible texts; drawing it must not fail."""
    figure.savefig(io.BytesIO(), format="png")
    return [t.get_text() for t in figure.findobj(lambda a: hasattr(a, "get_text") and a.get_visible()) if t.get_text()]


def luminance(colour):
    return np.dot(colors.to_rgb(colour), (0.2126, 0.7152, 0.0722))


def test_neighbouring_colours_differ_in_grey_too():
    grey = [luminance(colour) for colour in plots.PALETTE]
    assert min(abs(a - b) for a, b in zip(grey, grey[1:])) > 0.1
    assert len(plots.PALETTE) == len(plots.MARKERS) == len(set(plots.PALETTE))


@pytest.mark.parametrize("columns", [1, 3, 8])
def test_a_contact_sheet_shows_every_picture_with_its_title(columns):
    figure = plots.contact_sheet(PICTURES, list("abcde"), columns)
    assert sum(len(axis.images) for axis in figure.axes) == 5
    assert {"a", "b", "c", "d", "e"} <= set(drawn(figure))


def test_class_balance_stacks_sessions_and_photographs_by_split():
    rows = [("bolt", "a", "train")] * 5 + [("bolt", "b", "test")] * 3 + [("röhre", "c", "train")] * 2
    rows += [("other", "d", "valid")]
    figure = plots.class_balance(pd.DataFrame(rows, columns=["label", "session", "split"]))
    sessions, photographs = ([[bar.get_width() for bar in bars] for bars in axis.containers] for axis in figure.axes)
    assert sessions == [[1, 0, 1], [0, 1, 0], [1, 0, 0]]  # train, valid, test of bolt, other, röhre
    assert photographs == [[5, 0, 2], [0, 1, 0], [3, 0, 0]]
    assert figure.axes[1].containers[2][0].get_x() == 5  # test stands behind train
    assert {"bolt", "other", "röhre", "train", "valid", "test", "capture sessions", "photographs"} <= set(drawn(figure))


def test_a_mistakes_sheet_shows_the_most_confident_mistake_first():
    figure = plots.mistakes_sheet(PICTURES, ["x"] * 5, ["x", "y", "y", "x", "z"], [0.9, 0.6, 0.8, 0.9, 0.7])
    assert [axis.get_title() for axis in figure.axes if axis.images] == [
        "y (80%)\nnot x", "z (70%)\nnot x", "y (60%)\nnot x"]
    assert np.array_equal(figure.axes[0].images[0].get_array(), PICTURES[2])


def test_a_mistakes_sheet_without_mistakes_says_so():
    assert "No mistake among 5 photographs." in drawn(plots.mistakes_sheet(PICTURES, ["x"] * 5, ["x"] * 5, [1.0] * 5))


def test_a_confusion_matrix_has_the_truth_in_rows():
    figure = plots.confusion_matrix([[5, 0, 1], [0, 6, 0], [0, 0, 0]], NAMES)
    axis = figure.axes[0]
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("predicted", "true class")
    assert {t.get_position(): t.get_text() for t in axis.texts}[2, 0] == "1"
    assert axis.images[0].get_array()[0].tolist() == pytest.approx([5 / 6, 0, 1 / 6])
    assert NAMES[0] in drawn(figure) and NAMES[2] not in drawn(figure)  # too long: cut


@pytest.mark.parametrize("classes", [2, 30])
def test_a_confusion_matrix_takes_any_number_of_classes(classes):
    drawn(plots.confusion_matrix(np.eye(classes, dtype=int), [f"class {i}" for i in range(classes)]))


def test_a_training_curve_labels_its_axes_and_marks_the_change():
    history = {key: [0.5, 0.6, 0.7] for key in ("loss", "val_loss", "accuracy", "val_accuracy")}
    figure = plots.training_curve(history, boundary=2)
    assert [axis.get_ylabel() for axis in figure.axes] == ["loss", "accuracy"]
    assert {"epoch", "training", "validation", "last stages join in"} <= set(drawn(figure))


def test_per_class_accuracy_draws_each_interval():
    table = pd.DataFrame({"accuracy": [1.0, 0.25], "low": [0.9, 0.1], "high": [1.0, 0.5], "n": [40, 8]},
                         index=NAMES[:2])
    figure = plots.per_class_accuracy(table)
    assert set(NAMES[:2]) <= set(drawn(figure))
    assert figure.axes[0].get_xlim()[0] <= 0.1


@pytest.mark.parametrize("step", [0, 1e-6])
def test_a_parity_plot_takes_equal_outputs_too(step):
    expected = np.linspace(0, 1, 20, dtype=np.float32)
    figure = plots.parity_plot(expected, expected + step, ("Keras", "Core ML"), limit=1e-4)
    assert {"Keras", "Core ML", "equal", "limit 0.0001", "absolute difference"} <= set(drawn(figure))


def test_size_against_accuracy_shades_what_may_be_shipped():
    table = pd.DataFrame({"megabytes": [13.5, 2.4, 4], "accuracy": [0.95, 0.94, 0.3]},
                         index=["float32", "small", "pruned"])
    figure = plots.size_against_accuracy(table)
    corner = figure.axes[0].collections[0].get_datalim(figure.axes[0].transData)
    assert (corner.x1, corner.y0) == pytest.approx((2.5, 0.945))
    assert figure.axes[0].get_ylim()[0] > 0.7
    assert {"float32", "small", "megabytes", "pruned (at 30%, far below)",
            "at most 2.5 MB, at most 0.5 points lost"} <= set(drawn(figure))


def test_a_reliability_diagram_leaves_out_empty_bins():
    bins = np.array([np.nan, 0.75]), np.array([np.nan, 0.5]), np.array([0, 4])
    figure = plots.reliability_diagram(bins, bins, ("raw", "scaled"))
    assert [collection.get_offsets().tolist() for collection in figure.axes[0].collections] == [[[0.75, 0.5]]] * 2
    assert {"raw", "scaled", "calibrated", "accuracy"} <= set(drawn(figure))


def test_a_rejection_curve_marks_the_chosen_threshold_and_the_aims():
    figure = plots.rejection_curve({"test": ([1, 0.5], [0, 1])}, {"chosen": (0.9, 0.6)}, aims=(0.95, 0.8))
    assert figure.axes[0].lines[1].get_xydata().tolist() == [[0.9, 0.6]]
    labels = {"correct predictions accepted", "unknown objects rejected"}
    assert {"test", "chosen", "the aims", *labels} <= set(drawn(figure))


def test_shares_names_each_group_once():
    table = pd.DataFrame({"group": ["blur", "blur", "crop"], "share": [0.9, 0.5, 1]}, index=["a little", "much", "fit"])
    figure = plots.shares(table, "accuracy", reference=0.95)
    assert {"a little", "50%", "accuracy"} <= set(drawn(figure))
    assert sorted(text.get_text() for text in figure.legends[0].get_texts()) == ["blur", "crop", "unchanged"]


def test_the_routes_chart_has_a_dot_and_a_bar_a_route():
    table = pd.DataFrame({"route": ["a → b", "a → c"], "accuracy": [0.9, 0.8], "low": [0.8, 0.7], "high": [0.95, 0.9],
                          "megabytes": [13.5, 2.4]})
    figure = plots.routes_chart(table)
    assert {"a → b", "a → c", "megabytes"} <= set(drawn(figure)) and " 13.5" in drawn(figure)
    assert [bar.get_width() for bar in figure.axes[1].patches] == [13.5, 2.4]


def test_the_spread_of_runs_has_a_dot_for_each_run_and_a_line_for_this_one():
    runs = pd.DataFrame({"name": ["a", "a", "b", "c"], "instructions": ["AVX2", "native", "AVX2", "AVX2"],
                         "value": [0.9, 0.95, 0.8, 0.1]})
    figure = plots.run_spread(runs, {"a": 0.92, "b": 0.85})
    dots = sorted(round(float(x)) for line in figure.axes[0].lines if line.get_linestyle() == "None"
                  for x in line.get_xdata())
    assert dots == [80, 90, 95]
    assert [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_linestyle() == "--"] == [92, 85]
    assert {"AVX2", "native", "this run", "a", "b", "percent"} <= set(drawn(figure))


def test_the_spread_can_be_drawn_before_anything_was_measured():
    empty = pd.DataFrame(columns=["name", "instructions", "value"])
    assert "this run" in drawn(plots.run_spread(empty, {"a": 0.92}))
