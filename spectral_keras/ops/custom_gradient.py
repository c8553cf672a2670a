"""Gradients in closed form on TensorFlow, without keeping every graph that they appear in."""

import weakref
from typing import Any

__all__ = ["custom_gradient"]


def custom_gradient(function: Any, *tensors: Any) -> Any:
    """`function(*tensors)`, with the gradient that it says, as `tf.custom_gradient`.

    While a graph is built, `tf.custom_gradient` registers each gradient under a new name for the
    life of the process.  The registered function holds what `function` returned and what its
    gradient closes over, tensors of the graph, and through them the whole graph: each traced model
    would stay in memory.  So the list that TensorFlow holds is emptied once it has been used, and
    the tensors that the gradient needs are held weakly: their graph holds them as long as it lives.

    Args:
        function: of tensors, returns (result, saved, gradient): a tensor, a tuple of tensors or
            other values, and a function (upstream, *saved) that returns the gradient by each of
            the tensors and closes over no tensor itself.
        *tensors: what `function` is differentiated by.

    Returns:
        The result of `function`.

    Example:

    ```python
    import tensorflow as tf

    def squared(x):
        return x * x, (x,), lambda upstream, x: 2 * x * upstream

    y = custom_gradient(squared, tf.constant(3.0))
    ```
    """
    import tensorflow as tf

    in_graph = not tf.executing_eagerly()
    results = []

    def held(item):
        return weakref.ref(item) if in_graph and tf.is_tensor(item) else lambda: item

    def with_gradient(*tensors):
        result, saved, gradient = function(*tensors)
        results.append(result)
        references = [held(item) for item in saved]

        def of_upstream(upstream):
            return gradient(upstream, *(reference() for reference in references))

        return results, of_upstream

    (result,) = tf.custom_gradient(with_gradient)(*tensors)
    if in_graph:
        results[:] = [None]
    return result
