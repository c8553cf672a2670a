"""One step on many masks at once, compiled once per model.

TensorFlow: a `tf.function` that is traced once, for any number of masks.  JAX: `jax.jit`, traced
once for each number.  PyTorch: eager.  They are kept with the model, so that a second call costs no
trace; weights are read anew at each call.
"""

import keras
from keras import ops

from spectral_keras.analysis.masks import objective as terms
from spectral_keras.analysis.masks.schedule import BETA2
from spectral_keras.attacks.compiled import fixed_batch_size
from spectral_keras.attacks.logits import logits_function, model_notes

# Keras' default of 1e-7 is near the gradient of the penalty, lambda / (H W), itself.
EPSILON = 1e-8


# A Gauss-Newton step changes an entry by at most so many times what the penalty alone would.
_REACH = 4.0

# Which entries are at their bounds depends on the step and the step on which they are.
_BOUND_ROUNDS = 3


def moments(rule):
    """How many tensors like the entries a rule carries from step to step."""
    return {"adam": 2, "gauss_newton": 0}[rule]


def compiled_step(
    model, image_shape, layout, objective, per_channel, channels_last, from_logits, rule
):
    """function(entries, best, least, *moments, spectra, labels, unmasked, weights, rates).

    Args of the function: `entries`, `best` and the moments are [G, kinds, C or 1, size]; `least`
    [G]; `rates` [G, 3], what the schedule's `rates` gives; the others as in `network_gradient`.

    Returns of the function: entries after the step; `best` and `least` after the entries that
    came in were looked at (the entries of the lowest objective with which all images have their
    labels); the moments after the step; and of the entries that came in: objective, invariance
    and sparsity [G], correct [G, B].
    """
    key = (
        "mask step", image_shape, layout.symmetric, objective, per_channel, channels_last,
        from_logits, rule,
    )  # fmt: skip
    update = {"adam": adam, "gauss_newton": gauss_newton}[rule]

    def build():
        logits_of, _ = logits_function(model, from_logits)

        def step(entries, best, least, *rest):
            memory, batch, rates = rest[:-5], rest[-5:-1], rest[-1][:, :, None, None, None]
            after, total, invariance, sparsity, correct = update(
                logits_of, entries, memory, batch, rates, layout, objective, channels_last
            )
            better = ops.logical_and(ops.all(correct, axis=1), total < least)
            best = ops.where(better[:, None, None, None], entries, best)
            least = ops.where(better, total, least)
            return after[0], best, least, *after[1:], total, invariance, sparsity, correct

        state = ("float32", (None, objective.kinds, per_channel or 1, layout.size))
        each = ("float32", (None, None))
        return _compiled(
            model,
            step,
            [
                state,
                state,
                ("float32", (None,)),
                *[state] * moments(rule),
                _spectra(layout, image_shape, channels_last),
                ("int32", (None, None)),
                each,
                each,
                ("float32", (None, 3)),
            ],
        )

    return _once(model, key, build)


def adam(logits_of, entries, memory, batch, rates, layout, objective, channels_last):
    """((entries, *moments) after a step of Adam, *values of the entries that came in).

    Args:
        rates: learning rate / (1 - beta1^t) for step t = 1, 2, ..., beta1 and sqrt(1 - BETA2^t),
            along the second axis.
    """
    gradient, *values = terms.value_and_gradient(
        logits_of, entries, batch, layout, objective, channels_last
    )
    first, second = memory
    size, beta1, root = rates[:, 0], rates[:, 1], rates[:, 2]
    first = beta1 * first + (1.0 - beta1) * gradient
    second = BETA2 * second + (1.0 - BETA2) * gradient * gradient
    entries = entries - size * first / (ops.sqrt(second) / root + EPSILON)
    return (ops.clip(entries, 0.0, 1.0), first, second), *values


def gauss_newton(logits_of, entries, memory, batch, rates, layout, objective, channels_last):
    """((entries,) after a Gauss-Newton step, *values of the entries that came in).

    One image a mask.  With d linearised, d + g . D, the step D minimises

        f(d) + f'(d) g . D + f''(d) (g . D)^2 / 2 + (lambda / ||1||_1) (u . D + |D|^2 / (2 h))

    over the entries that stay within [0, 1], u the slopes of the penalty: D = beta g - h u, so an
    entry that the network does not need falls by h u each step, while beta holds d where it is to
    be.  Adam, which sees the gradient f'(d) g only, has to find that balance entry by entry.

    Args:
        rates: h, and twice nothing, along the second axis.
    """
    gradient, _, change, masked, correct = terms.network_gradient(
        logits_of, entries, batch, layout, objective.modulate, channels_last, lambda c, d: c
    )
    slopes, penalty, sparsity = terms.penalty_terms(entries, layout, objective)
    invariance = ops.sum(terms.invariance_term(change, masked, objective.invariance), axis=1)
    total = invariance + objective.penalty * penalty
    # A model may have no finite gradient at a black image.
    gradient = ops.where(ops.isfinite(gradient), gradient, ops.zeros_like(gradient))
    gradient = gradient * ops.cast(terms.movable(layout, objective), entries.dtype)
    slope, curve = terms.invariance_derivatives(change, masked, objective.invariance)
    slope, curve = (ops.reshape(item, (-1, 1, 1, 1)) for item in (slope, curve))
    h = rates[:, 0]
    damping = terms.per_frequency(entries, layout, objective) / h
    counts = ops.cast(layout.multiplicity, entries.dtype)

    def product(a, b):
        return ops.sum(a * b * counts, axis=(1, 2, 3), keepdims=True)

    free = ops.ones_like(entries)
    for _ in range(_BOUND_ROUNDS):
        along, square = product(gradient * free, slopes), product(gradient * free, gradient)
        beta = (curve * h * along - slope) / (damping + curve * square)
        move = ops.clip(beta * gradient - h * slopes, -_REACH * h, _REACH * h)
        stuck = ops.logical_or(
            ops.logical_and(entries <= 0.0, move < 0.0), ops.logical_and(entries >= 1.0, move > 0.0)
        )
        free = ops.where(stuck, ops.zeros_like(entries), ops.ones_like(entries))
    return (ops.clip(entries + move, 0.0, 1.0),), total, invariance, sparsity, correct


def compiled_logits(
    model, image_shape, layout, objective, per_channel, channels_last, from_logits
):
    """function(entries [G, ...], spectra [G, B, ...]) -> logits [G * B, K] behind the masks."""
    key = (
        "mask logits", image_shape, layout.symmetric, objective.modulate, per_channel, channels_last,
        from_logits,
    )  # fmt: skip

    def build():
        logits_of, _ = logits_function(model, from_logits)

        def logits(entries, spectra):
            return terms.evaluate(
                logits_of, entries, spectra, layout, objective.modulate, channels_last
            )

        state = ("float32", (None, objective.kinds, per_channel or 1, layout.size))
        return _compiled(model, logits, [state, _spectra(layout, image_shape, channels_last)])

    return _once(model, key, build)


def compiled_spectra(model, image_shape, channels_last):
    """function(images [N, ...]) -> half spectra [N, C, *half]."""

    def build():
        def spectra(images):
            return terms.spectra_of(images, channels_last)

        # Of no model; but for as long as it lives.
        return _compiled(None, spectra, [("float32", (None, *image_shape))])

    return _once(model, ("mask spectra", image_shape, channels_last), build)


def _spectra(layout, image_shape, channels_last):
    channels = image_shape[-1] if channels_last else image_shape[0]
    return "complex64", (None, None, channels, *layout.half)


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

        specs = [tf.TensorSpec(shape, dtype) for dtype, shape in arguments]
        return tf.function(function, input_signature=specs, autograph=False)
    if backend == "jax":
        import jax

        # Weights are arguments: the trace would keep the values of a closure.  The list is of
        # variables, not of the model, which may not be held from its own notes.
        variables = [] if model is None else list(model.variables)

        @jax.jit
        def stateless(values, *tensors):
            with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
                return function(*tensors)

        return lambda *tensors: stateless([v.value for v in variables], *tensors)
    if backend == "torch":
        import torch

        def eager(*tensors):
            with torch.no_grad():  # `input_gradient` switches it on where it is needed
                return function(*tensors)

        return eager
    return function
