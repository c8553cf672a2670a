"""FFTs against numpy.fft, their gradients against adjoints and finite differences."""

import functools
import logging

import keras
import numpy as np
import pytest
from keras import ops

from spectral_keras.ops import fft
from tests.oracles import (
    finite_differences,
    float64_or_float32,
    gradients,
    input_gradient,
    random_images,
    to_numpy,
)

SIZES = [(4, 6), (5, 7), (6, 5), (1, 2), (3, 1)]


def _complex(shape, seed=0):
    real, imag = np.random.default_rng(seed).standard_normal((2, *shape))
    return (real + 1j * imag).astype("complex64")


def _as_complex(parts):
    """A native complex tensor from a real one whose first axis is (real, imag)."""
    real, imag = ops.cast(parts[0], "complex64"), ops.cast(parts[1], "complex64")
    return real + 1j * imag


class TestValues:
    @pytest.mark.parametrize(
        ("size", "norm"),
        [(size, "backward") for size in SIZES] + [((4, 6), "ortho"), ((5, 7), "forward")],
    )
    def test_all_transforms_equal_numpys(self, size, norm):
        x = random_images((2, *size))
        z = _complex((2, *size))
        half = _complex((2, size[0], size[1] // 2 + 1))
        close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=2e-5)
        close(to_numpy(fft.fft2_last(x, norm=norm)), np.fft.fft2(x, norm=norm))
        close(to_numpy(fft.fft2_last(z, norm=norm)), np.fft.fft2(z, norm=norm))
        close(to_numpy(fft.ifft2_last(z, norm=norm)), np.fft.ifft2(z, norm=norm))
        close(to_numpy(fft.rfft2_last(x, norm=norm)), np.fft.rfft2(x, norm=norm))
        # Any half spectrum, also one that no real image has.
        close(
            to_numpy(fft.irfft2_last(half, size[1], norm=norm)),
            np.fft.irfft2(half, size, norm=norm),
        )

    @pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
    def test_images_are_transformed_over_height_and_width(self, data_format):
        keras.config.set_image_data_format(data_format)
        axes = (1, 2) if data_format == "channels_last" else (2, 3)
        x = random_images((2, 4, 6, 5))
        z = np.fft.fft2(x, axes=axes)
        half = np.fft.rfft2(x, axes=axes)
        width = x.shape[axes[1]]
        close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=2e-5)
        close(to_numpy(fft.fft2(x)), z)
        close(to_numpy(fft.ifft2(z)), x.astype("complex128"))
        close(to_numpy(fft.rfft2(x)), half)
        close(to_numpy(fft.irfft2(half, width)), x)
        close(to_numpy(fft.irfft2(half, width, assume_hermitian=True)), x)
        other = {"channels_last": "channels_first", "channels_first": "channels_last"}
        axes = (2, 3) if data_format == "channels_last" else (1, 2)
        explicit = fft.rfft2(x, data_format=other[data_format])
        close(to_numpy(explicit), np.fft.rfft2(x, axes=axes))

    @pytest.mark.parametrize("size", [(5, 6), (8, 7)])
    def test_shift_of_the_last_axes(self, size):
        x = random_images((2, 3, *size))
        shifted = to_numpy(fft.fftshift2_last(x))
        np.testing.assert_array_equal(shifted, np.fft.fftshift(x, axes=(2, 3)))

    def test_padding(self):
        x = random_images((2, 4, 5))
        np.testing.assert_allclose(
            to_numpy(fft.rfft2_last(x, fft_length=(6, 8))), np.fft.rfft2(x, (6, 8)), atol=1e-5
        )
        np.testing.assert_allclose(
            to_numpy(fft.rfft2_last(x, fft_length=5, norm="ortho")),
            np.fft.rfft2(x, (5, 5), norm="ortho"),
            atol=1e-5,
        )

    @pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int32"])
    def test_low_precision_is_computed_in_float32(self, dtype):
        x = ops.cast(random_images((1, 4, 4, 2)) * 8, dtype)
        z = fft.rfft2(x)
        assert keras.backend.standardize_dtype(z.dtype) == "complex64"
        back = fft.irfft2(z, 4)
        assert keras.backend.standardize_dtype(back.dtype) == "float32"
        np.testing.assert_allclose(to_numpy(back), to_numpy(x), atol=1e-5)

    def test_float64(self):
        if float64_or_float32() != "float64":
            pytest.skip("JAX has no float64 unless x64 is enabled")
        x = random_images((2, 6, 5, 2), dtype="float64")
        z = fft.rfft2(x)
        assert keras.backend.standardize_dtype(z.dtype) == "complex128"
        np.testing.assert_allclose(to_numpy(z), np.fft.rfft2(x, axes=(1, 2)), atol=1e-13)
        np.testing.assert_allclose(to_numpy(fft.irfft2(z, 5)), x, atol=1e-14)
        np.testing.assert_allclose(
            to_numpy(fft.ifft2(fft.fft2(x))), x.astype("complex128"), atol=1e-14
        )


class TestGradients:
    """Every map here is linear: the central difference of any step is exact up to rounding."""

    @pytest.mark.parametrize("size", [(4, 4), (3, 3), (3, 2)])
    def test_irfft2_of_spectra_of_no_image(self, size):
        shape = (2, size[0], size[1] // 2 + 1)
        probe = random_images(size, seed=1)

        def loss(parts):
            return ops.sum(ops.multiply(fft.irfft2_last(_as_complex(parts), size[1]), probe))

        parts = random_images(shape) - 0.5
        expected = finite_differences(loss, parts, eps=0.5)
        np.testing.assert_allclose(input_gradient(loss, parts), expected, atol=2e-5)
        # And with numpy's transform in its place.
        reference = finite_differences(
            lambda p: np.sum(np.fft.irfft2(p[0] + 1j * p[1], size) * probe), parts, eps=0.5
        )
        np.testing.assert_allclose(expected, reference, atol=2e-5)

    @pytest.mark.parametrize("size", [(4, 3), (3, 4)])
    def test_rfft2_and_fft2(self, size):
        x = random_images(size) - 0.5
        for transform, columns in ((fft.rfft2_last, size[1] // 2 + 1), (fft.fft2_last, size[1])):
            probe = random_images((2, size[0], columns), seed=1)

            def loss(x, transform=transform, probe=probe):
                z = transform(x, norm="ortho")
                return ops.sum(
                    ops.multiply(ops.real(z), probe[0]) + ops.multiply(ops.imag(z), probe[1])
                )

            expected = finite_differences(loss, x, eps=0.5)
            np.testing.assert_allclose(input_gradient(loss, x), expected, atol=2e-5)

    @pytest.mark.parametrize("size", [(6, 8), (5, 7)])
    def test_filtering_is_its_own_adjoint(self, size):
        # <M x, g> = <x, M g> for a real and even factor: the gradient filters the probe.
        mask = np.random.default_rng(0).random(size)
        mask = (mask + np.roll(np.flip(mask), 1, (0, 1))) / 2
        half = mask[:, : size[1] // 2 + 1].astype("complex64")
        x, probe = random_images((2, 3, *size))
        for assume_hermitian in (False, True):

            def loss(x, assume_hermitian=assume_hermitian):
                z = ops.multiply(fft.rfft2_last(x), half)
                y = fft.irfft2_last(z, size[1], assume_hermitian=assume_hermitian)
                return ops.sum(ops.multiply(y, probe))

            expected = np.fft.ifft2(mask * np.fft.fft2(probe)).real
            np.testing.assert_allclose(input_gradient(loss, x), expected, atol=1e-5)

    def test_padding_crops_the_gradient(self):
        x = random_images((2, 3)) - 0.5
        other = random_images((2, 3), seed=1) - 0.5

        def loss(x, other):
            z = fft.rfft2_last(x, fft_length=(3, 5)) * fft.rfft2_last(other, fft_length=(3, 5))
            return ops.sum(ops.square(fft.irfft2_last(z, 5)))

        for i, actual in enumerate(gradients(loss, x, other)):
            pair = [x, other]

            def one(value, i=i, pair=pair):
                return loss(*[value if j == i else pair[j] for j in range(2)])

            np.testing.assert_allclose(actual, finite_differences(one, pair[i], 0.1), atol=2e-4)

    def test_second_order(self):
        # loss = |R x|^2 with the unitary pair is quadratic; its Hessian is known from a product.
        x = random_images((2, 3))
        direction = random_images((2, 3), seed=1)

        def slope(x):
            z = fft.rfft2_last(x, norm="ortho")
            y = fft.irfft2_last(ops.multiply(z, z), 3, norm="ortho")
            return ops.sum(ops.multiply(y, direction))

        def gradient_norm(x):
            if keras.backend.backend() == "tensorflow":
                import tensorflow as tf

                with tf.GradientTape() as tape:
                    tape.watch(x)
                    value = slope(x)
                gradient = tape.gradient(value, x)
            elif keras.backend.backend() == "jax":
                import jax

                gradient = jax.grad(slope)(x)
            else:
                import torch

                x = ops.convert_to_tensor(x)
                with torch.enable_grad():
                    x = x if x.requires_grad else x.detach().requires_grad_(True)
                    gradient = torch.autograd.grad(slope(x), x, create_graph=True)[0]
            return ops.sum(ops.square(gradient))

        def numeric(x):
            return gradient_norm(ops.convert_to_tensor(x))

        expected = finite_differences(numeric, x, eps=0.25)
        np.testing.assert_allclose(input_gradient(gradient_norm, x), expected, atol=1e-4)


class TestGraphs:
    def test_symbolic_batch_and_compiled_gradient(self):
        """A functional model with unknown batch size, trained by a compiled step."""

        class Smooth(keras.layers.Layer):
            def build(self, input_shape):
                self.gain = self.add_weight(shape=(5, 3, 1), initializer="ones")

            def call(self, x):
                z = fft.rfft2(x)
                z = ops.multiply(z, ops.cast(self.gain, z.dtype))
                return fft.irfft2(z, 4)

        inputs = keras.Input((5, 4, 2))
        layer = Smooth()
        outputs = layer(inputs)
        assert tuple(outputs.shape) == (None, 5, 4, 2)
        x = random_images((3, 5, 4, 2))
        results = []
        for jit_compile in {"tensorflow": (False, True), "jax": (True,)}.get(
            keras.backend.backend(), (False,)
        ):
            layer.gain.assign(np.ones((5, 3, 1)))
            model = keras.Model(inputs, outputs)
            model.compile(optimizer=keras.optimizers.SGD(1.0), loss="mse", jit_compile=jit_compile)
            model.fit(x, 0 * x, epochs=1, verbose=0)
            results.append(to_numpy(layer.gain))
        # loss = mean(x^2) = sum of gain^2 * energy at gain 1; column 1 stands for column 3 as well.
        energy = (np.abs(np.fft.rfft2(x, axes=(1, 2), norm="ortho")) ** 2).sum((0, 3))
        expected = 1 - 2 * (energy * [1, 2, 1])[..., None] / x.size
        for result in results:
            np.testing.assert_allclose(result, expected, atol=1e-5)

    def test_static_shapes_on_tensorflow(self):
        if keras.backend.backend() != "tensorflow":
            pytest.skip("only TensorFlow's graphs have unknown sizes")
        import tensorflow as tf

        shapes = {}

        @tf.function(input_signature=[tf.TensorSpec((None, 6, 5, 3))])
        def run(x):
            z = fft.rfft2(x)
            shapes["rfft2"] = tuple(z.shape)
            shapes["irfft2"] = tuple(fft.irfft2(z, 5).shape)
            shapes["fft2"] = tuple(fft.fft2(x).shape)
            return fft.irfft2(z, 5)

        x = random_images((2, 6, 5, 3))
        np.testing.assert_allclose(run(x).numpy(), x, atol=1e-6)
        assert shapes == {
            "rfft2": (None, 6, 3, 3),
            "irfft2": (None, 6, 5, 3),
            "fft2": (None, 6, 5, 3),
        }

    def test_gradient_of_a_loaded_saved_model(self, tmp_path):
        if keras.backend.backend() != "tensorflow":
            pytest.skip("SavedModel is a TensorFlow format")
        import tensorflow as tf

        module = tf.Module()
        module.run = tf.function(
            lambda x: fft.irfft2(fft.rfft2(x) * 2.0, 4),
            input_signature=[tf.TensorSpec((None, 4, 4, 1))],
        )
        tf.saved_model.save(module, str(tmp_path))
        loaded = tf.saved_model.load(str(tmp_path))
        x = tf.constant(random_images((3, 4, 4, 1)))
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = loaded.run(x)
        np.testing.assert_allclose(y.numpy(), 2 * x.numpy(), atol=1e-6)
        np.testing.assert_allclose(tape.gradient(y, x).numpy(), 2.0, atol=1e-6)


class TestErrors:
    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda x: fft.fft2(x, norm="unitary"), "norm='unitary'"),
            (lambda x: fft.rfft2(x, data_format="NHWC"), "data_format='NHWC'"),
            (lambda x: fft.fft2(x[0]), "rank 4"),
            (lambda x: fft.rfft2_last(x, fft_length=(3, 9)), r"fft_length=\(3, 9\)"),
            (lambda x: fft.irfft2(fft.rfft2(x), 7), "width=7"),
            (lambda x: fft.irfft2(fft.rfft2(x), 4.5), "width=4.5"),
            (lambda x: fft.rfft2(fft.fft2(x)), "`x` must be real"),
            (lambda x: fft.fft2_last(x[0, 0, 0]), "two axes"),
        ],
    )
    def test_bad_arguments(self, call, message):
        with pytest.raises(ValueError, match=message):
            call(random_images((2, 4, 5, 3)))


def test_a_gradient_through_a_real_image_warns_nothing(monkeypatch, caplog):
    """TensorFlow's gradient of a cast to complex numbers says that it discards a part."""
    monkeypatch.setattr(logging.getLogger("tensorflow"), "propagate", True)
    found = input_gradient(
        lambda x: ops.sum(ops.real(fft.fft2_last(x))), random_images((1, 4, 6), seed=3)
    )
    assert found.shape == (1, 4, 6) and not caplog.messages
