"""CIFAR-10-C from .npy files, an .npz and TFDS, against the arrays that the files were made of."""

import hashlib
import json
import os
import pickle
import shutil
import zipfile

import numpy as np
import pytest

from spectral_keras.corruptions import SEVERITIES, names
from spectral_keras.data import DataError, DataWarning, cifar10c, load_corrupted
from spectral_keras.data.arrays import balanced_prefix
from spectral_keras.evaluation import wilson_interval
from spectral_keras.evaluation.corruption import accuracy_on_corrupted
from tests.attacks.nets import linear_net

COUNT = 12
LABELS = np.array([3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8])


def image(name, severity, number, shape=(5, 6, 3)):
    seed = [cifar10c.NAMES.index(name), severity, number]
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def block(name, severity, shape=(5, 6, 3)):
    return np.stack([image(name, severity, number, shape) for number in range(COUNT)])


def write(folder, wanted=("fog", "glass_blur", "saturate"), shape=(5, 6, 3), severities=SEVERITIES):
    folder.mkdir(parents=True, exist_ok=True)
    for name in wanted:
        np.save(folder / f"{name}.npy", np.concatenate([block(name, s, shape) for s in severities]))
    np.save(folder / "labels.npy", np.tile(LABELS, len(severities)).astype(np.uint8))
    return folder


def zipped(folder, compression=zipfile.ZIP_STORED):
    path = folder.with_suffix(".npz")
    with zipfile.ZipFile(path, "w", compression) as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, file.name)
    return path


def test_the_names_are_those_of_the_corruptions():
    assert names("all") == cifar10c.NAMES


@pytest.fixture(params=["folder", "stored", "deflated"])
def stored(request, tmp_path):
    """Writes the files; returns the path of what holds them."""

    def make(*args, **options):
        folder = write(tmp_path / "set", *args, **options)
        if request.param == "folder":
            return folder
        deflated = request.param == "deflated"
        return zipped(folder, zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED)

    return make


class TestFiles:
    def test_every_block_is_that_of_its_severity(self, stored):
        path = stored(("saturate", "fog", "glass_blur"))
        corrupted = load_corrupted(path)
        assert corrupted.names == ("glass_blur", "fog", "saturate")  # the papers' order
        assert corrupted.severities == SEVERITIES and len(corrupted) == COUNT
        assert corrupted.image_shape == (5, 6, 3)
        assert corrupted.labels.dtype == np.int32
        np.testing.assert_array_equal(corrupted.labels, LABELS)
        for name in corrupted.names:
            for severity in SEVERITIES:
                images = corrupted.read(name, severity)
                assert images.dtype == np.uint8
                np.testing.assert_array_equal(images, block(name, severity))
        kind = "npz" if str(path).endswith(".npz") else "folder"
        assert corrupted.source == {"kind": kind, "path": str(path), "files": 3}

    def test_arrays_of_other_names_are_said_in_one_line(self, stored, tmp_path):
        folder = write(tmp_path / "set", ("fog",))
        for name in ("rain", "frosted", ".hidden"):
            np.save(folder / f"{name}.npy", np.zeros(3))
        (folder / "README.txt").write_text("of the published set")
        path = stored(("fog",))
        others = ["frosted.npy", "rain.npy"]
        if path.suffix == ".npz":
            others = [".hidden.npy", *others]
        line = f"arrays of other names: {len(others)} ({', '.join(others)})"
        with pytest.warns(DataWarning) as caught:
            corrupted = load_corrupted(path)
        assert [str(each.message) for each in caught] == [f"left out of {path}: {line}"]
        assert caught[0].filename == __file__
        assert corrupted.source["left_out"] == line and corrupted.names == ("fog",)

    @pytest.mark.parametrize("limit", [1, 7, 12, 100])
    def test_a_limit_keeps_the_class_shares(self, stored, limit):
        corrupted = load_corrupted(str(stored(("fog",))), limit=limit)
        chosen = balanced_prefix(LABELS, limit)
        assert len(corrupted) == min(limit, COUNT)
        np.testing.assert_array_equal(corrupted.labels, LABELS[chosen])
        np.testing.assert_array_equal(corrupted.read("fog", 4), block("fog", 4)[chosen])

    @pytest.mark.parametrize("shape", [(4, 4, 1), (7, 3, 3)])
    def test_other_shapes(self, stored, shape):
        corrupted = load_corrupted(stored(("frost",), shape))
        assert corrupted.image_shape == shape
        np.testing.assert_array_equal(corrupted.read("frost", 5), block("frost", 5, shape))

    def test_identity_is_the_hash_of_the_file(self, stored, tmp_path):
        corrupted = load_corrupted(stored())
        content = (tmp_path / "set" / "fog.npy").read_bytes()
        assert corrupted.identity("fog") == hashlib.sha256(content).hexdigest()

    def test_severities_of_a_manifest(self, stored, tmp_path):
        folder = write(tmp_path / "set", ("fog",), severities=(2, 5))
        made = {"severities": [2, 5], "dataset": "digits", "seed": 3, "pieces": {}}
        (folder / cifar10c.MANIFEST).write_text(json.dumps(made))
        corrupted = load_corrupted(stored(("fog",), severities=(2, 5)))
        assert corrupted.severities == (2, 5)
        np.testing.assert_array_equal(corrupted.read("fog", 5), block("fog", 5))
        assert corrupted.source["made"] == {"dataset": "digits", "seed": 3}
        with pytest.raises(DataError, match="has severities 2, 5. Received: severity=1"):
            corrupted.read("fog", 1)

    def test_a_folder_is_mapped(self, tmp_path):
        images = load_corrupted(write(tmp_path / "set")).read("fog", 2)
        assert isinstance(images, np.memmap) and not images.flags.writeable

    def test_the_published_size(self, tmp_path):
        """10,000 images, whose blocks are read without the rest of the file."""
        folder = tmp_path / "CIFAR-10-C"
        folder.mkdir()
        file = np.lib.format.open_memmap(
            folder / "fog.npy", "w+", np.uint8, shape=(50_000, 32, 32, 3)
        )
        file[20_000], file[29_999] = 7, 9  # the rest is a hole
        file.flush()
        np.save(folder / "labels.npy", np.tile(np.arange(10_000) % 10, 5))
        corrupted = load_corrupted(folder, limit=None)
        images = corrupted.read("fog", 3)
        assert images.shape == (10_000, 32, 32, 3)
        assert images[0, 0, 0, 0] == 7 and images[-1, 0, 0, 0] == 9
        assert corrupted.read("fog", 2)[-1].max() == 0


class _Pickled:
    def __reduce__(self):
        return exec, ("raise AssertionError('a pickle was executed')",)


def _save(name, array):
    return lambda folder: np.save(folder / f"{name}.npy", array)


def _bytes(name, data):
    return lambda folder: (folder / name).write_bytes(data)


def _cut(folder):
    path = folder / "fog.npy"
    path.write_bytes(path.read_bytes()[:-1])


GOOD = np.zeros((60, 5, 6, 3), np.uint8)
BAD = [
    (_save("fog", GOOD.astype(np.float32)), r"fog.npy of .* has data type float32: expected uint8"),
    (_save("fog", GOOD[..., 0]), r"fog.npy of .* has shape \(60, 5, 6\): expected \[images"),
    (_save("fog", GOOD[..., :2]), r"has shape \(60, 5, 6, 2\)"),
    (_save("fog", GOOD[:0]), r"has shape \(0, 5, 6, 3\)"),
    (_save("fog", GOOD[:-1]), r"different shapes: glass_blur.npy \(60, 5, 6, 3\), fog.npy \(59"),
    (_save("labels", np.zeros(59)), "labels.npy of .* has 59 labels for 60 images"),
    (_save("labels", np.arange(60)), "does not repeat the same labels for each of the 5"),
    (_save("labels", np.repeat(LABELS, 5)), "one block of images after the other"),
    (_save("labels", np.full(60, -1)), "holds the label -1"),
    (_save("labels", np.full(60, "cat")), "expected integers"),
    (_bytes("fog.npy", b"text"), "cannot be read|not read for safety"),
    (_bytes("fog.npy", pickle.dumps(_Pickled())), "not read for safety|cannot be read"),
    (_save("labels", np.array([_Pickled()], object)), "not read for safety"),
    (_bytes(cifar10c.MANIFEST, b"{"), "corruptions.json.* cannot be read|cannot be read .JSON"),
    (_bytes(cifar10c.MANIFEST, b"{}"), "names no severities"),
    (_bytes(cifar10c.MANIFEST, b'{"severities": [2, 1]}'), "names no severities"),
    (_bytes(cifar10c.MANIFEST, b'{"severities": [1], "format": "png"}'), "are PNG files"),
    (_bytes(cifar10c.MANIFEST, b'{"severities": [1], "seed": NaN}'), "NaN is no JSON"),
    (_bytes(cifar10c.MANIFEST, b" " * (2**24 + 1)), "larger than 16,777,216 bytes|is too large"),
    (lambda folder: (folder / "labels.npy").unlink(), "has no labels.npy"),
]  # fmt: skip


class TestBadFiles:
    @pytest.mark.parametrize(("spoil", "message"), BAD)
    @pytest.mark.parametrize("archive", [False, True])
    def test_one_line(self, tmp_path, spoil, message, archive):
        folder = write(tmp_path / "set")
        spoil(folder)
        with pytest.raises(DataError, match=message) as caught:
            load_corrupted(zipped(folder) if archive else folder)
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 500

    @pytest.mark.parametrize("name", ["fog.npy", "labels.npy", cifar10c.MANIFEST, ""])
    def test_a_pipe_is_not_waited_for(self, tmp_path, name):
        path = tmp_path / "pipe" if not name else write(tmp_path / "set") / name
        path.unlink(missing_ok=True)
        os.mkfifo(path)
        with pytest.raises(DataError, match="is a pipe"):
            load_corrupted(path if not name else path.parent)

    def test_promises_beyond_the_memory(self, tmp_path, monkeypatch):
        path = zipped(write(tmp_path / "set", ("fog",)), zipfile.ZIP_DEFLATED)
        corrupted = load_corrupted(path)
        pages = {"SC_PAGE_SIZE": 1, "SC_PHYS_PAGES": 100}
        monkeypatch.setattr(os, "sysconf", pages.__getitem__)
        with pytest.raises(DataError, match=r"labels\.npy of .* need"):
            load_corrupted(write(tmp_path / "more", severities=SEVERITIES * 2))
        with pytest.raises(DataError, match=r"fog\.npy of .* need"):
            corrupted.read("fog", 1)

    def test_a_cut_file(self, tmp_path):
        folder = write(tmp_path / "set")
        _cut(folder)
        with pytest.raises(DataError, match="fog.npy cannot be read"):
            load_corrupted(folder)

    def test_a_damaged_archive(self, tmp_path):
        path = zipped(write(tmp_path / "set", ("fog",)))
        corrupted = load_corrupted(path)
        data = bytearray(path.read_bytes())
        data[-3:] = b"xxx"
        path.write_bytes(data[:-200])
        with pytest.raises(DataError, match="cannot be read"):
            corrupted.read("fog", 1)
        path.write_text("text")
        with pytest.raises(DataError, match="neither a folder nor an .npz file"):
            load_corrupted(path)

    def test_nothing_there(self, tmp_path):
        with pytest.raises(DataError, match="no such folder or file"):
            load_corrupted(tmp_path / "none")
        with pytest.raises(DataError, match="holds no corrupted images"):
            load_corrupted(tmp_path)

    @pytest.mark.parametrize("source", [None, "", 3])
    def test_source(self, source):
        with pytest.raises(DataError, match="come from 'tfds', a folder or an .npz file"):
            load_corrupted(source)

    @pytest.mark.parametrize("limit", [0, 1.5, True, "all"])
    def test_limit(self, tmp_path, limit):
        with pytest.raises(DataError, match="limit must be a positive integer"):
            load_corrupted(write(tmp_path / "set"), limit=limit)

    def test_what_is_not_there(self, tmp_path):
        corrupted = load_corrupted(write(tmp_path / "set"))
        for call in (lambda: corrupted.read("snow", 1), lambda: corrupted.identity("snow")):
            with pytest.raises(DataError, match="has no 'snow': it has glass_blur, fog, saturate"):
                call()
        with pytest.raises(DataError, match="has severities 1, 2, 3, 4, 5. Received: severity=6"):
            corrupted.read("fog", 6)


class TestAccuracy:
    """On a linear model, against counting in float64."""

    KERNEL = np.stack([np.zeros(90), np.full(90, 1 / 90)], axis=1)
    BIAS = [0.49, 0.0]

    @pytest.fixture
    def model(self):
        return linear_net(self.KERNEL, self.BIAS, shape=(5, 6, 3))

    @pytest.fixture
    def corrupted(self, tmp_path):
        folder = write(tmp_path / "set")
        np.save(folder / "labels.npy", np.tile(LABELS % 2, 5))
        return load_corrupted(folder)

    def count(self, images):
        return int(np.sum((images.reshape(COUNT, -1).mean(axis=1) / 255 > 0.49) == LABELS % 2))

    def test_each_cell_is_what_counting_gives(self, model, corrupted):
        seen = []
        clean = block("snow", 1)
        result = accuracy_on_corrupted(
            model, corrupted, ["fog", "saturate"], (5, 2), clean=(clean, LABELS % 2), batch_size=5,
            progress=lambda *arguments: seen.append(arguments),
        )  # fmt: skip
        assert list(result) == ["images", "clean", "corruptions", "settings", "mean_accuracy"]
        assert result["images"] == COUNT and result["clean"]["correct"] == self.count(clean)
        for name, points in result["corruptions"].items():
            assert [point["severity"] for point in points] == [2, 5]
            for point in points:
                right = self.count(block(name, point["severity"]))
                assert 0 < right < COUNT
                assert point["correct"] == right and point["accuracy"] == right / COUNT
                assert point["interval"] == list(wilson_interval(right, COUNT))
        fog = [point["accuracy"] for point in result["corruptions"]["fog"]]
        assert result["mean_accuracy"] == pytest.approx(np.mean(fog))
        assert result["settings"] == {"source": corrupted.source}
        assert seen[:3] == [("fog", 2, 5, 12), ("fog", 2, 10, 12), ("fog", 2, 12, 12)]
        assert json.loads(json.dumps(result)) == result

    def test_all_that_is_there(self, model, corrupted):
        result = accuracy_on_corrupted(model, corrupted)
        assert list(result["corruptions"]) == ["glass_blur", "fog", "saturate"]
        assert [len(points) for points in result["corruptions"].values()] == [5, 5, 5]
        assert result["clean"] is None

    @pytest.mark.parametrize(
        ("options", "match"),
        [
            ({"corrupted": "folder"}, "`corrupted` must be what .*load_corrupted returns"),
            ({"names": "snow"}, "`names` must be one of"),
            ({"names": []}, "`names` must be a group"),
            ({"severities": 6}, "`severities`"),
            ({"batch_size": 0}, "`batch_size`"),
            ({"clean": (GOOD[:2] / 255, [0, 1])}, "`images` must be uint8"),
        ],
    )
    def test_arguments(self, model, corrupted, options, match):
        with pytest.raises(ValueError, match=match):
            accuracy_on_corrupted(model, **({"corrupted": corrupted} | options))

    def test_more_classes_than_the_model_has(self, model, tmp_path):
        with pytest.raises(ValueError, match="9"):
            accuracy_on_corrupted(model, load_corrupted(write(tmp_path / "set")))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    tfds = pytest.importorskip("tensorflow_datasets")
    pytest.importorskip("tensorflow")
    folder = tmp_path_factory.mktemp("published")
    write(folder / "CIFAR-10-C", cifar10c.NAMES, (32, 32, 3))
    data_dir = tmp_path_factory.mktemp("tfds")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            tfds.download.DownloadManager, "download_and_extract", lambda self, url: str(folder)
        )
        for config in ("gaussian_noise_1", "frosted_glass_blur_1", "elastic_4", "spatter_5"):
            builder = tfds.builder(f"cifar10_corrupted/{config}", data_dir=data_dir)
            builder.download_and_prepare()
    shutil.rmtree(folder)
    return data_dir


class TestTFDS:
    """The builder of TFDS itself, which finds a small CIFAR-10-C where it downloads it to."""

    def test_every_name_is_that_of_a_config(self):
        builder = pytest.importorskip("tensorflow_datasets").builder_cls("cifar10_corrupted")
        configs = {f"{n}_{s}" for n in cifar10c.TFDS_NAMES.values() for s in SEVERITIES}
        assert configs == set(builder.builder_configs)
        # The file that a config reads.
        module = __import__(builder.__module__, fromlist=["x"])
        files = {tf: f"{name}.npy" for name, tf in cifar10c.TFDS_NAMES.items()}
        assert files == module._CORRUPTIONS_TO_FILENAMES

    @pytest.mark.parametrize(
        ("name", "severity"),
        [("gaussian_noise", 1), ("glass_blur", 1), ("elastic_transform", 4), ("spatter", 5)],
    )
    def test_images_with_their_labels(self, prepared, capfd, name, severity):
        corrupted = load_corrupted("tfds", data_dir=prepared)
        images = corrupted.read(name, severity)
        assert capfd.readouterr() == ("", "")
        assert corrupted.names == cifar10c.NAMES and corrupted.severities == SEVERITIES
        assert corrupted.image_shape == (32, 32, 3) and len(corrupted) == COUNT
        known = {image(name, severity, n, (32, 32, 3)).tobytes(): n for n in range(COUNT)}
        numbers = [known[one.tobytes()] for one in images]
        assert sorted(numbers) == list(range(COUNT))
        np.testing.assert_array_equal(corrupted.labels, LABELS[numbers])
        assert corrupted.source == {
            "kind": "tfds", "builder": "cifar10_corrupted", "version": "1.0.0",
        }  # fmt: skip
        config = cifar10c.TFDS_NAMES[name]
        assert corrupted.identity(name) == f"cifar10_corrupted/{config}:1.0.0"

    def test_limit(self, prepared):
        whole = load_corrupted("tfds", data_dir=prepared)
        part = load_corrupted("tfds", data_dir=prepared, limit=5)
        chosen = balanced_prefix(whole.labels, 5)
        np.testing.assert_array_equal(part.labels, whole.labels[chosen])
        np.testing.assert_array_equal(part.read("spatter", 5), whole.read("spatter", 5)[chosen])

    def test_not_prepared_and_no_connection(self, prepared, tmp_path, capfd, monkeypatch):
        tfds = pytest.importorskip("tensorflow_datasets")

        def fail(self, url):
            raise OSError("no connection")

        monkeypatch.setattr(tfds.download.DownloadManager, "download_and_extract", fail)
        corrupted = load_corrupted("tfds", data_dir=prepared)
        for call in (
            lambda: load_corrupted("tfds", data_dir=tmp_path),
            lambda: corrupted.read("fog", 2),
        ):
            with pytest.raises(DataError, match=r"cifar10_corrupted/\w+_\d.* not in .*tfds build"):
                call()
        out, err = capfd.readouterr()
        assert out == "" and err.count("Downloading and preparing") == 2
        # What TFDS knows of the configurations, no images.
        left = {path.name for path in tmp_path.rglob("*") if path.is_file()}
        assert left <= {"metadata.json"}
