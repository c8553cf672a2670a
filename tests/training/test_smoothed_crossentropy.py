import keras
import numpy as np
import pytest

from spectral_keras.training import SmoothedCrossentropy
from tests.oracles import to_numpy

LOGITS = np.random.default_rng(0).normal(size=(6, 5)).astype("float32")
LABELS = np.array([0, 4, 2, 2, 1, 3])


@pytest.mark.parametrize("smoothing", [0.0, 0.2, 0.9])
@pytest.mark.parametrize(
    "labels", [LABELS, LABELS[:, np.newaxis], LABELS.astype("float32"), np.eye(5)[LABELS]]
)
def test_closed_form(smoothing, labels):
    log = LOGITS - np.log(np.exp(LOGITS.astype("float64")).sum(axis=1, keepdims=True))
    target = (1 - smoothing) * np.eye(5)[LABELS] + smoothing / 5
    expected = -(target * log).sum(axis=1)
    loss = SmoothedCrossentropy(smoothing, reduction=None)
    np.testing.assert_allclose(to_numpy(loss(labels, LOGITS)), expected, rtol=1e-5)
    np.testing.assert_allclose(
        float(to_numpy(SmoothedCrossentropy(smoothing)(labels, LOGITS))), expected.mean(), rtol=1e-5
    )


def test_config_and_bad_share():
    loss = SmoothedCrossentropy(0.2, reduction="sum")
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert isinstance(again, SmoothedCrossentropy) and again.get_config() == loss.get_config()
    with pytest.raises(ValueError, match="`label_smoothing` must.*Received"):
        SmoothedCrossentropy(1.0)


def test_a_label_of_no_class_is_not_a_number():
    logits = np.array([[5.0, 1.0, 0.0]] * 4, "float32")
    loss = SmoothedCrossentropy(0.1, reduction=None)(np.array([0, 3, -1, 2]), logits)
    np.testing.assert_array_equal(np.isnan(to_numpy(loss)), [False, True, True, False])
