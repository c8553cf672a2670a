"""Masks against planted bands: the smoke preset's numbers by numpy, and floors."""

import json

import numpy as np
import pytest

from figures import planted_masks
from spectral_keras.data.planted import planted_bands
from tests.figures.running import run_here, smoke_results


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Folder with what the smoke preset leaves."""
    return smoke_results(planted_masks.FIGURE, tmp_path_factory)


@pytest.fixture(scope="module")
def content(results):
    return json.loads((results / "planted_masks.json").read_text())["content"]


@pytest.fixture(scope="module")
def found(content):
    return content["found"]["radial"]["generic_cnn"]


def counts(mask, truth):
    """(precision, recall) of the entries above 1/2 but the constant's."""
    above = np.array(mask) > 0.5
    above[0, 0] = False
    both = (above & truth).sum()
    return both / max(above.sum(), 1), both / truth.sum()


def test_bands_are_those_of_the_data_set(content):
    bands, _ = planted_bands(32, "radial")
    np.testing.assert_array_equal(np.array(content["bands"]["radial"], bool), bands)


def test_precision_and_recall_by_numpy(found):
    bands, together = planted_bands(32, "radial")
    rows = [(one, together) for one in [*found["sets"], found["untrained"]]]
    rows += [(one, bands[one["class"]]) for one in found["classes"]]
    assert len(rows) == 2 + 1 + 4
    for one, truth in rows:
        precision, recall = counts(one["mask"], truth)
        assert one["precision"] == pytest.approx(precision)
        assert one["recall"] == pytest.approx(recall)
        assert one["sparsity"] == pytest.approx(np.mean(one["mask"]))
        inside = [np.array(one["mask"])[band].mean() for band in bands]
        assert one["in_band"] == pytest.approx(inside)
    assert found["chance"] == pytest.approx(together.sum() / 1023)


def test_the_bands_are_recovered(found):
    """Floors above guessing (.36), and above what the network that never saw them gives."""
    assert found["test_accuracy"] > 0.9
    best = found["sets"][-1]
    assert best["accuracy"] > 0.85
    assert best["precision"] > 0.6
    # How much of the bands the mask of the largest penalty leaves differs between processors,
    # whose rounding leads the training elsewhere; the smallest penalty leaves most of them.
    assert found["sets"][0]["recall"] > 0.5
    assert best["average_precision"] > found["untrained"]["average_precision"]
    assert best["average_precision"] > 0.55
    assert min(best["in_band"]) > 2 * best["outside"]
    # A larger penalty leaves less.
    sparsities = [one["sparsity"] for one in found["sets"]]
    assert sparsities == sorted(sparsities, reverse=True)


def test_the_untrained_network_knows_nothing(found):
    assert found["untrained"]["unmasked_accuracy"] < 0.45


def test_single_images_keep_their_own_band(found):
    (single,) = found["singles"]
    assert single["images"] == planted_masks.PRESETS["smoke"]["single_images"]
    assert single["energy_in_own_band"] > 0.7
    assert single["energy_in_own_band"] <= single["energy_in_all_bands"] <= 1


def test_drawn_from_the_json(results, capsys):
    (results / "planted_masks.png").unlink(missing_ok=True)
    status, _ = run_here(planted_masks.FIGURE, capsys, "--results", str(results))
    assert status == 0
    assert (results / "planted_masks.png").stat().st_size > 10_000


@pytest.mark.parametrize("empty", [0, 1, 2])
def test_empty_masks_of_untrained_networks_are_no_control(empty):
    def network(place):
        untrained = {"average_precision": 0.3, "sparsity": 0.0 if place < empty else 0.5}
        return {"sets": [{"penalty": 0.1, "average_precision": 0.7 + 0.01 * place}],
                "chance": 0.3, "untrained": untrained}  # fmt: skip

    settings = {"class_penalty": 0.1, "mask_images": 9, "networks": {"a": {}, "b": {}},
                "variants": ["radial"]}  # fmt: skip
    # Networks of one architecture count as one, on however many data sets.
    networks = {"a": network(0), "b": network(1)}
    content = {"found": {"radial": networks, "oriented": networks}}
    planted_masks.derive({"content": content, "settings": settings})
    chance, untrained = content["claims"]
    assert chance["effect"] == pytest.approx(0.405) and chance["over"] == "2 architectures"
    assert chance["interval"] == pytest.approx([0.405 - 0.0635, 0.405 + 0.0635], abs=1e-3)
    assert untrained["verdict"] == ("confirmed" if empty == 0 else "undecided")
    assert untrained["over"] == ("2 architectures" if empty == 0 else "")
    assert ("left out" in untrained["note"]) == (empty > 0)
    if empty < 2:
        assert untrained["effect"] == pytest.approx(0.41 if empty else 0.405)
