"""Frequency response of a layer against closed forms, and the votes of response maps."""

import gc
import math
import weakref

import keras
import numpy as np
import pytest

from spectral_keras.analysis import (
    frequency_response,
    point_detection_maps,
    real_frequencies,
    response_histogram,
    vote_shares,
)
from spectral_keras.layers import FFTConv2D

STRENGTH = 4 * math.sqrt(2)
LAST = {"data_format": "channels_last"}


def kernel_of(shape, seed=0):
    return np.random.default_rng(seed).normal(0, 0.3, shape).astype("float32")


def circular_model(size, kernel, bias=None, data_format="channels_last", activation=None):
    """A model of one layer "conv": circular convolution with the kernel [kh, kw, in, out]."""
    shape = (*size, kernel.shape[2])
    if data_format == "channels_first":
        shape = (shape[2], *size)
    conv = FFTConv2D(
        kernel.shape[3],
        kernel.shape[:2],
        padding="circular",
        activation=activation,
        data_format=data_format,
        name="conv",
    )
    model = keras.Sequential([keras.Input(shape), conv, keras.layers.GlobalMaxPooling2D()])
    conv.set_weights([kernel, np.zeros(kernel.shape[3]) if bias is None else np.asarray(bias)])
    return model


def transfer(kernel, size):
    """|DFT| of the kernel's taps on the image: [out, in, H, W]."""
    return np.abs(np.fft.fft2(kernel.astype("float64").transpose(3, 2, 0, 1), s=size))


class TestClosedForms:
    @pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
    @pytest.mark.parametrize("size", [(8, 8), (7, 7), (6, 9), (9, 6)])
    def test_rms_of_a_circular_convolution(self, size, data_format):
        kernel = kernel_of((3, 5, 2, 4))
        model = circular_model(size, kernel, [0.3, -2, 0, 1], data_format)
        got = frequency_response(model, "conv", strength=1.0, batch_size=7, data_format=data_format)
        assert got.shape == (4, 2, *size) and got.dtype == np.float32
        expected = transfer(kernel, size) / math.sqrt(size[0] * size[1])
        np.testing.assert_allclose(got, expected, atol=2e-6 * expected.max(), rtol=2e-5)

    def test_amplitude_over_root_two(self):
        # A |W| / sqrt 2 with the paper's amplitude of .25, and t / N for its own partners.
        kernel = kernel_of((3, 3, 3, 2))
        got = frequency_response(circular_model((32, 32), kernel), "conv", **LAST)
        expected = 0.25 * transfer(kernel, (32, 32)) / math.sqrt(2)
        np.testing.assert_allclose(got, expected, atol=3e-6)
        assert got[1, 2, 16, 0] == pytest.approx(
            0.1767767 * abs(transfer(kernel, (32, 32))[1, 2, 16, 0]), rel=1e-5
        )

    def test_the_printed_mean_is_blind_to_frequency(self):
        kernel = kernel_of((3, 3, 3, 2))
        model = circular_model((8, 8), kernel, [0.1, -0.4])
        mean = frequency_response(model, "conv", readout="mean", strength=1.0, **LAST)
        # All frequencies but the mean itself give bias + .5 sum(W).
        rest = mean.reshape(2, 3, 64)[..., 1:]
        expected = np.array([0.1, -0.4]) + 0.5 * kernel.astype("float64").sum((0, 1, 2))
        np.testing.assert_allclose(rest, np.broadcast_to(expected[:, None, None], rest.shape),
                                   atol=2e-6)  # fmt: skip
        np.testing.assert_allclose(
            mean[..., 0, 0], expected[:, None] + kernel.sum((0, 1)).T / 8, atol=2e-6
        )
        rms = frequency_response(model, "conv", strength=1.0, **LAST)
        assert (rms.max((2, 3)) > 1.5 * rms.min((2, 3))).all()

    def test_rectified_mean(self):
        # A filter with sum 0 swings about its bias of 0: the mean of the upper half.
        kernel = kernel_of((3, 3, 1, 2))
        kernel -= kernel.mean((0, 1))
        kernel[..., 1] = np.abs(kernel[..., 1])  # a low-pass that never goes below 0
        size = (9, 9)
        model = circular_model(size, kernel)
        got = frequency_response(model, "conv", readout="rectified_mean", strength=1.0, **LAST)
        maps = point_detection_maps(9, 0, 1.0, channels=1, **LAST).astype("float64")[..., 0]
        spectrum = np.fft.fft2(maps)
        # The layer correlates: its transfer function is the conjugate of the kernel's DFT.
        taps = np.zeros((2, *size))
        taps[:, :3, :3] = kernel.transpose(2, 3, 0, 1)[0]
        outputs = np.fft.ifft2(spectrum[:, None] * np.fft.fft2(taps).conj()).real
        expected = np.maximum(outputs, 0).mean((2, 3)).T
        index = real_frequencies(9)
        got_there = got[:, 0, index[:, 0], index[:, 1]]
        np.testing.assert_allclose(got_there, expected, rtol=1e-5, atol=1e-6)
        spread = np.ptp(got.reshape(2, -1)[:, 1:], axis=1)
        # Sums of 9 products, then of 81 values: some 16 roundings of float32 in each readout.
        assert spread[0] > 0.01 and spread[1] < 32 * 2.0**-24 * np.abs(expected[1]).max()

    def test_subtract_grey(self):
        model = circular_model((6, 6), kernel_of((3, 3, 2, 3)), [1.0, 2.0, -0.1])
        for readout in ("rectified_mean", "mean", "rms"):
            common = {"readout": readout, "strength": 0.5, **LAST}
            raw = frequency_response(model, "conv", **common)
            relative = frequency_response(model, "conv", subtract_grey=True, **common)
            grey = model.layers[0](np.full((1, 6, 6, 2), 0.5, "float32"))
            grey = keras.ops.convert_to_numpy(grey)
            if readout == "rms":
                grey = 0 * grey
            offset = (np.maximum(grey, 0) if readout == "rectified_mean" else grey).mean((0, 1, 2))
            np.testing.assert_allclose(relative, raw - offset[:, None, None, None], atol=1e-6)

    def test_zero_padding_leaks_into_the_printed_mean(self):
        conv = keras.layers.Conv2D(1, 3, padding="same", name="conv", **LAST)
        model = keras.Sequential([keras.Input((8, 8, 1)), conv])
        kernel = kernel_of((3, 3, 1, 1))
        conv.set_weights([kernel, np.zeros(1)])
        got = frequency_response(model, "conv", readout="mean", strength=1.0, **LAST)[0, 0]
        maps = np.pad(point_detection_maps(8, 0, 1.0, channels=1, **LAST)[..., 0].astype(float),
                      [(0, 0), (1, 1), (1, 1)])  # fmt: skip
        outputs = sum(
            kernel[a, b, 0, 0] * maps[:, a : a + 8, b : b + 8] for a in range(3) for b in range(3)
        )
        index = real_frequencies(8)
        np.testing.assert_allclose(got[index[:, 0], index[:, 1]], outputs.mean((1, 2)), atol=1e-6)
        assert np.ptp(got.ravel()[1:]) > 1e-3

    def test_strength_and_phase(self):
        # A linear layer answers in proportion; the phase moves the wave only.
        model = circular_model((7, 8), kernel_of((3, 3, 1, 2)))
        one = frequency_response(model, "conv", strength=0.5, **LAST)
        two = frequency_response(model, "conv", strength=1.0, phase=0.8, **LAST)
        np.testing.assert_allclose(two, 2 * one, atol=1e-6)

    def test_rectified_layer_and_batch_normalisation(self):
        # y = gain (conv(x) - mean) + beta, then ReLU; all by numpy.
        size = (6, 6)
        kernel = kernel_of((3, 3, 1, 2))
        conv = FFTConv2D(2, 3, padding="circular", use_bias=False, **LAST)
        model = keras.Sequential(
            [
                keras.Input((*size, 1)),
                conv,
                keras.layers.BatchNormalization(axis=-1, epsilon=0.0, name="norm"),
                keras.layers.ReLU(name="act"),
            ]
        )
        conv.set_weights([kernel])
        gamma, beta, mean, variance = [2.0, -1.0], [0.1, 0.0], [0.05, 0.2], [4.0, 0.25]
        model.get_layer("norm").set_weights([np.array(v) for v in (gamma, beta, mean, variance)])
        got = frequency_response(model, "norm", strength=1.0, **LAST)
        gain = np.abs(gamma) / np.sqrt(variance)
        expected = gain[:, None, None, None] * transfer(kernel, size) / 6
        np.testing.assert_allclose(got, expected, atol=2e-6)
        mean_of_relu = frequency_response(
            model, "norm", readout="rectified_mean", strength=1.0, **LAST
        )
        printed = frequency_response(model, "act", readout="mean", strength=1.0, **LAST)
        np.testing.assert_allclose(printed, mean_of_relu, atol=1e-7)


class TestBatches:
    def test_batch_size_and_progress(self):
        model = circular_model((6, 6), kernel_of((3, 3, 2, 3)))
        calls = []
        whole = frequency_response(model, "conv", strength=1.0, batch_size=1000, **LAST)
        small = frequency_response(
            model, "conv", strength=1.0, batch_size=13,
            progress=lambda done, total: calls.append((done, total)), **LAST,
        )  # fmt: skip
        np.testing.assert_allclose(small, whole, atol=1e-6)
        assert calls == [(13, 40), (26, 40), (39, 40), (40, 40)]

    def test_chosen_channels(self):
        model = circular_model((5, 6), kernel_of((3, 3, 3, 2)))
        whole = frequency_response(model, "conv", strength=1.0, **LAST)
        some = frequency_response(model, "conv", strength=1.0, channels=(2, 0), **LAST)
        np.testing.assert_allclose(some, whole[:, [2, 0]], atol=1e-6)
        one = frequency_response(model, "conv", strength=1.0, channels=1, **LAST)
        np.testing.assert_allclose(one, whole[:, [1]], atol=1e-6)

    def test_a_fixed_batch_size(self):
        kernel = kernel_of((3, 3, 1, 2))
        inputs = keras.Input((6, 6, 1), batch_size=4)
        conv = FFTConv2D(2, 3, padding="circular", name="conv", **LAST)
        model = keras.Model(inputs, conv(inputs))
        conv.set_weights([kernel, np.zeros(2)])
        got = frequency_response(model, "conv", strength=1.0, **LAST)
        np.testing.assert_allclose(got, transfer(kernel, (6, 6)) / 6, atol=2e-6)

    def test_any_image_size(self):
        kernel = kernel_of((3, 3, 1, 2))
        conv = keras.layers.Conv2D(2, 3, padding="valid", use_bias=False, name="conv", **LAST)
        model = keras.Sequential([keras.Input((None, None, 1)), conv])
        conv.set_weights([kernel])
        with pytest.raises(ValueError, match="`size` is needed"):
            frequency_response(model, "conv", **LAST)
        got = frequency_response(model, "conv", strength=1.0, size=(8, 9), **LAST)
        assert got.shape == (2, 1, 8, 9)
        # Without a border the outputs are samples of the circular convolution's.
        response = transfer(kernel, (8, 9))[:, 0, 0, 0] / math.sqrt(72)
        np.testing.assert_allclose(got[:, 0, 0, 0], response, atol=2e-6)

    def test_new_weights_are_seen(self):
        model = circular_model((6, 6), kernel_of((3, 3, 1, 1)))
        before = frequency_response(model, "conv", strength=1.0, **LAST)
        model.set_weights([3 * w for w in model.get_weights()])
        after = frequency_response(model, "conv", strength=1.0, **LAST)
        np.testing.assert_allclose(after, 3 * before, atol=1e-5)

    def test_the_model_is_not_kept_alive(self):
        model = circular_model((6, 6), kernel_of((3, 3, 1, 1)))
        frequency_response(model, "conv", strength=1.0, **LAST)
        reference = weakref.ref(model)
        del model
        keras.backend.clear_session()
        gc.collect()
        assert reference() is None


class TestLayers:
    def nested(self):
        kernel = kernel_of((3, 3, 2, 2))
        inner_in = keras.Input((6, 6, 2))
        conv = FFTConv2D(2, 3, padding="circular", use_bias=False, name="conv", **LAST)
        inner = keras.Model(inner_in, keras.layers.ReLU(name="act")(conv(inner_in)), name="stem")
        conv.set_weights([kernel])
        outer_in = keras.Input((6, 6, 2))
        scaled = keras.layers.Rescaling(3.0, name="scale")(outer_in)
        pooled = keras.layers.GlobalAveragePooling2D(name="pool", **LAST)(inner(scaled))
        return keras.Model(outer_in, pooled), conv, kernel

    @pytest.mark.parametrize("given", ["conv", "stem/conv", "object"])
    def test_in_a_nested_model(self, given):
        model, conv, kernel = self.nested()
        layer = conv if given == "object" else given
        got = frequency_response(model, layer, strength=1.0, **LAST)
        np.testing.assert_allclose(got, 3 * transfer(kernel, (6, 6)) / 6, atol=6e-6)

    def test_any_rank_of_output(self):
        model, _, kernel = self.nested()
        got = frequency_response(model, "pool", readout="mean", strength=1.0, **LAST)
        act = frequency_response(model, "stem/act", readout="mean", strength=1.0, **LAST)
        assert got.shape == (2, 2, 6, 6)
        np.testing.assert_allclose(got, act, atol=1e-6)

    def test_a_model_that_is_itself_within_another(self):
        # The call of the layers in the outer model is not one in the inner.
        model, conv, kernel = self.nested()
        inner = model.get_layer("stem")
        got = frequency_response(inner, "conv", strength=1.0, **LAST)
        np.testing.assert_allclose(got, transfer(kernel, (6, 6)) / 6, atol=2e-6)

    def test_a_layer_that_two_models_share(self):
        model = circular_model((6, 6), kernel_of((3, 3, 1, 1)))
        conv = model.get_layer("conv")
        inputs = keras.Input((6, 6, 1))
        other = keras.Model(inputs, conv(keras.layers.Rescaling(2.0)(inputs)))
        first = frequency_response(model, "conv", strength=1.0, **LAST)
        second = frequency_response(other, "conv", strength=1.0, **LAST)
        np.testing.assert_allclose(second, 2 * first, atol=2e-6)

    def test_a_zoo_network(self):
        from spectral_keras.models import registry

        model = registry.build("generic_cnn", (16, 16, 3), 4, width=0.125)
        convolutions = [layer for layer in model.layers if hasattr(layer, "kernel")]
        got = frequency_response(model, convolutions[0].name, strength=1.0, **LAST)
        # Near the closed form of a circular convolution; the border is zeros here.
        kernel = keras.ops.convert_to_numpy(convolutions[0].kernel)
        assert got.shape == (kernel.shape[-1], 3, 16, 16) and np.isfinite(got).all()
        expected = transfer(kernel, (16, 16))
        correlation = np.corrcoef(got.ravel(), expected.ravel())[0, 1]
        assert correlation > 0.9

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"layer": "cov"}, "`layer` must be one of conv, .*layer='cov'"),
            ({"layer": 3}, "`layer` must be a name or a layer.*layer=3"),
            ({"readout": "max"}, "`readout`.*'rms'.*readout='max'"),
            ({"strength": 0}, "`strength`.*> 0"),
            ({"strength": 100.0}, "`strength`.*at most"),
            ({"phase": None}, "`phase`.*phase=None"),
            ({"out_of_range": "wrap"}, "`out_of_range`.*wrap"),
            ({"channels": 2}, "`channels` must be less than.*2.*channels=2"),
            ({"channels": ()}, "`channels` must name at least one"),
            ({"subtract_grey": 1}, "`subtract_grey`"),
            ({"size": 9}, "`size` must be None or fit"),
            ({"batch_size": 0}, "`batch_size`"),
            ({"progress": 1}, "`progress`"),
            ({"data_format": "nhwc"}, "`data_format`"),
            ({"model": len}, "`model` must be a Keras model"),
            ({"model": keras.layers.Conv2D(1, 3)}, "`model` must be a functional or sequential"),
        ],
    )
    def test_errors(self, change, message):
        model = circular_model((6, 6), kernel_of((3, 3, 2, 1)))
        arguments = {"model": model, "layer": "conv", "strength": 1.0, **LAST, **change}
        with pytest.raises(ValueError, match=message):
            frequency_response(**arguments)

    def test_a_layer_that_is_called_twice(self):
        inputs = keras.Input((6, 6, 1))
        conv = keras.layers.Conv2D(1, 3, padding="same", name="conv", **LAST)
        model = keras.Model(inputs, conv(conv(inputs)))
        with pytest.raises(ValueError, match="called once in the model.*'conv', called 2 times"):
            frequency_response(model, "conv", strength=1.0, **LAST)

    def test_a_name_that_two_models_use(self):
        def stem(name):
            inputs = keras.Input((6, 6, 1))
            conv = keras.layers.Conv2D(1, 3, padding="same", name="conv", **LAST)
            return keras.Model(inputs, conv(inputs), name=name)

        model = keras.Sequential([keras.Input((6, 6, 1)), stem("a"), stem("b")])
        with pytest.raises(ValueError, match="one layer.*a/conv, b/conv"):
            frequency_response(model, "conv", strength=1.0, **LAST)
        assert frequency_response(model, "b/conv", strength=1.0, **LAST).shape == (1, 1, 6, 6)


class TestHistogram:
    def test_votes_by_hand(self):
        maps = np.array([[[[0.0, 1.0], [2.0, 4.0]]], [[[10.0, 10.0], [10.0, 20.0]]]])
        got = response_histogram(maps, clip_percentile=0)
        np.testing.assert_allclose(got, [[0, 0.25], [0.5, 2]])
        counted = response_histogram(maps, clip_percentile=0, threshold=0.4)
        np.testing.assert_array_equal(counted, [[0, 0], [1, 2]])

    def test_input_channels_share_one_scale(self):
        maps = np.array([[[[0.0, 1.0]], [[2.0, 4.0]]]])
        got = response_histogram(maps, clip_percentile=0)
        np.testing.assert_allclose(got, [[0.5, 1.25]])
        # One map each: [0, 1] + [0, 1].
        np.testing.assert_allclose(response_histogram(maps[0], clip_percentile=0), [[0, 2]])

    def test_a_few_extreme_pixels_are_ignored(self):
        rng = np.random.default_rng(0)
        maps = rng.random((5, 3, 16, 16))
        extreme = maps.copy()
        extreme[:, 0, 3, 4] = 1e6
        extreme[:, 1, 5, 6] = -1e6
        clean, spoilt = response_histogram(maps), response_histogram(extreme)
        kept = np.ones((16, 16), bool)
        kept[3, 4] = kept[5, 6] = False
        np.testing.assert_allclose(spoilt[kept], clean[kept], rtol=0.02)
        ruined = response_histogram(extreme, clip_percentile=0)
        assert np.ptp(ruined[kept]) < 1e-3

    def test_oracle(self):
        maps = np.random.default_rng(1).random((4, 2, 5, 6))
        expected = np.zeros((5, 6))
        for one in maps:
            ordered = np.sort(one.ravel())

            def percentile(q, ordered=ordered):
                place = q / 100 * (len(ordered) - 1)
                below = int(place)
                rest = place - below
                return ordered[below] * (1 - rest) + ordered[below + 1] * rest

            low, high = percentile(5), percentile(95)
            expected += np.clip((one - low) / (high - low), 0, 1).sum(0)
        np.testing.assert_allclose(response_histogram(maps, clip_percentile=5), expected)

    def test_flat_maps_do_not_vote(self):
        noise = np.random.default_rng(0).normal(0, 1e-7, (3, 8, 8))
        assert not response_histogram(1 + noise).any()
        assert not response_histogram(np.zeros((2, 4, 4))).any()

    @pytest.mark.parametrize("size", [(6, 6), (5, 8)])
    def test_centred(self, size):
        maps = np.zeros((1, *size))
        maps[0, 0, 0], maps[0, 1, 2] = 2.0, 1.0
        votes = response_histogram(maps, clip_percentile=0, centered=True)
        assert votes[size[0] // 2, size[1] // 2] == 1
        assert votes[size[0] // 2 + 1, (size[1] // 2 + 2) % size[1]] == 0.5

    @pytest.mark.parametrize(
        ("band", "frequency"), [("low", 4), ("medium", 12), ("high", 16), ("low", 0)]
    )
    @pytest.mark.parametrize("centered", [False, True])
    def test_shares(self, band, frequency, centered):
        votes = np.zeros((32, 32))
        votes[frequency, 0] = 3.0
        shares = vote_shares(np.fft.fftshift(votes) if centered else votes, centered=centered)
        expected = {name: float(name == band) for name in shares}
        if frequency == 16:
            expected["medium"] = 2 / 3  # its ramp, from 15 to 18
        assert {name: part["share"] for name, part in shares.items()} == pytest.approx(expected)
        assert max(shares, key=lambda name: shares[name]["density"]) == band

    def test_even_votes(self):
        for part in vote_shares(np.full((32, 40), 0.5)).values():
            assert part["density"] == pytest.approx(1) and part["share"] == part["area"] > 0.2

    def test_filters_of_known_bands(self):
        # Smoothing and differencing of a 32 x 32 image, and the claim that follows.
        smooth = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]).astype("float32") / 256
        edge = np.outer([1, -2, 1], [1, -2, 1]).astype("float32")
        edge = np.pad(edge, 1)
        for kernel, band in ((smooth, "low"), (edge, "high")):
            model = circular_model((32, 32), kernel[:, :, None, None])
            votes = response_histogram(frequency_response(model, "conv", **LAST))
            shares = vote_shares(votes)
            assert max(shares, key=lambda name: shares[name]["density"]) == band
            assert shares[band]["density"] > 2

    @pytest.mark.parametrize(
        ("function", "argument", "change", "message"),
        [
            (response_histogram, np.ones((2, 2)), {}, r"`responses`.*shape \(2, 2\)"),
            (response_histogram, np.full((1, 2, 2), np.nan), {}, "`responses` must be finite"),
            (response_histogram, np.ones((1, 2, 2), complex), {}, "`responses`.*complex"),
            (response_histogram, np.ones((1, 2, 2)), {"clip_percentile": 50}, "`clip_percentile`"),
            (response_histogram, np.ones((1, 2, 2)), {"threshold": 1.0}, "`threshold`"),
            (response_histogram, np.ones((1, 2, 2)), {"centered": 1}, "`centered`"),
            (vote_shares, np.zeros((4, 4)), {}, "not all 0"),
            (vote_shares, -np.ones((4, 4)), {}, "at least 0"),
            (vote_shares, np.ones(4), {}, r"`histogram`.*shape \(4,\)"),
            (vote_shares, np.ones((4, 4)), {"reference_size": 0}, "`reference_size`"),
        ],
    )
    def test_errors(self, function, argument, change, message):
        with pytest.raises(ValueError, match=message):
            function(argument, **change)


@pytest.mark.parametrize("size", [(1, 1), (4, 6), (8, 8), (16, 16), (32, 32), (224, 224)])
def test_the_default_strength_fits_any_size(size):
    frequencies = [[0, 0], [0, 1 % size[1]], [size[0] // 2, size[1] // 3]]
    maps = point_detection_maps(size, frequencies=frequencies, channels=1, **LAST)
    assert maps.min() >= 0 and maps.max() <= 1
    # As strong as it can be, up to the paper's.
    strength = min(STRENGTH, math.sqrt(size[0] * size[1] / 8))
    expected = point_detection_maps(size, 0, strength, frequencies=frequencies, channels=1, **LAST)
    np.testing.assert_array_equal(maps, expected)


def test_the_response_of_a_small_model_by_default():
    kernel = kernel_of((3, 3, 1, 2))
    got = frequency_response(circular_model((8, 8), kernel), "conv", **LAST)
    expected = math.sqrt(8) * transfer(kernel, (8, 8)) / 8
    np.testing.assert_allclose(got, expected, atol=2e-6 * expected.max(), rtol=2e-5)
