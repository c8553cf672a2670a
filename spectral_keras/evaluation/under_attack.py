"""Accuracy under attack."""

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike

from spectral_keras.attacks import RADII, Attack
from spectral_keras.classifiers.arguments import check_classifier, check_images, check_progress
from spectral_keras.classifiers.intervals import wilson_interval
from spectral_keras.classifiers.predictions import predict_classes
from spectral_keras.evaluation.outcomes import (
    Outcome,
    attack_outcomes,
    carry_over,
    check_attack,
    check_classes,
    check_radii,
)
from spectral_keras.ops.validation import check_positive_int

__all__ = ["accuracy_point", "accuracy_points", "accuracy_under_attack"]


def accuracy_under_attack(
    model: keras.Layer,
    x: ArrayLike,
    y: ArrayLike,
    attacks: str | Attack | Sequence[str | Attack] = ("fgsm", "pgd"),
    eps: float | Iterable[float] | None = None,
    *,
    labels: str = "given",
    batch_size: int = 128,
    progress: Callable[[str, float, int, int], None] | None = None,
) -> dict[str, Any]:
    """The share of attacked images that the model classifies correctly, for each attack and eps.

    An image that a smaller eps fools counts as fooled at every larger one (the balls are nested,
    see `attack_outcomes`): with given labels the accuracy never rises with eps. Under FGSM, one
    step of length eps, it may.

    Args:
        model: Keras classifier with one input and one output [N, K]: logits, or probabilities.
        x: images [N, ...] as the model takes them, numpy array or tensor of floats in `clip`.
        y: the true classes: integers [N] or [N, 1], or one-hot rows [N, K].
        attacks: name of an attack (with the default values) or an untargeted `Attack`, whose radius
            does not count; or several of them, of one norm and range, no name twice.
        eps: a radius of at least 0 or several, in the units of `x`. None for 0, 1, 2, 4, 8 and 16
            steps of 1/255; with norm "l2" for 0, 1/8, 1/4, 1/2 and 1.
        labels: "given" to attack with the true classes, "predicted" with what the model says of
            the unattacked images. The accuracy is that for the true classes either way.
        batch_size: images at a time.
        progress: None, or a callable `(attack, eps, images done, images in all)`.

    Returns:
        A dict of plain values, for JSON:

        - "images": N.
        - "clean": a point (below, without "eps") of the unattacked images.
        - "attacks": name -> list of points in ascending order of "eps". A point also has
          "correct" (number of images), "accuracy" (their share) and "interval" ([low, high],
          Wilson's for 95 %).
        - "settings": what else the numbers depend on: "labels", and name -> values of the attack.

    Raises:
        ValueError: for an argument that does not fit.

    Warns:
        RuntimeWarning: if images have no usable gradient: the accuracy then says nothing.

    Example:

    >>> import numpy as np, keras
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Identity()])
    >>> x = np.array([[0.25, 0.75], [0.4375, 0.5625]])
    >>> result = accuracy_under_attack(model, x, [1, 1], "pgd", (0, 0.125, 0.375))
    >>> [(point["eps"], point["accuracy"]) for point in result["attacks"]["pgd"]]
    [(0.0, 1.0), (0.125, 0.5), (0.375, 0.0)]
    """
    chosen = _check_attacks(attacks)
    check_progress(progress)
    eps = check_radii(RADII[chosen[0].norm] if eps is None else eps)
    batch_size = check_positive_int("batch_size", batch_size)
    x = check_images(x, check_classifier(model), chosen[0].clip)
    y = check_classes(y, model, x)
    clean = predict_classes(model, x, batch_size=batch_size, from_logits=chosen[0].from_logits)
    points = {}
    for attack in chosen:
        outcomes = attack_outcomes(
            model,
            x,
            y,
            attack,
            eps,
            labels=labels,
            batch_size=batch_size,
            clean=clean,
            progress=progress and functools.partial(progress, attack.name),
        )
        points[attack.name] = accuracy_points(attack.name, outcomes)
    settings = {attack.name: attack.plain() for attack in chosen}
    for values in settings.values():
        del values["name"], values["eps"]
    return {
        "images": len(x),
        "clean": accuracy_point(clean == y),
        "attacks": points,
        "settings": {"labels": labels, **settings},
    }


def _check_attacks(attacks):
    """One or several attacks as a list, each name once."""
    several = list(attacks) if isinstance(attacks, (list, tuple)) else [attacks]
    if not several:
        raise ValueError("`attacks` must hold at least one attack. Received: none")
    checked = [check_attack("attacks", attack) for attack in several]
    checked = list(dict.fromkeys(checked))
    for name in ("name", "norm", "clip"):
        values = [getattr(attack, name) for attack in checked]
        if (len(set(values)) == len(values)) if name == "name" else (len(set(values)) == 1):
            continue
        raise ValueError(
            "`attacks` must be of one norm and one range, no name twice. Received: "
            f"{name} {', '.join(map(repr, values))}"
        )
    return checked


def accuracy_points(attack: str, outcomes: Iterable[Outcome]) -> list[dict[str, Any]]:
    """Accuracy at each eps, in ascending order, from what became of each image.

    Args:
        attack: name of the attack; but for "fgsm" what smaller radii have found is carried over.
        outcomes: `Outcome`s of `attack_outcomes`, of one call or of several that add radii.

    Returns:
        List of dicts of plain values: "eps", and what `accuracy_point` gives.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.evaluation import Outcome
    >>> outcome = Outcome(0.1, np.array([True, False]), np.array([False, True]))
    >>> [(point["eps"], point["correct"]) for point in accuracy_points("pgd", [outcome])]
    [(0.1, 1)]
    """
    return [
        {"eps": outcome.eps, **accuracy_point(outcome.correct)}
        for outcome in carry_over(attack, outcomes)
    ]


def accuracy_point(correct: np.ndarray) -> dict[str, Any]:
    """Number, share and 95 % interval of the images [N] that are correct, as a plain dict.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.evaluation import accuracy_point
    >>> point = accuracy_point(np.array([True, True, False, True]))
    >>> point["correct"], point["accuracy"]
    (3, 0.75)
    """
    count = int(np.sum(correct))
    return {
        "correct": count,
        "accuracy": count / len(correct),
        "interval": list(wilson_interval(count, len(correct))),
    }
