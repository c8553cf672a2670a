"""The training command with images that stay in their files."""

import json
import pathlib

import numpy as np
import pytest

from tests.models.runs import TINY, assert_same_run

Image = pytest.importorskip("PIL.Image")


@pytest.fixture
def photos(tmp_path):
    """Images of different sizes whose class is their brightness."""
    rng = np.random.default_rng(0)
    for number in range(75):
        label = number % 3
        shape = (9 + number % 5, 8 + number % 3, 3)
        image = (40 + 80 * label + rng.integers(0, 30, shape)).astype(np.uint8)
        path = tmp_path / "photos" / f"class{label}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return tmp_path / "photos"


class TestStream:
    def test_the_same_run_in_memory_and_streamed_and_resumed(self, command, photos, tmp_path):
        """Bit for bit: in memory; streamed, stopped after an epoch and resumed with threads."""
        arguments = (
            *TINY[:-1], "crop_flip", "--dataset", photos, "--image-size", 8, "--epochs", 2,
            "--no-tensorboard",
        )  # fmt: skip
        memory, streamed = tmp_path / "memory", tmp_path / "streamed"
        status, out, err = command(*arguments, "--stream", "auto", "--output", memory)
        assert (status, err) == (0, "") and "images in memory (0.0 MiB decoded, within" in out
        options = ("--stream", "true", "--output", streamed)
        status, out, err = command(*arguments, *options, "--workers", 0)
        assert (status, err) == (0, "")
        assert "images streamed (0.0 MiB decoded) from 75 image files, 0 threads" in out
        config = json.loads((streamed / "config.json").read_text())
        assert config["data"]["stream"]["streamed"] and config["options"]["shuffle_buffer"] is None
        assert_same_run(memory, streamed)
        # As after a crash in the second epoch: its checkpoint is gone.
        _, newest = sorted((streamed / "checkpoints").iterdir())
        newest.unlink()
        status, out, _ = command(*arguments, *options, "--workers", 3, "--resume")
        assert status == 0 and "continuing after epoch 1" in out
        assert_same_run(memory, streamed)

    def test_a_shuffle_buffer_is_part_of_the_run(self, command, photos, tmp_path):
        arguments = (
            *TINY, "--dataset", photos, "--image-size", 8, "--epochs", 1, "--stream", "true",
            "--no-tensorboard", "--output", tmp_path / "run",
        )  # fmt: skip
        status, out, _ = command(*arguments, "--shuffle-buffer", 20)
        assert status == 0 and "shuffled over a buffer of 20 images" in out
        status, _, err = command(*arguments, "--shuffle-buffer", 21, "--resume")
        assert status == 2 and "--shuffle-buffer 20, not 21" in err

    def test_an_image_that_breaks_in_training(self, command, photos, tmp_path):
        from spectral_keras.data import load

        images = load(photos, image_size=8, stream=True, validation_fraction=0).x_train
        broken = pathlib.Path(images.source.files[images.indices[7]])
        whole = broken.read_bytes()
        broken.write_bytes(whole[: len(whole) // 2])
        arguments = (
            *TINY, "--dataset", photos, "--image-size", 8, "--epochs", 2, "--stream", "true",
            "--validation-fraction", 0, "--no-tensorboard", "--output", tmp_path / "run",
        )  # fmt: skip
        status, out, err = command(*arguments)
        assert status == 1 and "test accuracy" not in out
        assert (
            err.count("\n") == 1
            and f"{broken} cannot be read (OSError" in err
            and "--resume" in err
        )
        broken.write_bytes(whole)
        status, _, err = command(*arguments, "--resume")
        assert (status, err) == (0, "")

    def test_a_test_image_that_breaks(self, command, photos, tmp_path):
        from spectral_keras.data import load

        data = load(photos, image_size=8, stream=True)
        file = data.x_test.source.files[data.x_test.indices[3]]
        with open(file, "wb") as opened:
            opened.write(b"no image")
        status, _, err = command(
            *TINY, "--dataset", photos, "--image-size", 8, "--epochs", 1, "--stream", "true",
            "--no-tensorboard", "--output", tmp_path / "run",
        )  # fmt: skip
        assert status == 2 and err.count("\n") == 1
        assert f"{file} has the content of none of PNG" in err

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--stream", "maybe"), "expected true, false or auto"),
            (("--stream", "true", "--dataset", "digits"), "'digits' cannot be streamed"),
            (("--stream", "true"), "different sizes"),
            (("--shuffle-buffer", "0"), "--shuffle-buffer"),
        ],
    )
    def test_bad_options(self, command, photos, tmp_path, options, message):
        status, _, err = command("--dataset", photos, "--output", tmp_path / "run", *options)
        assert status == 2 and err.count("\n") == 1 and message in err
        assert not (tmp_path / "run").exists()
