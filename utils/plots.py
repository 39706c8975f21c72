"""The course's figures: one palette, labelled axes, readable in grey and without colour vision.

Every function returns a matplotlib Figure that pyplot does not know, so that a notebook shows it once: as the value of
the cell's last line, or by `display`. Nothing assumes how many classes there are or what they are called.
"""
import math

import numpy as np
from matplotlib.figure import Figure

from utils.photos import SPLITS

# Okabe & Ito 2008, https://jfly.uni-koeln.de/color/, in an order in which neighbours also differ in lightness.
PALETTE = ("#0072B2", "#E69F00", "#D55E00", "#56B4E9", "#F0E442", "#009E73", "#000000", "#CC79A7")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
HATCHES = ("", "//", "..")  # of bars that are stacked, for those who see no colours
MAX_TITLE = 34  # characters that fit over a small picture
MAX_CELLS = 12  # classes up to which a confusion matrix writes its numbers


def _figure(width, height, rows=1, columns=1, **options):
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def _short(text):
    return text if len(text) <= MAX_TITLE else text[:MAX_TITLE - 1] + "…"


def contact_sheet(pictures, titles=None, columns=8, message="no pictures"):
    """Pictures in a grid.

    pictures: a sequence of uint8 arrays (H, W, 3) or PIL images; titles: as many strings. Without any picture the
    figure says `message`.
    """
    columns = max(1, min(columns, len(pictures)))
    rows = max(1, math.ceil(len(pictures) / columns))
    figure, axes = _figure(1.45 * columns, (1.75 if titles is not None else 1.45) * rows, rows, columns)
    for axis in axes.flat:
        axis.axis("off")
    for axis, picture in zip(axes.flat, pictures):
        axis.imshow(np.asarray(picture))
    for axis, title in zip(axes.flat, titles if titles is not None else []):
        axis.set_title("\n".join(map(_short, str(title).split("\n"))), fontsize=7)
    if not len(pictures):
        figure.set_size_inches(6, 1)
        axes[0, 0].text(0.5, 0.5, message, ha="center", va="center", fontsize=11)
    return figure


def class_balance(table):
    """Capture sessions (left) and photographs (right) of each class as bars, stacked by split.

    table: a DataFrame with the columns label, session and split, as photos.read_table gives it.
    """
    groups = table.groupby(["label", "split"])["session"]
    names = sorted(set(table["label"]))
    figure, axes = _figure(9, 1.3 + 0.35 * len(names), 1, 2, sharey=True)
    for axis, what, counts in zip(axes.flat, ("capture sessions", "photographs"), (groups.nunique(), groups.size())):
        counts = counts.unstack(fill_value=0).reindex(index=names, columns=list(SPLITS), fill_value=0)
        left = np.zeros(len(names))
        for split, colour, hatch in zip(SPLITS, PALETTE, HATCHES):
            axis.barh(range(len(names)), counts[split], left=left, color=colour, hatch=hatch, edgecolor="white",
                      label=split)
            left += counts[split].to_numpy()
        axis.set(xlabel=what, axisbelow=True)
        axis.grid(axis="x", alpha=0.3)
    axes[0, 0].set_yticks(range(len(names)), [_short(str(name)) for name in names])
    axes[0, 0].invert_yaxis()  # the first class on top; the other plot shares this axis
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside right center")
    return figure


def mistakes_sheet(pictures, labels, predicted, confidence, most=24):
    """The photographs that were classified wrongly, the most confident mistake first.

    pictures: uint8 (N, H, W, 3); labels, predicted: N class names; confidence: N probabilities 0..1 of the predicted
    class.
    """
    labels, predicted, confidence = map(np.asarray, (labels, predicted, confidence))
    wrong = np.flatnonzero(labels != predicted)
    wrong = wrong[np.argsort(-confidence[wrong], kind="stable")][:most]
    titles = [f"{predicted[i]} ({confidence[i]:.0%})\nnot {labels[i]}" for i in wrong]
    return contact_sheet([pictures[i] for i in wrong], titles, columns=6,
                         message=f"No mistake among {len(labels)} photographs.")


def confusion_matrix(counts, names):
    """counts: integers (classes, classes), a row a true label, a column a prediction. Shading is the share of the row;
    the numbers are photographs."""
    counts = np.asarray(counts)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 2.2 + 0.55 * len(names)
    figure, axes = _figure(side + 0.9, side)
    axis = axes[0, 0]
    image = axis.imshow(share, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axis, label="share of the true class", shrink=0.8)
    axis.set_xticks(range(len(names)), [_short(n) for n in names], rotation=45, ha="right", rotation_mode="anchor")
    axis.set_yticks(range(len(names)), [_short(n) for n in names])
    axis.set(xlabel="predicted", ylabel="true class")
    if len(names) <= MAX_CELLS:
        for (row, column), count in np.ndenumerate(counts):
            axis.text(column, row, str(count), ha="center", va="center",
                      color="white" if share[row, column] > 0.5 else "black")
    return figure


def training_curve(history, boundary=None):
    """Loss and accuracy by epoch, for training and validation pictures.

    history: Keras' History.history, with the keys loss, val_loss, accuracy, val_accuracy; boundary: number of epochs
    after which training changed (for example from head to last stages), drawn as a line.
    """
    figure, axes = _figure(9, 3.4, 1, 2)
    epochs = np.arange(1, len(history["loss"]) + 1)
    for axis, key in zip(axes.flat, ("loss", "accuracy")):
        for i, (name, values) in enumerate((("training", history[key]), ("validation", history[f"val_{key}"]))):
            axis.plot(epochs, values, color=PALETTE[i], marker=MARKERS[i], markersize=4, linestyle=("-", "--")[i],
                      label=name)
        if boundary is not None:
            axis.axvline(boundary + 0.5, color="0.5", linestyle=":", label="last stages join in")
        axis.set(xlabel="epoch", ylabel=key)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.3)
    axes[0, 1].set_ylim(top=1.02)
    axes[0, 0].legend()
    return figure


def per_class_accuracy(table):
    """Accuracy with its interval, a row a class.

    table: a DataFrame indexed by class with the columns accuracy, low and high, each 0..1 (evaluate.per_class_table).
    """
    figure, axes = _figure(6, 1.1 + 0.4 * len(table))
    axis, rows = axes[0, 0], np.arange(len(table))[::-1]
    spread = np.clip([table["accuracy"] - table["low"], table["high"] - table["accuracy"]], 0, None)
    axis.errorbar(table["accuracy"], rows, xerr=spread, fmt=MARKERS[0], color=PALETTE[0], capsize=4)
    axis.set_yticks(rows, [_short(str(name)) for name in table.index])
    axis.set(xlabel="top-1 accuracy with 95 % interval", xlim=(min(0.5, table["low"].min() - 0.02), 1.01))
    axis.grid(axis="x", alpha=0.3)
    return figure


def parity_plot(expected, found, names=("expected", "found"), limit=None):
    """One model's outputs against another's, and their differences.

    expected, found: arrays of the same shape; names: what the axes say; limit: the largest difference allowed, drawn.
    """
    expected, found = np.ravel(expected), np.ravel(found)
    figure, axes = _figure(8.5, 3.6, 1, 2)
    left, right = axes.flat
    ends = [min(expected.min(), found.min()), max(expected.max(), found.max())]
    left.plot(ends, ends, color="0.6", linewidth=1, label="equal")
    left.plot(expected, found, MARKERS[0], color=PALETTE[0], markersize=3, alpha=0.5)
    left.set(xlabel=names[0], ylabel=names[1])
    left.legend()
    # Differences of exactly zero have no logarithm: they are drawn at the smallest float32 step below 1.
    difference = np.maximum(np.abs(expected.astype(np.float64) - found), np.finfo(np.float32).epsneg)
    right.hist(difference, bins=np.geomspace(difference.min() / 2, difference.max() * 2, 30), color=PALETTE[0])
    if limit is not None:
        right.axvline(limit, color=PALETTE[5], linestyle="--", label=f"limit {limit:g}")
        right.legend()
    right.set(xscale="log", xlabel="absolute difference", ylabel="number of outputs")
    return figure


def size_against_accuracy(table, largest_loss=0.005, most_megabytes=2.5):
    """Megabytes of each file against its accuracy, with the corner in which a file may be shipped shaded.

    table: a DataFrame indexed by the file's name with the columns megabytes and accuracy (0..1); its first row is the
    reference. largest_loss: of accuracy against the reference. A file more than 15 points below it is drawn at the
    lower edge, and the legend tells its accuracy.
    """
    figure, axes = _figure(8, 4.2)
    axis = axes[0, 0]
    floor = table["accuracy"].iloc[0] - largest_loss
    low = max(min(table["accuracy"].min(), floor - 0.02), floor - 0.15)
    axis.set(xlabel="megabytes", ylabel="top-1 accuracy on the test photographs", xscale="log",
             ylim=(low - 0.005, table["accuracy"].max() + 0.01))
    left = table["megabytes"].min() * 0.8
    axis.set_xlim(left, table["megabytes"].max() * 1.5)
    axis.fill_between([left, most_megabytes], floor, axis.get_ylim()[1], color=PALETTE[3], alpha=0.25,
                      label=f"at most {most_megabytes:g} MB, at most {100 * largest_loss:g} points lost")
    for i, (name, row) in enumerate(table.iterrows()):
        below = f" (at {row['accuracy']:.0%}, far below)" if row["accuracy"] < low else ""
        axis.plot(row["megabytes"], max(row["accuracy"], low), MARKERS[i % len(MARKERS)], markersize=7,
                  linestyle="none", color=PALETTE[i % len(PALETTE)], markeredgecolor="black", markeredgewidth=0.5,
                  label=f"{name}{below}")
    ticks = [n for n in (0.5, 1, 2, 3, 5, 7, 10, 14, 20, 50) if left <= n <= axis.get_xlim()[1]]
    axis.set_xticks(ticks, [f"{n:g}" for n in ticks])
    axis.set_xticks([], minor=True)
    axis.grid(alpha=0.3)
    figure.legend(*axis.get_legend_handles_labels(), loc="outside right center", fontsize=8)
    return figure


def reliability_diagram(before, after, names=("before", "after")):
    """Accuracy against confidence, two sets of probabilities; the area of a dot grows with the photographs in its bin.

    before, after: (confidence, accuracy, n) each, as calibration.reliability returns them.
    """
    figure, axes = _figure(4.6, 4.2)
    axis = axes[0, 0]
    axis.plot([0, 1], [0, 1], color="0.6", linewidth=1, label="calibrated")
    for i, (confidence, accuracy, n) in enumerate((before, after)):
        filled = n > 0
        axis.scatter(confidence[filled], accuracy[filled], 12 + 400 * n[filled] / n.sum(), color=PALETTE[2 * i],
                     marker=MARKERS[i], alpha=0.8, label=names[i])
    axis.set(xlabel="confidence: largest probability", ylabel="accuracy", xlim=(0, 1.03), ylim=(0, 1.03))
    axis.grid(alpha=0.3)
    axis.legend()
    return figure


def rejection_curve(curves, marked=None, aims=None):
    """Unknown objects rejected against correct predictions accepted, one line per score; up and to the right is
    better.

    curves: {name: (accepted, rejected)}, arrays of 0..1, one entry per threshold; marked: {name: (accepted, rejected)},
    single points such as the chosen threshold; aims: (accepted, rejected) of a corner to reach, drawn as dashed lines.
    """
    figure, axes = _figure(6.4, 4.2)
    axis = axes[0, 0]
    for i, (name, (accepted, rejected)) in enumerate(curves.items()):
        axis.plot(accepted, rejected, color=PALETTE[i], linestyle=("-", "--", "-.", ":")[i % 4], label=name)
    for i, (name, (accepted, rejected)) in enumerate((marked or {}).items()):
        axis.plot(accepted, rejected, MARKERS[i], color="black", markersize=8, linestyle="none", label=name)
    if aims:
        axis.axvline(aims[0], color="0.5", linestyle="--", linewidth=1)
        axis.axhline(aims[1], color="0.5", linestyle="--", linewidth=1, label="the aims")
    axis.set(xlabel="correct predictions accepted", ylabel="unknown objects rejected", xlim=(0.5, 1.01), ylim=(0, 1.01))
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    return figure


def shares(table, xlabel, reference=None):
    """A bar a row with its share beside it, groups told apart by colour and hatching.

    table: a DataFrame indexed by what was changed, with the columns group and share (0..1); reference: a share drawn as
    a dashed line.
    """
    groups = list(dict.fromkeys(table["group"]))
    figure, axes = _figure(8, 0.9 + 0.3 * len(table))
    axis = axes[0, 0]
    for row, (_, each) in enumerate(table.iterrows()):
        i = groups.index(each["group"])
        axis.barh(row, each["share"], color=PALETTE[i % len(PALETTE)], hatch=HATCHES[i % len(HATCHES)],
                  edgecolor="white",
                  label=None if (table["group"].iloc[:row] == each["group"]).any() else each["group"])
        axis.text(1.02, row, f"{each['share']:.0%}", va="center", fontsize=8)
    if reference is not None:
        axis.axvline(reference, color="black", linestyle="--", linewidth=1, label="unchanged")
    axis.set_yticks(range(len(table)), table.index)
    axis.invert_yaxis()
    axis.set(xlabel=xlabel, xlim=(0, 1.12), axisbelow=True)
    axis.grid(axis="x", alpha=0.3)
    figure.legend(*axis.get_legend_handles_labels(), loc="outside right center", fontsize=8)
    return figure


def pooling_windows(size, windows):
    """The windows of adaptive pools over `size` inputs, as bars, one pool beside the other.

    windows: {number of outputs: [(first, last + 1) of each]}, as onnx_story.windows gives them.
    """
    figure, axes = _figure(9, 2.6, 1, len(windows), sharex=True)
    for axis, (outputs, found) in zip(axes[0], windows.items()):
        for i, (first, end) in enumerate(found):
            axis.barh(i, end - first, left=first, height=0.7, color=PALETTE[i % 2], edgecolor="black")
        lengths = sorted({end - first for first, end in found})
        axis.set(title=f"{outputs} of {size}: {' or '.join(map(str, lengths))} wide", xlabel="input", ylabel="output",
                 xlim=(0, size), xticks=range(size + 1), yticks=range(outputs), ylim=(outputs - 0.4, -0.6))
        axis.grid(axis="x", alpha=0.4)
    return figure


def run_spread(runs, today):
    """What findings came to in measured runs: a row per finding, a dot per run, a line where today's value lies.

    runs: a DataFrame with the columns name, instructions and value (shares, 0..1), as findings.read_runs gives it;
    today: {name: value}, in the order of the rows.
    """
    figure, axes = _figure(8, 1.2 + 0.55 * len(today))
    axis, kinds = axes[0, 0], sorted(set(runs.loc[runs["name"].isin(list(today)), "instructions"]))
    for row, (name, value) in enumerate(today.items()):
        for kind, (colour, marker) in zip(kinds, zip(PALETTE, MARKERS)):
            found = runs.loc[(runs["name"] == name) & (runs["instructions"] == kind), "value"]
            height = row + (kinds.index(kind) + 1) / (len(kinds) + 1) - 0.5  # a lane per kind: dots do not hide others
            axis.plot(100 * found, np.full(len(found), height), marker, color=colour, alpha=0.8,
                      label=None if row else kind)
        axis.plot([100 * value] * 2, [row - 0.45, row + 0.45], "--", color="black", label=None if row else "this run")
    axis.set_yticks(range(len(today)), [_short(name) for name in today])
    axis.set(xlabel="percent", ylim=(len(today) - 0.5, -0.5))
    axis.grid(axis="x", alpha=0.3)
    figure.legend(*axis.get_legend_handles_labels(), loc="outside right center")
    return figure


def routes_chart(table):
    """The open routes' accuracy on the test photographs with its interval, and their megabytes.

    table: rows of routes.read_routes with status open.
    """
    figure, axes = _figure(9, 1.2 + 0.42 * len(table), 1, 2, sharey=True)
    left, right = axes.flat
    rows = np.arange(len(table))
    spread = np.clip([table["accuracy"] - table["low"], table["high"] - table["accuracy"]], 0, None)
    left.errorbar(table["accuracy"], rows, xerr=spread, fmt=MARKERS[0], color=PALETTE[0], capsize=4)
    left.set_yticks(rows, table["route"])
    left.invert_yaxis()
    left.set(xlabel="top-1 accuracy with 95 % interval")
    left.locator_params(axis="x", nbins=5)  # more would touch each other
    right.barh(rows, table["megabytes"], color=PALETTE[1])
    for row, megabytes in zip(rows, table["megabytes"]):
        right.text(megabytes, row, f" {megabytes:.1f}", va="center", fontsize=8)
    right.set(xlabel="megabytes", xlim=(0, 1.2 * table["megabytes"].max()), axisbelow=True)
    for axis in (left, right):
        axis.grid(axis="x", alpha=0.3)
    return figure
