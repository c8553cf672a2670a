"""Attended power suppression: training that controls what a first layer listens to."""

import dataclasses
import functools
from typing import Any

import keras
from keras import ops

from spectral_keras.augmentation.open_ratio import basic_open_ratios, open_ratio_labels
from spectral_keras.layers import ChannelGate, FrequencyNoise, PowerSuppression
from spectral_keras.ops.crop import random_crop, zero_pad
from spectral_keras.ops.validation import (
    check_bool,
    check_data_format,
    check_positive_int,
    describe,
)
from spectral_keras.training.adversarial_examples import AdversarialExamples
from spectral_keras.training.adversarial_model import AdversarialModel
from spectral_keras.training.auxiliary_loss_model import AuxiliaryLossModel
from spectral_keras.training.gate_rule import GateRule
from spectral_keras.training.replicas import global_sum

__all__ = ["AttendedSuppressionModel"]


@keras.saving.register_keras_serializable(package="spectral_keras")
class AttendedSuppressionModel(AuxiliaryLossModel):
    """Trains a classifier with power suppression, noise in the frequency domain and attention.

    After Jia, Bao and Ma (arXiv 1911.12044).  In each step of `fit` the images first get zero
    borders (`padding`), then lose some of their frequencies (`suppression`), then get noise
    (`noise`), then are cropped at random to their size; each of these is optional.  With
    `attention` the classifier's `ChannelGate` learns how many channels to open for a suppressed
    image, see `GateRule`:

        loss = classification loss + weight * mean over the batch of s (v - beta)^2

    In validation and at inference nothing is done to the images and no image has a label.

    `fit` logs, beside the compiled metrics, `loss`, and with attention `classification_loss` and
    `auxiliary_loss` (without the factor).  Works with `fit`, `evaluate` and `predict` on
    TensorFlow, JAX and PyTorch; with an `attack` the images are attacked after all this.

    What the paper leaves open: whether images are cut to [0, 1] after the noise (`clip`), and that
    suppression, too, comes before the crop.

    Args:
        classifier: built `keras.Model` (functional or sequential) with one input, images in
            [0, 1], and one output [N, K] of logits or probabilities.  For attention it must
            have a `ChannelGate` with `return_open_ratio=True`: see `insert_channel_gate`.
        suppression: `PowerSuppression` (a copy of it is used) or None.
        noise: `FrequencyNoise` or None.
        attention: a `GateRule`, or None for no auxiliary loss.
        padding: width of the zero borders, in pixels; the paper's is 4.
        clip: whether to cut what suppression and noise made to [0, 1].
        seed: integer or None, of the crops; suppression and noise have their own.
        attack: `AdversarialExamples`, or None.
        validate_on: "adversarial" or "clean", see `AdversarialModel`.
        data_format: "channels_last", "channels_first" or None for that of the layers, without any
            Keras' global setting.
        **kwargs: `name`, `dtype`.

    Attributes:
        classifier: the classifier that was passed, with the weights of the training; save this one.
        theta: of the configuration "learnable", weight of shape (3,) for the low, medium and high
            band, else None.

    Raises:
        ValueError: for an argument that does not fit.

    Example:

    ```python
    import keras
    import numpy as np
    from spectral_keras.layers import PowerSuppression
    from spectral_keras.training import AttendedSuppressionModel, GateRule, insert_channel_gate

    layers = [keras.Input((16, 16, 3)), keras.layers.Conv2D(8, 3, activation="relu")]
    layers += [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(5)]
    classifier = insert_channel_gate(keras.Sequential(layers), hidden=16)
    suppression = PowerSuppression(1 / 3)
    model = AttendedSuppressionModel(classifier, suppression, attention=GateRule("learnable"))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    x, y = np.random.rand(16, 16, 16, 3), np.random.randint(5, size=16)
    logs = model.fit(x, y, verbose=0).history
    assert set(logs) == {"loss", "classification_loss", "auxiliary_loss"}
    print(model.open_ratios())  # b of the three bands
    ```
    """

    def __init__(
        self,
        classifier: keras.Model,
        suppression: PowerSuppression | None = None,
        noise: FrequencyNoise | None = None,
        *,
        attention: GateRule | None = None,
        padding: int = 0,
        clip: bool = False,
        seed: int | None = None,
        attack: AdversarialExamples | None = None,
        validate_on: str = "adversarial",
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(classifier, attack, validate_on=validate_on, **kwargs)
        for name, layer, kind in (
            ("suppression", suppression, PowerSuppression),
            ("noise", noise, FrequencyNoise),
        ):
            if layer is not None and not isinstance(layer, kind):
                raise ValueError(
                    f"`{name}` must be None or a {kind.__name__}. Received: {name}={layer!r}"
                )
        self._given_suppression = suppression
        if suppression is not None:
            suppression = PowerSuppression.from_config(
                {**suppression.get_config(), "return_labels": True}
            )
        self.suppression: Any
        self.suppression, self.noise = suppression, noise
        formats = {layer.data_format for layer in (suppression, noise) if layer is not None}
        # Files of before there was this argument follow their layers, if there are any.
        self.data_format = check_data_format(data_format or next(iter(formats), None))
        if formats - {self.data_format}:
            raise ValueError(
                "`suppression`, `noise` and the model must have one `data_format`. Received: "
                f"{', '.join(sorted(formats | {self.data_format}))}"
            )
        if attention is not None and not isinstance(attention, GateRule):
            raise ValueError(
                f"`attention` must be None or a GateRule. Received: attention={describe(attention)}"
            )
        if attention is not None and suppression is None:
            raise ValueError(
                "`attention` needs a `suppression`: labels are those of suppressed images. "
                f"Received: attention={attention!r}, suppression=None"
            )
        self.attention = attention
        self.padding = check_positive_int("padding", padding, minimum=0)
        self.clip = check_bool("clip", clip)
        self.seed = seed
        self._crop_seed = keras.random.SeedGenerator(seed) if self.padding else None
        self.theta = None
        if attention is not None:
            self.weight = attention.weight
            self._attach_gate(attention)
            self._track_losses()

    def _attach_gate(self, attention):
        gates = [layer for layer in self.classifier.layers if isinstance(layer, ChannelGate)]
        chosen = [layer for layer in gates if attention.gate in (None, layer.name)]
        if len(chosen) != 1 or not chosen[0].return_open_ratio:
            found = [
                layer.name + ("" if layer.return_open_ratio else " (without open ratio)")
                for layer in gates
            ]
            raise ValueError(
                "`gate` must be the name of a ChannelGate with return_open_ratio=True, or None "
                f"where there is just one; {self.classifier.name!r} has {found or 'none'}. "
                f"Received: gate={attention.gate!r}"
            )
        ratio = chosen[0].output[1]
        # As in AuxiliaryModel: it has no layers but the classifier's.
        observer = keras.Model(self.classifier.inputs[0], [self.classifier.outputs[0], ratio])
        self._observe = functools.partial(observer)
        if attention.configuration == "learnable":
            self.theta = self.add_weight(
                shape=(3,), initializer="zeros", dtype="float32", name="theta"
            )

    def open_ratios(self) -> Any:
        """b of equation (9), the learned open ratios of the low, medium and high band.

        Returns:
            Float tensor of shape (3,).
        """
        if self.theta is None:
            raise ValueError(
                'Only the configuration "learnable" has open ratios to learn. '
                f"Received: attention={self.attention!r}"
            )
        return basic_open_ratios(self.theta)

    def _augmented(self, images, training):
        if not training:
            return images, self._no_labels(images)
        # Keras may hand over uint8 or float64 images.
        images = ops.cast(images, keras.backend.result_type(self.compute_dtype, "float32"))
        height, width = self._sides(images)
        if self.padding:
            images = zero_pad(images, self.padding, self.data_format)
        labels = None
        if self.suppression is not None:
            images, labels = self.suppression(images, training=True)
        if self.noise is not None:
            images = self.noise(images, training=True)
        if self.clip:
            images = ops.clip(images, 0, 1)
        if self.padding:
            images = random_crop(images, height, width, self._crop_seed, self.data_format)
        return images, labels

    def _sides(self, images):
        shape = tuple(images.shape)
        return shape[1:3] if self.data_format == "channels_last" else shape[2:4]

    def _no_labels(self, images):
        if self.attention is None:
            return None
        count = ops.shape(images)[0]
        return {
            "band": ops.full((count,), -1, dtype="int32"),
            "alpha": ops.ones((count,), dtype="float32"),
        }

    def _as_inputs(self, images, labels):
        return images if self.attention is None else {"images": images, **labels}

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        # As in AuxiliaryModel: a dict asks for what the losses need.
        if not isinstance(inputs, dict):
            return self.classifier(inputs, training=training)
        if self.attention is None:
            raise ValueError("There is no gate to look at. Received: inputs as a dict")
        outputs, ratio = self._observe(inputs["images"], training=training)
        beta = open_ratio_labels(
            inputs["band"],
            inputs["alpha"],
            self.attention.configuration,
            theta=self.theta,
            alpha_is=self.suppression.alpha_is,
        )
        return {
            "outputs": outputs,
            "open_ratio": ratio,
            "beta": ops.cast(beta, ratio.dtype),
            "suppressed": ops.cast(inputs["band"] >= 0, ratio.dtype),
        }

    def _image_losses(self, y_pred):
        counted = y_pred["suppressed"]
        losses = counted * ops.square(y_pred["open_ratio"] - y_pred["beta"])
        if self.attention.normalizer == "suppressed":
            # The count of the whole batch, also where replicas share it.
            count = global_sum(ops.cast(ops.shape(losses)[0], losses.dtype))
            losses = losses * count / ops.maximum(global_sum(ops.sum(counted)), 1)
        return losses

    def get_config(self) -> dict:
        serialize = keras.saving.serialize_keras_object
        suppression, noise = self._given_suppression, self.noise
        return {
            **super().get_config(),
            "suppression": None if suppression is None else serialize(suppression),
            "noise": None if noise is None else serialize(noise),
            "padding": self.padding,
            "clip": self.clip,
            "seed": self.seed,
            "data_format": self.data_format,
            # The values of the rule side by side, as in files of before there was such an object.
            **(
                {"configuration": None}
                if self.attention is None
                else dataclasses.asdict(self.attention)
            ),
        }

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> AdversarialModel:
        config = dict(config)
        names = [field.name for field in dataclasses.fields(GateRule)]
        rule = {name: config.pop(name) for name in names if name in config}
        config["attention"] = GateRule(**rule) if rule.get("configuration") else None
        return super().from_config(config, custom_objects)
