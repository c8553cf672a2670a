"""The training command with images that stay in their files."""

import json

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
    def test_the_same_run_streamed_in_memory_and_resumed(self, command, photos, tmp_path):
        """Bit for bit: in memory, streamed, and stopped and resumed with another reading."""
        arguments = (
            *TINY[:-1], "crop_flip", "--dataset", photos, "--image-size", 8, "--epochs", 3,
            "--no-tensorboard",
        )  # fmt: skip
        folders = [tmp_path / name for name in ("memory", "streamed", "resumed")]
        for folder, stream in zip(folders, ("false", "true", "true"), strict=False):
            status, out, err = command(
                *arguments, "--stream", stream, "--workers", 2, "--output", folder
            )
            assert (status, err) == (0, "")
            assert ("images streamed (0.0 MiB decoded) from 75 image files, 2 threads" in out) == (
                stream == "true"
            )
        config = json.loads((folders[1] / "config.json").read_text())
        assert config["data"]["stream"]["streamed"] and config["options"]["shuffle_buffer"] is None
        assert_same_run(folders[0], folders[1])
        # As after a crash in epoch 2: its checkpoint and what came later are gone.
        newest = sorted((folders[2] / "checkpoints").iterdir())
        assert len(newest) > 1
        newest[-1].unlink()
        status, out, _ = command(
            *arguments, "--stream", "auto", "--workers", 0, "--output", folders[2], "--resume"
        )
        assert status == 0 and "going on after epoch 2" in out and "images in memory" in out
        assert_same_run(folders[0], folders[2])

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
        broken = photos / "class1" / "1.png"
        whole = broken.read_bytes()
        broken.write_bytes(whole[:-20])
        arguments = (
            *TINY, "--dataset", photos, "--image-size", 8, "--epochs", 2, "--stream", "true",
            "--validation-fraction", 0, "--no-tensorboard", "--output", tmp_path / "run",
        )  # fmt: skip
        status, out, err = command(*arguments)
        assert status == 1 and "test accuracy" not in out
        assert err.count("\n") == 1 and "1.png cannot be read (OSError" in err and "--resume" in err
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
        assert f"{file} cannot be read (UnidentifiedImageError" in err

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
