"""The zoo in either data format."""

import keras
import numpy as np
import pytest

from models.registry import build
from tests.oracles import compiled, random_images, to_numpy


@pytest.mark.parametrize(
    ("name", "options"),
    [
        # Blocks a3 and b3 have convolutions of 8 filters on 8x8 maps, where the layouts look alike.
        ("googlenet", {"width": 0.25}),
        ("generic_cnn", {"conv": "spatial", "width": 1 / 12}),
    ],
)
def test_channels_first_is_the_same_network(name, options):
    x = random_images((2, 8, 8, 3))
    last = build(name, (8, 8, 3), 10, **options)
    rng = np.random.default_rng(1)
    weights = [weight + rng.random(weight.shape) / 8 for weight in last.get_weights()]
    last.set_weights(weights)
    keras.config.set_image_data_format("channels_first")
    first = build(name, (3, 8, 8), 10, **options)
    first.set_weights(weights)
    expected, actual = (
        to_numpy(compiled(lambda x, model=model: model(x, training=False))(images))
        for model, images in ((last, x), (first, np.ascontiguousarray(np.moveaxis(x, -1, 1))))
    )
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
