"""Masks of single images: many at once, and the published procedure, one image at a time."""

import numpy as np

PENALTY, PATIENCE, MOST_STEPS = 0.07, 300, 20000


def make_model(data, width, epochs):
    """A VGG-11-BN of the zoo, trained for a moment on the data's training images."""
    import keras

    from spectral_keras.models import registry

    keras.utils.set_random_seed(0)
    shape = data.x_train.shape[1:]
    classes = int(data.y_train.max()) + 1
    model = registry.build("vgg11_bn", shape, classes, width=width, dropout_rate=0.0)
    model.compile(
        keras.optimizers.Adam(2e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    x = data.x_train.astype("float32") / 255
    model.fit(x, data.y_train, batch_size=128, epochs=epochs, verbose=0)
    return model


def published(model, height, width, channels):
    """The published procedure as a plain loop: function(image) -> dict.

    One image a call: a mask of ones, Adam (epsilon 1e-8) under a one-cycle schedule of 20 000 * 200
    steps to the nominal rate 0.2, clipped to [0, 1] after each step; ends after 300 steps in a row
    with the prediction unchanged, |change of invariance| <= 1e-6 and |change of sparsity| <= 1e-5.
    The step is compiled, and the unmasked loss is computed once and not at each step.
    """
    import tensorflow as tf

    mask, first, second = (tf.Variable(tf.zeros((height, width))) for _ in range(3))
    total = 20_000 * 200

    @tf.function
    def look(image):
        logits = model(image[None], training=False)
        label = tf.argmax(logits, axis=-1)
        return label, tf.nn.sparse_softmax_cross_entropy_with_logits(label, logits)

    @tf.function
    def step(image, label, unmasked, rate, beta1, number):
        with tf.GradientTape() as tape:
            spectrum = tf.signal.fft2d(tf.cast(tf.transpose(image, (2, 0, 1)), "complex64"))
            masked = tf.signal.ifft2d(tf.complex(mask, tf.zeros_like(mask)) * spectrum)
            masked = tf.transpose(tf.math.real(masked), (1, 2, 0))
            logits = model(masked[None], training=False)
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits(label, logits)
            invariance = tf.reduce_sum(tf.exp((loss - unmasked) ** 2))
            sparsity = tf.reduce_mean(tf.abs(mask))
            objective = invariance + PENALTY * sparsity
        gradient = tape.gradient(objective, mask)
        kept = tf.reduce_all(tf.equal(tf.argmax(logits, axis=-1), label))
        first.assign(beta1 * first + (1 - beta1) * gradient)
        second.assign(0.999 * second + 0.001 * gradient**2)
        corrected = first / (1 - beta1**number), second / (1 - 0.999**number)
        moved = mask - rate * corrected[0] / (tf.sqrt(corrected[1]) + 1e-8)
        mask.assign(tf.clip_by_value(moved, 0.0, 1.0))
        return objective, invariance, sparsity, kept

    def learn(image, most_steps=MOST_STEPS):
        image = tf.constant(image)
        mask.assign(tf.ones_like(mask))
        first.assign(tf.zeros_like(first))
        second.assign(tf.zeros_like(second))
        label, unmasked = look(image)
        calm, before = 0, (np.inf, np.inf)
        for number in range(most_steps):
            share = (1 + np.cos(np.pi * number / (0.1 * total - 1))) / 2
            rate, beta1 = 0.2 + (0.2 / 25 - 0.2) * share, 0.85 + 0.1 * share
            rates = (tf.constant(value, "float32") for value in (rate, beta1, number + 1))
            objective, invariance, sparsity, kept = step(image, label, unmasked, *rates)
            now = float(invariance), float(sparsity)
            still = abs(now[0] - before[0]) <= 1e-6 and abs(now[1] - before[1]) <= 1e-5
            calm = calm + 1 if still and bool(kept) else 0
            before = now
            if calm >= PATIENCE:
                break
        return {
            "objective": float(objective),
            "sparsity": now[1],
            "steps": number + 1,
            "kept": bool(kept),
            "converged": calm >= PATIENCE,
        }

    return learn
