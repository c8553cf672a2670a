import keras
import numpy as np
import pytest
from keras import ops

from spectral_keras.training import build_decoder
from tests.oracles import compiled, random_images, to_numpy

# The maps before the global average of the five backbones of the paper, for 32x32 images, and
# the parameters of the published decoders for two and for three channels.
PUBLISHED = [
    ((4, 4, 512), 3, 4_728_834, 4_733_443),
    ((8, 8, 1024), 2, 9_456_642, 9_465_859),
    ((2, 2, 320), 4, 2_771_522, 2_774_403),
    ((4, 4, 1280), 3, 29_516_802, 29_528_323),
]


def numpy_block(x, kernel, bias):
    """torch.nn.ConvTranspose2d(kernel_size=3, stride=2, padding=1, output_padding=1).

    Args:
        kernel: (3, 3, outgoing, incoming) as Keras keeps it.
    """
    count, height, width, _ = x.shape
    y = np.zeros((count, 2 * height, 2 * width, kernel.shape[2]))
    for i, j, a, b in np.ndindex(height, width, 3, 3):
        row, column = 2 * i + a - 1, 2 * j + b - 1
        if row >= 0 and column >= 0:
            y[:, row, column] += x[:, i, j] @ kernel[a, b].T
    return y + bias


def run(model, x):
    return to_numpy(compiled(lambda x: model(x, training=False))(ops.convert_to_tensor(x)))


def kernels(decoder):
    """(kernel, bias) of each block, float64."""
    return [
        [to_numpy(w) for w in layer.weights]
        for layer in decoder.layers
        if isinstance(layer, keras.layers.Conv2DTranspose)
    ]


@pytest.mark.parametrize(("maps", "blocks", "fourier", "reconstruction"), PUBLISHED)
def test_number_of_parameters(maps, blocks, fourier, reconstruction, monkeypatch):
    # The values do not matter here, and take a while to draw.
    monkeypatch.setattr(
        keras.initializers.VarianceScaling, "__call__", keras.initializers.Zeros().__call__
    )
    for channels, expected in ((2, fourier), (3, reconstruction)):
        decoder = build_decoder(maps, (32, 32, channels))
        assert decoder.count_params() == expected
        assert len(kernels(decoder)) == blocks
        assert decoder.name == "decoder"
        assert decoder.output_shape == (None, 32, 32, channels)


@pytest.mark.parametrize("final_activation", [None, "relu"])
def test_blocks_are_aligned_as_in_pytorch(final_activation):
    decoder = build_decoder((3, 2, 4), (12, 8, 2), final_activation)
    x = random_images((2, 3, 2, 4)) - 0.5
    (first, first_bias), (second, second_bias) = kernels(decoder)
    expected = np.maximum(numpy_block(x, first, first_bias), 0)
    expected = numpy_block(expected, second, second_bias)
    assert expected.min() < -0.05
    if final_activation is not None:
        expected = np.maximum(expected, 0)
    np.testing.assert_allclose(run(decoder, x), expected, atol=1e-5)


def test_against_pytorch():
    torch = pytest.importorskip("torch")
    decoder = build_decoder((3, 2, 4), (6, 4, 5))
    block = torch.nn.ConvTranspose2d(4, 5, 3, stride=2, padding=1, output_padding=1)
    ((kernel, bias),) = kernels(decoder)
    x = random_images((2, 3, 2, 4))
    with torch.no_grad():
        block.weight.copy_(torch.tensor(kernel.transpose(3, 2, 0, 1)))
        block.bias.copy_(torch.tensor(bias))
        expected = block(torch.tensor(x.transpose(0, 3, 1, 2))).numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(run(decoder, x), expected, atol=1e-5)


def test_start_as_in_pytorch():
    decoder = build_decoder((2, 2, 64), (8, 8, 3))
    (first, first_bias), (second, second_bias) = kernels(decoder)
    # kaiming_normal_(mode="fan_out") of a weight [incoming, outgoing, 3, 3].
    for kernel in (first, second):
        assert abs(np.std(kernel) / np.sqrt(2 / (9 * 64)) - 1) < 0.07
    assert np.abs(first).max() > 3 * np.std(first)  # not truncated
    for bias, outgoing in ((first_bias, 64), (second_bias, 3)):
        assert 0.2 / np.sqrt(9 * outgoing) < np.abs(bias).max() <= 1 / np.sqrt(9 * outgoing)


@pytest.mark.parametrize(
    ("maps", "image", "blocks"),
    [((3, 3), (10, 11), 2), ((2, 4), (7, 9), 2), ((5, 5), (6, 6), 1), ((1, 1), (9, 5), 4)],
)
def test_other_sizes_are_cut_out_of_the_centre(maps, image, blocks):
    decoder = build_decoder((*maps, 2), (*image, 1))
    assert len(kernels(decoder)) == blocks
    x = random_images((1, *maps, 2))
    expected = x.astype("float64")
    for number, (kernel, bias) in enumerate(kernels(decoder), start=1):
        expected = numpy_block(expected, kernel, bias)
        if number < blocks:
            expected = np.maximum(expected, 0)
    start = [((side << blocks) - want) // 2 for side, want in zip(maps, image, strict=True)]
    cut = tuple(slice(a, a + want) for a, want in zip(start, image, strict=True))
    np.testing.assert_allclose(run(decoder, x), expected[:, *cut], atol=1e-5)


def test_channels_first():
    # The first block has as many filters as its maps are wide before the border is cut.
    last = build_decoder((3, 3, 7), (11, 10, 2))
    first = build_decoder((7, 3, 3), (2, 11, 10), data_format="channels_first")
    assert first.output_shape == (None, 2, 11, 10)
    rng = np.random.default_rng(1)
    first.set_weights([rng.random(weight.shape) for weight in last.get_weights()])
    last.set_weights(first.get_weights())
    x = random_images((2, 3, 3, 7))
    y = run(first, x.transpose(0, 3, 1, 2).copy())
    np.testing.assert_allclose(y.transpose(0, 2, 3, 1), run(last, x), rtol=1e-5)


def test_ends_in_float32():
    keras.config.set_dtype_policy("mixed_bfloat16")
    decoder = build_decoder((2, 2, 4), (7, 8, 2), "relu")
    assert decoder.get_layer("block1").compute_dtype == "bfloat16"
    assert decoder.get_layer("block2").compute_dtype == "float32"
    outputs = decoder(random_images((1, 2, 2, 4)))
    assert keras.backend.standardize_dtype(outputs.dtype) == "float32"


@pytest.mark.parametrize(
    ("maps", "image", "match"),
    [
        ((8, 8, 4), (8, 8, 2), "`image_shape` must be larger"),
        ((8, 4, 4), (8, 8, 2), "`image_shape` must be larger"),
        ((8, 8), (16, 16, 2), "`feature_shape` must be"),
        ((8, 8, None), (16, 16, 2), "`feature_shape` must be"),
        ((8, 8, 2), (16, 0, 2), "`image_shape` must be"),
    ],
)
def test_bad_shapes(maps, image, match):
    with pytest.raises(ValueError, match=match):
        build_decoder(maps, image)
