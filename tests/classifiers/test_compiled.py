"""What is compiled for a model goes when the model changes: results are those of a fresh model."""

import keras
import numpy as np
import pytest

from spectral_keras.analysis import fourier_heat_map, frequency_response
from spectral_keras.analysis.masks import StepRule, learn_mask, learn_masks
from spectral_keras.attacks import fgsm, pgd
from spectral_keras.classifiers import predict_classes
from spectral_keras.classifiers.compiled import keep_for_model
from spectral_keras.evaluation import accuracy_under_attack, accuracy_under_corruption
from tests.attacks.nets import images

SHAPE = (6, 6, 1)
X = images(6, SHAPE)
Y = np.arange(6) % 3
LAST = {"data_format": "channels_last"}

# Function -> what it gives for a model, arrays or plain values.
FUNCTIONS = {
    "fgsm": lambda m: fgsm(m, X, Y, 0.1),
    "pgd": lambda m: pgd(m, X, None, 0.1, steps=2),
    "predict_classes": lambda m: predict_classes(m, X),
    "accuracy_under_attack": lambda m: accuracy_under_attack(m, X, Y, "fgsm", 0.1),
    "accuracy_under_corruption": lambda m: accuracy_under_corruption(
        m, (255 * X).astype("uint8"), Y, "contrast", 3
    ),
    "fourier_heat_map": lambda m: fourier_heat_map(m, X, Y, norm=1.0, **LAST),
    "frequency_response": lambda m: frequency_response(m, "first", strength=1.0, **LAST),
    "learn_masks": lambda m: learn_masks(m, X[:2], stopping=StepRule(max_steps=4)).masks,
    "learn_mask": lambda m: learn_mask(m, (X, Y), epochs=2, learning_rate=0.1).masks,
}


def weights_like(variables, seed):
    """Weights for these variables, from numpy's generator."""
    rng = np.random.default_rng(seed)
    return [rng.normal(0.1, 0.7, v.shape) for v in variables]


def network(seed=0, activation="tanh", last=None):
    """Convolution "first", hidden layer, Dense(3) with an activation; weights by the seed."""
    model = keras.Sequential(
        [
            keras.Input(SHAPE),
            keras.layers.Conv2D(2, 3, padding="same", activation=activation, name="first", **LAST),
            keras.layers.Flatten(**LAST),
            keras.layers.Dense(3, activation=last, name="last"),
        ]
    )
    model.set_weights(weights_like(model.variables, seed))
    return model


def replaced(model, seed, activation=None):
    """The model with another last layer, in place."""
    model.pop()
    model.add(keras.layers.Dense(3, activation=activation, name="last"))
    model.layers[-1].set_weights(weights_like(model.layers[-1].variables, seed))
    return model


def popped_and_added(model):
    replaced(model, 5)


def a_softmax_added(model):
    replaced(model, 6, "softmax")


def weights_assigned(model):
    model.set_weights(weights_like(model.variables, 7))


def weights_of_a_layer_assigned(model):
    model.layers[0].kernel.assign(-0.5 * model.layers[0].kernel)


def compiled_again(model):
    model.layers[0].activation = keras.activations.relu
    model.compile("sgd", "mse")
    model.layers[0].activation = keras.activations.sigmoid
    model.compile("sgd", "mse")


def same(one, other):
    if isinstance(one, dict):
        return one == other
    np.testing.assert_array_equal(one, other)
    return True


# What is kept goes by one rule for all functions (`keep_for_model`): each one with another end of
# the network and with other weights, the other changes with functions that keep different things.
CASES = [(name, change) for name in FUNCTIONS for change in (a_softmax_added, weights_assigned)]
CASES += [
    (name, change)
    for name in ("fgsm", "frequency_response", "predict_classes")
    for change in (popped_and_added, weights_of_a_layer_assigned, compiled_again)
]


@pytest.mark.parametrize(("name", "change"), CASES)
def test_a_changed_model_gives_what_an_equal_fresh_one_gives(name, change):
    function = FUNCTIONS[name]
    model, fresh = network(), network()
    before = function(model)
    change(model)
    change(fresh)  # never used before it is as it stays
    after = function(model)
    assert same(after, function(fresh))
    if name in ("fgsm", "pgd", "fourier_heat_map", "learn_masks"):
        assert (np.asarray(before) != np.asarray(after)).any()


def test_a_change_of_a_model_within_the_model_is_seen():
    def outer():
        inner = network()
        return keras.Sequential([keras.Input(SHAPE), keras.layers.Rescaling(1.0), inner]), inner

    (model, inner), (fresh, fresh_inner) = outer(), outer()
    before = fgsm(model, X, Y, 0.1)
    replaced(inner, 8)
    replaced(fresh_inner, 8)
    after = fgsm(model, X, Y, 0.1)
    assert same(after, fgsm(fresh, X, Y, 0.1)) and (before != after).any()


def test_outputs_are_looked_at_anew():
    """Whether a subclassed model gives probabilities may change with its weights."""

    class Scaled(keras.Model):
        def __init__(self):
            super().__init__()
            self.scale = self.add_weight(shape=(), initializer="ones")
            self.inner = network(last="softmax")

        def call(self, x):
            return self.scale * self.inner(x)

    model, fresh = Scaled(), Scaled()
    fgsm(model, X, Y, 0.1)
    for each in (model, fresh):
        each.scale.assign(40.0)
    assert same(fgsm(model, X, Y, 0.1), fgsm(fresh, X, Y, 0.1))


def test_quantized_weights_are_seen():
    """They are other variables, and the end of the network is read in another way."""
    model, fresh = network(), network()
    before = pgd(model, X, Y, 0.1, steps=2)
    for each in (model, fresh):
        each.layers[-1].quantize("int8")
    after = pgd(model, X, Y, 0.1, steps=2)
    assert same(after, pgd(fresh, X, Y, 0.1, steps=2)) and after.shape == before.shape


def test_kept_while_nothing_changes():
    model, made = network(), []

    def build():
        made.append(object())
        return made[-1]

    first = keep_for_model(model, "a", build)
    assert keep_for_model(model, "a", build) is first and len(made) == 1
    model.set_weights(model.get_weights())
    model(X)
    model.predict(X, verbose=0)
    assert keep_for_model(model, "a", build) is first
    assert keep_for_model(model, "b", build) is not first and len(made) == 2
    model.compile("sgd", "mse")
    assert keep_for_model(model, "a", build) is made[2]
    model.compile("sgd", "mse")  # once more, with equal arguments
    assert keep_for_model(model, "a", build) is made[3]
