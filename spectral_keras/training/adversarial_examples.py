"""How the batches of a training are attacked."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from spectral_keras.attacks import LABELS, Attack, perturb
from spectral_keras.classifiers.logits import class_logits, logits_function
from spectral_keras.ops.validation import check_bool, check_choice, check_number, describe
from spectral_keras.training.replicas import global_sum, own_share

__all__ = ["AdversarialExamples"]


@keras.saving.register_keras_serializable(package="spectral_keras")
class AdversarialExamples:
    """An attack with its settings, and the share of each batch that it replaces.

    FGSM (Goodfellow et al. 2015) and PGD (Madry et al. 2018), by `spectral_keras.attacks.perturb`,
    against the model as it is at each step.  FGSM with `random_start=True` and
    `step_size=1.25 * eps` is the "fast" adversarial training of Wong et al. (2020).

    `AdversarialExamples.published()` has the settings of the published code of "Fourier transform
    as an auxiliary task".

    Args:
        attack: an `Attack` of one try, None for FGSM.  It leads away from the labels or the model's
            predictions (see `labels`) with the steps that `perturb` documents.
        share: share of each batch that is replaced, in [0, 1]: its first round(share * N) images
            (half to even); where replicas share the batch each attacks its part of these.  Shuffle
            the data.
        labels: "given" to attack the label, "predicted" to attack the model's own prediction,
            which keeps the label from leaking into the image.
        training_mode: whether the attack sees the model in training mode, with the statistics of
            the batch and with dropout.  As in the published code, each of its forward passes, one
            for the gradient and one for predicted labels, then moves the running averages as well.
            For FGSM without a random start.  A softmax at the model's end is not cut off then: an
            attack on saturated probabilities has no gradient.  By default the model is in
            inference mode and nothing in it moves.

    Raises:
        ValueError: for an argument that does not fit.

    Example:

    >>> import keras, numpy as np
    >>> from spectral_keras.attacks import Attack
    >>> from spectral_keras.training import AdversarialExamples
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    >>> x, y = np.full((6, 4), 0.5, "float32"), np.zeros(6, "int32")
    >>> attacked = AdversarialExamples(Attack("fgsm", 0.25), share=0.5)(model, x, y)
    >>> abs(np.array(attacked) - x).max(axis=1).tolist()
    [0.25, 0.25, 0.25, 0.0, 0.0, 0.0]
    """

    def __init__(
        self,
        attack: Attack | None = None,
        *,
        share: float = 1.0,
        labels: str = "given",
        training_mode: bool = False,
    ):
        self.attack = Attack("fgsm") if attack is None else attack
        if not isinstance(self.attack, Attack) or self.attack.restarts != 1 or self.attack.targeted:
            raise ValueError(
                "`attack` must be None or an untargeted Attack of one try. "
                f"Received: {describe(attack)}"
            )
        self.share = check_number("share", share, low=0, high=1)
        self.labels = check_choice("labels", labels, LABELS)
        self.training_mode = check_bool("training_mode", training_mode)
        if training_mode and (self.attack.name != "fgsm" or self.attack.random_start):
            raise ValueError(
                "`training_mode` must be False but for FGSM without a random start. "
                f"Received: {describe(attack)}"
            )

    @classmethod
    def published(
        cls, eps: float = 0.3, std: Sequence[float] = (0.247, 0.243, 0.261), share: float = 1.0
    ) -> "AdversarialExamples":
        """FGSM as the published code of "Fourier transform as an auxiliary task" trains with it.

        Radius `eps` in units of the standard deviations `std` by which that code divides the
        channels of [0, 1] images, without clipping, against the model's own predictions, and with
        the model in training mode.

        Args:
            eps: radius in normalised units.
            std: deviation of each channel in the units of the model's input.
            share: of each batch that is replaced.
        """
        attack = Attack("fgsm", [eps * deviation for deviation in std], clip=None)
        return cls(attack, share=share, labels="predicted", training_mode=True)

    def for_validation(self) -> "AdversarialExamples":
        """The same attack on every image, with the model in inference mode."""
        return type(self)(self.attack, labels=self.labels)

    def seed_generator(self) -> keras.random.SeedGenerator | None:
        """A new generator for the random starts, None where there are none."""
        return keras.random.SeedGenerator(self.attack.seed) if self.attack.random_start else None

    def __call__(
        self,
        model: keras.Layer,
        x: Any,
        y: Any = None,
        *,
        seed_generator: keras.random.SeedGenerator | None = None,
    ) -> Any:
        """The batch `x` with its share of adversarial examples; can be traced.

        Args:
            model: Keras classifier with one output [N, K].
            x: float tensor of images [N, ...]; the batch size may be unknown.
            y: labels as in `perturb`.
            seed_generator: of the layer or model that calls, for random starts.

        Returns:
            Float32 tensor of x's shape.  No gradient flows through it.
        """
        if self.labels == "predicted":
            y = None
        elif y is None:
            raise ValueError('`y` must be given, or labels="predicted". Received: y=None')
        x = ops.stop_gradient(ops.cast(ops.convert_to_tensor(x), "float32"))
        if self.share == 0:
            return x
        if self.share == 1:
            return self._attack(model, x, y, seed_generator)
        count = rows = self._count(x)
        if isinstance(count, int):
            if count == 0:
                return x
        else:
            # Not every kernel takes an empty batch, and one has no statistics (NaN): one image is
            # attacked then, and left as it was.
            rows = ops.maximum(count, 1)
        y = None if y is None else ops.convert_to_tensor(y)[:rows]
        attacked = self._attack(model, x[:rows], y, seed_generator)
        if rows is not count:
            attacked = ops.where(count > 0, attacked, x[:rows])
        return ops.concatenate([attacked, x[rows:]], axis=0)

    def _count(self, x):
        total = global_sum(ops.shape(x)[0])
        if isinstance(total, int):
            return round(self.share * total)
        count = ops.cast(ops.round(self.share * ops.cast(total, "float32")), "int32")
        return ops.minimum(own_share(count), ops.shape(x)[0])

    def _attack(self, model, x, y, seed_generator):
        if self.training_mode:
            return self._attack_in_training_mode(model, x, y)
        return perturb(model, x, y, self.attack, seed_generator=seed_generator)

    def _attack_in_training_mode(self, model, x, y):
        from_logits = self.attack.from_logits
        _, ending = logits_function(model, from_logits)
        probabilities = ending in ("softmax", "sigmoid") or from_logits is False

        def outputs_of(images):
            return ops.cast(model(images, training=True), "float32")

        def logits_of(images):
            return class_logits(outputs_of(images), probabilities)

        if y is None:
            y = ops.cast(ops.argmax(ops.stop_gradient(logits_of(x)), axis=-1), "int32")
        if keras.backend.backend() != "jax":
            return perturb(logits_of, x, y, self.attack)
        # Updates of variables cannot leave the trace of a gradient: they are dropped there, and
        # made by a second, equal pass, which the compiler merges with the first.
        mapping = [(v, ops.stop_gradient(v.value)) for v in model.variables]
        with keras.StatelessScope(state_mapping=mapping):
            attacked = perturb(logits_of, x, y, self.attack)
        outputs_of(x)
        return attacked

    def get_config(self) -> dict:
        return {
            "attack": self.attack.plain(),
            "share": self.share,
            "labels": self.labels,
            "training_mode": self.training_mode,
        }

    @classmethod
    def from_config(cls, config: dict) -> "AdversarialExamples":
        return cls(**{**config, "attack": Attack(**config["attack"])})
