"""Masks of single images: known answers, independence, resuming."""

import keras
import numpy as np
import pytest

from spectral_keras.analysis.masks import (
    ImageMasks,
    OneCycle,
    StepRule,
    learn_masks,
)
from tests.analysis.masks.nets import (
    numpy_images,
    numpy_objective,
    reading_net,
    showing_images,
    support,
)
from tests.attacks.nets import Opaque, classes, conv_net, images, state

FREQUENCIES = [(1, 2), (3, 1), (0, 2)]


@pytest.fixture(scope="module")
def net():
    return conv_net(dropout=0.5)


def curvy(count=6):
    return images(count, seed=3)


@pytest.mark.parametrize("schedule", ["fast", "published"])
@pytest.mark.parametrize("symmetric", [False, True])
def test_what_the_network_reads_is_kept_and_nothing_else(schedule, symmetric):
    model = reading_net(8, 7, FREQUENCIES)
    x = showing_images(3, 8, 7, FREQUENCIES)
    stopping = StepRule(patience=20, max_steps=200) if schedule == "published" else None
    learned = learn_masks(model, x, schedule=schedule, symmetric=symmetric, stopping=stopping)
    for mask in learned.masks:
        np.testing.assert_array_equal(mask > 0, support(8, 7, FREQUENCIES))
        assert (mask[mask > 0] > 0.4).all()
    assert learned.kept.all()
    kernel = np.asarray(model.get_weights()[0], "float64")
    for i in range(3):
        value = numpy_objective(
            kernel, x[i : i + 1], learned.labels[i : i + 1], learned.masks[i], None, penalty=0.07
        )
        np.testing.assert_allclose(learned.objective[i], value, rtol=1e-6)
        np.testing.assert_allclose(learned.sparsity[i], learned.masks[i].mean(), rtol=1e-5)
        np.testing.assert_allclose(learned.history["objective"][i][0], 1.07, rtol=2e-7)
        assert len(learned.history["objective"][i]) == learned.steps[i]


def test_entries_without_gradient_fall_at_the_learning_rate_and_the_rule_counts_exactly():
    """A blind network, with lambda / ||1||_1 as at 128x128 pixels."""
    model = reading_net(8, 8, [(1, 1)], gain=0.0)
    x = images(2, (8, 8, 1))
    learned = learn_masks(
        model, x, schedule="published", stopping=StepRule(patience=10), penalty=0.07 * 64 / 128**2
    )
    # 126 steps to 0: values 0 ... 125 fall, value 126 is 0 and 127 ... 136 are calm.
    for row in learned.history["sparsity"]:
        assert len(row) == 137
        assert row[125] > 0 and (row[126:] == 0).all()
        assert (np.diff(row[:126]) < 0).all()
    np.testing.assert_array_equal(learned.steps, [137, 137])
    assert learned.converged.all()
    np.testing.assert_array_equal(learned.masks, np.zeros((2, 8, 8)))

    constant = OneCycle(peak=1e-3, total_steps=10**9, warmup=0.0)
    learned = learn_masks(
        model, x[:1], schedule=constant, stopping=StepRule(max_steps=1002), keep="last",
        penalty=0.2 * 64 / 128**2,
    )  # fmt: skip
    (row,) = learned.history["sparsity"]
    assert row[1000] > 0 and row[1001] == 0
    assert not learned.converged[0] and learned.steps[0] == 1002


def test_the_objectives_of_the_two_schedules(net):
    x = curvy(4)
    fast = learn_masks(net, x)
    published = learn_masks(
        net, x, schedule="published", stopping=StepRule(patience=30, max_steps=400)
    )
    # Both gain almost all of the 0.07 that there is to gain.
    assert fast.objective.mean() - 1 < 0.1 * 0.07 > published.objective.mean() - 1
    assert fast.objective.mean() - published.objective.mean() < 0.02 * 0.07
    assert fast.steps.mean() < 0.4 * published.steps.mean()
    for row in fast.history["objective"]:
        assert (np.diff(row) > 1e-6).sum() <= 1
    assert fast.kept.all()
    for learned in (fast, published):
        filtered = np.concatenate(
            [numpy_images(x[i : i + 1], learned.masks[i], None) for i in range(4)]
        )
        kept = classes(net, filtered.astype("float32")) == learned.labels
        np.testing.assert_array_equal(kept, learned.kept)


def test_near_a_tie_of_two_classes():
    """The way down leads through masks of the other class, and may end there."""
    net = conv_net()
    x = images(60, seed=5)
    near, far = x[:30], x[30:]
    other = classes(net, near) != classes(net, far)
    start, near, far = near[other], near[other], far[other]
    label = classes(net, near)
    for _ in range(12):
        middle = (near + far) / 2
        same = (classes(net, middle) == label)[:, None, None, None]
        near, far = np.where(same, middle, near), np.where(same, far, middle)
    near = (near + 0.03 * (start - near)).astype("float32")
    logits = np.sort(keras.ops.convert_to_numpy(net(near)), axis=1)
    assert ((logits[:, -1] - logits[:, -2]) < 0.01).all()
    learned = learn_masks(net, near)
    assert learned.kept.all() and learned.converged.all()
    np.testing.assert_array_equal(learned.labels, label)
    filtered = np.concatenate(
        [numpy_images(near[i : i + 1], mask, None) for i, mask in enumerate(learned.masks)]
    )
    # Some end on the tie itself: to rounding no other class is above the image's own there.
    logits = keras.ops.convert_to_numpy(net(filtered.astype("float32")))
    behind = logits.max(1) - logits[np.arange(len(label)), label]
    assert behind.max() <= 32 * np.finfo("float32").eps * np.abs(logits).max()
    rises = [np.diff(row) > 1e-6 for row in learned.history["objective"]]
    assert {row.sum() for row in rises} == {0, 1}  # back to the best mask of the image's class
    # Steps that may not pass through the other class stop at 0.0299 with the third image.
    assert learned.objective[2] - 1 < 0.015
    # What is reported is of the mask that is returned.
    np.testing.assert_allclose(learned.sparsity, learned.masks.mean((1, 2)), rtol=1e-5)
    few = learn_masks(net, near, stopping=StepRule(max_steps=45))
    np.testing.assert_allclose(few.sparsity, few.masks.mean((1, 2)), rtol=1e-5)
    assert few.kept.all()


def test_alone_and_in_company(net):
    x = curvy()
    few = {"schedule": "published", "stopping": StepRule(max_steps=60)}
    # At the end valleys are flat: where the curvature along an entry is c, objectives that agree to
    # e leave it open by sqrt(2 e / c), and with c of 1e-3 and more e = 2e-6 leaves 0.06.
    for settings, atol in ((few, 1e-5), ({}, 1e-2)):
        together = learn_masks(net, x, batch_size=4, **settings)  # the last two enter later
        for i in (0, 3, 5):
            alone = learn_masks(net, x[i : i + 1], **settings)
            np.testing.assert_allclose(alone.masks[0], together.masks[i], atol=atol)
            np.testing.assert_allclose(alone.objective[0], together.objective[i], atol=2e-6)


@pytest.mark.parametrize("modulate", ["amplitude", "phase", "both"])
def test_the_symmetric_form_learns_the_same(net, modulate):
    x = curvy(2)
    settings = {"modulate": modulate, "stopping": StepRule(max_steps=25)}
    full, half = (learn_masks(net, x, symmetric=form, **settings) for form in (False, True))
    for name in ("masks", "phase_masks"):
        if getattr(full, name) is None:
            continue
        np.testing.assert_allclose(getattr(full, name), getattr(half, name), atol=1e-4)
    np.testing.assert_allclose(full.objective, half.objective, rtol=1e-5)


def test_per_channel_and_data_format():
    """A network that reads one channel: the other channels' masks are empty."""
    model = keras.Sequential(
        [
            keras.Input((2, 6, 8)),
            keras.layers.Flatten(),
            keras.layers.Dense(2, use_bias=False),
        ]
    )
    x = np.moveaxis(showing_images(2, 6, 8, [(1, 2)], channels=2), -1, 1)
    reader = reading_net(6, 8, [(1, 2)]).get_weights()[0]
    model.set_weights([np.concatenate([np.zeros_like(reader), reader])])
    learned = learn_masks(model, x, per_channel=True, data_format="channels_first")
    assert learned.masks.shape == (2, 6, 8, 2)
    for masks in learned.masks:
        np.testing.assert_array_equal(masks[..., 0], np.zeros((6, 8)))
        np.testing.assert_array_equal(masks[..., 1] > 0, support(6, 8, [(1, 2)]))


def test_phases_that_matter_are_kept():
    model = reading_net(8, 7, FREQUENCIES)
    x = showing_images(2, 8, 7, FREQUENCIES)
    learned = learn_masks(model, x, modulate="phase")
    assert learned.masks is None
    fixed = support(8, 7, [(0, 0), (4, 0)])  # their own partners: no phase to turn
    for i, mask in enumerate(learned.phase_masks):
        np.testing.assert_array_equal(mask > 0, support(8, 7, FREQUENCIES) | fixed)
        np.testing.assert_array_equal(mask[fixed], np.ones(2))
        value = numpy_objective(
            np.asarray(model.get_weights()[0], "float64"), x[i : i + 1],
            learned.labels[i : i + 1], None, mask, penalty=0.07,
        )  # fmt: skip
        np.testing.assert_allclose(learned.objective[i], value, rtol=1e-6)


@pytest.mark.parametrize("invariance", ["squared", "cross_entropy"])
def test_other_invariance_terms(invariance):
    model = reading_net(8, 7, FREQUENCIES, gain=3.0)
    x = showing_images(2, 8, 7, FREQUENCIES)
    learned = learn_masks(model, x, invariance=invariance, penalty=0.3)
    start = [row[0] for row in learned.history["objective"]]
    assert (learned.objective < start).all()
    for mask in learned.masks:
        np.testing.assert_array_equal(mask > 0, support(8, 7, FREQUENCIES))


def test_a_softmax_at_the_end_changes_nothing():
    x = showing_images(2, 8, 7, FREQUENCIES)
    plain = learn_masks(reading_net(8, 7, FREQUENCIES), x)
    softmax = reading_net(8, 7, FREQUENCIES, activation="softmax")
    for model in (softmax, Opaque(softmax)):
        np.testing.assert_allclose(learn_masks(model, x).masks, plain.masks, atol=2e-3)


def test_the_network_stays_as_it_is(net):
    before = state(net)
    learn_masks(net, curvy(2), stopping=StepRule(max_steps=5))
    for was, now in zip(before, state(net), strict=True):
        np.testing.assert_array_equal(was, now)


class _Stop(Exception):
    pass


@pytest.mark.parametrize("schedule", ["fast", "published"])
def test_resumed_equals_uninterrupted(net, tmp_path, schedule):
    x = curvy()
    path = tmp_path / "part.npz"
    settings = {
        "schedule": schedule,
        "batch_size": 3,
        "stopping": StepRule(patience=4, sparsity_tolerance=1e-4, max_steps=70),
    }
    whole = learn_masks(net, x, **settings)
    seen = []

    def stop(done, total):
        seen.append((done, total))
        if done >= 2:
            raise _Stop

    with pytest.raises(_Stop):
        learn_masks(net, x, checkpoint=path, checkpoint_every=7, progress=stop, **settings)
    calls = []
    resumed = learn_masks(
        net, x, checkpoint=path, checkpoint_every=7, progress=lambda *call: calls.append(call),
        **settings,
    )  # fmt: skip
    assert calls[-1] == (6, 6)
    for name in ("masks", "objective", "steps", "converged", "kept"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(resumed, name))
    for rows in zip(whole.history["sparsity"], resumed.history["sparsity"], strict=True):
        np.testing.assert_array_equal(*rows)
    # A finished file is taken as it is; one of other work is refused, as is a damaged one.
    again = learn_masks(net, x, checkpoint=path, checkpoint_every=7, **settings)
    np.testing.assert_array_equal(again.masks, whole.masks)
    with pytest.raises(ValueError, match="`checkpoint` must be a file of this model, these"):
        learn_masks(net, x[:5], checkpoint=path, **settings)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match="cannot be read"):
        learn_masks(net, x, checkpoint=path, **settings)


def test_saved_and_loaded(tmp_path):
    x = showing_images(3, 8, 7, FREQUENCIES)
    learned = learn_masks(reading_net(8, 7, FREQUENCIES), x, modulate="both")
    learned.save(tmp_path / "masks.npz")
    loaded = ImageMasks.load(tmp_path / "masks.npz")
    for name in ("masks", "phase_masks", "labels", "steps", "converged", "kept", "objective"):
        np.testing.assert_array_equal(getattr(learned, name), getattr(loaded, name))
    for name, rows in learned.history.items():
        for row, other in zip(rows, loaded.history[name], strict=True):
            np.testing.assert_array_equal(row, other)
    assert loaded.settings == learned.settings
    assert loaded.settings["preset"] == "fast" and loaded.settings["penalty"] == 0.07
    (tmp_path / "other.npz").write_bytes(b"no zip")
    with pytest.raises(ValueError, match="other.npz cannot be read as Fourier masks of single"):
        ImageMasks.load(tmp_path / "other.npz")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"penalty": 0}, "`penalty` must be a number > 0. Received: penalty=0"),
        ({"p": 0.5}, "`p` must be a number >= 1"),
        ({"invariance": "log"}, "`invariance` must be one of 'exp', 'squared'"),
        ({"modulate": "colour"}, "`modulate` must be one of 'amplitude', 'phase', 'both'"),
        ({"schedule": "slow"}, "`schedule` must be one of 'published', 'fast', a OneCycle or a"),
        ({"stopping": 3}, "`stopping` must be None or a StepRule. Received: stopping=3"),
        ({"keep": "last"}, "`keep` must be 'best' or None with Gauss-Newton steps"),
        ({"keep": "first"}, "`keep` must be one of None, 'best', 'last'"),
        ({"batch_size": 0}, "`batch_size` must be a positive integer"),
        ({"checkpoint": "masks.txt"}, "`checkpoint` must be a path that ends in .npz"),
        ({"progress": 1}, "`progress` must be None or a callable"),
        ({"images": np.zeros((2, 8, 8, 3), int)}, "`images` must be floats"),
        ({"images": np.zeros((0, 8, 8, 3))}, "`images` must hold at least one image"),
    ],
)
def test_bad_arguments(net, arguments, message):
    arguments = {"images": curvy(2), **arguments}
    with pytest.raises(ValueError, match=message):
        learn_masks(net, **arguments)
