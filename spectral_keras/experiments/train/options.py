"""The options of the training command."""

import argparse
import dataclasses
import functools
import types
import typing
from collections.abc import Collection
from typing import Any, Self

from spectral_keras.attacks import EPS, LABELS
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
    plain,
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
from spectral_keras.training.schedules import SCHEDULES

__all__ = [
    "PGD_STEPS",
    "VIEWS",
    "TrainOptions",
    "network_arguments",
    "recipe_values",
    "values_before",
]

PGD_STEPS = 7  # in adversarial training, where nothing else is said
# Views of a test image -> how their result is announced.
VIEWS = {"mirror": "with mirror images", "mirror_translate": "with mirrored and shifted images"}

_OF_RECIPE = "the recipe's"
_recipe = functools.partial(option, None, group=TRAINING, shown=_OF_RECIPE)
_auxiliary = functools.partial(option, group="auxiliary task", special=True)
_adversarial = functools.partial(option, group="adversarial training", special=True)
_attended = functools.partial(
    option, group="attended power suppression and noise in the frequency domain", special=True
)
_OF_RUN: dict[str, Any] = {"group": "run", "free": True, "single": True}
_PLACE = _OF_RUN | {"place": True}
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

    augment: str = option(None, AUGMENT, group=DATA, shown=_OF_RECIPE)
    epochs: int = _recipe("", kind=number(int, 1))
    batch_size: int = _recipe("", kind=number(int, 1))
    optimizer: str = _recipe("", choices=("adam", "adamw", "sgd", "rmsprop"))
    learning_rate: float = _recipe("peak", kind=number(float, 0, True))
    momentum: float = _recipe("of sgd", kind=number(float, 0, high=1))
    nesterov: bool = _recipe("Nesterov's form of the momentum of sgd", kind="switch")
    bias_rate: float = _recipe(
        "factor of sgd's learning rate for biases and shifts of normalisations",
        kind=number(float, 0, True),
    )
    weight_decay: float = _recipe("decoupled", kind=number(float, 0))
    schedule: str = _recipe("of the learning rate", choices=SCHEDULES)
    warmup_epochs: float = _recipe("of a rising rate", kind=number(float, 0))
    ema: float = _recipe(
        "decay of the average that the weights become each epoch", kind=number(float, 0, high=1)
    )
    lookahead: int = _recipe(
        "steps between pulls back of the weights, 0: never", kind=number(int, 0)
    )
    label_smoothing: float = _recipe(
        "share of a label that is spread over all classes", kind=number(float, 0, high=1)
    )
    tta: str = _recipe(
        "also test with the mean logits of an image, its mirror image and shifts by a pixel",
        choices=("none", *VIEWS), free=True,
    )  # fmt: skip
    early_stopping: int = _recipe(
        "stop after N epochs without a better validation accuracy, 0: never",
        kind=number(int, 0), single=True,
    )  # fmt: skip
    weights: str | None = option(
        None,
        "start from the weights of a preset, a .keras file or a run's folder; the head is new "
        "where the number of classes is another",
        kind=path, metavar="PRESET|FILE", group=TRAINING,
    )  # fmt: skip
    freeze: str | None = option(
        None, "with --weights: do not train this layer and those before it", metavar="LAYER",
        group=TRAINING,
    )  # fmt: skip
    jit: bool | None = option(
        None, "compile with XLA (default: Keras decides)", kind="switch", group=TRAINING
    )

    aux: str = _auxiliary(
        "none",
        "a decoder predicts the image, or its Fourier transform, from the features, in training "
        "only",
        choices=("none", "reconstruction", "fourier"),
    )
    aux_weight: float = _auxiliary(
        0.01, "factor of the decoder's mean squared error", kind=number(float, 0)
    )
    aux_tap: str = _auxiliary("features", "the layer whose maps the decoder gets", metavar="LAYER")
    aux_magnitude: str = _auxiliary(
        "log", "of fourier: log(1 + |F|), |F|, or |F| / sqrt(H W)",
        choices=("log", "raw", "unitary"),
    )  # fmt: skip
    aux_phase: str = _auxiliary("angle", "of fourier", choices=("angle", "cos_sin", "none"))
    aux_variant: str = _auxiliary(
        "consistent",
        "published: the errors of the paper's code, with its raw magnitude and angle, its FGSM in "
        "training mode against predicted labels, and the last weights, not the best",
        choices=("consistent", "published"),
    )

    adversarial: str = _adversarial(
        "none", "train on adversarial examples", choices=("none", "fgsm", "pgd")
    )
    adversarial_eps: float = _adversarial(
        EPS, "radius of the L-inf ball for images in [0, 1], such as 0.03 or 8/255",
        kind=fraction(high=1), metavar="EPS", shown="8/255",
    )  # fmt: skip
    adversarial_steps: int | None = _adversarial(
        None, "of pgd", kind=number(int, 1, high=10_000, high_open=False), shown=str(PGD_STEPS)
    )
    adversarial_step_size: float | None = _adversarial(
        None, "default: EPS for one step, else 2.5 EPS / N",
        kind=fraction(low_open=True), metavar="SIZE",
    )  # fmt: skip
    adversarial_share: float = _adversarial(
        1.0, "share of each batch, in [0, 1]", kind=fraction(high=1)
    )
    adversarial_labels: str = _adversarial(
        "given", "what the attack leads away from", choices=LABELS
    )
    adversarial_mode: str = _adversarial(
        "inference",
        "of the network during the attack; training: with the statistics of the batch and dropout, "
        "only for fgsm without a random start",
        choices=("inference", "training"),
    )
    adversarial_random_start: bool = _adversarial(
        False, "start at a random point of the ball", kind=boolean
    )
    validate_on: str = _adversarial(
        "adversarial", "the images that choose the epoch, of adversarial training",
        choices=("adversarial", "clean"),
    )  # fmt: skip

    suppression: float = _attended(
        0.0, "share of the images that keep one band of frequencies in training, such as 1/3",
        kind=fraction(high=1), metavar="P",
    )  # fmt: skip
    noise: float = _attended(
        0.0, "variance of the noise on the amplitudes of the spectrum, such as 1",
        kind=number(float, 0), metavar="SIGMA",
    )  # fmt: skip
    noise_probability: float = _attended(
        1.0, "share of the images that get noise", kind=fraction(high=1), metavar="P"
    )
    spectral_padding: int = _attended(
        0,
        "zero border around the images for suppression and noise; a random crop takes it off again "
        "(4 in the paper, instead of the crop of --augment)",
        kind=number(int, 0, high=512, high_open=False),
    )
    gate: str = _attended(
        "none", "a channel gate after the first layer of the network",
        choices=("none", "plain", "extended"),
    )  # fmt: skip
    gate_after: str | None = _attended(
        None, "the layer before the gate", metavar="LAYER",
        shown="the first convolution, with its normalisation",
    )  # fmt: skip
    gate_hidden: int = _attended(
        512, "units of the gate", kind=number(int, 1, high=65536, high_open=False)
    )
    attention: str = _attended(
        "none",
        "how many channels the gate is to open for a suppressed image: none, 000, 001, ... 111 "
        "(low, medium and high band, 0: few, 1: all) or learnable",
        choices=("none", *CONFIGURATIONS), metavar="LMH",
    )  # fmt: skip
    attention_weight: float = _attended(100.0, "factor of the gate's loss", kind=number(float, 0))
    attention_printed: bool = _attended(
        False, "the masks and the noise with the misprints of the paper", kind=boolean
    )

    distribute: str | None = option(
        None,
        "mirrored: all GPUs of this host, or multiworker: several hosts (TF_CONFIG or Slurm), both "
        "on TensorFlow; data_parallel: all GPUs of one host or of several, on JAX",
        choices=("none", "mirrored", "multiworker", "data_parallel"),
        shown="mirrored or data_parallel where more than one GPU is visible",
        special=True, **_OF_RUN,
    )  # fmt: skip
    output: str | None = option(None, "run folder", kind=path, shown="runs/MODEL-DATASET", **_PLACE)
    resume: bool = option(False, "continue where the run was interrupted", kind="flag", **_PLACE)
    overwrite: bool = option(False, "delete an earlier run first", kind="flag", **_PLACE)
    export: str | None = option(
        None, "also write the trained model in this form",
        choices=("saved_model", "onnx", "litert"), **_OF_RUN,
    )  # fmt: skip
    tensorboard: bool | None = option(
        None, "write logs for TensorBoard (default: if it is installed, on TensorFlow)",
        kind="switch", **_PLACE,
    )  # fmt: skip

    def __post_init__(self) -> None:
        recipe = registry.recipe(self.model)
        for name, spec in self.specs().items():
            if spec.default == _OF_RECIPE and getattr(self, name) is None:
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
        return cls.parse(argv, cls.parser_of(model), functools.partial(cls.of_values, model))

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
        return super().to_json() | {name: plain(value) for name, value in self.network.items()}

    def arguments(self, *, without: Collection[str] = ()) -> list[str]:
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
        if spec.default == _OF_RECIPE
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
