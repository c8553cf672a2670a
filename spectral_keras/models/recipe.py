"""How a network of the zoo is trained unless the command line says otherwise."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Defaults of one network.

    Attributes:
        summary: the layers in one line.
        paper: where the network comes from.
        epochs, batch_size: length of training, examples of one step.
        optimizer: "adam", "adamw", "sgd" (with Nesterov's momentum off) or "rmsprop".
        learning_rate: peak learning rate.
        momentum: of "sgd".
        weight_decay: decoupled decay of every weight (Keras' `weight_decay`), 0 for none.
        schedule, warmup_epochs: see `spectral_keras.training.schedules`.
        augment: see `spectral_keras.augmentation.image.build_augmentation`.
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
    weight_decay: float = 0.0
    schedule: str = "onecycle"
    warmup_epochs: float = 0.0
    augment: str = "crop_flip"
    early_stopping: int = 0
    options: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        """The values in a line, for people."""
        text = f"{self.optimizer}, learning rate {self.learning_rate:g} ({self.schedule})"
        if self.optimizer == "sgd":
            text += f", momentum {self.momentum:g}"
        if self.weight_decay:
            text += f", weight decay {self.weight_decay:g}"
        if self.warmup_epochs:
            text += f", {self.warmup_epochs:g} epochs of warm-up"
        text += f", {self.epochs} epochs, batches of {self.batch_size}, augmentation {self.augment}"
        if self.early_stopping:
            text += f", stops after {self.early_stopping} epochs without progress"
        return text
