"""Sums and means over the batch that the replicas of a TensorFlow distribution strategy share.

What is computed for the whole batch must not depend on how many replicas there are, see
`spectral_keras.ops.global_batch`.  Without a strategy, outside of its replicas, and on JAX and
PyTorch, where a step sees the whole batch, the functions do nothing and cost nothing.
"""

from typing import Any

import keras
from keras import ops

from spectral_keras.ops.global_batch import replica_context

__all__ = ["global_sum", "number_of_replicas", "own_share", "part_of_global_mean"]


def number_of_replicas() -> int:
    """By how much Keras divides losses: the replicas of a TensorFlow strategy, else 1.

    Example:

    >>> from spectral_keras.training.replicas import number_of_replicas
    >>> number_of_replicas()
    1
    """
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


def global_sum(x: Any) -> Any:
    """The sum of a tensor over all replicas; x itself where there is only one.

    Not for what a gradient flows through.
    """
    context = replica_context()
    return x if context is None else context.all_reduce("SUM", ops.stop_gradient(x))


def own_share(count: int) -> Any:
    """How many of the first `count` images of the global batch are this replica's."""
    context = replica_context()
    if context is None:
        return count
    replicas, index = context.num_replicas_in_sync, context.replica_id_in_sync_group
    return (count - index + replicas - 1) // replicas


def part_of_global_mean(loss: Any, count: int) -> Any:
    """A loss with its own value, whose gradients add up to those of the global batch's mean.

    Keras divides the mean loss of each replica by the number of replicas, which is the mean over
    the global batch where all replicas have as many images.  This weighs the gradient, not the
    value, by how many images there are here: metrics weigh it by their number themselves.

    Args:
        loss: scalar, the mean over the images of this replica, divided by the number of replicas.
        count: number of these images.

    Returns:
        Scalar tensor.
    """
    context = replica_context()
    if context is None:
        return loss
    count = ops.cast(count, loss.dtype)
    total = context.all_reduce("SUM", count)
    weight = ops.stop_gradient(context.num_replicas_in_sync * count / ops.maximum(total, 1))
    return weight * loss + ops.stop_gradient(loss - weight * loss)
