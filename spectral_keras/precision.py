"""The precision that a model computes in, and the same model in float32."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from spectral_keras.ops.processor import multiplies_bfloat16

__all__ = [
    "all_layers",
    "fastest_precision",
    "has_accelerator",
    "in_float32",
    "policy_kept",
    "rebuild",
]


def __dir__():
    return __all__


def fastest_precision() -> str:
    """The precision to train in that is fastest here among those that are safe.

    Arithmetic in half precision that the hardware lacks is emulated, three to seven times slower
    than float32.  So "bfloat16" needs a GPU of compute capability 8.0 or more, a TPU, or a Linux
    processor with AMX or AMD's AVX512_BF16, whose kernels TensorFlow and PyTorch have (oneDNN) and
    JAX has not (`spectral_keras.ops.processor`).  GPUs of capability 7 have "float16" only, for
    which Keras scales the loss.  The answer depends on the machine alone, not on a measurement: a
    run that is started again gets the same one.

    Returns:
        "float32", "bfloat16" or "float16"; the latter two name Keras' policies mixed_bfloat16 and
        mixed_float16.  Of several GPUs the oldest decides.

    Example:

    >>> from spectral_keras.precision import fastest_precision
    >>> fastest_precision() in ("float32", "bfloat16", "float16")
    True
    """
    backend = keras.backend.backend()
    capabilities = _accelerators(backend)
    if capabilities:
        oldest = min(capabilities)
        return "bfloat16" if oldest >= (8, 0) else "float16" if oldest >= (7, 0) else "float32"
    return "bfloat16" if multiplies_bfloat16() else "float32"


def has_accelerator() -> bool:
    """Whether the backend has a GPU or a TPU.

    >>> from spectral_keras.precision import has_accelerator
    >>> has_accelerator() in (True, False)
    True
    """
    return bool(_accelerators(keras.backend.backend()))


def _accelerators(backend):
    """Compute capability of each GPU; (0, 0) where it has none, (8, 0) for a TPU."""
    if backend == "tensorflow":
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        details = map(tf.config.experimental.get_device_details, gpus)
        return [each.get("compute_capability", (0, 0)) for each in details]
    if backend == "jax":
        import jax

        devices = [device for device in jax.devices() if device.platform != "cpu"]
        return [(8, 0) if device.platform == "tpu" else _capability(device) for device in devices]
    if backend == "torch":
        import torch

        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        return [torch.cuda.get_device_capability(index) for index in range(count)]
    return []


def _capability(device):
    """The compute capability of a device of JAX, which gives it as text."""
    parts = str(getattr(device, "compute_capability", "")).split(".")
    return tuple(map(int, parts)) if all(map(str.isdecimal, parts)) else (0, 0)


def all_layers(layer: keras.layers.Layer) -> Iterator[keras.layers.Layer]:
    """The layer and, in a model, all layers below it.

    Example:

    >>> import keras
    >>> from spectral_keras.precision import all_layers
    >>> dense = keras.layers.Dense(2)
    >>> model = keras.Sequential([keras.Input((3,)), dense])
    >>> dense in all_layers(model)
    True
    """
    yield layer
    for child in getattr(layer, "layers", None) or ():
        yield from all_layers(child)


def in_float32(model: keras.Model) -> keras.Model:
    """`model`, or where it has another precision a float32 copy of it with the same weights.

    Args:
        model: a functional or Sequential model with one input.

    Example:

    >>> import keras
    >>> from spectral_keras.precision import in_float32
    >>> half = keras.layers.Dense(2, dtype="mixed_bfloat16")
    >>> model = in_float32(keras.Sequential([keras.Input((3,)), half]))
    >>> model.layers[-1].compute_dtype
    'float32'
    """
    policies = {
        name
        for layer in all_layers(model)
        for name in (layer.dtype_policy.compute_dtype, layer.dtype_policy.variable_dtype)
    }
    dtype = keras.backend.standardize_dtype(model.inputs[0].dtype)
    other_input = keras.backend.is_float_dtype(dtype) and dtype != "float32"
    if policies <= {"float32"} and not other_input:
        return model

    with policy_kept():
        # Layers that a layer makes for itself take the global policy.
        keras.config.set_dtype_policy("float32")
        copy = rebuild(model, _with_float32)
        if other_input:
            image = keras.Input(model.inputs[0].shape[1:], dtype="float32", name="input")
            copy = keras.Model(image, copy(image), name=model.name)
    return copy


@contextlib.contextmanager
def policy_kept() -> Iterator[None]:
    """After this block, or a call of a function that it decorates, Keras' precision is as before.

    Example:

    >>> import keras
    >>> from spectral_keras.precision import policy_kept
    >>> with policy_kept():
    ...     keras.config.set_dtype_policy("mixed_bfloat16")
    >>> keras.config.dtype_policy().name
    'float32'
    """
    policy = keras.config.dtype_policy()
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)


def rebuild(model: keras.Model, change: Callable[[dict[str, Any]], dict[str, Any]]) -> keras.Model:
    """A copy of a functional or Sequential model with its weights, rounded to float32.

    Args:
        model: the model.
        change: function of a layer's config that gives the config of its copy.

    Example:

    >>> import keras
    >>> from spectral_keras.precision import rebuild
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> rebuild(model, lambda config: config | {"trainable": False}).layers[-1].trainable
    False
    """

    def copy_of(layer):
        return layer.__class__.from_config(change(layer.get_config()))

    copy = keras.models.clone_model(model, clone_function=copy_of)
    copy.set_weights([_as_float32(weight) for weight in model.get_weights()])
    return copy


def _with_float32(config):
    """A layer's config with every dtype policy in it, nested layers included, set to float32."""
    if isinstance(config, dict):
        return {
            key: _float32_policy(value)
            if key == "dtype" and _is_policy(value)
            else _with_float32(value)
            for key, value in config.items()
        }
    if isinstance(config, (list, tuple)):
        return type(config)(_with_float32(value) for value in config)
    return config


def _float32_policy(value):
    """float32; of a quantized layer the same quantization from float32."""
    policy = keras.dtype_policies.get(value)
    if policy.quantization_mode is None:
        return "float32"
    config = keras.dtype_policies.serialize(policy)
    return config | {"config": config["config"] | {"source_name": "float32"}}


def _is_policy(value):
    """Whether a config's "dtype" says how a layer computes (and is no integer type)."""
    return isinstance(value, dict) or (isinstance(value, str) and "float" in value)


def _as_float32(weight):
    weight = np.asarray(weight)
    kind = keras.backend.standardize_dtype(weight.dtype)
    return weight.astype("float32") if keras.backend.is_float_dtype(kind) else weight
