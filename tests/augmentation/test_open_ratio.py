"""The labels of the gate against the paper's formulas."""

import itertools

import numpy as np
import pytest
from keras import ops

from spectral_keras.augmentation.open_ratio import (
    basic_open_ratios,
    full_open_ratio,
    learnable_open_ratio,
    open_ratio_labels,
    suppressed_open_ratio,
)
from tests.oracles import input_gradient, to_numpy

ALPHA = np.array([0, 0.25, 0.5, 0.75, 1], "float32")
BETA = [0.0654, 0.2407, 0.6404, 0.9226, 1.0]


class TestFormulas:
    def test_suppressed(self):
        np.testing.assert_allclose(to_numpy(suppressed_open_ratio(ALPHA)), BETA, atol=5e-5)
        assert float(suppressed_open_ratio(1.0)) == 1

    def test_full(self):
        np.testing.assert_array_equal(to_numpy(full_open_ratio(ALPHA)), np.ones(5))

    @pytest.mark.parametrize(
        ("theta", "expected"),
        [
            ([0.3, 0.3, 0.3], [1.1 / 3] * 3),
            ([5.0, -5.0, -5.0], [1.0854, 0.0073, 0.0073]),
        ],
    )
    def test_basic(self, theta, expected):
        b = to_numpy(basic_open_ratios(np.array(theta, "float32")))
        np.testing.assert_allclose(b, expected, atol=5e-5)
        assert b.sum() == pytest.approx(1.1, abs=1e-6)

    def test_learnable(self):
        b = np.full(5, 0.4, "float32")
        expected = [0.4, 0.55, 0.7, 0.85, 1.0]
        np.testing.assert_allclose(to_numpy(learnable_open_ratio(ALPHA, b)), expected, atol=1e-6)


class TestLabels:
    def test_every_configuration(self):
        band, alpha = np.array([0, 1, 2, -1]), np.array([0, 0.25, 0.5, 0.3], "float32")
        for digits in itertools.product("01", repeat=3):
            beta = to_numpy(open_ratio_labels(band, alpha, "".join(digits)))
            chosen = zip(digits, BETA[:3], strict=True)
            expected = [1.0 if digit == "1" else value for digit, value in chosen]
            np.testing.assert_allclose(beta, [*expected, 1.0], atol=5e-5)

    def test_learnable(self):
        theta = np.array([5.0, -5.0, -5.0], "float32")
        band, alpha = np.array([2, 0, -1]), np.array([0.5, 0.0, 0.0], "float32")
        beta = to_numpy(open_ratio_labels(band, alpha, "learnable", theta=theta))
        np.testing.assert_allclose(beta, [0.5 * 0.0073 + 0.5, 1.0854, 1.0], atol=5e-5)

    def test_gradient_reaches_theta(self):
        def scalar(theta):
            beta = open_ratio_labels([0, 1, 2], ops.zeros((3,)), "learnable", theta=theta)
            return beta[0]

        # b_0 = 1.1 s_0 / S: at equal theta = 0, S = 3/2 and ds/dtheta = 1/4.
        gradient = input_gradient(scalar, np.zeros(3, "float32"))
        expected = 1.1 * np.array([0.25 * 1.0, -0.25 * 0.5, -0.25 * 0.5]) / 1.5**2
        np.testing.assert_allclose(gradient, expected, atol=1e-6)

    def test_sense_of_alpha(self):
        beta = open_ratio_labels(np.zeros(5, int), 1 - ALPHA, alpha_is="suppressed")
        np.testing.assert_allclose(to_numpy(beta), BETA, atol=5e-5)

    def test_errors(self):
        with pytest.raises(ValueError, match="configuration='01'"):
            open_ratio_labels([0], [0.5], "01")
        with pytest.raises(ValueError, match="alpha_is='left'"):
            open_ratio_labels([0], [0.5], alpha_is="left")
        with pytest.raises(ValueError, match="`theta` is needed"):
            open_ratio_labels([0], [0.5], "learnable")
