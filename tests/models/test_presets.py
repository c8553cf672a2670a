"""Presets: the files of a preset, those of the library, networks from them; on every backend."""

import configparser
import fnmatch
import hashlib
import io
import json
import pathlib
import re
import shutil
import zipfile

import keras
import numpy as np
import pytest

from spectral_keras import models
from spectral_keras.experiments.command import CommandError, report_end
from spectral_keras.experiments.preset.card import card, csv_text
from spectral_keras.experiments.subject import build_preset
from spectral_keras.models.macs import count_macs
from spectral_keras.models.preset import PRESETS, Preset
from spectral_keras.models.weights import (
    assign_weights,
    named_weights,
    pack_weights,
    read_weights,
)
from tests.oracles import random_images, to_numpy

ROOT = pathlib.Path(__file__).resolve().parents[2]
DIGITS = "deep_spectral_digits"
FILES = {"config.json", "metadata.json", "model.weights.npz", "README.md"}


@pytest.fixture
def folder(tmp_path):
    """A preset of somebody's own: a copy of the digits'."""
    return pathlib.Path(shutil.copytree(PRESETS / DIGITS, tmp_path / "mine"))


def change(path, **values):
    """Change entries of a JSON file by hand."""
    content = {k: v for k, v in json.loads(path.read_text()).items() if k != "sha256"}
    path.write_text(json.dumps(content | values))


class TestOfTheLibrary:
    @pytest.mark.parametrize("name", models.presets())
    def test_files_and_card_agree(self, name):
        preset, metadata = Preset(name), models.presets()[name]
        assert {path.name for path in preset.folder.iterdir()} == FILES
        assert preset.weights_path.stat().st_size == metadata["size"]["bytes"] <= 5_000_000
        assert {array.dtype for array in preset.weights().values()} == {np.dtype("float16")}
        assert metadata["name"] == name and metadata["network"] == preset.network
        assert metadata["clean"]["float16_cost_points"] < 0.05
        text = (preset.folder / "README.md").read_text()
        assert text == card(metadata, preset.class_names)
        model = models.from_preset(name)
        assert model.count_params() == metadata["size"]["parameters"]
        assert count_macs(model) == metadata["size"]["macs"]
        logits = to_numpy(model(random_images((2, *preset.input_shape)), training=False))
        assert logits.shape == (2, preset.num_classes) and np.isfinite(logits).all()

    def test_together_they_are_small(self):
        files = [path for path in PRESETS.rglob("*") if path.is_file()]
        assert sum(path.stat().st_size for path in files) <= 40_000_000
        # results.csv is the one file that is of no preset.
        assert {p.name for p in PRESETS.iterdir()} == {*models.presets(), "results.csv"}

    def test_results_csv_is_that_of_the_cards(self):
        assert (PRESETS / "results.csv").read_text() == csv_text(models.presets())

    def test_the_table_of_robust_weights_is_that_of_the_cards(self):
        page = (ROOT / "docs/guides/presets.md").read_text()
        found = re.findall(r"^\| `(resnet18_\w+)` \| [^|]+ \| (.+) \|$", page, re.MULTILINE)
        assert len(found) == 3
        for name, numbers in found:
            metadata = models.presets()[name]
            shown = [metadata["clean"]["accuracy"], metadata["corruptions"]["mean_accuracy"]]
            under = {round(255 * attack["eps"]): attack for attack in metadata["attacks"]}
            shown += [under[levels]["accuracy"] for levels in (2, 8)]
            assert numbers == " | ".join(f"{100 * value:.2f}" for value in shown)

    def test_the_wheel_holds_them(self):
        config = configparser.ConfigParser()
        config.read(ROOT / "setup.cfg")
        patterns = config["options.package_data"]["spectral_keras"].split()
        for path in PRESETS.rglob("*"):
            name = str(path.relative_to(ROOT / "spectral_keras"))
            assert path.is_dir() or any(fnmatch.fnmatch(name, p) for p in patterns), name

    def test_metadata_are_read_when_they_are_looked_up(self, monkeypatch):
        opened = []
        monkeypatch.setattr(Preset, "_json", lambda self, name: opened.append(name) or {})
        found = models.presets()
        assert DIGITS in found and len(found) == len(list(found)) and DIGITS in repr(found)
        assert opened == []
        with pytest.raises(KeyError):
            found["nothing"]


class TestFromPreset:
    def test_weights(self, folder):
        arrays = Preset(folder).weights()
        for place in (DIGITS, folder, str(folder)):
            found = named_weights(models.from_preset(place))
            assert found.keys() == arrays.keys()
            for name, array in arrays.items():
                np.testing.assert_array_equal(found[name], array.astype("float32"), err_msg=name)

    def test_another_number_of_classes_gives_a_new_head(self):
        model, arrays = models.from_preset(DIGITS, num_classes=3), Preset(DIGITS).weights()
        assert model.output_shape == (None, 3)
        for name, values in named_weights(model).items():
            if name.startswith("logits_maps/"):
                assert values.shape[-1] == 3 and arrays[name].shape[-1] == 10
            else:
                np.testing.assert_array_equal(values, arrays[name].astype("float32"))

    def test_fresh_weights(self):
        found = named_weights(models.from_preset(DIGITS, load_weights=False))
        assert (found["conv1/kernel_real"] != Preset(DIGITS).weights()["conv1/kernel_real"]).any()

    def test_another_size_of_images(self):
        model = models.from_preset(DIGITS, input_shape=(48, 40, 1))
        assert model.input_shape == (None, 48, 40, 1)
        with pytest.raises(ValueError, match=r"conv1/kernel_real has the shape .* channels"):
            models.from_preset(DIGITS, input_shape=(32, 32, 3))

    @pytest.mark.parametrize("wrong", ["deep_spectral_digit", "xyz", "", "no/such/folder"])
    def test_an_unknown_name_lists_names(self, wrong):
        with pytest.raises(ValueError, match=f"no preset '{wrong}'.* {DIGITS}"):
            models.from_preset(wrong)

    @pytest.mark.parametrize(
        ("values", "match"),
        [
            ({"what": "a run"}, "is not of a preset"),
            ({"network": "resnet9000"}, "unknown network 'resnet9000'"),
            ({"options": []}, "is not of a preset"),
            ({"input_shape": 3}, "is not of a preset"),
            ({"weights": {}}, "is not of a preset"),
            ({"weights": {"file": "../x.npz", "sha256": "0"}}, "cannot be read"),
            ({"weights": {"file": "model.weights.npz", "sha256": "0"}}, "SHA-256"),
            ({"options": {"width": 0.2}}, "has the shape"),
            ({"options": {"colour": 3}}, "unknown option 'colour' of deep_spectral"),
            ({"options": {"input_shape": [8, 8, 3]}}, "unknown option 'input_shape'"),
            ({"options": {"width": 1e308}}, "`width` must be a number > 0 and <= 1000000"),
            ({"network": "x" * 10**6}, r"network 'xxx.{,200}\.\.\.$"),
            ({"network": "generic_cnn", "options": {"dense_units": 3}}, "not iterable"),
            ({"class_names": []}, "is of 0 classes"),
            ({"input_shape": [32.0, 32, 1]}, r"images of the shape \(32.0, 32, 1\)"),
            ({"input_shape": [True, 32, 1]}, "images of the shape"),
            ({"network": "resnet18", "options": {}}, "of another one"),
        ],
    )
    def test_a_wrong_config(self, folder, values, match):
        change(folder / "config.json", **values)
        (folder.parent / "x.npz").write_bytes(b"")
        with pytest.raises(ValueError, match=match):
            models.from_preset(folder)

    @pytest.mark.parametrize(
        ("values", "match"),
        [
            ({"options": {"width": 1e5}}, "has more weights than the 43,780 of the file"),
            ({"class_names": ["a"] * 10**6}, "has more weights than the 43,780"),
            ({"input_shape": [100_000, 100_000, 1]}, "images of the shape"),
            ({"input_shape": [32, 32, 10**9]}, "images of the shape"),
            (
                {"network": "generic_cnn", "options": {"dense_units": [1] * 9999, "width": 0.01}},
                "more than 2,000 arrays",
            ),
        ],
        ids=["width", "classes", "size", "channels", "layers"],
    )
    def test_a_network_that_no_machine_holds_is_refused_before_it_is_built(
        self, folder, monkeypatch, values, match
    ):
        # Each of them would take gigabytes: what is made here is counted.
        made, variable = [], keras.Variable.__init__

        def init(self, *args, **kwargs):
            variable(self, *args, **kwargs)
            made.append(int(np.prod(self.shape)))

        monkeypatch.setattr(keras.Variable, "__init__", init)
        change(folder / "config.json", **values)
        with pytest.raises(ValueError, match=match) as caught:
            models.from_preset(folder)
        assert sum(made) < 2**23 and "\n" not in str(caught.value)

    def test_a_name_too_long_for_a_file(self):
        with pytest.raises(ValueError, match=r"no preset 'xxx.*\.\.\., nor a folder"):
            models.from_preset("x" * 5000)

    @pytest.mark.parametrize(("value", "status"), [(np.nan, 1), (1e300, 1), (None, 2)])
    def test_the_status_of_commands_says_that_weights_are_not_finite(self, folder, value, status):
        arrays = dict(Preset(folder).weights())
        name, array = next(iter(arrays.items()))
        arrays[name] = np.full(array.shape if value else (1,), value or 0.0)
        file = io.BytesIO()
        np.savez(file, **arrays)
        (folder / "model.weights.npz").write_bytes(file.getvalue())
        weights = json.loads((folder / "config.json").read_text())["weights"]
        weights["sha256"] = hashlib.sha256(file.getvalue()).hexdigest()
        change(folder / "config.json", weights=weights)
        with pytest.raises(CommandError) as caught:
            build_preset(Preset(folder))
        assert report_end("models.evaluate", caught.value) == status

    def test_a_damaged_config(self, folder):
        path = folder / "config.json"
        path.write_text(path.read_text().replace("0.15", "0.16"))
        with pytest.raises(ValueError, match="checksum"):
            models.from_preset(folder)

    def test_damaged_weights(self, folder):
        path = folder / "model.weights.npz"
        content = bytearray(path.read_bytes())
        content[5000] ^= 1
        path.write_bytes(content)
        with pytest.raises(ValueError, match="SHA-256"):
            models.from_preset(folder)
        path.unlink()
        with pytest.raises(ValueError, match="cannot be read"):
            models.from_preset(folder)


ARRAYS = {"a/kernel": np.array([[1.0, -2.5]], "float32"), "a/count": np.array(3)}


class TestWeightsFile:
    def write(self, path, content):
        path.write_bytes(content)
        return path, hashlib.sha256(content).hexdigest()

    def test_round_trip(self, tmp_path):
        content = pack_weights(ARRAYS)
        assert content == pack_weights(ARRAYS)  # the SHA-256 is that of the weights
        found = read_weights(*self.write(tmp_path / "w.npz", content))
        assert {k: v.dtype.name for k, v in found.items()} == {
            "a/kernel": "float16",
            "a/count": "int64",
        }
        np.testing.assert_array_equal(found["a/kernel"], [[1.0, -2.5]])

    @pytest.mark.parametrize("value", [np.nan, np.inf, 7e4])
    def test_what_float16_does_not_hold_is_refused(self, value):
        with pytest.raises(ValueError, match="the weight x is not finite in float16"):
            pack_weights({"x": np.array([1.0, value], "float32")})

    @pytest.mark.parametrize("make", [np.savez, np.savez_compressed], ids=["pickle", "packed"])
    def test_foreign_archives_are_refused(self, tmp_path, make):
        file = io.BytesIO()
        make(file, x=np.array([{}], object) if make is np.savez else np.zeros(9))
        with pytest.raises(ValueError, match="no file of weights"):
            read_weights(*self.write(tmp_path / "w.npz", file.getvalue()))

    @pytest.mark.parametrize(
        ("array", "match"),
        [(np.array([np.nan]), "weight x is not finite"), (np.array(["t"]), "other than numbers")],
    )
    def test_other_than_finite_numbers_are_refused(self, tmp_path, array, match):
        file = io.BytesIO()
        np.savez(file, x=array)
        with pytest.raises(ValueError, match=match):
            read_weights(*self.write(tmp_path / "w.npz", file.getvalue()))

    @pytest.mark.parametrize(
        "shape", ["(1000000000000000,)", "(4000000000,)", "(-1,)", f"({2**62}, {2**62})"]
    )
    def test_headers_that_claim_more_than_there_is(self, tmp_path, shape):
        text = f"{{'descr': '<f2', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("x.npy", b"\x93NUMPY\1\0\x76\0" + text.encode() + bytes(64))
        with pytest.raises(ValueError, match="other values than its header says"):
            read_weights(*self.write(tmp_path / "w.npz", file.getvalue()))

    def test_a_member_that_is_no_array(self, tmp_path):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("readme.txt", b"text")
        with pytest.raises(ValueError, match="readme.txt is no array"):
            read_weights(*self.write(tmp_path / "w.npz", file.getvalue()))

    def test_an_array_in_the_order_of_columns(self, tmp_path):
        file, array = io.BytesIO(), np.arange(6.0).reshape(2, 3)
        np.savez(file, x=np.asfortranarray(array))
        found = read_weights(*self.write(tmp_path / "w.npz", file.getvalue()))
        np.testing.assert_array_equal(found["x"], array)

    @pytest.mark.parametrize("value", [1e300, -1e39])
    def test_weights_that_float32_does_not_hold_change_nothing(self, value):
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="dense")])
        before = named_weights(model)
        arrays = {name: array + 1.0 for name, array in before.items()}
        arrays["dense/bias"] = np.full(3, value)
        with pytest.raises(ValueError, match="the weight dense/bias is not finite in float32"):
            assign_weights(model, arrays)
        for name, array in named_weights(model).items():
            np.testing.assert_array_equal(array, before[name])

    def test_bytes_that_are_no_archive_are_refused(self, tmp_path):
        with pytest.raises(ValueError, match="no file of weights"):
            read_weights(*self.write(tmp_path / "w.npz", b"text"))
        assert zipfile.is_zipfile(io.BytesIO(pack_weights(ARRAYS)))

    @pytest.mark.parametrize(
        ("spoil", "match"),
        [
            (lambda a: a.pop("dense/bias"), "lack dense/bias of the network"),
            (lambda a: a.update(more=np.zeros(1)), "have more, which the network lacks"),
            (lambda a: a.update({"dense/bias": np.zeros(4)}), r"shape \(4,\)"),
        ],
    )
    def test_weights_that_do_not_fit_change_nothing(self, spoil, match):
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="dense")])
        before = named_weights(model)
        arrays = {name: array + 1 for name, array in before.items()}
        spoil(arrays)
        with pytest.raises(ValueError, match=match):
            assign_weights(model, arrays, (7, 3))
        for name, array in named_weights(model).items():
            np.testing.assert_array_equal(array, before[name])
