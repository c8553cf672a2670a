"""Keras' batch normalisation is the oracle, beside the definition in float64."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from spectral_keras.folding import fold
from spectral_keras.layers import BatchNormalization
from tests.layer_checks import check_layer
from tests.oracles import random_images, to_numpy

tensorflow_only = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="the kernels are TensorFlow's"
)

# (shape, axis) that the kernels take.
MAPS = [
    ((4, 5, 7, 3), -1),
    ((4, 3, 5, 7), 1),
    ((6, 1, 1, 9), 3),
    ((9, 17, 1, 3), -3),
    ((1, 1, 1, 2), -1),
]
# Relative to the largest number of the expected ones.
TOLERANCE = {"float32": 3e-6, "mixed_bfloat16": 8e-3, "mixed_float16": 1e-3}


def _pair(shape, axis=-1, **options):
    """Keras' layer and this library's with the same weights, not those of the start."""
    pair = []
    for kind in (keras.layers.BatchNormalization, BatchNormalization):
        layer = kind(axis=axis, **options)
        layer.build(shape)
        rng = np.random.default_rng(4)
        layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
        pair.append(layer)
    return pair


def _maps(shape, seed=0, offset=0.3):
    return np.random.default_rng(seed).normal(offset, 1.0, shape).astype("float32")


def _assert_close(actual, expected, tolerance):
    expected = to_numpy(expected)
    size = max(np.abs(expected).max(initial=0, where=np.isfinite(expected)), 1e-3)
    np.testing.assert_allclose(to_numpy(actual), expected, rtol=0, atol=tolerance * size)


def _step(layer, x, probe):
    """Outputs, and gradients of <outputs, probe> by the input and the weights."""
    import tensorflow as tf

    x = ops.cast(x, layer.compute_dtype)
    weights = [weight.value for weight in layer.trainable_weights]
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=True)
        value = ops.sum(ops.cast(y, "float32") * probe)
    return [y, *tape.gradient(value, [x, *weights])]


def _operations(layer, shape, dtype="float32", training=True, **others):
    """Operations of the graph of a call with an unknown number of images."""
    import tensorflow as tf

    spec = tf.TensorSpec((None, *shape[1:]), dtype)
    call = tf.function(lambda x: layer(x, training=training, **others), autograph=False)
    return call.get_concrete_function(spec).graph.get_operations()


def _is_fused(*args, **kwargs):
    return "FusedBatchNormV3" in {op.type for op in _operations(*args, **kwargs)}


def test_contract():
    check_layer(
        BatchNormalization,
        {"axis": 1, "momentum": 0.8, "epsilon": 1e-4, "gamma_regularizer": "l2"},
        (8, 3, 4, 5),
        expected_output_shape=(8, 3, 4, 5),
        expected_weights=4,
    )


@tensorflow_only
@pytest.mark.parametrize("offset", [0.3, 100.0])
@pytest.mark.parametrize(("shape", "axis"), MAPS)
def test_definition(shape, axis, offset):
    _, layer = _pair(shape, axis, epsilon=1e-5, momentum=0.9)
    gamma, beta, moving_mean, moving_variance = map(to_numpy, layer.weights)
    x, probe = _maps(shape, offset=offset), _maps(shape, 1)
    actual = _step(layer, x, probe)

    z, direction = (np.moveaxis(a.astype("float64"), axis, -1) for a in (x, probe))
    axes = (0, 1, 2)
    inverse = 1 / np.sqrt(z.var(axes) + 1e-5)
    unit = (z - z.mean(axes)) * inverse
    by_unit = direction - direction.mean(axes) - unit * (direction * unit).mean(axes)
    expected = [gamma * unit + beta, gamma * inverse * by_unit]
    expected = [np.moveaxis(maps, -1, axis) for maps in expected]
    expected += [(direction * unit).sum(axes), direction.sum(axes)]
    # float32 has 24 bits: at an offset of 100 a deviation of one keeps 17 of them.
    tolerance = 1e-5 * max(1, offset)
    for a, e in zip(actual, expected, strict=True):
        # One value a channel: the gradient by the input is zero times 1 / sqrt(epsilon).
        np.testing.assert_allclose(to_numpy(a), e, rtol=tolerance, atol=tolerance * 10)
    _assert_close(layer.moving_mean, 0.9 * moving_mean + 0.1 * z.mean(axes), 1e-6)
    _assert_close(layer.moving_variance, 0.9 * moving_variance + 0.1 * z.var(axes), tolerance)


@tensorflow_only
@pytest.mark.parametrize("options", [{}, {"scale": False}, {"center": False, "epsilon": 1e-5}])
@pytest.mark.parametrize("policy", TOLERANCE)
@pytest.mark.parametrize(("shape", "axis"), MAPS[:4])
def test_keras_layer(shape, axis, policy, options):
    stock, layer = _pair(shape, axis, dtype=policy, momentum=0.5, **options)
    x, probe = _maps(shape), _maps(shape, 1)
    for expected, actual in zip(_step(stock, x, probe), _step(layer, x, probe), strict=True):
        assert actual.dtype == expected.dtype
        _assert_close(actual, expected, TOLERANCE[policy])
    for old, new in zip(stock.weights, layer.weights, strict=True):
        _assert_close(new, old, 1e-5)
    _assert_close(layer(x, training=False), stock(x, training=False), TOLERANCE[policy])


@tensorflow_only
@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize(("shape", "axis"), MAPS[:2])
def test_gradients_of_gradients(shape, axis, jit):
    """The norm of the input's gradient has them; adversarial and attended training take them."""
    import tensorflow as tf

    probe = _maps(shape, 1)

    def second(layer):
        @tf.function(autograph=False, jit_compile=jit)
        def gradients(x):
            weights = [weight.value for weight in layer.trainable_weights]
            with tf.GradientTape() as outer:
                outer.watch(x)
                with tf.GradientTape() as inner:
                    inner.watch(x)
                    # No power: of its terms by beta hardly more than the rounding is left.
                    value = ops.sum(ops.sin(layer(x, training=True)) * probe)
                value = ops.sum(inner.gradient(value, x) ** 2)
            return outer.gradient(value, [x, *weights], unconnected_gradients="zero")

        return gradients(ops.convert_to_tensor(_maps(shape)))

    for expected, actual in zip(*map(second, _pair(shape, axis)), strict=True):
        _assert_close(actual, expected, 2e-5)


@tensorflow_only
@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize(("shape", "axis"), MAPS[:2])
def test_no_images(shape, axis, jit):
    """A replica may get none: what Keras gives, and no crash."""
    import tensorflow as tf

    for layer in _pair(shape, axis):
        step = tf.function(lambda *args, layer=layer: _step(layer, *args), jit_compile=jit)
        empty = np.zeros((0, *shape[1:]), "float32")
        assert step(empty, empty)[0].shape == empty.shape
        assert np.isnan(to_numpy(layer.moving_mean)).all()


@tensorflow_only
class TestWhereTheKernelIsUsed:
    @pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
    @pytest.mark.parametrize("axis", [-1, 3, 1, -3])
    def test_training(self, axis, dtype):
        _, layer = _pair((2, 4, 4, 4), axis, dtype=dtype)
        operations = _operations(layer, (2, 4, 4, 4), dtype)
        assert "FusedBatchNormV3" in {op.type for op in operations}
        # In half precision no copies of the maps in another one.
        casts = [op for op in operations if op.type == "Cast" and op.inputs[0].shape.rank == 4]
        assert not casts

    @pytest.mark.parametrize(
        ("shape", "options", "call"),
        [
            ((2, 4, 4, 3), {}, {"training": False}),
            ((2, 4, 4, 3), {}, {"mask": np.ones((2, 4, 4), bool)}),
            ((2, 4, 4, 3), {"trainable": False}, {}),
            ((2, 4, 4, 3), {"synchronized": True}, {}),
            ((2, 4, 4, 3), {"renorm": True}, {}),
            ((2, 4, 4, 3), {"axis": 2}, {}),
            ((2, 4, 4, 3), {"dtype": "float64"}, {"dtype": "float64"}),
            ((2, 4, 3), {}, {}),
            ((2, 3), {}, {}),
        ],
    )
    def test_keras_own(self, shape, options, call):
        stock, layer = _pair(shape, **options)
        assert not _is_fused(layer, shape, **call)
        others = {key: value for key, value in call.items() if key != "dtype"}
        x = _maps(shape)
        arguments = {"training": True} | others
        np.testing.assert_array_equal(
            to_numpy(layer(x, **arguments)), to_numpy(stock(x, **arguments))
        )
        for old, new in zip(stock.weights, layer.weights, strict=True):
            np.testing.assert_array_equal(to_numpy(new), to_numpy(old))


def test_config_and_weights_are_keras_own():
    stock, layer = _pair((2, 4, 4, 3), momentum=0.7, gamma_constraint="non_neg")
    assert json.dumps(layer.get_config()).replace(layer.name, stock.name) == json.dumps(
        stock.get_config()
    )
    assert [w.name for w in layer.weights] == [w.name for w in stock.weights]


@pytest.mark.parametrize("kinds", [(0, 1), (1, 0)])
def test_weights_files_of_keras_layer_load(kinds, tmp_path):
    """Both ways."""
    classes = (keras.layers.BatchNormalization, BatchNormalization)
    models = [
        keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Conv2D(2, 3), classes[kind]()])
        for kind in kinds
    ]
    rng = np.random.default_rng(1)
    models[0].set_weights([rng.random(w.shape) for w in models[0].get_weights()])
    models[0].save_weights(tmp_path / "model.weights.h5")
    models[1].load_weights(tmp_path / "model.weights.h5")
    for old, new in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)


def test_fold_gives_keras_layer(tmp_path):
    model = keras.Sequential([keras.Input((4, 4, 3)), BatchNormalization(momentum=0.6)])
    model.set_weights([w + 0.3 for w in model.get_weights()])
    folded = fold(model)
    assert type(folded.layers[0]) is keras.layers.BatchNormalization
    x = random_images((2, 4, 4, 3))
    np.testing.assert_array_equal(to_numpy(folded(x)), to_numpy(model(x)))
    folded.save(tmp_path / "folded.keras")
    assert b"spectral_keras" not in (tmp_path / "folded.keras").read_bytes()
