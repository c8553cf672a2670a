"""The pictures: what the axes say, and where the numbers are."""

import matplotlib
import numpy as np
import pytest

from spectral_keras import plots
from spectral_keras.analysis import radial_energies

matplotlib.use("agg")
from matplotlib import pyplot  # noqa: E402

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def closed():
    yield
    pyplot.close("all")


def shown(axis):
    """(image, what is at the point (horizontal, vertical) of the axes)."""
    (picture,) = axis.images
    values = np.asarray(picture.get_array())
    left, right, bottom, top = picture.get_extent()

    def at(horizontal, vertical):
        column = int((horizontal - left) / (right - left) * values.shape[1])
        row = int((vertical - top) / (bottom - top) * values.shape[0])
        return values[row, column]

    return picture, at


@pytest.mark.parametrize("size", [(8, 8), (7, 10), (1, 3)])
def test_a_frequency_stands_at_its_cycles(size):
    values = RNG.random(size)
    axis = plots.plot_spectrum(values)
    _, at = shown(axis)
    for i, vertical in enumerate(np.fft.fftfreq(size[0], 1 / size[0])):
        for j, horizontal in enumerate(np.fft.fftfreq(size[1], 1 / size[1])):
            assert at(horizontal, vertical) == values[i, j]
    assert axis.get_xlabel() == "horizontal, cycles/image"


def test_on_a_given_axis_without_ticks_and_with_a_bar():
    figure, axes = pyplot.subplots(1, 2)
    assert plots.plot_mask(np.ones((4, 4)), axes[0], ticks=False) is axes[0]
    assert not len(axes[0].get_xticks()) and not axes[0].get_xlabel()
    assert not axes[1].images and len(figure.axes) == 2
    assert shown(axes[0])[0].get_clim() == (0, 1)
    plots.plot_mask(np.ones((4, 4)), axes[1], colorbar="kept", cmap="Greys")
    assert figure.axes[-1].get_ylabel() == "kept" and axes[1].images[0].get_cmap().name == "Greys"


def test_heat_maps_in_percent_and_responses_of_several_maps():
    heat = RNG.random((6, 6))
    picture, at = shown(plots.plot_heat_map(heat))
    assert at(0, 0) == pytest.approx(100 * heat[0, 0]) and picture.get_clim() == (0, 100)
    response = RNG.normal(size=(3, 2, 6, 5))
    _, at = shown(plots.plot_response(response))
    assert at(-1, 2) == pytest.approx(np.sqrt(np.mean(response[:, :, 2, -1] ** 2)))
    _, at = shown(plots.plot_response(response[0, 0]))
    assert at(-1, 2) == response[0, 0, 2, -1]


def test_energies():
    energies, ones = (radial_energies(mask, 8) for mask in (np.eye(16), np.ones((16, 16))))
    axis = plots.plot_energies(energies, reference=ones, labels=("M", "1"))
    steps, line = axis.patches
    np.testing.assert_array_equal(steps.get_data().values, energies)
    np.testing.assert_array_equal(line.get_data().values, ones)
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["M", "1"]
    assert axis.get_ylim()[1] > max(*energies, *ones) and axis.get_xlim() == (0, 8)
    axis = plots.plot_energies(energies, edges=np.linspace(0, 4, 9))
    assert axis.get_xlim() == (0, 4) and len(axis.patches) == 1


def test_what_pooling_keeps():
    image = RNG.random((16, 12, 3))
    axis = plots.plot_pooling(image, [(8, 6), 4])
    boxes = [patch.get_bbox().extents.tolist() for patch in axis.patches]
    assert boxes == [[-3, -4, 3, 4], [-2, -2, 2, 2]]
    spectrum = plots.log_spectrum(image)
    _, at = shown(axis)
    assert at(0, 0) == spectrum[0, 0] == 1 and at(-6, 7) == spectrum[7, 6]
    _, at = shown(plots.plot_pooling(spectrum, 8, dim=True))
    assert at(4, -4) == spectrum[-4, 4]
    assert at(5, -4) == pytest.approx(0.4 * spectrum[-4, 5])


def test_power():
    n, f = 32, 5
    wave = np.cos(2 * np.pi * f * np.arange(n) / n)[None, :, None, None] * np.ones((1, 1, n, 1))
    images = 0.5 + np.concatenate([wave, 2 * wave, 3 * wave]) / 10
    axis = plots.plot_power(images, label="waves")
    (line,) = axis.lines
    radii, power = line.get_data()
    np.testing.assert_array_equal(radii, np.arange(1, 17))
    assert np.argmax(power) == f - 1
    # |F|^2 = (n^2 a / 2)^2 at two frequencies, over the ring's and divided by n^2.
    ring = np.rint(np.hypot(*np.meshgrid(*[np.fft.fftfreq(n, 1 / n)] * 2))) == f
    mean = np.mean([a**2 for a in (0.1, 0.2, 0.3)])
    assert power[f - 1] == pytest.approx(2 * (n**2 / 2) ** 2 * mean / n**2 / ring.sum())
    assert (axis.get_xscale(), axis.get_yscale()) == ("log", "log")
    assert axis is plots.plot_power(images, axis, color="black") and len(axis.lines) == 2


@pytest.mark.parametrize(
    ("function", "value"),
    [
        (plots.plot_spectrum, np.ones(3)),
        (plots.plot_mask, np.ones((2, 3, 3))),
        (plots.plot_power, np.ones((3, 3))),
        (plots.plot_power, np.ones((0, 3, 3, 1))),
        (plots.plot_power, np.ones((2, 1, 1, 3))),
        (plots.plot_spectrum, np.ones((2, 2), complex)),
        (plots.plot_mask, np.ones((0, 3))),
        (plots.plot_response, np.ones((0, 3, 3))),
        (plots.plot_response, np.ones(3)),
        (plots.log_spectrum, np.ones((0, 3, 1))),
        (plots.log_spectrum, np.ones((2, 3, 3, 1))),
        (plots.plot_energies, np.ones((2, 3))),
        (plots.plot_energies, []),
        (lambda value: plots.plot_energies(np.ones(2), reference=value), np.ones(3)),
        (lambda value: plots.plot_energies(np.ones(2), edges=value), np.ones(2)),
    ],
)
def test_errors_show_what_was_received(function, value):
    with pytest.raises(ValueError, match=r"^`\w+` .*must be .*\. Received: ") as caught:
        function(value)
    assert not pyplot.get_fignums() and "\n" not in str(caught.value)


def test_errors_name_the_functions_own_argument():
    for function, name in ((plots.plot_mask, "mask"), (plots.plot_heat_map, "heat")):
        with pytest.raises(ValueError, match=rf"^`{name}` must be real numbers of shape \[H, W\]"):
            function(np.ones((1, 4, 4)))


def test_arrays_of_zeros_warn_nothing():
    """A mask that lets nothing through, images of one colour, a layer that answers to nothing."""
    zeros = np.zeros((3, 8, 8))
    axes = [
        plots.plot_energies(radial_energies(zeros[0], 4)),
        plots.plot_power(np.full((2, 8, 8, 3), 0.5)),
        plots.plot_response(zeros),
        plots.plot_heat_map(zeros[0]),
        plots.plot_pooling(np.full((8, 8, 3), 0.5), 4, dim=True),
    ]
    for axis in axes:
        axis.figure.canvas.draw()
    assert axes[0].get_ylim() == (0, 1)


def test_energies_that_are_not_finite_are_left_out():
    axis = plots.plot_energies([1.0, np.nan, np.inf], reference=[2.0, 1.0, 0.0])
    assert axis.get_ylim() == (0, 2.7)
