"""Windows on the frequencies that spectral pooling keeps."""

import numbers
from typing import Any

import keras
import numpy as np
from keras import ops

from spectral_keras.ops.validation import check_number, describe

__all__ = ["Ramp", "deserialize", "get", "hamming", "serialize"]


def __dir__():
    return __all__


def _module(x):
    """Frequencies are an array, or a tensor for images of unknown size."""
    return np if isinstance(x, np.ndarray) else ops


def hamming(frequency: Any, size_in: Any, size_out: Any) -> Any:
    """sqrt(0.54 + 0.46 cos(2 pi k / n)) for the frequencies k of n samples.

    The root of the Hamming window over the whole spectrum of the input, which the cropped spectrum
    is multiplied with against ringing (Grabinski et al. 2023, arXiv 2307.09804, "ASAP").  It is
    even in k: the published code takes the symmetric Hamming window of n points, whose peak lies
    half a bin beside the constant for an even n, and the result is then no longer real.

    Args:
        frequency: array or tensor of frequencies k >= 0.
        size_in, size_out: sizes of the axis before and after the pooling.

    Returns:
        The window at each frequency.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.windows import hamming
    >>> hamming(np.arange(5.0), 16, 8).round(3).tolist()
    [1.0, 0.982, 0.93, 0.846, 0.735]
    """
    module = _module(frequency)
    return module.sqrt(0.54 + 0.46 * module.cos(2 * np.pi / size_in * frequency))


@keras.saving.register_keras_serializable(package="spectral_keras")
class Ramp:
    """W(k) = clip((R + c - |k|) / R, 0, 1): 1 up to frequency c, then a line to 0 at c + R.

    The window of DiffStride (Riad et al. 2022, arXiv 2202.01653).

    Args:
        bins: R > 0, the length of the ramp.
        passband: c, a number of at least 0; None for c = (n + 1)/2 - R for an output of n, which
            ends the ramp half a bin beyond the last frequency that the pooling keeps where n is
            even, a whole one where it is odd.

    Raises:
        ValueError: an argument is out of its range.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.windows import Ramp
    >>> Ramp(2.0)(np.arange(4.0), 14, 7).tolist()
    [1.0, 1.0, 1.0, 0.5]
    """

    def __init__(self, bins: float, passband: float | None = None) -> None:
        self.bins = check_number("bins", bins, low=0, low_open=True)
        self.passband = None if passband is None else check_number("passband", passband, low=0)

    def __call__(self, frequency: Any, size_in: Any, size_out: Any) -> Any:
        passband = (size_out + 1) / 2 - self.bins if self.passband is None else self.passband
        return _module(frequency).clip((self.bins + passband - frequency) / self.bins, 0, 1)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"bins": self.bins, "passband": self.passband}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Ramp":
        """The window of these arguments."""
        return cls(**config)


def get(window: Any) -> tuple[Any, Any]:
    """The windows (along the height, along the width) that the argument `window` of a layer means.

    Args:
        window: None, "hamming", a number R for `Ramp(R)`, a callable (frequency, size_in,
            size_out), or a pair of these.

    Returns:
        Pair of callables or None.

    Raises:
        ValueError: anything else.

    Example:

    >>> from spectral_keras.windows import get
    >>> height, width = get(("hamming", None))
    >>> height.__name__, width
    ('hamming', None)
    """
    if isinstance(window, (list, tuple)) and len(window) == 2:
        return _get(window[0], window), _get(window[1], window)
    one = _get(window, window)
    return one, one


def _get(window, given):
    if window is None or callable(window):
        return window
    if isinstance(window, str) and window == "hamming":
        return hamming
    number = isinstance(window, numbers.Real) and not isinstance(window, bool)
    if number and 0 < window < np.inf:
        return Ramp(window)
    raise ValueError(
        "`window` must be None, 'hamming', a positive number of bins, a function of (frequency, "
        f"size_in, size_out), or a pair of these. Received: window={describe(given)}"
    )


def serialize(window: Any) -> Any:
    """The argument `window` of a layer as plain JSON.

    Example:

    >>> from spectral_keras.windows import serialize
    >>> serialize("hamming"), serialize((0.5, None))
    ('hamming', [0.5, None])
    """
    if isinstance(window, (list, tuple)):
        return [serialize(one) for one in window]
    if isinstance(window, np.generic):
        return window.item()
    return keras.saving.serialize_keras_object(window) if callable(window) else window


def deserialize(window: Any) -> Any:
    """The argument `window` that `serialize` made plain.

    Example:

    >>> from spectral_keras.windows import Ramp, deserialize, serialize
    >>> type(deserialize(serialize(Ramp(0.5)))).__name__
    'Ramp'
    """
    if isinstance(window, (list, tuple)):
        return [deserialize(one) for one in window]
    return keras.saving.deserialize_keras_object(window) if isinstance(window, dict) else window
