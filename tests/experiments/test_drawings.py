"""curves.png and corruptions.png: what they show, and that nothing covers anything else."""

import itertools

import matplotlib
import numpy as np
import pytest

from spectral_keras.corruptions import BENCHMARK, EXTRA
from spectral_keras.experiments.evaluate import plot
from spectral_keras.experiments.train import curves

matplotlib.use("agg")
from matplotlib import pyplot  # noqa: E402

NAMES = ("loss", "accuracy")
ALL = [*BENCHMARK, *EXTRA]


@pytest.fixture
def drawing(monkeypatch):
    """Calls a function that writes a picture; returns the figure as it is in the file."""
    figures = []

    def keep(_, figure, dpi=110):
        figure.set_dpi(dpi)
        figure.canvas.draw()
        figures.append(figure)

    for module in (curves, plot):
        monkeypatch.setattr(module, "write_picture", keep)

    def call(function, *arguments):
        function("x.png", *arguments)
        return figures.pop()

    yield call
    pyplot.close("all")


@pytest.mark.parametrize("epochs", [1, 2, 3, 7, 30])
@pytest.mark.parametrize("validation", [False, True])
def test_curves_are_the_history_against_whole_epochs(drawing, epochs, validation):
    rng = np.random.default_rng(0)
    names = [f"{part}{name}" for part in ("", "val_")[: 1 + validation] for name in NAMES]
    rows = [{"epoch": n + 1} | {name: float(rng.random()) for name in names} for n in range(epochs)]
    figure = drawing(curves.draw_curves, rows, "title", epochs)
    for axis, name in zip(figure.axes, NAMES, strict=True):
        assert (axis.get_xlabel(), axis.get_ylabel()) == ("epoch", name)
        *lines, best = axis.lines
        assert best.get_xdata() == [epochs] * 2 and len(lines) == 1 + validation
        for line, part in zip(lines, ("", "val_"), strict=False):
            np.testing.assert_array_equal(line.get_xdata(), np.arange(1, epochs + 1))
            np.testing.assert_array_equal(line.get_ydata(), [row[part + name] for row in rows])
            # One point is no line, two are a short one.
            assert (line.get_marker() == "o") == (epochs < 3)
        low, high = axis.get_xlim()
        ticks = [
            label for label in axis.get_xticklabels() if low <= label.get_position()[0] <= high
        ]
        assert len(ticks) >= min(epochs, 4)
        for label in ticks:
            assert label.get_text() == str(int(label.get_position()[0]))
        assert_apart([label.get_window_extent() for label in ticks], figure)


@pytest.mark.parametrize("count", [1, 4, len(ALL)])
@pytest.mark.parametrize("kind", ["equal", "any"])
@pytest.mark.parametrize("severities", [[1, 2, 3, 4, 5], [3]])
def test_no_mark_or_word_of_corruptions_covers_another(drawing, count, kind, severities):
    rng = np.random.default_rng(count)
    names = list(ALL[:count])
    table = {
        name: [
            {"severity": n, "accuracy": 0.5 if kind == "equal" else float(rng.random())}
            for n in severities
        ]
        for name in names
    }
    content = {
        "corruptions": table, "clean": {"accuracy": 0.9}, "mean_accuracy": 0.5, "images": 10_000,
    }  # fmt: skip
    title = "a_network_of_a_long_name_and_a_data_set_too, " * (3 if kind == "any" else 1)
    figure = drawing(plot.draw_corruptions, content, title, "made by this library, seed 0 " * 4)
    (axis,) = figure.axes
    points = figure.dpi / 72
    marks = [line for line in axis.lines if line.get_marker() == "o"]
    assert len(marks) == count * len(severities)
    centres = np.concatenate([axis.transData.transform(mark.get_xydata()) for mark in marks])
    radii = [(mark.get_markersize() + mark.get_markeredgewidth()) / 2 * points for mark in marks]
    for i, j in itertools.combinations(range(len(marks)), 2):
        assert np.hypot(*(centres[i] - centres[j])) >= radii[i] + radii[j]
    # A row is its corruption's: the dots stay inside of it, where its name is.
    rows = sorted(names, key=lambda name: sum(point["accuracy"] for point in table[name]))
    labels = axis.get_yticklabels()
    assert [label.get_text() for label in labels] == [name.replace("_", " ") for name in rows]
    for name, place in zip(rows, range(count), strict=True):
        own = marks[place * len(severities) : (place + 1) * len(severities)]
        assert [m.get_xdata()[0] for m in own] == [100 * p["accuracy"] for p in table[name]]
        assert all(abs(mark.get_ydata()[0] - place) < 0.5 for mark in own)
    words = [*labels, *axis.get_xticklabels(), axis.xaxis.label, axis.title, figure._suptitle]
    boxes = [word.get_window_extent() for word in words]
    assert_apart([*boxes, axis.get_legend().get_window_extent(), axis.bbox], figure)


def assert_apart(boxes, figure):
    """No two boxes have a point in common, and all are inside of the picture."""
    for box in boxes:
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1
    for one, other in itertools.combinations(boxes, 2):
        assert one.x1 <= other.x0 or other.x1 <= one.x0 or one.y1 <= other.y0 or other.y1 <= one.y0
