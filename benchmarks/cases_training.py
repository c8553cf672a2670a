"""Training steps of whole networks: spectral against spatial parametrisation."""

import numpy as np

from benchmarks.harness import Case

BATCH = 128


def _step(name, precision="float32", **options):
    """A factory of the step: one `train_on_batch` of the network with Adam."""

    def factory():
        import keras

        from spectral_keras.models import registry

        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(precision)
        try:
            model = registry.build(name, **options)
        finally:
            keras.config.set_dtype_policy(before)
        model.compile(
            keras.optimizers.Adam(1e-4),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile=False,
        )
        rng = np.random.default_rng(0)
        x = rng.random((BATCH, 32, 32, 3), dtype=np.float32)
        y = rng.integers(0, 10, BATCH).astype("int32")
        # train_on_batch returns the loss as a number: the step has finished.
        return lambda: model.train_on_batch(x, y)

    return factory


def _pipeline(augment):
    """A factory of the step that prepares one batch on the host, as the training command does."""

    def factory():
        from spectral_keras.augmentation.image import build_augmentation
        from spectral_keras.data import Batches

        rng = np.random.default_rng(0)
        images = rng.integers(0, 256, (4096, 32, 32, 3)).astype("uint8")
        labels = np.zeros(len(images), "int32")
        batches = Batches(
            images, labels, BATCH, shuffle=True, augment=build_augmentation(augment), workers=0
        )
        position = iter(range(10**9))
        return lambda: batches[next(position) % len(batches)]

    return factory


def cases():
    """deep_spectral against its spatial twin, float32 and bfloat16; the input pipeline."""
    found = [
        Case(
            name="input pipeline",
            shape=f"[{BATCH},32,32,3], one thread",
            reference="training step, bfloat16",
            ways={
                "training step, bfloat16": _step("deep_spectral", "mixed_bfloat16"),
                "batch, no augmentation": _pipeline("none"),
                "batch, crop_flip": _pipeline("crop_flip"),
                "batch, report": _pipeline("report"),
            },
            targets={"batch, report": "does not hold up a step"},
        )
    ]
    for precision in ("float32", "mixed_bfloat16"):
        label = precision.removeprefix("mixed_")
        found.append(
            Case(
                name=f"deep_spectral step {label}",
                shape=f"[{BATCH},32,32,3], forward, backward and Adam",
                reference="Conv2D",
                ways={
                    "Conv2D": _step("deep_spectral", precision, conv="spatial"),
                    "SpectralConv2D": _step("deep_spectral", precision, conv="spectral"),
                },
                targets={"SpectralConv2D": "<= 1.05x" if precision == "float32" else ""},
            )
        )
    return found
