"""What a channel gate learns from suppressed images."""

import dataclasses

from spectral_keras.augmentation.open_ratio import CONFIGURATIONS
from spectral_keras.ops.validation import check_choice, check_identifiers, check_number

__all__ = ["GateRule"]


@dataclasses.dataclass(frozen=True)
class GateRule:
    """How many channels a gate is to open for a suppressed image, and how much that counts.

    The loss of `AttendedSuppressionModel` gets the term weight * mean of s (v - beta)^2: v is the
    mean of the gate, beta the label of `augmentation.open_ratio` (equations (6) to (9) of Jia, Bao
    and Ma, arXiv 1911.12044), and s is 1 for an image that was suppressed, 0 for the others
    (equation (10)).

    Args:
        configuration: the paper's "LMH", three digits such as "000" or "011", or "learnable" (the
            parameters theta of equation (9) are trained along).
        weight: lambda of equation (10), at least 0.
        gate: name of the `ChannelGate`; None: the classifier's only one.
        normalizer: "batch": the mean is over all images; "suppressed": over the suppressed ones,
            which the paper leaves open.

    Raises:
        ValueError: for a value that does not fit.

    Example:

    >>> from spectral_keras.training import GateRule
    >>> GateRule("011", weight=10)
    GateRule(configuration='011', weight=10.0, gate=None, normalizer='batch')
    """

    configuration: str
    _: dataclasses.KW_ONLY
    weight: float = 100.0
    gate: str | None = None
    normalizer: str = "batch"

    def __post_init__(self):
        check_choice("configuration", self.configuration, CONFIGURATIONS)
        object.__setattr__(self, "weight", check_number("weight", self.weight, low=0))
        check_identifiers(gate=self.gate)
        check_choice("normalizer", self.normalizer, ("batch", "suppressed"))
