"""A training run: its folder, what trains in it, its result."""

import contextlib
import sys
from typing import Any, Self

import keras

from spectral_keras.data import Batches, Dataset
from spectral_keras.experiments.command import CommandError, Stopped
from spectral_keras.experiments.fit import ResumableFit, best_row
from spectral_keras.experiments.folder import (
    WorkFolder,
    dataset_label,
    default_folder,
    file_hash,
    read_json,
    write_history,
)
from spectral_keras.experiments.progress import verbosity
from spectral_keras.experiments.provenance import commit, conditions
from spectral_keras.experiments.results import write_result
from spectral_keras.experiments.saved_models import load_model, save_model
from spectral_keras.experiments.train.curves import draw_curves
from spectral_keras.experiments.train.devices import Devices
from spectral_keras.experiments.train.finished import finished_history, stopped_early
from spectral_keras.experiments.train.options import TrainOptions
from spectral_keras.experiments.train.start import StartingWeights
from spectral_keras.experiments.train.views import evaluate_views
from spectral_keras.models.macs import count_macs
from spectral_keras.training.checkpoint import checkpoint_files

__all__ = ["PICTURES", "Run", "RunFolder", "free_options", "known_evaluations"]

# What `models.evaluate` adds to result.json -> the picture of it.
PICTURES = {"attacks": "robustness.png", "corruptions": "corruptions.png"}

# Schedules that do not depend on the number of epochs: a run may be continued for more of them.
_OPEN_ENDED = ("constant", "plateau")


class RunFolder(WorkFolder):
    """The folder of a training run."""

    @classmethod
    def of(cls, options: TrainOptions) -> Self:
        """The folder that options of the training command name."""
        return cls(options.output or default_folder(options.model, options.dataset))

    def check_manifest(self, content: dict[str, Any]) -> None:
        super().check_manifest(content)
        # The config.json of a search has options too.
        if "search" in content or not (content.get("model") or content.get("build")):
            raise CommandError(f"{self.path / self.mark} is of something else than {self.noun}")

    def check_network(self, name: str) -> None:
        """Refuse to continue the run of another network, or of another function."""
        stored = self.manifest()
        before = stored.get("model") or stored.get("build")
        if before != name:
            raise self.started_with(str(before), name)

    def checkpoints_gone(self, reason: str) -> CommandError:
        """The error of a finished run that cannot be continued as it is asked for."""
        return CommandError(
            f"{self.path} cannot be continued: it is finished, no checkpoint of it is left, and "
            f"{reason}: --overwrite trains again"
        )

    def check_finished(self, *names: str) -> None:
        """Refuse a run without these files, which a training has at its end."""
        for name in names:
            if not (self.path / name).exists():
                raise CommandError(
                    f"{self.path} has no {name}: finish the training first (--resume continues it)"
                )
        if "result.json" in names:
            self._check_result()

    def _check_result(self):
        """Refuse a run that trains on, or did, since its result.json was written."""
        result, asked = read_json(self / "result.json"), self.manifest()["options"].get("epochs")
        done = result.get("epochs")
        numbers = isinstance(done, int) and isinstance(asked, int)
        if numbers and done < asked and not result.get("stopped_early"):
            raise CommandError(
                f"{self.path} was trained for {done} of {asked} epochs: finish the training first "
                "(--resume continues it)"
            )


class Run:
    """A training run: what was done, and what a checkpoint has to hold.

    Attributes:
        classifier: the network itself, where the model that trains is one around it.
        weights: the `StartingWeights`, None of a run from scratch.
        progress: the `ResumableFit`.
    """

    def __init__(
        self,
        options: TrainOptions,
        folder: RunFolder,
        model: keras.Model,
        data: Dataset,
        devices: Devices,
        command: str,
        weights: StartingWeights | None = None,
    ):
        from spectral_keras.training.best_weights import BestWeights

        self.options, self.folder, self.devices = options, folder, devices
        self.command, self.weights = command, weights
        self.model, self.data = model, data
        self.classifier = getattr(model, "classifier", model)
        adversarial = options.adversarial != "none" and options.validate_on == "adversarial"
        self.validation_images = "adversarial" if adversarial else "clean"
        # The published code of the auxiliary task tested the last weights.
        last = options.aux_variant == "published" or not len(data.y_validation)
        self.best = BestWeights(save=self._save_best, monitor=None if last else "val_accuracy")
        self.progress = ResumableFit(
            model,
            folder / "checkpoints",
            len(data.y_train),
            best=self.best,
            companions=self._companions(),
            write=devices.chief,
            on_epoch=self._write_history,
        )

    def _companions(self):
        """Keras callbacks whose counters belong into a checkpoint, with the counters' names."""

        monitored = {"monitor": "val_accuracy", "mode": "max"}
        companions = {}
        plateau = self.options.schedule == "plateau"
        if (self.options.early_stopping or plateau) and not len(self.data.y_validation):
            raise CommandError(
                "--early-stopping and --schedule plateau need a validation set: "
                "--validation-fraction must be above 0"
            )
        if self.options.early_stopping:
            companions["early_stopping"] = (
                keras.callbacks.EarlyStopping(patience=self.options.early_stopping, **monitored),
                ("wait", "best", "best_epoch"),
            )
        if plateau:
            companions["plateau"] = (
                # PyTorch's rule with patience 5 drops at the sixth epoch without progress.
                keras.callbacks.ReduceLROnPlateau(
                    factor=0.2, patience=6, min_delta=1e-4, **monitored
                ),
                ("wait", "best", "cooldown_counter"),
            )
        return companions

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to train."""
        return self.progress.stopped_early or self.progress.epochs_done >= self.options.epochs

    def describe_size(self) -> str:
        """Numbers of weights, of the network and of what is around it in training."""
        text = f"{self.classifier.count_params():,} parameters"
        decoder = getattr(self.model, "decoder", None)
        return text if decoder is None else f"{text}, decoder {decoder.count_params():,}"

    def describe_progress(self) -> str:
        """Where a run that is taken up stands."""
        done = self.progress.epochs_done
        if not self.finished:
            return f"continuing after epoch {done} of {self.options.epochs}"
        how = "stopped early" if self.progress.stopped_early else "finished"
        return f"{how} after epoch {done}: nothing to train"

    # --- files

    def write_config(self) -> None:
        """config.json of a run that begins."""
        self.folder.begin(
            {
                "model": self.options.model,
                "command": self.command,
                "options": self.options.to_json(),
                **({"weights": self.weights.describe()} if self.weights else {}),
                **self.devices.describe(),
                "data": self.data.source,
                "class_names": self.data.class_names,
                **conditions(),
                "commit": commit(),
            }
        )

    def _save_best(self, model, keep=False):

        if not self.devices.chief:
            return
        # A second model over the same layers: saved without the optimizer's state.
        network = self.classifier
        save_model(
            keras.Model(network.input, network.output, name=network.name),
            self.folder / "best.keras",
            keep=keep,
        )

    def _write_history(self, _):
        if self.devices.chief:
            write_history(self.folder / "history.csv", self.progress.history)

    def restore(self) -> bool:
        """Take up the newest good checkpoint, or a finished run that has none any more.

        Returns:
            False if training begins, or begins anew.

        Raises:
            CommandError: if the run cannot be continued as it is asked for.
        """
        if not self.progress.restore(self._take_up_finished):
            return False
        done, epochs = self.progress.epochs_done, self.options.epochs
        if done > epochs:
            raise CommandError(
                f"{self.folder.path} has {done} epochs already: --epochs {epochs} cannot be fewer"
            )
        if self.best.weights is None:  # no checkpoint: best.keras is all there is
            return True
        # best.keras may be newer than the checkpoint, damaged or lost: then it is written again.
        current = self.model.get_weights()
        try:
            self.model.set_weights(self.best.weights)
        except ValueError as error:
            raise CommandError(
                f"{self.folder.path} cannot be continued: its newest checkpoint is damaged "
                f"({error}): delete it"
            ) from error
        self._save_best(self.model, keep=True)
        self.model.set_weights(current)
        self._write_history(None)
        return True

    def _take_up_finished(self) -> bool:
        """Take up a finished run without its checkpoints, which figures delete."""
        folder, options = self.folder, self.options
        if not folder.begun:
            return False
        begun_for = folder.manifest()["options"].get("epochs", options.epochs)
        try:
            rows = finished_history(folder, options.replaced(epochs=min(begun_for, options.epochs)))
        except (CommandError, TypeError) as error:
            raise folder.checkpoints_gone(str(error)) from None
        if rows is None:
            left = checkpoint_files(folder / "checkpoints")  # damaged: `ResumableFit` says so
            if self.devices.chief and (folder / "history.csv").exists() and not left:
                print(f"{folder.path} has no checkpoint: training begins anew", file=sys.stderr)
            return False
        self.progress.stopped_early = stopped_early(rows, options)
        if len(rows) < options.epochs and not self.progress.stopped_early:
            raise folder.checkpoints_gone(f"--epochs {options.epochs} needs one")
        monitor = self.best.monitor
        if monitor not in (None, *rows[0]):
            raise folder.checkpoints_gone(f"its history.csv has no {monitor}")
        best = best_row(rows, monitor) if monitor else rows[-1]
        self.progress.history = rows
        self.best.epoch, self.best.score = best["epoch"], best[monitor] if monitor else None
        return True

    # --- training

    def fit(self, batches: dict[str, Any], tensorboard: bool = False) -> None:
        """Train to the end.

        Raises:
            Stopped: saying why it did not get there.
        """

        from spectral_keras.memory import is_out_of_memory
        from spectral_keras.training import Lookahead
        from spectral_keras.training.non_finite import NonFiniteLossError

        extra = self.devices.callbacks()
        if self.options.lookahead:
            total = self.options.epochs * len(batches["train"])
            extra.insert(0, Lookahead(total, self.options.lookahead))
        if tensorboard:
            extra.append(
                keras.callbacks.TensorBoard(self.folder / "tensorboard", write_graph=False)
            )
        try:
            with self.devices.fitting():
                self.progress.fit(
                    batches["train"],
                    self.options.epochs,
                    data=self.devices.feed(self.model, batches, self.progress.epochs_done),
                    callbacks=extra,
                    verbose=verbosity() if self.devices.chief else 0,
                )
        except NonFiniteLossError as error:
            saved = "no epoch was finished before"
            if self.best.epoch is not None:
                saved = f"the best weights (epoch {self.best.epoch}) are in {self.folder.path}"
            raise Stopped(
                f"{error}; {saved}; try a lower --learning-rate or --precision float32"
            ) from error
        except Exception as error:
            # What the backend makes of an image that cannot be read may be a page long.
            broken = _data_error(batches)
            if broken is not None:
                done = self.progress.epochs_done
                raise Stopped(f"{broken}; --resume continues after epoch {done}") from error
            if not is_out_of_memory(error) or self.devices.lost(error):
                raise
            size = self.options.batch_size
            raise Stopped(f"out of memory in training: try a --batch-size below {size}") from error

    # --- evaluation

    def evaluate(self, test: Batches) -> dict[str, Any]:
        """Accuracy and loss of best.keras on the test set: result.json and curves.png.

        Raises:
            Stopped: if the loss is not finite: nothing is called a result then.
        """
        model = load_model(self.folder / "best.keras")
        model.compile(
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        )
        views = {}
        try:
            scores = model.evaluate(test, verbose=0, return_dict=True)
            if self.options.tta != "none":
                views = evaluate_views(model, test, self.options.tta)
        except Exception:
            broken = _data_error({"test": test})
            if broken is None:
                raise
            raise CommandError(f"{broken}; --resume evaluates again") from broken
        own = {
            "model": self.options.model,
            **views,
            "validation_images": self.validation_images,
            "stopped_early": self.progress.stopped_early,
            "parameters": self.classifier.count_params(),
            "multiply_accumulates": _macs(self.classifier),
            "jit": bool(getattr(self.model, "jit_compile", False)),
            **self.devices.describe(),
            **known_evaluations(self.folder, self.options.model),
        }
        history = self.progress.history
        result = write_result(
            self.folder, own, options=self.options, data=self.data, history=history,
            best=self.best, scores=scores, command=self.command,
        )  # fmt: skip
        draw_curves(
            self.folder / "curves.png",
            history,
            f"{self.options.model}, {dataset_label(self.data.name)}: test accuracy "
            f"{100 * result['test_accuracy']:.2f} %"
            + (" (clean; curves: adversarial)" if self.validation_images != "clean" else ""),
            self.best.epoch,
        )
        return result


def free_options(options: TrainOptions) -> set[str]:
    """Names of the options that may differ between a run and its continuation."""
    # The share of the old weights in Lookahead follows the length of the training.
    open_ended = options.schedule in _OPEN_ENDED and not options.lookahead
    return options.free() | ({"epochs"} if open_ended else set())


def known_evaluations(folder: WorkFolder, name: str) -> dict[str, Any]:
    """What `models.evaluate` has added to result.json about the weights of now."""
    if not (folder / "result.json").exists():
        return {}
    try:
        stored = read_json(folder / "result.json")
    except CommandError as error:
        print(f"{name}: {error}; it is written anew", file=sys.stderr)
        return {}
    found = {key: stored[key] for key in PICTURES if key in stored}
    # Nothing was trained since: of the weights of now, whatever the file's SHA-256 was.
    if not found or stored.get("history_sha256") == file_hash(folder / "history.csv"):
        return found
    digest, kept, attacked = file_hash(folder / "best.keras"), {}, None
    with contextlib.suppress(CommandError):  # 0.2.0 has the SHA-256 there, not in each entry
        attacked = read_json(folder / "attacks.json").get("model_sha256")
    for key, entries in found.items():
        listed = entries if isinstance(entries, list) else []
        known = [entry for entry in listed if isinstance(entry, dict)]
        kept[key] = [entry for entry in known if entry.get("model_sha256", attacked) == digest]
    if kept != found:
        print(
            f"{name}: accuracies under attack or corruption of the weights before are dropped",
            file=sys.stderr,
        )
    for key in kept:
        if not kept[key]:
            (folder / PICTURES[key]).unlink(missing_ok=True)
    return {key: entries for key, entries in kept.items() if entries}


def _data_error(batches):
    """The DataError that broke one of the batches, or None."""
    from spectral_keras.data import DataError

    errors = [part.error for part in batches.values() if part is not None]
    return next((error for error in errors if isinstance(error, DataError)), None)


def _macs(model):
    """Multiply-accumulates for one image, None where a layer's work is not known."""
    try:
        return count_macs(model)
    except ValueError:
        return None
