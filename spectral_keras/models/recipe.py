"""How a network of the zoo is trained unless the command line says otherwise."""

import dataclasses
from typing import Any

__all__ = ["Recipe"]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Defaults of one network.

    Attributes:
        summary: the layers in one line.
        paper: where the network comes from.
        epochs, batch_size: length of training, examples of one step.
        optimizer: "adam", "adamw", "sgd" or "rmsprop".
        learning_rate: peak learning rate.
        momentum, nesterov: of "sgd".
        bias_rate: factor of "sgd"'s learning rate for biases and the shifts of normalisations.
        weight_decay: decoupled decay of every weight (Keras' `weight_decay`), 0 for none.
        schedule, warmup_epochs: see `spectral_keras.training.schedules`.
        augment: see `spectral_keras.augmentation.image.build_augmentation`.
        ema: decay of the moving average of the weights that replaces them at the end of each epoch,
            0 for none.
        lookahead: steps between two moves of the weights towards those before, 0 for none.
        label_smoothing: share of the label that is spread over all classes.
        tta: other views of a test image whose logits are averaged: "none", "mirror" or
            "mirror_translate".
        early_stopping: epochs without a better validation accuracy before the end, 0 for never.
        options: defaults of the network's own options that differ from its factory's.
    """

    summary: str
    paper: str
    epochs: int = 20
    batch_size: int = 128
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    momentum: float = 0.9
    nesterov: bool = False
    bias_rate: float = 1.0
    weight_decay: float = 0.0
    schedule: str = "onecycle"
    warmup_epochs: float = 0.0
    augment: str = "crop_flip"
    ema: float = 0.0
    lookahead: int = 0
    label_smoothing: float = 0.0
    tta: str = "none"
    early_stopping: int = 0
    options: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        """The values in a line, for people."""
        text = f"{self.optimizer}, learning rate {self.learning_rate:g} ({self.schedule})"
        if self.optimizer == "sgd":
            text += f", momentum {self.momentum:g}" + (" (Nesterov)" if self.nesterov else "")
            if self.bias_rate != 1:
                text += f", biases at {self.bias_rate:g} times the rate"
        if self.weight_decay:
            text += f", weight decay {self.weight_decay:g}"
        if self.warmup_epochs:
            text += f", {self.warmup_epochs:g} epochs of warm-up"
        text += f", {self.epochs} epochs, batches of {self.batch_size}, augmentation {self.augment}"
        if self.ema:
            text += f", weights averaged with decay {self.ema:g}"
        if self.lookahead:
            text += f", Lookahead every {self.lookahead} steps"
        if self.label_smoothing:
            text += f", label smoothing {self.label_smoothing:g}"
        if self.tta != "none":
            text += f", test-time views: {self.tta}"
        if self.early_stopping:
            text += f", stops after {self.early_stopping} epochs without progress"
        return text
