import itertools
import threading

import keras
import numpy as np
import pytest
from keras import ops

from spectral_keras.augmentation.image import build_augmentation
from spectral_keras.data import Batches

BATCH = 4
COUNT = 26  # a partial batch of two at the end


def identified_images(count=COUNT):
    """Images whose every pixel tells which one it is: image n holds n / 64."""
    return np.broadcast_to(
        (np.arange(count, dtype=np.float32) / 64)[:, None, None, None], (count, 2, 2, 1)
    ).copy()


def add_noise(images, rng):
    return images + rng.random(images.shape, dtype=np.float32) / 256


def expected_batch(images, epoch, index, seed=3):
    """The documented rule, written down a second time."""
    order = np.random.default_rng([seed, epoch]).permutation(len(images))
    chosen = order[index * BATCH : (index + 1) * BATCH]
    return add_noise(images[chosen], np.random.default_rng([seed, epoch, index, 1])), chosen


class Recorder(keras.layers.Layer):
    """Keeps a fingerprint of every batch that a compiled training step consumes."""

    def __init__(self, steps):
        super().__init__()
        self.dense = keras.layers.Dense(2)
        self.prints = self.add_weight(shape=(steps, 2), initializer="zeros", trainable=False)
        self.count = self.add_weight(shape=(), initializer="zeros", dtype="int32", trainable=False)

    def call(self, x, training=False):
        if training:
            flat = ops.reshape(x, (-1, 4))
            # The order within the batch counts: each image is weighted by its place.
            places = ops.cumsum(ops.ones_like(flat), axis=0)
            values = ops.stack([ops.sum(flat * places), ops.sum(flat * flat)])
            count, prints = (ops.convert_to_tensor(each) for each in (self.count, self.prints))
            row = ops.equal(ops.arange(prints.shape[0]), count)
            self.prints.assign(ops.where(row[:, None], values[None], prints))
            self.count.assign(self.count + 1)
        return self.dense(ops.reshape(x, (-1, 4)))


def fingerprint(images):
    flat = images.reshape(-1, 4).astype(np.float64)
    places = np.arange(1, len(flat) + 1)[:, None]
    return [np.sum(flat * places), np.sum(flat * flat)]


class SetEpoch(keras.callbacks.Callback):
    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def on_epoch_begin(self, epoch, logs=None):
        self.batches.epoch = epoch


class TestContract:
    def test_plain_batches_in_stored_order(self):
        images = np.random.default_rng(0).integers(0, 256, (10, 4, 5, 3), dtype=np.uint8)
        labels = np.arange(10)
        batches = Batches(images, labels, 4)
        assert len(batches) == 3
        x, y = zip(*batches, strict=True)
        assert [len(part) for part in x] == [4, 4, 2]
        assert x[0].dtype == np.float32 and y[0].dtype == np.int32
        np.testing.assert_allclose(np.concatenate(x), images / 255, atol=1e-7)
        np.testing.assert_array_equal(np.concatenate(y), labels)

    def test_drop_remainder(self):
        batches = Batches(identified_images(), np.zeros(COUNT, int), BATCH, drop_remainder=True)
        assert len(batches) == 6
        assert {len(x) for x, _ in batches} == {BATCH}

    def test_the_stored_images_are_never_written_to(self):
        images = identified_images(8)
        kept = images.copy()

        def overwrite(batch, rng):
            batch[:] = 0
            return batch

        batches = Batches(images, np.zeros(8, int), 8, augment=overwrite)
        assert np.all(batches[0][0] == 0)
        np.testing.assert_array_equal(images, kept)

    @pytest.mark.parametrize("shuffle", [False, True])
    def test_an_augmentation_may_know_which_images_it_gets(self, shuffle):
        def number(images, rng, part=None, which=None):
            seed, epoch, numbers = which
            given.append((seed, epoch))
            assert len(numbers) == len(images)
            return np.broadcast_to(numbers[:, None, None, None], images.shape)

        given = []
        labels = np.arange(COUNT)
        batches = Batches(
            identified_images(), labels, BATCH, shuffle=shuffle, augment=number, seed=4, workers=0
        )
        for index in range(len(batches)):
            for rows in (None, lambda count: np.arange(1, count, 2)):
                x, y = batches.batch(3, index, rows)
                np.testing.assert_array_equal(x[:, 0, 0, 0], y)
        assert set(given) == {(4, 3)}

    def test_an_augmentation_with_out_writes_in_place(self):
        given = []

        def darken(images, rng, out=None):
            given.append(out is images)
            return np.multiply(images, 0.5, out=out)

        images = identified_images(8)
        batches = Batches(images, np.zeros(8, int), 8, augment=darken)
        np.testing.assert_array_equal(batches[0][0], images / 2)
        assert given == [True]

    @pytest.mark.parametrize("shuffle", [False, True])
    @pytest.mark.parametrize("augment", [None, add_noise, build_augmentation("crop,hsv")])
    def test_rows_of_a_batch_are_what_they_are_in_the_whole(self, shuffle, augment):
        images = np.random.default_rng(0).random((COUNT, 6, 5, 3), dtype=np.float32)
        batches = Batches(images, np.arange(COUNT), BATCH, shuffle=shuffle, augment=augment, seed=3)
        asked = []

        def rows(count):
            asked.append(count)
            return np.array([count - 1, 0, 0])

        for index in (1, 6):
            whole = batches.batch(2, index)
            for found, wanted in zip(batches.batch(2, index, rows), whole, strict=True):
                np.testing.assert_array_equal(found, wanted[[-1, 0, 0]])
        assert asked == [4, 2]

    def test_an_augmentation_with_part_gets_the_rows_alone(self):
        given = []

        def augment(images, rng, part=None):
            given.append((len(images), None if part is None else (part[0], list(part[1]))))
            return images

        batches = Batches(identified_images(8), np.zeros(8, int), 8, augment=augment)
        batches[0]
        batches.batch(0, 0, lambda count: np.arange(1, count, 4))
        assert given == [(8, None), (2, (8, [1, 5]))]

    @pytest.mark.parametrize("workers", [0, 2])
    def test_get_computes_the_rows_ahead(self, workers):
        def odd(count):
            return np.arange(1, count, 2)

        options = {"shuffle": True, "augment": add_noise, "seed": 3}
        batches = Batches(identified_images(), np.arange(COUNT), BATCH, workers=workers, **options)
        for epoch in range(2):
            batches.epoch = epoch
            for index in range(len(batches)):
                x, _ = batches.get(index, odd)
                wanted, _ = expected_batch(identified_images(), epoch, index)
                np.testing.assert_array_equal(x, wanted[1::2])
        batches.epoch = 2
        batches.get(0, odd)
        ahead = [(2, index, odd) for index in range(1, 1 + 2 * workers)]
        assert list(batches._ahead) == ahead
        assert len(batches[1][0]) == BATCH  # not the part that was computed ahead

    @pytest.mark.parametrize("workers", [0, 2])
    def test_endless_batches(self, workers):
        """All epochs in order, and no more than `AHEAD` and the threads' own computed too early."""
        computed = []

        def augment(images, rng):
            computed.append(None)
            return add_noise(images, rng)

        options = {"shuffle": True, "augment": augment, "seed": 3}
        batches = Batches(identified_images(), np.arange(COUNT), BATCH, workers=workers, **options)
        found = batches.endless(1, lambda count: np.arange(0, count, 2))
        for epoch, index in itertools.product((1, 2), range(len(batches))):
            x, y = next(found)
            wanted, chosen = expected_batch(identified_images(), epoch, index)
            np.testing.assert_array_equal(x, wanted[::2])
            np.testing.assert_array_equal(y, chosen[::2])
        assert len(computed) <= 2 * len(batches) + 2 * workers + 1
        assert [batches.size(index) for index in range(7)] == [4] * 6 + [2]

    @pytest.mark.parametrize("kind", [np.uint8, np.float32])
    def test_images_with_another_order_of_axes(self, kind):
        """As of a channels-first file: views whose memory is in another order."""
        stored = np.random.default_rng(0).random((8, 3, 6, 5)) * (255 if kind == np.uint8 else 1)
        view = stored.astype(kind).transpose(0, 2, 3, 1)
        options = {"augment": build_augmentation("report"), "seed": 1}
        found = Batches(view, np.arange(8), 4, **options)[1][0]
        wanted = Batches(np.ascontiguousarray(view), np.arange(8), 4, **options)[1][0]
        np.testing.assert_array_equal(found, wanted)

    @pytest.mark.parametrize("index", [-1, 7])
    def test_index_out_of_range(self, index):
        with pytest.raises(IndexError):
            Batches(identified_images(), np.zeros(COUNT, int), BATCH)[index]

    @pytest.mark.parametrize(
        ("argument", "value"),
        [
            ("images", np.zeros((26, 4, 4))),
            ("images", np.zeros((26, 4, 4, 1), np.int64)),
            ("images", np.zeros((26, 4, 4, 1), np.uint16)),
            ("labels", np.zeros(25, int)),
            ("labels", np.zeros((26, 1), int)),
            ("labels", np.zeros(26)),
            ("batch_size", 0),
            ("shuffle", 1),
            ("augment", "flip"),
            ("seed", -1),
            ("workers", -1),
            ("drop_remainder", None),
        ],
    )
    def test_bad_arguments_are_named(self, argument, value):
        arguments = {
            "images": np.zeros((26, 4, 4, 1), np.uint8),
            "labels": np.zeros(26, int),
            "batch_size": 4,
            argument: value,
        }
        with pytest.raises(ValueError, match=f"`{argument}` must .*Received"):
            Batches(**arguments)

    def test_no_full_batch_is_an_error(self):
        with pytest.raises(ValueError, match="at least one batch"):
            Batches(identified_images(3), np.zeros(3, int), 4, drop_remainder=True)

    def test_an_error_of_the_augmentation_reaches_the_caller(self):
        def fail(images, rng):
            raise RuntimeError("broken augmentation")

        batches = Batches(identified_images(), np.zeros(COUNT, int), BATCH, augment=fail, workers=2)
        for index in range(2):  # computed here, computed ahead
            with pytest.raises(RuntimeError, match="broken augmentation"):
                batches[index]


class TestCorrectness:
    @pytest.mark.parametrize("workers", [0, 1, 4])
    def test_any_order_of_access_and_any_epoch(self, workers):
        images = identified_images()
        labels = np.arange(COUNT)
        batches = Batches(
            images, labels, BATCH, shuffle=True, augment=add_noise, seed=3, workers=workers
        )
        walk = [(0, 0), (0, 1), (1, 2), (1, 0), (1, 1), (1, 2), (0, 6), (5, 0), (5, 1), (0, 2)]
        for epoch, index in walk + [(2, number) for number in range(7)]:
            batches.epoch = epoch
            x, y = batches[index]
            expected, chosen = expected_batch(images, epoch, index)
            np.testing.assert_array_equal(x, expected)
            np.testing.assert_array_equal(y, chosen)

    def test_each_epoch_is_a_new_permutation(self):
        batches = Batches(identified_images(), np.arange(COUNT), BATCH, shuffle=True, seed=3)
        orders = []
        for batches.epoch in range(3):
            orders.append(np.concatenate([y for _, y in batches]))
            np.testing.assert_array_equal(np.sort(orders[-1]), np.arange(COUNT))
        assert not np.array_equal(orders[0], orders[1])
        assert not np.array_equal(orders[1], orders[2])

    def test_batches_are_computed_ahead(self):
        computed = threading.Semaphore(0)

        def count(images, rng):
            computed.release()
            return images

        batches = Batches(
            identified_images(), np.zeros(COUNT, int), BATCH, augment=count, workers=2
        )
        batches[0]
        for _ in range(5):  # batch 0 and the four ahead of it
            assert computed.acquire(timeout=30)
        assert not computed.acquire(timeout=0.1)

    @pytest.mark.parametrize(("workers", "compiled"), [(0, True), (1, True), (4, True), (4, False)])
    def test_fit_consumes_exactly_the_batches_of_each_epoch(self, workers, compiled):
        images, epochs, per_epoch = identified_images(), 3, 7
        batches = Batches(
            images,
            np.arange(COUNT) % 2,
            BATCH,
            shuffle=True,
            augment=add_noise,
            seed=3,
            workers=workers,
        )
        held_out = Batches(images, np.arange(COUNT) % 2, BATCH, workers=workers)
        recorder = Recorder((epochs + 3) * per_epoch)
        # Not built before fit: Keras then takes a batch of its own to build it.
        model = keras.Sequential([recorder])
        model.compile(
            "sgd",
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile=False,
            run_eagerly=not compiled,
        )
        fit = {"callbacks": [SetEpoch(batches)], "validation_data": held_out}
        fit |= {"shuffle": False, "verbose": 0}
        model.fit(batches, epochs=epochs, **fit)
        model.fit(batches, initial_epoch=2, epochs=5, **fit)  # a resumed training
        expected = [
            fingerprint(expected_batch(images, epoch, index)[0])
            for epoch in [0, 1, 2, 2, 3, 4]
            for index in range(per_epoch)
        ]
        consumed = ops.convert_to_numpy(recorder.prints)
        assert int(ops.convert_to_numpy(recorder.count)) == len(expected)
        np.testing.assert_allclose(consumed, expected, rtol=1e-5)

    def test_fit_stopped_within_an_epoch_leaves_nothing_for_the_next(self):
        class Stop(keras.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                self.model.stop_training = batch == 2

        images = identified_images()
        batches = Batches(
            images, np.arange(COUNT) % 2, BATCH, shuffle=True, augment=add_noise, seed=3, workers=4
        )
        recorder = Recorder(3 + 7)
        model = keras.Sequential([recorder])
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        fit = {"shuffle": False, "verbose": 0}
        model.fit(batches, epochs=5, callbacks=[SetEpoch(batches), Stop()], **fit)
        model.fit(batches, initial_epoch=1, epochs=2, callbacks=[SetEpoch(batches)], **fit)
        expected = [
            fingerprint(expected_batch(images, epoch, index)[0])
            for epoch, index in [(0, 0), (0, 1), (0, 2), *((1, index) for index in range(7))]
        ]
        np.testing.assert_allclose(ops.convert_to_numpy(recorder.prints), expected, rtol=1e-5)
