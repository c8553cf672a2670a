"""Projected gradient descent."""

from spectral_keras.attacks import arguments
from spectral_keras.attacks.loop import Settings, attack
from spectral_keras.ops.validation import check_bool, check_positive_int


def pgd(
    model,
    x,
    y=None,
    eps=8 / 255,
    step_size=None,
    steps=10,
    *,
    norm="inf",
    random_start=True,
    restarts=1,
    targeted=False,
    early_stop=True,
    from_logits=None,
    loss="cross_entropy",
    batch_size=128,
    seed=0,
    index=None,
    clip=(0.0, 1.0),
    progress=None,
):
    """Gradient steps, each followed by the projection into the ball around `x` and into `clip`.

    x_{t+1} = project(x_t + step_size * sign(grad loss(x_t, y))), Madry et al., "Towards deep
    learning models resistant to adversarial attacks" (2018), equation in section 2.1; with norm
    "l2" the gradient divided by its length in place of the sign. `steps` gradients for an
    image and try. The model is called with `training=False`, and nothing in it changes.

    Cross-entropy's direction is computed such that it does not vanish for confident networks (see
    `objectives.objective`).

    Args:
        model: Keras classifier with one input and one output [N, K]: logits, or probabilities.
        x: images of shape [N, ...] as the model takes them, numpy array or tensor of floats in
            `clip`. The attack is on `x` rounded to float32.
        y: integer labels [N] or [N, 1], one-hot labels [N, K], or None for the predictions.
        eps: radius of the ball in the units of `x`; with norm "inf" also an array that broadcasts
            to an image, as one number per channel (last axis).
        step_size: length of a step, as `eps`; None for 2.5 * eps / steps.
        steps: positive number of steps.
        norm: "inf" or "l2".
        random_start: whether to start at a point drawn uniformly from the ball (clipped), and
            not at `x`. The point of image i in try r is drawn from
            `numpy.random.default_rng([seed, r, index[i]])`.
        restarts: number of tries. The first that fools the model is kept, or else the one with the
            highest loss at its end. More than one needs `random_start`.
        targeted: True to go toward the classes `y` instead of away from them.
        early_stop: whether an image is left as it is once the model is fooled (with `targeted`:
            gives the class `y`); images that are misclassified as they come return unchanged.
            The same share of images is fooled at a fraction of the time; False goes on for a
            higher loss.
        from_logits: None cuts off a softmax at the model's end, and tells logits from
            probabilities by their values where the end is not a layer that it knows. True: the
            model gives logits. False: it gives probabilities.
        loss: "cross_entropy", or "margin", the largest other logit minus the label's.
        batch_size: images at a time. An image that is done leaves its place to the next.
        seed: integer of at least 0 for the random starts.
        index: [N] integers of at least 0 that name the images in the draws, None for 0 to N - 1:
            `pgd(model, x[part], y[part], index=part)` gives what the attack on all of `x` gives
            for that part.
        clip: (low, high), the range of valid inputs, or None.
        progress: None, or a callable `(images done, images in all)`, called as images get done.

    Returns:
        Float32 numpy array of x's shape. |x' - x| <= eps, as a real number and not just up to
        rounding, and x' in `clip`.

    Raises:
        ValueError: for an argument that does not fit.

    Warns:
        RuntimeWarning: if images have no usable gradient (all zeros, or not finite).

    Example:

    >>> import numpy as np, keras
    >>> model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(),
    ...                           keras.layers.Dense(3, activation="softmax")])
    >>> x = np.random.default_rng(0).random((2, 8, 8, 1))
    >>> y = model.predict(x, verbose=0).argmax(1)
    >>> attacked = pgd(model, x, y, eps=0.5, steps=5)
    >>> (model.predict(attacked, verbose=0).argmax(1) != y).tolist()
    [True, True]
    """
    arguments.check_model(model)
    arguments.check_kind(norm, loss, from_logits)
    clip = arguments.check_clip(clip)
    x = arguments.check_images(x, model, clip)
    eps = arguments.check_size("eps", eps, norm, x.shape[1:])
    steps = check_positive_int("steps", steps)
    if step_size is None:
        step_size = 2.5 * eps / steps
    else:
        step_size = arguments.check_size("step_size", step_size, norm, x.shape[1:], low_open=True)
    restarts = check_positive_int("restarts", restarts)
    if restarts > 1 and not check_bool("random_start", random_start):
        raise ValueError(
            f"`restarts` must be 1 without a random start. Received: restarts={restarts}"
        )
    if check_bool("targeted", targeted) and y is None:
        raise ValueError("`y` must be the wanted classes where targeted=True. Received: y=None")
    settings = Settings(
        eps=eps,
        step_size=step_size,
        steps=steps,
        norm=norm,
        random_start=check_bool("random_start", random_start),
        restarts=restarts,
        targeted=targeted,
        early_stop=check_bool("early_stop", early_stop),
        from_logits=from_logits,
        loss=loss,
        batch_size=check_positive_int("batch_size", batch_size),
        seed=check_positive_int("seed", seed, minimum=0),
        index=arguments.check_index(index, len(x)),
        clip=clip,
        progress=arguments.check_progress(progress),
    )
    return attack(model, x, y, settings)
