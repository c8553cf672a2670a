"""Point-detection maps: one frequency, one channel, the norm that was asked for."""

import math

import numpy as np
import pytest

from spectral_keras.analysis import (
    point_detection_maps,
    point_perturbation,
    real_frequencies,
)
from spectral_keras.analysis.point_detection import spectrum_from_half

SIZES = [(32, 32), (8, 8), (7, 7), (6, 9), (9, 6), (5, 4), (1, 6), (1, 1), (2, 2)]


def own_partners(size):
    height, width = size
    rows = {0, height // 2} if height % 2 == 0 else {0}
    columns = {0, width // 2} if width % 2 == 0 else {0}
    return {(i, j) for i in rows for j in columns}


class TestFrequencies:
    @pytest.mark.parametrize("size", SIZES)
    def test_one_of_each_pair(self, size):
        height, width = size
        index = [tuple(pair) for pair in real_frequencies(size).tolist()]
        partners = {(-i % height, -j % width) for i, j in index}
        assert len(set(index)) == len(index) and index == sorted(index)
        assert set(index) | partners == {(i, j) for i in range(height) for j in range(width)}
        assert set(index) & partners == own_partners(size)

    def test_count_at_cifar_size(self):
        assert len(real_frequencies(32)) == 514

    def test_maps_from_one_half(self):
        index = real_frequencies((4, 5))
        waves = np.random.default_rng(0).random((2, 4, 5))
        power = np.abs(np.fft.fft2(waves)) ** 2
        half = power[..., index[:, 0], index[:, 1]]
        np.testing.assert_allclose(spectrum_from_half(half, index, (4, 5)), power, rtol=1e-12)
        some = spectrum_from_half([1.0], [[1, 2]], (4, 5))
        assert some[1, 2] == some[3, 3] == 1 and np.isnan(some).sum() == 18


class TestPerturbation:
    @pytest.mark.parametrize("phase", [0.0, 0.7, math.pi / 2, 2.5])
    @pytest.mark.parametrize("size", SIZES)
    def test_norm_and_spectrum(self, size, phase):
        index = real_frequencies(size)
        waves = point_perturbation(size, strength=3.0, phase=phase)
        np.testing.assert_allclose(np.linalg.norm(waves, axis=(1, 2)), 3.0, rtol=1e-12)
        spectra = np.abs(np.fft.fft2(waves))
        expected = np.zeros_like(spectra)
        root = math.sqrt(size[0] * size[1])
        for k, (i, j) in enumerate(index.tolist()):
            own = (i, j) in own_partners(size)
            expected[k, i, j] = expected[k, -i, -j] = 3 * root * (1 if own else 1 / math.sqrt(2))
        np.testing.assert_allclose(spectra, expected, atol=1e-10 * root)

    def test_values_by_the_formula(self):
        y, x = np.mgrid[:6, :9]
        for i, j, phase in [(2, 4, 0.3), (1, 0, 0.0), (-2, 3, -1.0)]:
            expected = math.sqrt(2 / 54) * np.cos(2 * np.pi * (i * y / 6 + j * x / 9) + phase)
            got = point_perturbation((6, 9), [[i, j]], strength=1.0, phase=phase)[0]
            np.testing.assert_allclose(got, expected, atol=1e-14)

    def test_the_phase_of_a_bin_that_is_its_own_partner_is_a_sign(self):
        def corner(phase):
            return point_perturbation(4, [[0, 2]], strength=4.0, phase=phase)[0, 0]

        np.testing.assert_array_equal(corner(0.5), [1, -1, 1, -1])
        np.testing.assert_array_equal(corner(2.0), [-1, 1, -1, 1])

    @pytest.mark.parametrize(("radius", "count"), [(0, 1), (1, 3), (1.5, 5), (2, 7), (100, 18)])
    def test_frequencies_up_to_a_radius(self, radius, count):
        # 6 x 5: [0, 1] and [1, 0]; [1, ±1]; [0, 2] and [2, 0]; ...
        index = real_frequencies((6, 5))
        inside = np.hypot(np.minimum(index[:, 0], 6 - index[:, 0]),
                          np.minimum(index[:, 1], 5 - index[:, 1])) <= radius  # fmt: skip
        waves = point_perturbation((6, 5), radius)
        assert len(waves) == inside.sum() == min(count, len(index))
        np.testing.assert_array_equal(waves, point_perturbation((6, 5), index[inside]))

    def test_orthogonal_to_each_other(self):
        waves = point_perturbation((5, 6), strength=1.0).reshape(-1, 30)
        np.testing.assert_allclose(waves @ waves.T, np.eye(len(waves)), atol=1e-13)


class TestMaps:
    def test_amplitudes_of_the_paper(self):
        maps = point_detection_maps(32, 1, data_format="channels_last")
        assert maps.shape == (514, 32, 32, 3) and maps.dtype == np.float32
        np.testing.assert_array_equal(maps[..., [0, 2]], 0.5)
        amplitude = np.abs(maps[..., 1] - 0.5).max(axis=(1, 2))
        spectra = np.abs(np.fft.fft2(maps[..., 1].astype("float64") - 0.5))
        for k, (i, j) in enumerate(real_frequencies(32).tolist()):
            own = (i, j) in own_partners((32, 32))
            assert amplitude[k] == pytest.approx(0.1767767 if own else 0.25, abs=1e-6)
            assert spectra[k, i, j] == pytest.approx(181.0193 if own else 128, abs=1e-3)
        norms = np.linalg.norm((maps - 0.5).reshape(514, -1), axis=1)
        np.testing.assert_allclose(norms, 4 * math.sqrt(2), rtol=1e-6)

    def test_amplitude_at_forty_pixels(self):
        (image,) = point_detection_maps(40, frequencies=[[3, 4]], data_format="channels_last")
        assert np.abs(image - 0.5).max() == pytest.approx(0.2, abs=1e-6)
        assert np.abs(np.fft.fft2(image[..., 0]))[3, 4] == pytest.approx(160, abs=1e-3)

    def test_oblong_channels_first_and_grey(self):
        last = point_detection_maps((5, 8), 1, 1.0, channels=2, data_format="channels_last")
        first = point_detection_maps((5, 8), 1, 1.0, channels=2, data_format="channels_first")
        np.testing.assert_array_equal(first, last.transpose(0, 3, 1, 2))
        waves = point_perturbation((5, 8), strength=1.0)
        np.testing.assert_allclose(first[:, 1] - 0.5, waves, atol=1e-7)
        assert point_detection_maps(4, 0, 0.5, channels=1, frequencies=[[0, 1]]).size == 16

    def test_largest_strength_without_clipping(self):
        largest = 0.5 * 32 / math.sqrt(2)
        assert largest == pytest.approx(11.3137, abs=1e-4)
        maps = point_detection_maps(32, strength=largest, data_format="channels_last")
        assert maps.min() == 0 and maps.max() == 1
        with pytest.raises(ValueError, match=r"at most 11\.3137.*strength=11\.4"):
            point_detection_maps(32, strength=11.4)

    def test_beyond_the_range(self):
        common = {"channels": 1, "frequencies": [[0, 1]], "data_format": "channels_last"}
        clipped = point_detection_maps(8, strength=8.0, out_of_range="clip", **common)
        free = point_detection_maps(8, strength=8.0, out_of_range="allow", **common)
        assert free.max() == pytest.approx(0.5 + math.sqrt(2), abs=1e-6)
        np.testing.assert_array_equal(clipped, np.clip(free, 0, 1))
        spectrum = np.abs(np.fft.fft2(clipped[0, ..., 0]))[0]
        assert spectrum[3] > 1 and np.abs(np.fft.fft2(free[0, ..., 0]))[0, 3] < 1e-5

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"size": 0}, "`size`.*size=0"),
            ({"channel": 3}, "`channel` must be less than the number of channels, 3.*channel=3"),
            ({"channel": -1}, "`channel`.*channel=-1"),
            ({"channels": 0}, "`channels`.*channels=0"),
            ({"strength": -1.0}, "`strength`.*strength=-1.0"),
            ({"strength": float("nan")}, "`strength`.*nan"),
            ({"phase": None}, "`phase`.*phase=None"),
            ({"frequencies": -1}, "`frequencies` must be a number >= 0.*-1"),
            ({"frequencies": [1, 2]}, r"`frequencies`.*\[F, 2\].*shape \(2,\)"),
            ({"frequencies": [[0.5, 2]]}, "`frequencies`.*float64"),
            ({"frequencies": np.zeros((0, 2), int)}, "`frequencies`.*at least one"),
            ({"frequencies": [[0, 0], [8, 0]]}, r"`frequencies`.*size \(8, 8\).*\[8, 0\]"),
            ({"out_of_range": "wrap"}, "`out_of_range`.*wrap"),
            ({"data_format": "nhwc"}, "`data_format`.*nhwc"),
        ],
    )
    def test_errors(self, change, message):
        with pytest.raises(ValueError, match=message):
            point_detection_maps(**{"size": 8, "strength": 1.0, **change})
