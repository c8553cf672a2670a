"""Random numbers of an image that depend on nothing but its number."""

import zlib

import numpy as np


def generators(seed, name, severity, indices):
    """A generator for each image, from (seed, corruption, severity, number of the image).

    Args:
        seed: integer of at least 0.
        name: the corruption.
        severity: 1 to 5.
        indices: integers of at least 0.

    Returns:
        List of `numpy.random.Generator`.
    """
    # Python's hash() of a string changes from process to process.
    key = zlib.crc32(name.encode())
    sequences = (
        np.random.SeedSequence(seed, spawn_key=(key, severity, int(index))) for index in indices
    )
    return [np.random.Generator(np.random.PCG64(sequence)) for sequence in sequences]


def draw(rngs, sample):
    """`sample(rng)` of each generator, stacked: [N, ...]."""
    return np.stack([sample(rng) for rng in rngs])
