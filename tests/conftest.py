"""Every test starts from the same seed, the same global Keras settings and exact float32."""

import gc
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import pytest

SEED = 1337


def _use_full_float32():
    """Matrix products in float32 proper: TF32 has 10 mantissa bits, too few for our oracles."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_tensor_float_32_execution(False)
    elif backend == "jax":
        import jax

        jax.config.update("jax_default_matmul_precision", "highest")
    elif backend == "torch":
        import torch

        torch.set_float32_matmul_precision("highest")
        torch.backends.cudnn.allow_tf32 = False
        # Each test sees its own warnings, not the first of the process alone.
        torch.set_warn_always(True)


def _leave_determinism_off():
    """Parts of commands that tests call leave it on; XLA and unseeded draws then fail elsewhere."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism = lambda: None


def pytest_collection_finish():
    """Collect no more what is there now: to look through it again takes a fifth of the time."""
    gc.collect()
    gc.freeze()


_use_full_float32()
_leave_determinism_off()


# Folders and files whose tests start commands, train networks or compile large ones.
SLOW = (
    "benchmarks",
    "faults",
    "figures",
    "models",
    "tuning",
    "test_bad_commands.py",
    "test_defaults.py",
    "test_distribution.py",
    "test_documentation.py",
    "test_export.py",
    "test_memory.py",
    "test_untrusted_files.py",
    "test_site.py",
)


# What takes minutes begins first: two processes then end at about the same time.
LONGEST = (
    "test_distribution.py",
    "figures/test_fourier_masks.py",
    "tuning/test_search.py",
    "models/test_command.py",
    "test_documentation.py",
    "models/test_zoo.py",
    "models/test_zoo_export.py",
    "figures/test_auxiliary_tasks.py",
    "models/test_explain.py",
    "models/test_evaluate.py",
    "faults",
    "figures",
    "models",
)
# Their trainings of a few steps take longer to compile than to run; those of `models` are compiled.
EAGER = ("figures",)
HERE = pathlib.Path(__file__).parent


def _is_slow(path):
    return path != HERE and path.is_relative_to(HERE) and path.relative_to(HERE).parts[0] in SLOW


def _name(item):
    return item.path.relative_to(HERE).as_posix() if item.path.is_relative_to(HERE) else ""


def _rank(item):
    """The place of the test's file; those that are not named follow, in their own order."""
    places = (n for n, start in enumerate(LONGEST) if _name(item).startswith(start))
    return next(places, len(LONGEST))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """TensorFlow compiles a third faster without optimising graphs: of use where a test trains.

    The operations and layers are tested as users run them; so are commands in processes of their
    own.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        plain = item.get_closest_marker("slow") is not None
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": plain})
        tf.config.run_functions_eagerly(_name(item).startswith(EAGER))


def pytest_ignore_collect(collection_path, config):
    """What is slow is not even imported where it is left out."""
    if config.getoption("markexpr") == "not slow" and _is_slow(collection_path):
        return True
    return None


def pytest_collection_modifyitems(items):
    for item in items:
        if _is_slow(item.path):
            item.add_marker(pytest.mark.slow)
    items.sort(key=_rank)


@pytest.fixture(autouse=True)
def fixed_seed():
    """Python, NumPy and the backend draw the same numbers in every run of a test."""
    keras.utils.set_random_seed(SEED)


@pytest.fixture(autouse=True)
def restored_global_settings():
    """A test may change Keras' global settings; the next one does not notice."""
    data_format = keras.config.image_data_format()
    dtype_policy = keras.config.dtype_policy()
    floatx = keras.config.floatx()
    yield
    keras.config.set_image_data_format(data_format)
    keras.config.set_dtype_policy(dtype_policy)
    keras.config.set_floatx(floatx)
