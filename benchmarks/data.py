"""Speed and memory of the input pipeline: `python -m benchmarks.data`.

Images a second of the streamed pipeline alone, against plain tf.data pipelines and Grain (left out
if it is not installed) over the same generated files, and against the training step of a network of
the zoo; then the memory that an epoch takes over a set that would not fit into the bound.
"""

if __name__ == "__main__":
    from models import command

    command("benchmarks.data")

import contextlib
import dataclasses
import importlib.util
import io
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np

from benchmarks import harness
from benchmarks._options import (
    add_numbers,
    add_only,
    benchmark_parser,
    choose,
    integer,
    parse_and_keep_memory,
)
from benchmarks.harness import Case, deferred
from benchmarks.layers import network_step

SIDE = 256  # pixels of the images of the memory measurement
BATCH = 16
CLASSES = 10
TEST_IMAGES = 20  # of the generated sets
STEP = "training step"  # how the names of cases without files begin
MEMORY = "memory"  # the case of the memory measurement
NAME = "generated_images"  # of the TFDS set that `write_tfds` prepares


def main(arguments=None):
    parser = benchmark_parser("data", __doc__)
    rows = [
        ("--repeats", integer(3, 99), 3, "3 to 99"),
        ("--images", integer(64, 10**6), 512, "JPEGs of an epoch"),
        ("--memory-mib", integer(0, 10**6), 2200, "decoded size of the set of the memory "
         "measurement; 0 leaves it out"),
        ("--bound-mib", integer(1, 10**6), 200, "memory that its epoch may take"),
    ]  # fmt: skip
    add_numbers(parser, rows)
    add_only(parser, f"cases (JPEG, PNG, training step, {MEMORY})")
    options, kept = parse_and_keep_memory(parser, arguments)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        built = cases(folder, options.images)
        chosen = _choose(parser, options, built)
        for name in chosen:
            if name == MEMORY:
                continue
            case, images = built[name]()
            measured = harness.measure(case, repeats=options.repeats, warmup=1)
            print(harness.format_rows(measured), flush=True)
            for row in measured:
                speed = 1e3 * images / row.milliseconds
                rows.append(dataclasses.asdict(row) | {"images_per_second": speed})
                rows[-1]["images_per_cpu_second"] = 1e3 * images / row.cpu_milliseconds
                print(f"  {row.way}: {speed:,.0f} images/s", flush=True)
        memory = _memory(folder, options) if MEMORY in chosen else None
    if options.output:
        content = {
            "unit": "milliseconds an epoch of the pipelines and a training step, median of "
            "interleaved repeats; memory in MiB",
            "rows": rows,
            "memory": memory,
        }
        known = {"freed_memory_kept": kept}
        harness.write_results(options.output, "data", arguments, content, known)
    return 1 if memory and memory["increase_mib"] > options.bound_mib else 0


def _choose(parser, options, names):
    """The cases that are measured, as --only has them; the other options must be of use to them."""
    names = [*names, *([MEMORY] if options.memory_mib else [])]
    chosen = choose(parser, options.only, names, str)
    timed = [name for name in chosen if name != MEMORY]
    read = [name for name in timed if not name.startswith(STEP)]
    parser.check_use(
        options,
        {
            "repeats": (timed, f"another case than {MEMORY}"),
            "images": (read, "a case of JPEGs or PNGs"),
            "memory_mib": (MEMORY in chosen or not options.memory_mib, f"the case {MEMORY}"),
            "bound_mib": (MEMORY in chosen, f"the case {MEMORY}"),
        },
    )
    return chosen


def _memory(folder, options):
    """Memory of one streamed epoch, in a process of its own."""
    count = -(-options.memory_mib * 2**20 // (SIDE * SIDE * 3))
    images = encoded_images(64, SIDE, "JPEG")
    path = pathlib.Path(folder, "memory")
    write_tfds(path, images, count, "JPEG", SIDE)
    found = {
        "images": count,
        "decoded_mib": round(count * SIDE * SIDE * 3 / 2**20, 1),
        "batch": [BATCH, SIDE, SIDE, 3],
        "bound_mib": options.bound_mib,
    }
    command = [
        sys.executable,
        "-c",
        "import sys; from benchmarks.data import measure_memory; measure_memory(sys.argv[1])",
        str(path),
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found |= json.loads(done.stdout.splitlines()[-1])
    print(
        f"memory: {found['before_mib']:,.0f} MiB after four batches of a part, at most "
        f"{found['peak_mib']:,.0f} MiB in opening the set and in an epoch of {count:,} images "
        f"({found['decoded_mib']:,.0f} MiB decoded): {found['increase_mib']:,.0f} MiB more, "
        f"bound {options.bound_mib} MiB"
    )
    return found


def measure_memory(folder):
    """Print the memory that a streamed epoch of the set in `folder` takes, as JSON.

    In a process whose peak nothing else has raised.  The increase is over what the process holds
    after four batches of a limited set.
    """
    from spectral_keras.memory import keep_freed_memory

    keep_freed_memory()  # as the training command does

    def batches(limit):
        return _batches(NAME, BATCH, SIDE, 2, "flip", data_dir=folder, stream=True, limit=limit)

    # TensorFlow, TFDS and Pillow are loaded, and the buffers of a few batches made: what the
    # epoch takes more is what grows with the set.
    first = batches(4 * BATCH)
    for index in range(len(first)):
        first[index]
    del first
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = _status("VmRSS")
    begin = time.perf_counter()
    epoch = batches(None)
    loaded = time.perf_counter()
    images = 0
    for index in range(len(epoch)):
        images += len(epoch[index][0])
    end = time.perf_counter()
    peak = _status("VmHWM")
    print(
        json.dumps(
            {
                "images": images,
                "before_mib": round(before, 1),
                "peak_mib": round(peak, 1),
                "increase_mib": round(peak - before, 1),
                "seconds_to_load": round(loaded - begin, 2),
                "seconds_of_the_epoch": round(end - loaded, 2),
            }
        )
    )


def _status(key):
    """A line of /proc/self/status in MiB."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) / 1024
    raise OSError(f"/proc/self/status has no {key}")


def encoded_images(count, side, form):
    """`count` different encoded images: soft blobs with noise, `side` pixels high.

    JPEGs (quality 90) differ in their widths, `side` to 1.5 `side`, as photographs do; PNGs are
    square.
    """
    from PIL import Image

    rng = np.random.default_rng(0)
    images = []
    for _ in range(count):
        width = side if form == "PNG" else int(rng.integers(side, 3 * side // 2 + 1))
        blobs = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        pixels = np.asarray(blobs.resize((width, side), Image.Resampling.BICUBIC), np.int16)
        noisy = np.clip(pixels + rng.integers(-8, 9, pixels.shape, np.int16), 0, 255)
        file = io.BytesIO()
        Image.fromarray(noisy.astype(np.uint8)).save(file, form, quality=90)
        images.append(file.getvalue())
    return images


def write_tfds(folder, images, count, form, side, file_format="tfrecord"):
    """Prepare a TFDS set of `count` training images in eight shards, of `images` by turns."""
    import tensorflow_datasets as tfds

    shape = (side, side, 3) if form == "PNG" else (None, None, 3)

    # Not registered: there may be several of this name, each in its folder.
    with tfds.core.registered.skip_registration():

        class GeneratedImages(tfds.core.GeneratorBasedBuilder):
            VERSION = tfds.core.Version("1.0.0")
            pkg_dir_path = None

            def _info(self):
                return self.dataset_info_from_configs(
                    features=tfds.features.FeaturesDict(
                        {
                            "image": tfds.features.Image(shape=shape, encoding_format=form.lower()),
                            "label": tfds.features.ClassLabel(num_classes=CLASSES),
                        }
                    ),
                    supervised_keys=("image", "label"),
                )

            def _split_generators(self, dl_manager):
                return {
                    "train": self._generate_examples(count),
                    "test": self._generate_examples(TEST_IMAGES),
                }

            def _generate_examples(self, number):
                for index in range(number):
                    image = io.BytesIO(images[index % len(images)])
                    yield index, {"image": image, "label": index % CLASSES}

    tfds.disable_progress_bar()
    builder = GeneratedImages(data_dir=folder, file_format=file_format)
    with contextlib.redirect_stdout(io.StringIO()):
        config = tfds.download.DownloadConfig(num_shards=8)
        builder.download_and_prepare(download_config=config)
    return builder


def write_folder(folder, images, count, form):
    """The same images as files: train/CLASS/ and test/CLASS/."""
    suffix = {"JPEG": "jpg", "PNG": "png"}[form]
    for split, number in (("train", count), ("test", TEST_IMAGES)):
        for index in range(number):
            path = pathlib.Path(folder, split, f"class{index % CLASSES}", f"{index}.{suffix}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(images[index % len(images)])


def _batches(name, batch, size, workers, augment, **options):
    """The batches of the training command."""
    from spectral_keras.augmentation.image import build_augmentation
    from spectral_keras.data import Batches, load

    data = load(name, validation_fraction=0, image_size=size, **options)
    return Batches(
        data.x_train,
        data.y_train,
        batch,
        shuffle=True,
        augment=build_augmentation(augment),
        workers=workers,
    )


@deferred
def _ours(*arguments, **options):
    """One epoch of `_batches`."""
    batches = _batches(*arguments, **options)

    def step():
        for index in range(len(batches)):
            batches[index]
        batches.epoch += 1

    return step


def _augment(tf, size):
    """Pad 4, crop, flip in tf.image, one image at a time, as tutorials do; then to [0, 1]."""

    def augment(image, label):
        image = tf.image.resize_with_crop_or_pad(image, size + 8, size + 8)
        image = tf.image.random_crop(image, (size, size, 3))
        return tf.image.random_flip_left_right(image), label

    return augment


@deferred
def _tf_data(builder, batch, size, augment, antialias):
    """One epoch of a plain tf.data pipeline over the TFDS set."""
    import tensorflow as tf

    def prepare(image, label):
        image = tf.cast(image, tf.float32) / 255
        if antialias is not None:
            image = tf.image.resize(image, (size, size), antialias=antialias)
        return image, label

    auto = tf.data.AUTOTUNE
    data = builder.as_dataset(split="train", shuffle_files=True, as_supervised=True)
    data = data.shuffle(1000).map(prepare, num_parallel_calls=auto)
    if augment:
        data = data.map(_augment(tf, size), num_parallel_calls=auto)
    return _epoch(data.batch(batch).prefetch(auto))


@deferred
def _keras_folder(folder, batch, size, augment):
    """One epoch of keras.utils.image_dataset_from_directory over the folder."""
    import keras
    import tensorflow as tf

    data = keras.utils.image_dataset_from_directory(
        pathlib.Path(folder, "train"),
        image_size=(size, size),
        batch_size=None if augment else batch,
        verbose=False,
    )
    auto = tf.data.AUTOTUNE
    data = data.map(lambda image, label: (image / 255, label), num_parallel_calls=auto)
    if augment:
        data = data.map(_augment(tf, size), num_parallel_calls=auto).batch(batch)
    return _epoch(data.prefetch(auto))


@deferred
def _grain(builder, batch, size, augment):
    """One epoch of a Grain pipeline over TFDS' data source: the same decoder, the same crops."""
    import grain
    import tensorflow_datasets as tfds

    from spectral_keras.augmentation.image import build_augmentation
    from spectral_keras.data.decode import decode

    crop = build_augmentation(augment)

    def read(example):
        return decode(example["image"], "RGB", size), example["label"]

    def finish(element, rng):
        images, labels = element
        return crop(images * np.float32(1 / 255), rng), labels

    decoders = {"image": tfds.decode.SkipDecoding()}
    data = grain.MapDataset.source(builder.as_data_source("train", decoders=decoders))
    data = data.seed(0).shuffle().map(read).batch(batch).random_map(finish)
    # As many batches wait as of ours; each epoch begins with none.
    reading = grain.ReadOptions(num_threads=2, prefetch_buffer_size=2)

    def step():
        for _ in data.to_iter_dataset(reading):
            pass

    return step


def _epoch(data):
    def step():
        for images, _ in data:
            images.numpy()

    return step


def _case(name, folder, form, stored, size, batch, count, augment):
    images = encoded_images(min(count, 256), stored, form)
    folder = pathlib.Path(folder, f"{form}-{stored}")
    kilobytes = sum(map(len, images)) / len(images) / 1000
    builder = write_tfds(folder / "tfds", images, count, form, stored)
    random_access = write_tfds(
        folder / "array_record", images, count, form, stored, file_format="array_record"
    )
    write_folder(folder / "folder", images, count, form)
    resize = None if form == "PNG" else size
    tfds = {"data_dir": folder / "tfds", "stream": True}
    ways = {
        f"streamed TFRecord, {workers} workers": _ours(
            NAME, batch, resize, workers, augment, **tfds
        )
        for workers in (0, 1, 2)
    }
    ways["streamed ArrayRecord, 2 workers"] = _ours(
        NAME, batch, resize, 2, augment, data_dir=folder / "array_record", stream=True
    )
    if importlib.util.find_spec("grain") is not None:
        pixels = None if resize is None else (size, size)
        ways["grain, 2 threads"] = _grain(random_access, batch, pixels, augment)
    ways["streamed folder, 2 workers"] = _ours(
        str(folder / "folder"), batch, resize, 2, augment, stream=True
    )
    ways["in memory, 1 worker"] = _ours(NAME, batch, resize, 1, augment, data_dir=folder / "tfds")
    crops = augment != "none"
    if form == "PNG":
        ways["tf.data"] = _tf_data(builder, batch, size, crops, None)
    else:
        ways["tf.data, resize without antialias"] = _tf_data(builder, batch, size, crops, False)
        ways["tf.data, resize with antialias"] = _tf_data(builder, batch, size, crops, True)
    ways["image_dataset_from_directory"] = _keras_folder(folder / "folder", batch, size, crops)
    return Case(
        name=name,
        shape=f"{count} images of {kilobytes:.0f} kB, batches [{batch},{size},{size},3], {augment}",
        reference="tf.data" if form == "PNG" else "tf.data, resize with antialias",
        ways=ways,
        targets={"streamed TFRecord, 2 workers": "faster than the training step"},
    )


def _step(name, label, network, size, batch, **options):
    return Case(
        name=name,
        shape=f"[{batch},{size},{size},3], forward, backward and Adam, float32",
        reference=label,
        ways={label: network_step(network, batch, size, **options)},
    )


def cases(folder, count=512):
    """name -> function that gives (Case, images of a step): JPEGs as large as Imagenette's small
    ones and as ImageNet's, PNGs of 32 pixels.

    A step of a pipeline is a whole epoch with threads that start idle: what was prepared while
    another way was being timed would flatter it.
    """
    large, jpeg, png = "JPEG 375 to 224 pixels", "JPEG 160 to 128 pixels", "PNG 32 pixels"
    steps = {name: f"{STEP} after {name}" for name in (large, jpeg, png)}
    half = -(-count // 2)
    return {
        large: lambda: (_case(large, folder, "JPEG", 375, 224, 32, half, "crop_flip"), half),
        steps[large]: lambda: (
            _step(steps[large], "ResNet-18 of width 0.25", "resnet18", 224, 2, width=0.25),
            2,
        ),
        jpeg: lambda: (_case(jpeg, folder, "JPEG", 160, 128, 32, count, "crop_flip"), count),
        steps[jpeg]: lambda: (
            _step(steps[jpeg], "ResNet-18 of width 0.25", "resnet18", 128, 8, width=0.25),
            8,
        ),
        png: lambda: (_case(png, folder, "PNG", 32, 32, 128, 4 * count, "crop_flip"), 4 * count),
        steps[png]: lambda: (_step(steps[png], "deep_spectral", "deep_spectral", 32, 32), 32),
    }
