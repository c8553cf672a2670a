"""Speed of the common corruptions against imagecorruptions: `python -m benchmarks.corruptions`.

Images of 32x32x3, each corruption at each of the 5 severities, both sides in the same number of
processes (one thread each), in turn.  imagecorruptions takes one image at a time and is in the
extra "corruptions"; without it only ours is timed.  Both sides run in worker processes of this
module: an array of images at once here, one image at a time there, as each is made to be called.
"""

if __name__ == "__main__":
    from models import command

    command("benchmarks.corruptions")

import concurrent.futures
import contextlib
import importlib.util
import multiprocessing
import os
import statistics
import sys
import time
import warnings

import numpy as np

from benchmarks import harness
from benchmarks._options import (
    add_numbers,
    add_only,
    benchmark_parser,
    choose,
    integer,
    number,
)

IMAGES = 10_000  # of each corruption and severity, that the totals are extrapolated to
LIBRARY = "imagecorruptions"
# Label of a way -> table of constants. imagecorruptions has ImageNet-C's at every size.
OURS, OURS_CIFAR = "spectral_keras", "spectral_keras, CIFAR-10-C's constants"
TABLES = {OURS: "imagenet", OURS_CIFAR: "cifar"}
CONSTANTS = (
    f"{LIBRARY} uses ImageNet-C's constants at every size; {OURS!r} uses the same ones "
    "(table='imagenet'), so that both do equal work. Exceptions: in elastic_transform "
    f"{LIBRARY} has constants of its own and no affine map; {LIBRARY} cuts frost out of the "
    "photographs, which it reads from a file for each image, and we out of procedural pictures in "
    "memory; it enlarges pixelate by the nearest pixel. CIFAR-10-C's own constants, made for "
    "32 x 32 pixels, are "
    f"{OURS_CIFAR!r}"
)
SIDE = 32

_images = None  # of a worker


def main(arguments=None):
    parser = benchmark_parser("corruptions", __doc__)
    add_only(parser, "corruptions")
    rows = [
        ("--images", integer(2, IMAGES), 1000, "images of a repeat, ours; theirs are fewer"),
        ("--seconds", number(0, 60, low_open=True), 0.3, "about how long a repeat of theirs takes"),
        ("--repeats", integer(3, 99), 3, "3 to 99"),
        ("--processes", integer(1, 64), 2, "of both sides"),
    ]
    add_numbers(parser, rows)
    options = parser.parse_args(arguments)
    if options.processes > options.images:
        parser.error(f"--images must be at least --processes: {options.images}")
    parser.check_use(options, {"seconds": (is_installed(), f"{LIBRARY}, which is not installed")})
    from spectral_keras.corruptions import SEVERITIES, names

    chosen = choose(parser, options.only, names("all"), str)
    ways = list(TABLES)
    if is_installed():
        ways.insert(1, LIBRARY)
    else:
        print(f"{LIBRARY} is not installed and left out: pip install -e '.[corruptions]'")
    meaning = " (times theirs, by wall clock and by processor time)" if len(ways) > 2 else ""
    print(f"images a second of {options.processes} processes{meaning}")
    rows = []
    with _Workers(options.processes, options.images) as workers:
        print(_line("", *ways), flush=True)
        for name in chosen:
            new = [_measure(workers, ways, name, level, options) for level in SEVERITIES]
            rows += new
            print(_line(name, *(_text(_mean(new, way), _mean(new, LIBRARY)) for way in ways)),
                  flush=True)  # fmt: skip
    totals = _totals(rows, [name for name in chosen if name in names()], ways)
    for way, total in totals["seconds"].items():
        print(f"{totals['what']}, {way}: {total['wall']:.0f} s ({total['cpu']:.0f} s of processor)")
    for way, ratio in totals["speedup"].items():
        print(f"{way}: {ratio['wall']:.1f}x ({ratio['cpu']:.1f}x by processor time)")
    if options.output:
        _write(options, arguments, chosen, ways, rows, totals)
    return 0


class _Workers:
    """Processes that each do their share of the images of one way at a time."""

    def __init__(self, number, images):
        self.number, self.images = number, images

    def __enter__(self):
        # One pool for each process: a job of two parts never runs in one of them.
        self.stack = contextlib.ExitStack()
        context = multiprocessing.get_context("spawn")
        self.pools = [
            self.stack.enter_context(
                concurrent.futures.ProcessPoolExecutor(
                    1, mp_context=context, initializer=start, initargs=(self.images,)
                )
            )
            for _ in range(self.number)
        ]
        return self

    def __exit__(self, *exception):
        return self.stack.__exit__(*exception)

    def run(self, way, name, severity, count):
        """Seconds an image, by the wall clock and by the processor, of about `count` images."""
        share = -(-count // self.number)
        begin = time.perf_counter()
        parts = [
            pool.submit(work, way, name, severity, share * part, share)
            for part, pool in enumerate(self.pools)
        ]
        cpu = sum(part.result()[1] for part in parts)
        images = share * self.number
        return (time.perf_counter() - begin) / images, cpu / images


def _measure(workers, ways, name, severity, options):
    """One row: medians over the repeats, in which the ways take turns."""
    counts = {}
    for way in ways:
        counts[way] = options.images
        if way == LIBRARY:
            # Once to warm up, then enough images to fill the time.
            workers.run(way, name, severity, 1)
            seconds = workers.run(way, name, severity, 2 * options.processes)[0]
            enough = round(options.seconds / seconds)
            counts[way] = min(options.images, max(4 * options.processes, enough))
        else:
            workers.run(way, name, severity, 20 * options.processes)
    times = {way: [] for way in ways}
    for way in harness.in_turn(ways, options.repeats):
        times[way].append(workers.run(way, name, severity, counts[way]))
    row = {"corruption": name, "severity": severity, "ways": {}}
    for way, pairs in times.items():
        walls, cpus = zip(*pairs, strict=True)
        row["ways"][way] = {
            "images": counts[way],
            "images_per_second": 1 / statistics.median(walls),
            "slowest": 1 / max(walls),
            "fastest": 1 / min(walls),
            "images_per_cpu_second": 1 / statistics.median(cpus),
        }
    return row


def _mean(rows, way):
    """Images a second over severities of as many images each, (wall, processor); or None."""
    if any(way not in row["ways"] for row in rows):
        return None
    return tuple(
        len(rows) / sum(1 / row["ways"][way][unit] for row in rows)
        for unit in ("images_per_second", "images_per_cpu_second")
    )


def _text(ours, theirs):
    if theirs is None or ours == theirs:
        return f"{ours[0]:.0f}"
    return f"{ours[0]:.0f} ({ours[0] / theirs[0]:.2f}x, {ours[1] / theirs[1]:.2f}x)"


def _line(first, *others):
    return f"{first:18}" + "".join(f"  {other:>40}" for other in others)


def _totals(rows, names, ways):
    """Seconds for all severities of the corruptions `names` with `IMAGES` images each."""
    rows = [row for row in rows if row["corruption"] in names]
    seconds = {
        way: {
            "wall": sum(IMAGES / row["ways"][way]["images_per_second"] for row in rows),
            "cpu": sum(IMAGES / row["ways"][way]["images_per_cpu_second"] for row in rows),
        }
        for way in ways
        if rows
    }
    speedup = {
        way: {unit: seconds[LIBRARY][unit] / seconds[way][unit] for unit in ("wall", "cpu")}
        for way in seconds
        if LIBRARY in seconds and way != LIBRARY
    }
    what = f"{len(names)} benchmark corruptions x 5 severities x {IMAGES} images, extrapolated"
    return {"what": what, "seconds": seconds, "speedup": speedup}


def _write(options, arguments, names, ways, rows, totals):
    summary = {}
    for name in names:
        own = [row for row in rows if row["corruption"] == name]
        figures = {way: _mean(own, way) for way in ways}
        theirs = figures.get(LIBRARY)
        summary[name] = {
            way: {"images_per_second": wall, "images_per_cpu_second": cpu}
            | ({"speedup": wall / theirs[0], "cpu_speedup": cpu / theirs[1]} if theirs else {})
            for way, (wall, cpu) in figures.items()
        }
    content = {
        "unit": "images a second of all processes together, median of interleaved repeats; a "
        "corruption's figure is of five severities of as many images each",
        "shape": [SIDE, SIDE, 3],
        "processes": options.processes,
        "repeats": options.repeats,
        "constants": CONSTANTS,
        "changes_for_new_versions": shims() if is_installed() else [],
        "totals": totals,
        "corruptions": summary,
        "rows": rows,
    }
    harness.write_results(options.output, "corruptions", arguments, content, versions())


def is_installed():
    """Whether imagecorruptions can be imported."""
    return importlib.util.find_spec(LIBRARY) is not None


def versions():
    """Versions of imagecorruptions and of what it works with."""
    packages = [LIBRARY, "scikit-image", "scipy", "pillow", "opencv-python"]
    return {name: harness.version(name) for name in packages}


def make_images(count):
    """uint8 [count, 32, 32, 3]: parts of scikit-learn's two photographs at a quarter size."""
    from PIL import Image
    from sklearn.datasets import load_sample_images

    photographs = [
        np.asarray(Image.fromarray(each).reduce(4)) for each in load_sample_images().images
    ]
    rng = np.random.default_rng(0)
    images = np.empty((count, SIDE, SIDE, 3), np.uint8)
    for index, image in enumerate(images):
        photograph = photographs[index % len(photographs)]
        top, left = (rng.integers(0, side - SIDE + 1) for side in photograph.shape[:2])
        image[...] = photograph[top : top + SIDE, left : left + SIDE]
    return images


def start(count):
    """Make a process a worker: images, one thread, and nothing printed."""
    global _images
    harness.import_quietly()
    import threadpoolctl

    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 (imagecorruptions prints)
    warnings.simplefilter("ignore")
    threadpoolctl.threadpool_limits(1)
    _images = make_images(count)
    if is_installed():
        import cv2

        cv2.setNumThreads(1)
        np.random.seed(0)


def work(way, name, severity, first, count):
    """Corrupt `count` of the images from number `first` on; (seconds, processor's seconds)."""
    chosen = _images[np.arange(first, first + count) % len(_images)]
    if way == LIBRARY:
        corrupt = _theirs()

        def job():
            for image in chosen:
                corrupt(image, severity, name)
    else:
        from spectral_keras.corruptions import corrupt

        def job():
            corrupt(chosen, name, severity, table=TABLES[way])

    return harness.timed(job)[1:]


def shims():
    """What imagecorruptions needs to run beside the installed NumPy and scikit-image, as text."""
    found = []
    if not hasattr(np, "float_"):
        found.append("numpy.float_ is numpy.float64")
    if not _has_multichannel():
        found.append("skimage.filters.gaussian: multichannel=True becomes channel_axis=-1")
    return found


def _has_multichannel():
    import inspect

    from skimage.filters import gaussian

    return "multichannel" in inspect.signature(gaussian).parameters


def _theirs():
    """`imagecorruptions.corrupt`, made to run beside newer versions."""
    import imagecorruptions
    from imagecorruptions import corruptions

    if not hasattr(np, "float_"):
        np.float_ = np.float64
    if not _has_multichannel():
        from skimage.filters import gaussian

        def with_channels(image, *arguments, multichannel=False, **options):
            axis = -1 if multichannel else None
            return gaussian(image, *arguments, channel_axis=axis, **options)

        corruptions.gaussian = with_channels
    return imagecorruptions.corrupt
