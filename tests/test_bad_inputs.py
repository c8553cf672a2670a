"""Bad arguments of public functions and layers: a ValueError that names what came, in one line."""

import keras
import numpy as np
import pytest

from spectral_keras import (
    attacks,
    classifiers,
    corruptions,
    evaluation,
    layers,
    models,
    ops,
    training,
)
from spectral_keras.analysis import (
    embed,
    frequency_response,
    point_perturbation,
    radial_bands,
)
from spectral_keras.analysis.masks import learn_masks
from spectral_keras.attacks import fgsm, pgd
from spectral_keras.augmentation.image import build_augmentation
from spectral_keras.data import Batches, load, load_corrupted, planted
from spectral_keras.export import export
from spectral_keras.models import registry
from spectral_keras.training.schedules import learning_rate_schedule

NAN, INFINITE = float("nan"), float("inf")
X = np.full((2, 8, 8, 3), 0.5, np.float32)
Y = np.array([0, 1])
BYTES = np.full((2, 8, 8, 3), 128, np.uint8)


linear = keras.Sequential(
    [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(3)], name="linear"
)

convolution = keras.Sequential(
    [keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3, name="conv"), keras.layers.Dense(3)]
)

# Function, positional arguments, keyword arguments, what the message names, what it shows.
LAYERS = [
    (layers.SpectralPool, (), {}, "output_size", "None"),
    (layers.SpectralPool, (4,), {"scale": 0.5}, "scale", "0.5"),
    (layers.SpectralPool, (0,), {}, "output_size", "0"),
    (layers.SpectralPool, ((4, 4, 4),), {}, "output_size", "(4, 4, 4)"),
    (layers.SpectralPool, (4.5,), {}, "output_size", "4.5"),
    (layers.SpectralPool, (True,), {}, "output_size", "True"),
    (layers.SpectralPool, (), {"scale": 0}, "scale", "0"),
    (layers.SpectralPool, (), {"scale": 1.5}, "scale", "1.5"),
    (layers.SpectralPool, (), {"scale": NAN}, "scale", "nan"),
    (layers.SpectralPool, (), {"scale": "half"}, "scale", "'half'"),
    (layers.SpectralPool, (4,), {"nyquist": "keep"}, "nyquist", "'keep'"),
    (layers.SpectralPool, (4,), {"norm": "max"}, "norm", "'max'"),
    (layers.SpectralPool, (4,), {"implementation": "cuda"}, "implementation", "'cuda'"),
    (layers.SpectralPool, (4,), {"data_format": "nhwc"}, "data_format", "'nhwc'"),
    (layers.SpectralPool, (4,), {"frequency_dropout": 2}, "frequency_dropout", "2"),
    (layers.SpectralPool, (4,), {"window": "hann"}, "window", "'hann'"),
    (layers.GlobalFilter2D, (), {"size": 0}, "size", "0"),
    (layers.SpectralMixing2D, (4, 0), {}, "modes", "0"),
    (layers.FFT2D, (), {"norm": "mean"}, "norm", "'mean'"),
    (layers.InverseFFT2D, (), {"real": 1}, "real", "1"),
    (layers.DiffStride, (0.5,), {}, "strides", "0.5"),
    (layers.DiffStride, (2.0,), {"smoothness": NAN}, "smoothness", "nan"),
    (layers.SpectralConv2D, (4, 3), {"parametrization": "half"}, "parametrization", "'half'"),
    (layers.FrequencyDropout, (-0.1,), {}, "min_fraction", "-0.1"),
    (layers.FrequencyDropout, (1.5,), {}, "min_fraction", "1.5"),
    (layers.FrequencyDropout, (0.5,), {"per_sample": 1}, "per_sample", "1"),
    (layers.FourierMask, (), {"per_channel": "yes"}, "per_channel", "'yes'"),
    (layers.FourierMask, (), {"data_format": "nchw"}, "data_format", "'nchw'"),
    (layers.PowerSuppression, (1.5,), {}, "probability", "1.5"),
    (layers.DiffStride, (), {"output_size": np.array([4, 4])}, "output_size", "shape (2,)"),
    (layers.SpectralPool, (4,), {"window": np.ones(9)}, "window", "shape (9,)"),
    (layers.PowerSuppression, (NAN,), {}, "probability", "nan"),
    (layers.FrequencyNoise, (-1.0,), {}, "sigma", "-1.0"),
    (layers.FrequencyNoise, (INFINITE,), {}, "sigma", "inf"),
    (layers.FrequencyNoise, (1.0,), {"probability": 2}, "probability", "2"),
]
OPS = [
    (ops.spectral_resize, (X, 0), {}, "size", "0"),
    (ops.spectral_resize, (X, (4, 4, 4)), {}, "size", "(4, 4, 4)"),
    (ops.spectral_resize, (X, 4), {"nyquist": "keep"}, "nyquist", "'keep'"),
    (ops.spectral_resize, (X, 4), {"norm": "max"}, "norm", "'max'"),
    (ops.signed_frequencies, (0,), {}, "n", "0"),
    (ops.signed_frequencies, (4.5,), {}, "n", "4.5"),
    (ops.dft_matrices, (0,), {}, "n", "0"),
    (ops.radial_band, (8, 8, -1), {}, "low", "-1"),
    (ops.radial_band, (8, 0, 2), {}, "size", "0"),
    (ops.radial_band, (8, 8, 3, 1), {}, "high", "1"),
    (ops.frequency_dropout_floor, (1, 0, 0.3, 0.1), {}, "num_layers", "0"),
    (ops.frequency_dropout_floor, (1, 2, 2.0, 0.1), {}, "alpha", "2.0"),
    (ops.resampling_matrix, (0, 2), {}, "n", "0"),
]
ATTACKS = [
    (fgsm, (linear, X, Y, -0.1), {}, "eps", "-0.1"),
    (fgsm, (linear, X, Y, NAN), {}, "eps", "nan"),
    (fgsm, (linear, X, Y, "8/255"), {}, "eps", "'8/255'"),
    (fgsm, (linear, X, Y[:1], 0.1), {}, "y", "(1,)"),
    (fgsm, (linear, X, Y, 0.1), {"norm": "l1"}, "norm", "'l1'"),
    (fgsm, (linear, X, Y, 0.1), {"clip": (1, 0)}, "clip", "(1, 0)"),
    (pgd, (linear, X, Y, 0.1, 0.01, 0), {}, "steps", "0"),
    (pgd, (linear, X, Y, 0.1, -0.01, 3), {}, "step_size", "-0.01"),
    (pgd, (linear, X, Y, 0.1, 0.01, 3), {"restarts": 0}, "restarts", "0"),
    (classifiers.predict_classes, (linear, X), {"batch_size": 0}, "batch_size", "0"),
]
OTHERS = [
    (corruptions.corrupt, (BYTES, "fgo", 1), {}, "name", "'fgo'"),
    (corruptions.corrupt, (BYTES, "fog", 0), {}, "severity", "0"),
    (corruptions.corrupt, (BYTES, "fog", 2.5), {}, "severity", "2.5"),
    (corruptions.corrupt, (BYTES, "fog", 1), {"seed": -1}, "seed", "-1"),
    (corruptions.corrupt, (BYTES, "fog", 1), {"table": "mnist"}, "table", "'mnist'"),
    (corruptions.corrupt, (X, "fog", 1), {}, "images", "float32"),
    (corruptions.names, ("most",), {}, "group", "'most'"),
    (evaluation.wilson_interval, (3, 2), {}, "successes", "3"),
    (evaluation.wilson_interval, (-1, 2), {}, "successes", "-1"),
    (Batches, (X[0], Y, 2), {}, "images", "(8, 8, 3)"),
    (Batches, (X, Y[:1], 2), {}, "labels", "(1,)"),
    (Batches, (X, Y, 0), {}, "batch_size", "0"),
    (Batches, (X, Y, 2), {"seed": -1}, "seed", "-1"),
    (Batches, (X, Y, 2), {"shuffle": "yes"}, "shuffle", "'yes'"),
    (Batches, (X, Y, 2), {"augment": 3}, "augment", "3"),
    (Batches, (X, Y, 2), {"workers": -1}, "workers", "-1"),
    (Batches, (X, Y, 3), {"drop_remainder": True}, "images", "2 images"),
    (Batches, (X.astype("int64"), Y, 2), {}, "images", "int64"),
    (load, (3,), {}, "data set", "3"),
    (load, ("",), {}, "data set", "''"),
    (load, ("digits",), {"limit": 0}, "limit", "0"),
    (load, ("digits",), {"limit": True}, "limit", "True"),
    (load, ("digits",), {"limit_test": 1.5}, "limit_test", "1.5"),
    (load, ("digits",), {"validation_fraction": 1}, "validation_fraction", "1"),
    (load, ("digits",), {"validation_fraction": "0.1"}, "validation_fraction", "'0.1'"),
    (load, ("digits",), {"seed": -1}, "seed", "-1"),
    (load, ("digits",), {"image_size": (8,)}, "image_size", "(8,)"),
    (load, ("digits",), {"grayscale": 1}, "grayscale", "1"),
    (load, ("digits",), {"data_dir": 3}, "data_dir", "3"),
    (load_corrupted, (3,), {}, "source", "3"),
    (load_corrupted, ("no/folder",), {}, "no/folder", "no such"),
    (load_corrupted, ("tfds",), {"limit": 0}, "limit", "0"),
    (build_augmentation, ("spin",), {}, "name", "'spin'"),
    (build_augmentation, ("",), {}, "name", "''"),
    (learning_rate_schedule, ("linear", 0.1, 3, 5), {}, "schedule", "'linear'"),
    (learning_rate_schedule, ("cosine", 0.1, 0, 5), {}, "epochs", "0"),
    (registry.build, ("resnet9000",), {}, "name", "'resnet9000'"),
    (registry.build, ("generic_cnn",), {"gama": 1}, "gama", "gama=1"),
    (registry.build, ("generic_cnn", (32, 32)), {}, "input_shape", "(32, 32)"),
    (registry.build, ("generic_cnn", (32, 0, 3)), {}, "input_shape", "0"),
    (registry.build, ("generic_cnn", (32, 32, 3), 1), {}, "num_classes", "1"),
    (registry.recipe, (3,), {}, "name", "3"),
    (training.AdversarialExamples, ("cw",), {}, "attack", "'cw'"),
    (attacks.Attack, ("cw", 0.1), {}, "name", "'cw'"),
    (attacks.Attack, ("fgsm", -1), {}, "eps", "-1"),
    (training.AdversarialExamples, (), {"share": 2}, "share", "2"),
    (training.FourierTarget, ("square",), {}, "magnitude", "'square'"),
    (radial_bands, (0, 3), {}, "size", "0"),
    (point_perturbation, (8, (9, 0)), {}, "frequencies", "(2,)"),
]
# An array where a name is expected: its shape is named, its numbers are not.
ARRAY = np.arange(6.0).reshape(2, 3)
KERNEL = np.ones((3, 3, 3, 2), np.float32)
TABLE_OF_ERRORS = {"corruptions": {"fog": [{"severity": 1, "accuracy": 0.5}]}}
POSITIONS = [
    (load, "name"),
    (load_corrupted, "source"),
    (build_augmentation, "name"),
    (corruptions.names, "group"),
    (planted.load_planted, "variant"),
    (models.from_preset, "name_or_folder"),
    (registry.build, "name"),
    (registry.factory, "name"),
    (registry.options, "name"),
    (registry.recipe, "name"),
    (training.AdversarialExamples, "attack"),
]
KEYWORDS = [
    *((load, ("digits",), name) for name in ("data_dir", "stream", "limit", "image_size")),
    (load_corrupted, ("tfds",), "data_dir"),
    (planted.planted_images, (3,), "variant"),
    (corruptions.corrupt, (BYTES, "fog", 1), "table"),
    (attacks.Attack, ("fgsm", 0.1), "norm"),
    (attacks.Attack, ("pgd", 0.1), "loss"),
    (fgsm, (linear, X, Y, 0.1), "norm"),
    (evaluation.accuracy_under_attack, (linear, X, Y), "labels"),
    (evaluation.accuracy_under_corruption, (linear, BYTES, Y, "fog"), "table"),
    (embed, (X,), "method"),
    (learn_masks, (linear, X), "schedule"),
    (learn_masks, (linear, X), "keep"),
    (learn_masks, (linear, X), "checkpoint"),
    (learn_masks, (linear, X), "modulate"),
    (export, (linear, "model.onnx"), "format"),
    *((layers.SpectralPool, (4,), name) for name in ("nyquist", "norm", "window")),
    (layers.DiffStride, (), "output_size"),
    (layers.FourierMask, (), "constraint"),
    (layers.FourierMask, (), "regularizer"),
    (layers.GlobalFilter2D, (), "kernel_constraint"),
    (layers.SpectralMixing2D, (4, 2), "kernel_regularizer"),
    (layers.ChannelGate, (), "gap_activation"),
    *(
        (layer, given, name)
        for layer, given in (
            (layers.SpectralConv2D, (4, 3)),
            (layers.FFTConv2D, (4, 3)),
            (layers.FFTConvPool2D, (4, 3, 4)),
        )
        for name in ("data_format", "activation", "kernel_regularizer", "bias_constraint")
    ),
    (layers.SpectralConv2D, (4, 3), "padding"),
    (layers.FFTConv2D, (4, 3), "padding"),
    *((getattr(ops, name), (X,), "norm") for name in ("fft2", "rfft2")),
    (ops.ifft2, ((X, X),), "norm"),
    (ops.irfft2, ((X, X), 8), "norm"),
    (ops.dft_matrices, (4,), "norm"),
    (ops.resampling_matrix, (4, 2), "nyquist"),
    (ops.resampling_matrix, (4, 2), "norm"),
    (ops.kernel_spectrum, (KERNEL,), "parametrization"),
    (ops.kernel_from_spectrum, (KERNEL, None, (3, 3)), "parametrization"),
    (training.AuxiliaryModel, (linear,), "tap"),
    (training.GateRule, ("011",), "gate"),
    (training.GateRule, ("011",), "normalizer"),
    (training.FourierTarget, (), "magnitude"),
    (training.build_decoder, ((4, 4, 8), (8, 8, 3)), "final_activation"),
    (training.build_decoder, ((4, 4, 8), (8, 8, 3)), "name"),
    (training.insert_channel_gate, (convolution,), "after"),
    (training.insert_channel_gate, (convolution,), "name"),
    *(
        (registry.build, (network,), option)
        for network in registry.names()
        for option, (_, default) in registry.options(network).items()
        if isinstance(default, str)
    ),
]
ARRAYS = [
    *(
        (function, (ARRAY,), {}, "data set" if function is load else name, "shape (2, 3)")
        for function, name in POSITIONS
    ),
    *((function, given, {name: ARRAY}, name, "shape (2, 3)") for function, given, name in KEYWORDS),
    (attacks.Attack, (ARRAY, 0.1), {}, "name", "shape (2, 3)"),
    (corruptions.corrupt, (BYTES, ARRAY, 1), {}, "name", "shape (2, 3)"),
    (learning_rate_schedule, (ARRAY, 0.1, 3, 5), {}, "schedule", "shape (2, 3)"),
    (frequency_response, (linear, ARRAY), {}, "layer", "shape (2, 3)"),
    (export, (linear, ARRAY, "onnx"), {}, "path", "shape (2, 3)"),
    (build_augmentation, (["flip", ARRAY],), {}, "name", "shape (2, 3)"),
    (evaluation.mean_accuracy, (TABLE_OF_ERRORS, [ARRAY]), {}, "names", "shape (2, 3)"),
    (evaluation.accuracy_under_attack, (linear, X, Y, [ARRAY]), {}, "attack", "shape (2, 3)"),
    (evaluation.accuracy_under_corruption, (linear, BYTES, Y, [ARRAY]), {}, "name", "shape (2, 3)"),
    (evaluation.combine, ([ARRAY],), {}, "verdicts", "shape (2, 3)"),
]
TABLE = [*LAYERS, *OPS, *ATTACKS, *OTHERS, *ARRAYS]


def _name(row):
    return getattr(row, "__name__", None)


@pytest.mark.parametrize(("function", "given", "options", "name", "received"), TABLE, ids=_name)
def test_one_line_that_names_it(tmp_path, monkeypatch, function, given, options, name, received):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError) as caught:
        function(*given, **options)
    message = str(caught.value)
    assert name in message and received in message
    assert "\n" not in message.strip() and "[0." not in message
    assert not list(tmp_path.iterdir())
