"""The PyTorch twins of the zoo, and the ratios."""

import math

import pytest

from benchmarks import training
from spectral_keras.models import registry


@pytest.mark.parametrize("width", [1.0, 0.25])
@pytest.mark.parametrize("name", ["resnet18", "vgg16_bn", "deep_spectral"])
def test_twins_have_the_weights_of_the_zoo(name, width):
    pytest.importorskip("torch")
    from benchmarks._pytorch_training import NETWORKS

    spatial = {"conv": "spatial"} if name == "deep_spectral" else {}
    model = registry.build(name, (32, 32, 3), 10, width=width, **spatial)
    twin = NETWORKS[name](width)
    trainable = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    assert sum(parameter.numel() for parameter in twin.parameters()) == trainable


class Clock:
    """A process whose steps take these seconds in turn."""

    def __init__(self, *seconds):
        self.seconds, self.asked = list(seconds), []

    def ask(self, request):
        self.asked.append(request)
        if "network" in request:
            return {"loss": 2.3}
        seconds = self.seconds.pop(0)
        return {"seconds": seconds, "cpu_seconds": 2 * seconds}


def test_ratios_of_medians():
    case = {"network": "resnet18", "width": 1.0, "precision": "float32", "batch": 100}
    ours, theirs = Clock(9, 0.1, 0.2, 0.1, 0.4), Clock(9, 0.1, 0.3, 0.5, 0.3)
    row = training.measure(case, ours, theirs, 3)
    assert row["tensorflow_milliseconds"] == 200 and row["pytorch_milliseconds"] == 300
    assert row["speedup"] == row["cpu_speedup"] == 1.5
    assert row["fastest_speedup"] == 3.0
    assert ours.asked[-1] == {"steps": 5}  # as many as fill half a second
    assert "500 (tensorflow) and 333 (pytorch) images/s, 1.50x" in training.text(row)
