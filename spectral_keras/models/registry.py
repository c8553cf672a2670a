"""The zoo by name."""

import importlib
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import keras

from spectral_keras.models.recipe import Recipe
from spectral_keras.models.weight_limit import fits_memory
from spectral_keras.ops.validation import check_choice, check_positive_int

__all__ = ["adapt", "build", "factory", "names", "options", "recipe"]

# Network -> its module in this folder; a family shares one.
_MODULES = {
    "generic_cnn": "generic_cnn",
    "deep_spectral": "deep_spectral",
    "spectral_pool_cnn": "spectral_pool_cnn",
    "fourier_cnn": "fourier_cnn",
    "quick_spectral": "quick_spectral",
    "resnet18": "resnet18",
    "resnext29": "resnext29",
    "googlenet": "googlenet",
    "efficientnet_b0": "efficientnet_b0",
    "mobilenet_v2": "mobilenet_v2",
    "vgg11_bn": "vgg",
    "vgg16": "vgg",
    "vgg16_bn": "vgg",
}


def names() -> list[str]:
    """Names of all networks, in the order in which they are listed.

    Example:

    >>> from spectral_keras.models import names
    >>> names()[:3]
    ['generic_cnn', 'deep_spectral', 'spectral_pool_cnn']
    """
    return list(_MODULES)


def _module(name):
    check_choice("name", name, names())
    return importlib.import_module(f"spectral_keras.models.{_MODULES[name]}")


def factory(name: str) -> Callable[..., keras.Model]:
    """The function that builds a network: (input_shape, num_classes, *, its own options).

    Example:

    >>> from spectral_keras.models import factory
    >>> factory("resnet18")((16, 16, 1), 3, width=0.25).output_shape
    (None, 3)
    """
    found = _module(name)
    return getattr(found, name if _MODULES[name] != name else "build")


def recipe(name: str) -> Recipe:
    """How the network is trained by default, a `Recipe`.

    Example:

    >>> from spectral_keras.models import recipe
    >>> recipe("deep_spectral").optimizer, recipe("deep_spectral").epochs
    ('adam', 20)
    """
    found = _module(name)
    return found.RECIPE if _MODULES[name] == name else found.RECIPES[name]


def options(name: str) -> dict[str, tuple[Any, Any]]:
    """The network's own options: dict of name -> (annotation, default).

    Example:

    >>> from spectral_keras.models import options
    >>> options("deep_spectral")["width"]
    (<class 'float'>, 1.0)
    """
    parameters = inspect.signature(factory(name)).parameters.values()
    return {
        parameter.name: (parameter.annotation, parameter.default)
        for parameter in parameters
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


def adapt(name: str, model: keras.Model, images: Any) -> None:
    """Compute from training images what a network starts from, if it has such a part.

    Args:
        name: of the network.
        model: what its factory built.
        images: array [N, height, width, channels], uint8 in [0, 255] or floats in [0, 1], or
            `StreamedImages`.
    """
    found = getattr(_module(name), "adapt", None)
    if found is not None:
        found(model, images)


def build(
    name: str,
    input_shape: Sequence[int] = (32, 32, 3),
    num_classes: int = 10,
    **options_: Any,
) -> keras.Model:
    """Build a network of the zoo.

    Args:
        name: one of `names()`.
        input_shape: (height, width, channels) of the images, which are float32 in [0, 1].
        num_classes: number of logits.
        **options_: the network's own options, see its module.

    Returns:
        A functional `keras.Model` from images to logits.

    Raises:
        ValueError: for an unknown name or option, or a bad value.
        MemoryError: if the free memory does not hold the weights, before it is taken.

    Example:

    >>> from spectral_keras import models
    >>> models.build("deep_spectral", num_classes=100, conv="spatial").count_params()
    972100
    """
    known = options(name)
    for option in options_:
        if option not in known:
            raise ValueError(
                f"{name} has no option {option!r}; it has {', '.join(known)}. "
                f"Received: {option}={options_[option]!r}"
            )
    input_shape = tuple(input_shape)
    if len(input_shape) != 3:
        raise ValueError(
            "`input_shape` must be (height, width, channels). "
            f"Received: input_shape={input_shape!r}"
        )
    for side in input_shape:
        check_positive_int("input_shape", side)
    check_positive_int("num_classes", num_classes, minimum=2)
    with fits_memory(2):  # the weights, and what an initializer works with
        return factory(name)(input_shape, num_classes, **options_)
