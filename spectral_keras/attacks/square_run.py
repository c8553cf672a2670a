"""The square attack: random squares, of which those are kept that lead further."""

import functools
from typing import Any, cast

import keras
import numpy as np

from spectral_keras.attacks.slots import Problem, Run, leads_on

__all__ = ["SquareRun", "pyramids", "side_of"]

# Share of the pixels in the first square, and calls of 10,000 after which it is halved, those of
# AutoAttack; the paper does not halve at 500.
SHARE = 0.8
HALVED_AFTER = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)


def side_of(call: int, calls: int, height: int, width: int) -> int:
    """Side of the square of a call of the model, from 0 for the first after the start.

    The schedule is that of 10,000 calls, stretched to the number that there is.

    Example:

    >>> from spectral_keras.attacks.square_run import side_of
    >>> [side_of(call, 5000, 32, 32) for call in (0, 11, 50, 4999)]
    [29, 20, 14, 1]
    """
    place = call * 10_000 // calls
    share = SHARE / 2 ** sum(place > last for last in HALVED_AFTER)
    return min(max(round((share * height * width) ** 0.5), 1), height, width)


@functools.lru_cache(maxsize=128)
def pyramids(side: int) -> np.ndarray:
    """The bump of the L2 attack [side, side]: a pyramid up and one down, of length 1.

    Equation (2) of the paper and what follows it.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.attacks.square_run import pyramids
    >>> bump = pyramids(5)
    >>> bump.shape, round(float(np.square(bump).sum()), 6)
    ((5, 5), 1.0)
    """

    def pyramid(height, width):
        bump = np.zeros((height, width))
        row, column = height // 2, width // 2
        for ring in range(max(row, column) + 1):
            rows = slice(max(row - ring, 0), row + ring + 1)
            bump[rows, max(column - ring, 0) : column + ring + 1] += 1 / (ring + 1) ** 2
        return bump / np.linalg.norm(bump)

    upper = side // 2
    bump = np.zeros((side, side))
    if upper:
        bump[:upper] = pyramid(upper, side)
    bump[upper:] = -pyramid(side - upper, side)
    bump /= np.linalg.norm(bump)
    bump.flags.writeable = False
    return bump


class SquareRun(Run):
    """The square attack on N images."""

    gradient = False

    def __init__(self, problem: Problem):
        super().__init__(problem)
        if self.x.ndim != 4:
            raise ValueError(
                "`x` must be images of rank 4 for the square attack. "
                f"Received: x of shape {self.x.shape}"
            )
        self.looks = cast(int, self.attack.steps)
        first = keras.config.image_data_format() == "channels_first"
        # To images with the channels last.
        self.axes = (1, 2, 0) if first else (0, 1, 2)
        self.radius = np.asarray(self.attack.radius)
        if self.radius.ndim:
            self.radius = np.broadcast_to(self.radius, self.x.shape[1:]).transpose(self.axes)

    def _fresh(self, index: np.ndarray) -> dict[str, np.ndarray]:
        generators = np.empty(len(index), object)
        generators[:] = [self._generator(i) for i in index]
        self.starting = dict(zip(index.tolist(), generators, strict=True))
        slots = super()._fresh(index)
        return slots | {
            "generator": generators,
            "best": slots["images"],
            "best_value": np.full(len(index), -np.inf, np.float32),
            "best_fooled": np.zeros(len(index), bool),
        }

    def _starts(self, index: np.ndarray) -> np.ndarray:
        start = self.x[index].copy()
        for image, i in zip(start, index, strict=True):
            view, rng = image.transpose(self.axes), self.starting[int(i)]
            view += self._stripes(view.shape, rng) if self._inf else self._tiles(view.shape, rng)
        return start

    @property
    def _inf(self):
        return self.attack.norm == "inf"

    def _work(self, slots: dict[str, Any]) -> tuple:
        fooled, values = self._look(slots)
        better = leads_on(fooled, values, slots["best_fooled"], slots["best_value"])
        chosen = better.reshape(-1, 1, 1, 1)
        slots["best"] = np.where(chosen, slots["images"], slots["best"])
        slots["best_value"] = np.where(better, values, slots["best_value"])
        slots["best_fooled"] = slots["best_fooled"] | fooled
        finished = slots["looks"] >= self.looks
        if self.early_stop:
            finished |= fooled
        tried = slots["best"].copy()
        for slot in np.flatnonzero(~finished):
            image = tried[slot].transpose(self.axes)
            original = self.x[slots["index"][slot]].transpose(self.axes)
            rng = slots["generator"][slot]
            side = side_of(int(slots["looks"][slot]) - 1, self.looks, *image.shape[:2])
            (self._square if self._inf else self._bump)(image, original, side, rng)
        slots["images"] = self._clip(tried, slots["index"])
        fooled = slots["best_fooled"]
        return fooled, slots["best_value"], np.zeros(len(fooled), bool), finished

    def _place(self, image, side, rng):
        """A random square of the image as a pair of slices."""
        top, left = (int(rng.integers(size - side + 1)) for size in image.shape[:2])
        return slice(top, top + side), slice(left, left + side)

    def _stripes(self, shape, rng):
        signs = rng.choice((-1.0, 1.0), (1, *shape[1:]))
        return (self.radius * signs).astype(np.float32)

    def _square(self, image, original, side, rng):
        """Each channel of the square to an end of its interval."""
        place = self._place(image, side, rng)
        signs = rng.choice((-1.0, 1.0), (1, 1, image.shape[2]))
        changed = original + np.broadcast_to(self.radius * signs, image.shape)
        image[place] = changed[place]

    def _tiles(self, shape, rng):
        """The start of the L2 attack: bumps on a grid of 5 x 5 tiles."""
        side = max(min(shape[:2]) // 5, 1)
        change = np.zeros(shape)
        for top in range((shape[0] % side) // 2, shape[0] - side + 1, side):
            for left in range((shape[1] % side) // 2, shape[1] - side + 1, side):
                change[top : top + side, left : left + side] = self._draw_bumps(side, shape[2], rng)
        return (self.radius / np.linalg.norm(change) * change).astype(np.float32)

    def _draw_bumps(self, side, channels, rng):
        """Bumps with a random sign in each channel, upright or lying."""
        bump = pyramids(side)
        bump = bump.T if rng.random() < 0.5 else bump
        return bump[:, :, None] * rng.choice((-1.0, 1.0), (1, 1, channels))

    def _bump(self, image, original, side, rng):
        """The change within a square goes to another one, which gets a bump too.

        Within the first one the change becomes that of a bump and of what was there, as long as
        what is left of the radius, and what the two squares held, allow.
        """
        side = min(max(side, 3) | 1, *image.shape[:2])
        delta = (image - original).astype(np.float64)
        to, away = self._place(image, side, rng), self._place(image, side, rng)
        inside = np.zeros(image.shape[:2], bool)
        inside[to] = inside[away] = True
        left = max(float(self.radius) ** 2 - np.sum(np.square(delta)), 0) / image.shape[2]
        held = np.sum(np.square(delta[inside]), axis=0)
        old = delta[to]
        new = self._draw_bumps(side, image.shape[2], rng)
        new = new + old / np.maximum(np.linalg.norm(old, axis=(0, 1)), 1e-12)
        new *= np.sqrt(left + held) / np.maximum(np.linalg.norm(new, axis=(0, 1)), 1e-12)
        delta[away] = 0
        delta[to] = new
        length = max(np.linalg.norm(delta), 1e-12)
        image[...] = original + delta * min(1.0, float(self.radius) / length)
