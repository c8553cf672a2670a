"""Adversarial training with `fit`."""

from typing import Any

import keras
from keras import ops

from spectral_keras.classifiers.logits import logits_function
from spectral_keras.ops.validation import check_choice
from spectral_keras.training.adversarial_examples import AdversarialExamples
from spectral_keras.training.replicas import part_of_global_mean

__all__ = ["AdversarialModel"]


@keras.saving.register_keras_serializable(package="spectral_keras")
class AdversarialModel(keras.Model):
    """A classifier that trains on adversarial examples of itself.

    Each step of `fit` first attacks the batch with the weights as they are, then trains on the
    attacked images: loss, metrics and batch statistics are those of the attacked images.  The
    attack leaves the classifier alone, unless it runs in training mode.  Works with `fit`,
    `evaluate` and `predict` on TensorFlow (also compiled by XLA, or under a distribution
    strategy), JAX and PyTorch.

    Args:
        classifier: built `keras.Model` (functional or sequential) with one input and one output
            [N, K] of logits or probabilities.
        attack: `AdversarialExamples`, or None for plain training.
        validate_on: "adversarial": `evaluate` and the validation of `fit` attack every image, with
            the classifier in inference mode; "clean": they take the images as they are.
        **kwargs: `name`, `dtype`.

    Attributes:
        classifier: the classifier that was passed, with the weights of the training; save this one.

    Raises:
        ValueError: for an argument that does not fit.

    Example:

    >>> import keras, numpy as np
    >>> from spectral_keras.attacks import Attack
    >>> from spectral_keras.training import AdversarialExamples, AdversarialModel
    >>> classifier = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    >>> model = AdversarialModel(classifier, AdversarialExamples(Attack("fgsm", 0.1), share=0.5))
    >>> loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    >>> model.compile("sgd", loss)
    >>> x, y = np.full((6, 4), 0.5, "float32"), np.zeros(6, "int32")
    >>> sorted(model.fit(x, y, verbose=0).history)
    ['loss']
    """

    def __init__(
        self,
        classifier: keras.Model,
        attack: AdversarialExamples | None,
        *,
        validate_on: str = "adversarial",
        **kwargs: Any,
    ):
        # The images go to the classifier and to the attack as they come, not in half precision.
        super().__init__(**{"autocast": False, **kwargs})
        self.classifier = _check_classifier(classifier)
        if attack is not None and not isinstance(attack, AdversarialExamples):
            raise ValueError(
                f"`attack` must be None or AdversarialExamples. Received: attack={attack!r}"
            )
        self.attack = attack
        self.validate_on = check_choice("validate_on", validate_on, ("adversarial", "clean"))
        # ("train" or "test", size with padding, size): see `training.distribution.PaddedBatches`.
        self.padded_batches = ()
        self._training_seed = self._validation_seed = self._validation_attack = None
        if attack is not None:
            # Found out here, not inside of the first step's trace.
            logits_function(classifier, attack.attack.from_logits)
            self._validation_attack = attack.for_validation()
            # Two generators: a validation must not change the training after it.
            self._training_seed = attack.seed_generator()
            self._validation_seed = attack.seed_generator()
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return self.classifier(inputs, training=training)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple:
        return self.classifier.compute_output_shape(input_shape)

    def export(self, *args: Any, **kwargs: Any) -> None:
        """Exports the classifier, as `keras.Model.export` does: the rest only trains it."""
        self.classifier.export(*args, **kwargs)

    def train_step(self, *args: Any) -> Any:
        return self._step(super().train_step, args, training=True)

    def test_step(self, *args: Any) -> Any:
        return self._step(super().test_step, args, training=False)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool | None = True,
    ) -> Any:
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        return part_of_global_mean(loss, ops.shape(keras.tree.flatten(y_pred)[0])[0])

    def _step(self, step, args, training):
        """Keras' own step on prepared data: (data) or, on JAX, (state, data)."""
        if keras.backend.backend() != "jax":
            (data,) = args
            return step(self._prepared(data, training))
        state, data = args
        data = self._without_padding(data, training)
        trainable, non_trainable, *others = state
        variables = [*self.trainable_variables, *self.non_trainable_variables]
        mapping = list(zip(variables, [*trainable, *non_trainable], strict=True))
        with keras.StatelessScope(state_mapping=mapping) as scope:
            data = self._prepared(data, training)
        # The attack may have used random numbers and moved running averages.
        non_trainable = [scope.get_current_value(v) for v in self.non_trainable_variables]
        return step((trainable, non_trainable, *others), data)

    def _prepared(self, data, training):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        x, labels = self._augmented(x, training)
        if self.attack is not None and training:
            x = self.attack(self.classifier, x, y, seed_generator=self._training_seed)
        elif self.attack is not None and self.validate_on == "adversarial":
            x = self._validation_attack(self.classifier, x, y, seed_generator=self._validation_seed)
        return keras.utils.pack_x_y_sample_weight(self._as_inputs(x, labels), y, sample_weight)

    def _without_padding(self, data, training):
        """The images of a batch that was padded to a size that all devices of JAX divide."""
        size = keras.tree.flatten(data)[0].shape[0]
        role = "train" if training else "test"
        padded = {(name, larger): real for name, larger, real in self.padded_batches}
        count = padded.get((role, size), size)
        return data if count == size else keras.tree.map_structure(lambda x: x[:count], data)

    def _augmented(self, images, training):
        """The images that are attacked, and labels of what was done to them, for `_as_inputs`."""
        return images, None

    def _as_inputs(self, images, labels):
        """What `call` gets in a training or test step."""
        return images

    def get_config(self) -> dict:
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "classifier": serialize(self.classifier),
            "attack": None if self.attack is None else serialize(self.attack),
            "validate_on": self.validate_on,
        }

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> "AdversarialModel":
        config = {
            name: keras.saving.deserialize_keras_object(value, custom_objects)
            if isinstance(value, dict) and "class_name" in value
            else value
            for name, value in config.items()
        }
        return cls(**config)


def _check_classifier(classifier):
    inputs = getattr(classifier, "inputs", None)
    if not isinstance(classifier, keras.Model) or not inputs:
        raise ValueError(
            "`classifier` must be a functional or a built sequential keras.Model. "
            f"Received: classifier={classifier!r}"
        )
    outputs = classifier.outputs
    if len(inputs) != 1 or len(outputs) != 1 or len(outputs[0].shape) != 2:
        raise ValueError(
            "`classifier` must have one input and one output [batch, classes]. Received: inputs "
            f"{[tuple(x.shape) for x in inputs]}, outputs {[tuple(x.shape) for x in outputs]}"
        )
    return classifier
