"""The mask curves against the tables worked out from the paper's equations."""

import numpy as np
import pytest

from spectral_keras.ops.mask_curves import (
    NOISE_BANDS,
    high_curve,
    hill_curve,
    low_curve,
    medium_curve,
    noise_curve,
    noise_masks,
    scaled_radius,
    step_curve,
    suppression_masks,
)
from tests.oracles import signed_frequency

RADII = [0, 2, 3, 4, 8, 9, 10, 11, 13, 14, 15, 16, 17, 18, 22.6]
TABLE = {
    "low": [1, 1, 1, 1, 1, 1, 2 / 3, 1 / 3, 0, 0, 0, 0, 0, 0, 0],
    "medium": [1, 2 / 3, 1 / 3, 0, 1 / 3, 2 / 3, 1, 1, 1, 1, 1, 2 / 3, 1 / 3, 0, 0],
    "high": [1, 2 / 3, 1 / 3, 0, 0, 0, 0, 0, 0, 1 / 3, 2 / 3, 1, 1, 1, 1],
    "printed": [2, 5 / 3, 4 / 3, 1, 1, 1, 1, 1, 1, 2 / 3, 1 / 3, 0, 0, 0, 0],
}
CURVES = {
    "low": low_curve,
    "medium": medium_curve,
    "high": high_curve,
    "printed": lambda s: high_curve(s, "printed"),
}
SIZES = [(32, 32), (40, 40), (33, 40), (41, 41), (7, 12), (64, 50), (1, 1)]


class TestCurves:
    @pytest.mark.parametrize("name", TABLE)
    def test_table(self, name):
        np.testing.assert_allclose(CURVES[name](RADII), TABLE[name], atol=1e-14)

    @pytest.mark.parametrize("name", TABLE)
    def test_continuous(self, name):
        values = CURVES[name](np.linspace(0, 30, 30001))
        assert np.abs(np.diff(values)).max() < 0.7e-3  # two ramps of slope 1/3 at most

    def test_step_and_hill_below_zero(self):
        np.testing.assert_array_equal(step_curve([-5, 0, 1.5, 3, 9]), [1, 1, 0.5, 0, 0])
        np.testing.assert_array_equal(hill_curve([-5, 0, 1.5, 3, 8, 9.5, 11, 20]), [
            0, 0, 0.5, 1, 1, 0.5, 0, 0,
        ])  # fmt: skip

    def test_high_is_one_step(self):
        # 1 - m_step(s - 13) is m_step(16 - s).
        s = np.linspace(4, 30, 261)
        np.testing.assert_allclose(high_curve(s), step_curve(16 - s), atol=1e-14)

    def test_noise_bands_share_the_integers_and_cross_fade(self):
        s = np.arange(30)
        bands = np.stack([noise_curve(s, i) for i in range(5)])
        expected = [(low <= s) & (s <= high) for low, high in NOISE_BANDS]
        np.testing.assert_array_equal(bands, expected)
        fine = np.linspace(0, 29, 2901)
        total = sum(noise_curve(fine, i) for i in range(5))
        np.testing.assert_allclose(total, 1, atol=1e-14)
        assert noise_curve(9.25, 0) == 0.75 and noise_curve(9.25, 1) == 0.25
        assert noise_curve(29.5, 4) == 0.5 and noise_curve(31, 4) == 0

    def test_errors(self):
        with pytest.raises(ValueError, match="variant='fixed'"):
            high_curve(1, "fixed")
        with pytest.raises(ValueError, match="band=5"):
            noise_curve(1, 5)


class TestMasks:
    @pytest.mark.parametrize("size", [(32, 32), (40, 40), (32, 40), (35, 38)])
    def test_plain_radius_on_the_papers_sizes(self, size):
        ky, kx = (signed_frequency(n) for n in size)
        expected = np.hypot(ky[:, None], kx[None])
        np.testing.assert_allclose(scaled_radius(*size), expected, atol=1e-14)

    def test_other_sizes_keep_the_wave_length(self):
        # Frequency (6, 8) of 64 pixels is (3.75, 5) of 40; (2, 1) of 8 is (8, 4) of 32.
        assert scaled_radius(64, 64)[6, 8] == 6.25
        assert scaled_radius(8, 8)[2, 1] == pytest.approx(np.hypot(8, 4))
        assert scaled_radius(80, 8)[4, 1] == pytest.approx(np.hypot(2, 4))
        assert scaled_radius(32, 32, 40)[4, 0] == 5
        assert scaled_radius(20, 20, reference_size=20)[3, 4] == 5

    @pytest.mark.parametrize(
        ("n", "means"), [(32, [0.340, 0.611, 0.374]), (40, [0.218, 0.407, 0.599])]
    )
    def test_mean_weights(self, n, means):
        masks = suppression_masks(n, n)
        assert masks.shape == (3, n, n)
        np.testing.assert_allclose(masks.mean((1, 2)), means, atol=5e-4)

    def test_points(self):
        masks = suppression_masks(32, 32)
        np.testing.assert_allclose(masks[:, 3, 4], [1, 0, 0], atol=1e-14)
        np.testing.assert_allclose(masks[:, 6, -8], [2 / 3, 1, 0], atol=1e-14)
        np.testing.assert_array_equal(masks[:, 0, 0], 1)
        assert suppression_masks(32, 32, variant="printed")[2, 0, 0] == 2

    @pytest.mark.parametrize("size", SIZES)
    def test_even_and_complete(self, size):
        masks = np.concatenate([suppression_masks(*size), noise_masks(*size)])
        assert masks.dtype == np.float64
        assert masks.min() >= 0 and masks.max() <= 1
        np.testing.assert_array_equal(masks, np.roll(np.flip(masks, (1, 2)), 1, (1, 2)))
        np.testing.assert_allclose(masks[3:].sum(0), 1, atol=1e-14)

    def test_largest_reference_is_complete(self):
        for size in (10, 41, 64):
            total = noise_masks(size, size, reference_size=41).sum(0)
            np.testing.assert_allclose(total, 1, atol=1e-14)

    def test_errors(self):
        with pytest.raises(ValueError, match="at most 41. Received: reference_size=42"):
            noise_masks(32, 32, reference_size=42)
        with pytest.raises(ValueError, match="reference_size=0"):
            suppression_masks(32, 32, reference_size=0)
