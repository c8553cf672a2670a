import keras
import numpy as np
import pytest

from spectral_keras.training.best_weights import BestWeights
from spectral_keras.training.non_finite import NonFiniteLossError, StopOnNonFiniteLoss
from tests.oracles import random_images


def linear_model(learning_rate):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(learning_rate), "mse")
    return model


class TestBestWeights:
    def test_keeps_the_first_of_the_best(self):
        model = linear_model(0.1)
        saved = []
        best = BestWeights(save=lambda model: saved.append(len(saved)), monitor="val_accuracy")
        best.set_model(model)
        for epoch, score in enumerate([0.2, 0.5, 0.5, 0.4, 0.6, 0.1]):
            model.set_weights([np.full((3, 1), epoch, "float32"), np.zeros(1, "float32")])
            best.on_epoch_end(epoch, {"val_accuracy": score})
        assert (best.score, best.epoch) == (0.6, 5)
        assert best.weights[0][0, 0] == 4
        assert len(saved) == 3

    def test_without_validation_the_newest_counts(self):
        model = linear_model(0.1)
        best = BestWeights(monitor=None)
        best.set_model(model)
        for epoch in range(3):
            best.on_epoch_end(epoch, {"loss": 1.0})
        assert best.epoch == 3 and best.score is None


class TestStopOnNonFiniteLoss:
    def test_stops_a_diverging_training(self):
        x = 10 * random_images((64, 3))
        model = linear_model(1e6)
        with pytest.raises(NonFiniteLossError, match="in epoch"):
            model.fit(x, x[:, :1], epochs=50, batch_size=8, verbose=0,
                      callbacks=[StopOnNonFiniteLoss()])  # fmt: skip

    def test_names_the_validation_loss(self):
        callback = StopOnNonFiniteLoss()
        callback.on_epoch_begin(2)
        with pytest.raises(NonFiniteLossError, match="val_loss is nan in epoch 3") as caught:
            callback.on_epoch_end(2, {"loss": 1.0, "val_loss": float("nan")})
        assert caught.value.epoch == 3 and caught.value.quantity == "val_loss"

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
    def test_looks_at_the_weights_when_an_epoch_ends(self, value):
        """The loss of the last step was computed before the step."""
        callback, model = StopOnNonFiniteLoss(), linear_model(0.1)
        callback.set_model(model)
        callback.on_epoch_end(0, {"loss": 1.0})
        model.set_weights([np.array([[1], [value], [1]], "float32"), np.zeros(1, "float32")])
        with pytest.raises(NonFiniteLossError, match="a value of the weight .*kernel is nan in e"):
            callback.on_epoch_end(1, {"loss": 1.0})

    def test_lets_a_good_training_pass(self):
        x = random_images((16, 3))
        model = linear_model(0.01)
        history = model.fit(x, x[:, :1], epochs=2, verbose=0, callbacks=[StopOnNonFiniteLoss()])
        assert len(history.history["loss"]) == 2
