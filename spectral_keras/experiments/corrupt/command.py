"""A corrupted copy of a data set, in the layout of CIFAR-10-C: `python -m models.corrupt ...`."""

import hashlib
import sys
import time
from importlib import metadata

import numpy as np

from spectral_keras.corruptions import corrupt, table_for
from spectral_keras.corruptions.frost_texture import DESCRIPTION
from spectral_keras.experiments.command import CommandError, program, report_end
from spectral_keras.experiments.corrupt.copy import Copy
from spectral_keras.experiments.corrupt.options import parse
from spectral_keras.experiments.evaluate.attacks import data_hash

# Values corrupted at a time: about a second of work.
_CHUNK = 1 << 20


def main(argv=None):
    """Run the command and leave with its status: 0, 2 (bad input) 130 or 143."""
    options = parse(argv)
    copy = Copy(options["output"], options["format"])
    try:
        write_copy(options, copy)
        status = 0
    except (CommandError, OSError, KeyboardInterrupt) as error:
        status = report_end(
            program("models.corrupt"), error, "--resume goes on" if copy.begun else ""
        )
    finally:
        copy.close()
    sys.exit(status)


def write_copy(options, copy):
    """Write to `copy` what `options` ask for and is not there yet."""
    copy.check(options["resume"], options["overwrite"])
    images, labels, class_names = load_images(options)
    manifest = _manifest(options, images, labels, class_names)
    if not copy.open(manifest, options["overwrite"]):
        print(f"{copy.output} is finished; nothing to do", flush=True)
        return
    pieces = copy.kind(copy.folder, labels, options["severities"], images.shape[1:], class_names)
    pieces.begin()
    begin, done, total = time.perf_counter(), 0, 0
    names, severities = copy.manifest["corruptions"], options["severities"]
    known = {}
    for name in names:
        digests = copy.digests(name)
        known[name] = digests[: pieces.good(name, digests)]
        if len(known[name]) < len(digests):
            print(f"{name}: what is there is damaged and made anew", file=sys.stderr)
        copy.set_digests(name, known[name])
        total += len(severities) - len(known[name])
    copy.save()
    kept = len(names) * len(severities) - total
    if kept:
        print(f"{kept} of {len(names) * len(severities)} pieces are there", flush=True)
    bar = _Bar(total * len(images))
    for name in names:
        since, digests = time.perf_counter(), known[name]
        for place in range(len(digests), len(severities)):
            blocks = _blocks(images, name, severities[place], manifest, bar)
            digests.append(pieces.write(name, place, blocks))
            copy.set_digests(name, digests)
            copy.save()
            done += 1
        pieces.finish(name)
        bar.line(f"{name}: {time.perf_counter() - since:.1f} s, {done} of {total} pieces")
    copy.finish()
    print(
        f"{copy.output}: {len(images):,} {options['split']} images of {options['dataset']}, "
        f"{len(names)} corruptions, {len(severities)} severities, seed {options['seed']}, "
        f"{time.perf_counter() - begin:.1f} s"
    )


def load_images(options):
    """(images uint8, classes, names of the classes) of the chosen split."""
    from spectral_keras.data import load

    limits = {"limit": options["limit"], "limit_test": 1}
    if options["split"] == "test":
        # A few training images: they show how many classes and which size there are.
        limits = {"limit": 1000, "limit_test": options["limit"]}
    try:
        data = load(
            options["dataset"],
            data_dir=options["data_dir"],
            validation_fraction=0,
            image_size=options["image_size"],
            grayscale=options["grayscale"],
            **limits,
        )
    except ValueError as error:
        raise CommandError(str(error)) from error
    images, labels = (getattr(data, f"{part}_{options['split']}") for part in "xy")
    if images.shape[-1] not in (1, 3):
        raise CommandError(
            f"{options['dataset']} has images of {images.shape[-1]} channels: corruptions are for "
            "1 or 3"
        )
    return images, labels, data.class_names


def _manifest(options, images, labels, class_names):
    return {
        "what": "corrupted copy of a data set, by python -m models.corrupt",
        **{
            key: options[key]
            for key in ("format", "dataset", "split", "limit", "image_size", "grayscale")
        },
        "images": len(images),
        "image_shape": list(images.shape[1:]),
        "class_names": list(class_names),
        "data_sha256": data_hash(images, labels),
        "labels_sha256": hashlib.sha256(np.asarray(labels, np.int64).tobytes()).hexdigest(),
        "seed": options["seed"],
        "table": options["table"] or table_for(*images.shape[1:3]),
        "frost": DESCRIPTION,
        "versions": _versions(),
        "severities": options["severities"],
        "corruptions": options["corruptions"],
        "pieces": {},
    }


def _versions():
    """Versions of what the pixels depend on."""
    import spectral_keras

    packages = {name: metadata.version(name) for name in ("numpy", "scipy", "pillow")}
    return {"spectral_keras": spectral_keras.__version__} | packages


def _blocks(images, name, severity, manifest, bar):
    """The corrupted images, some at a time; what they are does not depend on how many."""
    step = max(1, _CHUNK // images[0].size)
    for start in range(0, len(images), step):
        indices = np.arange(start, min(start + step, len(images)))
        yield corrupt(
            images[indices], name, severity, manifest["seed"], indices=indices,
            table=manifest["table"],
        )  # fmt: skip
        bar.add(len(indices))


class _Bar:
    """Keras' progress bar on a terminal; in a file, only lines."""

    def __init__(self, total):
        self.bar = None
        if total and sys.stdout.isatty():
            import keras

            self.bar = keras.utils.Progbar(total, unit_name="image")

    def add(self, count):
        if self.bar is not None:
            self.bar.add(count)

    def line(self, text):
        if self.bar is None:
            print(text, flush=True)
