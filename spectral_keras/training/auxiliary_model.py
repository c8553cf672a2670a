"""A classifier and, while it trains, a second task for its features."""

import functools
from typing import Any

import keras
from keras import ops

from spectral_keras.ops.validation import check_choice, check_data_format, check_number
from spectral_keras.training.adversarial_examples import AdversarialExamples
from spectral_keras.training.auxiliary_loss_model import AuxiliaryLossModel
from spectral_keras.training.channel_gate import layer_called
from spectral_keras.training.decoder import build_decoder
from spectral_keras.training.fourier_target import FourierTarget
from spectral_keras.training.reconstruction_target import ReconstructionTarget

__all__ = ["AuxiliaryModel"]


@keras.saving.register_keras_serializable(package="spectral_keras")
class AuxiliaryModel(AuxiliaryLossModel):
    """Trains a classifier together with a decoder of its features.

    "Fourier transform as an auxiliary task": a decoder of transposed convolutions on the
    classifier's last maps predicts the Fourier transform of the image (or the image), and

        loss = classification loss + weight * mean squared error of the decoder

    trains both.  The decoder is then thrown away: `classifier` is the plain network.  With an
    `attack` both terms are those of the attacked images, targets included, as in the paper.

    `fit` and `evaluate` log, beside the compiled metrics, `loss`, `classification_loss` (what the
    classifier alone would log as its loss, regularisers included) and `auxiliary_loss` (the mean
    squared error without the factor); with task "none" just `loss`.  Sample and class weights
    weigh the images in both terms.  `predict` and a call give the classifier's output; a call with
    `{"images": x}` gives a dict of "outputs", "decoded" and "target".

    The published code differs from the paper; `variant="published"` does what it did: the decoder
    ends in a ReLU, the target is the raw magnitude with the targets of a batch rolled by half
    of it (see `FourierTarget`).  Its attack is `AdversarialExamples.published()`.  Its task
    "none" ran a decoder without using it; here there is none.

    Args:
        classifier: built `keras.Model` (functional or sequential) with one input and one output
            [N, K] of logits or probabilities.
        task: "fourier", "reconstruction" or "none".
        tap: name of the classifier's layer whose output the decoder gets, maps of rank 4.
        weight: factor of the auxiliary loss, at least 0.
        source: name of the layer whose output the target is computed from.  None: a layer called
            "normalize" where the classifier has one, as every network of the zoo has, else the
            input.
        target: instead of the task's own target, any Keras layer, or function of Keras operations,
            from the source's batch to the target's, images of rank 4 larger than the tap's maps.
            No gradient flows through it.  To save the model, register it with Keras.
        variant: "consistent" or "published".
        attack: `AdversarialExamples`, or None to train on the images as they come.
        validate_on: "adversarial" or "clean", see `AdversarialModel`; without an attack there is
            no difference.
        data_format: of the images and maps, "channels_last", "channels_first" or None for the
            target's, without one of Keras' global setting.
        **kwargs: `name`, `dtype`.

    Attributes:
        classifier: the classifier that was passed, with the weights of the training; save this one.
        decoder: `keras.Model` from the tap's maps to the target, or None.

    Raises:
        ValueError: for an argument that does not fit, such as a layer that is not there.

    Example:

    ```python
    import keras
    import numpy as np
    from spectral_keras.training import AuxiliaryModel

    inputs = keras.Input((8, 8, 3))
    features = keras.layers.Conv2D(4, 3, strides=2, padding="same", name="features")(inputs)
    logits = keras.layers.Dense(5)(keras.layers.GlobalAveragePooling2D()(features))
    classifier = keras.Model(inputs, logits)

    model = AuxiliaryModel(classifier, "fourier", weight=0.01)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    x, y = np.random.rand(16, 8, 8, 3), np.random.randint(5, size=16)
    logs = model.fit(x, y, verbose=0).history
    assert set(logs) == {"loss", "accuracy", "classification_loss", "auxiliary_loss"}
    assert model.classifier is classifier  # trained, without the decoder
    ```
    """

    def __init__(
        self,
        classifier: keras.Model,
        task: str = "fourier",
        *,
        tap: str = "features",
        weight: float = 0.01,
        source: Any = None,
        target: keras.Layer | None = None,
        variant: str = "consistent",
        attack: AdversarialExamples | None = None,
        validate_on: str = "adversarial",
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(classifier, attack, validate_on=validate_on, **kwargs)
        own = getattr(target, "data_format", None)
        self.data_format = check_data_format(data_format or own)
        if own not in (None, self.data_format):
            raise ValueError(
                "`target` and the model must have one `data_format`. Received: "
                f"data_format={data_format!r}, a target of {own!r}"
            )
        self.task = check_choice("task", task, ("fourier", "reconstruction", "none"))
        self.variant = check_choice("variant", variant, ("consistent", "published"))
        self.weight = check_number("weight", weight, low=0)
        self.tap = tap
        self.source = source
        if target is not None and (task == "none" or not callable(target)):
            raise ValueError(
                "`target` must be a layer or a function, and None for task='none'. Received: "
                f"target={target!r}, task={task!r}"
            )
        self._given_target = target
        self.target = self.decoder = None
        if task != "none":
            self.target = self._own_target() if target is None else target
            self._attach_decoder()
            self._track_losses()

    def _own_target(self):
        if self.task == "reconstruction":
            return ReconstructionTarget(name="target")
        if self.variant == "published":
            magnitude, roll = "raw", True
        else:
            magnitude, roll = "log", False
        return FourierTarget(
            magnitude, "angle", roll_batch=roll, data_format=self.data_format, name="target"
        )

    def _attach_decoder(self):
        tap = self._output_of("tap", self.tap)
        source = self._source()
        image = self.target(keras.KerasTensor(source.shape, source.dtype))
        for name, tensor in (("tap", tap), ("target", image)):
            if len(tensor.shape) != 4 or None in tuple(tensor.shape[1:]):
                raise ValueError(
                    f"`{name}` must give images of rank 4 and of known size. Received: {name}="
                    f"{getattr(self, name)!r}, which gives the shape {tuple(tensor.shape)}"
                )
        try:
            self.decoder = build_decoder(
                tap.shape[1:],
                image.shape[1:],
                "relu" if self.variant == "published" else None,
                data_format=self.data_format,
            )
        except ValueError as error:
            raise ValueError(
                f"`tap` must give maps that are smaller than the target, {tuple(image.shape[1:])}. "
                f"Received: tap={self.tap!r}, which gives the shape {tuple(tap.shape)}"
            ) from error
        # Shares the classifier's layers and has none of its own: wrapped, so that Keras does not
        # count it as one more layer.
        observer = keras.Model(self.classifier.inputs[0], [self.classifier.outputs[0], tap, source])
        self._observe = functools.partial(observer)

    def _source(self):
        names = [layer.name for layer in self.classifier.layers]
        if self.source is None and "normalize" not in names:
            return self.classifier.inputs[0]
        return self._output_of("source", "normalize" if self.source is None else self.source)

    def _output_of(self, argument, name):
        return layer_called(argument, name, self.classifier, slice(-3, None)).output

    def _as_inputs(self, images, labels):
        return images if self.decoder is None else {"images": images}

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        # Keras' steps call the model with the data and hand the result to `compute_loss` and
        # `compute_metrics`.  A dict as data asks for what the losses need, on every backend,
        # without a state of the model between the calls.
        if not isinstance(inputs, dict):
            return self.classifier(inputs, training=training)
        if self.decoder is None:
            raise ValueError("There is no decoder with task='none'. Received: inputs as a dict")
        outputs, features, source = self._observe(inputs["images"], training=training)
        return {
            "outputs": outputs,
            "decoded": self.decoder(features, training=training),
            "target": ops.stop_gradient(self.target(source)),
        }

    def _image_losses(self, y_pred):
        return ops.mean(ops.square(y_pred["decoded"] - y_pred["target"]), axis=(1, 2, 3))

    def get_config(self) -> dict:
        target = self._given_target
        return {
            **super().get_config(),
            "task": self.task,
            "tap": self.tap,
            "weight": self.weight,
            "source": self.source,
            "target": None if target is None else keras.saving.serialize_keras_object(target),
            "variant": self.variant,
            "data_format": self.data_format,
        }
