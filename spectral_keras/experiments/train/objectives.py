"""What else a network of the zoo can be trained for: an auxiliary task, adversarial examples."""

import keras

from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.options import flag
from spectral_keras.experiments.train import attended as _attended
from spectral_keras.experiments.train.options import TrainOptions


def training_model(classifier: keras.Model, options: TrainOptions) -> keras.Model:
    """What `fit` trains: the classifier, or a model around it.

    Raises:
        CommandError: if the options do not fit the network.
    """
    attended = _attended.wrapper(options)
    if attended is None and options.aux == "none" and options.adversarial == "none":
        return classifier
    from spectral_keras.training import AdversarialModel, AuxiliaryModel, FourierTarget

    published = options.aux_variant == "published"
    if published:
        _check_published(options)
    try:
        attack = _attack(options, published)
        if attended is not None:
            return attended(classifier, attack)
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
    from spectral_keras.attacks import Attack
    from spectral_keras.training import AdversarialExamples

    steps = options.adversarial_steps
    attack = Attack(
        options.adversarial,
        options.adversarial_eps,
        steps=7 if steps is None and options.adversarial == "pgd" else steps,
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
