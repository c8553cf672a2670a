"""What a command gives back to the program that calls it: random numbers, precision, devices."""

import contextlib
import random
import sys
from collections.abc import Iterator

import keras
import numpy as np

from spectral_keras.precision import policy_kept

__all__ = ["process_kept"]

# Keras' own names of its seed and of the generator behind draws without a seed.
_SEED, _GENERATOR = "global_random_seed", "global_seed_generator"


@contextlib.contextmanager
def process_kept() -> Iterator[None]:
    """After this block, or a call of a function that it decorates, the program draws on as before.

    The next random numbers of Python, NumPy, Keras, TensorFlow and PyTorch are those that would
    have come without it; TensorFlow's determinism, Keras' precision and its distribution are the
    program's again.

    TensorFlow has no way back for one thing: `tf.random` operations with a seed of their own, and
    counters inside of compiled functions, begin anew.

    Example:

    >>> import random
    >>> import keras
    >>> from spectral_keras.experiments.process import process_kept
    >>> keras.utils.set_random_seed(1)
    >>> with process_kept():
    ...     keras.utils.set_random_seed(0)
    >>> round(random.random(), 4)
    0.1344
    """
    with policy_kept(), _devices(), _python_and_numpy(), _keras(), _tensorflow(), _torch():
        yield


@contextlib.contextmanager
def _devices():
    distribution = keras.distribution.distribution()
    try:
        yield
    finally:
        keras.distribution.set_distribution(distribution)


@contextlib.contextmanager
def _python_and_numpy():
    python, numpy = random.getstate(), np.random.get_state(legacy=False)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


@contextlib.contextmanager
def _keras():
    try:
        from keras.src.backend.common import global_state
    except ImportError:  # a Keras that has it elsewhere
        yield
        return
    before = {name: global_state.get_global_attribute(name) for name in (_SEED, _GENERATOR)}
    generator = before[_GENERATOR]
    state = None if generator is None else np.array(keras.ops.convert_to_numpy(generator.state))
    try:
        yield
    finally:
        for name, value in before.items():
            global_state.set_global_attribute(name, value)
        if generator is not None:
            generator.state.assign(state)


@contextlib.contextmanager
def _tensorflow():
    """The seed and the determinism of TensorFlow, which `set_random_seed` seeds on any backend."""
    before = (None, None, False)
    if "tensorflow" in sys.modules:
        eager, config = _tensorflow_state()
        generator = eager._rng.getstate() if eager._seed is not None else None
        before = (eager._seed, generator, config.is_op_determinism_enabled())
    try:
        yield
    finally:
        if "tensorflow" in sys.modules:
            eager, config = _tensorflow_state()
            # `tf.random.set_seed` would begin its sequence anew.
            eager._seed = before[0]
            if before[1] is not None:
                eager._rng.setstate(before[1])
            if not before[2]:
                config.disable_op_determinism()


def _tensorflow_state():
    from tensorflow.python.eager import context
    from tensorflow.python.framework import config

    return context.context(), config


@contextlib.contextmanager
def _torch():
    if keras.backend.backend() != "torch":
        yield
        return
    import torch

    devices = range(torch.cuda.device_count())
    with torch.random.fork_rng(devices=devices, device_type="cuda"):
        yield
