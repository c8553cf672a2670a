"""An attack on tensors, for use inside a compiled training step."""

import contextlib

import keras
from keras import ops

from spectral_keras.attacks import arguments
from spectral_keras.attacks.compiled import attack_step
from spectral_keras.attacks.logits import logits_function
from spectral_keras.ops.global_batch import global_draw
from spectral_keras.ops.validation import check_bool, check_positive_int


def perturb(
    model,
    x,
    y=None,
    eps=8 / 255,
    step_size=None,
    steps=1,
    *,
    norm="inf",
    random_start=None,
    targeted=False,
    from_logits=None,
    loss="cross_entropy",
    clip=(0.0, 1.0),
):
    """FGSM (one step, the default) or PGD on a batch of tensors; can be traced.

    For adversarial training: call it in `compute_loss`, in `tf.function`, in what `jax.jit`,
    `jax.grad` or `torch.autograd` see. All images take all steps. No gradient flows through the
    result, to the weights or to `x`. The model is called with `training=False`: batch
    statistics, dropout and seed generators do not move.

    Args:
        model: Keras classifier with one output [N, K], or a function that maps a tensor of images
            to logits [N, K].
        x: float tensor of images [N, ...]; float32 inside. Values outside of `clip` get clipped.
        y: tensor of integer labels [N] or [N, 1], of one-hot (or other) rows [N, K] of which the
            largest entry counts, or None for the model's predictions. Not checked for range.
        eps: radius of the ball: a number, an array that broadcasts to an image (norm "inf"), or a
            scalar tensor, such as one that grows during training.
        step_size: as `eps`; None for `eps` with one step, else 2.5 * eps / steps.
        steps: positive number of steps.
        norm: "inf" or "l2".
        random_start: None to start at `x`, or a `keras.random.SeedGenerator` (of the layer or model
            that calls, so that it is tracked) for a start drawn uniformly from the ball.
        targeted, from_logits, loss, clip: as in `pgd`; but a model whose last layer is not
            known counts as giving logits unless `from_logits=False`.

    Returns:
        Float32 tensor of x's shape in the ball (up to one float32 rounding) and in `clip`.

    Raises:
        ValueError: for an argument that does not fit.

    Example:

    ```python
    import keras
    from spectral_keras.attacks import perturb

    class Adversarial(keras.Model):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            if training:
                y_pred = self(perturb(self, x, y, 8 / 255), training=True)
            return super().compute_loss(x, y, y_pred, sample_weight, training)
    ```
    """
    arguments.check_kind(norm, loss, from_logits)
    clip = arguments.check_clip(clip)
    steps = check_positive_int("steps", steps)
    if check_bool("targeted", targeted) and y is None:
        raise ValueError("`y` must be the wanted classes where targeted=True. Received: y=None")
    if random_start is not None and not isinstance(random_start, keras.random.SeedGenerator):
        raise ValueError(
            "`random_start` must be None or a keras.random.SeedGenerator. "
            f"Received: random_start={random_start!r}"
        )
    is_layer = isinstance(model, keras.Layer)
    if not is_layer and not callable(model):
        raise ValueError(f"`model` must be a Keras model or a function. Received: model={model!r}")

    x = ops.stop_gradient(ops.cast(ops.convert_to_tensor(x), "float32"))
    eps = _size("eps", eps, norm, x.shape[1:])
    if step_size is None:
        step_size = eps if steps == 1 else eps * (2.5 / steps)
    else:
        step_size = _size("step_size", step_size, norm, x.shape[1:])

    # Drawn outside of the scope and the loop below: the generator's step forward has to stay.
    start = x if random_start is None else _start(x, eps, norm, random_start)

    with _constant_weights(model) if is_layer else contextlib.nullcontext():
        logits_of = logits_function(model, from_logits)[0] if is_layer else model
        y = _labels(logits_of, x, y)
        if norm == "inf":
            ball = low, high = x - eps, x + eps
            if clip is not None:
                ball = low, high = ops.maximum(low, clip[0]), ops.minimum(high, clip[1])
        else:
            low, high = clip or (float("-inf"), float("inf"))
            ball = x, eps, (low, high)
        images = ops.clip(start, low, high)

        def step(_, images):
            return attack_step(logits_of, images, y, step_size, ball, norm, loss, targeted)[0]

        images = step(0, images) if steps == 1 else ops.fori_loop(0, steps, step, images)
    return ops.stop_gradient(images)


def _size(name, value, norm, sample_shape):
    if not ops.is_tensor(value) and not isinstance(value, keras.Variable):
        value = arguments.check_size(name, value, norm, sample_shape)
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
