import numpy as np
import pytest

from spectral_keras.data.shuffling import CYCLE, epoch_order


def order_of(count, seed=0, **options):
    return epoch_order(count, np.random.default_rng(seed), **options)


class TestContract:
    @pytest.mark.parametrize("buffer", [None, 1, 7, 100, 1000])
    @pytest.mark.parametrize("files", [None, 1, 5, 40])
    def test_every_image_once_and_again_the_same(self, buffer, files):
        shards = None if files is None else np.random.default_rng(1).integers(0, files, 300)
        order = order_of(300, buffer=buffer, shards=shards)
        assert sorted(order) == list(range(300))
        np.testing.assert_array_equal(order, order_of(300, buffer=buffer, shards=shards))
        if buffer != 1 or files not in (None, 1):
            assert not np.array_equal(order, order_of(300, seed=1, buffer=buffer, shards=shards))

    def test_without_a_buffer_it_is_the_permutation_of_earlier_versions(self):
        wanted = np.random.default_rng([3, 4]).permutation(50)
        for buffer in (None, 50, 51):
            found = epoch_order(50, np.random.default_rng([3, 4]), buffer, np.arange(50) // 10)
            np.testing.assert_array_equal(found, wanted)


class TestCorrectness:
    def test_images_stay_within_the_buffer_and_spread_over_it(self):
        moved = order_of(20_000, buffer=100) - np.arange(20_000)
        assert np.abs(moved).max() < 100
        # The place is the rank of i + u, about i + u - 50: moved by a uniform draw of 100 places.
        assert np.std(moved[100:-100]) == pytest.approx(100 / np.sqrt(12), rel=0.03)

    def test_files_are_read_from_front_to_back_sixteen_at_a_time(self):
        shards = np.repeat(np.arange(40), 25)
        order = order_of(1000, buffer=1, shards=shards)
        for file in range(40):
            positions = order[shards[order] == file]
            assert np.all(np.diff(positions) > 0)
        read = shards[order]
        groups = [set(read[start : start + CYCLE * 25]) for start in (0, 400)]
        assert [len(group) for group in groups] == [CYCLE, CYCLE]
        assert not groups[0] & groups[1]
        # By turns: each sixteen images are of the sixteen files.
        assert all(len(set(read[start : start + CYCLE])) == CYCLE for start in range(0, 800, CYCLE))
        assert groups[0] != set(range(CYCLE))  # in random order
