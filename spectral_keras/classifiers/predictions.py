"""The classes that a model gives images."""

import keras
import numpy as np
from numpy.typing import ArrayLike

from spectral_keras.classifiers.arguments import check_classifier, check_images
from spectral_keras.classifiers.batches import batch_sizes, build_for, run_in_batches
from spectral_keras.classifiers.logits import compiled_logits
from spectral_keras.ops.validation import check_positive_int

__all__ = ["check_numbers", "predict_classes"]


def predict_classes(
    model: keras.Layer, x: ArrayLike, *, batch_size: int = 128, from_logits: bool | None = None
) -> np.ndarray:
    """The class of the largest output for each image, with what the attacks compiled.

    Args:
        model: Keras classifier with one input and one output [N, K]: logits or probabilities.
        x: images [N, ...] as the model takes them, numpy array or tensor of floats.
        batch_size: images at a time.
        from_logits: what the output of a model of one output is, where its last layer does not say
            it (see `Attack`); of several outputs the largest counts either way.

    Returns:
        Int32 numpy array [N].

    Raises:
        ValueError: for an argument that does not fit.
        FloatingPointError: if an output is not a number; its largest is none.

    Example:

    >>> import numpy as np, keras
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Softmax()])
    >>> predict_classes(model, np.array([[0.1, 0.9], [0.8, 0.2]])).tolist()
    [1, 0]
    """
    check_classifier(model)
    x = check_images(x, model)
    build_for(model, x)
    if not len(x):
        return np.zeros(0, np.int32)
    # The largest of several logits or probabilities is the same.
    logits_of = compiled_logits(model, x.shape[1:], from_logits)
    sizes = batch_sizes(model, check_positive_int("batch_size", batch_size), len(x))
    logits = run_in_batches(logits_of, x, sizes)
    check_numbers(logits)
    return logits.argmax(axis=1).astype(np.int32)


def check_numbers(outputs: np.ndarray) -> None:
    """Refuse outputs [N, K] with a NaN: argmax would call them class 0."""
    broken = int(np.isnan(outputs).any(axis=1).sum())
    if broken:
        raise FloatingPointError(
            f"the outputs of the network are not numbers for {broken} of {len(outputs)} images"
        )
