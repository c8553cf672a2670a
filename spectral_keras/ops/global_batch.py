"""The batch that the replicas of a TensorFlow distribution strategy share.

Under `tf.distribute.MirroredStrategy` or `MultiWorkerMirroredStrategy` each replica sees a part of
the global batch.  Samples for an image, and what a mean is divided by, must not depend on how many
replicas there are.  Here the replica r of R has the images r, r + R, r + 2 R, ... of the
global batch, as `spectral_keras.training.distribution.strategy_batches` hands them out.

Without a strategy, outside of its replicas, and on JAX and PyTorch, where a step sees the whole
batch, the functions do nothing and cost nothing.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

__all__ = ["global_draw", "replica_context"]


def replica_context() -> Any:
    """TensorFlow's context of a replica that is not alone, else None."""
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return None if context is None or context.num_replicas_in_sync == 1 else context


def global_draw(
    function: Callable[..., Any], shape: Sequence[Any], *arguments: Any, **keywords: Any
) -> Any:
    """`function(shape, ...)` for the whole global batch, and of it the rows of this replica.

    With a `SeedGenerator`, whose state is the same on all replicas, image i of the global batch
    gets the same numbers on any number of replicas.

    Args:
        function: of `keras.random`, such as `keras.random.uniform`.
        shape: of the draw for this replica; the first axis is that of the images.
        *arguments, **keywords: of the function.

    Returns:
        Tensor of that shape.

    Example:

    >>> import keras
    >>> from spectral_keras.ops.global_batch import global_draw
    >>> tuple(global_draw(keras.random.uniform, (4, 2), seed=1).shape)
    (4, 2)
    """
    context = replica_context()
    if context is None:
        return function(shape, *arguments, **keywords)
    count = ops.cast(shape[0], "int32")
    total = context.all_reduce("SUM", count)
    samples = function((total, *shape[1:]), *arguments, **keywords)
    rows = context.replica_id_in_sync_group + context.num_replicas_in_sync * ops.arange(count)
    # A batch that was split in another way may have more rows here: they are sampled, if not equal.
    return ops.take(samples, ops.minimum(rows, total - 1), axis=0)
