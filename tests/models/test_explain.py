"""The command that explains a saved model: a model that reads one frequency, resume, bad input."""

import csv
import json
import math
import os
import pathlib
import zipfile

import keras
import numpy as np
import pytest

from spectral_keras.analysis.masks import ImageMasks, SetMasks, result
from spectral_keras.data import load
from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.explain import command as explain
from spectral_keras.experiments.explain import plot as _explain_plot
from spectral_keras.experiments.train.run import RunFolder

ROOT = pathlib.Path(__file__).resolve().parents[2]
SIZE = (8, 6)
READ = (1, 2)  # the frequency (ky, kx) that tells the classes apart
FAST = ("--epochs", 30, "--single", 3, "--batch-size", 10)


def wave():
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    return np.cos(2 * np.pi * (READ[0] * y / SIZE[0] + READ[1] * x / SIZE[1]))


def weights():
    """Dense weights of the model: +- the wave, so that a class is the sign of its amplitude."""
    return np.stack([-wave().ravel(), wave().ravel()], axis=1)


def write_planted(path, seed=0):
    """Noise with a wave of amplitude +-0.03, which tells nine of ten images."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for split, count in (("train", 40), ("test", 90)):
        labels = np.arange(count) % 2
        noise = 0.1 * rng.standard_normal((count, *SIZE))
        images = 0.5 + 0.03 * (2 * labels - 1)[:, None, None] * wave() + noise
        arrays[f"x_{split}"] = np.rint(255 * np.clip(images, 0, 1)).astype("uint8")[..., None]
        arrays[f"y_{split}"] = labels
    np.savez(path, **arrays)
    return str(path)


def write_model(path, ending=None, sign=1, white=1.0, classes=2):
    layers = [keras.Input((*SIZE, 1)), keras.layers.Flatten()]
    layers.append(keras.layers.Dense(classes, activation=ending))
    model = keras.Sequential(layers)
    kernel = np.zeros((math.prod(SIZE), classes))
    kernel[:, :2] = sign * weights() / white
    model.set_weights([kernel, np.zeros(classes)])
    model.save(path)
    return str(path)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted")
    return write_model(folder / "linear.keras"), write_planted(folder / "planted.npz")


@pytest.fixture
def command(capsys, monkeypatch):
    """Runs the command in this process; returns (status, stdout, stderr)."""

    def call(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            explain.main([str(argument) for argument in arguments])
        output = capsys.readouterr()
        return stopped.value.code, output.out, output.err

    return call


def contents(folder):
    """What a finished explanation holds, but for how it was called."""
    found = {}
    for file in sorted(folder.rglob("*")):
        name = str(file.relative_to(folder))
        if file.suffix == ".json":
            found[name] = json.loads(file.read_text())
            # How it was called, and whether the checkout changed in between.
            found[name] |= {"command": None, "commit": None, "sha256": None}
        elif file.suffix in (".npz", ".npy"):
            loaded = np.load(file)
            arrays = dict(loaded) if file.suffix == ".npz" else {"": loaded}
            found[name] = {key: value.tolist() for key, value in arrays.items()}
        elif file.suffix == ".csv":
            found[name] = file.read_text()
        elif file.name != ".lock":
            found[name] = None
    return found


def wilson(hits, count, z=1.959963984540054):
    share = hits / count
    middle, width = share + z * z / 2 / count, math.sqrt(share * (1 - share) / count
                                                         + z * z / 4 / count**2)  # fmt: skip
    return [(middle + sign * z * width) / (1 + z * z / count) for sign in (-1, 1)]


def through(images, mask):
    return np.fft.ifft2(np.fft.fft2(images) * mask).real


def hits(images, labels):
    logits = images.reshape(len(images), -1) @ weights()
    return int((logits.argmax(1) == labels).sum())


@pytest.fixture(scope="module")
def made(files, tmp_path_factory):
    """An explanation with all there is, made in a process of its own state."""
    out = tmp_path_factory.mktemp("made") / "out"
    more = ("--per-class", "--heat-map", "--heat-map-images", "20", "--images", "60")
    more += ("--heat-map-norm", "1")
    arguments = [*more, *map(str, FAST), "--output", str(out)]
    with pytest.raises(SystemExit) as stopped:
        explain.main([files[0], "--dataset", files[1], *arguments])
    assert stopped.value.code == 0
    return out, json.loads((out / "explanation.json").read_text())


class TestCorrectness:
    def test_mask_is_the_one_frequency(self, made):
        out, report = made
        learned = SetMasks.load(out / "masks.npz")
        kept = {tuple(map(int, place)) for place in np.argwhere(learned.masks[0] > 0)}
        assert kept == {READ, (SIZE[0] - READ[0], SIZE[1] - READ[1])}
        for name in ("accuracy", "accuracy_held_out"):
            found = report[name]
            assert found["masked"] == found["plain"] and 0.7 < found["plain"]["share"] < 1
        by_class = SetMasks.load(out / "class_masks.npz")
        np.testing.assert_array_equal(by_class.classes, [0, 1])
        singles = ImageMasks.load(out / "single_masks.npz")
        for masks in (by_class.masks, singles.masks):
            assert all({tuple(map(int, p)) for p in np.argwhere(m > 0)} == kept for m in masks)

    def test_numbers(self, files, made):
        out, report = made
        mask = SetMasks.load(out / "masks.npz").masks[0].astype("float64")
        data = load(files[1])
        x, y = data.x_test[..., 0] / 255, data.y_test
        # Ninety images, of two classes in turn: the first sixty of them are learned on.
        for name, part in (("accuracy", slice(60)), ("accuracy_held_out", slice(60, 90))):
            for key, images in (("plain", x[part]), ("masked", through(x[part], mask))):
                found, count = report[name][key], len(images)
                assert (found["count"], found["images"]) == (hits(images, y[part]), count)
                assert found["share"] == found["count"] / count
                np.testing.assert_allclose(found["interval"], wilson(found["count"], count))
            assert report[name]["complement"]["images"] == len(x[part])
        numbers = report["mask"]
        assert numbers["sparsity"] == pytest.approx(mask.sum() / 48)
        assert numbers["zero_share"] == 46 / 48
        radius = np.hypot(*np.meshgrid(np.fft.fftfreq(8) * 8, np.fft.fftfreq(6) * 6, indexing="ij"))
        bands = {"low": radius < 1, "middle": (radius >= 1) & (radius < 2), "high": radius >= 2}
        for name, inside in bands.items():
            found = numbers["bands"][name]
            assert found["frequencies"] == inside.sum()
            assert found["mean"] == pytest.approx(mask[inside].mean())
            assert found["kept_share"] == pytest.approx((mask[inside] > 0).mean())
            assert found["share_of_mask"] == pytest.approx(mask[inside].sum() / mask.sum())
        centred = x[:60] - x[:60].mean((1, 2), keepdims=True)
        kept = (through(centred, mask) ** 2).sum((1, 2)) / (centred**2).sum((1, 2))
        assert numbers["power_kept"] == pytest.approx(kept.mean(), rel=1e-4)
        single = report["single_images"]
        assert single["images"] == single["prediction_kept"]["count"] == 3
        assert single["median_frequencies"] == 2

    def test_energies(self, made):
        out, _ = made
        with open(out / "energies.csv") as file:
            rows = list(csv.DictReader(file))
        mask = SetMasks.load(out / "masks.npz").masks[0].astype("float64")
        size = np.sqrt((mask**2).sum())
        rings = [row for row in rows if row["kind"] == "radial"]
        assert len(rings) == 5 and float(rings[-1]["high"]) == pytest.approx(5)
        for ring in rings:  # a cycle wide: (8, 6) has the radius 5
            count, energy = 0, 0.0
            for ky in range(-4, 4):
                for kx in range(-3, 3):
                    if float(ring["low"]) ** 2 <= ky**2 + kx**2 < float(ring["high"]) ** 2:
                        count, energy = count + 1, energy + mask[ky, kx] ** 2
            assert int(ring["frequencies"]) == count
            assert float(ring["mask"]) == pytest.approx(math.sqrt(energy) / size, abs=1e-7)
            assert float(ring["ones"]) == pytest.approx(math.sqrt(count / 48))
        wedges = [row for row in rows if row["kind"] == "angular"]
        assert len(wedges) == 8
        # (ky, kx) = (1, 2), downwards to the right, is at 333.4 degrees, its partner at 153.4.
        energies = [float(wedge["mask"]) for wedge in wedges]
        np.testing.assert_allclose(
            energies, [0, 0, 0, math.sqrt(0.5), 0, 0, 0, math.sqrt(0.5)], atol=1e-3
        )
        assert {"class 0", "class 1"} < set(rings[0])

    def test_examples_and_heat_map(self, files, made):
        out, report = made
        found = np.load(out / "examples.npz")
        mask = SetMasks.load(out / "masks.npz").masks[0].astype("float64")
        singles = ImageMasks.load(out / "single_masks.npz").masks.astype("float64")
        x = found["original"][..., 0].astype("float64")
        np.testing.assert_array_equal(found["label"], [0, 1, 0])
        test = load(files[1])
        np.testing.assert_allclose(x, test.x_test[:3, ..., 0] / 255, atol=1e-6)
        for key, masks in (
            ("masked", mask), ("complement", mask == 0), ("single_masked", singles),
            ("single_complement", singles == 0),
        ):  # fmt: skip
            np.testing.assert_allclose(found[key][..., 0], through(x, masks), atol=1e-5)
        heat = np.load(out / "heat_map.npy")
        # A wave of any other frequency changes nothing.
        wrong = report["heat_map"]["error"]["share"]
        others = np.ones(SIZE, bool)
        others[READ] = others[-READ[0], -READ[1]] = False
        clear = heat[others]
        assert heat.shape == SIZE and heat[READ] >= wrong + 0.15
        assert np.abs(np.median(clear) - wrong) < 0.1
        assert report["heat_map"]["images"] == 20

    def test_page(self, made):
        from PIL import Image

        with Image.open(made[0] / "explanation.png") as picture:
            pixels = np.asarray(picture.convert("L"), "float64")
        assert pixels.shape[1] == 1200 and pixels.std() > 20
        assert not (made[0] / "checkpoints").exists()

    def test_softmax_and_other_pixels(self, files, tmp_path, command):
        """The same model behind a softmax, and one that takes pixels from 0 to 255."""
        common = ("--dataset", files[1], *FAST, "--single", 0, "--images", 40)
        masks = []
        for name, options, more in (
            ("logits", {}, ()),
            ("softmax", {"ending": "softmax"}, ()),
            ("bytes", {"white": 255.0}, ("--pixel-range", 0, 255)),
        ):
            path = write_model(tmp_path / f"{name}.keras", **options)
            assert command(path, *common, *more)[0] == 0
            masks.append(SetMasks.load(tmp_path / f"{name}-explained" / "masks.npz").masks[0])
        np.testing.assert_allclose(masks[1], masks[0], atol=1e-3)
        np.testing.assert_allclose(masks[2], masks[0], atol=1e-3)

    def test_run_folder_and_split(self, files, tmp_path, command):
        """Data, split and limit of the run; the validation images of its own split."""
        run = tmp_path / "run"
        run.mkdir()
        write_model(run / "best.keras")
        options = {
            "dataset": files[1], "data_dir": None, "limit": 36, "image_size": None,
            "grayscale": False, "validation_fraction": 0.25, "seed": 5,
        }  # fmt: skip
        config = {"model": "vgg11_bn", "options": options, "class_names": ["0", "1"]}
        (run / "config.json").write_text(json.dumps(config))
        assert command(run, "--split", "validation", "--epochs", 2, "--single", 0)[0] == 0
        out = tmp_path / "run-explained"
        found = np.load(out / "examples.npz")["original"]
        wanted = load(files[1], limit=36, validation_fraction=0.25, seed=5).x_validation / 255
        assert len(found) == len(wanted) == 9
        assert {image.tobytes() for image in np.rint(255 * found)} == {
            image.astype("float32").tobytes() for image in np.rint(255 * wanted)
        }
        report = json.loads((out / "explanation.json").read_text())
        assert report["accuracy_held_out"] is None and report["images"] == 9
        (run / "config.json").write_text(json.dumps(config | {"class_names": ["a", "b"]}))
        status, _, err = command(run, "--overwrite")
        assert status == 2 and "has other classes than the run was trained with" in err

    def test_classes_by_name(self, files, tmp_path, command):
        """Of other data with the same names the numbers are the model's."""
        run = tmp_path / "run"
        run.mkdir()
        write_model(run / "best.keras")
        names = ["minus", "plus"]
        config = {"model": "vgg11_bn", "options": {"dataset": files[1]}, "class_names": names}
        (run / "config.json").write_text(json.dumps(config))
        with np.load(files[1]) as stored:
            arrays = dict(stored)
        arrays |= {name: 1 - arrays[name] for name in ("y_train", "y_test")}
        fast = ("--epochs", 2, "--single", 0, "--per-class", "--overwrite")
        for number, names in enumerate((["plus", "minus"], ["plus", "zero"])):
            other = tmp_path / f"other{number}.npz"
            np.savez(other, **arrays, class_names=np.array(names))
            status, _, err = command(run, "--dataset", other, *fast)
            if number:
                assert status == 2 and "does not know (zero)" in err and err.count("\n") == 1
                continue
            assert status == 0
            report = json.loads((tmp_path / "run-explained" / "explanation.json").read_text())
            assert report["accuracy"]["plain"]["share"] > 0.8
            assert [one["name"] for one in report["classes"]] == config["class_names"]

    def test_inputs_and_outputs_with_names(self, files, tmp_path, command):
        """They change nothing."""
        plain = keras.saving.load_model(files[0])
        image = keras.Input((*SIZE, 1), name="image")
        named = keras.Model({"image": image}, {"scores": plain(image)})
        named.save(tmp_path / "named.keras")
        found = []
        for number, model in enumerate((files[0], tmp_path / "named.keras")):
            out = tmp_path / f"out{number}"
            few = ("--epochs", 2, "--single", 1, "--images", 20, "--output", out)
            status, _, err = command(model, "--dataset", files[1], *few)
            assert (status, err) == (0, "")
            found.append(json.loads((out / "explanation.json").read_text()))
        assert found[0]["mask"] == found[1]["mask"]
        assert found[0]["accuracy"] == found[1]["accuracy"]

    def test_nothing_is_right(self, files, tmp_path, command):
        model = write_model(tmp_path / "wrong.keras", sign=-1)
        data = str(tmp_path / "clean.npz")
        labels = np.arange(30) % 2
        images = 0.5 + 0.3 * (2 * labels - 1)[:, None, None, None] * wave()[..., None]
        images = np.rint(255 * images).astype("uint8")
        np.savez(data, x_train=images, y_train=labels, x_test=images, y_test=labels)
        status, text, _ = command(model, "--dataset", data, *FAST)
        assert status == 0 and "note: the model classifies none of the images correctly" in text
        report = json.loads((tmp_path / "wrong-explained" / "explanation.json").read_text())
        assert report["accuracy"]["plain"]["count"] == 0 and len(report["notes"]) >= 1


class Killed(BaseException):
    """Ends the command as SIGKILL does: nothing is cleaned up on the way."""


class TestResume:
    def arguments(self, files):
        return [files[0], "--dataset", files[1], *FAST, "--per-class", "--images", 40]

    def test_killed_at_any_stage(self, files, tmp_path, command, monkeypatch):
        arguments = self.arguments(files)
        assert command(*arguments, "--output", tmp_path / "whole")[0] == 0
        wanted = contents(tmp_path / "whole")
        begun = []

        def stop(function, name, count):
            left = [count]

            def stopped(path, *args, **options):
                if pathlib.Path(path).name == name:
                    left[0] -= 1
                    if left[0] < 0:
                        raise Killed
                return function(path, *args, **options)

            return stopped

        for name, count in (("masks.npz", 5), ("single_masks.npz", 1)):
            out = tmp_path / f"killed-{name}"
            with monkeypatch.context() as patch:
                patch.setattr(result, "write", stop(result.write, name, count))
                with pytest.raises(Killed):
                    explain.main([*map(str, arguments), "--output", str(out)])
            assert not (out / name).exists() and not (out / "explanation.json").exists()
            begun.append(out)
        out = tmp_path / "killed-page"
        with monkeypatch.context() as patch:
            patch.setattr(explain, "draw_page", stop(explain.draw_page, "explanation.png", 0))
            with pytest.raises(Killed):
                explain.main([*map(str, arguments), "--output", str(out)])
        assert not (out / "explanation.json").exists()
        begun.append(out)
        for out in begun:
            status, _, err = command(*arguments, "--output", out, "--resume")
            assert (status, err) == (0, "")
            assert contents(out) == wanted, out
        status, text, _ = command(*arguments, "--output", out, "--resume")
        assert status == 0 and "is finished; nothing to do" in text
        for more, message in (
            ((), "already holds an explanation"),
            (("--resume", "--penalty", 0.3), "was started with --penalty 0.2, not 0.3"),
            (("--resume", "--images", 30), "was started with --images 40, not 30"),
            (("--resume", "--pixel-range", 0, 2), "with --pixel-range 0.0 1.0, not 0.0 2.0"),
        ):
            status, _, err = command(*arguments, "--output", out, *more)
            assert status == 2 and message in err and err.count("\n") == 1
        assert contents(out) == wanted
        (out / "notes.txt").write_text("mine")
        assert command(*arguments, "--output", out, "--overwrite", "--single", 0)[0] == 0
        assert (out / "notes.txt").exists() and not (out / "single_masks.npz").exists()

    def test_interrupted(self, files, tmp_path, command, monkeypatch):
        def interrupted(*args, **options):
            raise KeyboardInterrupt

        monkeypatch.setattr(explain, "predictions", interrupted)
        status, _, err = command(*self.arguments(files), "--output", tmp_path / "out")
        assert status == 130 and "interrupted; --resume continues it" in err


BAD_OPTIONS = [
    ((), "MODEL"),
    (("",), "MODEL: expected a path"),
    (("m.keras",), "there is no model m.keras"),
    (("text.keras",), "text.keras is not a .keras file"),
    (("m.h5",), "m.h5 is not a .keras file"),
    (("empty",), "empty is neither a .keras file nor the folder of a training run"),
    (("CUT",), "CUT.keras is not a .keras file"),
    (("DAMAGED",), "DAMAGED.keras cannot be loaded"),
    (("MODEL", "--splt", "test"), "unknown option --splt; did you mean --split?"),
    (("MODEL", "--split", "all"), "--split: invalid choice: 'all'"),
    (("MODEL", "--images", "0"), "--images: expected a value >= 1"),
    (("MODEL", "--single", "-1"), "--single: expected a value >= 0"),
    (("MODEL", "--penalty", "0"), "--penalty: expected a value > 0"),
    (("MODEL", "--pixel-range", "1", "0"), "expected BLACK < WHITE, received 1 0"),
    (("MODEL", "--resume", "--overwrite"), "exclude each other"),
    (("MODEL", "--output", ""), "--output: expected a path"),
    (("MODEL", "--dataset", "none.npz"), "no such file: none.npz"),
    (("MODEL", "--dataset", "COLOUR"), "takes images of shape (8, 6, 1), but those of"),
    (("MODEL", "--dataset", "COLOUR", "--image-size", "4"), "(4, 4, 3)"),
    (("MODEL", "--dataset", "LABELS"), "has the class 3 (3), but"),
    (("MODEL", "--split", "validation", "--validation-fraction", "0"), "--split validation needs"),
    (("REGRESSION",), "REGRESSION.keras gives one number for two classes: masks need"),
    (("VECTOR",), "VECTOR.keras is no classifier of images: it takes (None, 5)"),
    (("CUSTOM",), "needs the custom object 'Unregistered', which is neither Keras' nor"),
    (("LAMBDA",), "holds Python code (a Lambda layer), which Keras' safe mode does not run"),
    (("FIXED", "--batch-size", "3"), "--batch-size 3 does not divide 4, the batch size"),
]


class Unregistered(keras.layers.Layer):
    def call(self, x):
        return x


@pytest.fixture(scope="module")
def bad(files, tmp_path_factory):
    """Name in BAD_OPTIONS -> path."""
    folder = tmp_path_factory.mktemp("bad")
    image, head = keras.Input((*SIZE, 1)), keras.layers.Dense(2)
    flat = keras.layers.Flatten()(image)
    vector = keras.Input((5,))
    fixed = keras.Input(batch_shape=(4, *SIZE, 1))
    models = {
        "REGRESSION": keras.Model(image, keras.layers.Dense(1)(flat)),
        "VECTOR": keras.Model(vector, keras.layers.Dense(2)(vector)),
        "CUSTOM": keras.Model(image, head(Unregistered()(flat))),
        "LAMBDA": keras.Model(
            image, head(keras.layers.Lambda(lambda x: x * 2, output_shape=(48,))(flat))
        ),
        "FIXED": keras.Model(fixed, keras.layers.Dense(2)(keras.layers.Flatten()(fixed))),
    }
    paths = {}
    for name, model in models.items():
        paths[name] = str(folder / f"{name}.keras")
        model.save(paths[name])
    stored = pathlib.Path(files[0]).read_bytes()
    for name, content in (("CUT", stored[: len(stored) // 2]), ("DAMAGED", stored)):
        paths[name] = str(folder / f"{name}.keras")
        pathlib.Path(paths[name]).write_bytes(content)
    with zipfile.ZipFile(files[0]) as source, zipfile.ZipFile(paths["DAMAGED"], "w") as target:
        for member in source.namelist():
            target.writestr(member, b"{" if member == "config.json" else source.read(member))
    images = np.zeros((8, *SIZE, 1), "uint8")
    for name, shape, labels in (
        ("COLOUR", (8, *SIZE, 3), np.arange(8) % 2), ("LABELS", images.shape, np.arange(8) % 4),
    ):  # fmt: skip
        paths[name] = str(folder / f"{name}.npz")
        zeros = np.zeros(shape, "uint8")
        np.savez(paths[name], x_train=zeros, y_train=labels, x_test=zeros, y_test=labels)
    return paths | {"MODEL": files[0]}


class TestBadInput:
    @pytest.mark.parametrize(("arguments", "message"), BAD_OPTIONS)
    def test_option(self, files, bad, tmp_path, command, monkeypatch, arguments, message):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "empty").mkdir()
        (tmp_path / "m.h5").write_bytes(b"")
        (tmp_path / "text.keras").write_text("no zip")
        before = sorted(os.listdir(tmp_path))
        given = [bad.get(argument, argument) for argument in arguments]
        if given and "--dataset" not in given:
            given += ["--dataset", files[1]]
        if "--output" not in given and given:
            given += ["--output", "out"]
        status, _, err = command(*given)
        assert status == 2
        assert message in err and err.count("\n") == 1, err
        assert sorted(os.listdir(tmp_path)) == before

    def test_folders_of_others(self, files, tmp_path, command):
        """Whatever the options, files that are not of an explanation stay."""
        run = tmp_path / "run"
        run.mkdir()
        for name, text in (("config.json", "{}"), ("settings.json", '{"what": "mine"}')):
            (run / name).write_text(text)
            for more in ((), ("--resume",), ("--overwrite",)):
                status, _, err = command(
                    files[0], "--dataset", files[1], *FAST, "--output", run, *more
                )
                assert status == 2 and err.count("\n") == 1
            assert (run / name).read_text() == text
        other = RunFolder(tmp_path / "used")
        other.open(overwrite=False)
        status, _, err = command(files[0], "--dataset", files[1], "--output", tmp_path / "used")
        other.close()
        assert status == 2 and "in use by another process" in err

    def test_a_full_disk_is_one_line(self, files, tmp_path, command, monkeypatch):
        def full(*args, **options):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(result, "write", full)
        status, _, err = command(files[0], "--dataset", files[1], "--output", tmp_path / "out")
        assert status == 2 and "No space left" in err and err.count("\n") == 1


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_what_a_person_sees_of_some_channels(channels):
    """Grey of one, colours of three and more; two are no colours."""
    image = np.random.default_rng(0).random((5, 4, channels))
    shown = _explain_plot._visible(image, image, (0, 1))
    expected = image[..., :3] if channels >= 3 else image.mean(-1)
    np.testing.assert_allclose(shown, expected)


def test_examples_on_the_page_are_of_different_classes():
    found = {
        "examples": {
            "label": np.array([0, 0, 1, 2, 1]),
            "original_class": np.array([1, 0, 1, 0, 1]),
            "original": None, "masked": None, "complement": None,
        },
        "singles": None,
    }  # fmt: skip
    rows = _explain_plot._example_rows(found)
    assert [i for row in rows for i, key in row if key == "masked"] == [1, 2, 3, 4]
    assert issubclass(CommandError, Exception)
