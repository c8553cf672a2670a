import json

import keras
import numpy as np
import pytest

from spectral_keras.training.checkpoint import (
    CheckpointError,
    checkpoint_files,
    newest_checkpoint,
    read_checkpoint,
    restore_checkpoint,
    save_checkpoint,
)
from tests.oracles import random_images, to_numpy


def small_model(units=3, optimizer=None, policy=None):
    model = keras.Sequential(
        [
            keras.Input((4, 4, 2)),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.5, seed=3),
            keras.layers.Dense(units, dtype=policy),
            keras.layers.BatchNormalization(),
        ]
    )
    model.compile(optimizer or keras.optimizers.Adam(0.05), "mse", metrics=["mae"])
    return model


def train(model, epochs=1):
    x, y = random_images((12, 4, 4, 2)), random_images((12, 3), seed=1)
    model.fit(x, y, batch_size=4, epochs=epochs, shuffle=False, verbose=0)


def variables(model):
    return [to_numpy(v) for v in (*model.weights, *model.optimizer.variables)]


class TestResume:
    @pytest.mark.parametrize("kind", ["adam", "sgd", "rmsprop"])
    def test_goes_on_bit_for_bit(self, tmp_path, kind):
        def optimizer():
            schedule = keras.optimizers.schedules.CosineDecay(0.1, 12)
            return {
                "adam": lambda: keras.optimizers.Adam(schedule, weight_decay=0.01),
                "sgd": lambda: keras.optimizers.SGD(schedule, momentum=0.9),
                "rmsprop": lambda: keras.optimizers.RMSprop(0.01),
            }[kind]()

        whole = small_model(optimizer=optimizer())
        train(whole, epochs=2)
        save_checkpoint(tmp_path, 2, whole, {"epoch": 2}, arrays={"best": np.arange(3)})
        train(whole, epochs=2)

        keras.utils.set_random_seed(99)  # other initial values: all must come from the file
        again = small_model(optimizer=optimizer())
        state, content, damaged = newest_checkpoint(tmp_path)
        arrays = restore_checkpoint(again, content)
        assert state == {"epoch": 2} and damaged == []
        np.testing.assert_array_equal(arrays["best"], np.arange(3))
        train(again, epochs=2)
        for expected, actual in zip(variables(whole), variables(again), strict=True):
            np.testing.assert_array_equal(actual, expected)

    def test_loss_scale_of_float16_is_kept(self, tmp_path):
        keras.config.set_dtype_policy("mixed_float16")
        model = small_model()
        train(model)
        scale = [v for v in model.optimizer.variables if "scale" in v.path]
        assert scale
        scale[0].assign(64.0)
        save_checkpoint(tmp_path, 1, model, {})
        again = small_model()
        restore_checkpoint(again, newest_checkpoint(tmp_path)[1])
        assert [float(v) for v in again.optimizer.variables if "scale" in v.path][0] == 64.0


class TestFiles:
    def test_keeps_the_newest_two(self, tmp_path):
        model = small_model()
        train(model)
        for step in range(1, 5):
            save_checkpoint(tmp_path, step, model, {"step": step})
        files = checkpoint_files(tmp_path)
        assert [read_checkpoint(file)[0]["step"] for file in files] == [4, 3]
        assert sorted(tmp_path.iterdir()) == sorted(files)  # no temporary file is left

    @pytest.mark.parametrize("damage", ["truncate", "flip", "head", "empty", "delete"])
    def test_damaged_file_is_noticed_and_the_one_before_used(self, tmp_path, damage):
        model = small_model()
        train(model)
        for step in (1, 2):
            path = save_checkpoint(tmp_path, step, model, {"step": step})
        data = bytearray(path.read_bytes())
        if damage == "truncate":
            data = data[: len(data) // 2]
        elif damage == "flip":
            data[len(data) // 2] ^= 1
        elif damage == "head":
            data[0] ^= 1
        elif damage == "empty":
            data = b""
        if damage == "delete":
            path.unlink()
        else:
            path.write_bytes(data)
            with pytest.raises(CheckpointError, match="epoch-000002"):
                read_checkpoint(path)
        state, content, damaged = newest_checkpoint(tmp_path)
        assert state == {"step": 1}
        assert len(damaged) == (damage != "delete")
        restore_checkpoint(model, content)

    def test_nothing_there(self, tmp_path):
        assert newest_checkpoint(tmp_path / "none") == (None, None, [])

    def test_other_model_is_refused(self, tmp_path):
        model = small_model()
        train(model)
        save_checkpoint(tmp_path, 1, model, {})
        _, content, _ = newest_checkpoint(tmp_path)
        with pytest.raises(CheckpointError, match="another model"):
            restore_checkpoint(small_model(units=5), content)
        with pytest.raises(CheckpointError, match="another model"):
            restore_checkpoint(small_model(optimizer=keras.optimizers.SGD()), content)

    def test_holds_no_pickle(self, tmp_path):
        import io

        model = small_model()
        train(model)
        path = save_checkpoint(tmp_path, 1, model, {"text": "ä"})
        payload = path.read_bytes().partition(b"\n")[2]
        with np.load(io.BytesIO(payload), allow_pickle=False) as stored:
            assert json.loads(stored["state.json"].tobytes()) == {"text": "ä"}
            assert all(stored[name].dtype != object for name in stored.files)
