"""A training run: its state, what a checkpoint holds of it, its files and results."""

import contextlib
import json
import statistics
import sys
import time

from spectral_keras.experiments.command import CommandError, command_line
from spectral_keras.experiments.folder import (
    commit,
    draw_curves,
    file_hash,
    load_model,
    read_json,
    save_model,
    versions,
    write_history,
    write_json,
)
from spectral_keras.experiments.train.devices import Devices


class Run:
    """State of a run: what was done, and what a checkpoint has to hold."""

    def __init__(self, name, options, folder, model, data, argv=None, devices=None):
        from spectral_keras.training.best_weights import BestWeights

        self.name, self.options, self.folder = name, options, folder
        self.devices = Devices() if devices is None else devices
        self.command = command_line(f"models.{name}", argv)
        self.model, self.data = model, data
        # The network itself, where the model that trains is one around it.
        self.classifier = getattr(model, "classifier", model)
        adversarial = options["adversarial"] != "none" and options["validate_on"] == "adversarial"
        self.validation_images = "adversarial" if adversarial else "clean"
        self.history = []
        self.first_epoch = 0
        self.stopped_early = False
        self.best = BestWeights(
            save=self._save_best,
            # The published code of the auxiliary task tested the last weights.
            monitor=None
            if options["aux_variant"] == "published" or not len(data.y_validation)
            else "val_accuracy",
        )
        self.companions = self._companions()
        self.counters = {}  # of the companions, as a checkpoint had them

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
                # PyTorch's rule with patience 5 drops at the sixth epoch without progress.
                keras.callbacks.ReduceLROnPlateau(
                    factor=0.2, patience=6, min_delta=1e-4, **monitored
                ),
                ("wait", "best", "cooldown_counter"),
            )
        return companions

    def described_size(self):
        """Numbers of weights, of the network and of what is around it in training."""
        text = f"{self.classifier.count_params():,} parameters"
        decoder = getattr(self.model, "decoder", None)
        return text if decoder is None else f"{text}, decoder {decoder.count_params():,}"

    # --- files

    def write_config(self):
        write_json(
            self.folder / "config.json",
            {
                "model": self.name,
                "command": self.command,
                "options": self.options,
                "devices": self.devices.describe(),
                "data": self.data.source,
                "class_names": self.data.class_names,
                "versions": versions(),
                "commit": commit(),
            },
        )

    def _save_best(self, model):
        import keras

        if not self.devices.chief:
            return
        # A second model over the same layers: saved without the optimizer's state.
        network = self.classifier
        save_model(
            keras.Model(network.input, network.output, name=network.name),
            self.folder / "best.keras",
        )

    def checkpoint(self, finished):
        from spectral_keras.training.checkpoint import save_checkpoint

        if not self.devices.chief:
            return
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
        instead = "training begins anew" if state is None else "the checkpoint before it is used"
        for message in damaged if self.devices.chief else ():
            print(f"{self.name}: {message}; {instead}", file=sys.stderr)
        if state is None:
            return False
        try:
            arrays = restore_checkpoint(self.model, content)
            self._take_up(state, arrays)
            # best.keras may be newer than the checkpoint, or lost: write it again.
            current = self.model.get_weights()
            self.model.set_weights(self.best.weights)
        except CheckpointError as error:
            raise CommandError(f"{self.folder.path} cannot be continued: {error}") from error
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CommandError(
                f"{self.folder.path} cannot be continued: its newest checkpoint is damaged "
                f"({type(error).__name__}: {error}): delete it"
            ) from error
        self._save_best(self.model)
        self.model.set_weights(current)
        if self.devices.chief:
            write_history(self.folder / "history.csv", self.history)
        return True

    def _take_up(self, state, arrays):
        """The state of a checkpoint; KeyError, TypeError, ... if it is not what `checkpoint` wrote.

        The weights say nothing of who wrote them: whatever the files are made of is checked here.
        """
        rows = state["history"]
        columns = {"epoch", "loss", "accuracy", "seconds", "images_per_second"}
        if [row["epoch"] for row in rows] != list(range(1, len(rows) + 1)) or not all(
            columns <= row.keys() == rows[0].keys() and all(map(_is_number, row.values()))
            for row in rows
        ):
            raise ValueError("no history of epochs")
        for key, values in state["counters"].items():
            if key not in self.companions or not all(
                value is None or _is_number(value) for value in values.values()
            ):
                raise ValueError(f"unknown counters {key}")
        best = state["best"]
        if not all(best[key] is None or _is_number(best[key]) for key in ("score", "epoch")):
            raise TypeError("the best epoch is no number")
        self.history, self.first_epoch = rows, len(rows)
        self.stopped_early = bool(state["stopped_early"])
        self.best.score, self.best.epoch = best["score"], best["epoch"]
        self.best.weights = [arrays[key] for key in sorted(arrays)]
        self.counters = state["counters"]

    # --- training

    def fit(self, batches, tensorboard=False):
        """Train to the end; returns None, or the line that says why it stopped."""
        import keras

        from spectral_keras.memory import is_out_of_memory
        from spectral_keras.training.non_finite import NonFiniteLossError, StopOnNonFiniteLoss

        recorder = _make_recorder(keras, self, batches["train"])
        callbacks = [*self.devices.callbacks(keras), StopOnNonFiniteLoss(), self.best]
        callbacks += [callback for callback, _ in self.companions.values()]
        if tensorboard:
            callbacks.append(
                keras.callbacks.TensorBoard(self.folder / "tensorboard", write_graph=False)
            )
        callbacks.append(recorder)
        try:
            with self.devices.fitting():
                self.model.fit(
                    **self.devices.feed(self.model, batches, self.first_epoch),
                    epochs=self.options["epochs"],
                    initial_epoch=self.first_epoch,
                    callbacks=callbacks,
                    shuffle=False,  # Batches shuffles; Keras would draw from the global generator
                    verbose=(1 if sys.stdout.isatty() else 2) if self.devices.chief else 0,
                )
        except NonFiniteLossError as error:
            saved = "no epoch was finished before"
            if self.best.epoch is not None:
                saved = f"the best weights (epoch {self.best.epoch}) are in {self.folder.path}"
            return f"{error}; {saved}; try a lower --learning-rate or --precision float32"
        except Exception as error:
            # What the backend makes of an image that cannot be read may be a page long.
            broken = _data_error(batches)
            if broken is not None:
                return f"{broken}; --resume goes on after epoch {len(self.history)}"
            if not is_out_of_memory(error) or self.devices.lost(error):
                raise
            size = self.options["batch_size"]
            return f"out of memory in training: try a --batch-size below {size}"
        return None

    # --- evaluation

    def _evaluations(self):
        """What `models.evaluate` has added to result.json; it knows which weights it is of."""
        if not (self.folder / "result.json").exists():
            return {}
        try:
            stored = read_json(self.folder / "result.json")
        except CommandError as error:
            print(f"{self.name}: {error}; it is written anew", file=sys.stderr)
            return {}
        return {key: stored[key] for key in ("attacks", "corruptions") if key in stored}

    def evaluate(self, keras, test):
        """Accuracy and loss of best.keras on the test set: result.json and curves.png."""
        model = load_model(self.folder / "best.keras")
        model.compile(
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        )
        try:
            scores = model.evaluate(test, verbose=0, return_dict=True)
        except Exception:
            broken = _data_error({"test": test})
            if broken is None:
                raise
            raise CommandError(f"{broken}; --resume evaluates again") from broken
        speeds = [row["images_per_second"] for row in self.history]
        result = {
            "model": self.name,
            "dataset": self.data.name,
            "test_accuracy": round(float(scores["accuracy"]), 6),
            "test_error_percent": round(100 * (1 - float(scores["accuracy"])), 4),
            "test_loss": float(scores["loss"]),
            "validation_accuracy": self.best.score,
            "validation_images": self.validation_images,
            "best_epoch": self.best.epoch,
            "epochs": len(self.history),
            "stopped_early": self.stopped_early,
            "parameters": self.classifier.count_params(),
            "images": {
                "training": len(self.data.y_train),
                "validation": len(self.data.y_validation),
                "test": len(self.data.y_test),
            },
            "seconds": round(sum(row["seconds"] for row in self.history), 1),
            "images_per_second": round(statistics.median(speeds), 1),
            "precision": self.options["precision"],
            **self.devices.describe(),
            "backend": keras.backend.backend(),
            "seed": self.options["seed"],
            "command": self.command,
            "versions": versions(),
            "commit": commit(),
            "history_sha256": file_hash(self.folder / "history.csv"),
        }
        write_json(self.folder / "result.json", result | self._evaluations())
        draw_curves(
            self.folder / "curves.png",
            self.history,
            f"{self.name}, {self.data.name}: test accuracy {100 * result['test_accuracy']:.2f} %"
            + (" (clean; curves: adversarial)" if self.validation_images != "clean" else ""),
            self.best.epoch,
        )
        return result


def _data_error(batches):
    """The DataError that broke one of the batches, or None."""
    from spectral_keras.data import DataError

    errors = [part.error for part in batches.values() if part is not None]
    return next((error for error in errors if isinstance(error, DataError)), None)


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _plain(value):
    """A callback's counter as a JSON number."""
    return None if value is None else json.loads(json.dumps(float(value)))


def _make_recorder(keras, run, train):
    """The callback that keeps history, clock and checkpoints; the last one of the list."""

    class Recorder(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            # Keras' callbacks reset their counters when training begins: put them back now.
            for key, values in run.counters.items():
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
            # A clock that was set back gives no rate; 0 stands for none.
            row["seconds"] = round(max(0.0, end - self._begin), 3)
            rate = len(run.data.y_train) / trained if trained > 0 else 0.0
            row["images_per_second"] = round(rate, 1)
            run.history.append(row)
            run.stopped_early = bool(self.model.stop_training)
            if run.devices.chief:
                write_history(run.folder / "history.csv", run.history)
            run.checkpoint(run.stopped_early)
            with contextlib.suppress(OSError):
                sys.stdout.flush()

    return Recorder()
