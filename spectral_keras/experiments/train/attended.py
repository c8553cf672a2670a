"""Power suppression, noise in the frequency domain and attention, by options of the command."""

from typing import Any

import keras

from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.train.options import TrainOptions
from spectral_keras.layers import FrequencyNoise, PowerSuppression
from spectral_keras.training import (
    AdversarialExamples,
    AttendedSuppressionModel,
    GateRule,
    insert_channel_gate,
)

__all__ = ["attended_model", "changes_images", "image_dtype", "insert_gate"]


def insert_gate(classifier: keras.Model, options: TrainOptions) -> keras.Model:
    """The network with the gate that the options ask for."""
    if options.gate == "none":
        if options.gate_after is not None:
            raise CommandError("--gate-after needs --gate plain or extended")
        return classifier
    try:
        return insert_channel_gate(
            classifier,
            options.gate_after,
            hidden=options.gate_hidden,
            extended=options.gate == "extended",
        )
    except ValueError as error:
        raise CommandError(str(error).replace("`after`", "--gate-after")) from error


def image_dtype(options: TrainOptions) -> str:
    """The precision of layers that change the images: never half of it."""
    return "float64" if options.precision == "float64" else "float32"


def changes_images(options: TrainOptions) -> bool:
    """Whether the options ask for an `attended_model`; a `CommandError` if they contradict."""
    changes = bool(options.suppression or options.noise)
    if options.attention != "none":
        if options.gate == "none":
            raise CommandError("--attention needs --gate plain or extended")
        if not options.suppression:
            raise CommandError("--attention needs --suppression above 0")
    if options.spectral_padding and not changes:
        raise CommandError("--spectral-padding needs --suppression or --noise")
    if changes and options.aux != "none":
        raise CommandError("--aux and --suppression or --noise exclude each other")
    return changes


def attended_model(
    classifier: keras.Model, attack: AdversarialExamples | None, options: TrainOptions
) -> keras.Model:
    """The model that trains with suppression, noise and attention."""
    seed = options.seed
    variant = "printed" if options.attention_printed else "consistent"
    others: Any = {"variant": variant, "dtype": image_dtype(options)}
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
