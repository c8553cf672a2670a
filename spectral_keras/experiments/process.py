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
def process_kept(*, float32: bool = True) -> Iterator[None]:
    """After this block, or a call of a function that it decorates, the program draws on as before.

    The next random numbers of Python, NumPy, Keras, TensorFlow and PyTorch are those that would
    have come without it; TensorFlow's determinism, Keras' precision, its distribution and its
    data format are the program's again.

    Args:
        float32: whether Keras' precision and its `floatx`, which losses and metrics take, are
            float32 in the block until a command sets another one, whatever the program or a
            keras.json says, and the data format channels_last; False leaves them.

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
    with contextlib.ExitStack() as after:
        after.enter_context(policy_kept())
        after.callback(keras.config.set_floatx, keras.config.floatx())
        data_format = keras.config.image_data_format()
        after.callback(keras.config.set_image_data_format, data_format)
        if float32:
            keras.config.set_floatx("float32")
            keras.config.set_dtype_policy("float32")
            # That of the data sets: with another one the networks would be others.
            keras.config.set_image_data_format("channels_last")
        after.callback(keras.distribution.set_distribution, keras.distribution.distribution())
        after.callback(random.setstate, random.getstate())
        after.callback(np.random.set_state, np.random.get_state(legacy=False))
        _keep_keras(after)
        _keep_tensorflow(after)
        if keras.backend.backend() == "torch":
            import torch

            devices = range(torch.cuda.device_count())
            after.enter_context(torch.random.fork_rng(devices=devices, device_type="cuda"))
        yield


def _keep_keras(after):
    try:
        from keras.src.backend.common import global_state
    except ImportError:  # a Keras that has it elsewhere
        return
    for name in (_SEED, _GENERATOR):
        value = global_state.get_global_attribute(name)
        after.callback(global_state.set_global_attribute, name, value)
    generator = global_state.get_global_attribute(_GENERATOR)
    if generator is not None:
        state = np.array(keras.ops.convert_to_numpy(generator.state))
        after.callback(generator.state.assign, state)


def _keep_tensorflow(after):
    """The seed and the determinism of TensorFlow, which `set_random_seed` seeds on any backend."""
    seed, generator, deterministic = None, None, False
    if "tensorflow" in sys.modules:
        eager, config = _tensorflow_state()
        seed, deterministic = eager._seed, config.is_op_determinism_enabled()
        generator = eager._rng.getstate() if seed is not None else None

    def restore():
        if "tensorflow" not in sys.modules:
            return
        eager, config = _tensorflow_state()
        # `tf.random.set_seed` would begin its sequence anew.
        eager._seed = seed
        if generator is not None:
            eager._rng.setstate(generator)
        if not deterministic:
            config.disable_op_determinism()

    after.callback(restore)


def _tensorflow_state():
    from tensorflow.python.eager import context
    from tensorflow.python.framework import config

    return context.context(), config
