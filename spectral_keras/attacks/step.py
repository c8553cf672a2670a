"""One step of an attack: what it makes large, and how images move; compiled once per model."""

from collections.abc import Callable
from typing import Any, cast

import keras
from keras import ops

from spectral_keras.attacks.attack import Attack
from spectral_keras.attacks.balls import inf_step, l2_step
from spectral_keras.classifiers.batches import fixed_batch_size
from spectral_keras.classifiers.compiled import compile_function, keep_for_model
from spectral_keras.classifiers.gradients import input_gradient
from spectral_keras.classifiers.logits import logits_function

__all__ = [
    "attack_step",
    "compiled_look",
    "compiled_step",
    "look",
    "look_with_gradient",
    "objective",
]

# Stands for "this class does not count" in a maximum over classes.
_NEVER = -3e38


def objective(logits: Any, labels: Any, loss: str, targeted: bool) -> Any:
    """[N] numbers that rise as the attack comes nearer to its goal.

    Cross-entropy is computed as the log-odds log sum_{j != y} exp(z_j) - z_y. Cross-entropy
    itself is log(1 + exp(log-odds)): it rises with the log-odds, and its gradient is the one of
    the log-odds times the probability of the other classes. An attack uses the sign or
    the direction of the gradient only, which this factor does not change, except that in float32 it
    becomes 0 once the logits differ by about 100: a confident or scaled network would seem to have
    no gradient. The log-odds keep theirs.

    Args:
        logits: [N, K] float32.
        labels: [N] integers, the true class or with `targeted` the wanted one.
        loss: "cross_entropy"; "margin" for max_{j != y} z_j - z_y; or "dlr" for the margin divided
            by the difference of the largest and the third largest logit, which no scale of the
            logits changes (difference of logits ratio, Croce and Hein 2020, equation (6)).
        targeted: whether `labels` are to be reached and not to be left.
    """
    chosen = ops.equal(ops.arange(logits.shape[-1], dtype="int32")[None], labels[:, None])
    own = ops.sum(ops.where(chosen, logits, 0.0), axis=-1)
    others = ops.where(chosen, _NEVER, logits)
    others = ops.logsumexp(others, axis=-1) if loss == "cross_entropy" else ops.max(others, axis=-1)
    values = own - others if targeted else others - own
    if loss != "dlr":
        return values
    if logits.shape[-1] < 3:
        raise ValueError(
            '`loss` must be "cross_entropy" or "margin" for two classes. Received: loss=\'dlr\''
        )
    largest = ops.top_k(logits, 3)[0]
    return values / (largest[:, 0] - largest[:, 2] + 1e-12)


def look(logits_of: Callable[[Any], Any], images: Any, labels: Any, attack: Attack) -> tuple:
    """(sum of the objective, (fooled, objective)) of images as in `compiled_step`."""
    logits = logits_of(images)
    predicted = ops.cast(ops.argmax(logits, axis=-1), "int32")
    wanted = ops.where(labels < 0, predicted, labels)
    values = objective(logits, wanted, cast(str, attack.loss), attack.targeted)
    at_label = ops.equal(predicted, wanted)
    return ops.sum(values), (at_label if attack.targeted else ops.logical_not(at_label), values)


def look_with_gradient(
    logits_of: Callable[[Any], Any], images: Any, labels: Any, attack: Attack
) -> tuple[Any, Any, Any, Any]:
    """(gradient of the objective, fooled, objective, stuck) as in `compiled_step`."""
    gradient, (fooled, values) = input_gradient(
        lambda x: look(logits_of, x, labels, attack), images, has_aux=True
    )
    # A value that is not finite would spread to the image.
    gradient = ops.where(ops.isfinite(gradient), gradient, ops.zeros_like(gradient))
    stuck = ops.all(ops.equal(gradient, 0.0), axis=tuple(range(1, len(images.shape))))
    return gradient, fooled, values, stuck


def attack_step(
    logits_of: Callable[[Any], Any],
    images: Any,
    labels: Any,
    size: Any,
    ball: tuple,
    attack: Attack,
) -> tuple[Any, Any, Any, Any]:
    """(moved images, fooled, objective, stuck) as in `compiled_step`; can be traced."""
    gradient, fooled, values, stuck = look_with_gradient(logits_of, images, labels, attack)
    if attack.norm == "inf":
        moved = inf_step(images, gradient, size, *ball)
    else:
        center, radius, clip = ball
        moved = l2_step(images, gradient, size, center, radius, clip[0], clip[1])
    return moved, fooled, values, stuck


def compiled_step(
    model: keras.Layer,
    sample_shape: tuple[int, ...],
    from_logits: bool | None,
    attack: Attack,
    early_stop: bool,
) -> Callable[..., tuple[Any, Any, Any, Any]]:
    """function(images, labels, moves, step, *ball) -> (images, fooled, objective, stuck).

    Args of the function, for a batch of m images:
        images: [m, *sample_shape], where the attack stands.
        labels: [m] int32; -1 for the class that the model gives `images`.
        moves: [m] bool; images that are not to change.
        step: [1, *sample_shape] for "inf", [1] for "l2".
        ball: low, high, each [m, *sample_shape], for "inf"; center [m, *sample_shape], radius [1]
            and clip [2] for "l2".

    Returns of the function:
        The moved images (with early stop those that had fooled the model stay), and of the
        images that came in: whether they fooled the model, their objective, and whether their
        gradient was zero or not finite in every entry.
    """

    def build():
        logits_of, _ = logits_function(model, from_logits)

        def step(images, labels, moves, size, *ball):
            moved, fooled, values, stuck = attack_step(
                logits_of, images, labels, size, ball, attack
            )
            stays = ops.logical_not(moves)
            if early_stop:
                stays = ops.logical_or(stays, fooled)
            stays = ops.reshape(stays, (-1, *[1] * len(sample_shape)))
            return ops.where(stays, images, moved), fooled, values, stuck

        count = fixed_batch_size(model)
        batch = ("float32", (count, *sample_shape))
        if attack.norm == "inf":
            rest = [("float32", (1, *sample_shape)), batch, batch]
        else:
            rest = [("float32", (1,)), batch, ("float32", (1,)), ("float32", (2,))]
        arguments = [batch, ("int32", (count,)), ("bool", (count,)), *rest]
        return compile_function(step, list(model.variables), arguments)

    # Radius, length and number of steps are no part of what is compiled.
    traced = attack.norm, attack.loss, attack.targeted, early_stop
    return keep_for_model(model, ("step", sample_shape, from_logits, *traced), build)


def compiled_look(
    model: keras.Layer,
    sample_shape: tuple[int, ...],
    from_logits: bool | None,
    attack: Attack,
    gradient: bool,
) -> Callable[..., tuple]:
    """function(images, labels) -> ([gradient,] fooled, objective[, stuck]), see `compiled_step`."""

    def build():
        logits_of, _ = logits_function(model, from_logits)

        def function(images, labels):
            if gradient:
                return look_with_gradient(logits_of, images, labels, attack)
            return look(logits_of, images, labels, attack)[1]

        count = fixed_batch_size(model)
        arguments = [("float32", (count, *sample_shape)), ("int32", (count,))]
        return compile_function(function, list(model.variables), arguments)

    key = ("look", sample_shape, from_logits, attack.loss, attack.targeted, gradient)
    return keep_for_model(model, key, build)
