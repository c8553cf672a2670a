"""Learned masks find the frequencies that were planted: the whole way, on a trained network."""

import keras
import numpy as np
import pytest
from keras import layers

from spectral_keras.analysis.masks import learn_mask
from spectral_keras.analysis.statistics import band_recovery
from spectral_keras.data.planted import planted_bands, planted_images

pytestmark = pytest.mark.slow  # it trains


@pytest.fixture(scope="module")
def learned():
    """A mask of a small texture network, and of its accuracy on images it was not trained on."""
    keras.utils.set_random_seed(0)
    parts = [planted_images(count, seed=seed) for count, seed in ((1600, 1), (400, 2))]
    (x, y), (x_new, y_new) = ((images / np.float32(255), labels) for images, labels in parts)
    model = keras.Sequential(
        [
            keras.Input((32, 32, 1)),
            layers.Rescaling(4.0, -2.0),
            layers.Conv2D(24, 9, strides=2, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(4),
        ]
    )
    model.compile(
        keras.optimizers.Adam(0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
    )
    model.fit(x, y, batch_size=64, epochs=10, verbose=0)
    return learn_mask(
        model, (x_new, y_new), penalty=0.01, learning_rate=0.03, epochs=25, batch_size=20
    )


def test_the_network_is_good_and_stays_so(learned):
    assert learned.unmasked_accuracy[0] > 0.95
    assert learned.accuracy[0] > 0.94
    assert learned.sparsity[0] < 0.35


def test_precision_recall_and_ranking(learned):
    """Floors far above guessing, which has the precision 0.36 at every recall."""
    _, together = planted_bands(32)
    result = band_recovery(learned.masks[0], together, threshold=0.5)
    assert result["chance"] == pytest.approx(0.359, abs=0.001)
    assert result["precision"] > 0.85
    assert result["recall"] > 0.25
    assert result["average_precision"] > 0.55


def test_every_class_has_its_frequencies_in_the_mask(learned):
    bands, together = planted_bands(32)
    mask = learned.masks[0]
    inside = np.array([mask[band].mean() for band in bands])
    assert np.all(inside > 5 * mask[~together].mean())


def test_the_gaps_between_the_rings_are_empty(learned):
    """Between the rings and beyond them, a frequency away from each, next to nothing is left."""
    ky, kx = np.meshgrid(*[np.fft.fftfreq(32) * 32] * 2, indexing="ij")
    radius = np.hypot(ky, kx)
    assert learned.masks[0][radius >= 14].mean() < 0.02
    assert learned.masks[0][(radius >= 7) & (radius < 8)].mean() < 0.15
