"""How the batches of a training are attacked."""

import keras
import numpy as np
from keras import ops

from spectral_keras.attacks import arguments, perturb
from spectral_keras.attacks.logits import logits_function
from spectral_keras.ops.global_batch import global_sum, own_share
from spectral_keras.ops.validation import (
    check_bool,
    check_choice,
    check_number,
    check_positive_int,
)

# Smallest normal float32: the logarithm of smaller probabilities is not looked at.
_TINY = 1.1754944e-38


@keras.saving.register_keras_serializable(package="spectral_keras")
class AdversarialExamples:
    """An attack with its settings, and the share of each batch that it replaces.

    FGSM (Goodfellow et al. 2015) and PGD (Madry et al. 2018), by `spectral_keras.attacks.perturb`,
    against the model as it is at each step.  FGSM with `random_start=True` and
    `step_size=1.25 * eps` is the "fast" adversarial training of Wong et al. (2020).

    `AdversarialExamples.published()` has the settings of the published code of "Fourier transform
    as an auxiliary task".

    Args:
        attack: "fgsm" for one step, or "pgd".
        eps: radius of the ball in the units of the model's input: a number or, with norm "inf", an
            array that broadcasts to an image, such as one number per channel.
        steps: number of steps; None for 1 ("fgsm"), 7 ("pgd").
        step_size: length of a step, as `eps`; None for `eps` (one step) or 2.5 * eps / steps.
        norm: "inf" or "l2".
        share: share of each batch that is replaced, in [0, 1]: its first round(share * N) images
            (half to even); where replicas share the batch each attacks its part of these.  Shuffle
            the data.
        labels: "given" to attack the label, "predicted" to attack the model's own prediction,
            which keeps the label from leaking into the image.
        random_start: whether to start at a random point of the ball.
        training_mode: whether the attack sees the model in training mode, with the statistics of
            the batch and with dropout.  As in the published code, each of its forward passes, one
            for the gradient and one for predicted labels, then moves the running averages as well.
            For FGSM without a random start.  A softmax at the model's end is not cut off then: an
            attack on saturated probabilities has no gradient.  By default the model is in
            inference mode and nothing in it moves.
        clip: (low, high), the range of valid inputs, or None.
        from_logits: as in `spectral_keras.attacks.pgd`, but a model whose end is not known counts
            as giving logits unless this is False.
        seed: integer for the random starts, or None.

    Raises:
        ValueError: for an argument that does not fit.

    Example:

    >>> import keras, numpy as np
    >>> from spectral_keras.training import AdversarialExamples
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    >>> x, y = np.full((6, 4), 0.5, "float32"), np.zeros(6, "int32")
    >>> attacked = AdversarialExamples(eps=0.25, share=0.5)(model, x, y)
    >>> abs(np.array(attacked) - x).max(axis=1).tolist()
    [0.25, 0.25, 0.25, 0.0, 0.0, 0.0]
    """

    def __init__(
        self,
        attack="fgsm",
        eps=8 / 255,
        *,
        steps=None,
        step_size=None,
        norm="inf",
        share=1.0,
        labels="given",
        random_start=False,
        training_mode=False,
        clip=(0.0, 1.0),
        from_logits=None,
        seed=None,
    ):
        self.attack = check_choice("attack", attack, ("fgsm", "pgd"))
        self.norm = check_choice("norm", norm, arguments.NORMS)
        self.eps = _check_size("eps", eps, norm)
        self.steps = None if steps is None else check_positive_int("steps", steps)
        if attack == "fgsm" and self.steps not in (None, 1):
            raise ValueError(f'`steps` must be 1 for "fgsm". Received: steps={steps}')
        self.step_size = None if step_size is None else _check_size("step_size", step_size, norm)
        self.share = check_number("share", share, low=0, high=1)
        self.labels = check_choice("labels", labels, ("given", "predicted"))
        self.random_start = check_bool("random_start", random_start)
        self.training_mode = check_bool("training_mode", training_mode)
        if training_mode and (attack != "fgsm" or random_start):
            raise ValueError(
                '`training_mode` must be False but for attack="fgsm" without a random start. '
                f"Received: attack={attack!r}, random_start={random_start}"
            )
        self.clip = arguments.check_clip(clip)
        self.from_logits = check_choice("from_logits", from_logits, (None, True, False))
        self.seed = None if seed is None else check_positive_int("seed", seed, minimum=0)

    @classmethod
    def published(cls, eps=0.3, std=(0.247, 0.243, 0.261), **kwargs):
        """FGSM as the published code of "Fourier transform as an auxiliary task" trains with it.

        Radius `eps` in units of the standard deviations `std` by which that code divides the
        channels of [0, 1] images, without clipping, against the model's own predictions, and with
        the model in training mode.

        Args:
            eps: radius in normalised units.
            std: deviation of each channel in the units of the model's input.
            **kwargs: further arguments of `AdversarialExamples`.
        """
        published = {"labels": "predicted", "training_mode": True, "clip": None, **kwargs}
        return cls("fgsm", [eps * deviation for deviation in std], **published)

    def for_validation(self):
        """The same attack on every image, with the model in inference mode."""
        return type(self)(**{**self.get_config(), "share": 1.0, "training_mode": False})

    def seed_generator(self):
        """A new generator for the random starts, None where there are none."""
        return keras.random.SeedGenerator(self.seed) if self.random_start else None

    def __call__(self, model, x, y=None, *, seed_generator=None):
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
        if self.random_start and seed_generator is None:
            raise ValueError(
                "`seed_generator` must be a keras.random.SeedGenerator for random starts. "
                "Received: seed_generator=None"
            )
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
        return perturb(
            model,
            x,
            y,
            self.eps,
            self.step_size,
            self.steps or (1 if self.attack == "fgsm" else 7),
            norm=self.norm,
            random_start=seed_generator if self.random_start else None,
            from_logits=self.from_logits,
            clip=self.clip,
        )

    def _attack_in_training_mode(self, model, x, y):
        _, ending = logits_function(model, self.from_logits)
        probabilities = ending == "softmax" or self.from_logits is False

        def outputs_of(images):
            return ops.cast(model(images, training=True), "float32")

        def logits_of(images):
            outputs = outputs_of(images)
            return ops.log(ops.maximum(outputs, _TINY)) if probabilities else outputs

        if y is None:
            y = ops.cast(ops.argmax(ops.stop_gradient(outputs_of(x)), axis=-1), "int32")
        if keras.backend.backend() != "jax":
            return perturb(
                logits_of, x, y, self.eps, self.step_size, norm=self.norm, clip=self.clip
            )
        # Updates of variables cannot leave the trace of a gradient: they are dropped there, and
        # made by a second, equal pass, which the compiler merges with the first.
        mapping = [(v, ops.stop_gradient(v.value)) for v in model.variables]
        with keras.StatelessScope(state_mapping=mapping):
            attacked = perturb(
                logits_of, x, y, self.eps, self.step_size, norm=self.norm, clip=self.clip
            )
        outputs_of(x)
        return attacked

    def get_config(self):
        return {
            "attack": self.attack,
            "eps": self.eps,
            "steps": self.steps,
            "step_size": self.step_size,
            "norm": self.norm,
            "share": self.share,
            "labels": self.labels,
            "random_start": self.random_start,
            "training_mode": self.training_mode,
            "clip": None if self.clip is None else list(self.clip),
            "from_logits": self.from_logits,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def _check_size(name, value, norm):
    """A number, or for "inf" a nested list of numbers; the shape is checked by the attack."""
    array = arguments.as_array(value)
    return np.asarray(arguments.check_size(name, value, norm, array.shape)).tolist()
