"""Convolution in the frequency domain against sums of shifted images, in float64."""

import keras
import numpy as np
import pytest

from spectral_keras.ops import convolution
from spectral_keras.ops.convolution_plan import (
    ConvolutionShape,
    choose_implementation,
    choose_tilings,
    convolution_axis,
    fast_fft_size,
    plan_tiling,
)
from tests.oracles import (
    compiled,
    float64_or_float32,
    gradients,
    numpy_circular_conv,
    numpy_spectral_pool,
    random_images,
    to_numpy,
)

BACKEND = keras.backend.backend()
SPECTRAL = ["matmul", "fft"]


def fft_conv2d(x, kernel, **arguments):
    return compiled(lambda x, kernel: convolution.fft_conv2d(x, kernel, **arguments))(x, kernel)


def fft_conv_pool2d(x, kernel, size, **arguments):
    return compiled(lambda x, kernel: convolution.fft_conv_pool2d(x, kernel, size, **arguments))(
        x, kernel
    )


def convolve_tiles(x, kernel, shape, tilings):
    def convolve(x, kernel):
        x, kernel = keras.ops.convert_to_tensor(x), keras.ops.convert_to_tensor(kernel)
        return convolution._convolve_tiles(x, kernel, shape, tilings)

    return compiled(convolve)(x, kernel)


def pair(value):
    return value if isinstance(value, tuple) else (value, value)


def reference(x, kernel, strides=1, padding="same", dilation=1):
    """Sum over the taps of shifted images times a matrix; x (B, H, W, C), no FFT, float64."""
    x, kernel = np.asarray(x, "float64"), np.asarray(kernel, "float64")
    strides, dilation, taps = pair(strides), pair(dilation), kernel.shape[:2]
    groups = x.shape[3] // kernel.shape[2]
    reach = [d * (k - 1) for d, k in zip(dilation, taps, strict=True)]
    sides = x.shape[1:3]
    if padding == "valid":
        out = [(n - r - 1) // s + 1 for n, r, s in zip(sides, reach, strides, strict=True)]
        index = [np.arange(o) * s for o, s in zip(out, strides, strict=True)]
    else:
        out = [-(-n // s) for n, s in zip(sides, strides, strict=True)]
        if padding == "same":  # TensorFlow's rule: the larger half of the padding at the end
            total = [
                max((o - 1) * s + r + 1 - n, 0)
                for o, s, r, n in zip(out, strides, reach, sides, strict=True)
            ]
        else:
            total = reach
        index = [np.arange(o) * s - t // 2 for o, s, t in zip(out, strides, total, strict=True)]
    y = np.zeros((x.shape[0], *out, kernel.shape[3]))
    for i in range(taps[0]):
        for j in range(taps[1]):
            rows, columns = index[0] + dilation[0] * i, index[1] + dilation[1] * j
            part = x[:, rows % sides[0]][:, :, columns % sides[1]]
            if padding != "circular":
                inside = [
                    (place >= 0) & (place < n)
                    for place, n in zip((rows, columns), sides, strict=True)
                ]
                part = part * np.outer(*inside)[None, :, :, None]
            blocks = np.split(part, groups, axis=3)
            tables = np.split(kernel[i, j], groups, axis=1)
            y += np.concatenate([b @ t for b, t in zip(blocks, tables, strict=True)], axis=3)
    return y


def case(size, taps, channels=4, filters=6, groups=1, dtype="float64"):
    """Random image and kernel; the arrays are float32 where the backend has no float64."""
    dtype = dtype if dtype != "float64" else float64_or_float32()
    rng = np.random.default_rng(5)
    x = rng.standard_normal((2, *size, channels)).astype(dtype)
    kernel = rng.standard_normal((*taps, channels // groups, filters)).astype(dtype)
    return x, kernel


def tolerance(dtype=None):
    return 1e-11 if (dtype or float64_or_float32()) == "float64" else 2e-6


def assert_close(actual, expected, limit=None):
    """Largest difference in units of the largest number."""
    actual, expected = to_numpy(actual), to_numpy(expected)
    assert actual.shape == expected.shape
    error = np.abs(actual - expected).max() / np.abs(expected).max()
    assert error <= (limit or tolerance()), error


def half_square_of_gradient(fn, x, kernel):
    """phi = |d fn / d x|^2 / 2 and its gradients by x and by the kernel."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        x, kernel = tf.constant(x), tf.constant(kernel)
        with tf.GradientTape() as outer:
            outer.watch([x, kernel])
            with tf.GradientTape() as inner:
                inner.watch(x)
                value = fn(x, kernel)
            phi = tf.reduce_sum(inner.gradient(value, x) ** 2) / 2
        by_x, by_kernel = outer.gradient(phi, [x, kernel])
    elif backend == "jax":
        import jax

        def half_square(x, kernel):
            return (jax.grad(fn)(x, kernel) ** 2).sum() / 2

        phi, (by_x, by_kernel) = jax.value_and_grad(half_square, argnums=(0, 1))(x, kernel)
    else:
        import torch

        x, kernel = (torch.tensor(array, requires_grad=True) for array in (x, kernel))
        with torch.enable_grad():
            (inner,) = torch.autograd.grad(fn(x, kernel), x, create_graph=True)
            phi = (inner**2).sum() / 2
        by_x, by_kernel = torch.autograd.grad(phi, [x, kernel])
    return float(to_numpy(phi)), by_x, by_kernel


# size, taps, padding, arguments: odd and even, square and not, kernels as large as the image and
# larger.
CASES = [
    ((8, 9), (3, 3), "same", {}),
    ((8, 9), (3, 4), "valid", {}),
    ((9, 8), (4, 2), "circular", {}),
    ((9, 8), (4, 2), "same", {"strides": (2, 3)}),
    ((9, 8), (3, 3), "valid", {"strides": 2, "groups": 2}),
    ((9, 8), (4, 3), "circular", {"strides": (3, 2)}),
    ((6, 11), (1, 5), "same", {"strides": 4, "groups": 2}),
    ((8, 5), (3, 3), "same", {"dilation_rate": (2, 1), "groups": 2}),
    ((8, 7), (3, 3), "circular", {"dilation_rate": 3}),
    ((7, 7), (7, 6), "valid", {}),
    ((4, 4), (9, 6), "same", {}),
    ((4, 4), (9, 6), "circular", {}),
]


class TestConvolution:
    @pytest.mark.parametrize(("size", "taps", "padding", "arguments"), CASES)
    def test_forward_and_both_gradients(self, size, taps, padding, arguments):
        arguments = dict(arguments)
        groups = arguments.pop("groups", 1)
        x, kernel = case(size, taps, groups=groups)
        strides = arguments.get("strides", 1)
        dilation = arguments.get("dilation_rate", 1)
        expected = reference(x, kernel, strides, padding, dilation)
        rng = np.random.default_rng(6)
        probe = rng.standard_normal(expected.shape).astype(x.dtype)
        for implementation in SPECTRAL:

            def scalar(x, kernel, implementation=implementation):
                y = fft_conv2d(
                    x, kernel, padding=padding, implementation=implementation, **arguments
                )
                return keras.ops.sum(y * keras.ops.convert_to_tensor(probe))

            y = fft_conv2d(x, kernel, padding=padding, implementation=implementation, **arguments)
            assert keras.backend.standardize_dtype(y.dtype) == str(x.dtype)
            assert_close(y, expected)
            # The map is linear in x and in the kernel: gradients are its adjoints.  Three random
            # directions each see any wrong entry.
            by_x, by_kernel = gradients(scalar, x, kernel)
            for _ in range(3):
                dx, dk = rng.standard_normal(x.shape), rng.standard_normal(kernel.shape)
                along_x = np.sum(reference(dx, kernel, strides, padding, dilation) * probe)
                along_k = np.sum(reference(x, dk, strides, padding, dilation) * probe)
                scale = 1e-10 if x.dtype == "float64" else 2e-5
                assert abs(np.sum(by_x * dx) - along_x) < scale * np.linalg.norm(by_x) * 20
                assert (
                    abs(np.sum(by_kernel * dk) - along_k) < scale * np.linalg.norm(by_kernel) * 20
                )

    @pytest.mark.parametrize("padding", ["same", "valid", "circular"])
    def test_direct_is_the_same_convolution(self, padding):
        x, kernel = case((9, 8), (4, 3), groups=2, dtype="float32")
        for strides, dilation in ((1, 1), ((2, 3), 1), (1, (1, 2))):
            y = fft_conv2d(
                x,
                kernel,
                strides=strides,
                dilation_rate=dilation,
                padding=padding,
                implementation="direct",
            )
            assert_close(y, reference(x, kernel, strides, padding, dilation), 2e-6)

    @pytest.mark.parametrize("strides", [1, (2, 1)])
    def test_equals_keras_with_both_gradients(self, strides):
        x, kernel = case((16, 15), (5, 4), dtype="float32")
        results = []
        for convolve in (
            lambda x, k: keras.ops.conv(x, k, strides=strides, padding="same"),
            lambda x, k: fft_conv2d(x, k, strides=strides, implementation="matmul"),
            lambda x, k: fft_conv2d(x, k, strides=strides, implementation="fft"),
        ):
            results.append(
                [
                    convolve(x, kernel),
                    *gradients(lambda x, k, f=convolve: keras.ops.sum(f(x, k) ** 3), x, kernel),
                ]
            )
        for result in results[1:]:
            for actual, expected in zip(result, results[0], strict=True):
                assert_close(actual, expected, 1e-5)

    @pytest.mark.parametrize("implementation", SPECTRAL)
    def test_circular_by_rolling(self, implementation):
        for size, taps in (((6, 7), (3, 4)), ((5, 5), (5, 6)), ((4, 6), (7, 7))):
            x, kernel = case(size, taps)
            y = fft_conv2d(x, kernel, padding="circular", implementation=implementation)
            assert_close(y, numpy_circular_conv(x, kernel))

    @pytest.mark.parametrize("implementation", [*SPECTRAL, "direct"])
    def test_single_tap_reads_the_pixel_itself(self, implementation):
        # The centre of an even kernel is its tap (k-1)//2, as in Keras' "same".
        x = random_images((1, 6, 5, 1))
        kernel = np.zeros((4, 3, 1, 1), "float32")
        kernel[1, 1] = 1
        for padding in ("same", "circular"):
            y = fft_conv2d(x, kernel, padding=padding, implementation=implementation)
            np.testing.assert_allclose(to_numpy(y), x, atol=1e-6)

    @pytest.mark.parametrize("implementation", [*SPECTRAL, "direct"])
    def test_channels_first(self, implementation):
        x, kernel = case((6, 9), (3, 5), dtype="float32")
        for padding in ("same", "circular"):
            y = fft_conv2d(
                x.transpose(0, 3, 1, 2),
                kernel,
                strides=(1, 2),
                padding=padding,
                implementation=implementation,
                data_format="channels_first",
            )
            expected = reference(x, kernel, (1, 2), padding)
            assert_close(to_numpy(y).transpose(0, 2, 3, 1), expected, 2e-6)

    @pytest.mark.parametrize("implementation", SPECTRAL)
    def test_depthwise(self, implementation):
        x, kernel = case((7, 6), (3, 3), channels=4, filters=4, groups=4)
        y = fft_conv2d(x, kernel, implementation=implementation)
        assert_close(y, reference(x, kernel))

    @pytest.mark.parametrize("implementation", SPECTRAL)
    def test_gradient_of_a_gradient(self, implementation):
        # With y = K x the gradient of |y|^2 by x is g(x) = 2 K^T K x, and that of phi = |g|^2 / 2
        # is g(g(x)).  phi is of degree four in the kernel: Euler's identity.
        x, kernel = case((6, 5), (3, 3), channels=2, filters=3)

        def energy(x, k):
            return keras.ops.sum(fft_conv2d(x, k, implementation=implementation) ** 2)

        phi, by_x, by_kernel = half_square_of_gradient(energy, x, kernel)
        once = gradients(energy, x, kernel)[0]
        assert_close(by_x, gradients(energy, once, kernel)[0], 10 * tolerance())
        np.testing.assert_allclose(
            np.sum(to_numpy(by_kernel) * kernel), 4 * phi, rtol=10 * tolerance()
        )

    def test_half_precision_rounds_only(self):
        x, kernel = case((12, 12), (5, 5), dtype="float32")
        for dtype, limit in (("float16", 2e-3), ("bfloat16", 2e-2)):
            rounded = [keras.ops.cast(a, dtype) for a in (x, kernel)]
            expected = reference(*[to_numpy(keras.ops.cast(a, "float32")) for a in rounded])
            for implementation in SPECTRAL:
                y = fft_conv2d(*rounded, implementation=implementation)
                assert keras.backend.standardize_dtype(y.dtype) == dtype
                assert_close(y, expected, limit)

    def test_half_precision_does_not_overflow(self):
        # The DC of this image is 64 * 64 * 100, far above the largest float16.
        x = np.full((1, 64, 64, 1), 100.0, "float16")
        kernel = np.full((5, 5, 1, 1), 0.04, "float16")
        for implementation in SPECTRAL:
            y = fft_conv2d(x, kernel, padding="circular", implementation=implementation)
            np.testing.assert_allclose(to_numpy(y), 100.0, rtol=2e-3)


class TestBfloat16WhereItIsSlow:
    """float32 computes what units for bfloat16 would: exact products, summed and rounded once."""

    @pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
    @pytest.mark.parametrize(("taps", "strides"), [(3, 1), (2, 2)])
    def test_forward_and_both_gradients(self, monkeypatch, data_format, taps, strides):
        rng = np.random.default_rng(3)
        x, kernel = random_images((3, 9, 8, 64)), rng.normal(size=(taps, taps, 64, 64)) / taps / 8
        # Numbers that bfloat16 has, in float32.
        x, kernel = (to_numpy(keras.ops.cast(each, "bfloat16"), "float32") for each in (x, kernel))
        x = np.moveaxis(x, 3, 1) if data_format == "channels_first" else x
        options = (strides, strides), "same", (1, 1), data_format

        def results(fast, dtype):
            monkeypatch.setattr(convolution, "multiplies_bfloat16", lambda: fast)

            def convolve(x, kernel):
                x, kernel = (keras.ops.cast(each, dtype) for each in (x, kernel))
                y = convolution.direct_conv2d(x, kernel, *options)
                assert keras.backend.standardize_dtype(y.dtype) == dtype
                return y

            def scalar(x, kernel):
                return keras.ops.sum(keras.ops.cast(convolve(x, kernel), "float32"))

            return compiled(convolve)(x, kernel), *gradients(scalar, x, kernel)

        expected = results(True, "float32")
        for ours, theirs in zip(results(False, "bfloat16"), expected, strict=True):
            rounded = to_numpy(keras.ops.cast(theirs, "bfloat16"))
            if BACKEND == "jax":  # its kernels are its own: bfloat16 as they sum it
                np.testing.assert_allclose(to_numpy(ours), rounded, rtol=2**-6, atol=2**-6)
            else:
                np.testing.assert_array_equal(to_numpy(ours), rounded)

    @pytest.mark.skipif(BACKEND != "tensorflow", reason="TensorFlow's graph tells")
    @pytest.mark.parametrize("fast", [True, False, None])
    def test_what_computes(self, monkeypatch, fast):
        import tensorflow as tf

        monkeypatch.setattr(convolution, "multiplies_bfloat16", lambda: fast)

        @tf.function(autograph=False)
        def convolve(x, kernel):
            return convolution.direct_conv2d(x, kernel, (1, 1), "same", (1, 1), "channels_last")

        specs = tf.TensorSpec((None, 8, 8, 4), "bfloat16"), tf.TensorSpec((3, 3, 4, 4), "bfloat16")
        operations = convolve.get_concrete_function(*specs).graph.get_operations()
        (dtype,) = {op.outputs[0].dtype for op in operations if op.type == "Conv2D"}
        assert dtype == ("float32" if fast is False else "bfloat16")


class TestTiles:
    @pytest.mark.parametrize("padding", ["same", "valid", "circular"])
    @pytest.mark.parametrize(
        ("strides", "dilation"), [((1, 1), (1, 1)), ((3, 2), (1, 1)), ((1, 1), (2, 1))]
    )
    def test_cut_and_put_together(self, padding, strides, dilation):
        x, kernel = case((26, 19), (4, 3), groups=2)
        shape = ConvolutionShape((26, 19), (4, 3), strides, dilation, padding, 4, 6, 2)
        for side in (13, 16):
            tilings = tuple(plan_tiling(side, *numbers) for numbers in shape.axes())
            assert tilings[0].count > 1
            y = convolve_tiles(x, kernel, shape, tilings)
            assert_close(y, reference(x, kernel, strides, padding, dilation))

    def test_gradients_on_one_tiled_axis(self):
        x, kernel = case((30, 8), (5, 3))
        shape = ConvolutionShape((30, 8), (5, 3), (1, 1), (1, 1), "same", 4, 6)
        tilings = (plan_tiling(12, *next(shape.axes())), None)
        probe = np.random.default_rng(1).standard_normal((2, 30, 8, 6)).astype(x.dtype)

        def scalar(x, kernel, convolve):
            return keras.ops.sum(convolve(x, kernel) * keras.ops.convert_to_tensor(probe))

        ways = [
            lambda x, k: convolve_tiles(x, k, shape, tilings),
            lambda x, k: convolve_tiles(x, k, shape, (None, None)),
        ]
        tiled, whole = [gradients(lambda x, k, f=f: scalar(x, k, f), x, kernel) for f in ways]
        for actual, expected in zip(tiled, whole, strict=True):
            assert_close(actual, expected, 10 * tolerance())

    def test_no_tile_smaller_than_its_overlap(self):
        assert plan_tiling(24, 100, 21, 1, "same", 1) is None
        assert plan_tiling(24, 100, 5, 1, "same", 1).advance == 20
        assert plan_tiling(48, 40, 5, 1, "same", 1) is None  # a single tile


def shape_of(size, kernel, channels, filters=None, padding="same"):
    filters = channels if filters is None else filters
    return ConvolutionShape(pair(size), pair(kernel), (1, 1), (1, 1), padding, channels, filters)


class TestPlan:
    def test_sizes_of_transforms(self):
        # "same" needs the image and half a kernel; "valid" and "circular" the image alone.
        periods = [convolution_axis(64, 31, 1, p, 1).period for p in ("same", "valid", "circular")]
        assert periods == [79, 64, 64]
        assert convolution_axis(64, 31, 1, "same", 1, smooth=True).period == 80
        assert convolution_axis(64, 4, 1, "same", 1).period == 66
        assert [fast_fft_size(n) for n in (1, 7, 79, 97, 128, 1021)] == [1, 8, 80, 100, 128, 1024]

    def test_auto_keeps_to_the_measured_crossovers(self):
        # [16, 64, 64, 16] -> 16: direct up to 5, matrices clearly faster from 9 on.
        choices = {k: choose_implementation(shape_of(64, k, 16), 16) for k in (1, 3, 5, 9, 21, 31)}
        assert [choices[k] for k in (1, 3, 5)] == ["direct"] * 3
        assert [choices[k] for k in (9, 21, 31)] == ["matmul"] * 3
        # More channels: earlier.  Few channels: later.
        assert choose_implementation(shape_of(32, 5, 96)) == "matmul"
        assert choose_implementation(shape_of(32, 7, 3, 64)) == "direct"
        # The kernel's spectrum does not pay for a single image.
        assert choose_implementation(shape_of(32, 5, 96), 1) == "direct"

    def test_large_maps_of_many_channels_are_tiled(self):
        assert choose_tilings(shape_of(64, 9, 16), 16)[0] == (None, None)
        rows, columns = choose_tilings(shape_of(224, 7, 64), 8)[0]
        assert rows == columns and rows.count * rows.advance >= 224
        # Wide kernels leave no room for tiles.
        assert choose_tilings(shape_of(100, 99, 4), 8)[0] == (None, None)

    def test_auto_runs_what_it_chooses(self, monkeypatch):
        ran = []
        monkeypatch.setattr(
            convolution, "_direct", lambda *args: ran.append("direct") or np.zeros(1)
        )
        monkeypatch.setattr(
            convolution, "_convolve_tiles", lambda *args: ran.append("matmul") or np.zeros(1)
        )
        x, kernel = case((32, 32), (3, 3), dtype="float32")
        fft_conv2d(x, kernel)
        fft_conv2d(x, np.zeros((31, 31, 4, 32), "float32"))
        assert ran == ["direct", "matmul"]


class TestConvolutionAndPooling:
    @pytest.mark.parametrize("implementation", SPECTRAL)
    @pytest.mark.parametrize(
        ("size", "output_size"),
        [((8, 9), (4, 6)), ((9, 8), (5, 8)), ((6, 7), (3, 1)), ((8, 8), (2, 7)), ((5, 6), (5, 6))],
    )
    def test_equals_convolution_then_pooling(self, size, output_size, implementation):
        x, kernel = case(size, (3, 4), groups=2)
        convolved = reference(x, kernel, padding="circular")
        for nyquist, norm in (
            ("average", "mean"),
            ("sum", "ortho"),
            ("isometric", "ortho"),
            ("drop", "mean"),
        ):
            y = fft_conv_pool2d(
                x, kernel, output_size, nyquist=nyquist, norm=norm, implementation=implementation
            )
            assert_close(y, numpy_spectral_pool(convolved, output_size, nyquist, norm))

    @pytest.mark.parametrize("implementation", SPECTRAL)
    def test_gradients(self, implementation):
        x, kernel = case((7, 8), (3, 3))
        probe = np.random.default_rng(2).standard_normal((2, 5, 4, 6)).astype(x.dtype)

        def scalar(x, kernel):
            y = fft_conv_pool2d(x, kernel, (5, 4), implementation=implementation)
            return keras.ops.sum(y * keras.ops.convert_to_tensor(probe))

        def expected(x, kernel):
            return np.sum(
                numpy_spectral_pool(reference(x, kernel, padding="circular"), (5, 4)) * probe
            )

        by_x, by_kernel = gradients(scalar, x, kernel)
        rng = np.random.default_rng(3)
        for _ in range(3):
            dx, dk = rng.standard_normal(x.shape), rng.standard_normal(kernel.shape)
            scale = 1e-10 if x.dtype == "float64" else 2e-5
            assert abs(np.sum(by_x * dx) - expected(dx, kernel)) < 20 * scale * np.linalg.norm(by_x)
            assert abs(np.sum(by_kernel * dk) - expected(x, dk)) < 20 * scale * np.linalg.norm(
                by_kernel
            )

    def test_one_frequency_is_the_mean(self):
        x, kernel = case((6, 5), (1, 1))
        y = fft_conv_pool2d(x, kernel, 1)
        assert_close(y, (np.asarray(x, "float64").mean((1, 2)) @ kernel[0, 0])[:, None, None])

    def test_channels_first(self):
        x, kernel = case((6, 9), (3, 5), dtype="float32")
        y = fft_conv_pool2d(x.transpose(0, 3, 1, 2), kernel, (4, 5), data_format="channels_first")
        expected = numpy_spectral_pool(reference(x, kernel, padding="circular"), (4, 5))
        assert_close(to_numpy(y).transpose(0, 2, 3, 1), expected, 2e-6)


class TestErrors:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"padding": "full"}, "padding='full'"),
            ({"implementation": "winograd"}, "implementation='winograd'"),
            ({"strides": 0}, "strides=0"),
            ({"strides": 2, "dilation_rate": 2}, "strides="),
            ({"data_format": "NHWC"}, "data_format='NHWC'"),
            ({"padding": "valid", "dilation_rate": 4}, "size 8"),
        ],
    )
    def test_arguments(self, arguments, message):
        x, kernel = case((8, 8), (3, 3), dtype="float32")
        with pytest.raises(ValueError, match=message):
            fft_conv2d(x, kernel, **arguments)

    def test_shapes(self):
        x, kernel = case((8, 8), (3, 3), dtype="float32")
        with pytest.raises(ValueError, match="4 channels"):
            fft_conv2d(x, kernel[:, :, :3])
        with pytest.raises(ValueError, match=r"kernel of shape \(3, 3, 4\)"):
            fft_conv2d(x, kernel[..., 0])
        with pytest.raises(ValueError, match="rank 4"):
            fft_conv2d(x[0], kernel)
        with pytest.raises(ValueError, match=r"output_size=\(9, 8\)"):
            fft_conv_pool2d(x, kernel, (9, 8))
        with pytest.raises(ValueError, match="implementation='direct'"):
            fft_conv_pool2d(x, kernel, 4, implementation="direct")
