"""The command `python -m models.NAME`: train a network of the zoo and evaluate it."""

import importlib.util
import sys

from spectral_keras.experiments.command import CommandError, program, report_end
from spectral_keras.experiments.folder import FREE_OPTIONS, RunFolder, default_folder, load_model
from spectral_keras.experiments.train import devices as device_plans
from spectral_keras.experiments.train.options import parse
from spectral_keras.experiments.train.run import Run
from spectral_keras.models import registry


def main(name, argv=None):
    """Run the command and leave with its status: 0, 1 (stopped), 2 (bad input), 130 or 143."""
    options = parse(name, argv)
    devices = device_plans.Devices()
    folder = RunFolder(options["output"] or default_folder(name, options["dataset"]))
    try:
        devices = device_plans.plan(options)
        status = train(name, options, folder, argv, devices=devices)
    except (CommandError, OSError, KeyboardInterrupt) as error:
        goes_on = f"--resume goes on in {folder.path}" if folder.holds_run else ""
        status = report_end(program(f"models.{name}"), error, goes_on)
    except Exception as error:
        line = devices.lost(error)
        if line is None:
            devices.crash()
            raise
        print(f"models.{name}: stopped: {line}", file=sys.stderr)
        status = 1
    finally:
        folder.close()
    devices.leave(status)


def train(name, options, folder, argv=None, evaluate=True, devices=None):
    """Train as `options` say; returns the exit status.

    `argv` is the command line that the files name, None for the process' own; without `evaluate`
    the test set stays untouched and no result.json is written.  `devices`, of
    `devices.plan`, are by default what the options and the environment ask for.
    """
    devices = device_plans.plan(options) if devices is None else devices
    if devices.workers == 1:
        _check_folder(folder, options)
    keras = configure(options)
    devices = devices.connect(keras, options)
    if devices.workers > 1:
        devices.together(_check_folder, folder, options, chief_only=True)
        common = {key: value for key, value in options.items() if key not in FREE_OPTIONS}
        devices.check_same("the options", common)
    from spectral_keras.memory import is_out_of_memory

    try:
        data, batches = devices.together(load_data, options)
        devices.check_data(len(data.y_train), options["batch_size"])
        with devices.scope():
            model = build_model(name, data, options, len(batches["train"]), devices)
    except ValueError as error:  # a bad option or data set: the message says which
        raise CommandError(str(error)) from error
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise CommandError(
            "the network and the data do not fit into memory: give smaller options of the network "
            f"or a --limit ({str(error).rpartition('}} ')[2][:100]})"
        ) from error
    use_tensorboard = _use_tensorboard(keras, options["tensorboard"])
    run = Run(name, options, folder, model, data, argv, devices)
    devices.together(_open_folder, folder, options, chief_only=True)
    resumed = False
    if options["resume"]:
        with devices.scope():
            resumed = devices.together(run.restore)
        devices.check_same("the checkpoints", run.history)
    if not resumed:
        devices.together(run.write_config, chief_only=True)
    say = print if devices.chief else _say_nothing
    say(
        f"{name}: {run.described_size()}; {data.name}: {len(data.y_train):,} training, "
        f"{len(data.y_validation):,} validation and {len(data.y_test):,} test images; "
        f"{keras.backend.backend()}, {options['precision']}; "
        + (f"{devices}; " if devices.kind != "none" else "")
        + f"{folder.path}",
        flush=True,
    )
    how = described_stream(data, options)
    if how:
        say(f"{name}: {how}", flush=True)
    if run.first_epoch:
        say(f"{name}: going on after epoch {run.first_epoch} of {options['epochs']}", flush=True)
    if run.first_epoch < options["epochs"] and not run.stopped_early:
        failure = run.fit(batches, use_tensorboard and devices.chief)
        if failure is not None:
            print(f"models.{name}: stopped: {failure}", file=sys.stderr)
            return 1
    if not evaluate:
        return 0
    devices.together(_conclude, keras, run, batches["test"], chief_only=True)
    return 0


def _check_folder(folder, options):
    folder.check(options["resume"], options["overwrite"])
    if options["resume"] and folder.holds_run:
        folder.check_same(options)


def _open_folder(folder, options):
    folder.open(options["overwrite"])
    # Once more under the lock: another process may have been here since.
    _check_folder(folder, options)


def _conclude(keras, run, test):
    with run.devices.alone(keras):
        result = run.evaluate(keras, test)
    path = run.folder.path
    print(
        f"test accuracy {result['test_accuracy']:.4f}, loss {result['test_loss']:.4f} "
        f"(best epoch {result['best_epoch']} of {result['epochs']})"
    )
    print(f"model, results and curves: {path}/ (best.keras, result.json, curves.png)")
    if run.options["export"]:
        _export(run.folder, run.options["export"])


def _say_nothing(*_, **__):
    """Instead of `print`, where another process prints."""


def configure(options):
    """Seed, precision, determinism and memory; imports Keras."""
    import keras

    from spectral_keras.memory import keep_freed_memory

    keep_freed_memory()
    keras.utils.set_random_seed(options["seed"])
    precision = options["precision"]
    whole = precision in ("float32", "float64")
    keras.config.set_dtype_policy(precision if whole else f"mixed_{precision}")
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if not tf.config.list_physical_devices("GPU"):
            tf.config.experimental.enable_op_determinism()
    return keras


def build_model(name, data, options, steps_per_epoch, devices=None):
    """The compiled model that `fit` trains: the network, or a model around it.

    A model around it, of an auxiliary task, of adversarial training or of power suppression, has
    the network as its attribute `classifier`.
    """
    import keras

    from spectral_keras.experiments.train.attended import gated
    from spectral_keras.experiments.train.objectives import training_model

    network = {key: options[key] for key in registry.options(name)}
    classifier = registry.build(name, data.input_shape, data.num_classes, **network)
    classifier = gated(classifier, options)
    model = training_model(classifier, options)
    if devices is not None:
        model = devices.trainable(model)
    compile_model(keras, model, options, steps_per_epoch)
    return model


def load_data(options):
    """(Dataset, dict of the batches of its splits) for resolved options.

    Raises:
        CommandError: if an option or the data set is wrong.
    """
    from spectral_keras.data import load

    try:
        data = load(
            options["dataset"],
            data_dir=options["data_dir"],
            limit=options["limit"],
            validation_fraction=options["validation_fraction"],
            seed=options["seed"],
            image_size=options["image_size"],
            grayscale=options["grayscale"],
            stream=options["stream"],
        )
        return data, make_batches(data, options)
    except ValueError as error:
        raise CommandError(str(error)) from error


def described_stream(data, options):
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
    buffer = options["shuffle_buffer"]
    shuffled = "the whole training set" if buffer is None else f"a buffer of {buffer:,} images"
    return (
        f"images streamed ({size}) from {how['shards']:,} {how['format']} "
        f"{'files' if how['format'] == 'image' else 'shards'}, {options['workers']} threads, "
        f"shuffled over {shuffled}"
    )


def make_batches(data, options):
    """Batches of the three splits; only the training batches are shuffled and augmented."""
    from spectral_keras.augmentation.image import build_augmentation
    from spectral_keras.data import Batches

    size = options["batch_size"]
    try:
        augment = build_augmentation(options["augment"])
    except ValueError as error:
        raise CommandError(f"--augment: {error}") from error
    train = Batches(
        data.x_train,
        data.y_train,
        size,
        shuffle=True,
        augment=augment,
        seed=options["seed"],
        workers=options["workers"],
        shuffle_buffer=options["shuffle_buffer"],
    )
    evaluation = max(size, 250)
    workers = options["workers"] if train.streamed else 1
    validation = None
    if len(data.y_validation):
        validation = Batches(data.x_validation, data.y_validation, evaluation, workers=workers)
    test = Batches(data.x_test, data.y_test, evaluation, workers=workers)
    return {"train": train, "validation": validation, "test": test}


def compile_model(keras, model, options, steps_per_epoch):
    from spectral_keras.training.schedules import learning_rate_schedule

    rate = learning_rate_schedule(
        options["schedule"],
        options["learning_rate"],
        options["epochs"],
        steps_per_epoch,
        options["warmup_epochs"],
    )
    arguments = {"learning_rate": rate, "weight_decay": options["weight_decay"] or None}
    if options["optimizer"] == "sgd":
        arguments["momentum"] = options["momentum"]
    optimizer = {
        "adam": keras.optimizers.Adam,
        "adamw": keras.optimizers.AdamW,
        "sgd": keras.optimizers.SGD,
        "rmsprop": keras.optimizers.RMSprop,
    }[options["optimizer"]]
    if options["optimizer"] == "adamw" and arguments["weight_decay"] is None:
        arguments["weight_decay"] = 0.0
    model.compile(
        optimizer=optimizer(**arguments),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        jit_compile="auto" if options["jit"] is None else options["jit"],
    )


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


def _use_tensorboard(keras, wanted):
    """Whether to write logs for TensorBoard; None means: if it can be done."""
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
    return possible if wanted is None else wanted
