"""The options of the training command."""

import argparse
import dataclasses
import types
import typing
from typing import Any, Self

from spectral_keras.attacks import EPS
from spectral_keras.augmentation.open_ratio import CONFIGURATIONS
from spectral_keras.experiments.command import CommandError, OneLineParser, program
from spectral_keras.experiments.options import (
    Spec,
    add_option,
    boolean,
    flag,
    fraction,
    number,
    option,
    path,
    to_text,
)
from spectral_keras.experiments.train.fit_options import (
    AUGMENT,
    DATA,
    DATA_NEEDS,
    TRAINING,
    FitOptions,
)
from spectral_keras.models import registry
from spectral_keras.models.recipe import Recipe

__all__ = ["VIEWS", "TrainOptions", "network_arguments", "recipe_values", "values_before"]

# Views of a test image -> how their result is announced.
VIEWS = {"mirror": "with mirror images", "mirror_translate": "with mirrored and shifted images"}

_RUN = "run"
_AUXILIARY = "auxiliary task"
_ADVERSARIAL = "adversarial training"
_ATTENDED = "attended power suppression and noise in the frequency domain"
_FROM_RECIPE = {"default": None, "shown": "the recipe's"}
_OWN = {"free": True, "single": True}
# No network of the zoo has an option that would be larger, or a machine to build it on.
_NETWORK_NUMBERS = {int: number(int, high=65536), float: number(float, high=1e6)}


def _one_of(name, *values):
    text = " or ".join(filter(None, [", ".join(values[:-1]), values[-1]]))
    return f"{flag(name)} {text}", lambda options: getattr(options, name) in values


# See `Options.needs`.
_NEEDS = {
    **DATA_NEEDS,
    "momentum": _one_of("optimizer", "sgd"),
    "warmup_epochs": _one_of("schedule", "cosine", "onecycle", "triangle"),
    **dict.fromkeys(("aux_weight", "aux_tap"), _one_of("aux", "reconstruction", "fourier")),
    "aux_variant": (
        "--aux or --adversarial",
        lambda options: options.aux != "none" or options.adversarial != "none",
    ),
    **dict.fromkeys(("aux_magnitude", "aux_phase"), _one_of("aux", "fourier")),
    **dict.fromkeys(
        (
            "adversarial_eps", "adversarial_step_size", "adversarial_share", "adversarial_labels",
            "adversarial_mode", "adversarial_random_start", "adversarial_steps", "validate_on",
        ),
        _one_of("adversarial", "fgsm", "pgd"),
    ),
    "noise_probability": ("--noise above 0", lambda options: options.noise > 0),
    "gate_hidden": _one_of("gate", "plain", "extended"),
    "attention_weight": ("--attention", lambda options: options.attention != "none"),
    "attention_printed": (
        "--suppression or --noise above 0",
        lambda options: options.suppression > 0 or options.noise > 0,
    ),
}  # fmt: skip


@dataclasses.dataclass
class TrainOptions(FitOptions):
    """Options of `python -m models.NAME`, from a command line or from Python.

    Args:
        model: name of a network of the zoo.
        network: the network's own options, such as {"width": 0.25}; their defaults are the
            recipe's, then those of its factory.
        **options: see `python -m models.NAME --help-all`; None means the recipe's value where the
            recipe has one.

    Raises:
        CommandError: for a value that the command line would refuse.

    Example:

    >>> from spectral_keras.experiments.train import TrainOptions
    >>> options = TrainOptions("resnet18", {"width": 0.25}, dataset="cifar10", epochs=20)
    >>> options.optimizer, options.learning_rate, options.network["pooling"]
    ('sgd', 0.1, 'strided')
    """

    needs = _NEEDS

    model: str
    network: dict[str, Any] = dataclasses.field(default_factory=dict)
    _: dataclasses.KW_ONLY

    augment: str = option(None, AUGMENT, group=DATA, shown="the recipe's")
    epochs: int = option(
        **_FROM_RECIPE, help="", kind=number(int, 1), group=TRAINING
    )  # fmt: skip
    batch_size: int = option(
        **_FROM_RECIPE, help="", kind=number(int, 1), group=TRAINING
    )  # fmt: skip
    optimizer: str = option(
        **_FROM_RECIPE, help="", choices=("adam", "adamw", "sgd", "rmsprop"), group=TRAINING
    )
    learning_rate: float = option(
        **_FROM_RECIPE, help="peak", kind=number(float, 0, True), group=TRAINING
    )
    momentum: float = option(
        **_FROM_RECIPE, help="of sgd", kind=number(float, 0, high=1), group=TRAINING
    )
    nesterov: bool = option(
        **_FROM_RECIPE, help="Nesterov's form of the momentum of sgd", kind="switch",
        group=TRAINING,
    )  # fmt: skip
    bias_rate: float = option(
        **_FROM_RECIPE,
        help="factor of sgd's learning rate for biases and shifts of normalisations",
        kind=number(float, 0, True),
        group=TRAINING,
    )
    weight_decay: float = option(
        **_FROM_RECIPE, help="decoupled", kind=number(float, 0), group=TRAINING
    )
    schedule: str = option(
        **_FROM_RECIPE,
        help="of the learning rate",
        choices=("constant", "cosine", "onecycle", "triangle", "step", "thirds", "plateau"),
        group=TRAINING,
    )
    warmup_epochs: float = option(
        **_FROM_RECIPE, help="of a rising rate", kind=number(float, 0), group=TRAINING
    )
    ema: float = option(
        **_FROM_RECIPE,
        help="decay of the average that the weights become each epoch",
        kind=number(float, 0, high=1),
        group=TRAINING,
    )
    lookahead: int = option(
        **_FROM_RECIPE,
        help="steps between pulls back of the weights, 0: never",
        kind=number(int, 0),
        group=TRAINING,
    )
    label_smoothing: float = option(
        **_FROM_RECIPE,
        help="share of a label that is spread over all classes",
        kind=number(float, 0, high=1),
        group=TRAINING,
    )
    tta: str = option(
        **_FROM_RECIPE,
        help="also test with the mean logits of an image, its mirror image and shifts by a pixel",
        choices=("none", *VIEWS),
        group=TRAINING,
        free=True,
    )
    early_stopping: int = option(
        **_FROM_RECIPE,
        help="stop after N epochs without a better validation accuracy, 0: never",
        kind=number(int, 0),
        group=TRAINING,
        single=True,
    )
    weights: str | None = option(
        None,
        "start from the weights of a preset, a .keras file or a run's folder; the head is new "
        "where the number of classes is another",
        kind=path,
        metavar="PRESET|FILE",
        group=TRAINING,
    )
    freeze: str | None = option(
        None, "with --weights: do not train this layer and those before it", metavar="LAYER",
        group=TRAINING,
    )  # fmt: skip
    jit: bool | None = option(
        None, "compile with XLA (default: Keras decides)", kind="switch", group=TRAINING
    )
    aux: str = option(
        "none",
        "a decoder predicts the image, or its Fourier transform, from the features, in training "
        "only",
        choices=("none", "reconstruction", "fourier"),
        group=_AUXILIARY,
        special=True,
    )
    aux_weight: float = option(
        0.01, "factor of the decoder's mean squared error", kind=number(float, 0),
        group=_AUXILIARY, special=True,
    )  # fmt: skip
    aux_tap: str = option(
        "features", "the layer whose maps the decoder gets", metavar="LAYER",
        group=_AUXILIARY, special=True,
    )  # fmt: skip
    aux_magnitude: str = option(
        "log", "of fourier: log(1 + |F|), |F|, or |F| / sqrt(H W)",
        choices=("log", "raw", "unitary"), group=_AUXILIARY, special=True,
    )  # fmt: skip
    aux_phase: str = option(
        "angle", "of fourier", choices=("angle", "cos_sin", "none"), group=_AUXILIARY, special=True
    )
    aux_variant: str = option(
        "consistent",
        "published: the errors of the paper's code, with its raw magnitude and angle, its FGSM in "
        "training mode against predicted labels, and the last weights, not the best",
        choices=("consistent", "published"),
        group=_AUXILIARY,
        special=True,
    )

    adversarial: str = option(
        "none", "train on adversarial examples", choices=("none", "fgsm", "pgd"),
        group=_ADVERSARIAL, special=True,
    )  # fmt: skip
    adversarial_eps: float = option(
        EPS,
        "radius of the L-inf ball for images in [0, 1], such as 0.03 or 8/255",
        kind=fraction(high=1),
        metavar="EPS",
        group=_ADVERSARIAL,
        special=True,
        shown="8/255",
    )
    adversarial_steps: int | None = option(
        None, "of pgd", kind=number(int, 1, high=10_000, high_open=False),
        group=_ADVERSARIAL, special=True, shown="7",
    )  # fmt: skip
    adversarial_step_size: float | None = option(
        None,
        "default: EPS for one step, else 2.5 EPS / N",
        kind=fraction(low_open=True),
        metavar="SIZE",
        group=_ADVERSARIAL,
        special=True,
    )
    adversarial_share: float = option(
        1.0, "share of each batch, in [0, 1]", kind=fraction(high=1),
        group=_ADVERSARIAL, special=True,
    )  # fmt: skip
    adversarial_labels: str = option(
        "given", "what the attack leads away from", choices=("given", "predicted"),
        group=_ADVERSARIAL, special=True,
    )  # fmt: skip
    adversarial_mode: str = option(
        "inference",
        "of the network during the attack; training: with the statistics of the batch and dropout, "
        "only for fgsm without a random start",
        choices=("inference", "training"), group=_ADVERSARIAL, special=True,
    )  # fmt: skip
    adversarial_random_start: bool = option(
        False, "start at a random point of the ball", kind=boolean,
        group=_ADVERSARIAL, special=True,
    )  # fmt: skip
    validate_on: str = option(
        "adversarial", "the images that choose the epoch, of adversarial training",
        choices=("adversarial", "clean"), group=_ADVERSARIAL, special=True,
    )  # fmt: skip

    suppression: float = option(
        0.0, "share of the images that keep one band of frequencies in training, such as 1/3",
        kind=fraction(high=1), metavar="P", group=_ATTENDED, special=True,
    )  # fmt: skip
    noise: float = option(
        0.0, "variance of the noise on the amplitudes of the spectrum, such as 1",
        kind=number(float, 0), metavar="SIGMA", group=_ATTENDED, special=True,
    )  # fmt: skip
    noise_probability: float = option(
        1.0, "share of the images that get noise", kind=fraction(high=1), metavar="P",
        group=_ATTENDED, special=True,
    )  # fmt: skip
    spectral_padding: int = option(
        0,
        "zero border around the images for suppression and noise; a random crop takes it off again "
        "(4 in the paper, instead of the crop of --augment)",
        kind=number(int, 0, high=512, high_open=False),
        group=_ATTENDED,
        special=True,
    )
    gate: str = option(
        "none", "a channel gate after the first layer of the network",
        choices=("none", "plain", "extended"), group=_ATTENDED, special=True,
    )  # fmt: skip
    gate_after: str | None = option(
        None, "the layer before the gate", metavar="LAYER", group=_ATTENDED, special=True,
        shown="the first convolution, with its normalisation",
    )  # fmt: skip
    gate_hidden: int = option(
        512, "units of the gate", kind=number(int, 1, high=65536, high_open=False),
        group=_ATTENDED, special=True,
    )  # fmt: skip
    attention: str = option(
        "none",
        "how many channels the gate is to open for a suppressed image: none, 000, 001, ... 111 "
        "(low, medium and high band, 0: few, 1: all) or learnable",
        choices=("none", *CONFIGURATIONS),
        metavar="LMH",
        group=_ATTENDED,
        special=True,
    )
    attention_weight: float = option(
        100.0, "factor of the gate's loss", kind=number(float, 0), group=_ATTENDED, special=True
    )
    attention_printed: bool = option(
        False, "the masks and the noise with the misprints of the paper", kind=boolean,
        group=_ATTENDED, special=True,
    )  # fmt: skip

    distribute: str | None = option(
        None,
        "mirrored: all GPUs of this host, or multiworker: several hosts (TF_CONFIG or Slurm), both "
        "on TensorFlow; data_parallel: all GPUs of one host or of several, on JAX",
        choices=("none", "mirrored", "multiworker", "data_parallel"),
        group=_RUN,
        shown="mirrored or data_parallel where more than one GPU is visible",
        free=True,
        special=True,
        single=True,
    )
    output: str | None = option(
        None, "run folder", kind=path, group=_RUN, shown="runs/MODEL-DATASET", **_OWN
    )
    resume: bool = option(
        False, "continue where the run was interrupted", kind="flag", group=_RUN, **_OWN
    )
    overwrite: bool = option(False, "delete an earlier run first", kind="flag", group=_RUN, **_OWN)
    export: str | None = option(
        None, "also write the trained model in this form",
        choices=("saved_model", "onnx", "litert"), group=_RUN, **_OWN,
    )  # fmt: skip
    tensorboard: bool | None = option(
        None, "write logs for TensorBoard (default: if it is installed, on TensorFlow)",
        kind="switch", group=_RUN, **_OWN,
    )  # fmt: skip

    def __post_init__(self) -> None:
        recipe = registry.recipe(self.model)
        for name, spec in self.specs().items():
            if spec.default == "the recipe's" and getattr(self, name) is None:
                setattr(self, name, getattr(recipe, name))
        super().__post_init__()
        if self.freeze is not None and self.weights is None:
            raise self.error("freeze", "it is for --weights")
        known = registry.options(self.model)
        for name, value in self.network.items():
            if name not in known:
                raise CommandError(
                    f"unknown option {flag(name)}: {self.model} has {', '.join(map(flag, known))}"
                )
            self.check_value(name, _network_spec(known[name][0]), value)
        defaults = {name: recipe.options.get(name, known[name][1]) for name in known}
        self.network = defaults | self.network

    @classmethod
    def parser_of(cls, model: str, *, everything: bool = False) -> OneLineParser:
        """The parser of `python -m models.MODEL`, with the network's own options first."""
        recipe = registry.recipe(model)
        return cls.parser(
            program(f"models.{model}"),
            f"Train and evaluate {model}: {recipe.summary} ({recipe.paper}).",
            defaults=recipe_values(model),
            everything=everything,
            before=lambda parser: _add_network(parser, model),
        )

    @classmethod
    def of_command(cls, model: str, argv: list[str] | None = None) -> Self:
        """The options of a command line; a bad one ends the program with one line and status 2."""
        parser = cls.parser_of(model)
        given = vars(parser.parse_args(argv))
        network = {name: given.pop(name) for name in registry.options(model) if name in given}
        try:
            options = cls(model, network, **given)
            options.check_use(given)
            return options
        except CommandError as error:
            parser.error(str(error))

    @classmethod
    def of_values(cls, model: str, values: dict[str, Any]) -> Self:
        """The options with some values, of these or of the network's own, each ready or as text."""
        own = registry.options(model)
        network: dict[str, Any] = {}
        fields: dict[str, Any] = {}
        for name, value in values.items():
            value = cls.value_of(model, name, value)
            (network if name in own else fields)[name] = value
        return cls(model, network, **fields)

    @classmethod
    def value_of(cls, model: str, name: str, value: Any) -> Any:
        """The value of an option, of these or of the network's own, that is ready or a text."""
        spec = cls.spec_of(model, name)
        if isinstance(value, str):
            return cls.read_value(name, spec, value)
        several = isinstance(value, list) and name in registry.options(model)
        return tuple(value) if several else value

    @classmethod
    def spec_of(cls, model: str, name: str) -> Spec:
        """An option of these, or of the network's own."""
        own = registry.options(model)
        spec = _network_spec(own[name][0]) if name in own else cls.specs().get(name)
        if spec is None:
            raise CommandError(f"unknown option {flag(name)} of {model}")
        return spec

    @classmethod
    def of_config(cls, config: dict[str, Any]) -> Self:
        """The options that config.json of a run has; those of other versions are left out."""
        model, values = config["model"], values_before(config["model"]) | config["options"]
        known = cls.specs().keys() | registry.options(model).keys()
        return cls.of_values(model, {k: v for k, v in values.items() if k in known})

    def replaced(self, **values: Any) -> Self:
        """A copy with other values, of these options or of the network's own."""
        own = registry.options(self.model)
        network = self.network | {name: value for name, value in values.items() if name in own}
        others = {name: value for name, value in values.items() if name not in own}
        return dataclasses.replace(self, network=network, **others)

    def default(self, name: str) -> Any:
        values = recipe_values(self.model)
        return values[name] if name in values else super().default(name)

    def to_json(self) -> dict[str, Any]:
        """All options in one dict, the network's own too."""
        network = {name: list(v) if isinstance(v, tuple) else v for name, v in self.network.items()}
        return super().to_json() | network

    def arguments(self, *, without: tuple[str, ...] = ()) -> list[str]:
        network = {n: value for n, value in self.network.items() if n not in without}
        return super().arguments(without=without) + network_arguments(self.model, network)


def network_arguments(model: str, options: dict[str, Any]) -> list[str]:
    """The words of a command line that give a network its options: those that are no default."""
    recipe, known = registry.recipe(model), registry.options(model)
    words: list[str] = []
    for name, value in options.items():
        if value != recipe.options.get(name, known[name][1]):
            words += [flag(name), to_text(value)]
    return words


def values_before(model: str) -> dict[str, Any]:
    """What a version did that did not have an option yet, which a recipe may set by now."""
    known = registry.options(model)
    fields = {field.name: field.default for field in dataclasses.fields(Recipe)}
    return {name: fields[name] for name in recipe_values(model)} | {
        name: default for name, (_, default) in known.items()
    }


def recipe_values(model: str) -> dict[str, Any]:
    """The options that a recipe sets."""
    recipe = registry.recipe(model)
    return {
        name: getattr(recipe, name)
        for name, spec in TrainOptions.specs().items()
        if spec.default == "the recipe's"
    }


def _add_network(parser, model):
    recipe, group = registry.recipe(model), parser.add_argument_group(f"network {model}")
    for name, (annotation, default) in registry.options(model).items():
        spec = _network_spec(annotation)
        add_option(group, name, spec, recipe.options.get(name, default))


def _network_spec(annotation):
    """The option of a factory's argument, by its annotation."""
    origin = typing.get_origin(annotation)
    if origin is typing.Literal:
        choices = typing.get_args(annotation)
        return Spec(kind=type(choices[0]), choices=choices)
    if origin is tuple:
        return Spec(kind=_integers, metavar="N,N")
    if origin in (typing.Union, types.UnionType):
        return _network_spec(next(a for a in typing.get_args(annotation) if a is not type(None)))
    if annotation is bool:
        return Spec(kind=boolean)
    return Spec(kind=_NETWORK_NUMBERS.get(annotation))


def _integers(text):
    try:
        return tuple(_NETWORK_NUMBERS[int](part) for part in text.split(",") if part.strip())
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(
            f"expected integers with commas between them, received {text!r}"
        ) from None
