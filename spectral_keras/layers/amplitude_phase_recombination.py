"""Images with the phases of one and the amplitudes of another."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from spectral_keras.layers.choices import NamedChoices
from spectral_keras.ops.global_batch import global_draw
from spectral_keras.ops.recombination import recombine_pairs, recombine_views
from spectral_keras.ops.validation import (
    check_channels,
    check_choice,
    check_clip,
    check_data_format,
    check_float_images,
    check_number,
    spatial_shape,
    static_spatial_shape,
)

__all__ = ["AmplitudePhaseRecombination"]

MODES = ("pairs", "views")


@keras.saving.register_keras_serializable(package="spectral_keras")
class AmplitudePhaseRecombination(NamedChoices, keras.layers.Layer):
    """Gives an image the amplitudes of another one while it keeps its phases, during training.

        y = F^-1(|F(a)| F(x)/|F(x)|)

    Amplitude-phase recombination, APR (Chen et al., ICCV 2021, arXiv 2108.08487): the label is
    that of the phases, so a network learns to look at them.

    - `mode="pairs"` (APR-P): a is a random image of the batch, by a permutation, in which one image
      on average meets itself.
    - `mode="views"` (APR-S): both are views of one image.  Every image becomes one operation's
      view of it; with `probability` a second operation on that view gives the other one, and which
      of the two keeps its phases is chosen with equal chance.

    The operations are those of the published code, AugMix's nine at severity 3 (see
    `spectral_keras.ops.augmix_views`), one an image; `views` takes another layer.

    The published code transforms the colour axis too, which mixes the amplitudes of the three
    channels; it casts the result of the views to 8 bits, where negative values become bright
    ones; it decides for a whole batch at once whether pairs are recombined (with probability 0.6)
    and trains on the images as they are beside them.  Here an image is decided by itself, and the
    transform is that of each channel.

    The gradient by the images is that of the identity.  At inference so is the layer.

    Args:
        mode: "pairs" or "views".
        probability: chance that an image is recombined, in [0, 1].
        views: with `mode="views"`, None for the operations above; or a Keras layer, called with
            `training=True` on batches of the layer's data format, which it must not change in
            shape.  Its random choices should be one for each image.
        clip: (low, high), the range to which results are clipped, or None.
        seed: integer or None.
        data_format: "channels_last", "channels_first" or None for Keras' global setting.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: float tensor of rank 4; height, width and channels known in training.
        training: whether to recombine.

    Input shape:
        (batch, height, width, channels), or (batch, channels, height, width) with
        `data_format="channels_first"`.

    Output shape:
        As the input.

    Raises:
        ValueError: an argument is out of its range, height, width or channels are unknown, or the
            images are integers.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.layers import AmplitudePhaseRecombination
    >>> x = np.random.default_rng(0).random((4, 32, 32, 3), dtype="float32")
    >>> pairs = AmplitudePhaseRecombination(probability=1.0, clip=None, seed=1)
    >>> y = np.array(pairs(x, training=True))
    >>> turned = np.angle(np.fft.fft2(y, axes=(1, 2)) * np.conj(np.fft.fft2(x, axes=(1, 2))))
    >>> bool(abs(turned).max() < 1e-2)  # the phases of x
    True

    In an input pipeline of TensorFlow:
    `dataset.batch(128).map(lambda x, y: (pairs(x, training=True), y))`.
    """

    choices = {"mode": MODES}

    def __init__(
        self,
        mode: str = "pairs",
        *,
        probability: float = 0.5,
        views: Any = None,
        clip: Sequence[float] | None = (0.0, 1.0),
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.mode = check_choice("mode", mode, MODES)
        self.probability = check_number("probability", probability, low=0, high=1)
        if isinstance(views, dict):
            views = keras.saving.deserialize_keras_object(views)
        if views is not None and (mode == "pairs" or not isinstance(views, keras.Layer)):
            raise ValueError(
                '`views` must be None, or with mode="views" a Keras layer. '
                f"Received: views={views!r}, mode={mode!r}"
            )
        self.views = views
        self.clip = check_clip(clip)
        self.seed = seed
        self.data_format = check_data_format(data_format)
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape: Sequence[int | None]) -> None:
        check_channels(input_shape, self.data_format, "AmplitudePhaseRecombination")
        if self.views is not None and not self.views.built:
            self.views.build(input_shape)
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        check_float_images(inputs, "AmplitudePhaseRecombination")
        if not training or (self.mode == "pairs" and self.probability == 0):
            return inputs
        static_spatial_shape(
            inputs.shape, self.data_format, "AmplitudePhaseRecombination", " in training"
        )
        images = ops.stop_gradient(inputs)
        half = keras.backend.standardize_dtype(images.dtype) in ("float16", "bfloat16")
        images = ops.cast(images, "float32") if half else images
        change = self._recombine(images) - images
        return inputs + ops.cast(ops.stop_gradient(change), inputs.dtype)

    def _recombine(self, images):
        first = self.data_format == "channels_first"
        images = ops.transpose(images, (0, 2, 3, 1)) if first else images
        shape = (ops.shape(images)[0],)

        def uniform():
            draw = keras.random.uniform
            return global_draw(draw, shape, dtype="float32", seed=self.seed_generator)

        arguments = (images, uniform, self.probability, self.clip)
        if self.mode == "pairs":
            mixed = recombine_pairs(*arguments)
        else:
            mixed = recombine_views(*arguments, self._view if self.views is not None else None)
        return ops.transpose(mixed, (0, 3, 1, 2)) if first else mixed

    def _view(self, images):
        if self.data_format == "channels_last":
            return ops.cast(self.views(images, training=True), images.dtype)
        view = self.views(ops.transpose(images, (0, 3, 1, 2)), training=True)
        return ops.cast(ops.transpose(view, (0, 2, 3, 1)), images.dtype)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> Any:
        spatial_shape(input_shape, self.data_format, "AmplitudePhaseRecombination")
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        views = self.views
        return {
            **super().get_config(),
            "mode": self.mode,
            "probability": self.probability,
            "views": None if views is None else keras.saving.serialize_keras_object(views),
            "clip": None if self.clip is None else list(self.clip),
            "seed": self.seed,
            "data_format": self.data_format,
        }
