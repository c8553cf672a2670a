import keras
import numpy as np
import pytest

from spectral_keras import precision
from spectral_keras.layers import ChannelGate
from spectral_keras.ops import processor
from spectral_keras.precision import in_float32
from tests.oracles import to_numpy

BACKEND = keras.backend.backend()
CORE = "processor\t: {}\nvendor_id\t: {}\nflags\t\t: fpu sse2 {}\n\n"
AMD, INTEL = "AuthenticAMD", "GenuineIntel"


def _processors(monkeypatch, tmp_path, *kinds, vendor=AMD):
    path = tmp_path / "cpuinfo"
    path.write_text("".join(CORE.format(i, vendor, kind) for i, kind in enumerate(kinds)))
    monkeypatch.setattr(processor, "_PROCESSORS", path)
    monkeypatch.setattr(precision, "_accelerators", lambda _: [])
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)


@pytest.mark.parametrize(
    ("vendor", "kinds", "fast"),
    [
        (AMD, ("avx512f avx512_bf16", "avx512f avx512_bf16"), True),
        (INTEL, ("avx512f avx512_bf16 amx_bf16 amx_tile",), True),
        (INTEL, ("avx512f avx512_bf16 avx512_fp16",), False),
        (AMD, ("avx512f avx512_bf16", "avx512f"), False),
        (AMD, ("avx512f avx512_vnni",), False),
        (AMD, (), None),
    ],
)
def test_processors(monkeypatch, tmp_path, vendor, kinds, fast):
    _processors(monkeypatch, tmp_path, *kinds, vendor=vendor)
    fast = fast and BACKEND != "jax"
    assert processor.multiplies_bfloat16() is fast
    assert precision.fastest_precision() == ("bfloat16" if fast else "float32")


def test_no_word_about_the_processor(monkeypatch, tmp_path):
    _processors(monkeypatch, tmp_path)
    monkeypatch.setattr(processor, "_PROCESSORS", tmp_path / "none")
    assert precision.fastest_precision() == "float32"


@pytest.mark.skipif(BACKEND != "tensorflow", reason="a switch of TensorFlow")
def test_tensorflow_without_the_kernels(monkeypatch, tmp_path):
    _processors(monkeypatch, tmp_path, "avx512_bf16", "avx512_bf16")
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    assert precision.fastest_precision() == "float32"


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ([(9, 0)], "bfloat16"),
        ([(8, 0), (8, 6)], "bfloat16"),
        ([(9, 0), (7, 5)], "float16"),
        ([(6, 1)], "float32"),
        ([(0, 0)], "float32"),
    ],
)
def test_gpus(monkeypatch, capabilities, expected):
    monkeypatch.setattr(precision, "_accelerators", lambda _: capabilities)
    assert precision.fastest_precision() == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("8.0", (8, 0)), ("12.1", (12, 1)), ("", (0, 0)), ("gfx90a", (0, 0))]
)
def test_capability_of_jax(text, expected):
    device = type("Device", (), {"compute_capability": text})
    assert precision._capability(device) == expected


# Keras says which layers it left as they are.
@pytest.mark.filterwarnings("ignore:.*quantiz")
@pytest.mark.parametrize("mode", ["int8", "int4"])
def test_a_quantized_model_in_float32(mode):
    inputs = keras.Input((4, 4, 3), dtype="float32")
    gate = ChannelGate(6, dtype="mixed_bfloat16")
    outputs = keras.layers.Dense(4, dtype="mixed_bfloat16")(keras.layers.Flatten()(gate(inputs)))
    model = keras.Model(inputs, outputs)
    model.quantize(mode)
    copy = in_float32(model)
    policy = copy.layers[-1].dtype_policy
    assert policy.quantization_mode == mode and policy.compute_dtype == "float32"
    assert copy.layers[1].squeeze.dtype_policy.compute_dtype == "float32"
    x = np.random.default_rng(0).random((3, 4, 4, 3), np.float32)
    np.testing.assert_allclose(to_numpy(copy(x)), to_numpy(model(x)), atol=0.05)
