"""Truncated, bit-flipped and missing files: an error in one line, or what was there before."""

import json
import pathlib
import random
import shutil
import warnings
import zipfile

import keras
import numpy as np
import pytest

from figures._runs import _read_result, read_history
from spectral_keras.analysis.masks import result as masks_file
from spectral_keras.data import DataError, load, load_corrupted
from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.corrupt.copy import Copy
from spectral_keras.experiments.folder import file_hash, read_json, write_history, write_json
from spectral_keras.experiments.saved_models import load_model, save_model
from spectral_keras.training.checkpoint import (
    CheckpointError,
    newest_checkpoint,
    read_checkpoint,
    save_checkpoint,
)
from tests.faults.conftest import copied, own_lines
from tests.faults.jobs import JOBS, content, outcome
from tests.faults.test_disk import finished_files
from tests.models.runs import write_tiny

SEED = 7


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A good file of each kind, made by the functions of the commands."""
    from spectral_keras.experiments.corrupt import command as corrupt

    folder = tmp_path_factory.mktemp("files")
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(3))
    model.compile("adam", "mse")
    for step in (1, 2):
        save_checkpoint(folder / "checkpoints", step, model, {"history": [step]})
    save_model(model, folder / "best.keras")
    rows = [{"epoch": 1, "loss": 0.5, "seconds": 1.25}, {"epoch": 2, "loss": 0.4, "seconds": 1.5}]
    write_history(folder / "history.csv", rows)
    config = {"model": "x", "options": {"limit": 600, "seed": 0, "learning_rate": 0.003}}
    write_json(folder / "config.json", config)
    hashed = {"history_sha256": file_hash(folder / "history.csv")}
    write_json(folder / "result.json", {"test_accuracy": 0.93, "test_loss": 0.25} | hashed)
    trial(folder)
    masks = {"masks": np.random.default_rng(0).random((2, 8, 8)).astype("float32")}
    masks_file.write(folder / "masks.npz", "masks", masks, {"of": "x"})
    write_tiny(folder / "tiny.npz")
    for name in ("copy", "copy.npz"):
        arguments = ["--dataset", str(folder / "tiny.npz"), "--images", "9", "--severities", "1"]
        arguments += ["--corruptions", "fog", "--output", str(folder / name)]
        with pytest.raises(SystemExit):
            corrupt.main(arguments)
    return folder


def trial(folder):
    """A finished trial of a search."""
    import keras_tuner
    from keras_tuner.engine.trial import Trial

    from spectral_keras.experiments.search.oracle import Oracle

    hp = keras_tuner.HyperParameters()
    hp.Float("gamma", 0.25, 0.75)
    oracle = Oracle(3, 1, 0, hp)
    oracle._set_project_dir(str(folder / "trials"), "")
    finished = Trial(hyperparameters=hp, trial_id="0", status="COMPLETED")
    finished.score, finished.best_step = 0.625, 2
    (folder / "trials" / "trial_0").mkdir(parents=True)
    oracle._save_trial(finished)


def _trial(path):
    from spectral_keras.experiments.search.oracle import load_trial

    return load_trial(path).get_state()


def _model(path):
    model = load_model(path)
    return [weight.tobytes() for weight in model.get_weights()], len(model.layers)


def _checkpoint(path):
    state, arrays = read_checkpoint(path)
    return state, {name: array.tobytes() for name, array in arrays.items()}


def _json(path):
    """What is known by its name: a flip in the checksum's own name leaves an entry of another."""
    found = read_json(path)
    return {name: found[name] for name in found if name in ("model", "options") or "test" in name}


def _history(path):
    result = _read_result(path.parent)
    if result is None:
        raise CommandError("noticed")
    return read_history(path), [result[name] for name in ("test_accuracy", "test_loss")]


def _masks(path):
    arrays, state = masks_file.read(path, "masks")
    return {name: array.tobytes() for name, array in arrays.items()}, state


def _data(path):
    data = load(str(path))
    arrays = [getattr(data, f"{part}_{split}") for part in "xy" for split in ("train", "test")]
    return [array.tobytes() for array in arrays], data.class_names


def _copy(path):
    where = path if path.suffix == ".npz" else path.parent
    found = load_corrupted(where)
    images = [np.asarray(found.read(name, 1)).tobytes() for name in found.names]
    return found.names, found.severities, found.labels.tobytes(), images


def _archive_to_go_on(path):
    """The manifest of a finished .npz, as --resume reads it."""
    found = Copy(path, "npz")._finished_archive()
    if found is None:
        raise CommandError("noticed")
    return found


# File -> how it is read, errors that say so in one line, flips in the short and the long form.
READERS = {
    "checkpoints/epoch-000002.ckpt": (_checkpoint, CheckpointError, 60, 600),
    "history.csv": (_history, CommandError, 60, 600),
    "config.json": (_json, CommandError, 60, 600),
    "result.json": (_json, CommandError, 60, 600),
    "trials/trial_0/trial.json": (_trial, CommandError, 60, 600),
    "masks.npz": (_masks, ValueError, 100, 600),
    "tiny.npz": (_data, DataError, 100, 600),
    "copy/fog.npy": (_copy, DataError, 60, 300),
    "copy/labels.npy": (_copy, DataError, 60, 300),
    "copy/corruptions.json": (_copy, DataError, 60, 600),
    "copy.npz": (_copy, DataError, 100, 600),
    "best.keras": (_model, CommandError, 30, 200),
}


def read(function, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(path)


@pytest.mark.parametrize("name", READERS)
def test_a_flipped_bit_is_noticed_or_harmless(files, long, tmp_path, record_property, name):
    function, error, *numbers = READERS[name]
    folder = tmp_path / "damaged"
    shutil.copytree(files, folder)
    path = folder / name
    good, wanted = path.read_bytes(), read(function, path)
    draw, noticed = random.Random(f"{SEED} {name}"), 0
    for _ in range(numbers[long]):
        bit = draw.randrange(8 * len(good))
        damaged = bytearray(good)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            found = read(function, path)
        except error as raised:
            noticed += 1
            assert "\n" not in str(raised) and str(raised), bit
            continue
        assert found == wanted, f"bit {bit} changes what is read and nobody notices"
    assert noticed > numbers[long] / 4
    record_property(f"faults: bit flips, {name}", numbers[long])
    record_property("faults: bit flips noticed", noticed)
    record_property("faults: bit flips harmless", numbers[long] - noticed)


@pytest.mark.parametrize("name", READERS)
def test_a_truncated_or_missing_file_is_noticed(files, long, tmp_path, record_property, name):
    function, error, *_ = READERS[name]
    folder = tmp_path / "damaged"
    shutil.copytree(files, folder)
    path = folder / name
    good, wanted = path.read_bytes(), read(function, path)
    draw = random.Random(f"{SEED} {name}")
    lengths = [0, 1, len(good) - 1, *(draw.randrange(len(good)) for _ in range(100 if long else 8))]
    for length in lengths:
        path.write_bytes(good[:length])
        try:  # the newline at the end of a JSON file is no loss
            assert read(function, path) == wanted, length
        except error as raised:
            assert "\n" not in str(raised) and str(raised)
        else:
            assert length == len(good) - 1
    record_property("faults: truncations", len(lengths))
    path.unlink()
    if name in ("copy/fog.npy", "copy/corruptions.json"):
        shutil.rmtree(path.parent)
        path.parent.mkdir()
    with pytest.raises((error, FileNotFoundError)):
        read(function, path)


def test_the_checkpoint_before_is_used(files, tmp_path):
    folder = tmp_path / "checkpoints"
    shutil.copytree(files / "checkpoints", folder)
    newest = folder / "epoch-000002.ckpt"
    newest.write_bytes(newest.read_bytes()[:-1])
    state, _, damaged = newest_checkpoint(folder)
    assert state == {"history": [1]} and len(damaged) == 1 and str(newest) in damaged[0]


@pytest.mark.parametrize("state", ["[" * 100_000, "3", "{"])
def test_masks_with_a_damaged_header(tmp_path, state):
    path = tmp_path / "masks.npz"
    packed = {"kind": "masks", "state": state}
    np.savez(path, **{name: np.frombuffer(text.encode(), "u1") for name, text in packed.items()})
    with pytest.raises(ValueError, match="masks.npz cannot be read as masks"):
        masks_file.read(path, "masks")


def test_flips_in_a_copy_that_continues(files, tmp_path, capsys, long, record_property):
    """--resume makes a damaged piece anew, says so, and ends with the same bytes."""
    from spectral_keras.experiments.corrupt import command as corrupt

    folder = tmp_path / "copy"
    shutil.copytree(files / "copy", folder)
    arguments = ["--dataset", str(files / "tiny.npz"), "--images", "9", "--severities", "1"]
    arguments += ["--corruptions", "fog", "--output", str(folder), "--resume"]
    wanted = outcome(folder)
    good, draw = (folder / "fog.npy").read_bytes(), random.Random(SEED)
    number = 200 if long else 20
    for _ in range(number):
        bit = draw.randrange(8 * len(good))
        damaged = bytearray(good)
        damaged[bit // 8] ^= 1 << bit % 8
        (folder / "fog.npy").write_bytes(damaged)
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            corrupt.main(arguments)
        err = capsys.readouterr().err
        assert left.value.code == 0 and err == "fog: what is there is damaged and made anew\n"
        assert outcome(folder) == wanted
    record_property("faults: bit flips, copy/fog.npy with --resume", number)


def test_flips_in_images_of_a_folder(long, tmp_path, record_property):
    """An error that names the file, or an image: the files of others carry no checksum of ours."""
    from PIL import Image

    rng, draw = np.random.default_rng(0), random.Random(SEED)
    for suffix in ("png", "jpg"):
        root = tmp_path / suffix
        for number in range(40):
            path = root / "ab"[number % 2] / f"{number}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 255, (12, 12, 3), "uint8")).save(path)
        good = path.read_bytes()
        noticed = 0
        for length in (0, 1, len(good) // 2):
            path.write_bytes(good[:length])
            with pytest.raises(DataError, match=path.name):
                read(_data, root)
        number = 400 if long else 60
        for _ in range(number):
            bit = draw.randrange(8 * len(good))
            damaged = bytearray(good)
            damaged[bit // 8] ^= 1 << bit % 8
            path.write_bytes(damaged)
            try:
                read(_data, root)
            except DataError as raised:
                noticed += 1
                assert "\n" not in str(raised) and (
                    path.name in str(raised) or root.name in str(raised)
                )
        assert noticed > 0
        record_property(f"faults: bit flips, images of a folder ({suffix})", number)
        record_property(f"faults: bit flips noticed, images of a folder ({suffix})", noticed)


# --- the commands, continuing in folders with damaged files

DAMAGES = {
    "truncated": lambda data: data[: len(data) // 2],
    "flipped": lambda data: (
        data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 4]) + data[len(data) // 2 + 1 :]
    ),
    "missing": None,
}
# How far a job is when its files are damaged, as a share of its file operations.
FAR = {"training": 0.75, "search": 0.6, "masks": 0.5, "corrupt": 0.6,
       "corrupt npz": 0.6, "figure": 0.7}  # fmt: skip
SHORT = {"corrupt", "corrupt npz"}
RECORDED = {"best.keras", "config.json", "history.csv", "result.json", "curves.png"}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", FAR)
def test_each_file_damaged(forker, inputs, wholes, long, tmp_path, record_property, name, damage):
    if not (long or name in SHORT):
        pytest.skip("in the long form")
    job, whole = JOBS[name], wholes(name)
    begun = copied(inputs, tmp_path / "begun")
    inject = {"root": str(begun), "kind": "kill", "at": int(FAR[name] * len(whole.operations))}
    forker.run(job.main, job.argv(), begun, eager=job.eager, inject=inject)
    paths = [path.relative_to(begun) for path in sorted(finished_files(begun))]
    paths = [path for path in paths if not (inputs / path).exists()]
    refused = 0
    for number, relative in enumerate(paths):
        folder = tmp_path / str(number)
        shutil.copytree(begun, folder)
        path = folder / relative
        if DAMAGES[damage] is None:
            path.unlink()
        else:
            path.write_bytes(DAMAGES[damage](path.read_bytes()))
        before = {other: data for other, data in finished_files(folder).items() if other != path}
        done = forker.run(job.main, job.argv(resume=True), folder, eager=job.eager)
        assert done.status in (0, 2) and "Traceback" not in done.err, (relative, done.err)
        if done.status == 0:
            expected = dict(whole.outcome)
            if name == "figure" and relative.name in RECORDED:
                # The figure has this training's record: nothing reads it any more.
                path.unlink(missing_ok=True)
                expected.pop(str(relative), None)
            assert outcome(folder / job.output) == expected, relative
        else:
            refused += 1
            assert len(own_lines(done)) == 1, done.err
            # Without its mark a folder is no copy any more: that is what the line says.
            unmarked = "holds no corrupted copy" in done.err and relative.name == "corruptions.json"
            assert unmarked or path.name in done.err or path.parent.name in done.err, done.err
            assert all(other.read_bytes() == data for other, data in before.items())
    record_property(f"faults: {damage} files, {name}", len(paths))
    record_property(f"faults: {damage} files refused, {name}", refused)


def test_content_tells_jobs_apart(files, tmp_path):
    """The comparison behind all of it: another weight or number is another outcome."""
    for name in ("best.keras", "config.json", "history.csv", "checkpoints/epoch-000002.ckpt"):
        assert content(files / name) == content(files / name)
    shutil.copy(files / "config.json", tmp_path / "config.json")
    changed = json.loads((tmp_path / "config.json").read_text())
    changed["options"]["limit"] = 601
    (tmp_path / "config.json").write_text(json.dumps(changed))
    assert content(tmp_path / "config.json") != content(files / "config.json")
    model = keras.saving.load_model(files / "best.keras", compile=False)
    weights = model.get_weights()
    weights[0].flat[5] = np.nextafter(weights[0].flat[5], np.float32(9))
    model.set_weights(weights)
    model.save(tmp_path / "best.keras")
    assert content(tmp_path / "best.keras") != content(files / "best.keras")
    assert pathlib.Path(files / "best.keras").exists() and zipfile.is_zipfile(files / "best.keras")
