import keras
import numpy as np
import pytest
import scipy.signal

from spectral_keras.ops.resize import (
    NORMS,
    NYQUIST_RULES,
    choose_implementation,
    resampling_matrix,
    spectral_resize,
)
from spectral_keras.ops.separable import apply_separable
from tests.oracles import (
    float64_or_float32,
    input_gradient,
    numpy_spectral_pool,
    random_images,
    to_numpy,
)

# Even and odd, to even and odd, square and not, one axis kept, down to a single value.
SHRINKING = [
    ((8, 8), (4, 4)),
    ((8, 9), (5, 4)),
    ((9, 7), (4, 5)),
    ((7, 6), (7, 2)),
    ((6, 7), (5, 7)),
    ((5, 4), (1, 2)),
]
ENLARGING = [
    ((4, 4), (8, 8)),
    ((4, 5), (7, 8)),
    ((5, 6), (6, 7)),
    ((1, 2), (4, 3)),
    ((4, 5), (4, 9)),
]


def _images(size, seed=0, channels=6):
    dtype = float64_or_float32()
    x = random_images((2, *size, channels), seed=seed, dtype=dtype)
    tolerance = 1e-12 if dtype == "float64" else 3e-6
    return keras.ops.convert_to_tensor(x, dtype=dtype), tolerance


def _both_formats_and_implementations(x, output_size, **options):
    """The four results, channels last, as numpy arrays."""
    for implementation in ("matmul", "fft"):
        yield to_numpy(spectral_resize(x, output_size, implementation=implementation, **options))
        first = spectral_resize(
            keras.ops.transpose(x, (0, 3, 1, 2)),
            output_size,
            implementation=implementation,
            data_format="channels_first",
            **options,
        )
        yield to_numpy(first).transpose(0, 2, 3, 1)


class TestCorrectness:
    @pytest.mark.parametrize(("size", "output_size"), SHRINKING)
    def test_shrinking_is_the_cropped_spectrum(self, size, output_size):
        x, tolerance = _images(size)
        for nyquist in NYQUIST_RULES:
            for norm in NORMS:
                expected = numpy_spectral_pool(x, output_size, nyquist, norm)
                options = {"nyquist": nyquist, "norm": norm}
                for actual in _both_formats_and_implementations(x, output_size, **options):
                    np.testing.assert_allclose(actual, expected, atol=tolerance * 4)

    @pytest.mark.parametrize(("size", "output_size"), [*SHRINKING, *ENLARGING])
    def test_sum_is_scipys_resample(self, size, output_size):
        x, tolerance = _images(size)
        expected = scipy.signal.resample(to_numpy(x), output_size[0], axis=1)
        expected = scipy.signal.resample(expected, output_size[1], axis=2)
        for actual in _both_formats_and_implementations(x, output_size, nyquist="sum"):
            np.testing.assert_allclose(actual, expected, atol=tolerance * 4)

    @pytest.mark.parametrize(("size", "output_size"), ENLARGING)
    def test_enlarging_by_default_is_scipys_resample(self, size, output_size):
        x, tolerance = _images(size)
        expected = scipy.signal.resample(to_numpy(x), output_size[0], axis=1)
        expected = scipy.signal.resample(expected, output_size[1], axis=2)
        for actual in _both_formats_and_implementations(x, output_size):
            np.testing.assert_allclose(actual, expected, atol=tolerance * 4)

    @pytest.mark.parametrize(("nyquist", "weight"), [("isometric", 0.5**0.5), ("drop", 0.0)])
    def test_enlarging_weights_both_nyquist_bins(self, nyquist, weight):
        # F = 4 at Nyquist of 4 values; weight * F at +-2 of 8 values, inverse with factor 1/4.
        x = np.array([1.0, -1.0, 1.0, -1.0]).reshape(1, 4, 1, 1)
        actual = to_numpy(spectral_resize(x, (8, 1), nyquist=nyquist)).ravel()
        expected = 2 * weight * np.cos(2 * np.pi * 2 * np.arange(8) / 8)
        np.testing.assert_allclose(actual, expected, atol=1e-6)

    def test_enlarging_and_shrinking_back(self):
        x, tolerance = _images((4, 6))
        for nyquist, norm in [("sum", "mean"), ("sum", "ortho"), ("isometric", "ortho")]:
            large = spectral_resize(x, (9, 8), nyquist=nyquist, norm=norm)
            back = spectral_resize(large, (4, 6), nyquist=nyquist, norm=norm)
            np.testing.assert_allclose(to_numpy(back), to_numpy(x), atol=tolerance * 4)

    def test_one_axis_shrinks_while_the_other_grows(self):
        x, tolerance = _images((8, 5))
        expected = scipy.signal.resample(to_numpy(x), 4, axis=1)
        expected = scipy.signal.resample(expected, 6, axis=2)
        for actual in _both_formats_and_implementations(x, (4, 6), nyquist="sum"):
            np.testing.assert_allclose(actual, expected, atol=tolerance * 4)

    @pytest.mark.parametrize("implementation", ["matmul", "fft"])
    @pytest.mark.parametrize(
        ("size", "output_size"), [((8, 9), (4, 5)), ((7, 6), (4, 4)), ((4, 5), (7, 8))]
    )
    def test_gradient_is_the_adjoint(self, size, output_size, implementation):
        x, tolerance = _images(size)
        g = random_images((2, *output_size, 6), seed=1, dtype=float64_or_float32())
        for nyquist in ("average", "sum"):
            matrices = [
                resampling_matrix(n, m, nyquist) for n, m in zip(size, output_size, strict=True)
            ]
            expected = np.einsum("pm,qn,bpqc->bmnc", *matrices, g)

            def scalar(z, nyquist=nyquist):
                y = spectral_resize(z, output_size, nyquist=nyquist, implementation=implementation)
                return keras.ops.sum(y * keras.ops.convert_to_tensor(g, dtype=y.dtype))

            actual = input_gradient(scalar, to_numpy(x).astype(float64_or_float32()))
            np.testing.assert_allclose(actual, expected, atol=tolerance * 4)

    def test_adjoint_is_zero_padding_of_the_spectrum(self):
        # The mean-preserving shrinking: ifft2(pad(fft2(g))), weights 1/2 at both Nyquist bins.
        g = random_images((1, 4, 5, 1), seed=2, dtype="float64")
        spectrum = np.fft.fft2(g[0, :, :, 0])
        padded = np.zeros((7, 8), complex)
        for k in (-2, -1, 0, 1, 2):
            for m in (-2, -1, 0, 1, 2):
                padded[k, m] = (0.5 if abs(k) == 2 else 1) * spectrum[k % 4, m]
        expected = np.fft.ifft2(padded).real
        rows, columns = resampling_matrix(7, 4), resampling_matrix(8, 5)
        np.testing.assert_allclose(rows.T @ g[0, :, :, 0] @ columns, expected, atol=1e-14)

    @pytest.mark.parametrize(
        ("channels", "data_format"),
        [(1, "channels_last"), (3, "channels_last"), (6, "channels_last"), (3, "channels_first")],
    )
    def test_large_halved_axes(self, channels, data_format):
        # From 96 to 48 on, the products leave out columns that are known: forward and backward.
        np.testing.assert_allclose(resampling_matrix(96, 48)[:, ::2], np.eye(48) / 2, atol=1e-14)
        size, output_size = (96, 100), (48, 50)
        shape = {
            "channels_last": (1, *size, channels),
            "channels_first": (1, channels, *size),
        }[data_format]
        x = random_images(shape, dtype=float64_or_float32())
        tolerance = 1e-12 if float64_or_float32() == "float64" else 3e-6
        order = (0, 2, 3, 1) if data_format == "channels_first" else (0, 1, 2, 3)
        last = x.transpose(order)
        for nyquist in ("average", "sum"):
            y = spectral_resize(
                keras.ops.convert_to_tensor(x, dtype=x.dtype),
                output_size,
                nyquist=nyquist,
                implementation="matmul",
                data_format=data_format,
            )
            expected = numpy_spectral_pool(last, output_size, nyquist)
            np.testing.assert_allclose(to_numpy(y).transpose(order), expected, atol=tolerance)

            def scalar(z, nyquist=nyquist):
                y = spectral_resize(
                    z,
                    output_size,
                    nyquist=nyquist,
                    implementation="matmul",
                    data_format=data_format,
                )
                return 0.5 * keras.ops.sum(y * y)

            rows, columns = (
                resampling_matrix(n, m, nyquist) for n, m in zip(size, output_size, strict=True)
            )
            adjoint = np.einsum("pm,qn,bpqc->bmnc", rows, columns, expected, optimize=True)
            actual = input_gradient(scalar, x).transpose(order)
            np.testing.assert_allclose(actual, adjoint, atol=tolerance)

    def test_large_doubled_axes(self):
        x, tolerance = _images((48, 50))
        expected = scipy.signal.resample(to_numpy(x), 96, axis=1)
        expected = scipy.signal.resample(expected, 100, axis=2)
        y = spectral_resize(x, (96, 100), implementation="matmul")
        np.testing.assert_allclose(to_numpy(y), expected, atol=tolerance * 4)

    @pytest.mark.parametrize("channels", [6, 72])
    @pytest.mark.parametrize(("size", "size_out"), [(8, 4), (16, 8), (4, 8), (8, 16), (12, 10)])
    def test_either_axis_first(self, size, size_out, channels):
        """Which one is a matter of the sizes and the channels, and of speed only."""
        x, tolerance = _images((size, size), channels=channels)
        rng = np.random.default_rng(1)
        rows, columns = rng.standard_normal((2, size_out, size)) / size
        y = to_numpy(apply_separable(x, rows, columns, "channels_last"))
        expected = np.einsum("pm,qn,bmnc->bpqc", rows, columns, to_numpy(x))
        np.testing.assert_allclose(y, expected, atol=tolerance)

        def scalar(z):
            return 0.5 * keras.ops.sum(apply_separable(z, rows, columns, "channels_last") ** 2)

        adjoint = np.einsum("pm,qn,bpqc->bmnc", rows, columns, expected)
        np.testing.assert_allclose(input_gradient(scalar, x), adjoint, atol=tolerance)

    def test_one_matrix_a_sample(self):
        x = random_images((3, 5, 6, 4), dtype="float32")
        rng = np.random.default_rng(0)
        rows = rng.standard_normal((3, 2, 5)).astype("float32")
        columns = rng.standard_normal((3, 7, 6)).astype("float32")
        expected = np.einsum("bpm,bqn,bmnc->bpqc", rows, columns, x)
        tensors = [keras.ops.convert_to_tensor(m) for m in (rows, columns)]
        actual = to_numpy(apply_separable(x, *tensors, "channels_last"))
        np.testing.assert_allclose(actual, expected, atol=1e-5)
        first = apply_separable(x.transpose(0, 3, 1, 2), *tensors, "channels_first")
        np.testing.assert_allclose(to_numpy(first).transpose(0, 2, 3, 1), expected, atol=1e-5)

        def scalar(z):
            return keras.ops.sum(apply_separable(z, *tensors, "channels_last"))

        adjoint = np.einsum("bpm,bqn->bmn", rows, columns)[..., None]
        np.testing.assert_allclose(
            input_gradient(scalar, x), np.broadcast_to(adjoint, x.shape), atol=1e-5
        )


class TestResamplingMatrix:
    @pytest.mark.parametrize(
        ("n_out", "nyquist", "expected"),
        [
            (4, "average", [3, 2.585786, 5, 7.414214]),
            (4, "sum", [2.5, 3.085786, 4.5, 7.914214]),
            (4, "isometric", [2.792893, 2.792893, 4.792893, 7.62132]),
            (5, "average", [2.5, 2.116161, 4.532017, 5.467983, 7.883839]),
            (3, "average", [3.5, 2.90923, 7.09077]),
            (2, "average", [4, 5]),
            (2, "sum", [3.5, 5.5]),
        ],
    )
    def test_one_to_eight(self, n_out, nyquist, expected):
        matrix = resampling_matrix(8, n_out, nyquist)
        np.testing.assert_allclose(matrix @ np.arange(1.0, 9.0), expected, atol=1e-6)

    @pytest.mark.parametrize("n_out", [16, 17, 26, 27])
    def test_sum_is_scipys_resample(self, n_out):
        expected = scipy.signal.resample(np.eye(32), n_out)
        np.testing.assert_allclose(resampling_matrix(32, n_out, "sum"), expected, atol=2e-15)

    @pytest.mark.parametrize(("n_in", "n_out"), [(8, 4), (9, 4), (8, 5), (7, 7), (32, 16)])
    def test_isometric_rows_are_orthonormal(self, n_in, n_out):
        matrix = resampling_matrix(n_in, n_out, "isometric", "ortho")
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(n_out), atol=1e-14)
        back = resampling_matrix(n_out, n_in, "isometric", "ortho")
        np.testing.assert_allclose(back, matrix.T, atol=1e-14)

    @pytest.mark.parametrize(
        ("nyquist", "eigenvalues"), [("average", [0.25, 0.5, 1]), ("sum", [1, 2, 4])]
    )
    def test_other_rules_are_not_isometric(self, nyquist, eigenvalues):
        matrix = resampling_matrix(8, 4, nyquist, "ortho")
        both = np.kron(matrix, matrix)
        found = np.unique(np.linalg.eigvalsh(both @ both.T).round(9))
        np.testing.assert_allclose(found, eigenvalues, atol=1e-9)

    @pytest.mark.parametrize(("n_in", "n_out"), [(8, 4), (9, 4), (8, 5), (4, 8), (5, 9), (4, 7)])
    def test_mean_rows_sum_to_one(self, n_in, n_out):
        for nyquist in NYQUIST_RULES:
            sums = resampling_matrix(n_in, n_out, nyquist).sum(axis=1)
            np.testing.assert_allclose(sums, 1, atol=1e-14)
            sums = resampling_matrix(n_in, n_out, nyquist, "ortho").sum(axis=1)
            np.testing.assert_allclose(sums, np.sqrt(n_in / n_out), atol=1e-14)

    def test_enlarging_is_the_adjoint_of_shrinking(self):
        for nyquist in ("average", "isometric", "drop"):
            down = resampling_matrix(9, 4, nyquist, "ortho")
            np.testing.assert_allclose(
                resampling_matrix(4, 9, nyquist, "ortho"), down.T, atol=1e-14
            )

    def test_chains(self):
        for sizes in [(31, 21, 11), (32, 16, 8)]:
            large, middle, small = sizes
            chain = resampling_matrix(middle, small) @ resampling_matrix(large, middle)
            np.testing.assert_allclose(chain, resampling_matrix(large, small), atol=1e-14)

    def test_same_size_is_the_identity_with_any_rule(self):
        for n in (1, 4, 5):
            for nyquist in NYQUIST_RULES:
                for norm in NORMS:
                    matrix = resampling_matrix(n, n, nyquist, norm)
                    np.testing.assert_array_equal(matrix, np.eye(n))


def test_auto_takes_matrices_for_small_maps_and_ffts_for_large_ones():
    for size, output_size in [((32, 32), (16, 16)), ((224, 224), (112, 112)), ((8, 512), (4, 256))]:
        assert choose_implementation("auto", size, output_size) == "matmul"
    assert choose_implementation("auto", (1024, 1024), (1000, 1000)) == "fft"
    assert choose_implementation("fft", (4, 4), (2, 2)) == "fft"


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (((1, 4, 4, 1), 0), {}, "output_size=0"),
        (((1, 4, 4, 1), (2, 2, 2)), {}, r"output_size=\(2, 2, 2\)"),
        (((1, 4, 4, 1), 2.5), {}, "output_size=2.5"),
        (((1, 4, 4, 1), 2), {"nyquist": "mean"}, "nyquist='mean'"),
        (((1, 4, 4, 1), 2), {"norm": "backward"}, "norm='backward'"),
        (((1, 4, 4, 1), 2), {"implementation": "einsum"}, "implementation='einsum'"),
        (((1, 4, 4, 1), 2), {"data_format": "NHWC"}, "data_format='NHWC'"),
        (((4, 4, 1), 2), {}, r"input shape \(4, 4, 1\)"),
    ],
)
def test_errors_show_what_was_received(arguments, options, message):
    shape, output_size = arguments
    with pytest.raises(ValueError, match=message):
        spectral_resize(np.zeros(shape, "float32"), output_size, **options)
