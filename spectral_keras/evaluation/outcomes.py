"""What became of each image under an attack, over a range of eps."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike

from spectral_keras.attacks import LABELS, NAMES, Attack, run_attack
from spectral_keras.classifiers.arguments import (
    as_array,
    check_classifier,
    check_images,
    check_labels,
    class_count,
)
from spectral_keras.classifiers.predictions import predict_classes
from spectral_keras.ops.validation import check_choice, check_number, check_positive_int, describe

__all__ = [
    "Outcome",
    "attack_outcomes",
    "carry_over",
    "check_attack",
    "check_classes",
    "check_radii",
]


@dataclasses.dataclass(frozen=True, eq=False)
class Outcome:
    """N images under one attack at one eps.

    Attributes:
        eps: radius of the ball.
        correct: bool [N], whether the model gives the attacked image its true class.
        fooled: bool [N], whether it does not give the class that the attack led away from. With
            given labels that is `~correct`.
    """

    eps: float
    correct: np.ndarray
    fooled: np.ndarray


def attack_outcomes(
    model: keras.Layer,
    x: ArrayLike,
    y: ArrayLike,
    attack: Attack | str,
    eps: float | Iterable[float],
    *,
    labels: str = "given",
    batch_size: int = 128,
    clean: np.ndarray | None = None,
    known: Iterable[Outcome] = (),
    progress: Callable[[float, int, int], None] | None = None,
) -> Iterator[Outcome]:
    """Attack the images at each eps, the smallest first.

    The ball of a smaller eps lies in that of a larger one. So an image that is fooled counts
    as fooled, with the class it then had, at every larger eps too, and is not attacked again: the
    share of fooled images never falls as eps grows, and an image that is misclassified from the
    start costs nothing. FGSM is one step of length eps and is taken anew at each eps; it may
    well fool fewer images at a larger one.

    What happens to an image depends neither on the other images nor on the other eps, but for
    rounding; eps that come later, with the outcomes so far as `known`, complete the picture as if
    all had been asked for at once.

    Args:
        model: Keras classifier with one input and one output [N, K]: logits, or probabilities.
        x: images [N, ...] as the model takes them, floats in the attack's `clip`.
        y: the true classes: integers [N] or [N, 1], or one-hot rows [N, K].
        attack: an untargeted `Attack`, whose radius does not count, or the name of one with the
            default values.
        eps: radii of at least 0, in the units of `x`.
        labels: "given" to attack with the true classes, "predicted" with what the model says of
            the unattacked images, so that the attack knows nothing of the truth.
        batch_size: images at a time.
        clean: what `predict_classes(model, x)` gives, if that is known.
        known: the outcomes of earlier calls with the same arguments but eps; they are not yielded.
        progress: None, or a callable `(eps, images done, images in all)`.

    Yields:
        An `Outcome` for each eps that is not known, in ascending order. To see a whole range after
        later additions, give all of it to `carry_over`.

    Raises:
        ValueError: for an argument that does not fit.

    Example:

    >>> import numpy as np, keras
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Identity()])
    >>> x = np.array([[0.25, 0.75], [0.4375, 0.5625]])  # margins 1/2 and 1/8
    >>> for outcome in attack_outcomes(model, x, [1, 1], "fgsm", (0.125, 0.375)):
    ...     print(outcome.eps, outcome.correct.tolist())
    0.125 [True, False]
    0.375 [False, False]
    """
    attack = check_attack("attack", attack)
    check_choice("labels", labels, LABELS)
    radii = check_radii(eps)
    x = check_images(x, check_classifier(model), attack.clip)
    y = check_classes(y, model, x)
    batch_size = check_positive_int("batch_size", batch_size)
    predict = functools.partial(
        predict_classes, model, batch_size=batch_size, from_logits=attack.from_logits
    )
    if clean is None:
        clean = predict(x)
    start = y if labels == "given" else clean
    untouched = Outcome(0.0, clean == y, clean != start)

    nested = attack.name != "fgsm"
    earlier_calls = {outcome.eps: outcome for outcome in known}
    earlier = untouched
    for radius in sorted({*radii, *earlier_calls}):
        if radius in earlier_calls:
            outcome = earlier_calls[radius]
        elif radius == 0:
            outcome = untouched
        else:
            todo = np.flatnonzero(~earlier.fooled) if nested else np.arange(len(x))
            attacked = run_attack(
                model,
                x[todo],
                start[todo],
                dataclasses.replace(attack, eps=radius),
                batch_size=batch_size,
                index=todo,
                progress=_part(progress, radius, len(todo), len(x)),
            )
            found = predict(attacked)
            correct, fooled = earlier.correct.copy(), earlier.fooled.copy()
            correct[todo], fooled[todo] = found == y[todo], found != start[todo]
            outcome = Outcome(radius, correct, fooled)
        if nested:
            outcome = earlier = _carry(earlier, outcome)
        if radius not in earlier_calls:
            yield outcome


def check_attack(name: str, attack: Any) -> Attack:
    """An `Attack`, or the default one of a name, that leads away from classes."""
    if isinstance(attack, str):
        return Attack(check_choice(name, attack, NAMES))
    if not isinstance(attack, Attack) or attack.targeted:
        raise ValueError(
            f"`{name}` must be an untargeted Attack or one of {', '.join(map(repr, NAMES))}. "
            f"Received: {name}={describe(attack)}"
        )
    return attack


def carry_over(attack: str, outcomes: Iterable[Outcome]) -> list[Outcome]:
    """The outcomes in ascending order of eps, each with what smaller eps have found.

    Args:
        attack: name of the attack; of "fgsm" nothing is carried over.
        outcomes: iterable of `Outcome`, of calls of `attack_outcomes` with the same arguments.

    Returns:
        List of `Outcome`.

    Example:

    >>> import numpy as np
    >>> late = Outcome(0.1, np.array([False, True]), np.array([True, False]))
    >>> early = Outcome(0.2, np.array([True, False]), np.array([False, True]))
    >>> [outcome.fooled.tolist() for outcome in carry_over("pgd", [early, late])]
    [[True, False], [True, True]]
    """
    check_choice("attack", attack, NAMES)
    outcomes = sorted(outcomes, key=lambda outcome: outcome.eps)
    if attack != "fgsm":
        for place in range(1, len(outcomes)):
            outcomes[place] = _carry(outcomes[place - 1], outcomes[place])
    return outcomes


def _carry(earlier, outcome):
    """`outcome` with the images that `earlier`, of a smaller eps, has fooled."""
    correct = np.where(earlier.fooled, earlier.correct, outcome.correct)
    return Outcome(outcome.eps, correct, earlier.fooled | outcome.fooled)


def _part(progress, radius, todo, total):
    """`progress` for the attack on the last `todo` of all images; the others are done."""
    return progress and (lambda done, _: progress(radius, total - todo + done, total))


def check_radii(eps: float | Iterable[float]) -> list[float]:
    """`eps`, a number or several, as a list of floats >= 0, each once, ascending."""
    values: list[Any] = list(np.atleast_1d(np.asarray(eps, object)))
    if not values:
        raise ValueError(f"`eps` must hold at least one number. Received: eps={describe(eps)}")
    values = [value.item() if isinstance(value, np.generic) else value for value in values]
    return sorted({check_number("eps", value, low=0) for value in values})


def check_classes(y: Any, model: keras.Layer, images: np.ndarray, name: str = "x") -> np.ndarray:
    """`y` as int32 [N], classes that the model knows, for at least one image."""
    if not len(images):
        raise ValueError(f"`{name}` must hold at least one image. Received: none")
    if y is None:
        raise ValueError("`y` must be the true classes. Received: y=None")
    # A model that was never built does not know yet.
    outputs = getattr(model, "outputs", None)
    classes = class_count(outputs) if outputs else None
    if classes is None:
        y = as_array(y)
        classes = y.shape[1] if y.ndim == 2 and y.shape[1] > 1 else 2**31 - 1
    return check_labels(y, len(images), classes)
