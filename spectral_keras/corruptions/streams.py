"""Random numbers of an image that depend on nothing but its number."""

import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

__all__ = ["draw", "generators", "normal", "uniform"]


def generators(
    seed: int, name: str, severity: int, indices: Iterable[int]
) -> list[np.random.Generator]:
    """A generator for each image, from (seed, corruption, severity, number of the image).

    The generators are those of `SeedSequence(seed, spawn_key=(crc32(name), severity, index))`. Its
    hash is worked out for all images at once: for small images one object each would take longer
    than the random numbers.

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
    indices = [int(index) for index in indices]
    sequences: list[Any]
    if not indices or seed.bit_length() > 128 or max(indices) >= 1 << 32:
        # More words than `_pcg64_seeds` mixes.
        sequences = [np.random.SeedSequence(seed, spawn_key=(key, severity, i)) for i in indices]
    else:
        words = [seed >> shift & 0xFFFFFFFF for shift in (0, 32, 64, 96)]
        sequences = [_Seed(words) for words in _pcg64_seeds([*words, key, severity], indices)]
    return [np.random.Generator(np.random.PCG64(sequence)) for sequence in sequences]


class _Seed(np.random.bit_generator.ISeedSequence):
    """Seed of a bit generator that was worked out before."""

    def __init__(self, words):
        self.words = words

    def generate_state(self, n_words, dtype=np.uint32):
        return self.words


def _pcg64_seeds(words, last):
    """What `SeedSequence` makes of the words and one of `last`, for a PCG64: uint64 [N, 4].

    The hash of NumPy's `SeedSequence`, after M. E. O'Neill, "Developing a seed_seq alternative"
    (2015). All but its end is the same for all images.

    Args:
        words: at least four integers below 2^32.
        last: N integers below 2^32.
    """
    constants = _powers(0x43B0D7E5, 0x931E8875, 17 + 4 * (len(words) - 3))
    used = iter(zip(constants, constants[1:], strict=False))
    pool = [_scramble(word, *next(used)) for word in words[:4]]
    for source in range(4):
        for target in range(4):
            if source != target:
                pool[target] = _mix(pool[target], _scramble(pool[source], *next(used)))
    for word in words[4:]:
        pool = [_mix(each, _scramble(word, *next(used))) for each in pool]
    # One row for each word of the pool, then for each word of the state.
    pairs = np.array([next(used) for _ in range(4)], np.uint32)
    pool = np.array(pool, np.uint32)[:, np.newaxis]
    pool = _mix(pool, _scramble(np.array(last, np.uint32), pairs[:, :1], pairs[:, 1:]))
    constants = np.array(_powers(0x8B51F9DD, 0x58F38DED, 9), np.uint32)[:, np.newaxis]
    state = _scramble(np.concatenate([pool, pool]), constants[:-1], constants[1:])
    # Pairs of words, the lower one first on every machine.
    state = state.astype(np.uint64)
    return np.ascontiguousarray((state[::2] | state[1::2] << np.uint64(32)).T)


_MASK = 0xFFFFFFFF


def _powers(start, factor, count):
    """start factor^k modulo 2^32, k = 0 ... count - 1."""
    return [start * pow(factor, exponent, 1 << 32) & _MASK for exponent in range(count)]


def _scramble(values, before, after):
    values = (values ^ before) * after & _MASK
    return values ^ values >> 16


def _mix(one, other):
    mixed = one * 0xCA01F9DD - other * 0x4973F715 & _MASK
    return mixed ^ mixed >> 16


def draw(
    rngs: Sequence[np.random.Generator], sample: Callable[[np.random.Generator], float | np.ndarray]
) -> np.ndarray:
    """`sample(rng)` of each generator, stacked: [N, ...]."""
    return np.stack([sample(rng) for rng in rngs])


def normal(
    rngs: Sequence[np.random.Generator], shape: tuple[int, ...], mean: float, deviation: float
) -> np.ndarray:
    """Float64 [N, *shape]: what `rng.normal(mean, deviation, shape)` of each generator is."""
    numbers = np.empty((len(rngs), *shape))
    for rng, part in zip(rngs, numbers, strict=True):
        rng.standard_normal(out=part)
    numbers *= deviation
    numbers += mean
    return numbers


def uniform(
    rngs: Sequence[np.random.Generator],
    shape: tuple[int, ...],
    low: float = 0.0,
    high: float = 1.0,
) -> np.ndarray:
    """Float64 [N, *shape]: what `rng.uniform(low, high, shape)` of each generator is."""
    numbers = np.empty((len(rngs), *shape))
    for rng, part in zip(rngs, numbers, strict=True):
        rng.random(out=part)
    if (low, high) != (0, 1):
        numbers *= high - low
        numbers += low
    return numbers
