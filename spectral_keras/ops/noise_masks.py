"""Binary masks from low-passed noise, of an exact share of ones (FMix, arXiv 2002.12047)."""

from typing import Any

import numpy as np
from keras import ops

from spectral_keras.ops.fft import irfft2_last, to_complex

__all__ = ["low_frequency_noise", "top_share"]


def low_frequency_noise(real: Any, imaginary: Any, width: int, decay: float) -> Any:
    """Re F^-1(z / max(f, 1 / longer side)^decay) for complex normal numbers z.

    f is the length of a frequency in periods a pixel.

    Args:
        real, imaginary: of z, float tensors of shape (batch, height, width//2 + 1).
        width: of the images.
        decay: power with which amplitudes fall.

    Returns:
        Tensor of shape (batch, height, width); its scale has no meaning.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.ops.noise_masks import low_frequency_noise
    >>> z = np.random.default_rng(0).standard_normal((2, 1, 7, 4)).astype("float32")
    >>> tuple(low_frequency_noise(*z, width=6, decay=3.0).shape)
    (1, 7, 6)
    """
    real, imaginary = ops.convert_to_tensor(real), ops.convert_to_tensor(imaginary)
    height = real.shape[-2]
    f = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    # Relative to the largest, so that no power of a frequency leaves float32.
    scale = np.maximum(f * max(height, width), 1.0) ** -decay
    scale = ops.cast(ops.convert_to_tensor(scale), real.dtype)
    return irfft2_last(to_complex(scale * real, scale * imaginary), width)


def top_share(values: Any, share: Any) -> tuple[Any, Any]:
    """(masks, shares): 1 at the largest values of each image, as many as `share` says.

    Args:
        values: float tensor of shape (batch, height, width).
        share: share of ones in [0, 1], float tensor of shape (batch,).

    Returns:
        Boolean tensor of the shape of the values, and the share of ones in each image, which is
        `share` rounded to whole pixels.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.ops.noise_masks import top_share
    >>> mask, share = top_share(np.array([[[1.0, 3.0], [2.0, 0.0]]]), np.array([0.5], "float32"))
    >>> np.array(mask).astype(int).tolist(), float(share[0])
    ([[[0, 1], [1, 0]]], 0.5)
    """
    values = ops.convert_to_tensor(values)
    height, width = values.shape[1:]
    flat = ops.reshape(values, (-1, height * width))
    # The rank of each pixel: no ties, so that the count is exact.
    rank = ops.argsort(ops.argsort(-flat, axis=-1), axis=-1)
    count = ops.round(ops.convert_to_tensor(share) * (height * width))
    mask = ops.cast(rank, count.dtype) < count[:, None]
    return ops.reshape(mask, (-1, height, width)), count / (height * width)
