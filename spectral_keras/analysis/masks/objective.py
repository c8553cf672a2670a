"""What a mask is learned by: its entries, the change of the loss and the size of the mask.

    total = f(CE(Phi(M x), y) - CE(Phi(x), y)) + (lambda / ||1||_1) ||M||_p^p

with f(d) = exp(d^2), as in the published code of Karantzas et al. (Frontiers in Artificial
Intelligence 5:890016, 2022; the paper's equation (2) says "invariance" only).  At the mask of ones
d = 0, hence the total is 1 + lambda and the gradient that of the penalty alone.

A mask of an image's spectrum has one entry for each frequency (row, column), unshifted.  Only its
even part (mask[k] + mask[-k]) / 2 acts on a real image, and the columns 0 ... width//2 of that say
everything.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from spectral_keras.classifiers.gradients import input_gradient
from spectral_keras.ops.fft import irfft2_last, rfft2_last, to_complex

__all__ = [
    "INVARIANCES",
    "MODULATIONS",
    "Layout",
    "Objective",
    "cross_entropy",
    "evaluate",
    "factors",
    "images_of",
    "invariance_derivatives",
    "invariance_term",
    "modulate_spectra",
    "movable",
    "network_gradient",
    "penalty_terms",
    "per_frequency",
    "shares",
    "spectra_of",
    "value_and_gradient",
]

INVARIANCES = ("exp", "squared", "cross_entropy")
MODULATIONS = ("amplitude", "phase", "both")

# exp(d^2) continues as a straight line in d^2 from here: Adam squares the gradient, and
# the square of exp(30) = 1e13 fits float32 where that of exp(50) does not.
_LARGEST_EXPONENT = 30.0


@dataclasses.dataclass(frozen=True)
class Objective:
    """The terms of the objective and what the mask acts on.

    Args:
        invariance: "exp" for exp(d^2), "squared" for d^2, "cross_entropy" for the cross-entropy
            CE(Phi(M x), y) itself, d the change of the cross-entropy.
        penalty: lambda.
        p: exponent of the penalty, at least 1.
        modulate: "amplitude": the mask A multiplies the spectrum.  "phase": the spectrum is
            multiplied by exp(i phi), phi(k) = pi (1 - P(k)) s(k) with s(k) = 1 on one half of the
            plane, -1 on the other and 0 where k = -k; 1 leaves a phase as it is and 0 turns it
            by half a turn.  "both": by A exp(i phi), two masks.
    """

    invariance: str
    penalty: float
    p: float
    modulate: str

    @property
    def kinds(self) -> int:
        """Number of masks: 2 for amplitude and phase."""
        return 2 if self.modulate == "both" else 1


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

    def __init__(self, height: int, width: int, symmetric: bool):
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

    def to_half(self, entries: Any) -> Any:
        """Entries [..., size] as the even mask on the half spectrum, [..., *half]."""
        parts = [ops.take(entries, index, axis=-1) for index in self._to_half]
        values = parts[0] if len(parts) == 1 else 0.5 * (parts[0] + parts[1])
        return ops.reshape(values, (-1, *entries.shape[1:-1], *self.half))

    def from_half(self, values: Any) -> Any:
        """What an even function [..., *half] is at each entry's frequency, [..., size]."""
        values = ops.reshape(values, (-1, *values.shape[1:-2], self.half[0] * self.half[1]))
        return ops.take(values, self._from_half, axis=-1)

    def to_full(self, entries: np.ndarray) -> np.ndarray:
        """Entries [..., size], a numpy array, as masks [..., height, width]."""
        return entries[..., self._to_full]

    def from_full(self, masks: np.ndarray) -> np.ndarray:
        """Masks [..., height, width], a numpy array, as entries [..., size]."""
        masks = masks.reshape(*masks.shape[:-2], -1)
        if len(self._to_half) == 2:
            return masks
        first = np.unique(self._to_full.ravel(), return_index=True)[1]
        partner = np.roll(np.flip(np.arange(masks.shape[-1]).reshape(self.shape)), (1, 1), (0, 1))
        return 0.5 * (masks[..., first] + masks[..., partner.ravel()[first]])


def cross_entropy(logits: Any, labels: Any) -> Any:
    """Cross-entropy [N] of logits [N, K] and integer labels [N]."""
    chosen = ops.equal(ops.arange(logits.shape[-1], dtype="int32")[None], labels[:, None])
    own = ops.sum(ops.where(chosen, logits, ops.zeros_like(logits)), axis=-1)
    return ops.logsumexp(logits, axis=-1) - own


def invariance_term(change: Any, masked: Any, kind: str, less_one: bool = False) -> Any:
    """f of the change d, [N]; `masked` is the cross-entropy behind the mask.

    With `less_one` exp(d^2) - 1, precise for a small d.
    """
    if kind == "cross_entropy":
        return masked
    square = change * change
    if kind == "squared":
        return square
    capped = ops.minimum(square, _LARGEST_EXPONENT)
    beyond = ops.exp(capped) * (square - capped)
    return (ops.expm1(capped) if less_one else ops.exp(capped)) + beyond


def invariance_derivatives(change: Any, masked: Any, kind: str) -> tuple[Any, Any]:
    """(f'(d), curvature) of the invariance term as a function of d, each like `change`.

    For the cross-entropy c itself the curvature is the Gauss-Newton one, by the log-odds u with
    c = log(1 + exp(-u)): as a function of d it would have none.
    """
    if kind == "cross_entropy":
        return ops.ones_like(masked), 1.0 / ops.maximum(ops.expm1(masked), 1e-6)
    if kind == "squared":
        return 2.0 * change, 2.0 * ops.ones_like(change)
    square = change * change
    height = ops.exp(ops.minimum(square, _LARGEST_EXPONENT))
    return 2.0 * change * height, 2.0 * height


def spectra_of(images: Any, channels_last: bool) -> Any:
    """Half spectra [N, C, H, W//2 + 1] of images in either data format."""
    return rfft2_last(_channels_first(images, channels_last))


def _channels_first(images, channels_last):
    if not channels_last:
        return images
    if images.shape[-1] == 1:
        return ops.reshape(images, (-1, 1, *images.shape[1:3]))
    return ops.transpose(images, (0, 3, 1, 2))


def _to_model(images, channels_last):
    if not channels_last:
        return images
    if images.shape[1] == 1:
        return ops.reshape(images, (-1, *images.shape[2:], 1))
    return ops.transpose(images, (0, 2, 3, 1))


def factors(entries: Any, layout: Layout, modulate: str) -> tuple[Any, Any]:
    """(amplitude, phase factor) on the half spectrum, each [G, C or 1, *half] or None.

    Args:
        entries: [G, kinds, C or 1, layout.size].
    """
    masks = layout.to_half(entries)
    amplitude = None if modulate == "phase" else masks[:, 0]
    if modulate == "amplitude":
        return amplitude, None
    turn = ops.cast(math.pi * layout.sign, masks.dtype) * (1.0 - masks[:, -1])
    return amplitude, to_complex(ops.cos(turn), ops.sin(turn))


def _dtype(x):
    return keras.backend.standardize_dtype(x.dtype)


def modulate_spectra(spectra: Any, amplitude: Any, phase: Any) -> Any:
    """The half spectra [G, B, C, *half] times the factors of their group."""
    if phase is not None:
        spectra = spectra * phase[:, None]
    if amplitude is not None:
        spectra = spectra * ops.cast(amplitude, spectra.dtype)[:, None]
    return spectra


def images_of(spectra: Any, layout: Layout, channels_last: bool) -> Any:
    """Images [G * B, ...] of Hermitian half spectra [G, B, C, *half]."""
    flat = ops.reshape(spectra, (-1, *spectra.shape[2:]))
    return _to_model(irfft2_last(flat, layout.shape[1], assume_hermitian=True), channels_last)


def evaluate(
    logits_of: Callable[[Any], Any],
    entries: Any,
    spectra: Any,
    layout: Layout,
    modulate: str,
    channels_last: bool,
) -> Any:
    """Logits [G * B, K] behind the masks."""
    factor = factors(entries, layout, modulate)
    return logits_of(images_of(modulate_spectra(spectra, *factor), layout, channels_last))


def network_gradient(
    logits_of: Callable[[Any], Any],
    entries: Any,
    batch: tuple,
    layout: Layout,
    modulate: str,
    channels_last: bool,
    term: Callable[[Any, Any], Any],
) -> tuple:
    """Gradient by the entries of a term of the masked images' cross-entropy; can be traced.

    Args:
        logits_of: images -> logits, the frozen network.
        entries: [G, kinds, C or 1, layout.size], in [0, 1].
        batch: (spectra [G, B, C, *half], labels [G, B] int32, cross-entropies of the unmasked
            images [G, B], weights [G, B] of the images in the sum over a group).
        term: (masked cross-entropy, its change), each [N] -> [N].

    Returns:
        (gradient, value, change, masked, correct): gradient of the weighted sums of the terms,
        like `entries`, by any one of the frequencies that an entry stands for; these sums [G]; the
        changes and the cross-entropies [G, B]; whether each image has its label [G, B].
    """
    spectra, labels, unmasked, weights = batch
    height, width = layout.shape
    amplitude, phase = factors(entries, layout, modulate)
    images = images_of(modulate_spectra(spectra, amplitude, phase), layout, channels_last)
    labels, unmasked, weights = (ops.reshape(item, (-1,)) for item in (labels, unmasked, weights))

    def sum_terms(images):
        logits = logits_of(images)
        masked = cross_entropy(logits, labels)
        change = masked - unmasked
        terms = weights * term(masked, change)
        correct = ops.equal(ops.cast(ops.argmax(logits, axis=-1), "int32"), labels)
        return ops.sum(terms), (terms, change, masked, correct)

    by_image, outcome = input_gradient(sum_terms, images, has_aux=True)
    groups = ops.shape(entries)[0]
    terms, *others = (ops.reshape(item, (groups, -1)) for item in outcome)
    # y = Re F^-1(c F(x)) has the derivative Re(F(x) conj(F(g))) / (H W) by the factor c(k), in
    # closed form: nothing is differentiated but the network.
    adjoint = ops.reshape(spectra_of(by_image, channels_last), (groups, -1, *spectra.shape[2:]))
    product = spectra if phase is None else spectra * phase[:, None]
    product = product * ops.conj(adjoint)
    parts = []
    if amplitude is not None:
        parts.append(ops.real(product))
    if phase is not None:
        turned = ops.imag(product) * ops.cast(math.pi * layout.sign, _dtype(entries))
        parts.append(turned if amplitude is None else turned * amplitude[:, None])
    axes = (1, 2) if entries.shape[2] == 1 else (1,)
    parts = [ops.sum(part, axis=axes) / (height * width) for part in parts]
    parts = [ops.reshape(part, (-1, 1, entries.shape[2], *layout.half)) for part in parts]
    gradient = layout.from_half(parts[0] if len(parts) == 1 else ops.concatenate(parts, axis=1))
    return gradient, ops.sum(terms, axis=1), *others


def shares(entries: Any, layout: Layout) -> np.ndarray:
    """The share of each entry in ||1||_1, numpy [kinds, C or 1, size]; they add up to 1."""
    counts = np.broadcast_to(layout.multiplicity, entries.shape[1:])
    return counts / counts.sum()


def penalty_terms(entries: Any, layout: Layout, objective: Objective) -> tuple[Any, Any, Any]:
    """(slopes, penalty, sparsity) of the masks.

    Returns:
        slopes: derivative of ||M||_p^p by the entries, like them: at 0 the one from above, as a
            mask cannot go below; 0 for an entry that cannot move, a phase where k = -k.
        penalty: ||M||_p^p / ||1||_1, [G].
        sparsity: ||M||_1 / ||1||_1, [G].
    """
    share = ops.cast(shares(entries, layout), entries.dtype)
    slopes, powers = ops.ones_like(entries), entries
    if objective.p != 1:
        slopes = objective.p * entries ** (objective.p - 1)
        powers = entries**objective.p
    slopes = slopes * ops.cast(movable(layout, objective), entries.dtype)
    penalty, sparsity = (ops.sum(item * share, axis=(1, 2, 3)) for item in (powers, entries))
    return slopes, penalty, sparsity


def movable(layout: Layout, objective: Objective) -> np.ndarray:
    """1 for entries that mean something, 0 for phases where k = -k; numpy [kinds, 1, size]."""
    amplitude, phase = np.ones(layout.size), layout.paired
    chosen = {"amplitude": [amplitude], "phase": [phase], "both": [amplitude, phase]}
    return np.stack(chosen[objective.modulate])[:, None]


def value_and_gradient(
    logits_of: Callable[[Any], Any],
    entries: Any,
    batch: tuple,
    layout: Layout,
    objective: Objective,
    channels_last: bool,
) -> tuple:
    """The objective of G masks and its gradient; can be traced.

    Args: as in `network_gradient`.

    Returns:
        (gradient, total, invariance, sparsity, correct): gradient like `entries`, by any one of
        the frequencies that an entry stands for; the objective, the weighted sum of the invariance
        terms and ||M||_1 / ||1||_1, each [G]; whether each image has its label [G, B].
    """

    def term(masked, change):
        return invariance_term(change, masked, objective.invariance)

    gradient, invariance, _, _, correct = network_gradient(
        logits_of, entries, batch, layout, objective.modulate, channels_last, term
    )
    slopes, penalty, sparsity = penalty_terms(entries, layout, objective)
    gradient = gradient + per_frequency(entries, layout, objective) * slopes
    return gradient, invariance + objective.penalty * penalty, invariance, sparsity, correct


def per_frequency(entries: Any, layout: Layout, objective: Objective) -> float:
    """lambda / ||1||_1."""
    height, width = layout.shape
    return objective.penalty / (entries.shape[1] * entries.shape[2] * height * width)
