"""Pictures of masks, spectra and responses, on a Matplotlib axis.

Each function takes arrays, as `spectral_keras.analysis` returns them, and an axis `ax`, None for a
new one of `matplotlib.pyplot`.  It returns the axis.  Spectra come in unshifted order, DC at
[0, 0], and are shown with DC in the centre, on axes of cycles per image.  Matplotlib is imported
by the first plot.

Example:

>>> import matplotlib
>>> matplotlib.use("agg")
>>> import numpy as np
>>> from matplotlib import pyplot
>>> from spectral_keras import plots
>>> images = np.random.default_rng(0).random((8, 32, 32, 3))
>>> figure, axes = pyplot.subplots(1, 3, layout="constrained")
>>> axis = plots.plot_mask(np.eye(32), axes[0])
>>> axis = plots.plot_pooling(images[0], 16, axes[1])
>>> axis = plots.plot_power(images, axes[2], label="noise")
>>> axis.get_ylabel()
'power'
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from spectral_keras.ops.validation import check_size_pair, describe

__all__ = [
    "log_spectrum",
    "plain",
    "plot_energies",
    "plot_heat_map",
    "plot_mask",
    "plot_pooling",
    "plot_power",
    "plot_response",
    "plot_spectrum",
]


def __dir__():
    return __all__


# Okabe and Ito's palette, which colour-blind readers can distinguish.
_BLUE, _ORANGE, _AMBER = "#0072B2", "#D55E00", "#E69F00"


def plot_spectrum(
    values: ArrayLike,
    ax: Any = None,
    *,
    ticks: bool = True,
    colorbar: str | None = None,
    **options: Any,
) -> Any:
    """Numbers of all frequencies as an image.

    Args:
        values: [H, W] in unshifted order.
        ax: the axis.
        ticks: whether the axis has ticks and labels.
        colorbar: label of a colour bar, None for no bar.
        **options: of `imshow`.

    Raises:
        ValueError: for an array of another rank, of complex numbers, or without any.
    """
    values = _real("values", values, "[H, W]", 2)
    ax = _axis(ax)
    height, width = values.shape
    top, left = -(height // 2) - 0.5, -(width // 2) - 0.5
    picture = ax.imshow(
        np.fft.fftshift(values),
        extent=(left, left + width, top + height, top),
        interpolation="nearest",
        **options,
    )
    if ticks:
        ax.set(xlabel="horizontal, cycles/image", ylabel="vertical, cycles/image")
    else:
        ax.set(xticks=[], yticks=[])
    if colorbar is not None:
        ax.figure.colorbar(picture, ax=ax, label=colorbar)
    return ax


def plot_mask(mask: ArrayLike, ax: Any = None, **options: Any) -> Any:
    """A Fourier mask, black where it stops a frequency and white where it lets it through.

    Args:
        mask: [H, W] in unshifted order, in [0, 1].
        ax: the axis.
        **options: of `plot_spectrum`.
    """
    mask = _real("mask", mask, "[H, W]", 2)
    return plot_spectrum(mask, ax, **{"cmap": "gray", "vmin": 0, "vmax": 1, **options})


def plot_heat_map(heat: ArrayLike, ax: Any = None, **options: Any) -> Any:
    """A Fourier heat map in percent.

    Args:
        heat: [H, W] shares of errors, as `fourier_heat_map` gives them.
        ax: the axis.
        **options: of `plot_spectrum`.
    """
    style = {"cmap": "viridis", "vmin": 0, "vmax": 100, "colorbar": "error, %", **options}
    return plot_spectrum(100 * _real("heat", heat, "[H, W]", 2), ax, **style)


def plot_response(response: ArrayLike, ax: Any = None, **options: Any) -> Any:
    """How strongly a layer answers to each frequency.

    Args:
        response: [..., H, W] as `frequency_response` or `response_histogram` gives it; of several
            maps the root of their mean square is shown.
        ax: the axis.
        **options: of `plot_spectrum`.
    """
    response = np.asarray(response)
    response = _real("response", response, "[..., H, W]", max(response.ndim, 2)).astype(np.float64)
    if response.ndim > 2:
        maps = response.reshape(-1, *response.shape[-2:])
        response = np.sqrt(np.mean(np.square(maps), axis=0))
    return plot_spectrum(response, ax, **{"cmap": "magma", "colorbar": "response", **options})


def plot_energies(
    energies: ArrayLike,
    ax: Any = None,
    *,
    edges: ArrayLike | None = None,
    reference: ArrayLike | None = None,
    labels: Sequence[str] = ("mask", "reference"),
) -> Any:
    """Energies of bands as steps, with those of a reference as a line.

    Args:
        energies: [bands], as `radial_energies` or `angular_energies` of a mask give them.
        ax: the axis.
        edges: [bands + 1], where the bands begin and end; None for 0, 1, 2, ...
        reference: [bands] of another mask, such as that of ones.
        labels: of both, for the legend.

    Raises:
        ValueError: for arrays of another rank or length.
    """
    energies = _real("energies", energies, "[bands]", 1)
    edges = np.arange(len(energies) + 1) if edges is None else _real("edges", edges, "[bands]", 1)
    heights = [energies]
    if reference is not None:
        heights.append(_real("reference", reference, "[bands]", 1))
    if any(len(edges) != len(each) + 1 for each in heights):
        raise ValueError(
            "`energies` and `reference` must be of as many bands, and `edges` one more. Received: "
            f"{[len(each) for each in heights]} bands and {len(edges)} edges"
        )
    ax = _axis(ax)
    ax.stairs(energies, edges, fill=True, color=_BLUE, alpha=0.75, label=labels[0])
    if reference is not None:
        ax.stairs(heights[1], edges, color=_ORANGE, linewidth=2.5, label=labels[1])
    highest = max(np.max(each, initial=0, where=np.isfinite(each)) for each in heights)
    # A mask that lets nothing through leaves zero in all bands.
    ax.set(xlim=(edges[0], edges[-1]), ylim=(0, 1.35 * highest or 1), ylabel="energy")
    ax.legend(loc="upper right", ncols=2, fontsize="small", columnspacing=1)
    plain(ax)
    return ax


def plot_pooling(
    image: ArrayLike, sizes: Any, ax: Any = None, *, dim: bool = False, ticks: bool = True
) -> Any:
    """The spectrum of an image, and a frame around what spectral pooling keeps of it.

    Args:
        image: [H, W, channels], or a `log_spectrum` [H, W].
        sizes: height and width after pooling, a number or a pair; or a list of several.
        ax: the axis.
        dim: whether what the first size leaves out is darkened.
        ticks: whether the axis has ticks and labels.

    Raises:
        ValueError: for an array of another rank, or sizes that are none.
    """
    image = np.asarray(image)
    spectrum = image if image.ndim == 2 else log_spectrum(image)
    pairs = [check_size_pair("sizes", s) for s in (sizes if isinstance(sizes, list) else [sizes])]
    if dim:
        inside = [
            np.abs(np.fft.fftfreq(n, 1 / n)) <= m / 2
            for n, m in zip(spectrum.shape, pairs[0], strict=True)
        ]
        spectrum = np.where(inside[0][:, None] & inside[1], spectrum, 0.4 * spectrum)
    ax = plot_mask(spectrum, ax, ticks=ticks)
    from matplotlib.patches import Rectangle

    for height, width in pairs:
        # Centred on frequency 0: of an even side, half of both Nyquist lines is inside.
        corner = (-width / 2, -height / 2)
        frame = Rectangle(corner, width, height, fill=False, edgecolor=_AMBER, linewidth=1.5)
        ax.add_patch(frame)
    return ax


def log_spectrum(image: ArrayLike) -> np.ndarray:
    """Log magnitude of the spectrum, mean over the channels, scaled to [0, 1].

    Args:
        image: [H, W, channels].

    Returns:
        [H, W] in unshifted order.

    Raises:
        ValueError: for an array of another rank, of complex numbers, or without any.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.plots import log_spectrum
    >>> values = log_spectrum(np.random.default_rng(0).random((8, 6, 3)))
    >>> values.shape, float(values[0, 0])
    ((8, 6), 1.0)
    """
    image = _real("image", image, "[H, W, channels]", 3)
    values = np.log(np.abs(np.fft.fft2(image, axes=(0, 1))) + 1e-3).mean(-1)
    # The few smallest values would take up most of the grey levels.
    low, high = np.percentile(values, 1), values.max()
    return np.clip((values - low) / max(high - low, 1e-6), 0, 1)


def plot_power(
    images: ArrayLike, ax: Any = None, *, label: str | None = None, color: str = _BLUE
) -> Any:
    """The power of a batch against the length of the frequency, with logarithmic axes.

    The line is the mean over rings of width 1 around whole numbers of cycles, channels and images;
    the band holds the middle 80 % of the images.  Several batches may share an axis.

    Args:
        images: [N, H, W, channels].
        ax: the axis.
        label: of the batch, for the legend.
        color: of the line.

    Raises:
        ValueError: for an array of another rank, no images, or images of one pixel, which have no
            frequency but 0.
    """
    images = _real("images", images, "[N, H, W, channels]", 4).astype(np.float64)
    height, width = images.shape[1:3]
    if height * width == 1:
        raise ValueError(f"`images` must be of more than one pixel. Received: shape {images.shape}")
    power = np.mean(np.abs(np.fft.fft2(images, axes=(1, 2))) ** 2, axis=-1) / (height * width)
    radius = np.hypot(np.fft.fftfreq(height, 1 / height)[:, None], np.fft.fftfreq(width, 1 / width))
    ring = np.rint(radius).astype(int)
    radii = np.arange(1, max(min(height, width) // 2, 1) + 1)
    rings = np.stack([power[:, ring == r].mean(axis=1) for r in radii])
    ax = _axis(ax)
    ax.plot(radii, rings.mean(axis=1), color=color, label=label)
    low, high = np.percentile(rings, (10, 90), axis=1)
    ax.fill_between(radii, low, high, color=color, alpha=0.2, linewidth=0)
    # A logarithm of 0 is nowhere: images without any structure leave the axis as it is.
    scale = "log" if rings.max() > 0 else ax.get_yscale()
    ax.set(xscale="log", yscale=scale, xlabel="frequency, cycles/image", ylabel="power")
    if label is not None:
        ax.legend()
    plain(ax)
    return ax


def _real(name: str, values: ArrayLike, shape: str, rank: int) -> np.ndarray:
    """`values` as an array of real numbers, one at least."""
    values = np.asarray(values)
    if values.ndim != rank or not values.size or values.dtype.kind not in "biuf":
        raise ValueError(
            f"`{name}` must be real numbers of shape {shape}. Received: {name}={describe(values)}"
        )
    return values


def _axis(ax):
    if ax is not None:
        return ax
    from matplotlib import pyplot

    return pyplot.subplots(layout="constrained")[1]


def plain(ax: Any) -> None:
    """A horizontal grid behind the data, and no frame above and on the right."""
    ax.grid(alpha=0.3, axis="y")
    ax.set_axisbelow(True)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
