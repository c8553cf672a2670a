"""Outputs that are not numbers have no largest: nothing counts them as class 0."""

import keras
import numpy as np
import pytest

from spectral_keras.analysis.masks import learn_mask, learn_masks
from spectral_keras.classifiers import predict_classes
from spectral_keras.evaluation import accuracy_under_attack, accuracy_under_corruption
from spectral_keras.experiments.explain.source import predictions

X = np.random.default_rng(0).random((4, 8, 8, 1)).astype("float32")
Y = np.zeros(4, int)


def network(numbers):
    """Two logits, the second infinite or, without `numbers`, the difference of two infinities."""
    image = keras.Input((8, 8, 1))
    mean = keras.layers.GlobalAveragePooling2D()(image)
    huge = 3e38 * (1e3 * mean)
    return keras.Model(
        image, keras.ops.concatenate([mean, huge if numbers else huge - huge], axis=-1)
    )


@pytest.mark.parametrize(
    "function",
    [
        lambda m: predict_classes(m, X),
        lambda m: predictions(m, X),
        lambda m: accuracy_under_attack(m, X, Y, "fgsm", (0.1,)),
        lambda m: accuracy_under_corruption(m, (255 * X).astype("uint8"), Y, "fog", 1),
        lambda m: learn_mask(m, (X, Y), epochs=1),
        lambda m: learn_masks(m, X),
    ],
    ids=["predict", "explain", "attack", "corruption", "mask", "masks"],
)
def test_not_numbers(function):
    with pytest.raises(FloatingPointError, match="not numbers for 4 of 4 images"):
        function(network(False))


def test_an_infinite_output_is_the_largest():
    for function in (predict_classes, predictions):
        assert function(network(True), X).tolist() == [1, 1, 1, 1]
