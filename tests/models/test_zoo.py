"""Every network of the registry, and the exact sizes of the papers' networks."""

import keras
import numpy as np
import pytest

import spectral_keras
from spectral_keras.models import registry
from tests.oracles import random_images, to_numpy

SPECTRAL_POOL_COUNTS = [21386, 215434, 503722, 904682, 1436746, 2118346, 2865130, 3611914]


@pytest.mark.parametrize("name", registry.names())
class TestEveryNetwork:
    def test_trains_and_survives_saving(self, name, tmp_path):
        model = registry.build(name, (32, 32, 3), 7)
        assert model.name == name
        assert tuple(model.output_shape) == (None, 7)
        x, y = random_images((4, 32, 32, 3)), np.array([0, 3, 6, 3])
        before = [to_numpy(w) for w in model.trainable_weights]
        model.compile(
            keras.optimizers.SGD(1.0),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        loss = model.train_on_batch(x, y)
        assert np.isfinite(loss) and loss > 0.1
        for weight, old in zip(model.trainable_weights, before, strict=True):
            new = to_numpy(weight)
            assert np.isfinite(new).all(), weight.path
            # The imaginary part of a 1x1 kernel is the one weight that nothing depends on.
            if weight.path.endswith("kernel_imag") and new.shape[:2] == (1, 1):
                continue
            assert (new != old).any(), f"no gradient reaches {weight.path}"
        expected = to_numpy(model(x, training=False))
        assert np.ptp(expected) > 1e-3
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        np.testing.assert_allclose(to_numpy(loaded(x, training=False)), expected, atol=1e-5)

    def test_takes_images_in_the_unit_interval(self, name):
        model = registry.build(name, (32, 32, 1), 10)
        assert model.layers[1].name == "normalize"
        first = keras.Model(model.input, model.layers[1].output)
        np.testing.assert_allclose(
            to_numpy(first(np.array([0, 0.5, 1]).reshape(3, 1, 1, 1) * np.ones((3, 32, 32, 1))))[
                :, 0, 0, 0
            ],
            [-2, 0, 2],
            atol=1e-6,
        )

    def test_last_layer_has_no_activation(self, name):
        # Logits behind a ReLU die: the loss then stays at ln 10.
        model = registry.build(name)
        logits = to_numpy(model(random_images((16, 32, 32, 3)), training=False))
        assert (logits < 0).any() and (logits > 0).any()

    def test_recipe_builds(self, name):
        recipe = registry.recipe(name)
        assert recipe.paper and recipe.summary and recipe.epochs > 0
        assert set(recipe.options) <= set(registry.options(name))


class TestSizes:
    @pytest.mark.parametrize(("kernel_size", "count"), [(3, 954730), (5, 2581354)])
    @pytest.mark.parametrize("padding", ["same", "valid"])
    def test_deep(self, kernel_size, count, padding):
        if kernel_size == 5 and padding == "valid":
            with pytest.raises(ValueError):  # 32 -> 28 -> 24 -> 11 -> 7 -> 3 -> nothing
                registry.build("deep_spectral", conv="spatial", kernel_size=5, padding=padding)
            return
        model = registry.build(
            "deep_spectral", conv="spatial", kernel_size=kernel_size, padding=padding
        )
        assert model.count_params() == count

    def test_valid_deep_has_the_reports_sizes(self):
        model = registry.build("deep_spectral", padding="valid")
        names = ["conv1", "conv2", "pool1", "conv3", "conv4", "conv5", "pool2"]
        sides = [model.get_layer(name).output.shape[1] for name in names]
        assert sides == [30, 28, 13, 11, 9, 7, 3]

    def test_generic(self):
        assert registry.build("generic_cnn", conv="spatial").count_params() == 13_282_634
        valid = registry.build("generic_cnn", conv="spatial", padding="valid")
        assert valid.count_params() == 10_333_514
        valid = registry.build("generic_cnn", conv="spatial", padding="valid", kernel_size=5)
        assert valid.count_params() == 10_633_034
        short = registry.build("generic_cnn", conv="spatial", dense_units=(1024,))
        assert short.count_params() == 13_282_634 - (1024 * 512 + 512 + 512 * 10) + 1024 * 10

    @pytest.mark.parametrize("num_pairs", range(1, 9))
    def test_spectral_pool(self, num_pairs):
        model = registry.build("spectral_pool_cnn", num_pairs=num_pairs)
        assert model.count_params() == SPECTRAL_POOL_COUNTS[num_pairs - 1]

    def test_ordinary_dropout(self):
        plain, dropped = (
            registry.build("spectral_pool_cnn", num_pairs=2, width=0.1, dropout_rate=rate)
            for rate in (0.0, 0.2)
        )
        rates = [layer.rate for layer in dropped.layers if isinstance(layer, keras.layers.Dropout)]
        assert rates == [0.2, 0.2] and len(plain.layers) == len(dropped.layers) - 2
        assert plain.count_params() == dropped.count_params()

    def test_spectral_pool_sides_and_dropout(self):
        # floor(.85 h) from 32; the floors of alpha = .30, beta = .15.
        model = registry.build("spectral_pool_cnn", num_pairs=6)
        pools = [model.get_layer(f"pool{m}") for m in range(1, 7)]
        assert [pool.output.shape[1] for pool in pools] == [27, 22, 18, 15, 12, 10]
        floors = [pool.frequency_dropout for pool in pools]
        np.testing.assert_allclose(floors, [0.275, 0.25, 0.225, 0.2, 0.175, 0.15])
        model = registry.build("spectral_pool_cnn", num_pairs=12, alpha=1, beta=1)
        sides = [model.get_layer(f"pool{m}").output.shape[1] for m in range(1, 13)]
        assert sides == [27, 22, 18, 15, 12, 10, 8, 6, 5, 4, 3, 3]
        assert model.get_layer("pool1").frequency_dropout is None

    def test_width_scales_filters_and_units(self):
        model = registry.build("deep_spectral", conv="spatial", width=0.25)
        filters = [layer.filters for layer in model.layers if hasattr(layer, "filters")]
        assert filters == [24, 24, 48, 48, 48, 48, 10]
        model = registry.build("generic_cnn", conv="spatial", width=0.25)
        assert [model.get_layer(f"dense{i}").units for i in (1, 2)] == [256, 128]
        model = registry.build("spectral_pool_cnn", num_pairs=7, width=0.5)
        filters = [model.get_layer(f"conv{m}").filters for m in range(1, 9)]
        assert filters == [64, 80, 96, 112, 128, 144, 144, 144]

    def test_hermitian_kernels_count_once(self):
        counts = [
            registry.build("deep_spectral", conv=conv, width=0.25).count_params()
            for conv in ("spatial", "hermitian")
        ]
        assert counts[0] == counts[1]

    def test_max_pooling_twin_has_equal_sizes_and_weights(self):
        twins = [
            registry.build("spectral_pool_cnn", pooling=pooling, num_pairs=6)
            for pooling in ("spectral", "max")
        ]
        assert twins[0].count_params() == twins[1].count_params() == SPECTRAL_POOL_COUNTS[5]
        shapes = [
            [tuple(twin.get_layer(f"pool{m}").output.shape) for m in range(1, 7)] for twin in twins
        ]
        assert shapes[0] == shapes[1]

    def test_max_pooling_of_single_pixels_is_refused(self):
        with pytest.raises(ValueError, match=r"input_shape=\(1, 8, 3\)"):
            registry.build("spectral_pool_cnn", (1, 8, 3), pooling="max")

    @pytest.mark.parametrize(
        "options",
        [{"alpha": 0.9}, {"beta": 1.0}, {"norm": "ortho"}],
        ids=lambda one: next(iter(one)),
    )
    def test_what_max_pooling_has_no_use_for_is_refused(self, options):
        ((name, value),) = options.items()
        with pytest.raises(ValueError, match=f"`{name}` changes nothing.*{name}={value!r}"):
            registry.build("spectral_pool_cnn", pooling="max", **options)

    def test_more_pairs_than_can_be_built_are_refused(self):
        with pytest.raises(ValueError, match="`num_pairs` must be at most 1000"):
            registry.build("spectral_pool_cnn", num_pairs=65_535, width=0.001)

    def test_max_pooling_twin_at_half_the_side_is_plain_max_pooling(self):
        model = registry.build("spectral_pool_cnn", pooling="max", num_pairs=1, gamma=0.5)
        pool = keras.Model(model.get_layer("conv1").output, model.get_layer("pool1").output)
        x = random_images((2, 32, 32, 128))
        expected = x.reshape(2, 16, 2, 16, 2, 128).max(axis=(2, 4))
        np.testing.assert_array_equal(to_numpy(pool(x)), expected)

    def test_full_spectral_kernels_count_twice(self):
        spatial = registry.build("deep_spectral", conv="spatial")
        spectral = registry.build("deep_spectral")
        biases = 96 * 2 + 192 * 4 + 10
        assert spectral.count_params() - biases == 2 * (spatial.count_params() - biases)


class TestOptions:
    @pytest.mark.parametrize("name", ["deep_spectral", "generic_cnn"])
    def test_pooling_has_the_same_sizes(self, name):
        shapes = []
        for pooling in ("max", "spectral"):
            model = registry.build(name, (32, 28, 3), pooling=pooling)
            shapes.append([tuple(model.get_layer(f"pool{i}").output.shape) for i in (1, 2)])
        assert shapes[0] == shapes[1]

    def test_spectral_and_spatial_arm_start_at_the_same_function(self):
        outputs = []
        for conv in ("spectral", "hermitian", "spatial"):
            keras.utils.set_random_seed(4)
            model = registry.build("deep_spectral", conv=conv)
            outputs.append(to_numpy(model(random_images((2, 32, 32, 3)))))
        np.testing.assert_allclose(outputs[0], outputs[2], atol=1e-4)
        np.testing.assert_allclose(outputs[1], outputs[2], atol=1e-4)

    @pytest.mark.parametrize(
        ("name", "arguments", "message"),
        [
            ("resnet99", {}, "name='resnet99'"),
            ("deep_spectral", {"conv": "fast"}, "conv='fast'"),
            ("deep_spectral", {"kernel_size": 4}, "kernel_size=4"),
            ("deep_spectral", {"pooling": "average"}, "pooling='average'"),
            ("deep_spectral", {"gamma": 0.5}, "gamma=0.5"),
            ("deep_spectral", {"dropout_rate": 1.0}, "dropout_rate=1.0"),
            ("deep_spectral", {"input_shape": (32, 32)}, "input_shape"),
            ("deep_spectral", {"num_classes": 1}, "num_classes=1"),
            ("generic_cnn", {"dense_units": (0,)}, "dense_units=0"),
            ("spectral_pool_cnn", {"gamma": 0.0}, "gamma=0.0"),
            ("spectral_pool_cnn", {"num_pairs": 0}, "num_pairs=0"),
            ("spectral_pool_cnn", {"alpha": 1.5}, "alpha"),
            ("spectral_pool_cnn", {"pooling": "median"}, "pooling='median'"),
            ("spectral_pool_cnn", {"width": 0}, "width=0"),
        ],
    )
    def test_bad_options(self, name, arguments, message):
        with pytest.raises(ValueError, match=message):
            registry.build(name, **arguments)


def test_fold_gives_a_plain_network():
    model = registry.build("deep_spectral", num_classes=5)
    folded = spectral_keras.fold(model)
    x = random_images((3, 32, 32, 3))
    np.testing.assert_allclose(to_numpy(folded(x)), to_numpy(model(x)), atol=1e-5)
    assert not any("Spectral" in type(layer).__name__ for layer in folded.layers)
