"""Power suppression, noise in the frequency domain and attention, by options of the command."""

import functools
from collections.abc import Callable

import keras

from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.train.options import TrainOptions

__all__ = ["insert_gate", "wrapper"]


def insert_gate(classifier: keras.Model, options: TrainOptions) -> keras.Model:
    """The network with the gate that the options ask for."""
    if options.gate == "none":
        if options.gate_after is not None:
            raise CommandError("--gate-after needs --gate plain or extended")
        return classifier
    from spectral_keras.training import insert_channel_gate

    try:
        return insert_channel_gate(
            classifier,
            options.gate_after,
            hidden=options.gate_hidden,
            extended=options.gate == "extended",
        )
    except ValueError as error:
        raise CommandError(str(error).replace("`after`", "--gate-after")) from error


def wrapper(options: TrainOptions) -> Callable[..., keras.Model] | None:
    """Function (classifier, attack) to the model that trains with these options, or None."""
    changes_images = options.suppression or options.noise
    if options.attention != "none":
        if options.gate == "none":
            raise CommandError("--attention needs --gate plain or extended")
        if not options.suppression:
            raise CommandError("--attention needs --suppression above 0")
    if options.spectral_padding and not changes_images:
        raise CommandError("--spectral-padding needs --suppression or --noise")
    if not changes_images:
        return None
    if options.aux != "none":
        raise CommandError("--aux and --suppression or --noise exclude each other")
    return functools.partial(_build, options)


def _build(options, classifier, attack):
    from spectral_keras.layers import FrequencyNoise, PowerSuppression
    from spectral_keras.training import AttendedSuppressionModel, GateRule

    seed = options.seed
    others = {"variant": "printed" if options.attention_printed else "consistent"}
    # What is done to the images is not done in half precision.
    others["dtype"] = "float64" if options.precision == "float64" else "float32"
    suppression = noise = attention = None
    if options.suppression:
        suppression = PowerSuppression(options.suppression, seed=seed, name="suppression", **others)
    if options.noise:
        noise = FrequencyNoise(
            options.noise,
            probability=options.noise_probability,
            seed=seed + 1,
            name="noise",
            **others,
        )
    if options.attention != "none":
        attention = GateRule(options.attention, weight=options.attention_weight)
    return AttendedSuppressionModel(
        classifier,
        suppression,
        noise,
        attention=attention,
        padding=options.spectral_padding,
        seed=seed + 2,
        attack=attack,
        validate_on=options.validate_on,
    )
