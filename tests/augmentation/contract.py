"""What holds for every step of an augmentation."""

import numpy as np
import pytest


class AugmentationContract:
    """Tests of the fixture `step`; `images` is the test file's function of that name."""

    # A backend's kernels may round an image by its place in the batch.
    rounding = 0.0

    @pytest.mark.parametrize("shape", [(5, 8, 10, 3), (4, 7, 5, 1), (2, 1, 1, 4), (0, 8, 8, 3)])
    def test_new_float32_images_of_the_same_shape(self, step, shape):
        original = np.random.default_rng(1).random(shape).astype(np.float32)
        kept = original.copy()
        result = step(original, np.random.default_rng(2))
        assert result.shape == shape and result.dtype == np.float32
        assert np.all((result >= 0) & (result <= 1))
        np.testing.assert_array_equal(original, kept)
        assert not np.shares_memory(result, original) or result.size == 0

    def test_a_function_of_the_generator_alone(self, step):
        batch = self.images(16)
        first = step(batch, np.random.default_rng(3))
        np.testing.assert_array_equal(first, step(batch, np.random.default_rng(3)))
        assert not np.array_equal(first, step(batch, np.random.default_rng(4)))

    @pytest.mark.parametrize("rows", [slice(1, 15, 4), np.array([5, 2, 0]), slice(0, 0)])
    def test_a_part_gets_what_it_gets_in_the_batch(self, step, rows):
        batch, whole, alone = self.images(16), np.random.default_rng(3), np.random.default_rng(3)
        expected = step(batch, whole)[rows]
        part = step(batch[rows].copy(), alone, part=(16, rows))
        np.testing.assert_allclose(part, expected, rtol=0, atol=self.rounding)
        # The next step draws the same too.
        assert alone.bit_generator.state == whole.bit_generator.state

    def test_a_part_of_another_length_is_refused(self, step):
        with pytest.raises(ValueError, match="`part` must name 3 rows.*Received: 2 rows"):
            step(self.images(3), np.random.default_rng(0), part=(8, slice(2)))

    def test_uint8_equals_floats_divided_by_255(self, step):
        batch = np.random.default_rng(0).integers(0, 256, (6, 9, 8, 3), dtype=np.uint8)
        np.testing.assert_allclose(
            step(batch, np.random.default_rng(5)),
            step(batch.astype(np.float64) / 255, np.random.default_rng(5)),
            atol=1e-6,
        )

    def test_out_may_be_another_array_or_the_images_themselves(self, step):
        batch = self.images(6)
        expected = step(batch, np.random.default_rng(3))
        other = np.full_like(batch, np.nan)
        assert step(batch, np.random.default_rng(3), out=other) is other
        np.testing.assert_array_equal(other, expected)
        assert step(batch, np.random.default_rng(3), out=batch) is batch
        np.testing.assert_array_equal(batch, expected)
