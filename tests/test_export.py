"""Exports are run again from disk here too, by code of the test's own and on other data."""

import importlib.util
import json
import logging
import re
import sys

import keras
import numpy as np
import pytest

from spectral_keras import export as export_module
from spectral_keras import layers
from spectral_keras.export import SUFFIXES, ExportError, export
from spectral_keras.layers import FFTConv2D, FFTConvPool2D
from spectral_keras.layers.fourier_mask import FourierMask
from spectral_keras.layers.spectral_conv2d import SpectralConv2D
from spectral_keras.layers.spectral_pool import SpectralPool
from tests.oracles import random_images, to_numpy

on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="all formats are written from TensorFlow"
)


@keras.saving.register_keras_serializable(package="spectral_keras_tests")
class CountsCalls(keras.layers.Layer):
    """Another function each time it is traced: no export can be equal to it."""

    calls = 0

    def call(self, inputs):
        CountsCalls.calls += 1
        return inputs * CountsCalls.calls


def network(size=8, name="network", dtype=None, middle=None):
    """Convolution, `middle`, a nested model, dropout, logits; weights unlike the initial ones."""
    inner_input = keras.Input((size, size, 4))
    inner = keras.Model(
        inner_input,
        SpectralPool(size // 2, implementation="matmul", dtype=dtype)(inner_input),
        name="inner",
    )
    image = keras.Input((size, size, 3), name="image")
    x = SpectralConv2D(4, 3, padding="same", activation="relu", dtype=dtype, name="conv")(image)
    if middle is not None:
        x = middle(x)
    x = inner(x)
    x = keras.layers.Flatten(dtype=dtype)(keras.layers.Dropout(0.5, dtype=dtype)(x))
    model = keras.Model(image, keras.layers.Dense(5, dtype=dtype, name="logits")(x), name=name)
    rng = np.random.default_rng(5)
    model.set_weights([w + 0.1 * rng.standard_normal(w.shape) for w in model.get_weights()])
    return model


def run_file(path, format, x):
    """The outputs of an exported model, by the format's own run time."""
    if format == "saved_model":
        import tensorflow as tf

        artifact = tf.saved_model.load(str(path))
        return keras.ops.convert_to_numpy(artifact.serve(x))
    if format == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path))
        return session.run(None, {session.get_inputs()[0].name: x})[0]
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    source, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    interpreter.resize_tensor_input(source["index"], x.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(source["index"], x)
    interpreter.invoke()
    return interpreter.get_tensor(result["index"])


@on_tensorflow
@pytest.mark.parametrize("format", SUFFIXES)
class TestEveryFormat:
    def test_runs_and_gives_the_models_numbers(self, format, tmp_path, capfd):
        model = network()
        path = tmp_path / "new" / "folder" / f"model{SUFFIXES[format]}"
        capfd.readouterr()
        report = export(model, path, format)
        printed = capfd.readouterr()
        assert (printed.out, printed.err) == ("", "")

        x = random_images((5, 8, 8, 3), seed=7)
        expected = to_numpy(model(x, training=False))
        assert np.abs(expected).max() > 0.1
        np.testing.assert_allclose(run_file(path, format, x), expected, rtol=1e-4, atol=1e-5)

        assert json.loads(json.dumps(report)) == report
        size = sum(f.stat().st_size for f in [path, *path.rglob("*")] if f.is_file())
        assert report == {
            "format": format,
            "path": str(path),
            "max_abs_difference": report["max_abs_difference"],
            "size_bytes": size,
            "input_shape": [None, 8, 8, 3],
            "output_shape": [None, 5],
            "rebuilt": [],
        }
        assert report["max_abs_difference"] < 1e-5
        assert list(path.parent.iterdir()) == [path]
        assert [p.name for p in tmp_path.iterdir()] == ["new"]

    def test_mixed_precision_is_exported_in_float32(self, format, tmp_path):
        model = network(dtype="mixed_bfloat16")
        keras.config.set_dtype_policy("mixed_float16")
        path = tmp_path / f"model{SUFFIXES[format]}"
        export(model, path, format)
        assert keras.config.dtype_policy().name == "mixed_float16"
        assert model.get_layer("conv").compute_dtype == "bfloat16"

        keras.config.set_dtype_policy("float32")
        twin = network()
        twin.set_weights(model.get_weights())
        x = random_images((2, 8, 8, 3))
        expected = to_numpy(twin(x, training=False))
        result = run_file(path, format, x)
        assert result.dtype == np.float32
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)

    def test_existing_target(self, format, tmp_path):
        first, second = network(name="first"), network(name="second")
        second.set_weights([2 * w for w in first.get_weights()])
        path = tmp_path / f"model{SUFFIXES[format]}"
        export(first, path, format)
        x = random_images((2, 8, 8, 3))
        with pytest.raises(FileExistsError, match="overwrite=True"):
            export(second, path, format)
        # One that fails leaves what was there.
        with pytest.raises(ExportError):
            export(network(middle=CountsCalls()), path, format, overwrite=True)
        expected = to_numpy(first(x, training=False))
        np.testing.assert_allclose(run_file(path, format, x), expected, rtol=1e-4, atol=1e-5)
        export(second, path, format, overwrite=True)
        expected = to_numpy(second(x, training=False))
        np.testing.assert_allclose(run_file(path, format, x), expected, rtol=1e-4, atol=1e-5)
        assert list(tmp_path.iterdir()) == [path]

    def test_something_else_is_never_overwritten(self, format, tmp_path):
        path = tmp_path / f"model{SUFFIXES[format]}"
        path.mkdir()
        (path / "thesis.txt").write_text("do not lose")
        with pytest.raises(FileExistsError, match="not overwritten"):
            export(network(), path, format, overwrite=True)
        assert (path / "thesis.txt").read_text() == "do not lose"

    def test_other_numbers_are_an_error(self, format, tmp_path):
        with pytest.raises(ExportError, match="'counts' differs from the Keras model by"):
            export(
                CountsCalls(name="counts"),
                tmp_path / f"model{SUFFIXES[format]}",
                format,
                input_shape=(4, 4, 1),
            )
        assert list(tmp_path.iterdir()) == []

    def test_missing_package(self, format, tmp_path, monkeypatch):
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(ExportError, match=r"needs tensorflow.*pip install '.*\[export\]'"):
            export(network(), tmp_path / f"model{SUFFIXES[format]}", format)


@keras.saving.register_keras_serializable(package="spectral_keras_tests")
class LowPass(keras.layers.Layer):
    """A layer of a user, which has an FFT and no `implementation`."""

    def call(self, inputs):
        real, imaginary = keras.ops.fft2((inputs, keras.ops.zeros_like(inputs)))
        return keras.ops.ifft2((real / 2, imaginary / 2))[0]


@on_tensorflow
@pytest.mark.parametrize("format", ["onnx", "litert"])
class TestFormatsWithoutFFT:
    def test_layers_are_rebuilt_with_their_weights(self, format, tmp_path, capfd):
        inner = keras.Sequential(
            [keras.Input((8, 7, 3)), FourierMask(name="nested"), FourierMask(name="two")],
            name="inner",
        )
        image = keras.Input((8, 7, 3))
        x = FFTConv2D(4, 3, padding="circular", implementation="fft", name="conv")(inner(image))
        x = FourierMask(implementation="matmul", name="fine")(x)
        x = SpectralPool(6, name="auto")(x)
        x = FFTConvPool2D(2, 3, 4, implementation="fft", name="pool")(x)
        x = keras.layers.Reshape((1, 4, 4, 2))(x)
        x = keras.layers.TimeDistributed(FourierMask(name="wrapped"), name="time")(x)
        model = keras.Model(image, x, name="model")
        rng = np.random.default_rng(0)
        model.set_weights([w + 0.1 * rng.random(w.shape) for w in model.get_weights()])
        configs = [layer.get_config() for layer in model.layers]
        path = tmp_path / f"model{SUFFIXES[format]}"
        capfd.readouterr()
        report = export(model, path, format)
        assert capfd.readouterr() == ("", "")
        assert report["rebuilt"] == ["nested", "two", "conv", "pool", "time"]
        assert report["max_abs_difference"] < 1e-5
        assert [layer.get_config() for layer in model.layers] == configs
        x = random_images((4, 8, 7, 3))
        expected = to_numpy(model(x))
        np.testing.assert_allclose(run_file(path, format, x), expected, rtol=1e-4, atol=1e-5)

    def test_layers_of_other_papers(self, format, tmp_path):
        inputs = keras.Input((9, 8, 3))
        x = layers.SpectralMixing2D(4, 3)(layers.GlobalFilter2D()(inputs))
        x = layers.HartleySpectralPool((8, 7), window="hamming")(x)
        x = layers.DiffStride(1.5, output_size="initial", smoothness=2.0)(x)
        real, imag = layers.FFT2D()(x)
        model = keras.Model(inputs, layers.InverseFFT2D(real=True)((real, real)))
        model.set_weights([w + 0.5 for w in model.get_weights()])
        path = tmp_path / f"model{SUFFIXES[format]}"
        export(model, path, format)
        x = random_images((2, 9, 8, 3), seed=4)
        expected = to_numpy(model(x))
        assert np.abs(expected).max() > 0.1
        np.testing.assert_allclose(run_file(path, format, x), expected, rtol=1e-4, atol=1e-4)

    def test_the_layer_that_is_to_blame(self, format, tmp_path, capfd):
        path = tmp_path / f"layer{SUFFIXES[format]}"
        layers = [FourierMask(name="ours"), LowPass(name="theirs"), SpectralPool(5)]
        model = keras.Sequential([keras.Input((8, 7, 3)), *layers])
        capfd.readouterr()
        with pytest.raises(ExportError) as caught:
            export(model, path, format)
        message = str(caught.value)
        assert re.search(r"cannot run the FFT \(\w*FFT\w*.*\) of 'theirs' \(LowPass\):", message)
        assert "\n" not in message
        assert list(tmp_path.iterdir()) == []
        assert capfd.readouterr() == ("", "")


@on_tensorflow
def test_keras_own_export_of_an_fft_warns(tmp_path):
    """Keras writes a file that no run time takes, and says that it has succeeded."""
    model = keras.Sequential([keras.Input((8, 8, 3)), FourierMask()])
    model(random_images((1, 8, 8, 3)))
    with pytest.warns(UserWarning, match=r"spectral_keras\.export\.export"):
        model.export(str(tmp_path / "model.onnx"), format="onnx", verbose=False)
    model.export(str(tmp_path / "saved"), verbose=False)  # which can: no warning


LAYERS = {
    "spectral_conv": (lambda: SpectralConv2D(4, 3, padding="same"), (9, 8, 3), (9, 8, 4)),
    "spectral_pool": (lambda: SpectralPool(5, implementation="fft"), (8, 6, 2), (5, 5, 2)),
    "fourier_mask": (lambda: FourierMask(implementation="fft"), (8, 6, 2), (8, 6, 2)),
}


@on_tensorflow
class TestOneLayer:
    @pytest.mark.parametrize("name", LAYERS)
    def test_saved_model_for_any_batch_size(self, name, tmp_path):
        import tensorflow as tf

        factory, input_shape, output_shape = LAYERS[name]
        layer = factory()
        path = str(tmp_path / "layer")
        layer.build((None, *input_shape))
        layer.set_weights([0.9 * w for w in layer.get_weights()])
        report = export(layer, path, "saved_model", input_shape=input_shape)
        assert report["input_shape"] == [None, *input_shape]
        assert report["output_shape"] == [None, *output_shape]
        artifact = tf.saved_model.load(path)
        as_layer = keras.layers.TFSMLayer(path, call_endpoint="serve")
        for batch_size in (1, 2, 7):
            x = random_images((batch_size, *input_shape), seed=batch_size)
            expected = to_numpy(layer(x))
            for result in (artifact.serve(x), as_layer(x)):
                np.testing.assert_allclose(to_numpy(result), expected, rtol=1e-5, atol=1e-5)

    def test_a_built_layer_knows_its_shape(self, tmp_path):
        layer = SpectralConv2D(2, 3)
        layer(random_images((2, 6, 6, 1)))
        report = export(layer, tmp_path / "layer", "saved_model")
        assert report["input_shape"] == [None, 6, 6, 1]

    def test_half_precision_layer(self, tmp_path):
        layer = SpectralConv2D(2, 3, dtype="float16")
        report = export(layer, tmp_path / "layer", "saved_model", input_shape=(6, 6, 1))
        assert report["max_abs_difference"] < 1e-5
        x = random_images((2, 6, 6, 1))
        result = run_file(tmp_path / "layer", "saved_model", x)
        assert result.dtype == np.float32
        # The weights are the layer's own; its arithmetic is not.
        np.testing.assert_allclose(result, to_numpy(layer(x)).astype("float32"), atol=2e-2)


@on_tensorflow
class TestModels:
    def test_subclassed_model(self, tmp_path):
        class Plain(keras.Model):
            def __init__(self):
                super().__init__()
                self.dense = keras.layers.Dense(3)

            def call(self, inputs):
                return self.dense(inputs)

        model = Plain()
        with pytest.raises(ValueError, match="`input_shape`.*is not built"):
            export(model, tmp_path / "m", "saved_model")
        export(model, tmp_path / "m", "saved_model", input_shape=(4,))
        x = random_images((3, 4))
        np.testing.assert_allclose(
            run_file(tmp_path / "m", "saved_model", x), to_numpy(model(x)), rtol=1e-5, atol=1e-6
        )

    def test_fixed_batch_size_becomes_free(self, tmp_path):
        model = keras.Sequential([keras.Input(batch_shape=(8, 4)), keras.layers.Dense(2)])
        report = export(model, tmp_path / "m.onnx", "onnx")
        assert report["input_shape"] == [None, 4]
        assert run_file(tmp_path / "m.onnx", "onnx", random_images((2, 4))).shape == (2, 2)

    def test_unknown_sizes_must_be_given(self, tmp_path):
        model = keras.Sequential(
            [keras.Input((None, None, 3)), keras.layers.Conv2D(2, 3), keras.layers.ReLU()]
        )
        with pytest.raises(ValueError, match=r"`input_shape`.*\(None, None, 3\)"):
            export(model, tmp_path / "m", "saved_model")
        report = export(model, tmp_path / "m", "saved_model", input_shape=(6, 5, 3))
        assert report["output_shape"] == [None, 4, 3, 2]

    def test_float64_and_integer_inputs(self, tmp_path):
        image = keras.Input((4,), dtype="float64")
        model = keras.Model(image, keras.layers.Dense(2, dtype="float64")(image))
        export(model, tmp_path / "wide", "saved_model")
        x = random_images((2, 4))
        result = run_file(tmp_path / "wide", "saved_model", x)
        assert result.dtype == np.float32
        np.testing.assert_allclose(result, to_numpy(model(x)), rtol=1e-5, atol=1e-6)

        image = keras.Input((4, 4, 1), dtype="uint8")
        model = keras.Model(image, keras.layers.Rescaling(1 / 255)(image))
        export(model, tmp_path / "bytes", "saved_model")
        x = np.arange(32, dtype="uint8").reshape(2, 4, 4, 1) * 8
        result = run_file(tmp_path / "bytes", "saved_model", x)
        np.testing.assert_allclose(result, x / 255, rtol=1e-6)

    def test_several_inputs_or_outputs(self, tmp_path):
        a, b = keras.Input((4,)), keras.Input((4,))
        with pytest.raises(ValueError, match="one input.*2 inputs"):
            export(keras.Model([a, b], a + b), tmp_path / "m", "saved_model")
        with pytest.raises(ValueError, match="one output.*2 outputs"):
            export(keras.Model(a, [a, a + 1]), tmp_path / "m", "saved_model")

    def test_outputs_that_are_not_finite(self, tmp_path):
        image = keras.Input((4,))
        model = keras.Model(image, keras.ops.log(image - 2))
        with pytest.raises(ExportError, match="not finite"):
            export(model, tmp_path / "m", "saved_model")
        assert list(tmp_path.iterdir()) == []


class TestArguments:
    @pytest.mark.parametrize(
        ("change", "match"),
        [
            ({"model_or_layer": 3}, "`model_or_layer`.*3"),
            ({"format": "pickle"}, "`format`.*'saved_model', 'onnx', 'litert'.*'pickle'"),
            ({"format": "onnx"}, "`path`.*'.onnx'"),
            ({"tolerance": 0}, "`tolerance`.*0"),
            ({"tolerance": float("nan")}, "`tolerance`.*nan"),
            ({"overwrite": "yes"}, "`overwrite`.*'yes'"),
        ],
    )
    def test_bad_arguments(self, change, match, tmp_path):
        arguments = {
            "model_or_layer": keras.layers.ReLU(),
            "path": tmp_path / "layer",
            "format": "saved_model",
            "input_shape": (4, 4, 1),
        }
        with pytest.raises(ValueError, match=match):
            export(**{**arguments, **change})
        assert list(tmp_path.iterdir()) == []

    @on_tensorflow
    @pytest.mark.parametrize("shape", [(4, 0), (None, 4), 4, (2.5,), (True,)])
    def test_bad_input_shape(self, shape, tmp_path):
        with pytest.raises(ValueError, match="`input_shape` must be positive integers"):
            export(keras.layers.ReLU(), tmp_path / "layer", "saved_model", input_shape=shape)

    @on_tensorflow
    def test_input_shape_that_does_not_fit(self, tmp_path):
        with pytest.raises(ValueError, match=r"`input_shape` must fit 'network'.*\(8, 8, 3\)"):
            export(network(), tmp_path / "m", "saved_model", input_shape=(8, 9, 3))

    @on_tensorflow
    @pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names in UTF-8 only")
    def test_a_model_of_texts(self, tmp_path):
        lookup = keras.layers.StringLookup(vocabulary=["a", "b"])
        model = keras.Sequential([keras.Input((1,), dtype="string"), lookup], name="words")
        with pytest.raises(ValueError, match="must take numbers. Received: 'words', which takes"):
            export(model, tmp_path / "words.onnx", "onnx")

    def test_a_name_that_tensorflow_does_not_take(self, tmp_path):
        with pytest.raises(ExportError, match="in UTF-8 only"):
            export(network(), tmp_path / "\udcff", "saved_model")
        assert list(tmp_path.iterdir()) == []

    def test_path_through_a_file(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(ValueError, match="goes through a file"):
            export(keras.layers.ReLU(), tmp_path / "file" / "m", "saved_model", input_shape=(4,))

    @pytest.mark.parametrize("backend", ["jax", "torch"])
    def test_other_backends(self, backend, tmp_path, monkeypatch):
        if keras.backend.backend() == "tensorflow":
            monkeypatch.setattr(export_module.keras.backend, "backend", lambda: backend)
        with pytest.raises(ExportError, match="TensorFlow backend.*KERAS_BACKEND=tensorflow"):
            export(keras.layers.ReLU(), tmp_path / "m", "saved_model", input_shape=(4,))


@on_tensorflow
@pytest.mark.parametrize("format", SUFFIXES)
def test_logging_of_the_program_still_works(tmp_path, monkeypatch, format):
    """What logs while an export holds back stderr configures the root logger for good."""
    monkeypatch.setattr(logging.root, "handlers", [])
    library = logging.getLogger("spectral_keras_tests")
    original = export_module._RUNNERS[format]
    levels = {one: one.level for one in export_module._loggers()}
    monkeypatch.setattr(sys, "stdout", None)  # as of a service

    def run(path):
        logging.warning("configures the root logger")
        library.addHandler(logging.StreamHandler())
        return original(path)

    monkeypatch.setitem(export_module._RUNNERS, format, run)
    export(network(), tmp_path / f"network{SUFFIXES[format]}", format)
    (handler,) = library.handlers
    library.removeHandler(handler)
    assert logging.root.handlers == []
    assert {one: one.level for one in levels} == levels
    assert handler.stream is sys.stderr and not handler.stream.closed
