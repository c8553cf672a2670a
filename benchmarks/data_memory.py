"""Memory of one streamed epoch: `python -m benchmarks.data_memory FOLDER`.

A process of its own for `benchmarks.data`, whose peak nothing else has raised.  The increase is
over what the process holds after four batches of a limited set.
"""

import json
import pathlib
import sys
import time


def _status(key):
    """A line of /proc/self/status in MiB."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) / 1024
    raise OSError(f"/proc/self/status has no {key}")


def main(folder):
    from benchmarks.cases_data import NAME
    from benchmarks.data import BATCH, SIDE
    from spectral_keras.augmentation.image import build_augmentation
    from spectral_keras.data import Batches, load
    from spectral_keras.memory import keep_freed_memory

    keep_freed_memory()  # as the training command does

    def batches(limit):
        data = load(
            NAME,
            data_dir=folder,
            image_size=SIDE,
            validation_fraction=0,
            stream=True,
            limit=limit,
        )
        return Batches(
            data.x_train,
            data.y_train,
            BATCH,
            shuffle=True,
            augment=build_augmentation("flip"),
            workers=2,
        )

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


if __name__ == "__main__":
    main(*sys.argv[1:])
