"""Initializers: the DFT of a spatial sample as (real, imag), and kernels that copy inputs."""

from collections.abc import Sequence
from typing import Any, Self

import keras
import numpy as np
from keras import ops

from spectral_keras.ops.kernel_dft import kernel_spectrum
from spectral_keras.ops.validation import check_choice

__all__ = ["DFTInitializer", "DiracInitializer", "spectral_sample"]


def __dir__():
    return __all__


def spectral_sample(
    initializer: Any, shape: Sequence[int], dtype: str | None = None
) -> tuple[Any, Any]:
    """The unitary DFT, over the two kernel axes, of one sample of a spatial initializer.

    A layer that starts from these parameters starts exactly where a `Conv2D` with the same
    initializer and seed starts: Re F^-1(real + i imag) is the sample.

    Args:
        initializer: name, config or instance of a Keras initializer.
        shape: kernel shape (height, width, in, out).
        dtype: dtype of the result, None for `keras.config.floatx()`.  The transform of float16
            and bfloat16 samples runs in float32.

    Returns:
        (real, imag): two tensors of the given shape.

    Example:

    >>> import keras, numpy as np
    >>> from spectral_keras.initializers import spectral_sample
    >>> initializer = keras.initializers.HeNormal(seed=1)
    >>> real, imag = spectral_sample(initializer, (3, 3, 2, 4))
    >>> spectrum = np.fft.fft2(initializer((3, 3, 2, 4)), axes=(0, 1), norm="ortho")
    >>> bool(np.allclose(np.asarray(real) + 1j * np.asarray(imag), spectrum, atol=1e-6))
    True
    """
    shape = tuple(shape)
    if len(shape) != 4:
        raise ValueError(
            f"`shape` must be (height, width, in, out) of a kernel. Received: shape={shape}"
        )
    dtype = keras.backend.standardize_dtype(dtype or keras.config.floatx())
    sample = keras.initializers.get(initializer)(shape, dtype=dtype)
    if dtype in ("float16", "bfloat16"):
        sample = ops.cast(sample, "float32")
    real, imag = kernel_spectrum(sample)
    return ops.cast(real, dtype), ops.cast(imag, dtype)


def _with_fixed_seed(initializer):
    """The same initializer, whose copies draw the same sample.

    Keras gives an unseeded initializer a seed when it is made: one object draws one sample, but
    its clones and what its config makes draw others, and `add_weight` clones.
    """
    initializer = keras.initializers.get(initializer)
    seed = getattr(initializer, "seed", None)
    if isinstance(seed, keras.random.SeedGenerator):
        raise ValueError(
            "`initializer` must draw the same sample for the real and the imaginary part: seed it "
            "with an integer, or draw both at once with `spectral_sample`. "
            f"Received: initializer={initializer} with a SeedGenerator"
        )
    if not isinstance(initializer, keras.initializers.Initializer) or seed is None:
        return initializer
    config = initializer.get_config()
    if config.get("seed", 0) is None:
        initializer = type(initializer).from_config({**config, "seed": int(seed)})
    return initializer


@keras.saving.register_keras_serializable(package="spectral_keras")
class DFTInitializer(keras.initializers.Initializer):
    """One part of the unitary DFT of a spatial initializer's sample.

    Two instances, for `part` "real" and "imag", belong together if they have the same seeded
    `initializer`; `DFTInitializer.pair` makes them also from an unseeded one.  The seed that Keras
    gave an unseeded initializer is kept in the config: every copy draws the same sample, unlike
    a copy of the spatial initializer itself.

    Args:
        initializer: name, config or instance of a Keras initializer with an integer seed, without
            a seed, or without randomness.
        part: "real" or "imag".

    Raises:
        ValueError: for an unknown part, or an initializer with a `SeedGenerator`, which gives
            another sample for each part.

    Example:

    >>> from spectral_keras.initializers import DFTInitializer
    >>> real, imag = DFTInitializer.pair("glorot_uniform")
    >>> tuple(real((3, 3, 16, 32)).shape), tuple(imag((3, 3, 16, 32)).shape)
    ((3, 3, 16, 32), (3, 3, 16, 32))
    """

    def __init__(self, initializer: Any = "glorot_uniform", part: str = "real") -> None:
        self.part = check_choice("part", part, ("real", "imag"))
        self.initializer = _with_fixed_seed(initializer)

    @classmethod
    def pair(cls, initializer: Any = "glorot_uniform") -> tuple[Self, Self]:
        """The initializers (real, imag) of one spatial sample."""
        initializer = _with_fixed_seed(initializer)
        return cls(initializer, "real"), cls(initializer, "imag")

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> Any:
        real, imag = spectral_sample(self.initializer, shape, dtype=dtype)
        return real if self.part == "real" else imag

    def get_config(self) -> dict[str, Any]:
        return {
            "initializer": keras.initializers.serialize(self.initializer),
            "part": self.part,
        }


@keras.saving.register_keras_serializable(package="spectral_keras")
class DiracInitializer(keras.initializers.Initializer):
    """Kernels of a convolution that copy its inputs, one filter for each, and random ones beyond.

    Filter i < min(in, out) is 1 at the centre of input i and 0 elsewhere; the others are those of
    `rest`.  With padding "same" a convolution starts as the identity of its inputs beside random
    features of them (Zagoruyko and Komodakis 2017, "DiracNets", arXiv 1706.00388; its use beside
    random filters is from arXiv 2404.00498).

    Args:
        rest: name, config or instance of the Keras initializer of the other filters; copies of this
            object draw the same sample.

    Raises:
        ValueError: for a `rest` with a `SeedGenerator`; when called, for a shape that is no
            kernel's or has an even side, which has no centre.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.initializers import DiracInitializer
    >>> kernel = np.asarray(DiracInitializer()((3, 3, 2, 4)))
    >>> kernel[1, 1, :, :2].tolist(), float(np.abs(kernel[..., :2]).sum())
    ([[1.0, 0.0], [0.0, 1.0]], 2.0)
    """

    def __init__(self, rest: Any = "glorot_uniform") -> None:
        self.rest = _with_fixed_seed(rest)

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> Any:
        shape = tuple(shape)
        if len(shape) != 4 or not shape[0] % 2 or not shape[1] % 2:
            raise ValueError(
                "`shape` must be (height, width, in, out) of a kernel with odd sides. "
                f"Received: shape={shape}"
            )
        copies = min(shape[2:])
        centre = np.zeros((*shape[:3], copies))
        centre[shape[0] // 2, shape[1] // 2, range(copies), range(copies)] = 1
        sample = self.rest(shape, dtype=dtype)
        return ops.concatenate([ops.cast(centre, sample.dtype), sample[..., copies:]], axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {"rest": keras.initializers.serialize(self.rest)}
