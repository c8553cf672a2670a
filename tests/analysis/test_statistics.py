"""Mask statistics against NumPy, scikit-learn and the FFT."""

import json

import numpy as np
import pytest

from spectral_keras.analysis.statistics import (
    band_recovery,
    complement,
    filtered_images,
    gain_share,
    mask_differences,
    scale_differences,
    sparsity,
    zero_share,
)


def random_masks(*shape):
    rng = np.random.default_rng(3)
    return rng.random(shape) * (rng.random(shape) < 0.6)


class TestSizes:
    def test_sparsity_and_zeros(self):
        mask = np.array([[[1.0, 0.5], [0.0, -0.5]], [[0, 0], [0, 0]]])
        np.testing.assert_array_equal(sparsity(mask), [0.5, 0])
        np.testing.assert_array_equal(zero_share(mask), [0.25, 1])
        np.testing.assert_array_equal(zero_share(mask, 0.5), [0.75, 1])
        assert sparsity(np.ones((5, 7))) == 1

    def test_errors(self):
        with pytest.raises(ValueError, match="`threshold`.*>= 0"):
            zero_share(np.ones((2, 2)), -0.1)


class TestDifferences:
    def test_of_one_and_of_many(self):
        masks, reference = random_masks(3, 4, 4), random_masks(4, 4)
        np.testing.assert_array_equal(mask_differences(masks, reference)[1], masks[1] - reference)
        np.testing.assert_array_equal(mask_differences(masks, masks), np.zeros((3, 4, 4)))
        with pytest.raises(ValueError, match="`reference` must have the shape"):
            mask_differences(masks, reference[:3])

    def test_joint_scaling_is_of_all_together(self):
        differences = np.stack([[[-1.0, 0.0]], [[0.0, 3.0]]])
        scaled = scale_differences(differences, "joint")
        np.testing.assert_allclose(scaled, [[[-0.5, -0.25]], [[-0.25, 0.5]]])

    def test_zero_is_the_middle_of_the_symmetric_scaling(self):
        differences = np.stack([[[-1.0, 0.0]], [[0.0, 4.0]]])
        scaled = scale_differences(differences, "symmetric")
        np.testing.assert_allclose(scaled, [[[-0.125, 0]], [[0, 0.5]]])

    @pytest.mark.parametrize("scaling", ["joint", "symmetric"])
    def test_no_differences(self, scaling):
        assert not scale_differences(np.zeros((2, 3, 3)), scaling).any()

    def test_an_unknown_scaling(self):
        with pytest.raises(ValueError, match="`scaling` must be one of 'joint', 'symmetric'"):
            scale_differences(np.ones((2, 2)), "minmax")


class TestComplement:
    def test_values_and_nothing_in_place(self):
        masks = np.array([[1.0, 0.0], [1e-9, 0.3]], "float32")
        before = masks.copy()
        np.testing.assert_array_equal(complement(masks), [[0, 1], [0, 0]])
        np.testing.assert_array_equal(complement(masks, 1e-8), [[0, 1], [1, 0]])
        np.testing.assert_array_equal(masks, before)

    def test_the_complement_of_the_complement_is_the_support(self):
        masks = random_masks(3, 5, 5)
        np.testing.assert_array_equal(complement(complement(masks)), masks > 0)


class TestFilteredImages:
    @pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
    @pytest.mark.parametrize("size", [(8, 8), (7, 10)])
    @pytest.mark.parametrize("own", [False, True])
    def test_against_numpy(self, data_format, size, own):
        rng = np.random.default_rng(0)
        images = rng.random((5, *size, 3))
        masks = random_masks(5, *size) if own else random_masks(*size)
        factor = masks[..., None]
        spectra = np.fft.fft2(images, axes=(1, 2)) * factor
        expected = np.fft.ifft2(spectra, axes=(1, 2)).real
        first = data_format == "channels_first"
        given = np.moveaxis(images, -1, 1) if first else images
        result = filtered_images(given, masks, data_format=data_format, batch_size=2)
        assert result.dtype == np.float32
        result = np.moveaxis(result, 1, -1) if first else result
        np.testing.assert_allclose(result, expected, atol=2e-6)

    def test_many_images_in_one_batch(self):
        """Above 16 images the other implementation of the filter is taken."""
        images, masks = np.random.default_rng(0).random((20, 6, 6, 1)), random_masks(20, 6, 6)
        spectra = np.fft.fft2(images[..., 0]) * masks
        result = filtered_images(images, masks)[..., 0]
        np.testing.assert_allclose(result, np.fft.ifft2(spectra).real, atol=2e-6)

    def test_errors(self):
        images = np.zeros((2, 4, 4, 1))
        with pytest.raises(ValueError, match=r"`masks` must have the shape \(4, 4\)"):
            filtered_images(images, np.ones((3, 4, 4)))
        with pytest.raises(ValueError, match="`images` must be of rank 4"):
            filtered_images(images[0], np.ones((4, 4)))
        with pytest.raises(ValueError, match="`batch_size`"):
            filtered_images(images, np.ones((4, 4)), batch_size=0)


class TestGainShare:
    def test_counts(self):
        reference = np.zeros((20, 3))
        energies = np.zeros((20, 3))
        energies[:15, 0] = 2e-6  # a small gain counts
        energies[:5, 2] = -1
        result = gain_share(energies, reference)
        assert result["images"] == 20
        assert result["gained"] == [15, 0, 0]
        assert result["share"] == [0.75, 0, 0]
        # Newcombe (1998), table I, for 0 of 20.
        assert result["high"][1] == pytest.approx(0.1611, abs=5e-5) and result["low"][1] == 0
        assert result["low"][0] < 0.75 < result["high"][0]
        assert json.loads(json.dumps(result)) == result

    def test_rounding_is_no_gain(self):
        energies = np.array([[1.0, 0.5], [1.0, 0.5]])
        nearly = energies + [[2e-16, 2e-6], [-2e-16, -2e-6]]
        result = gain_share(nearly, energies)
        assert result["gained"] == result["lost"] == [0, 1]
        assert gain_share(nearly, energies, tolerance=0)["gained"] == [1, 1]

    def test_errors(self):
        with pytest.raises(ValueError, match=r"`reference` must have the shape \(2, 3\)"):
            gain_share(np.zeros((2, 3)), np.zeros((3, 3)))
        with pytest.raises(ValueError, match=r"`energies` must have shape \(images, bands\)"):
            gain_share(np.zeros((2, 3, 1)), np.zeros((2, 3, 1)))
        with pytest.raises(ValueError, match="`confidence`"):
            gain_share(np.zeros((2, 3)), np.zeros((2, 3)), confidence=1)


class TestBandRecovery:
    @pytest.mark.parametrize("levels", [2, 5, 1000])
    def test_against_scikit_learn(self, levels):
        metrics = pytest.importorskip("sklearn.metrics")
        rng = np.random.default_rng(levels)
        truth = rng.random((9, 8)) < 0.3
        # Few levels: many ties.
        mask = np.floor(rng.random((9, 8)) * levels + truth) / levels
        result = band_recovery(mask, truth, threshold=0.5)
        found, flat = (mask > 0.5).ravel(), truth.ravel()
        assert result["precision"] == pytest.approx(metrics.precision_score(flat, found))
        assert result["recall"] == pytest.approx(metrics.recall_score(flat, found))
        assert result["f1"] == pytest.approx(metrics.f1_score(flat, found))
        expected = metrics.average_precision_score(flat, mask.ravel())
        assert result["average_precision"] == pytest.approx(expected)
        assert result["chance"] == truth.mean()

    def test_the_truth_itself_and_its_opposite(self):
        truth = random_masks(6, 6) > 0.3
        result = band_recovery(truth.astype(float), truth)
        assert [result[key] for key in ("precision", "recall", "f1", "average_precision")] == [
            1
        ] * 4
        result = band_recovery(1.0 - truth, truth)
        assert [result[key] for key in ("precision", "recall", "f1")] == [0] * 3

    def test_a_constant_mask_is_at_chance(self):
        truth = random_masks(6, 6) > 0.3
        result = band_recovery(np.full((6, 6), 0.7), truth)
        assert result["average_precision"] == pytest.approx(result["chance"])
        assert result["recall"] == 1 and result["precision"] == pytest.approx(truth.mean())

    def test_an_empty_mask_finds_nothing(self):
        result = band_recovery(np.zeros((4, 4)), np.eye(4, dtype=bool))
        assert result["precision"] == 0 and result["recall"] == 0 and result["found"] == 0
        assert json.loads(json.dumps(result)) == result

    def test_ignored_frequencies(self):
        truth = np.array([[False, True], [True, False]])
        mask = np.array([[1.0, 1.0], [0.0, 0.0]])
        dc = np.array([[True, False], [False, False]])
        assert band_recovery(mask, truth)["precision"] == 0.5
        result = band_recovery(mask, truth, ignore=dc)
        assert result["precision"] == 1 and result["frequencies"] == 3

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"truth": np.zeros((4, 4), bool)}, "`truth` must be True at one frequency at least"),
            ({"truth": np.ones((4, 4))}, "`truth` must be a bool array.*Received: float64"),
            ({"truth": np.ones((4, 5), bool)}, r"`truth` must be a bool array of shape \(4, 4\)"),
            ({"mask": np.ones((2, 4, 4))}, r"`mask` must have shape \(height, width\)"),
            ({"ignore": np.ones(4, bool)}, "`ignore` must be a bool array"),
            ({"threshold": -1}, "`threshold`"),
        ],
    )
    def test_errors(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            band_recovery(**{"mask": np.ones((4, 4)), "truth": np.eye(4, dtype=bool), **arguments})
