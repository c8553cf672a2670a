"""The planted classes differ in their bands, and in nothing else."""

import numpy as np
import pytest

from spectral_keras.data import DataError, load
from spectral_keras.data.planted import planted_bands, planted_images

VARIANTS = {"planted": "radial", "planted_oriented": "oriented"}


def frequencies(size):
    return np.meshgrid(*(np.fft.fftfreq(n) * 32 for n in size), indexing="ij")


@pytest.fixture(scope="module", params=list(VARIANTS))
def data(request):
    return load(request.param)


def power(images):
    return np.abs(np.fft.fft2(images[..., 0] / 255)) ** 2 / images[0].size


class TestBands:
    @pytest.mark.parametrize("size", [(32, 32), (33, 40), (17, 16), (64, 48)])
    def test_rings(self, size):
        bands, together = planted_bands(size)
        ky, kx = frequencies(size)
        radius = np.round(np.hypot(ky, kx), 9)
        for band, (low, high) in zip(bands, [(2, 4), (5, 7), (8, 10), (11, 13)], strict=True):
            np.testing.assert_array_equal(band, (radius >= low) & (radius < high))
        np.testing.assert_array_equal(together, bands.any(0))

    @pytest.mark.parametrize("size", [(32, 32), (33, 40)])
    def test_orientations(self, size):
        bands, _ = planted_bands(size, "oriented")
        ky, kx = frequencies(size)
        ring = (np.round(np.hypot(ky, kx), 9) >= 5) & (np.round(np.hypot(ky, kx), 9) < 12)
        angle = np.rad2deg(np.arctan2(-ky, kx))
        for band, center in zip(bands, (0, 45, 90, 135), strict=True):
            away = np.abs((angle - center + 90) % 180 - 90)
            np.testing.assert_array_equal(band, ring & (away < 15))

    @pytest.mark.parametrize("variant", VARIANTS.values())
    @pytest.mark.parametrize("size", [16, 31, (32, 45)])
    def test_disjoint_even_and_without_dc(self, variant, size):
        bands, together = planted_bands(size, variant)
        assert bands.dtype == bool and np.all(bands.any((1, 2)))
        assert bands.sum() == together.sum() and not together[0, 0]
        mirrored = np.roll(bands[:, ::-1, ::-1], 1, (1, 2))
        np.testing.assert_array_equal(mirrored, bands)

    def test_errors(self):
        with pytest.raises(ValueError, match="`size`.*Received: size=15"):
            planted_bands(15)
        with pytest.raises(ValueError, match="`variant` must be one of 'radial', 'oriented'"):
            planted_bands(32, "planted")


class TestImages:
    def test_the_mean_spectrum_is_the_prescribed_one(self):
        """Outside the bands no class differs; within, each by its share of the variance."""
        images, labels = planted_images(4000, seed=4)
        bands, together = planted_bands(32)
        spectra = np.stack([power(images[labels == k]).mean(0) for k in range(4)])
        outside = ~together
        outside[0, 0] = False
        total = 1024 * 0.14**2
        for k, band in enumerate(bands):
            others = np.delete(spectra, k, 0).mean(0)
            added = (spectra[k] - others)[band].sum() / total
            assert added == pytest.approx(0.2, rel=0.03)
            drift = (spectra[k] - others)[outside].sum() / total
            assert abs(drift) < 0.005

    def test_background_is_one_over_f(self):
        images, _ = planted_images(2000, seed=5, strength=0)
        mean = power(images).mean(0)
        radii = np.array([1, 2, 4, 8])
        slope = np.polyfit(np.log(radii), np.log(mean[0, radii]), 1)[0]
        assert slope == pytest.approx(-2, abs=0.1)  # amplitudes 1/f: powers 1/f^2

    def test_mean_and_contrast_are_those_of_every_image(self):
        images, _ = planted_images(400, seed=6)
        np.testing.assert_allclose(images.mean((1, 2, 3)), 127.5, atol=0.15)
        np.testing.assert_allclose(images.std((1, 2, 3)), 255 * 0.14, atol=0.7)

    def test_seeds(self):
        first, labels = planted_images(700, seed=1)
        assert labels[:6].tolist() == [0, 1, 2, 3, 0, 1]
        np.testing.assert_array_equal(planted_images(700, seed=1)[0], first)
        np.testing.assert_array_equal(planted_images(510, seed=1)[0], first[:510])
        assert not np.array_equal(planted_images(10, seed=2)[0], first[:10])
        assert not np.array_equal(planted_images(10, seed=(1, 1))[0], first[:10])
        assert len(np.unique(first.reshape(700, -1), axis=0)) == 700

    def test_errors(self):
        with pytest.raises(ValueError, match="`count`"):
            planted_images(0)
        with pytest.raises(ValueError, match="`strength` must be a number >= 0 and <= 1"):
            planted_images(1, strength=1.5)
        with pytest.raises(ValueError, match="`seed`"):
            planted_images(1, seed=-1)


class TestDataSet:
    def test_shapes_and_splits(self, data):
        assert data.input_shape == (32, 32, 1) and data.num_classes == 4
        sizes = [len(data.x_train), len(data.x_validation), len(data.x_test)]
        assert sizes == [3600, 400, 1000]
        assert data.x_train.dtype == np.uint8 and data.y_train.dtype == np.int32
        assert data.source["variant"] == VARIANTS[data.name]
        parts = [
            {image.tobytes() for image in images}
            for images in (data.x_train, data.x_validation, data.x_test)
        ]
        assert len(set.union(*parts)) == 5000
        assert np.bincount(data.y_test).tolist() == [250] * 4

    def test_mean_and_contrast_are_at_chance(self, data):
        ensemble = pytest.importorskip("sklearn.ensemble")

        def features(images):
            return np.stack([images.mean((1, 2, 3)), images.std((1, 2, 3))], 1)

        forest = ensemble.RandomForestClassifier(60, max_depth=6, random_state=0)
        forest.fit(features(data.x_train), data.y_train)
        # Three standard errors of 1000 guesses at 1/4 are 0.041.
        assert forest.score(features(data.x_test), data.y_test) < 0.30

    def test_pixels_are_at_chance_for_a_linear_classifier(self, data):
        discriminant = pytest.importorskip("sklearn.discriminant_analysis")

        def features(images):
            return images[:, ::4, ::4].reshape(len(images), -1) / 255

        linear = discriminant.LinearDiscriminantAnalysis()
        linear.fit(features(data.x_train), data.y_train)
        assert linear.score(features(data.x_test), data.y_test) < 0.30

    def test_the_power_in_the_bands_gives_the_class(self, data):
        discriminant = pytest.importorskip("sklearn.discriminant_analysis")
        bands, _ = planted_bands(32, VARIANTS[data.name])

        def features(images):
            spectra = power(images)
            return np.log(np.stack([spectra[:, band].mean(1) for band in bands], 1))

        linear = discriminant.LinearDiscriminantAnalysis()
        linear.fit(features(data.x_train), data.y_train)
        assert linear.score(features(data.x_test), data.y_test) > 0.98

    def test_the_radial_spectrum_gives_rings_and_not_orientations(self, data):
        discriminant = pytest.importorskip("sklearn.discriminant_analysis")
        ky, kx = frequencies((32, 32))
        ring = np.hypot(ky, kx).astype(int)

        def features(images):
            spectra = power(images)
            return np.log(np.stack([spectra[:, ring == r].mean(1) for r in range(1, 22)], 1))

        linear = discriminant.LinearDiscriminantAnalysis()
        score = linear.fit(features(data.x_train), data.y_train).score(
            features(data.x_test), data.y_test
        )
        # Axes and diagonals differ a little on the grid, so half of four orientations.
        assert score > 0.98 if data.name == "planted" else 0.2 < score < 0.6

    def test_a_limit_takes_the_first(self, data):
        small = load(data.name, limit=40, limit_test=8, validation_fraction=0)
        whole = load(data.name, validation_fraction=0)
        np.testing.assert_array_equal(small.x_train, whole.x_train[:40])
        np.testing.assert_array_equal(small.x_test, whole.x_test[:8])
        assert small.source["limit"] == 40

    def test_another_size_is_drawn_and_not_resized(self):
        data = load("planted", image_size=(48, 40), limit=400, validation_fraction=0)
        assert data.input_shape == (48, 40, 1)
        bands, _ = planted_bands((48, 40))
        spectra = power(data.x_train)
        own = np.log(np.stack([spectra[:, band].mean(1) for band in bands], 1))
        own -= own.mean(0)
        assert np.mean(own.argmax(1) == data.y_train) > 0.95

    def test_too_small_a_size(self):
        with pytest.raises(DataError, match="at least 16 pixels a side. Received: image_size"):
            load("planted", image_size=8)
