"""GlobalFilter2D: the layers' contract, numpy's FFTs, gradients, other resolutions."""

import keras
import numpy as np
import pytest
from keras import ops

from spectral_keras.layers import FourierMask, GlobalFilter2D
from spectral_keras.ops.resize import spectral_resize
from spectral_keras.ops.transfer import transfer_matrix
from tests.layer_checks import check_layer
from tests.oracles import (
    compiled,
    float64_or_float32,
    gradients,
    random_images,
    to_numpy,
)

WAYS = ["fft", "matmul"]


def _kernel(size, channels, seed=3):
    kernel = random_images((size[0], size[1] // 2 + 1, channels, 2), seed) - 0.5
    return kernel.astype(float64_or_float32())


def _numpy_filter(x, kernel):
    z = np.fft.rfft2(x, axes=(1, 2)) * (kernel[..., 0] + 1j * kernel[..., 1])
    return np.fft.irfft2(z, np.shape(x)[1:3], axes=(1, 2))


def _layer(kernel, size, **options):
    channels = kernel.shape[2]
    layer = GlobalFilter2D(dtype=float64_or_float32(), **options)
    last = layer.data_format == "channels_last"
    layer.build((None, *size, channels) if last else (None, channels, *size))
    layer.set_weights([kernel])
    return layer


def test_contract():
    check_layer(
        GlobalFilter2D,
        {
            "size": 5,
            "kernel_initializer": "random_normal",
            "kernel_regularizer": "l2",
            "implementation": "matmul",
        },
        (2, 6, 5, 3),
        expected_output_shape=(2, 6, 5, 3),
        expected_weights=1,
        dtypes=("mixed_bfloat16", "mixed_float16"),
    )


@pytest.mark.parametrize("implementation", WAYS)
@pytest.mark.parametrize("size", [(6, 8), (5, 7), (1, 2)])
@pytest.mark.parametrize("channels", [3, 12])
def test_equals_numpys_ffts(size, channels, implementation):
    tolerance = 1e-13 if float64_or_float32() == "float64" else 3e-6
    x = random_images((2, *size, channels), dtype=float64_or_float32())
    kernel = _kernel(size, channels)
    expected = _numpy_filter(x, kernel)
    y = compiled(_layer(kernel, size, implementation=implementation))(ops.convert_to_tensor(x))
    np.testing.assert_allclose(to_numpy(y), expected, atol=tolerance)
    layer = _layer(kernel, size, implementation=implementation, data_format="channels_first")
    y = compiled(layer)(ops.convert_to_tensor(np.moveaxis(x, -1, 1)))
    np.testing.assert_allclose(to_numpy(y), np.moveaxis(expected, -1, 1), atol=tolerance)


@pytest.mark.parametrize("implementation", WAYS)
@pytest.mark.parametrize("size", [(4, 6), (5, 3)])
def test_gradients_have_the_closed_form(size, implementation):
    """By x: the filter with the conjugate kernel; by K: multiplicity * conj(F x) F g / N."""
    x, g = random_images((2, 3, *size, 2)) - 0.5
    kernel = _kernel(size, 2).astype("float32")
    layer = GlobalFilter2D(implementation=implementation)
    layer.build(x.shape)

    def loss(x, kernel):
        with keras.StatelessScope(state_mapping=[(layer.kernel, kernel)]):
            return ops.sum(ops.multiply(layer(x), g))

    by_x, by_kernel = gradients(compiled(loss), x, kernel)
    np.testing.assert_allclose(by_x, _numpy_filter(g, kernel * [1, -1]), atol=3e-6)
    spectra = [np.fft.rfft2(t.astype("float64"), axes=(1, 2)) for t in (x, g)]
    expected = (spectra[0].conj() * spectra[1]).sum(0) / np.prod(size)
    expected[:, 1 : (size[1] + 1) // 2] *= 2
    np.testing.assert_allclose(by_kernel[..., 0], expected.real, atol=1e-5)
    np.testing.assert_allclose(by_kernel[..., 1], expected.imag, atol=1e-5)


class TestOtherResolutions:
    @pytest.mark.parametrize("size", [(5, 7), (6, 4), (12, 16), (9, 14), (3, 11)])
    def test_filtering_commutes_with_resizing(self, size):
        """On images that both sizes can hold: below both Nyquist frequencies."""
        tolerance = 1e-13 if float64_or_float32() == "float64" else 5e-6
        layer = _layer(_kernel((9, 10), 3), (9, 10), implementation="matmul")
        x = random_images((2, 9, 10, 3), dtype=float64_or_float32())
        smaller = [min(pair) for pair in zip(size, (9, 10), strict=True)]
        smaller = [n if n % 2 else n - 1 for n in smaller]
        x = spectral_resize(spectral_resize(x, smaller), (9, 10))
        expected = to_numpy(spectral_resize(layer(x), size))
        y = spectral_resize(x, size)
        np.testing.assert_allclose(to_numpy(layer(y)), expected, atol=tolerance)
        resized = layer.resized(size)
        assert resized.kernel.shape[:2] == (size[0], size[1] // 2 + 1)
        np.testing.assert_allclose(to_numpy(resized(y)), expected, atol=tolerance)

    @pytest.mark.parametrize("per_channel", [False, True])
    @pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
    def test_masks(self, per_channel, data_format):
        last = data_format == "channels_last"
        options = {"per_channel": per_channel, "data_format": data_format, "constraint": None}
        layer = FourierMask(initializer="random_uniform", dtype=float64_or_float32(), **options)
        layer.build((None, 9, 10, 3) if last else (None, 3, 9, 10))
        x = random_images((2, 9, 10, 3) if last else (2, 3, 9, 10), dtype=float64_or_float32())
        resize = {"data_format": data_format}
        x = spectral_resize(spectral_resize(x, (5, 7), **resize), (9, 10), **resize)
        for size in ((5, 7), (6, 16)):
            resized = layer.resized(size)
            assert tuple(resized.mask.shape) == (*size, 3) if per_channel else size
            expected = to_numpy(spectral_resize(layer(x), size, **resize))
            y = to_numpy(resized(spectral_resize(x, size, **resize)))
            np.testing.assert_allclose(y, expected, atol=3e-6)
            assert layer.get_config() == resized.get_config()

    def test_the_rule(self):
        """The mean at a new Nyquist bin, the last weight beyond an old one, of the same sign."""
        gains = np.array([0.0, 1, 2, -20, -10])  # of the frequencies 0, 1, 2, -2, -1
        assert (transfer_matrix(5, 4) @ gains).tolist() == [0, 1, -9, -10]
        assert (transfer_matrix(5, 8) @ gains).tolist() == [0, 1, 2, 2, -9, -20, -20, -10]
        gains = np.array([0.0, 1, 5, -10])
        assert (transfer_matrix(4, 5) @ gains).tolist() == [0, 1, 5, 5, -10]
        assert (transfer_matrix(4, 7, half=True) @ gains[:3]).tolist() == [0, 1, 5, 5]
        assert (transfer_matrix(7, 4, half=True) @ gains).tolist() == [0, 1, 5]
        np.testing.assert_array_equal(transfer_matrix(6, 6), np.eye(6))

    @pytest.mark.parametrize("size", range(1, 10))
    @pytest.mark.parametrize("new_size", range(1, 10))
    def test_the_rule_has_no_preferred_direction(self, size, new_size):
        matrix = transfer_matrix(size, new_size)
        mirrored = matrix[-np.arange(new_size) % new_size][:, -np.arange(size) % size]
        np.testing.assert_array_equal(mirrored, matrix)

    @pytest.mark.parametrize("size", [(6, 8), (5, 4), (1, 2)])
    @pytest.mark.parametrize("new_size", [(6, 8), (9, 11), (8, 12), (12, 3), (5, 16)])
    def test_what_did_not_act_does_not_act_elsewhere(self, size, new_size):
        """Of the column of both signs only the Hermitian part acts on real images."""
        kernel = _kernel(size, 2)
        last = kernel[:, -1] @ np.array([1, 1j])[:, None]
        last = (last + last[-np.arange(size[0])].conj()) / 2
        acting = kernel.copy()
        acting[:, -1] = np.concatenate([last.real, last.imag], axis=-1)
        assert np.abs(acting - kernel).max() > 0.01
        both = [_layer(each, size) for each in (kernel, acting)]
        x = ops.convert_to_tensor(random_images((2, *new_size, 2), dtype=float64_or_float32()))
        expected = to_numpy(both[1](x))
        np.testing.assert_allclose(to_numpy(both[0](x)), expected, atol=3e-6)
        for layer in both:
            np.testing.assert_allclose(to_numpy(layer.resized(new_size)(x)), expected, atol=3e-6)

    @pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="sizes in the graph")
    @pytest.mark.parametrize("new_size", [(5, 4), (8, 12), (9, 3)])
    def test_sizes_in_the_graph(self, new_size):
        import tensorflow as tf

        layer = _layer(_kernel((5, 6), 2), (5, 6))
        x = random_images((2, *new_size, 2), dtype="float64")
        spec = tf.TensorSpec((None, None, None, 2), "float64")
        y = tf.function(layer, autograph=False, input_signature=[spec])(x)
        np.testing.assert_allclose(y, layer(x), atol=1e-13)


@pytest.mark.parametrize("shape", [(8, 8), (None, 8, 3), (8, 8, None)])
def test_unsuitable_inputs_are_errors(shape):
    with pytest.raises(ValueError, match="rank 4|known height|number of channels"):
        GlobalFilter2D().build((None, *shape))
