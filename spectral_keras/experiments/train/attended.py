"""Power suppression, noise in the frequency domain and attention, by options of the command."""

import functools

from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.options import boolean, fraction, number


def add_options(parser):
    """The options of attended power suppression, for an argparse parser."""
    from spectral_keras.augmentation.open_ratio import CONFIGURATIONS

    group = parser.add_argument_group("attended power suppression, noise in the frequency domain")
    group.add_argument(
        "--suppression",
        type=fraction(high=1),
        default=0.0,
        metavar="P",
        help="share of the images that keep one band of frequencies in training, such as 1/3 "
        "(default 0)",
    )
    group.add_argument(
        "--noise",
        type=number(float, 0),
        default=0.0,
        metavar="SIGMA",
        help="variance of the noise on the amplitudes of the spectrum, such as 1 (default 0)",
    )
    group.add_argument(
        "--noise-probability",
        type=fraction(high=1),
        default=1.0,
        metavar="P",
        help="share of the images that get noise (default 1)",
    )
    group.add_argument(
        "--spectral-padding",
        type=number(int, 0),
        default=0,
        metavar="N",
        help="zero border around the images for suppression and noise; a random crop takes it off "
        "again (default 0; 4 in the paper, instead of the crop of --augment)",
    )
    group.add_argument(
        "--gate",
        choices=("none", "plain", "extended"),
        default="none",
        help="a channel gate after the first layer of the network (default none)",
    )
    group.add_argument(
        "--gate-after",
        metavar="LAYER",
        help="name of the gated layer (default: the first convolution, with its normalisation)",
    )
    group.add_argument(
        "--gate-hidden", type=number(int, 1), default=512, metavar="N", help="units (default 512)"
    )
    group.add_argument(
        "--attention",
        choices=("none", *CONFIGURATIONS),
        default="none",
        metavar="LMH",
        help="how many channels the gate is to open for a suppressed image: none, 000, 001, ... "
        "111 (low, medium and high band, 0: few, 1: all) or learnable (default none)",
    )
    group.add_argument(
        "--attention-weight",
        type=number(float, 0),
        default=100.0,
        metavar="X",
        help="factor of its loss (default 100)",
    )
    group.add_argument(
        "--attention-printed",
        type=boolean,
        default=False,
        metavar="BOOL",
        help="the masks and the noise with the misprints of the paper (default false)",
    )


def gated(classifier, options):
    """The network with the gate that the options ask for."""
    if options["gate"] == "none":
        if options["gate_after"] is not None:
            raise CommandError("--gate-after needs --gate plain or extended")
        return classifier
    from spectral_keras.training import insert_channel_gate

    try:
        return insert_channel_gate(
            classifier,
            options["gate_after"],
            hidden=options["gate_hidden"],
            extended=options["gate"] == "extended",
        )
    except ValueError as error:
        raise CommandError(str(error).replace("`after`", "--gate-after")) from error


def wrapper(options):
    """Function (classifier, attack) to the model that trains with these options, or None."""
    changes_images = options["suppression"] or options["noise"]
    if options["attention"] != "none":
        if options["gate"] == "none":
            raise CommandError("--attention needs --gate plain or extended")
        if not options["suppression"]:
            raise CommandError("--attention needs --suppression above 0")
    if options["spectral_padding"] and not changes_images:
        raise CommandError("--spectral-padding needs --suppression or --noise")
    if not changes_images:
        return None
    if options["aux"] != "none":
        raise CommandError("--aux and --suppression or --noise exclude each other")
    return functools.partial(_build, options)


def _build(options, classifier, attack):
    from spectral_keras.layers import FrequencyNoise, PowerSuppression
    from spectral_keras.training import AttendedSuppressionModel

    seed = options["seed"]
    others = {"variant": "printed" if options["attention_printed"] else "consistent"}
    # What is done to the images is not done in half precision.
    others["dtype"] = "float64" if options["precision"] == "float64" else "float32"
    suppression = noise = None
    if options["suppression"]:
        suppression = PowerSuppression(
            options["suppression"], seed=seed, name="suppression", **others
        )
    if options["noise"]:
        noise = FrequencyNoise(
            options["noise"],
            probability=options["noise_probability"],
            seed=seed + 1,
            name="noise",
            **others,
        )
    return AttendedSuppressionModel(
        classifier,
        suppression,
        noise,
        configuration=None if options["attention"] == "none" else options["attention"],
        weight=options["attention_weight"],
        padding=options["spectral_padding"],
        seed=seed + 2,
        attack=attack,
        validate_on=options["validate_on"],
    )
