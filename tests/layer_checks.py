"""The contract that every layer of the library keeps, as one call."""

import inspect
import json
import os
import tempfile

import keras
import numpy as np

from tests.oracles import compiled, float64_or_float32, input_gradient, random_images, to_numpy

PACKAGE = "spectral_keras"

# Largest difference from float32, in units of the largest float32 value.
_TOLERANCE = {"float64": 1e-5, "float32": 1e-6, "bfloat16": 4e-2, "float16": 6e-3}


@keras.saving.register_keras_serializable(package="spectral_keras_tests")
class _Gain(keras.layers.Layer):
    """Multiplies by one trainable number: it learns only if a gradient reaches its output."""

    def build(self, input_shape):
        self.gain = self.add_weight(name="gain", shape=(), initializer="ones")

    def call(self, inputs):
        return inputs * self.gain

    def compute_output_shape(self, input_shape):
        return input_shape


def _constructor_arguments(layer_class):
    """Every named constructor argument, with those of the first Keras class it inherits from."""
    names = {"name", "dtype", "trainable"}
    for cls in layer_class.__mro__:
        if cls is keras.layers.Layer:
            break
        if "__init__" in vars(cls):
            parameters = inspect.signature(cls.__init__).parameters.values()
            names |= {
                parameter.name
                for parameter in parameters
                if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
            }
            # Keras' classes further up are abstract (BaseConv): no user sees their arguments.
            if cls.__module__.split(".")[0] == "keras":
                break
    # Keras' Conv layers write the LoRA arguments into their config only where they are used.
    return names - {"self", "lora_rank", "lora_alpha"}


def _seed_generators(layer):
    return [v for v in vars(layer).values() if isinstance(v, keras.random.SeedGenerator)]


def _model(layer, input_shape, gain=False):
    """Functional model around the layer, batch size unknown."""
    inputs = keras.Input(input_shape[1:])
    return keras.Model(inputs, layer(_Gain()(inputs) if gain else inputs))


def _check_config(layer_class, init_kwargs):
    layer = layer_class(**init_kwargs)
    config = layer.get_config()
    missing = _constructor_arguments(layer_class) - set(config)
    assert not missing, f"get_config() lacks {sorted(missing)}"
    for name, value in init_kwargs.items():
        # Keras' own Conv arguments become pairs, initializers become dicts: rebuilt below.
        if isinstance(value, (bool, int, float, str)) and type(config[name]) is type(value):
            assert config[name] == value, f"{name}={value!r} became {config[name]!r}"
    plain = json.loads(json.dumps(config))
    again = layer_class.from_config(plain).get_config()
    assert json.loads(json.dumps(again)) == plain

    serialized = keras.saving.serialize_keras_object(layer)
    assert serialized["registered_name"] == f"{PACKAGE}>{layer_class.__name__}"
    revived = keras.saving.deserialize_keras_object(json.loads(json.dumps(serialized)))
    assert type(revived) is layer_class
    assert json.loads(json.dumps(revived.get_config())) == plain


def _check_shapes(
    layer_class,
    init_kwargs,
    input_shape,
    expected_output_shape,
    expected_weights,
    expected_seed_generators,
):
    expected_output_shape = tuple(expected_output_shape)
    layer = layer_class(**init_kwargs)
    assert tuple(layer.compute_output_shape(input_shape)) == expected_output_shape
    symbolic = layer(keras.Input(input_shape[1:]))
    assert tuple(symbolic.shape) == (None, *expected_output_shape[1:])
    assert layer.built
    unknown = layer.compute_output_shape((None, *input_shape[1:]))
    assert tuple(unknown) == (None, *expected_output_shape[1:])

    outputs = layer_class(**init_kwargs)(random_images(input_shape))
    assert tuple(outputs.shape) == expected_output_shape
    assert np.isfinite(to_numpy(outputs)).all()
    if expected_weights is not None:
        assert len(layer.weights) == expected_weights, [w.path for w in layer.weights]
    assert len(_seed_generators(layer)) == expected_seed_generators


def _check_fit(layer_class, init_kwargs, input_shape, output_shape, jit_compile, all_weights_train):
    layer = layer_class(**init_kwargs)
    model = _model(layer, input_shape, gain=True)
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse", jit_compile=jit_compile)
    before = [to_numpy(w) for w in model.trainable_weights]
    x = random_images(input_shape)
    # Far away targets: the loss is not at a minimum, whatever the layer does.
    y = random_images(output_shape, seed=1) * 2 - 3
    model.fit(x, y, batch_size=input_shape[0], epochs=1, verbose=0)
    for weight, old in zip(model.trainable_weights, before, strict=True):
        new = to_numpy(weight)
        assert np.isfinite(new).all(), f"{weight.path} after one step, jit={jit_compile}"
        if all_weights_train or weight.path.endswith("gain"):
            assert (new != old).any(), f"{weight.path} did not move, jit={jit_compile}"


def _check_dtype(layer_class, init_kwargs, input_shape, dtype):
    """Outputs and input gradients in `dtype` are those of float32, to its precision."""
    reference = layer_class(**{**init_kwargs, "dtype": "float32"})
    reference.build(input_shape)
    layer = layer_class(**{**init_kwargs, "dtype": dtype})
    layer.build(input_shape)
    layer.set_weights(reference.get_weights())
    compute_dtype = layer.compute_dtype
    spec = layer.compute_output_spec(keras.KerasTensor(input_shape, dtype=compute_dtype))
    assert keras.backend.standardize_dtype(spec.dtype) == compute_dtype
    # Training is off: random layers must not differ by their draws.
    x = random_images(input_shape)
    probe = random_images(reference.compute_output_shape(input_shape), seed=1)
    results = []
    for each in (reference, layer):
        forward = compiled(lambda z, each=each: each(z, training=False))
        outputs = forward(keras.ops.cast(x, each.compute_dtype))
        assert keras.backend.standardize_dtype(outputs.dtype) == each.compute_dtype

        def scalar(z, each=each):
            z = each(keras.ops.cast(z, each.compute_dtype), training=False)
            return keras.ops.sum(keras.ops.multiply(keras.ops.cast(z, "float32"), probe))

        results.append((to_numpy(outputs), to_numpy(input_gradient(compiled(scalar), x))))
    for expected, actual, what in zip(*results, ("outputs", "gradient"), strict=True):
        error = np.abs(actual - expected).max() / max(np.abs(expected).max(), 1e-6)
        assert error <= _TOLERANCE[compute_dtype], f"{what} in {dtype}: relative error {error:.2g}"


def _check_saving(layer_class, init_kwargs, input_shape):
    layer = layer_class(**init_kwargs)
    model = _model(layer, input_shape)
    rng = np.random.default_rng(2)
    # Not the initial values: those a fresh layer might have as well.
    layer.set_weights([w + 0.1 * rng.random(w.shape) for w in layer.get_weights()])
    x = random_images((input_shape[0] + 1, *input_shape[1:]), seed=3)

    def predict(model, x):
        return to_numpy(compiled(lambda x: model(x, training=False))(x))

    expected = predict(model, x)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.keras")
        model.save(path)
        loaded = keras.saving.load_model(path)
        np.testing.assert_allclose(predict(loaded, x), expected, rtol=1e-6, atol=1e-6)
        if keras.backend.backend() != "tensorflow":
            return
        import tensorflow as tf

        path = os.path.join(folder, "saved_model")
        model.export(path, verbose=False)
        artifact = tf.saved_model.load(path)
        for batch in (x, x[:1]):
            np.testing.assert_allclose(
                to_numpy(artifact.serve(batch)), expected[: len(batch)], rtol=1e-5, atol=1e-5
            )


def check_layer(
    layer_class,
    init_kwargs,
    input_shape,
    *,
    expected_output_shape,
    expected_weights=None,
    expected_seed_generators=0,
    supports_jit=True,
    dtypes=("float32", "mixed_bfloat16", "mixed_float16"),
    all_weights_train=True,
):
    """Checks what Keras and its users expect of any layer.

    - Every constructor argument is in the config; the config is plain JSON and rebuilds the layer,
      also through the registry of package "spectral_keras".
    - A symbolic call with unknown batch size, `compute_output_shape` and an eager call agree.
    - One step of `fit`, uncompiled and compiled by XLA (TensorFlow), compiled (JAX), eager
      (torch); a gradient reaches the input and every trainable weight.
    - Outputs and input gradients in each dtype policy agree with float32, and have its dtype.
    - A model with the layer survives `.keras`, and SavedModel for any batch size (TensorFlow).

    Args:
        layer_class: the class.
        init_kwargs: constructor arguments, best with non-default values.
        input_shape: with the batch size.
        expected_output_shape: with the batch size.
        expected_weights: number of weights (without the states of seed generators).
        expected_seed_generators: number of `SeedGenerator` attributes of the layer.
        supports_jit: whether to compile a training step with XLA on TensorFlow.
        dtypes: dtype policies; "float64" is left out where the backend has none.
        all_weights_train: whether one training step must move every trainable weight.
    """
    input_shape = tuple(input_shape)
    _check_config(layer_class, init_kwargs)
    _check_shapes(
        layer_class,
        init_kwargs,
        input_shape,
        expected_output_shape,
        expected_weights,
        expected_seed_generators,
    )
    ways = {"tensorflow": (False, True), "jax": (True,), "torch": (False,)}
    for jit_compile in ways[keras.backend.backend()]:
        if jit_compile and not supports_jit:
            continue
        _check_fit(
            layer_class,
            init_kwargs,
            input_shape,
            expected_output_shape,
            jit_compile,
            all_weights_train,
        )
    for dtype in dtypes:
        if dtype == "float64" and float64_or_float32() != "float64":
            continue
        _check_dtype(layer_class, init_kwargs, input_shape, dtype)
    _check_saving(layer_class, init_kwargs, input_shape)
