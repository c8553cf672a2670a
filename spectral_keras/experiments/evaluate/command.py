"""A finished training run under attack or corruption: `python -m models.evaluate RUN ...`."""

import sys

import numpy as np

from spectral_keras.experiments import saved_models
from spectral_keras.experiments.command import CommandError, program, report_end
from spectral_keras.experiments.evaluate.attacks import Entries, run_attacks
from spectral_keras.experiments.evaluate.corruptions import (
    draw_corruptions,
    print_table,
    run_corruptions,
)
from spectral_keras.experiments.evaluate.options import parse
from spectral_keras.experiments.evaluate.plot import draw_robustness, eps_text, label
from spectral_keras.experiments.folder import read_json, write_json
from spectral_keras.experiments.train.run import RunFolder


def main(argv=None):
    """Run the command and leave with its status: 0, 2 (bad input) 130 or 143."""
    options = parse(argv)
    folder = RunFolder(options["run"])
    try:
        evaluate(options, folder, argv)
        status = 0
    except (CommandError, OSError, KeyboardInterrupt) as error:
        status = report_end(program("models.evaluate"), error, "the same command goes on")
    finally:
        folder.close()
    sys.exit(status)


def evaluate(options, folder, argv=None):
    """Add to result.json of the run in `folder` what `options` ask for."""
    config = _check_run(folder)
    folder.open(overwrite=False)
    _check_run(folder)  # no longer changed by others
    if options["corruptions"] is not None:
        _corrupt(options, folder, config, argv)
    if options["attack"]:
        _attack(options, folder, config, argv)


def _corrupt(options, folder, config, argv):
    def load():
        x, y = load_test(config, options)
        # The bytes that the floats were made of.
        return load_model(folder, x), np.rint(x * 255).astype(np.uint8), y

    def save(entries):
        result = read_json(folder / "result.json")
        write_json(folder / "result.json", result | {"corruptions": entries})

    dataset = config["options"].get("dataset")
    try:
        content = run_corruptions(options, dataset, folder, load, save, argv)
    except ValueError as error:
        raise CommandError(str(error)) from error
    draw_corruptions(folder / "corruptions.png", content, _title(config))
    print_table(content)
    print(f"results: {folder.path}/ (result.json, corruptions.png)")


def _attack(options, folder, config, argv):
    entries = Entries(folder)
    if entries.outdated:
        print(f"{entries.path} is of other weights: the attacks are run again", file=sys.stderr)

    def save():
        entries.save()
        result = read_json(folder / "result.json")
        write_json(folder / "result.json", result | {"attacks": entries.summary()})

    def load():
        x, y = load_test(config, options)
        return load_model(folder, x), x, y

    try:
        run_attacks(options, entries, load, save, argv)
    except ValueError as error:  # a bad option: the message says which
        raise CommandError(str(error)) from error
    save()
    shown = entries.summary()
    draw_robustness(folder / "robustness.png", shown, _title(config))
    _print_table(shown)
    print(f"results: {folder.path}/ (result.json, attacks.json, robustness.png)")


def _check_run(folder):
    """config.json of a finished run; a `CommandError` if there is none."""
    if not folder.path.is_dir():
        raise CommandError(f"there is no run folder {folder.path}")
    if not folder.begun:
        raise CommandError(f"{folder.path} holds no run of a training command: no config.json")
    folder.manifest()
    for name in ("best.keras", "result.json"):
        if not (folder / name).is_file():
            raise CommandError(
                f"{folder.path} has no {name}: finish the training first (--resume goes on with it)"
            )
    read_json(folder / "result.json")
    return read_json(folder / "config.json")


def load_test(config, options):
    """(images float32 in [0, 1], classes): the test set of the run, or --limit images of it."""
    from spectral_keras.data import load

    trained = config["options"]
    try:
        data = load(
            trained["dataset"],
            data_dir=options["data_dir"] or trained["data_dir"],
            limit=trained["limit"],
            limit_test=options["limit"],
            validation_fraction=trained["validation_fraction"],
            seed=trained["seed"],
            image_size=trained["image_size"],
            grayscale=trained["grayscale"],
            stream="auto",  # large training images stay in their files; the test images are read
        )
        x_test = np.asarray(data.x_test)
    except KeyError as error:
        raise CommandError(f"config.json of the run has no option {error}") from None
    except ValueError as error:
        raise CommandError(str(error)) from error
    if data.class_names != config.get("class_names", data.class_names):
        raise CommandError(
            f"{trained['dataset']} has other classes than the run was trained with: is it the same "
            "data set?"
        )
    # As the training's batches do it.
    return np.multiply(x_test, np.float32(1 / 255), dtype=np.float32), data.y_test


def load_model(folder, x):
    """The run's best model, which takes images such as `x`."""
    path = folder / "best.keras"
    model = saved_models.load_model(path)
    wanted = tuple(model.inputs[0].shape[1:])
    if wanted != x.shape[1:]:
        raise CommandError(
            f"{path} takes images of shape {wanted}, but those of the data set are {x.shape[1:]}"
        )
    return model


def _title(config):
    dataset = config["options"].get("dataset")
    return f"{config.get('model') or config.get('build')}, {dataset}"


def _print_table(entries):
    for entry in entries:
        print(f"{label(entry)}, norm {entry['norm']}, {entry['images']:,} test images")
        attacked = [point for point in entry["points"] if point["eps"] > 0]
        for point in [{"eps": 0.0, **entry["clean"]}, *attacked]:
            eps = eps_text(point["eps"], entry["norm"])
            low, high = (f"{100 * end:.2f}" for end in point["interval"])
            print(f"  eps {eps:>7}  {100 * point['accuracy']:6.2f} %  (95 %: {low} to {high})")
