"""The numbers that a mask is learned in, and the half spectrum that they stand for.

A mask of an image's spectrum has one entry for each frequency (row, column), unshifted.  Only its
even part (mask[k] + mask[-k]) / 2 acts on a real image, and the columns 0 ... width//2 of that say
everything.
"""

import numpy as np
from keras import ops


class Layout:
    """Entries of a mask as one flat axis.

    The full form has all height * width entries, in the order of memory.  The symmetric form has
    one for each pair {k, -k} and one for each frequency that is its own partner, half as many;
    the mask is even by construction.

    Args:
        height, width: size of the image.
        symmetric: whether to hold the independent entries only.

    Attributes:
        symmetric: as given.
        size: number of entries.
        multiplicity: how many frequencies each entry stands for, float64 [size]; sums to
            height * width.
        paired: 1 for an entry of a frequency with a partner other than itself, 0 for the others
            (the constant, and Nyquist rows and columns' own points), float64 [size].
        half: (height, width//2 + 1), the shape of the half spectrum.
        sign: 1, -1 or 0 on the half spectrum, odd: sign[-k] = -sign[k].
    """

    def __init__(self, height, width, symmetric):
        self.shape = height, width
        self.symmetric = symmetric
        self.half = height, width // 2 + 1
        count = height * width
        index = np.arange(count).reshape(height, width)
        partner = np.roll(np.flip(index), (1, 1), (0, 1))
        columns = slice(0, self.half[1])
        own = partner == index
        self.sign = np.sign(partner - index)[:, columns].astype("float64")
        # Where on the half spectrum the value of each frequency, or of its partner, is found.
        row, column = np.divmod(np.arange(count), width)
        beyond = column >= self.half[1]
        row, column = np.where(beyond, -row % height, row), np.where(beyond, width - column, column)
        on_half = row * self.half[1] + column
        if symmetric:
            owners, entry = np.unique(np.minimum(index, partner), return_inverse=True)
            entry = entry.reshape(height, width)
            self._to_half = [entry[:, columns].ravel()]
            self._from_half = on_half[owners]
            self._to_full = entry
            self.multiplicity = np.bincount(entry.ravel()).astype("float64")
            self.paired = self.multiplicity - 1
        else:
            self._to_half = [index[:, columns].ravel(), partner[:, columns].ravel()]
            self._from_half = on_half
            self._to_full = index
            self.multiplicity = np.ones(count)
            self.paired = 1.0 - own.ravel()
        self.size = len(self.multiplicity)

    def to_half(self, entries):
        """Entries [..., size] as the even mask on the half spectrum, [..., *half]."""
        parts = [ops.take(entries, index, axis=-1) for index in self._to_half]
        values = parts[0] if len(parts) == 1 else 0.5 * (parts[0] + parts[1])
        return ops.reshape(values, (-1, *entries.shape[1:-1], *self.half))

    def from_half(self, values):
        """What an even function [..., *half] is at each entry's frequency, [..., size]."""
        values = ops.reshape(values, (-1, *values.shape[1:-2], self.half[0] * self.half[1]))
        return ops.take(values, self._from_half, axis=-1)

    def to_full(self, entries):
        """Entries [..., size], a numpy array, as masks [..., height, width]."""
        return entries[..., self._to_full]

    def from_full(self, masks):
        """Masks [..., height, width], a numpy array, as entries [..., size]."""
        masks = masks.reshape(*masks.shape[:-2], -1)
        if len(self._to_half) == 2:
            return masks
        first = np.unique(self._to_full.ravel(), return_index=True)[1]
        partner = np.roll(np.flip(np.arange(masks.shape[-1]).reshape(self.shape)), (1, 1), (0, 1))
        return 0.5 * (masks[..., first] + masks[..., partner.ravel()[first]])
