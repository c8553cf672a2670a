"""A corrupted copy of a data set, in the layout of CIFAR-10-C: `python -m models.corrupt ...`."""

import hashlib
import sys
import time
from importlib import metadata
from typing import Any, NoReturn

import numpy as np

from spectral_keras import corruptions
from spectral_keras.corruptions.frost_texture import DESCRIPTION
from spectral_keras.experiments.command import CommandError, program
from spectral_keras.experiments.corrupt.copy import Copy
from spectral_keras.experiments.corrupt.options import CorruptOptions
from spectral_keras.experiments.corrupt.pieces import Pieces
from spectral_keras.experiments.folder import given_or, work_in
from spectral_keras.experiments.progress import Progress
from spectral_keras.experiments.provenance import data_hash
from spectral_keras.experiments.train.fit_options import FEW, load_dataset

__all__ = ["corrupt", "load_images", "main"]

# Values corrupted at a time: about a second of work.
_CHUNK = 1 << 20


def main(argv: list[str] | None = None) -> NoReturn:
    """Run the command and exit with its status: 0, 2 (bad input), 130 or 143."""
    options = CorruptOptions.of_command(argv)
    copy = Copy(options.output, options.format)
    sys.exit(
        work_in(
            copy,
            program("models.corrupt"),
            lambda: corrupt(options, copy=copy),
            "--resume continues it",
        )
    )


def corrupt(options: CorruptOptions, *, copy: Copy | None = None) -> dict[str, Any]:
    """Write a corrupted copy of a data set, or what is missing of it.

    Args:
        options: a `CorruptOptions`.
        copy: the `Copy` to write, which the caller closes; by default what options name.

    Returns:
        The content of corruptions.json.

    Raises:
        CommandError: if the options, the data or what is there do not allow it.

    Example:

    ```python
    from spectral_keras.data import load_corrupted
    from spectral_keras.experiments.corrupt import CorruptOptions, corrupt

    corrupt(CorruptOptions("digits-c", dataset="digits", corruptions=["fog"], images=100))
    print(load_corrupted("digits-c").read("fog", 3).shape)
    ```
    """
    with given_or(copy, lambda: Copy(options.output, options.format)) as used:
        _write(options, used)
        return used.content


def _write(options, copy):
    copy.check(options.resume, options.overwrite)
    images, labels, class_names = load_images(options)
    manifest = _manifest(options, images, labels, class_names)
    if not copy.begin_or_continue(manifest, options.overwrite):
        print(f"{copy.output} is finished; nothing to do", flush=True)
        return
    pieces = Pieces(copy.path, labels, options.severities, images.shape[1:])
    pieces.begin()
    begin, done, total = time.perf_counter(), 0, 0
    names, severities = copy.content["corruptions"], options.severities
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
    for name in names:
        digests = known[name]
        missing = range(len(digests), len(severities))
        with Progress(name) as bar:
            for number, place in enumerate(missing):
                shown = (number * len(images), len(missing) * len(images), bar)
                blocks = _blocks(images, name, severities[place], copy.content, *shown)
                digests.append(pieces.write(name, place, blocks))
                copy.set_digests(name, digests)
                copy.save()
                done += 1
            pieces.finish(name)
            bar.result = f"{done} of {total} pieces"
    copy.finish()
    print(
        f"{copy.output}: {len(images):,} {options.split} images of {options.dataset}, "
        f"{len(names)} corruptions, {len(severities)} severities, seed {options.seed}, "
        f"{max(0.0, time.perf_counter() - begin):.1f} s"
    )


def load_images(options: CorruptOptions) -> tuple[Any, np.ndarray, list[str]]:
    """(images uint8, classes, names of the classes) of the chosen split."""
    limits: dict[str, Any] = {"limit": options.images, "limit_test": 1}
    if options.split == "test":
        # A few training images: they show how many classes and which size there are.
        limits = {"limit": FEW, "limit_test": options.images}
    data = load_dataset(options, validation_fraction=0, **limits)
    images, labels = (getattr(data, f"{part}_{options.split}") for part in "xy")
    if images.shape[-1] not in (1, 3):
        raise CommandError(
            f"{options.dataset} has images of {images.shape[-1]} channels: corruptions are for "
            "1 or 3"
        )
    return images, labels, data.class_names


def _manifest(options, images, labels, class_names):
    return {
        "what": "corrupted copy of a data set, by python -m models.corrupt",
        "format": options.format,
        "dataset": options.dataset,
        "split": options.split,
        "limit": options.images,
        "image_size": options.image_size,
        "grayscale": options.grayscale,
        "images": len(images),
        "image_shape": list(images.shape[1:]),
        "class_names": list(class_names),
        "data_sha256": data_hash(images, labels),
        "labels_sha256": hashlib.sha256(np.asarray(labels, np.int64).tobytes()).hexdigest(),
        "seed": options.seed,
        "table": options.table or corruptions.table_for(*images.shape[1:3]),
        "frost": DESCRIPTION,
        "versions": _versions(),
        "severities": options.severities,
        "corruptions": options.corruption_names,
        "pieces": {},
    }


def _versions():
    """Versions of what the pixels depend on."""
    import spectral_keras

    packages = {name: metadata.version(name) for name in ("numpy", "scipy", "pillow")}
    return {"spectral_keras": spectral_keras.__version__} | packages


def _blocks(images, name, severity, manifest, done, total, bar):
    """The corrupted images, some at a time; what they are does not depend on how many."""
    step = max(1, _CHUNK // images[0].size)
    for start in range(0, len(images), step):
        indices = np.arange(start, min(start + step, len(images)))
        yield corruptions.corrupt(
            images[indices], name, severity, manifest["seed"], indices=indices,
            table=manifest["table"],
        )  # fmt: skip
        bar(done + start + len(indices), total)
