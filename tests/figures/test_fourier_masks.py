"""Fourier masks of networks: numbers of the smoke preset, recomputed with NumPy, and the rules."""

import json
import math
import shutil

import numpy as np
import pytest

from figures import (
    _figure,
    _mask_basics,
    _mask_controls,
    _mask_runs,
    _mask_verdicts,
    fourier_masks,
)
from figures._mask_runs import PRESETS, number, training_options
from figures._test_images import decode
from tests.figures.running import run_here, smoke_results
from tests.models.runs import by_hand

SMOKE = PRESETS["smoke"]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Folder with what the smoke preset leaves, runs in `runs`; without the picture."""
    return smoke_results(fourier_masks.FIGURE, tmp_path_factory)


@pytest.fixture(scope="module")
def content(results):
    stored = json.loads((results / "fourier_masks.json").read_text())
    assert stored["finished"]
    return stored["content"]


@pytest.fixture(scope="module")
def images(results):
    """(x, y) of the test images."""
    (path,) = (results / "runs" / "smoke").glob("digits-*.npz")
    with np.load(path) as stored:
        assert stored["x_train"].shape == (200, 32, 32, 1)
        return stored["x_test"].astype("float64") / 255, stored["y_test"]


@pytest.fixture(scope="module")
def single(results):
    """Letter -> masks of single images, as the file has them."""
    from spectral_keras.analysis.masks import ImageMasks

    names = {"N": "natural", "A": "adversarial"}
    folder = results / "runs" / "smoke"
    return {key: ImageMasks.load(folder / f"masks-{name}.npz") for key, name in names.items()}


def network(results, name):
    import keras

    return keras.saving.load_model(results / "runs" / "smoke" / name / "best.keras", compile=False)


def predict(model, x):
    return np.asarray(model.predict(x.astype("float32"), verbose=0, batch_size=60)).argmax(1)


def behind(x, masks):
    """Images whose difference to grey is filtered by masks, in float64 by NumPy's FFT."""
    masks = np.asarray(masks, "float64")
    return 0.5 + np.fft.ifft2(masks * np.fft.fft2(x[..., 0] - 0.5)).real[..., None]


def radial(masks, bands=16, size=32):
    """Energies of rings of the width sqrt(2), from distances squared as integers."""
    k = np.rint(np.fft.fftfreq(size, 1 / size)).astype(int)
    square = k[:, None] ** 2 + k**2
    masks = np.asarray(masks, "float64")
    masks = masks / np.sqrt((masks**2).sum((-2, -1), keepdims=True))
    rings = [(2 * i * i <= square) & (square < 2 * (i + 1) ** 2) for i in range(bands)]
    return np.stack([np.sqrt((masks**2 * ring).sum((-2, -1))) for ring in rings], -1)


def is_share(accuracy, expected, images, slack=1):
    """Equal, but for images whose two largest outputs are the same up to rounding."""
    return abs(accuracy * images - expected.sum()) < slack + 1e-6


class TestSetMasks:
    def test_table1_by_numpy(self, results, content, images):
        x, y = images
        from spectral_keras.data.arrays import balanced_prefix

        own = balanced_prefix(y, SMOKE["mask_images"])
        parts = {"own": own, "others": np.setdiff1d(np.arange(len(y)), own)}
        assert set(content["set_masks"]) == {"N", "A", "M"}
        matched = f"matched-{content['matched']['epochs']}"
        for letter, name in (("N", "natural"), ("A", "adversarial"), ("M", matched)):
            entry, model = content["set_masks"][letter], network(results, name)
            mask = np.array(entry["mask"])
            assert mask.min() >= 0 and mask.max() <= 1 and mask.mean() < 0.999
            for part, index in parts.items():
                found = entry[part]
                plain = predict(model, x[index]) == y[index]
                masked = predict(model, behind(x[index], mask)) == y[index]
                assert found["images"] == len(index) == 60
                assert is_share(found["standard"], plain, 60)
                assert is_share(found["masked"], masked, 60)
                gain = 60 * (found["masked"] - found["standard"])
                assert found["won"] - found["lost"] == pytest.approx(gain)

    def test_energies_and_radius(self, content):
        k = np.fft.fftfreq(32, 1 / 32)
        for entry in content["set_masks"].values():
            mask = np.array(entry["mask"])
            np.testing.assert_allclose(entry["radial"], radial(mask), atol=1e-9)
            assert np.square(entry["angular"]).sum() == pytest.approx(
                1 - mask[0, 0] ** 2 / (mask**2).sum()
            )
            assert entry["sparsity"] == pytest.approx(mask.mean())
            distance = np.sqrt(k[:, None] ** 2 + k**2) / 16
            expected = (distance * mask**2).sum() / (mask**2).sum()
            assert entry["mean_radius"] == pytest.approx(expected)

    def test_masks_of_classes(self, content):
        found = content["class_masks"]
        assert np.shape(found["masks"]) == (5, 32, 32)
        for mask, sparsity in zip(found["masks"], found["sparsity"], strict=True):
            assert np.mean(mask) == pytest.approx(sparsity, abs=1e-4)


class TestSingleMasks:
    def test_selection(self, results, content, images):
        x, y = images
        index = np.array(content["selection"]["index"])
        assert len(index) == content["selection"]["chosen"] >= 10
        assert content["selection"]["of_each_class"] == np.bincount(y[index]).tolist()
        for name in ("natural", "adversarial"):
            assert (predict(network(results, name), x[index]) == y[index]).all()

    def test_table2_by_numpy(self, results, content, images, single):
        x, y = images
        index = np.array(content["selection"]["index"])
        x, y, masks = x[index], y[index], single["N"].masks
        model, table = network(results, "natural"), content["table2"]
        right = table["right"]
        assert table["images"] == len(index)
        # True by choice.
        assert right["X"]["none"] == len(index) and right["XA"]["none"] == 0

        def count(filters):
            return predict(model, behind(x, filters)) == y

        assert is_share(right["M(X)"]["mask"], count(masks), 1)
        assert is_share(right["M(X)"]["binary"], count(masks > 0), 1)
        assert is_share(right["M'(X)"]["mask"], count(masks == 0), 1)
        assert 0 < (masks == 0).mean() < 1
        # The learned mask keeps the class, up to what is counted as kept.
        assert right["M(X)"]["mask"] == content["single"]["N"]["kept"]

    def test_examples_are_attacked_within_eps(self, content, images, single):
        x, _ = images
        index = content["selection"]["index"]
        assert [example["class"] for example in content["examples"]] == sorted(
            {example["class"] for example in content["examples"]}
        )
        for example in content["examples"]:
            pictures = example["pictures"]

            def values(name, pictures=pictures):
                stored = pictures[name]
                return stored["low"] + (stored["high"] - stored["low"]) * decode(stored)

            image = x[example["test_image"]]
            change = np.abs(values("attacked") - image)
            assert change.max() <= SMOKE["attack"]["eps"] + 1 / 255
            assert change.max() > SMOKE["attack"]["eps"] / 2
            mask = single["N"].masks[index.index(example["test_image"])]
            np.testing.assert_allclose(values("mask")[..., 0], mask, atol=1 / 255)
            np.testing.assert_array_equal(values("complement")[..., 0], mask == 0)
            for name, filters in (("M(X)", mask), ("M'(X)", mask == 0)):
                expected = behind(image[None], filters)[0]
                scale = pictures[name]["high"] - pictures[name]["low"]
                np.testing.assert_allclose(values(name), expected, atol=scale / 255)

    def test_figure7_by_numpy(self, content, single):
        masks = {letter: single[letter].masks for letter in "AN"}
        full = masks["A"].any((1, 2)) & masks["N"].any((1, 2))
        new, old = (radial(masks[letter][full]) for letter in "AN")
        found = content["figure7"]["radial"]
        assert found["images"] == full.sum() > 0
        empty = {letter: len(one) - one.any((1, 2)).sum() for letter, one in masks.items()}
        assert empty == {letter: content["single"][letter]["empty"] for letter in "AN"}
        # Masks whose energy lies in one band are equal there, up to rounding.
        assert found["gained"] == (new - old > 1e-6).sum(0).tolist()
        assert found["lost"] == (old - new > 1e-6).sum(0).tolist()
        lowest = [np.hypot(values[:, 0], values[:, 1]) for values in (new, old)]
        assert content["figure7"]["low"]["gained"] == [int((lowest[0] - lowest[1] > 1e-6).sum())]
        z, n = 1.959963985, len(new)
        for count, low, high in zip(found["gained"], found["low"], found["high"], strict=True):
            # The ends of Wilson's interval solve (p - count / n)^2 = z^2 p (1 - p) / n.
            for end in (low, high):
                left, right = (end - count / n) ** 2, z * z * end * (1 - end) / n
                assert left == pytest.approx(right, abs=1e-8)

    def test_table3_and_figure8(self, content, single):
        report, figure8 = content["table3"], content["figure8"]
        count = len(single["N"].masks)
        assert report["train_masks"] + report["test_masks"] == report["masks"] == count
        assert sorted(figure8["train"] + figure8["test"]) == list(range(count))
        assert figure8["labels"] == single["N"].labels.tolist()
        points = np.array(figure8["points"])
        assert points.shape == (count, 2)
        np.testing.assert_allclose(points.mean(0), 0, atol=1e-3)
        # Principal components: uncorrelated, the first one longer.
        covariance = points.T @ points
        assert abs(covariance[0, 1]) < 1e-3 * covariance[0, 0] and (
            covariance[0, 0] >= covariance[1, 1]
        )


class TestShuffling:
    def test_values_stay_in_their_ring_and_images_real(self):
        rng = np.random.default_rng(0)
        masks = np.abs(np.fft.fft2(rng.random((3, 16, 16)))) % 1  # even: |F(-k)| = |F(k)|
        shuffled = _mask_basics.shuffle_in_rings(masks, 8)
        k = np.rint(np.fft.fftfreq(16, 1 / 16)).astype(int)
        square = k[:, None] ** 2 + k**2
        ring = np.floor(np.sqrt(square / 2 + 1e-9))
        for before, after in zip(masks, shuffled, strict=True):
            assert not np.allclose(before, after)
            for i in range(8):
                np.testing.assert_allclose(
                    np.sort(after[ring == i]), np.sort(before[ring == i]), atol=1e-9
                )
            np.testing.assert_allclose(after, np.roll(np.flip(after), (1, 1), (0, 1)), atol=1e-9)
        np.testing.assert_array_equal(shuffled[:, 0, 0], masks[:, 0, 0])
        # No two images are shuffled alike.
        same = _mask_basics.shuffle_in_rings(np.repeat(masks[:1], 2, 0), 8)
        assert not np.array_equal(same[0], same[1])

    def test_mean_radius_of_one_frequency(self):
        mask = np.zeros((8, 16))
        mask[2, 12] = 0.3  # 2 of 4 rows and 4 of 8 columns to the Nyquist frequencies
        assert _mask_basics.mean_radius(mask) == pytest.approx(math.sqrt(0.5))
        assert _mask_basics.mean_radius(np.zeros((8, 16))) == 0


class TestControls:
    @pytest.fixture(scope="class")
    @classmethod
    def masks(cls):
        rng = np.random.default_rng(1)
        half = rng.random((6, 8, 10)) ** 4
        # Even, as masks of real images are.
        return (half + np.roll(np.flip(half, (1, 2)), (1, 1), (1, 2))) / 2

    def test_low_pass_of_the_same_values(self, masks):
        low = _mask_controls.low_passes(masks)
        y, x = np.fft.fftfreq(8)[:, None], np.fft.fftfreq(10)
        radius = np.hypot(y, x)
        for before, after in zip(masks, low, strict=True):
            np.testing.assert_allclose(np.sort(after, axis=None), np.sort(before, axis=None))
            np.testing.assert_allclose(after, np.roll(np.flip(after), (1, 1), (0, 1)), atol=1e-12)
            for own in ((0, 0), (4, 0), (0, 5), (4, 5)):
                assert after[own] == before[own]
                after[own] = before[own] = 0
            # No value is larger than one at a smaller radius.
            size = np.where(after > 0, radius.round(9), np.inf)
            rings = [after[size == one] for one in np.unique(size[np.isfinite(size)])]
            assert len(rings) > 10
            for inner, outer in zip(rings, rings[1:], strict=False):
                assert outer.max() <= inner.min()
            assert (radius * after**2).sum() < (radius * before**2).sum()

    def test_masks_of_other_images(self, masks):
        labels = np.array([0, 0, 0, 1, 1, 1])
        found = _mask_controls.control_masks(masks, labels, 4)
        assert set(found) == {"shuffled", *_mask_verdicts.CONTROLS}
        for form, same in (("same class", True), ("other class", False)):
            for place, mask in enumerate(found[form]):
                (source,) = [i for i, one in enumerate(masks) if np.array_equal(one, mask)]
                assert source != place and (labels[source] == labels[place]) == same

    def test_counts(self, masks, monkeypatch):
        """Images are "right" if what is left of them has a positive first pixel."""

        class Pairs:
            models = {"N": None}
            x = np.random.default_rng(2).random((6, 8, 10, 1), "float32")
            attacked = np.random.default_rng(3).random((6, 8, 10, 1), "float32")
            y = np.array([0, 0, 0, 1, 1, 1])

        def predict(_, x):
            return np.where(x[:, 0, 0, 0] > 0.5, Pairs.y, -1)

        monkeypatch.setattr(_mask_controls, "predict_classes", predict)
        found = _mask_controls.measure_controls(Pairs, masks, 4)
        forms = {"mask": masks} | _mask_controls.control_masks(masks, Pairs.y, 4)

        def right(x, filters):
            return behind(x, filters)[:, 0, 0, 0] > 0.5

        own = right(Pairs.attacked, masks)
        for form, filters in forms.items():
            clean, attacked = right(Pairs.x, filters), right(Pairs.attacked, filters)
            assert found[form] == {
                "X": clean.sum(), "XA": attacked.sum(), "both": (clean & attacked).sum(),
                "only_mask": (own & ~attacked).sum(), "only_control": (attacked & ~own).sum(),
            }  # fmt: skip

    def test_spectra(self):
        x = np.random.default_rng(4).random((5, 8, 8, 1))
        found = _mask_controls.spectra(x)
        magnitude = np.abs(np.fft.fft2(x[..., 0] - 0.5))
        ratio = found["magnitude"] / magnitude
        np.testing.assert_allclose(ratio, ratio[0, 0, 0])
        assert np.square(found["magnitude"]).mean() == pytest.approx(1)
        assert found["log magnitude"].mean() == pytest.approx(0, abs=1e-9)
        assert found["log magnitude"].std() == pytest.approx(1)

    def test_splits_find_classes_that_differ_and_none_that_do_not(self):
        rng = np.random.default_rng(5)
        labels = np.arange(60) % 2
        features = rng.standard_normal((60, 4, 4))
        features[:, 0, 0] += 6 * labels
        settings = {"classifier": {"epochs": 20, "learning_rate": 0.02}, "splits": 2}
        found = _mask_controls.classify_splits(features, labels, settings)
        assert min(found["labels"]) > 0.8 > max(found["permuted"])
        assert (found["train_masks"], found["test_masks"]) == (51, 9)

    def test_of_the_run(self, content):
        count = content["selection"]["chosen"]
        controls, right = content["controls"], content["table2"]["right"]
        assert controls["images"] == count
        for form in ("mask", "shuffled"):
            assert controls[form]["X"] == right["M(X)"][form]
            assert controls[form]["XA"] == right["M(XA)"][form]
        assert controls["mask"]["only_mask"] == controls["mask"]["only_control"] == 0
        for one in (*content["class_null"].values(), content["mask_splits"]):
            assert len(one["labels"]) == len(one["permuted"]) == SMOKE["splits"]
            assert one["train_masks"] + one["test_masks"] == count


def toy(**changes):
    """Content of a run of 400 images on which every claim with an interval holds."""
    one = {"lost": 3, "won": 1, "images": 1000}
    entry = {"own": one, "others": one, "epoch": 9, "radial": [0.6, 0.4] + [0.1] * 14,
             "angular": [0.2, 0.3], "mean_radius": 0.4, "converged": True}  # fmt: skip
    masks = {letter: dict(entry) for letter in "NA"}
    right = {
        "X": {"none": 400},
        "XA": {"none": 0},
        "M(X)": {"mask": 400, "binary": 390, "shuffled": 370},
        "M(XA)": {"mask": 300, "binary": 250, "shuffled": 100},
        "M'(X)": {"mask": 150, "shuffled": 350},
    }
    only = {
        "M(XA)": {"mask": 210, "shuffled": 10},
        "M'(X)": {"mask": 10, "shuffled": 210},
    }
    arm = {"test_accuracy": 0.92, "test_interval": [0.86, 0.96], "chance": 0.2}
    low = {"images": 400, "share": [0.9], "low": [0.87], "high": [0.93], "lost": [40]}
    radial = {"images": 400, "share": [0.9, 0.9] + [0.1] * 14, "low": [0.87, 0.87] + [0.07] * 14,
              "high": [0.93, 0.93] + [0.13] * 14}  # fmt: skip
    angular = {"images": 400, "gained": [80, 200, 240, 100] * 2}
    alike = {"images": 400, "gained": [148, 150, 152, 149] * 2}
    beaten = {"X": 370, "XA": 90, "both": 80, "only_mask": 215, "only_control": 5}
    controls = {form: dict(beaten) for form in ("mask", "shuffled", *_mask_verdicts.CONTROLS)}
    null = {"labels": [0.5, 0.48, 0.52], "permuted": [0.2] * 3, "test_masks": 60,
            "train_masks": 340}  # fmt: skip
    content = {
        "set_masks": masks,
        "published_objective": {letter: dict(entry) for letter in "NA"},
        "figure7": {"low": low, "radial": radial, "angular": angular},
        "figure7_matched": {
            "adversarial": {"low": dict(low)},
            "natural": {"low": dict(low), "angular": alike},
        },
        "matched": {"epochs": 2, "adversarial": 0.7, "accuracies": {"1": 0.4, "2": 0.71}},
        "table2": {"images": 400, "right": right, "right_with_one_only": only},
        "table3": {"verdict": "separable", "test_masks": 60, "labels": arm, "control": arm},
        "controls": {"images": 400, **controls},
        "class_null": {"magnitude": null},
        "mask_splits": null | {"labels": [0.92, 0.93, 0.92]},
    }
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = content
        for key in parents:
            place = place[key]
        place[last] = value
    return content


class TestClaims:
    NAMES = ("kept", "unseen", "published", "radial", "angular", "low", "rings", "matched",
             "direction", "complement", "as many", "reversed", "class", "as often", "spectrum",
             "splits")  # fmt: skip
    # The number of the paper falls with the claim.
    FOLLOWS = {"complement": "as many", "class": "as often"}
    # One mask a training gives no interval.
    ALWAYS = {"radial": "undecided", "angular": "undecided"}

    def found(self, content):
        pairs = zip(self.NAMES, _mask_verdicts.claims(content, SMOKE), strict=True)
        return {name: one["verdict"] for name, one in pairs}

    def test_all_hold(self):
        expected = dict.fromkeys(self.NAMES, "confirmed") | self.ALWAYS
        assert self.found(toy()) == expected

    @pytest.mark.parametrize(
        ("name", "changes", "expected"),
        [
            ("kept", {"set_masks__A__own": {"lost": 90, "won": 10, "images": 1000}},
             "contradicted"),
            ("kept", {"set_masks__A__own": {"lost": 30, "won": 10, "images": 1000}}, "undecided"),
            ("unseen", {"set_masks__A__others": {"lost": 90, "won": 10, "images": 1000}},
             "contradicted"),
            ("unseen", {"set_masks__A__others": None, "set_masks__N__others": None}, "not run"),
            ("published", {"published_objective__A__others": {
                "lost": 90, "won": 10, "images": 1000}}, "contradicted"),
            ("rings", {"figure7__radial__low": [0.87, 0.6] + [0.07] * 14,
                       "figure7__radial__high": [0.93, 0.7] + [0.13] * 14}, "contradicted"),
            ("direction", {"figure7_matched__natural__angular__gained": [90, 200, 230, 90] * 2},
             "undecided"),
            ("as many", {"table2__right__M'(X)__mask": 250}, "contradicted"),
            ("as often", {"table3__labels__test_interval": [0.6, 0.75]}, "contradicted"),
            ("low", {"figure7__low__low": [0.2], "figure7__low__high": [0.3]}, "contradicted"),
            ("low", {"figure7__low__low": [0.45]}, "undecided"),
            ("matched", {"figure7_matched__adversarial__low": {
                "images": 400, "share": [0.3], "low": [0.26], "high": [0.34]}}, "contradicted"),
            ("matched", {"figure7_matched": None}, "not run"),
            # Less than a choice of two wedges makes of chance.
            ("direction", {"figure7__angular__gained": [200, 215, 225, 200] * 2}, "undecided"),
            ("complement", {"table2__right": toy()["table2"]["right"] | {
                "M'(X)": {"mask": 396, "shuffled": 398}}}, "contradicted"),
            # It hurts, but to lose other frequencies of the same rings hurts as much.
            ("complement", {"table2__right_with_one_only": {
                "M(XA)": {"mask": 210, "shuffled": 10}, "M'(X)": {"mask": 30, "shuffled": 30}}},
             "undecided"),
            ("reversed", {"table2__right": toy()["table2"]["right"] | {
                "M(XA)": {"mask": 100, "shuffled": 100}}}, "contradicted"),
            # Most are reversed, and a few more by a mask that has nothing to do with the image.
            ("reversed", {"table2__right_with_one_only": toy()["table2"]["right_with_one_only"] | {
                "M(XA)": {"mask": 1, "shuffled": 30}}}, "contradicted"),
            ("reversed", {"controls__low-pass__only_control": 300,
                          "controls__low-pass__only_mask": 10}, "contradicted"),
            ("reversed", {"controls__other class__only_control": 180,
                          "controls__other class__only_mask": 190}, "undecided"),
            ("reversed", {"controls": None}, "not run"),
            # A control that takes the clean image its class, too, cannot win.
            ("reversed", {"controls__low-pass__X": 90}, "undecided"),
            ("reversed", {"table2__right__M(X)__shuffled": 90}, "undecided"),
            ("class", {"table3__verdict": "control failed"}, "undecided"),
            ("class", {"table3__labels__test_interval": [0.1, 0.19]}, "contradicted"),
            ("spectrum", {"class_null__magnitude__labels": [0.88] * 3}, "undecided"),
            ("splits", {"mask_splits": None}, "not run"),
            ("splits", {"mask_splits__labels": [0.52, 0.48, 0.5]}, "undecided"),
        ],
    )  # fmt: skip
    def test_each_can_fail(self, name, changes, expected):
        found = self.found(toy(**changes))
        assert found.pop(name) == expected
        others = dict.fromkeys(self.NAMES, "confirmed") | self.ALWAYS
        others.pop(name)
        for each in (found, others):
            each.pop(self.FOLLOWS.get(name), None)
        assert found == others

    @pytest.mark.parametrize(
        ("energies", "expected"),
        [((0.85, 0.8, 0.81), "confirmed"), ((0.59, 0.4, 0.41), "undecided"),
         ((0.4, 0.41, 0.4), "contradicted")],
    )  # fmt: skip
    def test_shifts_over_seeds(self, energies, expected):
        """Energies of ring 0 under adversarial training, of three seeds; naturally 0.6."""

        def masks(energy):
            entry = toy()["set_masks"]["N"]
            return {"N": entry | {"radial": [0.6, 0] + [0.1] * 14},
                    "A": entry | {"radial": [energy, 0] + [0.1] * 14}}  # fmt: skip

        first, *others = map(masks, energies)
        others = dict(zip("12", others, strict=True))
        changes = {"set_masks": first, "set_masks_of_seeds": others}
        shift = _mask_verdicts.claims(toy(**changes), SMOKE)[self.NAMES.index("radial")]
        values = [energy - 0.6 for energy in energies]
        assert shift["effect"] == pytest.approx(np.mean(values))
        assert shift["over"] == "3 seeds" and shift["unit"] == "energy"
        half = 4.302652730 * np.std(values, ddof=1) / math.sqrt(3)
        np.testing.assert_allclose(shift["interval"], np.mean(values) + np.array([-half, half]))
        assert shift["verdict"] == expected

    @pytest.mark.parametrize(
        ("others", "expected"),
        [((0.29, 0.31, 0.3), "confirmed"), ((0.11, 0.3), "undecided"),
         ((0.12, 0.11, 0.1), "contradicted"), ((), "undecided")],
    )  # fmt: skip
    def test_directions_over_the_seeds_that_did_not_choose_them(self, others, expected):
        """Energies of the second wedge under adversarial training; naturally .2, the first .3."""

        def masks(energy):
            entry = toy()["set_masks"]["N"] | {"angular": [0.3, 0.2]}
            return {"N": entry, "A": entry | {"angular": [0.3, energy]}}

        later = {str(seed): masks(energy) for seed, energy in enumerate(others, 1)}
        changes = {"set_masks": masks(0.4), "set_masks_of_seeds": later}
        found = _mask_verdicts.claims(toy(**changes), SMOKE)[self.NAMES.index("angular")]
        assert found["where"] == "Figure 4, angular"
        values = [energy - 0.2 for energy in others] or [0.2]
        assert found["effect"] == pytest.approx(np.mean(values))
        assert found["verdict"] == expected

    def test_masks_of_ones_show_nothing(self):
        """They are kept for want of better ones."""
        kept, unseen, *_ = _mask_verdicts.claims(toy(set_masks__A__epoch=0), SMOKE)
        assert kept["verdict"] == unseen["verdict"] == "undecided"

    def test_masks_that_did_not_converge_are_named(self):
        kept, *_ = _mask_verdicts.claims(toy(set_masks__N__converged=False), SMOKE)
        assert kept["note"].endswith("not converged: N")

    def test_of_the_run(self, content):
        again = {"content": json.loads(json.dumps(content)), "settings": SMOKE}
        fourier_masks.derive(again)
        assert again["content"]["claims"] == content["claims"]


class TestCommand:
    def test_the_picture_is_drawn_from_the_json_alone(self, results, tmp_path, capsys):
        shutil.copy(results / "fourier_masks.json", tmp_path)
        assert run_here(fourier_masks.FIGURE, capsys, "--results", str(tmp_path))[0] == 0
        for suffix in ("", "_images", "_single"):
            picture = tmp_path / f"fourier_masks{suffix}.png"
            assert picture.read_bytes()[:4] == b"\x89PNG" and picture.stat().st_size > 30_000

    def test_an_interrupted_run_continues(self, results, content, capsys, monkeypatch):
        """Single-image masks are read from their files, whole-set masks from the JSON."""
        from spectral_keras.analysis import masks

        path = results / "fourier_masks.json"
        before = path.read_text()
        stored = json.loads(before)
        for name in ("table2", "figure7", "table3", "figure8", "examples", "claims"):
            del stored["content"][name]
        path.write_text(by_hand({**stored, "finished": False}))
        monkeypatch.setattr(masks, "learn_masks", None)
        monkeypatch.setattr(masks, "learn_mask", None)
        monkeypatch.setattr(_figure, "_draw", lambda *_: None)
        places = ("--results", str(results), "--runs", str(results / "runs"))
        assert run_here(fourier_masks.FIGURE, capsys, "--preset", "smoke", *places)[0] == 0
        again = json.loads(path.read_text())["content"]
        path.write_text(before)
        for name in ("table2", "figure7", "selection", "single", "set_masks", "runs"):
            assert again[name] == content[name]

    def test_a_wrong_json_is_one_line(self, tmp_path, capsys):
        text = '{"figure": "fourier_masks", "preset": "cpu", "content": {}}'
        (tmp_path / "fourier_masks.json").write_text(text)
        status, line = run_here(fourier_masks.FIGURE, capsys, "--results", str(tmp_path))
        assert status == 2 and "--preset cpu continues it" in line


class TestMatched:
    @pytest.mark.parametrize(
        ("accuracies", "epochs", "trained"),
        [((0.5, 0.68, 0.9), 2, 3), ((0.5, 0.72, 0.9), 2, 2), ((0.8, 0.9, 0.9), 1, 1),
         ((0.1, 0.2, 0.3), 4, 3)],
    )  # fmt: skip
    def test_the_nearest_accuracy(self, monkeypatch, accuracies, epochs, trained):
        wanted = []

        def train(_, name, options):
            wanted.append((name, options["epochs"], options["warmup_epochs"]))
            return accuracies[len(wanted) - 1]

        class Experiment:
            settings = PRESETS["cpu"] | {"matched": [1, 2, 4]}
            content = {"runs": {"adversarial": {"result": {"test_accuracy": 0.7}}}}
            save = staticmethod(lambda: None)

        class Images:
            path = "images.npz"

        monkeypatch.setattr(_mask_runs, "_train", train)
        _mask_runs.train_matched(Experiment, Images)
        expected = [("matched-1", 1, 0.1), ("matched-2", 2, 0.2), ("matched-4", 4, 0.4)]
        assert wanted == expected[:trained]
        found = Experiment.content["matched"]
        assert (found["epochs"], found["adversarial"]) == (epochs, 0.7)
        assert list(found["accuracies"].values()) == list(accuracies[:trained])

    def test_of_the_run(self, content, single):
        found = content["figure7_matched"]
        assert content["single"]["M"]["images"] <= content["single"]["N"]["images"]
        assert set(found) == {"adversarial", "natural"}
        assert set(content["published_objective"]) == {"N"}
        mask = np.array(content["published_objective"]["N"]["mask"])
        assert not np.array_equal(mask, content["set_masks"]["N"]["mask"])
        assert set(content["set_masks_of_seeds"]) == {"1"}
        assert set(content["set_masks_of_seeds"]["1"]) == {"N", "A"}


class TestOptions:
    def test_regimes(self):
        settings = PRESETS["cpu"]
        natural = training_options(settings, "x.npz", "N")
        assert natural["augment"] == "crop,flip" and "adversarial" not in natural
        for letter, name in (("S", "scale"), ("T", "translation"), ("R", "rotation")):
            assert training_options(settings, "x.npz", letter) == natural | {
                "augment": f"crop,flip,{name}"
            }
        adversarial = training_options(settings, "x.npz", "A")
        assert adversarial["augment"] == natural["augment"]
        assert adversarial["adversarial_eps"] == settings["adversarial"]["eps"] == "8/255"
        assert adversarial["adversarial_random_start"] == "true"

    @pytest.mark.parametrize("preset", list(PRESETS))
    def test_every_option_is_one_of_the_command(self, preset):
        from spectral_keras.experiments.train.options import TrainOptions

        for letter in PRESETS[preset]["regimes"]:
            options = training_options(PRESETS[preset], "images.npz", letter)
            parsed = TrainOptions.of_values("vgg11_bn", options)
            assert parsed.dataset == "images.npz" and parsed.augment == options["augment"]

    def test_the_paper_in_units_of_the_pixels(self):
        adversarial = PRESETS["paper"]["adversarial"]
        assert adversarial["eps"] == pytest.approx(0.06 * 0.226)
        assert adversarial["step_size"] == pytest.approx(0.06 * 0.226 / 8)
        # Rings as wide as the paper's.
        assert PRESETS["paper"]["bands"] / 128 == PRESETS["cpu"]["bands"] / 32

    def test_fractions(self):
        assert number("8/255") == 8 / 255 and number(0.1) == 0.1
