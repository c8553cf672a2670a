"""What else a network of the zoo can be trained for, or on.

An auxiliary task, adversarial examples, mixed images.
"""

import keras

from spectral_keras.attacks import Attack
from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.options import flag
from spectral_keras.experiments.train.attended import attended_model, changes_images, image_dtype
from spectral_keras.experiments.train.options import PGD_STEPS, TrainOptions
from spectral_keras.layers import FMix, FourierBasisNoise
from spectral_keras.training import (
    AdversarialExamples,
    AdversarialModel,
    AuxiliaryModel,
    FourierTarget,
    MixingModel,
    ParallelAugmentationModel,
)

__all__ = ["split_augment", "training_model"]


def training_model(classifier: keras.Model, options: TrainOptions) -> keras.Model:
    """What `fit` trains: the classifier, or a model around it.

    Raises:
        CommandError: if the options do not fit the network.
    """
    attended = changes_images(options)
    _, mixing = split_augment(options.augment)
    if mixing is not None:
        return _mixing_model(classifier, mixing, options, attended)
    if not attended and options.aux == "none" and options.adversarial == "none":
        return classifier
    published = options.aux_variant == "published"
    if published:
        _check_published(options)
    try:
        attack = _attack(options, published)
        if attended:
            return attended_model(classifier, attack, options)
        if options.aux == "none":
            return AdversarialModel(classifier, attack, validate_on=options.validate_on)
        target = None
        if options.aux == "fourier" and not published:
            target = FourierTarget(options.aux_magnitude, options.aux_phase, name="target")
        return AuxiliaryModel(
            classifier,
            options.aux,
            tap=options.aux_tap,
            weight=options.aux_weight,
            target=target,
            variant=options.aux_variant,
            attack=attack,
            validate_on=options.validate_on,
        )
    except ValueError as error:
        raise CommandError(_as_options(str(error))) from error


# Steps of `--augment` that need the labels, or the classifier, and are a part of the training step.
MIXING = ("mixup", "cutmix", "fmix", "afa")


def split_augment(names: str) -> tuple[str, str | None]:
    """The steps of `--augment` that change images alone, and the one of `MIXING` or None.

    Raises:
        CommandError: if there are two of them, or one is not the last step.
    """
    steps = [step.strip() for step in names.split(",")]
    mixing = [step for step in steps if step in MIXING]
    if not mixing:
        return names, None
    if len(mixing) > 1 or steps[-1] != mixing[0]:
        raise CommandError(
            f"--augment: one of {', '.join(MIXING)} can be the last step, received {names!r}"
        )
    return ",".join(steps[:-1]) or "none", mixing[0]


def _mixing_model(classifier, name, options, attended):
    if attended or options.aux != "none" or options.adversarial != "none":
        raise CommandError(
            f"--augment {name} excludes --aux, --adversarial, --suppression and --noise"
        )
    others = {"seed": options.seed, "dtype": image_dtype(options)}
    if name == "afa":
        return ParallelAugmentationModel(classifier, FourierBasisNoise(**others))
    layer = {"mixup": keras.layers.MixUp, "cutmix": keras.layers.CutMix, "fmix": FMix}[name]
    return MixingModel(classifier, layer(**others))


def _check_published(options):
    """Refuse what the published code does not do, rather than doing something else."""
    for name, allowed in (
        ("adversarial", ("none", "fgsm")),
        ("adversarial_random_start", (False,)),
        ("aux_magnitude", ("log", "raw")),  # log: not given
        ("aux_phase", ("angle",)),
    ):
        value = getattr(options, name)
        if value not in allowed:
            raise CommandError(f"--aux-variant published has no {flag(name)} {value}")


def _attack(options, published):
    if options.adversarial == "none":
        return None
    steps = options.adversarial_steps
    attack = Attack(
        options.adversarial,
        options.adversarial_eps,
        steps=PGD_STEPS if steps is None and options.adversarial == "pgd" else steps,
        step_size=options.adversarial_step_size,
        random_start=options.adversarial_random_start,
        seed=options.seed,
        # As AdversarialExamples.published(), with the radius that was asked for.
        clip=None if published else (0.0, 1.0),
    )
    return AdversarialExamples(
        attack,
        share=options.adversarial_share,
        labels="predicted" if published else options.adversarial_labels,
        training_mode=published or options.adversarial_mode == "training",
    )


def _as_options(text):
    """The library's message with the command's names."""
    for argument, option in (
        ("`tap`", "--aux-tap"),
        ("`steps`", "--adversarial-steps"),
        ("`step_size`", "--adversarial-step-size"),
        ("`training_mode`", "--adversarial-mode"),
    ):
        text = text.replace(argument, option)
    return text
