"""The order of callbacks in a training that can be continued."""

import keras
import numpy as np

from spectral_keras.experiments.fit import ResumableFit
from spectral_keras.training.best_weights import BestWeights


class _EndOfEpoch(keras.callbacks.Callback):
    """Changes the weights where an epoch ends, as the mean over replicas does."""

    def on_epoch_end(self, epoch, logs=None):
        self.model.layers[0].bias.assign([7.0])


class _Data:
    epoch = 0


def test_what_changes_weights_comes_before_what_keeps_them(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    best = BestWeights()
    fit = ResumableFit(model, tmp_path, 4, best=best, write=False)
    data = {"x": np.ones((4, 2)), "y": np.ones((4, 1))}
    fit.fit(_Data(), 1, data=data, callbacks=[_EndOfEpoch()])
    np.testing.assert_array_equal(best.weights[1], [7.0])
