"""The command `python -m models.NAME`: train a network of the zoo and evaluate it."""

import difflib
import importlib.util
import types
from typing import Any, NoReturn

import keras

from spectral_keras.data import Dataset
from spectral_keras.data.errors import in_a_line
from spectral_keras.experiments.command import (
    ENDS,
    CommandError,
    Stopped,
    command_line,
    program,
    report_end,
)
from spectral_keras.experiments.folder import check_utf8, given_or
from spectral_keras.experiments.options import flag
from spectral_keras.experiments.process import process_kept
from spectral_keras.experiments.saved_models import load_model
from spectral_keras.experiments.train import devices as device_plans
from spectral_keras.experiments.train.attended import insert_gate
from spectral_keras.experiments.train.fit_options import FitOptions, is_same_dataset, load_dataset
from spectral_keras.experiments.train.objectives import split_augment, training_model
from spectral_keras.experiments.train.options import VIEWS, TrainOptions, values_before
from spectral_keras.experiments.train.run import Run, RunFolder, free_options
from spectral_keras.experiments.train.start import StartingWeights, freeze
from spectral_keras.memory import keep_freed_memory
from spectral_keras.models import registry
from spectral_keras.models.activation_limit import check_batch
from spectral_keras.models.weight_limit import fits_memory

__all__ = [
    "build_model",
    "compile_model",
    "configure",
    "describe_stream",
    "evaluation_batch",
    "load_data",
    "main",
    "make_batches",
    "run",
    "train",
]


def main(name: str, argv: list[str] | None = None) -> NoReturn:
    """Run the command and exit with its status: 0, 1 (stopped), 2 (bad input), 130 or 143."""
    if name not in registry.names():
        near = difflib.get_close_matches(name, registry.names(), n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "spectral-keras models lists them"
        raise CommandError(f"there is no network {name!r}: {hint}")
    run(TrainOptions.of_command(name, argv))


def run(options: TrainOptions) -> NoReturn:
    """`train` as a command: errors in one line, and the end of the process with its status."""
    keep_freed_memory()
    devices, folder, status = device_plans.Devices(), RunFolder.of(options), 0
    prog = program(f"models.{options.model}")
    try:
        devices = device_plans.plan(options)
        train(options, folder=folder, devices=devices)
    except ENDS as error:
        advice = f"--resume continues in {folder.path}" if folder.begun else ""
        status = report_end(prog, error, advice)
    except Exception as error:
        line = devices.lost(error)
        if line is None:
            devices.crash()
            raise
        status = report_end(prog, Stopped(line))
    finally:
        folder.close()
    devices.leave(status)


@process_kept()
def train(
    options: TrainOptions,
    *,
    folder: RunFolder | None = None,
    evaluate: bool = True,
    command: str | None = None,
    devices: device_plans.Devices | None = None,
) -> dict[str, Any]:
    """Train a network of the zoo, or continue to, and evaluate it.

    While it works Python, NumPy and the backend draw from the seed of the options, and TensorFlow
    is deterministic (without `jit`, on a CPU); afterwards the program draws on as it would have,
    see `spectral_keras.experiments.process.process_kept`.  The command also keeps freed memory
    (`spectral_keras.memory.keep_freed_memory`), which cannot be taken back: a program that wants
    the speed calls it itself.

    Args:
        options: a `TrainOptions`.
        folder: the `RunFolder`, which the caller closes; by default the one that options name.
        evaluate: whether to evaluate on the test set, once; without it there is no result.json.
        command: what the files name as the command; by default the one with these options.
        devices: of `devices.plan`, by default what the options and the environment ask for.

    Returns:
        The content of result.json; an empty dict without `evaluate`, and in every process of
        several but the first.

    Raises:
        CommandError: if the options, the data or the folder do not allow it.
        Stopped: if training ended before its end (out of memory, a loss that is not finite, an
            image that cannot be read).

    Example:

    ```python
    from spectral_keras.experiments.train import TrainOptions, train

    options = TrainOptions("deep_spectral", {"width": 0.1}, epochs=1, limit=200, output="run")
    print(train(options)["test_accuracy"])
    ```
    """
    with given_or(folder, lambda: RunFolder.of(options)) as used:
        return _train(options, used, evaluate, command, devices or device_plans.plan(options))


def _train(options, folder, evaluate, command, devices):
    name = options.model
    # Before the devices and the precision are chosen: the machine's choices, not the user's.
    command = command or command_line(f"models.{name}", options.recorded())
    chosen = options.precision == "auto"
    options = options.with_precision()
    if devices.workers == 1:
        _check_folder(folder, options)
    configure(options.seed, options.precision, deterministic=not options.jit)
    devices = devices.connect(options)
    if options.export:
        _check_export(folder, options.export)
    if devices.workers > 1:
        devices.together(_check_folder, folder, options, chief_only=True)
        devices.check_same("the options", options.settled())
    weights = StartingWeights(options.weights) if options.weights else None
    data, batches, model = _prepare(options, devices, weights)
    use_tensorboard = _use_tensorboard(options.tensorboard, folder.path)
    run = Run(options, folder, model, data, devices, command, weights)
    devices.together(_open_folder, folder, options, chief_only=True)
    resumed, say = False, print if devices.chief else _say_nothing
    if options.resume:
        with devices.scope():
            resumed = devices.together(run.restore)
        devices.check_same("the checkpoints", run.progress.history)
    if resumed:
        devices.together(_compare_conditions, run, say, chief_only=True)
    else:
        devices.together(run.write_config, chief_only=True)
    say(
        f"{name}: {run.describe_size()}; {data.name}: {len(data.y_train):,} training, "
        f"{len(data.y_validation):,} validation and {len(data.y_test):,} test images; "
        f"{keras.backend.backend()}, {options.precision}{' (the fastest here)' if chosen else ''}; "
        + (f"{devices}; " if devices.kind != "none" else "")
        + f"{folder.path}",
        flush=True,
    )
    attacked = run.validation_images == "adversarial"
    note = "the epochs' accuracies are those on attacked images" if attacked else None
    for line in filter(None, (weights, describe_stream(data, options), note)):
        say(f"{name}: {line}", flush=True)
    if run.progress.epochs_done:
        say(f"{name}: {run.describe_progress()}", flush=True)
    if not run.finished:
        run.fit(batches, use_tensorboard and devices.chief)
    if not evaluate:
        return {}
    return devices.together(_conclude, run, batches["test"], chief_only=True) or {}


def _prepare(options, devices, weights):
    """(data, batches, compiled model)."""
    from spectral_keras.memory import is_out_of_memory

    try:
        data, batches = devices.together(load_data, options)
        devices.check_data(len(data.y_train), options.batch_size)
        with devices.scope():
            model = build_model(options, data, len(batches["train"]), devices, weights)
        return data, batches, model
    except ValueError as error:  # a bad option or data set: the message says which
        raise CommandError(str(error)) from error
    except (CommandError, Stopped, OSError):
        raise
    except Exception as error:
        if is_out_of_memory(error):
            reason = str(error).rpartition("}} ")[2][:100]
            raise CommandError(
                "the network and the data do not fit into memory: give smaller options of the "
                f"network, a smaller --batch-size or a --limit ({reason})"
            ) from error
        if devices.lost(error):
            raise
        raise CommandError(
            f"{options.model} cannot be built with these options: {in_a_line(error)}"
        ) from error


def _check_folder(folder, options):
    folder.check(options.resume, options.overwrite)
    if options.resume and folder.begun:
        folder.check_network(options.model)
        before = values_before(options.model)
        stored, settings = folder.manifest(), options.to_json()
        if is_same_dataset(options.dataset, stored):  # by another path, from another folder
            settings["dataset"] = stored["options"].get("dataset")
        folder.check_same(settings, free_options(options), before=before)
        if options.weights:
            StartingWeights(options.weights).check_resumed(folder)


def _open_folder(folder, options):
    folder.open(options.overwrite)
    # Once more under the lock: another process may have been here since.
    _check_folder(folder, options)


def _compare_conditions(run, say):
    """Say and keep what has changed since the run was begun."""
    from spectral_keras.experiments.provenance import conditions

    epochs = run.folder.manifest()["options"].get("epochs")
    more = [] if epochs == run.options.epochs else [f"started with --epochs {epochs}"]
    options = {"epochs": run.options.epochs}
    for line in run.folder.continue_under(conditions(), more, options):
        say(f"{run.options.model}: {line}", flush=True)


def _conclude(run, test):
    with run.devices.alone():
        result = run.evaluate(test)
    path = run.folder.path
    print(
        f"test accuracy {result['test_accuracy']:.4f}, loss {result['test_loss']:.4f} "
        f"(best epoch {result['best_epoch']} of {result['epochs']})"
        + (f"; {result['test_accuracy_tta']:.4f} {VIEWS[result['tta']]}" if "tta" in result else "")
    )
    print(f"model, results and curves: {path}/ (best.keras, result.json, curves.png)")
    if run.options.export:
        _export(run.folder, run.options.export)
    return result


def _say_nothing(*_, **__):
    """Instead of `print`, where another process prints."""


def configure(
    seed: int, precision: str = "float32", *, deterministic: bool = True
) -> types.ModuleType:
    """Seed, precision and determinism; returns Keras.

    Args:
        seed: of Python, NumPy and the backend.
        precision: "float32", "float64", or "bfloat16" and "float16" for mixed precision.
        deterministic: whether TensorFlow's operations on a CPU give the same bits every time; XLA
            then cannot be used.
    """
    keras.utils.set_random_seed(seed)
    whole = precision in ("float32", "float64")
    keras.config.set_dtype_policy(precision if whole else f"mixed_{precision}")
    if keras.backend.backend() == "tensorflow" and deterministic:
        import tensorflow as tf

        if not tf.config.list_physical_devices("GPU"):
            tf.config.experimental.enable_op_determinism()
    return keras


def build_model(
    options: TrainOptions,
    data: Dataset,
    steps_per_epoch: int,
    devices: device_plans.Devices | None = None,
    weights: StartingWeights | None = None,
) -> keras.Model:
    """The compiled model that `fit` trains: the network, or a model around it.

    A model around it, of an auxiliary task, of adversarial training or of power suppression, has
    the network as its attribute `classifier`.  `weights` are the `StartingWeights`; by default
    those that the options name.
    """

    with fits_memory(4):  # the weights, their gradient and up to two moments of the optimizer
        classifier = registry.build(
            options.model, data.input_shape, data.num_classes, **options.network
        )
    check_batch(classifier, min(options.batch_size, len(data.x_train)), training=True)
    check_batch(classifier, min(evaluation_batch(options.batch_size), len(data.x_test)))
    registry.adapt(options.model, classifier, data.x_train)
    if options.weights:
        weights = weights or StartingWeights(options.weights)
        weights.load_into(classifier)
    classifier = insert_gate(classifier, options)
    if options.freeze:
        freeze(classifier, options.freeze)
    model = training_model(classifier, options)
    if devices is not None:
        model = devices.trainable(model)
    compile_model(model, options, steps_per_epoch)
    return model


def load_data(options: FitOptions) -> tuple[Dataset, dict[str, Any]]:
    """(Dataset, dict of the batches of its splits) for resolved options.

    Raises:
        CommandError: if an option or the data set is wrong.
    """
    data = load_dataset(
        options,
        limit=options.limit,
        validation_fraction=options.validation_fraction,
        seed=options.seed,
        stream=options.stream,
    )
    return data, make_batches(data, options)


def describe_stream(data: Dataset, options: FitOptions) -> str | None:
    """How the images of a folder or a TFDS set are read, in a line; None for other sets."""
    how = data.source.get("stream")
    if how is None:
        return None
    size = f"{how['decoded_bytes'] / 2**20:,.1f} MiB decoded"
    if "bound_bytes" in how and how["bound_bytes"] is not None:
        relation = "above" if how["streamed"] else "within"
        size += f", {relation} the bound of {how['bound_bytes'] / 2**20:,.1f} MiB"
    if not how["streamed"]:
        return f"images in memory ({size})"
    buffer = options.shuffle_buffer
    shuffled = "the whole training set" if buffer is None else f"a buffer of {buffer:,} images"
    return (
        f"images streamed ({size}) from {how['shards']:,} {how['format']} "
        f"{'files' if how['format'] == 'image' else 'shards'}, {options.workers} threads, "
        f"shuffled over {shuffled}"
    )


def evaluation_batch(batch_size: int) -> int:
    """Images at a time where no gradient is needed."""
    return max(batch_size, 250)


def make_batches(data: Dataset, options: FitOptions) -> dict[str, Any]:
    """Batches of the three splits; only the training batches are shuffled and augmented."""
    from spectral_keras.augmentation.image import build_augmentation
    from spectral_keras.data import Batches

    size = options.batch_size
    try:
        augment = build_augmentation(split_augment(options.augment)[0])
    except ValueError as error:
        raise CommandError(f"--augment: {error}") from error
    train = Batches(
        data.x_train,
        data.y_train,
        size,
        shuffle=True,
        augment=augment,
        seed=options.seed,
        workers=options.workers,
        shuffle_buffer=options.shuffle_buffer,
    )
    evaluation = evaluation_batch(size)
    workers = options.workers if train.streamed else 1
    validation = None
    if len(data.y_validation):
        validation = Batches(data.x_validation, data.y_validation, evaluation, workers=workers)
    test = Batches(data.x_test, data.y_test, evaluation, workers=workers)
    return {"train": train, "validation": validation, "test": test}


def compile_model(model: keras.Model, options: TrainOptions, steps_per_epoch: int) -> None:
    from spectral_keras.training import ScaledSGD, SmoothedCrossentropy
    from spectral_keras.training.schedules import learning_rate_schedule

    _check_optimizer(options)
    rate = learning_rate_schedule(
        options.schedule,
        options.learning_rate,
        options.epochs,
        steps_per_epoch,
        options.warmup_epochs,
    )
    arguments = {"learning_rate": rate, "weight_decay": options.weight_decay or None}
    if options.optimizer == "sgd":
        arguments |= {"momentum": options.momentum, "nesterov": options.nesterov}
        if options.bias_rate != 1:
            arguments["bias_rate"] = options.bias_rate
    if options.ema:
        arguments |= {
            "use_ema": True,
            "ema_momentum": options.ema,
            "ema_overwrite_frequency": steps_per_epoch,
        }
    optimizer = {
        "adam": keras.optimizers.Adam,
        "adamw": keras.optimizers.AdamW,
        "sgd": keras.optimizers.SGD if options.bias_rate == 1 else ScaledSGD,
        "rmsprop": keras.optimizers.RMSprop,
    }[options.optimizer]
    if options.optimizer == "adamw" and arguments["weight_decay"] is None:
        arguments["weight_decay"] = 0.0
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    if options.label_smoothing or split_augment(options.augment)[1]:
        loss = SmoothedCrossentropy(options.label_smoothing)
    model.compile(
        optimizer=optimizer(**arguments),
        loss=loss,
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        jit_compile="auto" if options.jit is None else options.jit,
    )


def _check_optimizer(options):
    """Refuse options of sgd that another optimizer, or none of its momentum, leaves without use."""
    if options.ema and options.lookahead:
        raise CommandError(
            "--ema and --lookahead both average the weights: give one of them the value 0"
        )
    recipe = registry.recipe(options.model)
    for name, none in (("nesterov", False), ("bias_rate", 1)):
        # A recipe's own value is no wish: who takes another optimizer gets it as it is.
        value = getattr(options, name)
        if value == none or (options.optimizer != "sgd" and value == getattr(recipe, name)):
            continue
        if options.optimizer != "sgd":
            raise CommandError(f"{flag(name)} needs --optimizer sgd, received {options.optimizer}")
        if name == "nesterov" and not options.momentum:
            raise CommandError("--nesterov needs a --momentum above 0")


def _check_export(folder, form):
    """Refuse before the training what would be refused after it."""
    from spectral_keras.export import ExportError, check_environment

    check_utf8(folder.path, "--export")
    try:
        check_environment(form)
    except ExportError as error:
        raise CommandError(f"--export {form}: {error}") from error


def _export(folder, form):
    from spectral_keras.export import ExportError, export

    model = load_model(folder / "best.keras")
    names = {"saved_model": "saved_model", "onnx": "model.onnx", "litert": "model.tflite"}
    path = folder / names[form]
    try:
        report = export(model, path, form, overwrite=True)
    except ExportError as error:
        raise CommandError(str(error)) from error
    print(
        f"{form}: {path}, {report['size_bytes']:,} bytes; run again from the file it differs by "
        f"{report['max_abs_difference']:.1e}"
    )
    if report["rebuilt"]:
        print(f'{form}: implementation="matmul" in {", ".join(report["rebuilt"])}')


def _use_tensorboard(wanted, path):
    """Whether to write logs for TensorBoard into a folder; None means: if it can be done."""
    missing = [
        package
        for package in ("tensorflow", "tensorboard")
        if importlib.util.find_spec(package) is None
    ]
    possible = keras.backend.backend() == "tensorflow" and not missing
    if wanted and not possible:
        raise CommandError(
            "--tensorboard needs the TensorFlow backend and the package tensorboard "
            "(pip install tensorboard)"
        )
    if wanted is False or not possible:
        return False
    try:
        check_utf8(path, "--tensorboard")
    except CommandError:
        if wanted:
            raise
        return False
    return True
