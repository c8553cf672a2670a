"""Speed of the frequency analysis against a loop: `python -m benchmarks.responses`.

The frequency response of a first layer (all maps of a channel) and a Fourier heat map, the same
images, signs and Keras model for all.  The loops compute each frequency of a pair once, too; a loop
over all entries of the heat map takes twice as long.
"""

if __name__ == "__main__":
    from models import command

    command("benchmarks.responses")

import dataclasses

import numpy as np

from benchmarks import harness
from benchmarks._options import add_numbers, benchmark_parser, integer, parse_and_keep_memory
from benchmarks.harness import Case

OURS = "spectral_keras"
LOOP = "model(x) in a loop"
PREDICT = "model.predict in a loop"


def main(arguments=None):
    parser = benchmark_parser("responses", __doc__)
    rows = [
        ("--repeats", integer(3), 5, "3 or more"),
        ("--images", integer(1), 16, "images of the heat map"),
        ("--frequencies", integer(1, 514), 8, "frequencies of the heat map, of 514"),
    ]
    add_numbers(parser, rows)
    options, kept = parse_and_keep_memory(parser, arguments)
    responses, heat_maps = {}, {}
    rows = []
    for case in (
        response_case(responses),
        heat_map_case(options.images, options.frequencies, heat_maps),
    ):
        measured = harness.measure(case, repeats=options.repeats, warmup=1)
        rows.extend(dataclasses.asdict(row) for row in measured)
        print(harness.format_rows(measured), flush=True)
    far = differences(responses, heat_maps)
    for name, value in far.items():
        print(f"{name}: largest difference from the loop {value:.1e}")
    if options.output:
        content = {
            "unit": "milliseconds for all frequencies, median of interleaved repeats",
            "largest_difference_from_the_loop": far,
            "rows": rows,
        }
        memory = {"freed_memory_kept": kept}
        harness.write_results(options.output, "responses", arguments, content, memory)
    return 0


def response_case(results):
    """64 filters of 3x3, the first layer of a VGG-16, and all point-detection maps of one channel.

    The usual way is given the truncated model and the images, which ours makes as it goes.
    """
    import keras

    from spectral_keras.analysis import frequency_response, point_detection_maps

    size, filters = 32, 64
    keras.utils.set_random_seed(0)
    inputs = keras.Input((size, size, 3))
    x = keras.layers.Rescaling(4.0, -2.0)(inputs)
    x = keras.layers.Conv2D(filters, 3, padding="same", activation="relu", name="first")(x)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(filters, 3)(x))
    model = keras.Model(inputs, keras.layers.Dense(10)(x))
    first = keras.Model(inputs, model.get_layer("first").output)
    images = point_detection_maps(size, 0, data_format="channels_last")

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


def heat_map_case(count, frequencies, results):
    """A narrow ResNet-18, some frequencies, equal work for all."""
    import keras

    from spectral_keras.analysis import fourier_heat_map, point_perturbation, real_frequencies
    from spectral_keras.models import registry

    keras.utils.set_random_seed(0)
    model = registry.build("resnet18", (32, 32, 3), 10, width=0.25)
    rng = np.random.default_rng(0)
    images = rng.random((count, 32, 32, 3)).astype("float32")
    labels = np.argmax(np.asarray(model(images, training=False)), axis=1)
    index = real_frequencies(32)[:: 514 // frequencies][:frequencies]

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
        shape=f"ResNet-18 of width 0.25, {count} images [32,32,3], {len(index)} frequencies",
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
