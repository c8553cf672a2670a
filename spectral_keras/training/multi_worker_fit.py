"""`fit` under TensorFlow's `MultiWorkerMirroredStrategy`, which Keras 3.15 breaks in two places.

`_maybe_symbolic_build` hands `strategy.reduce` the images of a batch, which differ between workers,
to get an example of a batch; and `reduce_per_replica` takes the mean of scalars along axis 0 (keras
issues 20585 and 20329).  Both are functions of Keras' own, so the two replacements here are put in
for the time of a `fit` only, and only in versions of Keras that are known to need them.
"""

import contextlib
import re
from typing import Any

import keras
import numpy as np

__all__ = ["KerasVersionError", "multi_worker_fit"]

KNOWN_TO_NEED_IT = ((3, 15),)


class KerasVersionError(RuntimeError):
    """A version of Keras whose `fit` fails on several workers in a way that is not known."""


@contextlib.contextmanager
def multi_worker_fit(strategy: Any) -> Any:
    """Context in which `fit` and `evaluate` work under a `MultiWorkerMirroredStrategy`.

    In Keras 3.15 two functions are replaced, and put back at the end.  With any other version a
    tiny `fit` is tried first, on all workers: if it works, as it does where Keras has been fixed,
    nothing is replaced.

    Args:
        strategy: the strategy, of several workers.

    Raises:
        KerasVersionError: if that `fit` fails.
    """
    if _version() not in KNOWN_TO_NEED_IT:
        _try(strategy)
        yield
        return
    from keras.src.backend.tensorflow import trainer

    saved = trainer.TensorFlowTrainer._maybe_symbolic_build, trainer.reduce_per_replica
    trainer.TensorFlowTrainer._maybe_symbolic_build = _maybe_symbolic_build
    trainer.reduce_per_replica = _reduce_per_replica(trainer.reduce_per_replica)
    try:
        yield
    finally:
        trainer.TensorFlowTrainer._maybe_symbolic_build, trainer.reduce_per_replica = saved


def _version():
    """(major, minor) of Keras."""
    return tuple(int(part) for part in re.findall(r"\d+", keras.__version__)[:2])


def _try(strategy):
    with strategy.scope():
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse", metrics=["mae"])
    x = np.zeros((strategy.num_replicas_in_sync, 1), "float32")
    try:
        model.fit(x, x, batch_size=len(x), verbose=0)
    except (AttributeError, TypeError, ValueError) as error:
        raise KerasVersionError(
            f"Keras {keras.__version__} cannot train on several workers, and the work-around is "
            f"known for Keras 3.15 only: use Keras 3.15, or one host ({type(error).__name__})"
        ) from error


def _maybe_symbolic_build(self, iterator=None, data_batch=None):
    import tensorflow as tf

    if self._distribute_strategy is None:
        return
    strategy = self.distribute_strategy
    if iterator is not None:
        for _, _, batches in iterator:
            # The batch of one replica is example enough, and no other worker is asked for its own.
            data_batch = tf.nest.map_structure(
                lambda value: strategy.experimental_local_results(value)[0], next(batches)
            )
            break
    with strategy.scope():
        self._symbolic_build(data_batch=data_batch)


def _reduce_per_replica(original):
    def reduce_per_replica(values, strategy, reduction):
        import tensorflow as tf

        several = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
        if not several or reduction not in ("auto", "mean"):
            return original(values, strategy, reduction)
        return tf.nest.map_structure(lambda v: strategy.reduce("MEAN", v, axis=None), values)

    return reduce_per_replica
