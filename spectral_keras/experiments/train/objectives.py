"""What else a network of the zoo can be trained for: an auxiliary task, adversarial examples."""

from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.options import boolean, fraction, number
from spectral_keras.experiments.train import attended as _attended


def add_options(parser):
    """The options of auxiliary tasks and of adversarial training, for an argparse parser."""
    task = parser.add_argument_group("auxiliary task")
    task.add_argument(
        "--aux",
        choices=("none", "reconstruction", "fourier"),
        default="none",
        help="a decoder predicts the image, or its Fourier transform, from the features; it is "
        "thrown away after training (default none)",
    )
    task.add_argument(
        "--aux-weight",
        type=number(float, 0),
        default=0.01,
        help="factor of the decoder's mean squared error (default 0.01)",
    )
    task.add_argument(
        "--aux-tap",
        default="features",
        metavar="LAYER",
        help="the layer whose maps the decoder gets (default features, of the backbones)",
    )
    task.add_argument(
        "--aux-magnitude",
        choices=("log", "raw", "unitary"),
        default="log",
        help="of fourier: log(1 + |F|), |F|, or |F| / sqrt(H W) (default log)",
    )
    task.add_argument(
        "--aux-phase",
        choices=("angle", "cos_sin", "none"),
        default="angle",
        help="of fourier (default angle)",
    )
    task.add_argument(
        "--aux-variant",
        choices=("consistent", "published"),
        default="consistent",
        help="published: the errors of the paper's code, with its raw magnitude and angle, its "
        "FGSM in training mode against predicted labels, and the last weights, not the best",
    )
    attack = parser.add_argument_group("adversarial training")
    attack.add_argument(
        "--adversarial",
        choices=("none", "fgsm", "pgd"),
        default="none",
        help="train on adversarial examples (default none)",
    )
    attack.add_argument(
        "--adversarial-eps",
        type=fraction(high=1),
        default=8 / 255,
        metavar="EPS",
        help="radius of the L-inf ball for images in [0, 1], such as 0.03 or 8/255 (the default)",
    )
    attack.add_argument(
        "--adversarial-steps", type=number(int, 1), metavar="N", help="of pgd (default 7)"
    )
    attack.add_argument(
        "--adversarial-step-size",
        type=fraction(low_open=True),
        metavar="SIZE",
        help="default: EPS for one step, else 2.5 EPS / N",
    )
    attack.add_argument(
        "--adversarial-share",
        type=fraction(high=1),
        default=1.0,
        metavar="X",
        help="share of each batch, in [0, 1] (default 1)",
    )
    attack.add_argument(
        "--adversarial-labels",
        choices=("given", "predicted"),
        default="given",
        help="what the attack leads away from (default given)",
    )
    attack.add_argument(
        "--adversarial-random-start",
        type=boolean,
        default=False,
        metavar="BOOL",
        help="start at a random point of the ball (default false)",
    )
    attack.add_argument(
        "--validate-on",
        choices=("adversarial", "clean"),
        default="adversarial",
        help="the images that choose the epoch, of adversarial training (default adversarial)",
    )
    _attended.add_options(parser)


def training_model(classifier, options):
    """What `fit` trains: the classifier, or a model around it.

    Raises:
        CommandError: if the options do not fit the network.
    """
    attended = _attended.wrapper(options)
    if attended is None and options["aux"] == "none" and options["adversarial"] == "none":
        return classifier
    from spectral_keras.training import AdversarialModel, AuxiliaryModel, FourierTarget

    published = options["aux_variant"] == "published"
    if published:
        _check_published(options)
    try:
        attack = _attack(options, published)
        if attended is not None:
            return attended(classifier, attack)
        if options["aux"] == "none":
            return AdversarialModel(classifier, attack, validate_on=options["validate_on"])
        target = None
        if options["aux"] == "fourier" and not published:
            target = FourierTarget(options["aux_magnitude"], options["aux_phase"], name="target")
        return AuxiliaryModel(
            classifier,
            options["aux"],
            tap=options["aux_tap"],
            weight=options["aux_weight"],
            target=target,
            variant=options["aux_variant"],
            attack=attack,
            validate_on=options["validate_on"],
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
        if options[name] not in allowed:
            raise CommandError(
                f"--aux-variant published has no --{name.replace('_', '-')} {options[name]}"
            )


def _attack(options, published):
    if options["adversarial"] == "none":
        return None
    from spectral_keras.training import AdversarialExamples

    others = {}
    if published:
        # As AdversarialExamples.published(), with the radius that was asked for.
        others = {"labels": "predicted", "training_mode": True, "clip": None}
    return AdversarialExamples(
        options["adversarial"],
        options["adversarial_eps"],
        **{
            "steps": options["adversarial_steps"],
            "step_size": options["adversarial_step_size"],
            "share": options["adversarial_share"],
            "labels": options["adversarial_labels"],
            "random_start": options["adversarial_random_start"],
            "seed": options["seed"],
            **others,
        },
    )


def _as_options(text):
    """The library's message with the command's names."""
    for argument, option in (
        ("`tap`", "--aux-tap"),
        ("`steps`", "--adversarial-steps"),
        ("`step_size`", "--adversarial-step-size"),
    ):
        text = text.replace(argument, option)
    return text
