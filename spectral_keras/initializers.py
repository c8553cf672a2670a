"""Kernels that copy inputs."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

__all__ = ["DiracInitializer"]


def __dir__():
    return __all__


def _with_fixed_seed(initializer):
    """The same initializer, whose copies draw the same sample.

    Keras gives an unseeded initializer a seed when it is made: one object draws one sample, but
    its clones and what its config makes draw others, and `add_weight` clones.
    """
    initializer = keras.initializers.get(initializer)
    seed = getattr(initializer, "seed", None)
    if isinstance(seed, keras.random.SeedGenerator):
        raise ValueError(
            "`rest` must draw the same sample for each copy: seed it with an integer. "
            f"Received: rest={initializer} with a SeedGenerator"
        )
    if not isinstance(initializer, keras.initializers.Initializer) or seed is None:
        return initializer
    config = initializer.get_config()
    if config.get("seed", 0) is None:
        initializer = type(initializer).from_config({**config, "seed": int(seed)})
    return initializer


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
