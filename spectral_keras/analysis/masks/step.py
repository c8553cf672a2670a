"""One step on many masks at once, compiled once per model.

TensorFlow: a `tf.function` that is traced once, for any number of masks.  JAX: `jax.jit`, traced
once for each number.  PyTorch: eager.  They are kept with the model, so that a second call costs no
trace; weights are read anew at each call.
"""

import keras
from keras import ops

from spectral_keras.analysis.masks import objective as terms
from spectral_keras.analysis.masks.schedule import BETA2
from spectral_keras.attacks.logits import logits_function, model_notes

# Keras' default of 1e-7 is near the gradient of the penalty, lambda / (H W), itself.
EPSILON = 1e-8


# A Gauss-Newton step changes an entry by at most so many times what the penalty alone would.
_REACH = 4.0

# By how much the objective has to fall to count: more than the rounding of two batch sizes.
_SIGNIFICANT = 1e-7

# Which entries are at their bounds depends on the step and the step on which they are.
_BOUND_ROUNDS = 3


# Where the steps that fall have become this share of the longest, masks with another label than
# their image's give way to the best one with its label.
_SHORT = 0.02

# What a rule carries from step to step: (whether it is a tensor like the entries or one number for
# each mask, its first value).
MEMORY = {
    "adam": {"first": (True, 0.0), "second": (True, 0.0)},
    "gauss_newton": {
        "base": (True, 0.0),
        "lowest": (False, float("inf")),
        "flipped": (False, 0.0),
        "strict": (False, 0.0),
        "gradient": (True, 0.0),
        "change": (False, 0.0),
        "masked": (False, 0.0),
        "h": (False, 0.0),
    },
}


def compiled_step(
    model, image_shape, layout, objective, per_channel, channels_last, from_logits, rule
):
    """function(entries, best, least, *memory, spectra, labels, unmasked, weights, rates).

    Args of the function: `entries` and `best` are [G, kinds, C or 1, size]; `least` [G]; the memory
    as in `MEMORY`; `rates` [G, 3], what the schedule's `rates` gives; the others as in
    `network_gradient`.

    Returns of the function: entries after the step; `best` and `least` after the entries that
    came in were looked at (the entries of the lowest objective with which all images have their
    labels); the memory after the step; and objective, invariance and sparsity [G] and correct
    [G, B], with Adam of the entries that came in and with Gauss-Newton steps of the base.
    """
    key = (
        "mask step", image_shape, layout.symmetric, objective, per_channel, channels_last,
        from_logits, rule,
    )  # fmt: skip
    update = {"adam": adam, "gauss_newton": gauss_newton}[rule]

    def build():
        logits_of, _ = logits_function(model, from_logits)

        def step(entries, best, least, *rest):
            memory, batch, rates = rest[:-5], rest[-5:-1], rest[-1]
            return update(
                logits_of, (entries, best, least, *memory), batch, rates, layout, objective,
                channels_last,
            )  # fmt: skip

        state = ("float32", (None, objective.kinds, per_channel or 1, layout.size))
        each = ("float32", (None, None))
        return _compiled(
            model,
            step,
            [
                state,
                state,
                ("float32", (None,)),
                *(state if like else ("float32", (None,)) for like, _ in MEMORY[rule].values()),
                _spectra(layout, image_shape, channels_last),
                ("int32", (None, None)),
                each,
                each,
                ("float32", (None, 3)),
            ],
        )

    return _once(model, key, build)


def _wide(values):
    """[G] as [G, 1, 1, 1]."""
    return values[:, None, None, None]


def adam(logits_of, state, batch, rates, layout, objective, channels_last):
    """A step of Adam, for groups of any number of images.

    Args:
        state: (entries, best, least, first moment, second moment).
        rates: learning rate / (1 - beta1^t) for step t = 1, 2, ..., beta1 and sqrt(1 - BETA2^t),
            along the second axis.
    """
    entries, best, least, first, second = state
    gradient, total, invariance, sparsity, correct = terms.value_and_gradient(
        logits_of, entries, batch, layout, objective, channels_last
    )
    better = ops.logical_and(ops.all(correct, axis=1), total < least)
    best, least = ops.where(_wide(better), entries, best), ops.where(better, total, least)
    size, beta1, root = (_wide(rates[:, i]) for i in range(3))
    first = beta1 * first + (1.0 - beta1) * gradient
    second = BETA2 * second + (1.0 - BETA2) * gradient * gradient
    entries = entries - size * first / (ops.sqrt(second) / root + EPSILON)
    entries = ops.clip(entries, 0.0, 1.0)
    return entries, best, least, first, second, total, invariance, sparsity, correct


def gauss_newton(logits_of, state, batch, rates, layout, objective, channels_last):
    """A Gauss-Newton step from the base, the mask of the lowest objective, for one image a group.

    With d linearised, d + g . D, the step D minimises

        f(d) + f'(d) g . D + f''(d) (g . D)^2 / 2 + (lambda / ||1||_1) (u . D + |D|^2 / (2 h))

    over the entries that stay within [0, 1], u the slopes of the penalty: D = beta g - h u, so an
    entry that the network does not need falls by h u each step, while beta holds d where it is to
    be.  Adam, which sees the gradient f'(d) g only, has to find that balance entry by entry.

    Where the objective fell, h grows and the next step starts there; elsewhere it starts once more
    from the base with a smaller h.

    The base may have another label than the image: where two classes nearly tie, the way to a good
    mask leads through such masks.  Where it comes to rest on one, it goes back to the best mask
    with the image's label, and from then on no other is taken ("strict").

    Args:
        state: (entries, best, least, base, its objective, whether its label is another, strict,
            gradient and change of the cross-entropy at the base, the cross-entropy; h).
        rates: factors of h after a step that lowered the objective and after one that did not,
            largest h; along the second axis.
    """
    entries, best, least, base, lowest, flipped, strict, *memory, h = state
    gradient, _, change, masked, correct = terms.network_gradient(
        logits_of, entries, batch, layout, objective.modulate, channels_last, lambda c, d: c
    )
    change, masked = change[:, 0], masked[:, 0]
    # A network may have no finite gradient somewhere.
    gradient = ops.where(ops.isfinite(gradient), gradient, ops.zeros_like(gradient))
    gradient = gradient * ops.cast(terms.movable(layout, objective), entries.dtype)
    _, penalty, _ = terms.penalty_terms(entries, layout, objective)
    # Less the 1 of the exponential, where small differences would drown in rounding.
    total = terms.invariance_term(change, masked, objective.invariance, less_one=True)
    total = total + objective.penalty * penalty
    at_start = ops.logical_not(ops.isfinite(lowest))
    # The mask of ones is right up to rounding, which may turn a tie of two classes.
    right = ops.logical_or(ops.all(correct, axis=1), at_start)
    better = ops.logical_and(total < lowest - _SIGNIFICANT, ops.logical_or(right, strict < 0.5))
    base, lowest = ops.where(_wide(better), entries, base), ops.where(better, total, lowest)
    flipped = ops.where(better, ops.cast(ops.logical_not(right), flipped.dtype), flipped)
    gradient = ops.where(_wide(better), gradient, memory[0])
    change, masked = (
        ops.where(better, new, old) for new, old in zip((change, masked), memory[1:], strict=True)
    )
    grown = ops.where(at_start, h, ops.minimum(h * rates[:, 0], rates[:, 2]))
    h = ops.where(better, grown, h * rates[:, 1])
    better = ops.logical_and(better, ops.logical_and(right, total < least))
    best, least = ops.where(_wide(better), entries, best), ops.where(better, total, least)

    slopes, penalty, sparsity = terms.penalty_terms(base, layout, objective)
    invariance = terms.invariance_term(change, masked, objective.invariance)
    reported = invariance + objective.penalty * penalty, invariance, sparsity
    move = _gauss_newton_move(base, gradient, slopes, change, masked, h, layout, objective)
    entries = ops.clip(base + move, 0.0, 1.0)
    back = ops.logical_and(flipped > 0.5, h < _SHORT * rates[:, 2])
    # The best mask is looked at once more, for its gradient, as the first one was.
    entries = ops.where(_wide(back), best, entries)
    lowest = ops.where(back, ops.full_like(lowest, float("inf")), lowest)
    h, strict = ops.where(back, rates[:, 2], h), ops.where(back, ops.ones_like(strict), strict)
    memory = base, lowest, flipped, strict, gradient, change, masked, h
    return entries, best, least, *memory, *reported, (flipped < 0.5)[:, None]


def _gauss_newton_move(entries, gradient, slopes, change, masked, h, layout, objective):
    slope, curve = terms.invariance_derivatives(change, masked, objective.invariance)
    slope, curve, h = _wide(slope), _wide(curve), _wide(h)
    damping = terms.per_frequency(entries, layout, objective) / h
    counts = ops.cast(layout.multiplicity, entries.dtype)

    def product(a, b):
        return ops.sum(a * b * counts, axis=(1, 2, 3), keepdims=True)

    free = ops.ones_like(entries)
    for _ in range(_BOUND_ROUNDS):
        along, square = product(gradient * free, slopes), product(gradient * free, gradient)
        beta = (curve * h * along - slope) / (damping + curve * square)
        move = ops.clip(beta * gradient - h * slopes, -_REACH * h, _REACH * h)
        low = ops.logical_and(entries <= 0.0, move < 0.0)
        high = ops.logical_and(entries >= 1.0, move > 0.0)
        free = ops.cast(ops.logical_not(ops.logical_or(low, high)), entries.dtype)
    return move


def compiled_logits(model, image_shape, layout, objective, per_channel, channels_last, from_logits):
    """function(entries [G, ...], spectra [G, B, ...]) -> logits [G * B, K] behind the masks."""
    key = (
        "mask logits", image_shape, layout.symmetric, objective.modulate, per_channel,
        channels_last, from_logits,
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
