"""Tables 1 to 4 and Figures 1 and 6 of the frequency-interpretation paper: the smoke preset."""

import contextlib
import json
import types

import keras
import numpy as np
import pytest

from figures import _suppression_runs as runs
from figures import corruption_tables, response_histogram
from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.train.options import TrainOptions
from tests.figures.running import run_figure

NETWORK = "spectral_pool_cnn"


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """Both figures, with the runs in one folder as by default."""
    folder = tmp_path_factory.mktemp("suppression")
    output = {}
    for name in ("corruption_tables", "response_histogram"):
        done = run_figure(name, folder, "--preset", "smoke")
        assert done.returncode == 0, done.stderr
        assert (folder / f"{name}.png").exists()
        output[name] = done.stdout
    return folder, output


def content(smoke, name):
    return json.loads((smoke[0] / f"{name}.json").read_text())["content"]


@pytest.fixture(scope="module")
def two_seeds():
    """JSON of eight configurations with two seeds; the k-th gains k and 2 k points."""
    stored = {}
    for seed in (0, 1):
        for number, name in enumerate(("natural", *runs.CONFIGURATIONS)):
            arm = name if name == "natural" else f"LMH={name}"
            row = [0.5 + 0.01 * number * (1 + seed)] * 5
            result = {"images": {"training": 9}, "epochs": 2}
            stored[runs.run_key("vgg16", arm, seed)] = {
                "result": result | {"test_accuracy": 0.8 + 0.001 * number},
                "corruption": {
                    "clean": 0.3, "mean_accuracy": row[0],
                    "corruptions": {name: row for name in ("fog", "frost")},
                },
            }  # fmt: skip
    settings = {
        "seeds": {"table2": [0, 1]},
        "lambdas": [100],
        "networks": {"vgg16": ["table2"]},
    }
    whole = {"content": {"runs": stored}, "settings": settings | {"options": {}}}
    corruption_tables.derive(whole)
    return whole


class TestArms:
    @pytest.mark.parametrize("preset", list(runs.PRESETS))
    def test_every_arm_is_a_command(self, preset):
        """Each arm's options are known to the training command, and no two arms are the same."""
        settings = runs.PRESETS[preset]
        for network, tables in settings["networks"].items():
            commands = set()
            names = [arm for table in tables for arm in runs.arms(table, settings["lambdas"])]
            for arm in set(names):
                options = settings["training"] | settings["options"].get(network, {})
                options |= runs.arm_options(arm, network, settings["gate_hidden"])
                commands.add(tuple(TrainOptions.of_values(network, options).arguments()))
            assert len(commands) == len(set(names))

    def test_what_the_paper_did(self):
        settings = runs.PRESETS["paper"]
        assert runs.arm_options("LMH=011", "vgg16", 512) == {
            "suppression": "1/3", "spectral_padding": 4, "augment": "flip", "gate": "plain",
            "gate_hidden": 512, "attention": "011",
        }  # fmt: skip
        learned = runs.arm_options("both+learnable lambda=50", "resnet18", 512)
        assert learned["gate"] == "extended" and learned["noise"] == 1
        assert (learned["attention"], learned["attention_weight"]) == ("learnable", "50")
        assert "attention" not in runs.arm_options("suppression+attention", "vgg16", 512)
        assert all(len(seeds) == 4 for seeds in settings["seeds"].values())
        # The printed tables have a number for every arm of the paper's preset.
        for network, tables in settings["networks"].items():
            for table in tables:
                for arm in runs.arms(table, settings["lambdas"]):
                    assert len(corruption_tables.PAPER[network][arm]) == 3


class TestTables:
    def test_numbers_are_those_of_the_saved_network(self, smoke):
        """Accuracies of one run, computed again from its file and from corrupted images."""
        from spectral_keras.corruptions import BENCHMARK, corrupt
        from spectral_keras.data import load

        key = runs.run_key(NETWORK, "both+000 lambda=100", 0)
        found = content(smoke, "corruption_tables")["runs"][key]["corruption"]
        data = load("digits", limit=64, validation_fraction=0.1, seed=0)
        x, y = data.x_test[:6], data.y_test[:6]
        model = keras.saving.load_model(smoke[0] / f"runs/smoke/{key}/best.keras")

        def accuracy(images):
            logits = model.predict(images.astype("float32") / 255, verbose=0)
            return np.mean(logits.argmax(axis=1) == y)

        assert found["clean"] == pytest.approx(accuracy(x))
        expected = {
            name: [accuracy(corrupt(x, name, severity, seed=0)) for severity in range(1, 6)]
            for name in BENCHMARK
        }
        for name, row in expected.items():
            assert found["corruptions"][name] == pytest.approx(row), name
        assert found["mean_accuracy"] == pytest.approx(np.mean(list(expected.values())))

    def test_gains(self, smoke):
        stored = content(smoke, "corruption_tables")
        rows = stored["tables"][f"table4-{NETWORK}"]["rows"]
        assert list(rows) == ["natural", "both+000 lambda=100", "both+learnable lambda=100"]
        natural = stored["runs"][runs.run_key(NETWORK, "natural", 0)]["corruption"]
        for arm, row in rows.items():
            own = stored["runs"][runs.run_key(NETWORK, arm, 0)]["corruption"]
            gain = 100 * (own["mean_accuracy"] - natural["mean_accuracy"])
            assert row["robustness_gain"]["mean"] == pytest.approx(gain)
            ratios = [
                np.sum(1 - np.array(own["corruptions"][name]))
                / np.sum(1 - np.array(natural["corruptions"][name]))
                for name in own["corruptions"]
            ]
            assert row["mce_mean"] == pytest.approx(100 * np.mean(ratios))
        assert rows["natural"]["mce_mean"] == pytest.approx(100)

    def test_continues_without_work_done_again(self, smoke):
        before = content(smoke, "corruption_tables")
        done = run_figure("corruption_tables", smoke[0], "--preset", "smoke")
        assert done.returncode == 0, done.stderr
        assert "Epoch" not in done.stdout and "corrupting" not in done.stdout
        assert content(smoke, "corruption_tables") == before

    def test_clean_accuracy_is_of_the_whole_test_set(self, smoke):
        stored = content(smoke, "corruption_tables")
        rows = stored["tables"][f"table4-{NETWORK}"]["rows"]
        for arm, row in rows.items():
            record = stored["runs"][runs.run_key(NETWORK, arm, 0)]
            # The corrupted images are the first six only.
            assert record["result"]["images"]["test"] > 6
            assert row["accuracy"] == [100 * record["result"]["test_accuracy"]]

    def test_spread_and_variance(self, two_seeds):
        """Two seeds and the population variance over the eight configurations, by hand."""
        table = two_seeds["content"]["tables"]["table2-vgg16"]
        gain = table["rows"]["LMH=011"]["robustness_gain"]
        assert gain["by_seed"] == pytest.approx([2, 4])
        assert gain["mean"] == pytest.approx(3)
        # t with one degree of freedom: 12.7062 times the standard error, 1.
        assert gain["interval"] == pytest.approx([3 - 12.7062, 3 + 12.7062], abs=1e-4)
        assert table["rows"]["natural"]["accuracy"] == pytest.approx([80, 80])
        assert table["variance"]["robustness"] == pytest.approx(np.var(1.5 * np.arange(1, 9)))
        text = corruption_tables.verdict(two_seeds)
        assert "variance of the gains 0.05 clean and 11.81 under corruptions" in text
        assert "natural 80.0 % clean, 50.0 % under corruptions" in text

    def test_claims(self, two_seeds):
        found = {one["claim"]: one for one in two_seeds["content"]["claims"]}
        one = found["vgg16, LMH=000: better under corruptions"]
        assert (one["effect"], one["printed"]) == (pytest.approx(12), 4.10)
        assert one["verdict"] == "undecided" and one["over"] == "2 seeds"
        # The same gain with both seeds.
        clean = found["vgg16, LMH=000: clean accuracy falls by less than 1 point"]
        assert clean["effect"] == pytest.approx(0.8) and clean["verdict"] == "confirmed"

    def test_an_unfinished_run(self, two_seeds):
        """Arms that are there, each against the natural network of its seeds; all else not run."""
        whole = json.loads(json.dumps(two_seeds))
        whole["settings"]["networks"] = {"vgg16": ["table2"], "vgg16_bn": ["table1"]}
        whole["settings"]["seeds"]["table1"] = [0]
        stored = whole["content"]["runs"]
        kept = [("natural", 0), ("natural", 1), ("LMH=111", 0), ("LMH=111", 1), ("LMH=000", 1)]
        kept = {runs.run_key("vgg16", arm, seed) for arm, seed in kept}
        for key in set(stored) - kept:
            del stored[key]
        # Trained, not yet tested.
        stored[runs.run_key("vgg16", "LMH=000", 0)] = {"result": {"test_accuracy": 0.9}}
        corruption_tables.derive(whole)
        assert list(whole["content"]["tables"]) == ["table2-vgg16"]
        table = whole["content"]["tables"]["table2-vgg16"]
        assert list(table["rows"]) == ["natural", "LMH=111", "LMH=000"] and "variance" not in table
        last = table["rows"]["LMH=000"]
        assert last["seeds"] == [1] and last["robustness_gain"]["interval"] is None
        assert last["robustness_gain"]["by_seed"] == pytest.approx([16])
        found = {one["claim"]: one for one in whole["content"]["claims"]}
        assert len(found) == 2 * (8 + 3)
        assert found["vgg16, LMH=000: better under corruptions"]["verdict"] == "undecided"
        for arm in ("vgg16, LMH=011", "vgg16_bn, attention"):
            assert found[f"{arm}: better under corruptions"]["verdict"] == "not run"
        assert "vgg16_bn: not run" in corruption_tables.verdict(whole)
        # With the natural network alone there is no table.
        for key in [key for key in stored if "LMH" in key]:
            del stored[key]
        corruption_tables.derive(whole)
        assert not whole["content"]["tables"]

    @pytest.mark.parametrize(("natural", "verdict"), [(0.8, "confirmed"), (0.59, "undecided")])
    def test_nothing_to_win(self, two_seeds, natural, verdict):
        """Corruptions that cost less than ten points cannot show a gain, however sure it is."""
        whole = json.loads(json.dumps(two_seeds))
        for seed in (0, 1):
            for arm in ("natural", "LMH=000"):
                record = whole["content"]["runs"][runs.run_key("vgg16", arm, seed)]
                record["corruption"]["clean"] = natural
                record["corruption"]["mean_accuracy"] = 0.5 + 0.05 * (arm != "natural")
        corruption_tables.derive(whole)
        found = {one["claim"]: one for one in whole["content"]["claims"]}
        one = found["vgg16, LMH=000: better under corruptions"]
        assert one["verdict"] == verdict
        assert bool(one["note"]) == (verdict == "undecided")


class TestHistogram:
    def test_claims(self):
        """Three seeds decide, one does not."""

        def row(*low):
            return {"density": {"low": list(low), "medium": [1, 1, 1], "high": [1, 1, 1]}}

        record = {"result": {"images": {"training": 9}, "epochs": 2, "test_accuracy": 0.41}}
        content = {"runs": {"x": record}}
        settings = {"seeds": {"table2": [0, 1, 2]}, "options": {}}
        content["averages"] = {"vgg16": {"natural": row(1, 1.1, 1), "LMH=100": row(1.4, 1.5, 1.5)}}
        (one,) = response_histogram.claims(content, settings)
        assert one["effect"] == pytest.approx(1.3 / 3) and one["verdict"] == "confirmed"
        content["averages"] = {"vgg16": {"natural": row(1), "LMH=100": row(1.4)}}
        (one,) = response_histogram.claims(content, settings)
        assert one["effect"] == pytest.approx(0.4) and one["verdict"] == "undecided"
        assert "of the test images 41 to 41 % are right" in one["note"]
        # No more than where the band is suppressed.
        content["averages"] = {
            "vgg16": {"natural": row(1, 1.1, 1), "LMH=100": row(1.4, 1.5, 1.5),
                      "LMH=010": row(1, 1, 1), "LMH=001": row(1.6, 1.7, 1.7)}
        }  # fmt: skip
        one, *_ = response_histogram.claims(content, settings)
        assert one["verdict"] == "contradicted" and one["of"] == "over LMH=001"
        assert one["effect"] == pytest.approx(-0.2)

    def test_trainings_of_the_other_figure_are_used(self, smoke):
        output = smoke[1]["response_histogram"]
        # natural was trained for the tables: its folder is read.
        for arm, trained in (("natural", False), ("LMH=100", True)):
            key = runs.run_key(NETWORK, arm, 0)
            assert f"{key}: python -m models" in output
            assert (f"curves: {smoke[0]}/runs/smoke/{key}/" in output) == trained

    def test_histogram_of_the_saved_network(self, smoke):
        """A histogram in [0, 1] votes a map, the same at a frequency and at its partner."""
        key = runs.run_key(NETWORK, "natural", 0)
        stored = content(smoke, "response_histogram")["histograms"][key]
        assert stored["layer"] == "conv1"
        histogram = np.array(stored["histogram"])
        assert histogram.shape == (32, 32)
        assert histogram.min() >= 0 and histogram.max() <= 1
        mirrored = np.roll(histogram[::-1, ::-1], (1, 1), axis=(0, 1))
        np.testing.assert_allclose(histogram, mirrored, atol=2e-5)
        from spectral_keras.analysis import vote_shares

        for band, values in vote_shares(histogram).items():
            assert values["density"] == pytest.approx(stored["bands"][band]["density"], abs=1e-3)

    def test_verdict(self):
        def row(low, medium, high):
            return {"density": {"low": [low], "medium": [medium], "high": [high]}}

        rows = {
            "natural": row(1.0, 1.0, 1.0), "LMH=100": row(1.5, 1, 1), "LMH=010": row(1, 0.9, 1),
            "LMH=001": row(1, 1, 1.25),
        }  # fmt: skip
        text = response_histogram.verdict({"vgg16": rows})
        assert "has more votes in 2 of 3" in text
        assert "LMH=100 1.50 low (+0.50 over natural)" in text


def test_the_plan():
    """The pilot's two networks, then one seed of every arm before the next."""
    planned = list(runs.runs(runs.PRESETS["cpu"]))
    assert planned[:2] == ["resnet18-natural-0", "resnet18-both-0"]
    seeds = [key.rsplit("-", 1)[1] for key in planned]
    assert seeds == sorted(seeds) and len(set(planned)) == len(planned)
    # Table 3's five arms and 2 x 2 of table 4; table 1's four; table 2's nine, one of them shared.
    assert seeds.count("0") == 9 + 4 + 8 and seeds.count("2") == 9 + 4


@pytest.mark.parametrize(("accuracy", "stops"), [(0.9, False), (0.87, True)])
def test_a_weak_pilot_stops_the_tables(accuracy, stops):
    record = {"result": {"test_accuracy": accuracy}}
    experiment = types.SimpleNamespace(content={"runs": {"resnet18-natural-0": record}})
    pilot = runs.PRESETS["cpu"]["pilot"]
    with pytest.raises(CommandError, match="88 %") if stops else contextlib.nullcontext():
        corruption_tables._check_pilot(experiment, pilot, "resnet18-natural-0")
