"""Accuracy under attack."""

import functools

import numpy as np

from spectral_keras.attacks import arguments, predict_classes
from spectral_keras.evaluation.intervals import wilson_interval
from spectral_keras.evaluation.outcomes import (
    ATTACKS,
    attack_outcomes,
    check_classes,
    check_radii,
)
from spectral_keras.ops.validation import check_choice, check_positive_int

# In units of images in [0, 1]; grey levels of 8-bit images for the L-inf ball.
EPS = {
    "inf": tuple(k / 255 for k in (0, 1, 2, 4, 8, 16)),
    "l2": (0.0, 0.125, 0.25, 0.5, 1.0),
}


def accuracy_under_attack(
    model,
    x,
    y,
    attacks=ATTACKS,
    eps=None,
    *,
    norm="inf",
    steps=10,
    step_size=None,
    restarts=1,
    labels="given",
    from_logits=None,
    loss="cross_entropy",
    batch_size=128,
    seed=0,
    clip=(0.0, 1.0),
    progress=None,
):
    """The share of attacked images that the model classifies correctly, for each attack and eps.

    Under PGD an image that a smaller eps fools counts as fooled at every larger one (the balls are
    nested, see `attack_outcomes`): with given labels the accuracy never rises with eps. Under
    FGSM, one step of length eps, it may.

    Args:
        model: Keras classifier with one input and one output [N, K]: logits, or probabilities.
        x: images [N, ...] as the model takes them, numpy array or tensor of floats in `clip`.
        y: the true classes: integers [N] or [N, 1], or one-hot rows [N, K].
        attacks: "fgsm", "pgd" or several of them.
        eps: a radius of at least 0 or several, in the units of `x`. None for 0, 1, 2, 4, 8 and 16
            steps of 1/255; with norm "l2" for 0, 1/8, 1/4, 1/2 and 1.
        norm: "inf" or "l2".
        steps, step_size, restarts, seed: of PGD (random start), see `spectral_keras.attacks.pgd`.
        labels: "given" to attack with the true classes, "predicted" with what the model says of
            the unattacked images. The accuracy is that for the true classes either way.
        from_logits, loss, batch_size, clip: see `spectral_keras.attacks.pgd`.
        progress: None, or a callable `(attack, eps, images done, images in all)`.

    Returns:
        A dict of plain values, for JSON:

        - "images": N.
        - "clean": a point (below, without "eps") of the unattacked images.
        - "attacks": attack -> list of points in ascending order of "eps". A point also has
          "correct" (number of images), "accuracy" (their share) and "interval" ([low, high],
          Wilson's for 95 %).
        - "settings": what else the numbers depend on.

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
    attacks = (attacks,) if isinstance(attacks, str) else tuple(attacks)
    if not attacks:
        raise ValueError("`attacks` must hold at least one attack. Received: none")
    for attack in attacks:
        check_choice("attacks", attack, ATTACKS)
    arguments.check_kind(norm, loss, from_logits)
    arguments.check_progress(progress)
    eps = check_radii(EPS[norm] if eps is None else eps)
    batch_size = check_positive_int("batch_size", batch_size)
    x = arguments.check_images(x, arguments.check_model(model), arguments.check_clip(clip))
    y = check_classes(y, model, x)
    clean = predict_classes(model, x, batch_size=batch_size)
    search = {"norm": norm, "labels": labels, "steps": steps, "step_size": step_size}
    search |= {"restarts": restarts, "loss": loss, "seed": seed}
    others = {"from_logits": from_logits, "clip": None if clip is None else list(clip)}
    points = {}
    for attack in dict.fromkeys(attacks):
        outcomes = attack_outcomes(
            model,
            x,
            y,
            attack,
            eps,
            from_logits=from_logits,
            batch_size=batch_size,
            clip=clip,
            clean=clean,
            progress=progress and functools.partial(progress, attack),
            **search,
        )
        points[attack] = [
            {"eps": outcome.eps, **accuracy_point(outcome.correct)} for outcome in outcomes
        ]
    return {
        "images": len(x),
        "clean": accuracy_point(clean == y),
        "attacks": points,
        "settings": search | others,
    }


def accuracy_point(correct):
    """Number, share and 95 % interval of the images [N] that are correct, as a plain dict."""
    count = int(np.sum(correct))
    return {
        "correct": count,
        "accuracy": count / len(correct),
        "interval": list(wilson_interval(count, len(correct))),
    }
