"""Checks of what the mask learners are called with."""

import dataclasses

import numpy as np

from spectral_keras.analysis.masks.layout import Layout
from spectral_keras.analysis.masks.objective import INVARIANCES, MODULATIONS, Objective
from spectral_keras.attacks import arguments, batching
from spectral_keras.attacks.compiled import compiled_logits
from spectral_keras.attacks.logits import logits_function, looks_like_probabilities
from spectral_keras.ops.validation import (
    check_bool,
    check_choice,
    check_data_format,
    check_number,
    static_spatial_shape,
)


@dataclasses.dataclass(kw_only=True)
class Problem:
    """A frozen network, images, and in what form masks are learned for them; checked values."""

    model: object
    images: np.ndarray
    logits: np.ndarray
    from_logits: object
    objective: Objective
    layout: Layout
    per_channel: int
    channels_last: bool
    sizes: tuple

    @property
    def image_shape(self):
        return self.images.shape[1:]

    def plain(self):
        """The settings as a JSON-plain dict."""
        return {
            **dataclasses.asdict(self.objective),
            "symmetric": self.layout.symmetric,
            "per_channel": bool(self.per_channel),
            "data_format": "channels_last" if self.channels_last else "channels_first",
        }

    def key(self):
        """What the compiled functions are asked for with."""
        return (
            self.model,
            self.image_shape,
            self.layout,
            self.objective,
            self.per_channel,
            self.channels_last,
            self.from_logits,
        )

    def start(self, count):
        """The entries of `count` masks of ones."""
        shape = (count, self.objective.kinds, self.per_channel or 1, self.layout.size)
        return np.ones(shape, "float32")

    def masks(self, entries):
        """(amplitude, phase) masks [N, H, W] or [N, H, W, C], None where there are none."""
        full = self.layout.to_full(entries)
        full = np.moveaxis(full, 2, -1) if self.per_channel else full[:, :, 0]
        mode = self.objective.modulate
        amplitude = None if mode == "phase" else np.ascontiguousarray(full[:, 0])
        phase = None if mode == "amplitude" else np.ascontiguousarray(full[:, -1])
        return amplitude, phase


def check_problem(
    model,
    images,
    *,
    penalty,
    p,
    invariance,
    modulate,
    symmetric,
    per_channel,
    from_logits,
    batch_size,
    data_format,
):
    """A `Problem`, with the logits of the images as they are."""
    objective = Objective(
        invariance=check_choice("invariance", invariance, INVARIANCES),
        penalty=check_number("penalty", penalty, 0, low_open=True),
        p=check_number("p", p, 1),
        modulate=check_choice("modulate", modulate, MODULATIONS),
    )
    check_choice("from_logits", from_logits, (None, True, False))
    channels_last = check_data_format(data_format) == "channels_last"
    data_format = "channels_last" if channels_last else "channels_first"
    arguments.check_model(model)
    images = arguments.check_images(images, model, None)
    height, width = static_spatial_shape(images.shape, data_format, "Mask learning")
    if not len(images):
        raise ValueError("`images` must hold at least one image. Received: none")
    batching.build_for(model, images)
    sizes = batching.batch_sizes(model, batch_size, len(images))
    from_logits, logits = _logits(model, images, from_logits, sizes)
    layout = Layout(height, width, check_bool("symmetric", symmetric))
    channels = images.shape[-1 if channels_last else 1]
    return Problem(
        model=model,
        images=images,
        logits=logits,
        from_logits=from_logits,
        objective=objective,
        layout=layout,
        per_channel=channels if check_bool("per_channel", per_channel) else 0,
        channels_last=channels_last,
        sizes=sizes,
    )


def _logits(model, images, from_logits, sizes):
    """(how the model is to be read: None for a softmax that is cut off, logits [N, K])."""
    _, ending = logits_function(model, from_logits)
    if ending == "softmax":
        from_logits = None
    elif ending == "unknown" and from_logits is None:
        function = compiled_logits(model, images.shape[1:], True)
        values = batching.batched(function, images[: sizes[-1]], sizes)
        from_logits = not looks_like_probabilities(values)
    elif from_logits is None:
        from_logits = True
    function = compiled_logits(model, images.shape[1:], from_logits)
    return from_logits, batching.batched(function, images, sizes)


def unmasked_cross_entropy(logits, labels):
    """Cross-entropy of each row, float32 [N]."""
    logits = np.asarray(logits, "float64")
    top = logits.max(axis=1)
    total = np.log(np.exp(logits - top[:, None]).sum(axis=1)) + top
    return (total - logits[np.arange(len(logits)), labels]).astype("float32")
