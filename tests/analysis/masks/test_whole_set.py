"""Masks of sets of images: a float64 reference run, known answers, stopping, resuming."""

import numpy as np
import pytest

from spectral_keras.analysis.masks import EpochRule, OneCycle, SetMasks, learn_mask
from tests.analysis.masks.nets import (
    numpy_images,
    numpy_objective,
    reading_net,
    showing_images,
    support,
)
from tests.attacks.nets import conv_net, images, linear_net, state

FREQUENCIES = [(1, 2), (0, 2)]


def two_classes(count, height, width):
    """Images of both classes of `reading_net`, in turn, and their labels."""
    x = showing_images(count, height, width, FREQUENCIES)
    labels = np.arange(count) % 2
    return np.where(labels[:, None, None, None] == 1, -x, x), labels


def reference(kernel, x, labels, size, epochs, seed, batch_size, rate, penalty):
    """The published loop in float64 numpy, gradients by finite differences."""
    mask = np.ones(size)
    first, second = np.zeros(size), np.zeros(size)
    batches = -(-len(x) // batch_size)
    cycle = OneCycle(peak=rate, total_steps=epochs * batches)
    number, sparsities = 0, []
    for epoch in range(epochs):
        order = np.random.default_rng([seed, 0, epoch]).permutation(len(x))
        for start in range(0, len(x), batch_size):
            part = order[start : start + batch_size]
            gradient = np.zeros(size)
            for place in np.ndindex(*size):
                ends = []
                for step in (1e-6, -1e-6):
                    moved = mask.copy()
                    moved[place] += step
                    ends.append(
                        numpy_objective(kernel, x[part], labels[part], moved, None, penalty=0)
                    )
                gradient[place] = (ends[0] - ends[1]) / 2e-6 + penalty / mask.size
            beta1 = cycle.momentum(number)
            first = beta1 * first + (1 - beta1) * gradient
            second = 0.999 * second + 0.001 * gradient**2
            number += 1
            corrected = first / (1 - beta1**number), second / (1 - 0.999**number)
            mask = mask - cycle.rate(number - 1) * corrected[0] / (np.sqrt(corrected[1]) + 1e-8)
            mask = np.clip(mask, 0, 1)
        sparsities.append(mask.mean())
    return mask, sparsities


@pytest.mark.parametrize(("batch_size", "symmetric"), [(1, False), (3, True)])
def test_equals_the_reference_run(batch_size, symmetric):
    size = (4, 5)
    kernel = np.random.default_rng(3).normal(0, 0.6, (20, 3))
    x = images(7, (*size, 1))
    labels = np.array([0, 1, 2, 0, 1, 2, 0])
    learned = learn_mask(
        linear_net(kernel, shape=(*size, 1)), (x, labels), learning_rate=0.05, epochs=4,
        batch_size=batch_size, seed=5, symmetric=symmetric,
        stopping=EpochRule(accuracy_ratio=0.0),
    )  # fmt: skip
    mask, sparsities = reference(kernel, x, labels, size, 4, 5, batch_size, 0.05, 0.2)
    assert 0.2 < mask.mean() < 0.9
    np.testing.assert_allclose(learned.masks[0], mask, atol=2e-3)
    np.testing.assert_allclose(learned.history["sparsity"][0], sparsities, atol=1e-3)
    assert learned.epoch.tolist() == [4] and learned.classes.tolist() == [-1]


def test_what_the_network_reads_is_kept_and_nothing_else():
    x, labels = two_classes(8, 6, 7)
    model = reading_net(6, 7, FREQUENCIES)
    learned = learn_mask(model, (x, labels), learning_rate=0.05, epochs=15, batch_size=2)
    np.testing.assert_array_equal(learned.masks[0] > 0.01, support(6, 7, FREQUENCIES))
    assert learned.accuracy[0] == learned.unmasked_accuracy[0] == 1
    np.testing.assert_allclose(learned.sparsity[0], learned.masks[0].mean(), rtol=1e-5)
    # From 1 + lambda down.
    objective = learned.history["objective"][0]
    assert objective[0] < 1.2 and objective[-1] < objective[0]


def test_each_class_is_learned_as_if_alone():
    x, labels = two_classes(7, 6, 6)  # of different size: their epochs do not end together
    settings = {"learning_rate": 0.03, "epochs": 5, "per_class": True}
    model = reading_net(6, 6, FREQUENCIES)
    both = learn_mask(model, (x, labels), **settings)
    assert both.classes.tolist() == [0, 1] and both.masks.shape == (2, 6, 6)
    alone = learn_mask(model, (x[labels == 0], labels[labels == 0]), **settings)
    np.testing.assert_allclose(both.masks[0], alone.masks[0], atol=1e-5)
    assert [len(row) for row in both.history["accuracy"]] == [5, 5]


def test_the_stopping_rule_counts_epochs():
    """A blind network: the mask falls to 0 and stays there."""
    model = reading_net(4, 4, [(1, 1)], gain=0.0)
    x = images(4, (4, 4, 1))
    calls = []
    learned = learn_mask(
        model, (x, np.zeros(4, int)), learning_rate=0.2, epochs=40,
        progress=lambda *call: calls.append(call),
    )  # fmt: skip
    sparsity = learned.history["sparsity"][0]
    moved = np.flatnonzero(np.abs(np.diff(sparsity)) > 1e-5)[-1] + 2  # the last epoch that moved
    assert len(sparsity) == moved + 7 < 40
    assert learned.converged.all() and learned.epoch[0] == len(sparsity)
    assert calls == [(i, 40) for i in range(1, len(sparsity) + 1)]


def test_the_mask_is_of_the_last_epoch_that_was_accurate():
    x, labels = two_classes(6, 6, 6)
    model = reading_net(6, 6, FREQUENCIES, gain=0.3)
    model.set_weights([model.get_weights()[0] + 1e-3 * np.array([[-1, 1]])])  # all 1 where blind
    learned = learn_mask(model, (x, labels), penalty=50.0, learning_rate=0.1, epochs=12)
    accuracy = learned.history["accuracy"][0]
    accurate = np.flatnonzero(accuracy >= 0.99 * learned.unmasked_accuracy[0])
    assert accuracy[-1] < 0.99 and len(accurate)
    assert learned.epoch[0] == accurate[-1] + 1
    np.testing.assert_allclose(
        learned.sparsity[0], learned.history["sparsity"][0][accurate[-1]], rtol=1e-5
    )
    filtered = numpy_images(x, learned.masks[0], None).reshape(6, -1)
    predicted = (filtered @ model.get_weights()[0].astype("float64")).argmax(axis=1)
    assert (predicted == labels).mean() == learned.accuracy[0]


class _Stop(Exception):
    pass


def test_resumed_equals_uninterrupted_and_the_network_stays_as_it_is(tmp_path):
    model = conv_net()
    before = state(model)
    x, labels = images(9), np.arange(9) % 3
    settings = {"epochs": 3, "learning_rate": 0.02, "per_class": True, "batch_size": 2}
    whole = learn_mask(model, (x, labels), **settings)
    path = tmp_path / "part.npz"

    def stop(done, total):
        if done >= 4:
            raise _Stop

    with pytest.raises(_Stop):
        learn_mask(model, (x, labels), checkpoint=path, progress=stop, **settings)
    resumed = learn_mask(model, (x, labels), checkpoint=path, **settings)
    for name in ("masks", "epoch", "accuracy", "sparsity"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(resumed, name))
    for name, rows in whole.history.items():
        for row, other in zip(rows, resumed.history[name], strict=True):
            np.testing.assert_array_equal(row, other)
    with pytest.raises(ValueError, match="`checkpoint` must be a file of this model, these"):
        learn_mask(model, (x, labels[::-1]), checkpoint=path, **settings)
    for was, now in zip(before, state(model), strict=True):
        np.testing.assert_array_equal(was, now)
    whole.save(tmp_path / "masks.npz")
    loaded = SetMasks.load(tmp_path / "masks.npz")
    np.testing.assert_array_equal(loaded.masks, whole.masks)
    assert loaded.phase_masks is None and loaded.settings == whole.settings


@pytest.mark.parametrize(
    ("data", "arguments", "message"),
    [
        (images(2), {}, "`data` must be a pair"),
        ((images(2), [0, 9]), {}, "`labels` must hold classes from 0 to 4"),
        ((images(2), [0, 1]), {"epochs": 0}, "`epochs` must be a positive integer"),
        ((images(2), [0, 1]), {"stopping": 7}, "`stopping` must be None or an EpochRule"),
        ((images(2), [0, 1]), {"learning_rate": 0}, "`learning_rate` must be a number > 0"),
        ((images(2), [0, 1]), {"per_class": 1}, "`per_class` must be True or False"),
    ],
)
def test_bad_arguments(data, arguments, message):
    with pytest.raises(ValueError, match=message):
        learn_mask(conv_net(), data, **arguments)
