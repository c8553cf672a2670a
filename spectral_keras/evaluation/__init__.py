"""What a trained classifier is worth on changed images, as plain dicts."""

from spectral_keras.evaluation.corruption import (
    accuracy_on_corrupted as accuracy_on_corrupted,
)
from spectral_keras.evaluation.corruption import (
    accuracy_under_corruption as accuracy_under_corruption,
)
from spectral_keras.evaluation.corruption_error import ALEXNET as ALEXNET
from spectral_keras.evaluation.corruption_error import mean_accuracy as mean_accuracy
from spectral_keras.evaluation.corruption_error import (
    mean_corruption_error as mean_corruption_error,
)
from spectral_keras.evaluation.intervals import newcombe_interval as newcombe_interval
from spectral_keras.evaluation.intervals import (
    paired_share_interval as paired_share_interval,
)
from spectral_keras.evaluation.intervals import (
    resampled_t_interval as resampled_t_interval,
)
from spectral_keras.evaluation.intervals import t_interval as t_interval
from spectral_keras.evaluation.intervals import wilson_interval as wilson_interval
from spectral_keras.evaluation.outcomes import ATTACKS as ATTACKS
from spectral_keras.evaluation.outcomes import LABELS as LABELS
from spectral_keras.evaluation.outcomes import Outcome as Outcome
from spectral_keras.evaluation.outcomes import attack_outcomes as attack_outcomes
from spectral_keras.evaluation.outcomes import carry_over as carry_over
from spectral_keras.evaluation.under_attack import EPS as EPS
from spectral_keras.evaluation.under_attack import accuracy_point as accuracy_point
from spectral_keras.evaluation.under_attack import (
    accuracy_under_attack as accuracy_under_attack,
)
from spectral_keras.evaluation.verdicts import VERDICTS as VERDICTS
from spectral_keras.evaluation.verdicts import combine as combine
from spectral_keras.evaluation.verdicts import judge as judge
