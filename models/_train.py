"""The command `python -m models.NAME`: train a network of the zoo and evaluate it."""

import contextlib
import importlib.util
import json
import statistics
import sys
import time
import warnings

from models import registry
from models._options import CommandError, parse
from models._runs import (
    RunFolder,
    command_line,
    commit,
    default_folder,
    draw_curves,
    save_model,
    versions,
    write_history,
    write_json,
)


def main(name, argv=None):
    """Run the command and leave with its status: 0, 1 (stopped), 2 (bad input) or 130 (Ctrl-C)."""
    options = parse(name, argv)
    folder = RunFolder(options["output"] or default_folder(name, options["dataset"]))
    try:
        status = train(name, options, folder)
    except (CommandError, OSError) as error:
        line = " ".join(str(error).split())
        print(f"models.{name}: error: {line}", file=sys.stderr)
        status = 2
    except KeyboardInterrupt:
        goes_on = f"; --resume goes on in {folder.path}" if folder.holds_run else ""
        print(f"\nmodels.{name}: interrupted{goes_on}", file=sys.stderr)
        status = 130
    finally:
        folder.close()
    sys.exit(status)


def train(name, options, folder):
    """Train as `options` say (see `models._options`); returns the exit status."""
    folder.check(options["resume"], options["overwrite"])
    if options["resume"] and folder.holds_run:
        folder.check_same(options)
    keras = _configure(options)
    try:
        data, batches, model = _prepare(keras, name, options)
    except ValueError as error:  # a bad option or data set: the message says which
        raise CommandError(str(error)) from error
    use_tensorboard = _use_tensorboard(keras, options["tensorboard"])
    run = _Run(name, options, folder, model, data)
    folder.open(options["overwrite"])
    resumed = run.restore() if options["resume"] else False
    if not resumed:
        run.write_config()
    print(
        f"{name}: {model.count_params():,} parameters; {data.name}: {len(data.y_train):,} training, "
        f"{len(data.y_validation):,} validation and {len(data.y_test):,} test images; "
        f"{keras.backend.backend()}, {options['precision']}; {folder.path}",
        flush=True,
    )
    if run.first_epoch:
        print(f"{name}: going on after epoch {run.first_epoch} of {options['epochs']}", flush=True)
    if run.first_epoch < options["epochs"] and not run.stopped_early:
        failure = run.fit(batches, use_tensorboard)
        if failure is not None:
            print(f"models.{name}: stopped: {failure}", file=sys.stderr)
            return 1
    result = run.evaluate(keras, batches["test"])
    print(
        f"test accuracy {result['test_accuracy']:.4f}, loss {result['test_loss']:.4f} "
        f"(best epoch {result['best_epoch']} of {result['epochs']})"
    )
    print(f"model, results and curves: {folder.path}/ (best.keras, result.json, curves.png)")
    if options["export"]:
        _export(keras, folder, options["export"])
    return 0


def _configure(options):
    """Seed, precision and determinism; imports Keras."""
    import keras

    keras.utils.set_random_seed(options["seed"])
    precision = options["precision"]
    keras.config.set_dtype_policy(precision if precision == "float32" else f"mixed_{precision}")
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if not tf.config.list_physical_devices("GPU"):
            tf.config.experimental.enable_op_determinism()
    return keras


def _prepare(keras, name, options):
    """Data, batches and compiled model; nothing is written."""
    from spectral_keras.data import load

    data = load(
        options["dataset"],
        data_dir=options["data_dir"],
        limit=options["limit"],
        validation_fraction=options["validation_fraction"],
        seed=options["seed"],
        image_size=options["image_size"],
        grayscale=options["grayscale"],
    )
    batches = _batches(data, options)
    network = {key: options[key] for key in registry.options(name)}
    model = registry.build(name, data.input_shape, data.num_classes, **network)
    _compile(keras, model, options, len(batches["train"]))
    return data, batches, model


def _batches(data, options):
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
    )
    evaluation = max(size, 250)
    validation = None
    if len(data.y_validation):
        validation = Batches(data.x_validation, data.y_validation, evaluation)
    test = Batches(data.x_test, data.y_test, evaluation)
    return {"train": train, "validation": validation, "test": test}


def _compile(keras, model, options, steps_per_epoch):
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


def _export(keras, folder, form):
    from spectral_keras.export import ExportError, export

    model = keras.saving.load_model(folder / "best.keras")
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


class _Run:
    """State of a run: what was done, and what a checkpoint has to hold."""

    def __init__(self, name, options, folder, model, data):
        from spectral_keras.training.best_weights import BestWeights

        self.name, self.options, self.folder = name, options, folder
        self.model, self.data = model, data
        self.history = []
        self.first_epoch = 0
        self.stopped_early = False
        self.best = BestWeights(
            save=self._save_best,
            monitor="val_accuracy" if len(data.y_validation) else None,
        )
        self.companions = self._companions()

    def _companions(self):
        """Keras callbacks whose counters belong into a checkpoint, with the counters' names."""
        import keras

        monitored = {"monitor": "val_accuracy", "mode": "max"}
        companions = {}
        wanted = self.options["early_stopping"], self.options["schedule"] == "plateau"
        if any(wanted) and not len(self.data.y_validation):
            raise CommandError(
                "--early-stopping and --schedule plateau need a validation set: "
                "--validation-fraction must be above 0"
            )
        if wanted[0]:
            companions["early_stopping"] = (
                keras.callbacks.EarlyStopping(patience=self.options["early_stopping"], **monitored),
                ("wait", "best", "best_epoch"),
            )
        if wanted[1]:
            companions["plateau"] = (
                keras.callbacks.ReduceLROnPlateau(factor=0.2, patience=5, **monitored),
                ("wait", "best", "cooldown_counter"),
            )
        return companions

    # --- files

    def write_config(self):
        write_json(
            self.folder / "config.json",
            {
                "model": self.name,
                "command": command_line(self.name),
                "options": self.options,
                "data": self.data.source,
                "class_names": self.data.class_names,
                "versions": versions(),
                "commit": commit(),
            },
        )

    def _save_best(self, model):
        import keras

        # A second model over the same layers: saved without the optimizer's state.
        save_model(
            keras.Model(model.input, model.output, name=model.name), self.folder / "best.keras"
        )

    def checkpoint(self, finished):
        from spectral_keras.training.checkpoint import save_checkpoint

        counters = {
            key: {name: _plain(getattr(callback, name)) for name in names}
            for key, (callback, names) in self.companions.items()
        }
        save_checkpoint(
            self.folder / "checkpoints",
            len(self.history),
            self.model,
            {
                "history": self.history,
                "best": {"score": self.best.score, "epoch": self.best.epoch},
                "counters": counters,
                "stopped_early": finished,
            },
            arrays={f"best{i:05d}": weight for i, weight in enumerate(self.best.weights)},
        )

    def restore(self):
        """Take up the newest good checkpoint; False if there is none."""
        from spectral_keras.training.checkpoint import (
            CheckpointError,
            newest_checkpoint,
            restore_checkpoint,
        )

        state, content, damaged = newest_checkpoint(self.folder / "checkpoints")
        for message in damaged:
            print(f"{self.name}: {message}; the checkpoint before it is used", file=sys.stderr)
        if state is None:
            return False
        try:
            arrays = restore_checkpoint(self.model, content)
        except CheckpointError as error:
            raise CommandError(f"{self.folder.path} cannot be continued: {error}") from error
        self.history = state["history"]
        self.first_epoch = len(self.history)
        self.stopped_early = state["stopped_early"]
        self.best.score = state["best"]["score"]
        self.best.epoch = state["best"]["epoch"]
        self.best.weights = [arrays[key] for key in sorted(arrays)]
        self._counters = state["counters"]
        # best.keras may be newer than the checkpoint, or lost: write it again.
        current = self.model.get_weights()
        self.model.set_weights(self.best.weights)
        self._save_best(self.model)
        self.model.set_weights(current)
        write_history(self.folder / "history.csv", self.history)
        return True

    # --- training

    def fit(self, batches, tensorboard=False):
        """Train to the end; returns None, or the line that says why it stopped."""
        import keras

        from spectral_keras.training.non_finite import NonFiniteLossError, StopOnNonFiniteLoss

        recorder = _make_recorder(keras, self, batches["train"])
        callbacks = [StopOnNonFiniteLoss(), self.best]
        callbacks += [callback for callback, _ in self.companions.values()]
        if tensorboard:
            callbacks.append(
                keras.callbacks.TensorBoard(self.folder / "tensorboard", write_graph=False)
            )
        callbacks.append(recorder)
        try:
            self.model.fit(
                batches["train"],
                validation_data=batches["validation"],
                epochs=self.options["epochs"],
                initial_epoch=self.first_epoch,
                callbacks=callbacks,
                shuffle=False,  # Batches shuffles; Keras would draw from the global generator
                verbose=1 if sys.stdout.isatty() else 2,
            )
        except NonFiniteLossError as error:
            saved = "no epoch was finished before"
            if self.best.epoch is not None:
                saved = f"the best weights so far (epoch {self.best.epoch}) are in {self.folder.path}"
            return f"{error}; {saved}; try a lower --learning-rate or --precision float32"
        return None

    # --- evaluation

    def evaluate(self, keras, test):
        """Accuracy and loss of best.keras on the test set: result.json and curves.png."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = keras.saving.load_model(self.folder / "best.keras")
        model.compile(
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        )
        scores = model.evaluate(test, verbose=0, return_dict=True)
        speeds = [row["images_per_second"] for row in self.history]
        result = {
            "model": self.name,
            "dataset": self.data.name,
            "test_accuracy": round(float(scores["accuracy"]), 6),
            "test_error_percent": round(100 * (1 - float(scores["accuracy"])), 4),
            "test_loss": float(scores["loss"]),
            "validation_accuracy": self.best.score,
            "best_epoch": self.best.epoch,
            "epochs": len(self.history),
            "stopped_early": self.stopped_early,
            "parameters": self.model.count_params(),
            "images": {
                "training": len(self.data.y_train),
                "validation": len(self.data.y_validation),
                "test": len(self.data.y_test),
            },
            "seconds": round(sum(row["seconds"] for row in self.history), 1),
            "images_per_second": round(statistics.median(speeds), 1),
            "precision": self.options["precision"],
            "backend": keras.backend.backend(),
            "seed": self.options["seed"],
            "command": command_line(self.name),
            "versions": versions(),
            "commit": commit(),
        }
        write_json(self.folder / "result.json", result)
        draw_curves(
            self.folder / "curves.png",
            self.history,
            f"{self.name}, {self.data.name}: test accuracy {100 * result['test_accuracy']:.2f} %",
            self.best.epoch,
        )
        return result


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


def _plain(value):
    """A callback's counter as a JSON number."""
    return None if value is None else json.loads(json.dumps(float(value)))


def _make_recorder(keras, run, train):
    """The callback that keeps history, clock and checkpoints; the last one of the list."""

    class Recorder(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            # Keras' callbacks reset their counters when training begins: put them back now.
            for key, values in getattr(run, "_counters", {}).items():
                callback, _ = run.companions[key]
                for name, value in values.items():
                    whole = name in ("wait", "best_epoch", "cooldown_counter")
                    setattr(callback, name, int(value) if whole and value is not None else value)

        def on_epoch_begin(self, epoch, logs=None):
            train.epoch = epoch
            self._begin, self._trained = time.perf_counter(), None

        def on_test_begin(self, logs=None):
            self._trained = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            end = time.perf_counter()
            trained = (self._trained or end) - self._begin
            row = {"epoch": epoch + 1}
            row |= {key: float(value) for key, value in (logs or {}).items()}
            row["learning_rate"] = float(
                keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
            )
            row["seconds"] = round(end - self._begin, 3)
            row["images_per_second"] = round(len(run.data.y_train) / trained, 1)
            run.history.append(row)
            run.stopped_early = bool(self.model.stop_training)
            write_history(run.folder / "history.csv", run.history)
            run.checkpoint(run.stopped_early)
            with contextlib.suppress(OSError):
                sys.stdout.flush()

    return Recorder()
