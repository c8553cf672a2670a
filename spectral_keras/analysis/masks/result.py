"""What mask learning returns, in memory and as a file."""

import dataclasses

import numpy as np

from spectral_keras.analysis.masks import store


class _Stored:
    """`save` and `load` of a dataclass of arrays, of None, of `history` and of `settings`."""

    _kind = ""

    def save(self, path):
        """Write a `.npz` file, whole or not at all.

        Args:
            path: must end in .npz.
        """
        path = store.check_path("path", path)
        arrays = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name == "history":
                for name, rows in value.items():
                    packed, lengths = store.pack([np.asarray(row) for row in rows])
                    arrays[f"history_{name}"], arrays[f"lengths_{name}"] = packed, lengths
            elif field.name != "settings" and value is not None:
                arrays[field.name] = np.asarray(value)
        store.write(path, self._kind, arrays, {"settings": self.settings})

    @classmethod
    def load(cls, path):
        """What `save` wrote.

        Raises:
            ValueError: if the file is damaged or is none of these.
        """
        arrays, state = store.read(store.check_path("path", path), cls._kind)
        history = {
            name.removeprefix("history_"): store.unpack(
                value, arrays[f"lengths_{name.removeprefix('history_')}"]
            )
            for name, value in arrays.items()
            if name.startswith("history_")
        }
        names = [field.name for field in dataclasses.fields(cls)]
        found = {name: arrays.get(name) for name in names if name not in ("history", "settings")}
        return cls(**found, history=history, settings=state["settings"])


@dataclasses.dataclass(kw_only=True)
class ImageMasks(_Stored):
    """Masks of N single images, in unshifted order (DC at [0, 0]).

    Attributes:
        masks: amplitude masks, float32 [N, H, W], or [N, H, W, C] where there is one for each
            channel; None with `modulate="phase"`.  As weights of a `FourierMask` layer.
        phase_masks: the same for phases, None with `modulate="amplitude"`.
        labels: int32 [N], the predictions of the unmasked images, which the masks were to preserve.
        steps: [N], how many steps each took.
        converged: bool [N], False for a mask that was stopped by the largest number of steps.
        kept: bool [N], whether the masked image has the label.
        objective, invariance, sparsity: float32 [N], of the masks.
        history: dict of name -> list of N arrays, one number for each step, with the names
            "objective", "invariance" and "sparsity".
        settings: JSON-plain dict of what they were learned with.
    """

    _kind = "Fourier masks of single images"

    masks: np.ndarray | None
    phase_masks: np.ndarray | None
    labels: np.ndarray
    steps: np.ndarray
    converged: np.ndarray
    kept: np.ndarray
    objective: np.ndarray
    invariance: np.ndarray
    sparsity: np.ndarray
    history: dict
    settings: dict


@dataclasses.dataclass(kw_only=True)
class SetMasks(_Stored):
    """Masks of sets of images, one for all or one for each class, in unshifted order.

    Attributes:
        masks: amplitude masks, float32 [G, H, W], or [G, H, W, C] where there is one for each
            channel; None with `modulate="phase"`.  Each is the mask at the end of the last epoch
            whose accuracy was high enough.
        phase_masks: the same for phases, None with `modulate="amplitude"`.
        classes: int [G], the class that each mask is of, or -1 for all.
        epoch: int [G], the epoch that the mask is of; 0 for the mask of ones it started from.
        converged: bool [G], False for a mask that was stopped by the number of epochs.
        accuracy: float [G], of the masked images.
        unmasked_accuracy: float [G], of the images as they are.
        sparsity: float32 [G].
        history: dict of name -> list of G arrays, one number for each epoch: "objective" and
            "invariance", means over the epoch's steps, and at its end "sparsity" and "accuracy".
        settings: JSON-plain dict of what they were learned with.
    """

    _kind = "Fourier masks of sets of images"

    masks: np.ndarray | None
    phase_masks: np.ndarray | None
    classes: np.ndarray
    epoch: np.ndarray
    converged: np.ndarray
    accuracy: np.ndarray
    unmasked_accuracy: np.ndarray
    sparsity: np.ndarray
    history: dict
    settings: dict
