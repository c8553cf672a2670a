"""What a trained classifier is worth on changed images, as plain dicts."""

from spectral_keras.evaluation.corruption import accuracy_on_corrupted, accuracy_under_corruption
from spectral_keras.evaluation.corruption_error import ALEXNET, mean_accuracy, mean_corruption_error
from spectral_keras.evaluation.intervals import (
    newcombe_interval,
    paired_share_interval,
    resampled_t_interval,
    t_interval,
    wilson_interval,
)
from spectral_keras.evaluation.outcomes import Outcome, attack_outcomes, carry_over
from spectral_keras.evaluation.under_attack import (
    accuracy_point,
    accuracy_points,
    accuracy_under_attack,
)
from spectral_keras.evaluation.verdicts import VERDICTS, combine, judge

__all__ = [
    "ALEXNET",
    "VERDICTS",
    "Outcome",
    "accuracy_on_corrupted",
    "accuracy_point",
    "accuracy_points",
    "accuracy_under_attack",
    "accuracy_under_corruption",
    "attack_outcomes",
    "carry_over",
    "combine",
    "judge",
    "mean_accuracy",
    "mean_corruption_error",
    "newcombe_interval",
    "paired_share_interval",
    "resampled_t_interval",
    "t_interval",
    "wilson_interval",
]


def __dir__():
    return __all__
