"""The objective and its gradient against float64 numpy and finite differences."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from spectral_keras.analysis.masks import objective as terms
from spectral_keras.analysis.masks.objective import Layout
from tests.analysis.masks.nets import numpy_cross_entropy, numpy_objective
from tests.oracles import float64_or_float32, random_images, to_numpy


def evaluate(size, modulate, symmetric, per_channel, data_format, channels=2, **settings):
    """(entries, layout, kernel, x, labels, gradient, total, ...) of two masks, two images each."""
    dtype = float64_or_float32()
    layout = Layout(*size, symmetric)
    objective = terms.Objective(
        **{"invariance": "exp", "penalty": 0.3, "p": 1, "modulate": modulate, **settings}
    )
    x = random_images((4, *size, channels), seed=1).astype(dtype)
    kernel = np.random.default_rng(2).normal(0, 0.4, (x[0].size, 3)).astype(dtype)
    labels = np.array([[0, 1], [2, 1]], "int32")
    shape = (2, objective.kinds, channels if per_channel else 1, layout.size)
    entries = (0.1 + 0.8 * random_images(shape, seed=3)).astype(dtype)
    unmasked = numpy_cross_entropy(x.reshape(4, -1) @ kernel, labels.ravel()).reshape(2, 2)
    last = data_format == "channels_last"
    images = x if last else np.moveaxis(x, -1, 1)

    def logits_of(images):
        images = images if last else ops.transpose(images, (0, 2, 3, 1))
        return ops.reshape(images, (-1, x[0].size)) @ ops.convert_to_tensor(kernel)

    spectra = terms.spectra_of(ops.convert_to_tensor(images), last)
    batch = (
        ops.reshape(spectra, (2, 2, *spectra.shape[1:])),
        ops.convert_to_tensor(labels),
        ops.convert_to_tensor(unmasked.astype(dtype)),
        ops.convert_to_tensor(np.full((2, 2), 0.5, dtype)),
    )
    found = terms.value_and_gradient(
        logits_of, ops.convert_to_tensor(entries), batch, layout, objective, last
    )
    return entries, layout, objective, kernel, x, labels, found


def oracle(entries, layout, objective, kernel, x, labels):
    """The objective of one mask as a function of its entries, float64."""
    masks = np.moveaxis(layout.to_full(entries.astype("float64")), 1, -1)
    amplitude = None if objective.modulate == "phase" else masks[0]
    phase = None if objective.modulate == "amplitude" else masks[-1]
    return numpy_objective(
        kernel.astype("float64"),
        x,
        labels,
        *(m if m is None or m.shape[-1] > 1 else m[..., 0] for m in (amplitude, phase)),
        penalty=objective.penalty,
        p=objective.p,
        invariance=objective.invariance,
    )


CASES = [
    ((4, 6), "amplitude", False, False, {}),
    ((5, 4), "amplitude", True, True, {"p": 2}),
    ((3, 5), "amplitude", False, True, {"invariance": "squared"}),
    ((4, 5), "phase", False, False, {}),
    ((4, 4), "phase", True, True, {"invariance": "cross_entropy"}),
    ((5, 6), "both", False, False, {"p": 1.5}),
    ((4, 3), "both", True, True, {}),
]


@pytest.mark.parametrize(("size", "modulate", "symmetric", "per_channel", "settings"), CASES)
def test_gradient_is_that_of_finite_differences(size, modulate, symmetric, per_channel, settings):
    data_format = "channels_first" if symmetric else "channels_last"
    *problem, found = evaluate(size, modulate, symmetric, per_channel, data_format, **settings)
    entries, layout, objective, kernel, x, labels = problem
    gradient, total, invariance, sparsity, _ = (to_numpy(item) for item in found)
    movable = terms.movable(layout, objective)
    for group in range(2):
        rest = (layout, objective, kernel, x[2 * group : 2 * group + 2], labels[group])
        value = oracle(entries[group], *rest)
        np.testing.assert_allclose(total[group], value, rtol=2e-6)
        full = layout.to_full(entries[group])
        np.testing.assert_allclose(sparsity[group], full.mean(), rtol=1e-6)
        size_p = (full.astype("float64") ** objective.p).mean()
        np.testing.assert_allclose(invariance[group], value - objective.penalty * size_p, rtol=2e-6)
        expected = np.zeros(entries[group].shape)
        for place in itertools.product(*map(range, expected.shape)):
            ends = []
            for step in (1e-5, -1e-5):
                moved = entries[group].astype("float64")
                moved[place] += step
                ends.append(oracle(moved, *rest))
            expected[place] = (ends[0] - ends[1]) / 2e-5 / layout.multiplicity[place[-1]]
        expected = expected * movable
        tolerance = 1e-7 if float64_or_float32() == "float64" else 1e-5
        np.testing.assert_allclose(gradient[group], expected, rtol=1e-5, atol=tolerance)


def test_at_ones_the_objective_is_one_plus_lambda():
    for penalty in (0.2, 0.07):
        layout = Layout(6, 6, False)
        objective = terms.Objective(invariance="exp", penalty=penalty, p=1, modulate="amplitude")
        x = ops.convert_to_tensor(random_images((1, 6, 6, 1)))
        kernel = np.random.default_rng(0).normal(size=(36, 2)).astype("float32")
        logits = to_numpy(x, "float64").reshape(1, -1) @ kernel
        weights = ops.convert_to_tensor(kernel)
        unmasked = numpy_cross_entropy(logits, np.array([1]))[:, None].astype("float32")
        one = np.ones((1, 1, 1, 36), "float32")
        batch = [
            terms.spectra_of(x, True)[None],
            *(
                ops.convert_to_tensor(item)
                for item in (np.array([[1]], "int32"), unmasked, np.ones((1, 1), "float32"))
            ),
        ]
        found = terms.value_and_gradient(
            lambda images, weights=weights: ops.reshape(images, (-1, 36)) @ weights,
            ops.convert_to_tensor(one), batch, layout, objective, True,
        )  # fmt: skip
        assert to_numpy(found[1], "float32")[0] == np.float32(1 + penalty)
        # d = 0: the gradient is the penalty's.
        np.testing.assert_allclose(to_numpy(found[0]), penalty / 36, rtol=1e-3)


@pytest.mark.parametrize("invariance", terms.INVARIANCES)
def test_an_uneven_mask_is_as_good_as_its_even_part(invariance):
    *problem, found = evaluate(
        (4, 5), "amplitude", False, False, "channels_last", invariance=invariance
    )
    entries, layout, objective, kernel, x, labels = problem
    masks = layout.to_full(entries)
    even = (masks + np.roll(np.flip(masks, (-2, -1)), (1, 1), (-2, -1))) / 2
    for group in range(2):
        rest = (layout, objective, kernel, x[2 * group : 2 * group + 2], labels[group])
        value = oracle(layout.from_full(even)[group], *rest)
        np.testing.assert_allclose(to_numpy(found[1])[group], value, rtol=2e-6)


def test_large_changes_do_not_overflow():
    change = ops.convert_to_tensor(np.array([0.5, 5.0, 12.0, 1e4], "float32"))
    values = to_numpy(terms.invariance_term(change, change, "exp"))
    np.testing.assert_allclose(values[:2], np.exp([0.25, 25.0]), rtol=1e-5)
    np.testing.assert_allclose(values[0], 1.2840, atol=5e-5)
    assert np.isfinite(values).all() and (np.diff(values) > 0).all()


@pytest.mark.parametrize("kind", ["exp", "squared"])
def test_first_derivative_of_the_invariance_term(kind):
    d = np.array([-1.5, -0.1, 0.0, 0.3, 2.0], "float32")
    slope, curve = terms.invariance_derivatives(
        ops.convert_to_tensor(d), ops.convert_to_tensor(d), kind
    )
    f = (lambda v: np.exp(v**2)) if kind == "exp" else np.square
    wide = d.astype("float64")
    expected = (f(wide + 1e-6) - f(wide - 1e-6)) / 2e-6
    np.testing.assert_allclose(to_numpy(slope), expected, rtol=1e-5, atol=1e-6)
    assert (to_numpy(curve) > 0).all()


def test_cross_entropy_is_numpys():
    logits = np.random.default_rng(0).normal(0, 30, (5, 7)).astype("float32")
    labels = np.array([0, 6, 3, 2, 2], "int32")
    found = terms.cross_entropy(ops.convert_to_tensor(logits), ops.convert_to_tensor(labels))
    expected = numpy_cross_entropy(logits.astype("float64"), labels)
    np.testing.assert_allclose(to_numpy(found), expected, rtol=1e-5, atol=1e-5)
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
