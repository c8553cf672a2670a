"""The layers' augmentations as steps of the input pipeline."""

import inspect

import numpy as np
import pytest

from spectral_keras.augmentation.image import WholeBatchAugmentation, build_augmentation
from spectral_keras.augmentation.spectral import apr_pairs, apr_views, fourier_noise
from spectral_keras.data import Batches
from tests.augmentation.contract import AugmentationContract


def images(count, height=8, width=10, channels=3, seed=0):
    return np.random.default_rng(seed).random((count, height, width, channels), np.float32)


class TestContract(AugmentationContract):
    images = staticmethod(images)
    rounding = 1e-5

    @pytest.fixture(params=[apr_views, fourier_noise])
    def step(self, request):
        return request.param


class TestPairs:
    def test_keeps_the_phases_and_takes_amplitudes_of_the_batch(self):
        batch = 0.4 + 0.2 * images(6)
        result = apr_pairs(batch, np.random.default_rng(2), probability=1.0)
        spectra, mixed = (np.fft.fft2(x, axes=(1, 2)) for x in (batch, result))
        inside = (result > 0).all((1, 2, 3)) & (result < 1).all((1, 2, 3))  # not clipped
        assert inside.sum() >= 4
        turned = np.angle(mixed[inside] * np.conj(spectra[inside]))
        assert np.abs(turned[np.abs(spectra[inside]) > 0.05]).max() < 1e-2
        for amplitudes in np.abs(mixed[inside]):
            assert np.abs(np.abs(spectra) - amplitudes).max((1, 2, 3)).min() < 1e-4

    def test_probability_and_generator(self):
        batch = images(64)
        first, again = (apr_pairs(batch, np.random.default_rng(3)) for _ in range(2))
        np.testing.assert_array_equal(first, again)
        assert 15 < (first != batch).any((1, 2, 3)).sum() < 49

    def test_processes_that_share_a_batch_get_its_rows(self):
        augment = build_augmentation("flip,apr_pairs")
        assert isinstance(augment, WholeBatchAugmentation)
        assert "part" not in inspect.signature(augment).parameters
        batches = Batches(images(8), np.arange(8), 8, augment=augment, workers=0)
        whole, rows = batches.batch(0, 0)[0], np.array([5, 2])
        np.testing.assert_array_equal(batches.batch(0, 0, lambda count: rows)[0], whole[rows])


def test_names():
    augment = build_augmentation("crop_flip,apr_views,fourier_noise")
    assert augment.names == ("crop", "flip", "apr_views", "fourier_noise")
    batch = images(4)
    result = augment(batch, np.random.default_rng(0))
    assert result.shape == batch.shape and not np.array_equal(result, batch)


@pytest.mark.parametrize(
    ("step", "arguments", "name"),
    [
        (apr_pairs, {"probability": 2}, "probability"),
        (apr_views, {"probability": -1}, "probability"),
        (fourier_noise, {"strength": -1}, "strength"),
    ],
)
def test_errors_show_what_was_received(step, arguments, name):
    with pytest.raises(ValueError, match=f"`{name}`.*{name}={arguments[name]}"):
        step(images(2), np.random.default_rng(0), **arguments)
