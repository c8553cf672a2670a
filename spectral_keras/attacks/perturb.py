"""An attack on tensors, for use inside a compiled training step."""

import contextlib
import dataclasses
from collections.abc import Callable
from typing import Any, cast

import keras
from keras import ops

from spectral_keras.attacks.attack import Attack
from spectral_keras.attacks.step import attack_step
from spectral_keras.classifiers.logits import logits_function
from spectral_keras.ops.global_batch import global_draw
from spectral_keras.ops.validation import describe

__all__ = ["perturb"]


def perturb(
    model: keras.Layer | Callable[[Any], Any],
    x: Any,
    y: Any = None,
    attack: Attack | None = None,
    *,
    eps: Any = None,
    seed_generator: keras.random.SeedGenerator | None = None,
) -> Any:
    """FGSM or PGD on a batch of tensors; can be traced.

    For adversarial training: call it in `compute_loss`, in `tf.function`, in what `jax.jit`,
    `jax.grad` or `torch.autograd` see. All images take all steps. No gradient flows through the
    result, to the weights or to `x`. The model is called with `training=False`: batch
    statistics, dropout and seed generators do not move.

    Args:
        model: Keras classifier with one output [N, K], or a function that maps a tensor of images
            to logits [N, K].
        x: float tensor of images [N, ...]; float32 inside. What lies outside of `clip` is clipped
            first; the ball is that of the clipped image.
        y: tensor of integer labels [N] or [N, 1], of one-hot (or other) rows [N, K] of which the
            largest entry counts, or None for the model's predictions. Not checked for range.
        attack: an `Attack` of one try, None for FGSM. The length of a single step is `eps` by
            default, also with PGD. A model whose last layer is not known counts as giving logits
            unless `from_logits=False`. Random starts come from `seed_generator`, not from its seed.
        eps: None, or a radius in place of the attack's, such as a scalar tensor that grows during
            training.
        seed_generator: for random starts, of the layer or model that calls, so that it is tracked.

    Returns:
        Float32 tensor of x's shape in the ball (up to one float32 rounding) and in `clip`.

    Raises:
        ValueError: for an argument that does not fit.

    Example:

    ```python
    import keras
    from spectral_keras.attacks import Attack, perturb

    class Adversarial(keras.Model):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            if training:
                y_pred = self(perturb(self, x, y, Attack("fgsm", 8 / 255)), training=True)
            return super().compute_loss(x, y, y_pred, sample_weight, training)
    ```
    """
    attack = Attack("fgsm") if attack is None else attack
    _check(model, y, attack, seed_generator)
    is_layer = isinstance(model, keras.Layer)
    x = ops.stop_gradient(ops.cast(ops.convert_to_tensor(x), "float32"))
    if eps is not None and not ops.is_tensor(eps) and not isinstance(eps, keras.Variable):
        attack, eps = dataclasses.replace(attack, eps=eps), None
    if attack.clip is not None:
        x = ops.clip(x, *attack.clip)
    attack.check_shape(x.shape[1:])
    eps = _constant(attack.radius if eps is None else eps)
    if attack.step_size is not None:
        size = _constant(attack.step)
    else:
        size = eps if attack.steps == 1 else eps * (2.5 / cast(int, attack.steps))

    # Sampled outside of the scope and the loop below: the generator's step forward has to stay.
    start = _start(x, eps, attack.norm, seed_generator) if attack.random_start else x

    with _constant_weights(model) if is_layer else contextlib.nullcontext():
        logits_of = logits_function(model, attack.from_logits)[0] if is_layer else model
        y = _labels(logits_of, x, y)
        low, high, ball = _ball(x, eps, attack)
        images = ops.clip(start, low, high)

        def step(_, images):
            return attack_step(logits_of, images, y, size, ball, attack)[0]

        if attack.steps == 1:
            images = step(0, images)
        else:
            images = ops.fori_loop(0, attack.steps, step, images)
    return ops.stop_gradient(images)


def _check(model, y, attack, seed_generator):
    if not isinstance(attack, Attack):
        raise ValueError(f"`attack` must be None or an Attack. Received: {describe(attack)}")
    if attack.name not in ("fgsm", "pgd"):
        raise ValueError(f'`attack` must be "fgsm" or "pgd" here. Received: name={attack.name!r}')
    if attack.restarts != 1:
        raise ValueError(f"`attack` must be of one try here. Received: restarts={attack.restarts}")
    if not isinstance(model, keras.Layer) and not callable(model):
        raise ValueError(
            f"`model` must be a Keras model or a function. Received: model={describe(model)}"
        )
    attack.check_labels(y)
    if attack.random_start and not isinstance(seed_generator, keras.random.SeedGenerator):
        raise ValueError(
            "`seed_generator` must be a keras.random.SeedGenerator for random starts. "
            f"Received: seed_generator={describe(seed_generator)}"
        )


def _constant(value):
    return ops.stop_gradient(ops.cast(ops.convert_to_tensor(value), "float32"))


def _constant_weights(model):
    """On JAX: reads the weights as constants within.

    There the derivative of a loop is formed before it is known that none is asked for. Updates of
    variables within are dropped, and there are none at `training=False`.
    """
    if keras.backend.backend() != "jax":
        return contextlib.nullcontext()
    mapping = [(v, ops.stop_gradient(v.value)) for v in model.variables]
    return keras.StatelessScope(state_mapping=mapping)


def _labels(logits_of, x, y):
    if y is None:
        return ops.cast(ops.argmax(ops.stop_gradient(logits_of(x)), axis=-1), "int32")
    y = ops.convert_to_tensor(y)
    if len(y.shape) == 2 and y.shape[-1] != 1:
        y = ops.argmax(y, axis=-1)
    return ops.cast(ops.reshape(y, (-1,)), "int32")


def _ball(x, eps, attack):
    """(lowest, highest) values of an image, and the ball as `attack_step` takes it."""
    if attack.norm != "inf":
        low, high = attack.clip or (float("-inf"), float("inf"))
        return low, high, (x, eps, (low, high))
    low, high = x - eps, x + eps
    if attack.clip is not None:
        low, high = ops.maximum(low, attack.clip[0]), ops.minimum(high, attack.clip[1])
    return low, high, (low, high)


def _start(x, eps, norm, seed):
    shape = ops.shape(x)
    if norm == "inf":
        return x + eps * global_draw(keras.random.uniform, shape, -1.0, 1.0, seed=seed)
    axes = tuple(range(1, len(x.shape)))
    noise = global_draw(keras.random.normal, shape, seed=seed)
    length = ops.sqrt(ops.sum(ops.square(noise), axis=axes, keepdims=True))
    size = 1
    for side in x.shape[1:]:
        size *= side
    radius = global_draw(keras.random.uniform, (shape[0], *[1] * len(axes)), seed=seed)
    return x + eps * radius ** (1.0 / size) * noise / length
