import keras
import numpy as np
import pytest
import scipy.signal

from spectral_keras.layers.frequency_dropout import FrequencyDropout
from spectral_keras.layers.spectral_pool import SpectralPool
from spectral_keras.ops.frequency_dropout import frequency_dropout
from spectral_keras.ops.plain_crop import CROP_RULES
from spectral_keras.ops.resize import NORMS, NYQUIST_RULES, resampling_matrix, spectral_resize
from spectral_keras.windows import Ramp, hamming
from tests.layer_checks import check_layer
from tests.oracles import (
    float64_or_float32,
    input_gradient,
    numpy_lowpass,
    numpy_mask,
    numpy_plain_crop,
    numpy_spectral_pool,
    random_images,
    signed_frequency,
    to_numpy,
)


def _pool(x, *args, **kwargs):
    """The layer in the highest precision, on numpy arrays."""
    layer = SpectralPool(*args, dtype=float64_or_float32(), **kwargs)
    return to_numpy(layer(keras.ops.convert_to_tensor(x, dtype=float64_or_float32())))


def _tolerance(scale=1.0):
    return scale * (1e-12 if float64_or_float32() == "float64" else 3e-6)


class TestContract:
    def test_default(self):
        check_layer(
            SpectralPool,
            {"output_size": 4, "data_format": "channels_last"},
            (3, 8, 7, 2),
            expected_output_shape=(3, 4, 4, 2),
            expected_weights=0,
            dtypes=("float32", "float64", "mixed_bfloat16", "mixed_float16"),
        )

    def test_every_option(self):
        check_layer(
            SpectralPool,
            {
                "scale": 0.7,
                "nyquist": "isometric",
                "norm": "ortho",
                "implementation": "fft",
                "data_format": "channels_first",
                "frequency_dropout": 0.3,
                "per_sample": True,
                "seed": 11,
            },
            (3, 2, 10, 6),
            expected_output_shape=(3, 2, 7, 4),
            expected_weights=0,
            expected_seed_generators=1,
            dtypes=("mixed_bfloat16",),
        )

    def test_fused_dropout_compiles(self):
        check_layer(
            SpectralPool,
            {"output_size": (5, 4), "frequency_dropout": 0.3, "per_sample": True, "seed": 11},
            (3, 8, 8, 5),
            expected_output_shape=(3, 5, 4, 5),
            expected_weights=0,
            expected_seed_generators=1,
            dtypes=(),
        )

    def test_windows(self):
        check_layer(
            SpectralPool,
            {"output_size": (6, 4), "window": ["hamming", Ramp(2.0, 1.5)], "nyquist": "crop"},
            (3, 10, 7, 2),
            expected_output_shape=(3, 6, 4, 2),
            expected_weights=0,
            supports_jit=False,
            dtypes=("mixed_bfloat16", "mixed_float16"),
        )

    def test_size_follows_the_scale(self):
        for scale, size, expected in [
            (0.85, 20, 17),
            (0.7, 10, 7),
            (0.29, 100, 29),
            (0.85, 32, 27),
            (0.5, 1, 1),
            (0.01, 8, 1),
            (1, 8, 8),
        ]:
            shape = SpectralPool(scale=scale).compute_output_shape((None, size, 2 * size, 3))
            assert shape[:2] == (None, expected), (scale, size)
        shape = SpectralPool((3, 2), data_format="channels_first").compute_output_shape(
            (4, 7, 5, 6)
        )
        assert shape == (4, 7, 3, 2)


class TestCorrectness:
    @pytest.mark.parametrize(
        ("shape", "size", "nyquist", "expected"),
        [
            ((4, 4), 2, "average", [[5, 6], [9, 10]]),
            ((4, 4), 2, "sum", [[2.5, 4.5], [10.5, 12.5]]),
            (
                (4, 4),
                3,
                "average",
                [
                    [2.5, 3.133975, 4.866025],
                    [5.035898, 5.669873, 7.401924],
                    [11.964102, 12.598076, 14.330127],
                ],
            ),
            ((6, 6), 3, "average", [[10.5, 10.5, 13.5], [10.5, 10.5, 13.5], [28.5, 28.5, 31.5]]),
            (
                (5, 5),
                3,
                "average",
                [
                    [6, 6.308018, 8.691982],
                    [7.540091, 7.84811, 10.232073],
                    [19.459909, 19.767927, 22.15189],
                ],
            ),
            ((5, 5), 4, "average", [[3, 3.623618, 5, 6.376382]]),
            ((5, 5), 4, "sum", [[0, 1.623618, 2, 4.376382]]),
            ((4, 6), (3, 4), "average", [[4, 4.267949, 6, 7.732051]]),
        ],
    )
    @pytest.mark.parametrize("implementation", ["matmul", "fft"])
    def test_counted_images(self, shape, size, nyquist, expected, implementation):
        x = np.arange(float(np.prod(shape))).reshape(1, *shape, 1)
        y = _pool(x, size, nyquist=nyquist, implementation=implementation)[0, :, :, 0]
        expected = np.asarray(expected)
        np.testing.assert_allclose(y[: len(expected)], expected, atol=max(1e-6, _tolerance(10)))

    @pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
    @pytest.mark.parametrize(
        ("shape", "size"),
        [((8, 9), (4, 5)), ((9, 6), (9, 4))],
    )
    def test_all_rules_norms_and_implementations(self, shape, size, data_format):
        order = (0, 1, 2, 3) if data_format == "channels_last" else (0, 3, 1, 2)
        x = random_images((2, *shape, 5), dtype="float64")
        for nyquist in NYQUIST_RULES:
            for norm in NORMS:
                expected = numpy_spectral_pool(x, size, nyquist, norm).transpose(order)
                for implementation in ("matmul", "fft"):
                    y = _pool(
                        x.transpose(order),
                        size,
                        nyquist=nyquist,
                        norm=norm,
                        implementation=implementation,
                        data_format=data_format,
                    )
                    np.testing.assert_allclose(y, expected, atol=_tolerance(4))

    @pytest.mark.parametrize("size", [16, 27])
    def test_sum_is_scipys_resample(self, size):
        x = random_images((1, 32, 32, 5), dtype="float64")
        expected = scipy.signal.resample(scipy.signal.resample(x, size, axis=1), size, axis=2)
        np.testing.assert_allclose(_pool(x, size, nyquist="sum"), expected, atol=_tolerance())

    @pytest.mark.parametrize("implementation", ["matmul", "fft"])
    def test_cosines(self, implementation):
        height, width, rows, columns, phase = 12, 10, 6, 5, 0.7
        m, n = np.arange(height)[:, None], np.arange(width)
        p, q = np.arange(rows)[:, None], np.arange(columns)
        for nyquist, weight in [("average", 1), ("sum", 2), ("isometric", 2**0.5), ("drop", 0)]:
            for a, b in [(1, 2), (-2, 1), (2, -2), (5, 0), (0, 4), (3, 0)]:
                x = 3 + np.cos(2 * np.pi * (a * m / height + b * n / width) + phase)
                if abs(a) < rows / 2 and abs(b) < columns / 2:
                    expected = 3 + np.cos(2 * np.pi * (a * p / rows + b * q / columns) + phase)
                elif abs(a) == rows / 2 and b == 0:
                    # Half the amplitude at either of the two bins that become one.
                    expected = 3 + weight / 2 * np.cos(phase) * (-1.0) ** p + 0 * q
                else:
                    expected = np.full((rows, columns), 3.0)
                y = _pool(
                    x[None, :, :, None],
                    (rows, columns),
                    nyquist=nyquist,
                    implementation=implementation,
                )
                np.testing.assert_allclose(y[0, :, :, 0], expected, atol=_tolerance(10))

    def test_nyquist_weights_on_a_cosine(self):
        # At the new Nyquist frequency: 1/2, 1, 1/sqrt(2) and 0 of what the image has there.
        m = np.arange(8)
        x = np.broadcast_to(np.cos(2 * np.pi * 2 * m / 8)[:, None], (8, 4))[None, :, :, None]
        for nyquist, weight in [("average", 0.5), ("sum", 1), ("isometric", 0.5**0.5), ("drop", 0)]:
            y = _pool(x, 4, nyquist=nyquist)[0, :, 0, 0]
            np.testing.assert_allclose(y, weight * np.array([1, -1, 1, -1]), atol=_tolerance())

    @pytest.mark.parametrize("norm", NORMS)
    def test_constant_image(self, norm):
        x = np.ones((1, 9, 8, 2))
        for size in (8, 5, 1):
            y = _pool(x, size, norm=norm)
            gain = 1 if norm == "mean" else np.sqrt(9 * 8) / size
            np.testing.assert_allclose(y, np.full((1, size, size, 2), gain), atol=_tolerance(4))

    def test_ortho_chain_gain_of_the_report(self):
        # Six layers with gamma = 0.85 multiply the mean by 3.2 with the unitary pair.
        x = np.ones((1, 32, 32, 1))
        for _ in range(6):
            x = _pool(x, scale=0.85, norm="ortho")
        assert x.shape == (1, 10, 10, 1)
        np.testing.assert_allclose(x, 3.2, atol=_tolerance(10))

    def test_chains_equal_the_direct_way(self):
        x = random_images((1, 32, 31, 5), dtype="float64")
        odd = _pool(_pool(x[:, :31], 21), 11)
        np.testing.assert_allclose(odd, _pool(x[:, :31], 11), atol=_tolerance(4))
        even = _pool(_pool(x[:, :, :30], (16, 30)), (8, 30))
        np.testing.assert_allclose(even, _pool(x[:, :, :30], (8, 30)), atol=_tolerance(4))

    def test_same_size_is_the_identity(self):
        x = random_images((2, 6, 7, 5))
        for nyquist in NYQUIST_RULES:
            y = SpectralPool((6, 7), nyquist=nyquist, implementation="matmul")(x)
            np.testing.assert_array_equal(to_numpy(y, "float32"), x)

    @pytest.mark.parametrize("implementation", ["matmul", "fft"])
    def test_adjoint(self, implementation):
        # <P x, g> = <x, P' g> with P' g the gradient, and P' the zero-padding of the spectrum.
        dtype = float64_or_float32()
        x = random_images((2, 8, 9, 5), dtype=dtype)
        g = random_images((2, 5, 4, 5), seed=1, dtype=dtype)
        layer = SpectralPool(
            (5, 4), nyquist="isometric", norm="ortho", implementation=implementation, dtype=dtype
        )
        tensor = keras.ops.convert_to_tensor(g, dtype=dtype)
        gradient = input_gradient(lambda z: keras.ops.sum(layer(z) * tensor), x)
        y = to_numpy(layer(keras.ops.convert_to_tensor(x, dtype=dtype)))
        np.testing.assert_allclose((y * g).sum(), (x * gradient).sum(), rtol=_tolerance(10))
        padded = spectral_resize(tensor, (8, 9), nyquist="isometric", norm="ortho")
        np.testing.assert_allclose(gradient, to_numpy(padded), atol=_tolerance(4))
        # With norm "mean" the mean is kept, so the gradient's sums are those of g.
        layer = SpectralPool((5, 4), implementation=implementation, dtype=dtype)
        gradient = input_gradient(lambda z: keras.ops.sum(layer(z) * tensor), x)
        np.testing.assert_allclose(
            gradient.sum(axis=(1, 2)), g.sum(axis=(1, 2)), rtol=_tolerance(10)
        )

    def test_works_inside_a_model_of_unknown_batch_size(self):
        inputs = keras.Input((9, 8, 5))
        model = keras.Model(inputs, SpectralPool(scale=0.5)(inputs))
        for batch in (1, 3):
            x = random_images((batch, 9, 8, 5), seed=batch)
            y = model.predict(x, verbose=0)
            np.testing.assert_allclose(y, numpy_spectral_pool(x, (4, 4)), atol=2e-6)


def _triangle(frequency, size_in, size_out):
    return 1 - frequency / size_in


def _window_of_the_plane(window, size, output_size):
    """The factors of the unshifted spectrum of images of a size, straight from the formulas."""

    def along(window, n, m):
        k = np.abs(signed_frequency(n)).astype("float64")
        if window == "hamming":
            return np.sqrt(0.54 + 0.46 * np.cos(2 * np.pi * k / n))
        if window is _triangle:
            return 1 - k / n
        return np.clip(((m + 1) / 2 - k) / window, 0, 1)

    pair = window if isinstance(window, tuple) else (window, window)
    return np.outer(*map(along, pair, size, output_size))


class TestWindow:
    @pytest.mark.parametrize("window", [2.5, _triangle, ("hamming", 3)])
    @pytest.mark.parametrize(
        ("size", "output_size"), [((10, 9), (4, 5)), ((7, 8), (7, 8)), ((8, 6), (5, 4))]
    )
    def test_equals_numpys_ffts(self, window, size, output_size):
        x = random_images((2, *size, 5), dtype="float64")
        factors = _window_of_the_plane(window, size, output_size)
        for rule in ("average", "isometric", *CROP_RULES):
            if rule in CROP_RULES:
                expected = numpy_plain_crop(x, output_size, factors, hartley=rule == "hartley")
                # An axis that keeps its size has nothing to crop.
                assert size != output_size or np.allclose(expected, numpy_mask(x, factors))
            else:
                expected = numpy_spectral_pool(numpy_mask(x, factors), output_size, rule)
            for implementation in ("matmul", "fft"):
                options = {"nyquist": rule, "window": window, "implementation": implementation}
                y = _pool(x, output_size, **options)
                np.testing.assert_allclose(y, expected, atol=_tolerance(4))
                if rule != "isometric":
                    first = x.transpose(0, 3, 1, 2)
                    y = _pool(first, output_size, data_format="channels_first", **options)
                    expected_first = expected.transpose(0, 3, 1, 2)
                    np.testing.assert_allclose(y, expected_first, atol=_tolerance(4))

    def test_asap_halves_with_a_window_even_in_k(self):
        """The published window is half a bin off, and leaves a complex image."""
        x = random_images((1, 8, 8, 1), dtype="float64")
        spectrum = np.fft.fft(x[0, :, 0, 0])
        kept = np.fft.ifftshift(np.fft.fftshift(spectrum)[2:6] * np.hamming(8)[2:6])
        assert np.abs(np.fft.ifft(kept).imag).max() > 0.05
        even = _window_of_the_plane("hamming", (8, 8), (4, 4))
        np.testing.assert_array_equal(even, np.roll(even[::-1, ::-1], 1, (0, 1)))
        y = _pool(x, scale=0.5, nyquist="crop", window="hamming")
        np.testing.assert_allclose(y, numpy_plain_crop(x, (4, 4), even), atol=_tolerance(4))

    def test_less_ringing(self):
        """A step overshoots by less with a window, and a constant image is kept."""
        x = np.zeros((1, 32, 32, 1))
        x[:, 8:24] = 1
        sharp, soft = (_pool(x, 16, window=window).max() for window in (None, 6))
        assert 1 < soft < sharp - 0.02
        for window in ("hamming", 3):
            np.testing.assert_allclose(_pool(0 * x + 1, 7, window=window), 1, atol=_tolerance(4))

    @pytest.mark.parametrize("sizes", [(16, 8), (9, 4), (8, 8), (12, 7)])
    def test_ones_change_no_bit(self, sizes):
        ones = (1.0,) * (sizes[1] // 2 + 1)
        plain, windowed = resampling_matrix(*sizes), resampling_matrix(*sizes, window=ones)
        if sizes[0] == sizes[1]:
            np.testing.assert_allclose(windowed, plain, atol=1e-15)
        else:
            np.testing.assert_array_equal(windowed, plain)

    @pytest.mark.parametrize("rule", ["average", "crop", "hartley"])
    def test_the_gradient_is_the_adjoint(self, rule):
        dtype = float64_or_float32()
        x = random_images((2, 8, 9, 5), dtype=dtype)
        g = random_images((2, 4, 6, 5), seed=1, dtype=dtype)
        layer = SpectralPool((4, 6), nyquist=rule, window=("hamming", 2), dtype=dtype)
        tensor = keras.ops.convert_to_tensor(g, dtype=dtype)
        gradient = input_gradient(lambda z: keras.ops.sum(layer(z) * tensor), x)
        np.testing.assert_allclose(
            (to_numpy(layer(x)) * g).sum(), (x * gradient).sum(), rtol=_tolerance(10)
        )

    @pytest.mark.parametrize("implementation", ["matmul", "fft"])
    def test_frequency_dropout_comes_after_it(self, implementation):
        x = random_images((2, 9, 8, 5))
        options = {"window": "hamming", "implementation": implementation}
        fused = SpectralPool(8, frequency_dropout=0.2, seed=4, **options)
        pool, dropout = SpectralPool(8, **options), FrequencyDropout(0.2, seed=4)
        for _ in range(3):
            expected = to_numpy(dropout(pool(x), training=True))
            np.testing.assert_allclose(to_numpy(fused(x, training=True)), expected, atol=3e-6)

    @pytest.mark.parametrize("window", ["hann", 0, -1.0, True, float("inf"), (1, 2, 3), (1, "x")])
    def test_a_bad_window_is_shown(self, window):
        with pytest.raises(ValueError, match="`window` must be None, 'hamming', .* Received: wind"):
            SpectralPool(4, window=window)

    def test_samples_must_fit(self):
        with pytest.raises(ValueError, match="must give 3 finite numbers"):
            SpectralPool(4, window=lambda k, n, m: np.ones(2))(random_images((1, 8, 8, 1)))

    def test_a_registered_function_comes_back(self):
        registered = keras.saving.register_keras_serializable("spectral_keras_tests")(_triangle)
        layer = SpectralPool(4, window=registered)
        again = SpectralPool.from_config(layer.get_config())
        x = random_images((1, 8, 8, 1))
        np.testing.assert_array_equal(to_numpy(again(x)), to_numpy(layer(x)))
        assert hamming(np.zeros(1), 8, 4) == 1


class TestFusedFrequencyDropout:
    @pytest.mark.parametrize("implementation", ["matmul", "fft"])
    def test_every_side_equals_the_two_steps(self, implementation):
        x = random_images((2, 9, 12, 5))
        for size, nyquist in [((6, 6), "average"), ((9, 7), "sum")]:
            pooled = numpy_spectral_pool(x, size, nyquist)
            for side in range(1, max(size) + 1):
                sides = [-(-side * n // max(size)) for n in size]
                expected = numpy_lowpass(
                    pooled, [n + 1 if s >= n else s for s, n in zip(sides, size, strict=True)]
                )
                y = frequency_dropout(
                    x, side, output_size=size, nyquist=nyquist, implementation=implementation
                )
                np.testing.assert_allclose(to_numpy(y), expected, atol=3e-6)

    @pytest.mark.parametrize("per_sample", [False, True])
    @pytest.mark.parametrize("implementation", ["matmul", "fft"])
    def test_same_draw_as_the_two_layers(self, per_sample, implementation):
        x = random_images((5, 12, 12, 5))
        fused = SpectralPool(
            8,
            implementation=implementation,
            frequency_dropout=0.2,
            per_sample=per_sample,
            seed=4,
        )
        pool = SpectralPool(8)
        dropout = FrequencyDropout(0.2, per_sample=per_sample, seed=4)
        outputs = []
        for _ in range(4):
            outputs.append(to_numpy(fused(x, training=True)))
            expected = to_numpy(dropout(pool(x), training=True))
            np.testing.assert_allclose(outputs[-1], expected, atol=3e-6)
        assert any(np.abs(outputs[0] - other).max() > 1e-3 for other in outputs[1:])

    def test_gradient_equals_that_of_the_two_layers(self):
        x = random_images((3, 12, 12, 5))
        g = keras.ops.convert_to_tensor(random_images((3, 8, 8, 5), seed=1))
        gradients = []
        for layers in (
            [SpectralPool(8, frequency_dropout=0.2, per_sample=True, seed=4)],
            [SpectralPool(8), FrequencyDropout(0.2, per_sample=True, seed=4)],
        ):

            def scalar(z, layers=layers):
                for layer in layers:
                    z = layer(z, training=True)
                return keras.ops.sum(z * g)

            gradients.append(input_gradient(scalar, x))
        np.testing.assert_allclose(*gradients, atol=3e-6)

    def test_only_pools_at_inference(self):
        x = random_images((2, 9, 9, 5))
        layer = SpectralPool(6, frequency_dropout=0.0, seed=1)
        for training in (False, None):
            y = to_numpy(layer(x, training=training))
            np.testing.assert_allclose(y, numpy_spectral_pool(x, 6), atol=2e-6)

    def test_fresh_draw_at_each_compiled_step(self):
        x = np.repeat(np.sign(random_images((1, 16, 16, 1)) - 0.5), 4, axis=0)
        inputs = keras.Input((16, 16, 1))
        # A weight to train that stays 1.
        weight = keras.layers.Conv2D(1, 1, use_bias=False, kernel_initializer="ones")
        layer = SpectralPool(12, frequency_dropout=0.0, seed=3)
        model = keras.Model(inputs, layer(weight(inputs)))
        model.compile(optimizer=keras.optimizers.SGD(0.0), loss="mse")
        losses = [model.train_on_batch(x, np.zeros((4, 12, 12, 1))) for _ in range(12)]
        assert len(np.unique(np.round(losses, 4))) >= 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "output_size=None, scale=None"),
        ({"output_size": 4, "scale": 0.5}, "output_size=4, scale=0.5"),
        ({"output_size": 0}, "output_size=0"),
        ({"output_size": (4, -1)}, r"output_size=\(4, -1\)"),
        ({"output_size": (4, 4, 4)}, r"output_size=\(4, 4, 4\)"),
        ({"output_size": 2.0}, "output_size=2.0"),
        ({"scale": 0}, "scale=0"),
        ({"scale": 1.5}, "scale=1.5"),
        ({"scale": "half"}, "scale='half'"),
        ({"output_size": 4, "nyquist": "half"}, "nyquist='half'"),
        ({"output_size": 4, "norm": "sum"}, "norm='sum'"),
        ({"output_size": 4, "implementation": "einsum"}, "implementation='einsum'"),
        ({"output_size": 4, "data_format": "NHWC"}, "data_format='NHWC'"),
        ({"output_size": 4, "frequency_dropout": 2}, "frequency_dropout=2"),
        ({"output_size": 4, "per_sample": "yes"}, "per_sample='yes'"),
        ({"output_size": 4, "nyquist": "crop", "frequency_dropout": 0.5}, "nyquist='crop'"),
    ],
)
def test_errors_show_what_was_received(arguments, message):
    with pytest.raises(ValueError, match=message):
        SpectralPool(**arguments)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((3, 8, 1), r"at most the input's height and width \(3, 8\).*output_size=4"),
        ((8, 1), "rank 4"),
    ],
)
def test_unsuitable_inputs_are_errors(shape, message):
    with pytest.raises(ValueError, match=message):
        SpectralPool(4)(keras.Input(shape))
    with pytest.raises(ValueError, match=message):
        SpectralPool(4).compute_output_shape((None, *shape))
