"""One compiled function per model: an attack step, and the logits alone.

TensorFlow: a `tf.function` that is traced once, for any batch size. JAX: `jax.jit`, traced once for
each batch size. PyTorch: eager. They are kept with the model, so that a second attack
with another eps, step or label costs no trace; weights are read anew at each call.
"""

import keras
from keras import ops

from spectral_keras.attacks.balls import inf_step, l2_step
from spectral_keras.attacks.gradients import input_gradient
from spectral_keras.attacks.logits import logits_function, model_notes
from spectral_keras.attacks.objectives import objective


def compiled_logits(model, sample_shape, from_logits):
    """function(images) -> [N, K] logits, a tensor."""

    def build():
        logits, _ = logits_function(model, from_logits)
        return _compiled(model, logits, [("float32", (None, *sample_shape))])

    return _once(model, ("logits", sample_shape, from_logits), build)


def compiled_step(model, sample_shape, from_logits, *, norm, loss, targeted, freeze):
    """function(images, labels, moves, step, *ball) -> (images, fooled, objective, stuck).

    Args of the function, for a batch of m images:
        images: [m, *sample_shape], where the attack stands.
        labels: [m] int32; -1 for the class that the model gives `images`.
        moves: [m] bool; images that are not to change.
        step: [1, *sample_shape] for "inf", [1] for "l2".
        ball: low, high, each [m, *sample_shape], for "inf"; center [m, *sample_shape], radius [1]
            and clip [2] for "l2".

    Returns of the function:
        The moved images (with `freeze` those that had fooled the model stay), and of the
        images that came in: whether they fooled the model, their objective, and whether their
        gradient was zero or not finite in every entry.
    """

    def build():
        logits_of, _ = logits_function(model, from_logits)

        def step(images, labels, moves, size, *ball):
            moved, fooled, values, stuck = attack_step(
                logits_of, images, labels, size, ball, norm, loss, targeted
            )
            stays = ops.logical_not(moves)
            if freeze:
                stays = ops.logical_or(stays, fooled)
            stays = ops.reshape(stays, (-1, *[1] * len(sample_shape)))
            return ops.where(stays, images, moved), fooled, values, stuck

        batch = ("float32", (None, *sample_shape))
        if norm == "inf":
            rest = [("float32", (1, *sample_shape)), batch, batch]
        else:
            rest = [("float32", (1,)), batch, ("float32", (1,)), ("float32", (2,))]
        return _compiled(model, step, [batch, ("int32", (None,)), ("bool", (None,)), *rest])

    key = ("step", sample_shape, from_logits, norm, loss, targeted, freeze)
    return _once(model, key, build)


def attack_step(logits_of, images, labels, size, ball, norm, loss, targeted):
    """(moved images, fooled, objective, stuck) as in `compiled_step`; can be traced."""

    def summed(images):
        logits = logits_of(images)
        predicted = ops.cast(ops.argmax(logits, axis=-1), "int32")
        wanted = ops.where(labels < 0, predicted, labels)
        values = objective(logits, wanted, loss, targeted)
        at_label = ops.equal(predicted, wanted)
        fooled = at_label if targeted else ops.logical_not(at_label)
        return ops.sum(values), (fooled, values)

    gradient, (fooled, values) = input_gradient(summed, images, has_aux=True)
    # A value that is not finite would spread to the image.
    gradient = ops.where(ops.isfinite(gradient), gradient, ops.zeros_like(gradient))
    stuck = ops.all(ops.equal(gradient, 0.0), axis=tuple(range(1, len(images.shape))))
    if norm == "inf":
        moved = inf_step(images, gradient, size, *ball)
    else:
        center, radius, clip = ball
        moved = l2_step(images, gradient, size, center, radius, clip[0], clip[1])
    return moved, fooled, values, stuck


def any_batch_size():
    """Whether a new batch size costs no new trace."""
    return keras.backend.backend() != "jax"


def _once(model, key, build):
    notes = model_notes(model)
    if key not in notes:
        notes[key] = build()
    return notes[key]


def _compiled(model, function, arguments):
    """`function` of tensors compiled; `arguments` are their (dtype, shape)."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        # The batch size of a model that has a fixed one would contradict a free one.
        fixed = fixed_batch_size(model)
        specs = [
            tf.TensorSpec([fixed if n is None else n for n in shape], dtype)
            for dtype, shape in arguments
        ]
        return tf.function(function, input_signature=specs)
    if backend == "jax":
        import jax

        # Weights are arguments: the trace would keep the values of a closure. The list is of
        # variables, not of the model, which may not be held from its own notes.
        variables = list(model.variables)

        @jax.jit
        def stateless(values, *tensors):
            with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
                return function(*tensors)

        return lambda *tensors: stateless([v.value for v in variables], *tensors)
    return function


def fixed_batch_size(model):
    """The batch size that the model was built for, or None."""
    inputs = getattr(model, "inputs", None)
    return inputs[0].shape[0] if inputs else None
