"""Entries of masks, their even part and half spectrum, against numpy indices."""

import numpy as np
import pytest
from keras import ops

from spectral_keras.analysis.masks.objective import Layout
from tests.oracles import random_images, to_numpy

SIZES = [(4, 6), (5, 7), (6, 5), (1, 4), (3, 1), (1, 1)]


def even(masks):
    return (masks + np.roll(np.flip(masks, (-2, -1)), (1, 1), (-2, -1))) / 2


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("symmetric", [False, True])
def test_masks_and_half_spectra(size, symmetric):
    layout = Layout(*size, symmetric)
    masks = random_images((2, 3, *size), seed=1)  # uneven on purpose
    entries = layout.from_full(masks)
    assert entries.shape == (2, 3, layout.size)
    half = to_numpy(layout.to_half(ops.convert_to_tensor(entries)))
    np.testing.assert_allclose(half, even(masks)[..., : size[1] // 2 + 1], rtol=1e-6)
    np.testing.assert_allclose(
        layout.to_full(entries), even(masks) if symmetric else masks, rtol=1e-6
    )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("symmetric", [False, True])
def test_an_even_function_comes_back_from_its_half(size, symmetric):
    layout = Layout(*size, symmetric)
    function = even(random_images((2, *size), seed=2))
    half = ops.convert_to_tensor(function[..., : size[1] // 2 + 1])
    entries = to_numpy(layout.from_half(half))
    np.testing.assert_allclose(layout.to_full(entries), function, rtol=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_the_symmetric_form_has_one_entry_for_each_pair(size):
    index = np.arange(size[0] * size[1]).reshape(size)
    partner = np.roll(np.flip(index), (1, 1), (0, 1))
    pairs = {frozenset(pair) for pair in zip(index.ravel(), partner.ravel(), strict=True)}
    layout = Layout(*size, True)
    assert layout.size == len(pairs)
    assert layout.multiplicity.sum() == index.size
    assert sorted(layout.multiplicity) == sorted(len(pair) for pair in pairs)
    np.testing.assert_array_equal(layout.paired, layout.multiplicity - 1)
    full = Layout(*size, False)
    np.testing.assert_array_equal(full.paired.reshape(size), index != partner)
    np.testing.assert_array_equal(full.multiplicity, np.ones(index.size))
