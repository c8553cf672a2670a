"""Speed of learning masks of single images: `python -m benchmarks.masks`.

Finished masks a minute on a VGG-11-BN at 32x32x3, trained for a moment on real pixels, float32:
`spectral_keras.analysis.masks.learn_masks` on all images at once, with its default schedule,
against the published procedure on one image after the other (see `cases_mask_learning.published`).
The objectives of both are compared on the images that both did, less the 1 that no mask can get
below: a mask of ones has 0.07 there.  Beside them our batch with the published schedule, in steps a
second, for what batching alone gives.
"""

if __name__ == "__main__":
    from models import command

    command("benchmarks.masks")

import os
import pathlib
import statistics
import time

from benchmarks._options import benchmark_parser, integer, number


def _parser():
    parser = benchmark_parser("masks", __doc__)
    parser.add_argument("--dataset", default="cifar10", help="as of a training (default: cifar10)")
    parser.add_argument("--data-dir", help="folder of TensorFlow Datasets")
    for name, minimum, default, meaning in (
        ("--images", 1, 32, "images that we do"),
        ("--published-images", 1, 4, "of these, how many the published procedure does"),
        ("--train-images", 100, 10000, "images that the network is trained on"),
        ("--epochs", 1, 4, "passes over them"),
        ("--batch-size", 1, 64, "masks at once"),
        ("--repeats", 1, 3, "times that we do ours; the median counts"),
    ):
        parser.add_argument(
            name, type=integer(minimum), default=default, help=f"{meaning} (default: {default})"
        )
    parser.add_argument(
        "--width",
        type=number(0, 4, low_open=True),
        default=0.25,
        help="factor on the network's filters (default: 0.25)",
    )
    return parser


def main(arguments=None):
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.published_images > options.images:
        parser.error("--published-images must be at most --images")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

    # TensorFlow is imported only now, after the options are known to be good.
    import keras

    from benchmarks import cases_mask_learning, harness
    from spectral_keras.data import DataError, load
    from spectral_keras.experiments.command import command_line
    from spectral_keras.experiments.folder import write_json
    from spectral_keras.memory import keep_freed_memory

    if keras.backend.backend() != "tensorflow":
        parser.error(f"needs the TensorFlow backend of Keras, not {keras.backend.backend()!r}")
    kept = keep_freed_memory()
    try:
        data = load(
            options.dataset,
            data_dir=options.data_dir,
            limit=options.train_images,
            limit_test=max(500, options.images),
            validation_fraction=0,
        )
    except DataError as error:
        parser.error(str(error))
    model = cases_mask_learning.make_model(data, options.width, options.epochs)
    x, y = data.x_test.astype("float32") / 255, data.y_test
    accuracy = float(model.evaluate(x, y, verbose=0)[1])
    print(f"{model.name}, accuracy {accuracy:.3f} on {len(x)} test images", flush=True)
    rows = _measure(model, x[: options.images], options)
    for row in rows:
        print(_line(row), flush=True)
    ours, batch, theirs = rows
    summary = {
        "masks_a_minute": ours["masks_a_minute"] / theirs["masks_a_minute"],
        "masks_a_minute_of_processor_time": ours["masks_a_cpu_minute"]
        / theirs["masks_a_cpu_minute"],
        "steps_a_second_of_the_batch": batch["steps_a_second"] / theirs["steps_a_second"],
        "steps_a_second_of_the_batch_by_processor_time": batch["steps_a_cpu_second"]
        / theirs["steps_a_cpu_second"],
        "fewer_steps": theirs["mean_steps"] / ours["mean_steps_same_images"],
        "objective_less_1_ours": ours["objective_less_1_same_images"],
        "objective_less_1_published": theirs["objective_less_1_same_images"],
        "target": "at least 15x the masks a minute, to the same objective",
    }
    print(
        f"{summary['masks_a_minute']:.1f}x the masks a minute "
        f"({summary['masks_a_minute_of_processor_time']:.1f}x by processor time)"
    )
    if options.output:
        content = {
            "command": command_line("benchmarks.masks", arguments),
            "environment": harness.environment() | {"freed_memory_kept": kept},
            "model": {
                "name": "vgg11_bn",
                "width": options.width,
                "parameters": model.count_params(),
                "trained_on": f"{options.train_images} images of {options.dataset}, "
                f"{options.epochs} epochs",
                "accuracy": accuracy,
            },
            "ours_against_published": summary,
            "rows": rows,
        }
        pathlib.Path(options.output).parent.mkdir(parents=True, exist_ok=True)
        write_json(options.output, content)
        print(f"written: {options.output}")
    return 0


def _timed(function):
    """(result, seconds, processor seconds)."""
    begin, cpu = time.perf_counter(), time.process_time()
    result = function()
    return result, time.perf_counter() - begin, time.process_time() - cpu


def _measure(model, x, options):
    """Rows of ours, of our batch with the published schedule, and of the published procedure."""
    from benchmarks.cases_mask_learning import PENALTY, published
    from spectral_keras.analysis.masks import StepRule, learn_masks

    both = options.published_images
    common = {"penalty": PENALTY, "batch_size": options.batch_size}
    few = StepRule(patience=3, max_steps=40)

    def ours():
        return learn_masks(model, x, **common)

    def batch():
        return learn_masks(model, x, schedule="published", stopping=few, **common)

    theirs = published(model, *x.shape[1:])
    # Traces, compilations and first allocations.
    learn_masks(model, x, stopping=few, **common)
    batch()
    theirs(x[0], most_steps=20)
    mine, batches, single = [_timed(ours)], [_timed(batch)], []
    for image in x[:both]:
        single.append(_timed(lambda image=image: theirs(image)))
    for _ in range(options.repeats - 1):
        mine.append(_timed(ours))
        batches.append(_timed(batch))
    learned, stepped = mine[0][0], batches[0][0]
    results = [item[0] for item in single]
    return [
        {
            "way": "learn_masks, all at once",
            **_rates(len(x), int(learned.steps.sum()), *_medians(mine)),
            "masks": len(x),
            "mean_steps": float(learned.steps.mean()),
            "most_steps": int(learned.steps.max()),
            "converged": int(learned.converged.sum()),
            "predictions_kept": int(learned.kept.sum()),
            "objective_less_1": float(learned.objective.mean() - 1),
            "sparsity": float(learned.sparsity.mean()),
            "mean_steps_same_images": float(learned.steps[:both].mean()),
            "objective_less_1_same_images": float(learned.objective[:both].mean() - 1),
            "objectives_same_images": learned.objective[:both].tolist(),
        },
        {
            "way": "learn_masks, all at once, published schedule, first 40 steps",
            **_rates(None, int(stepped.steps.sum()), *_medians(batches)),
            "masks": len(x),
        },
        {
            "way": "published procedure, one image at a time",
            **_rates(
                both,
                sum(result["steps"] for result in results),
                sum(item[1] for item in single),
                sum(item[2] for item in single),
            ),
            "masks": both,
            "mean_steps": statistics.fmean(result["steps"] for result in results),
            "most_steps": max(result["steps"] for result in results),
            "converged": sum(result["converged"] for result in results),
            "predictions_kept": sum(result["kept"] for result in results),
            "objective_less_1_same_images": statistics.fmean(
                result["objective"] - 1 for result in results
            ),
            "objectives_same_images": [result["objective"] for result in results],
            "sparsity": statistics.fmean(result["sparsity"] for result in results),
        },
    ]


def _medians(runs):
    return [statistics.median(run[place] for run in runs) for place in (1, 2)]


def _rates(masks, steps, seconds, cpu_seconds):
    """What was done a minute and a second, by the clock and by processor time."""
    found = {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "steps_a_second": steps / seconds,
        "steps_a_cpu_second": steps / cpu_seconds,
    }
    if masks is not None:
        found["masks_a_minute"] = 60 * masks / seconds
        found["masks_a_cpu_minute"] = 60 * masks / cpu_seconds
    return found


def _line(row):
    text = f"{row['way']:<62}"
    if "masks_a_minute" in row:
        text += (
            f" {row['masks_a_minute']:7.1f} masks/min, {row['mean_steps']:6.0f} steps a mask, "
            f"objective - 1 = {row['objective_less_1_same_images']:.5f},"
        )
    return text + f" {row['steps_a_second']:.0f} steps/s"
