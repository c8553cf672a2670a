"""Frequency response of a first layer and Fourier heat map, against a loop over frequencies."""

import numpy as np

from benchmarks.harness import Case

OURS = "spectral_keras"
LOOP = "model(x) in a loop"
PREDICT = "model.predict in a loop"


def response_case(size=32, filters=64, results=None):
    """64 filters of 3x3, the first layer of a VGG-16, and all point-detection maps of one channel.

    The usual way is given the truncated model and the images, which ours makes as it goes.
    """
    import keras

    from spectral_keras.analysis import frequency_response, point_detection_maps

    keras.utils.set_random_seed(0)
    inputs = keras.Input((size, size, 3))
    x = keras.layers.Rescaling(4.0, -2.0)(inputs)
    x = keras.layers.Conv2D(filters, 3, padding="same", activation="relu", name="first")(x)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(filters, 3)(x))
    model = keras.Model(inputs, keras.layers.Dense(10)(x))
    first = keras.Model(inputs, model.get_layer("first").output)
    images = point_detection_maps(size, 0, data_format="channels_last")
    results = {} if results is None else results

    def ours():
        results[OURS] = frequency_response(
            model, "first", readout="mean", channels=0, data_format="channels_last"
        )

    def loop():
        found = []
        for k in range(len(images)):
            output = first(images[k : k + 1], training=False)
            found.append(np.mean(output.numpy(), axis=(0, 1, 2)))
        results[LOOP] = np.stack(found)

    return Case(
        name="frequency response",
        shape=f"{filters} filters 3x3 on [{size},{size},3], {len(images)} point-detection maps",
        reference=LOOP,
        ways={LOOP: lambda: loop, OURS: lambda: ours},
    )


def heat_map_case(count=16, frequencies=8, width=0.25, results=None):
    """A narrow ResNet-18, some frequencies, equal work for all."""
    import keras

    from spectral_keras.analysis import fourier_heat_map, point_perturbation, real_frequencies
    from spectral_keras.models import registry

    keras.utils.set_random_seed(0)
    model = registry.build("resnet18", (32, 32, 3), 10, width=width)
    rng = np.random.default_rng(0)
    images = rng.random((count, 32, 32, 3)).astype("float32")
    labels = np.argmax(np.asarray(model(images, training=False)), axis=1)
    index = real_frequencies(32)[:: 514 // frequencies][:frequencies]
    results = {} if results is None else results

    def ours():
        results[OURS] = fourier_heat_map(
            model, images, labels, frequencies=index, data_format="channels_last"
        )

    def usual(classify):
        rates = []
        for i, j in index.tolist():
            wave = 4.0 * point_perturbation(32, [[i, j]], strength=1.0)[0]
            signs = np.random.default_rng((0, i * 32 + j)).integers(0, 2, (count, 3)) * 2 - 1
            noise = wave[None, :, :, None] * signs[:, None, None, :]
            noisy = np.clip(images + noise, 0, 1).astype("float32")
            rates.append((classify(noisy).argmax(axis=1) != labels).mean())
        return np.array(rates)

    def loop():
        results[LOOP] = usual(lambda x: model(x, training=False).numpy())

    def predict():
        results[PREDICT] = usual(lambda x: model.predict(x, batch_size=128, verbose=0))

    return Case(
        name="Fourier heat map",
        shape=f"ResNet-18 of width {width:g}, {count} images [32,32,3], {len(index)} frequencies",
        reference=LOOP,
        ways={LOOP: lambda: loop, PREDICT: lambda: predict, OURS: lambda: ours},
    )


def differences(responses, heat_maps):
    """How far ours is from the loops, so that the same thing was timed."""
    from spectral_keras.analysis import real_frequencies

    index = real_frequencies(32)
    ours, theirs = responses[OURS][:, 0, index[:, 0], index[:, 1]], responses[LOOP].T
    found = {"frequency response": float(np.abs(ours - theirs).max() / np.abs(theirs).max())}
    rates = heat_maps[OURS]
    computed = heat_maps[LOOP]
    index = index[:: 514 // len(computed)][: len(computed)]
    ours = rates[index[:, 0], index[:, 1]]
    found["Fourier heat map"] = float(np.abs(ours - computed).max())
    return found
