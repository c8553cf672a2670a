"""Mean corruption errors by hand."""

import numpy as np
import pytest

from spectral_keras.corruptions import names
from spectral_keras.evaluation import ALEXNET, mean_accuracy, mean_corruption_error

MODEL = {"fog": [10, 20, 30, 40, 50], "snow": [5, 5, 10, 10, 20]}
OTHER = {"fog": [20, 40, 60, 80, 100], "snow": [10, 10, 10, 10, 10]}


def result(accuracies, clean=0.9):
    """What accuracy_under_corruption returns, as far as it is read."""
    return {
        "clean": {"accuracy": clean},
        "corruptions": {
            name: [{"severity": s, "accuracy": a} for s, a in row.items()]
            for name, row in accuracies.items()
        },
    }


class TestMean:
    def test_a_mean_of_ratios_and_not_the_ratio_of_means(self):
        found = mean_corruption_error(MODEL, OTHER)
        assert found == {"mce": 75.0, "corruption_errors": {"fog": 50.0, "snow": 100.0}}
        ratio = 100 * np.sum(list(MODEL.values())) / np.sum(list(OTHER.values()))
        assert ratio == pytest.approx(57.142857)

    def test_a_model_has_100_of_itself(self):
        for relative in (False, True):
            found = mean_corruption_error(ALEXNET, ALEXNET, names=names("all"), relative=relative)
            assert found["mce"] == pytest.approx(100)
            assert set(found["corruption_errors"]) == set(names("all"))

    def test_normalised_by_alexnet(self):
        assert set(ALEXNET) == {"clean", *names("all")}
        errors = {name: 50.0 for name in names()}
        found = mean_corruption_error(errors, ALEXNET)
        assert list(found["corruption_errors"]) == list(names())
        assert found["corruption_errors"]["gaussian_noise"] == pytest.approx(5000 / 88.6428)
        assert found["corruption_errors"]["brightness"] == pytest.approx(5000 / 56.4592)
        assert found["corruption_errors"]["jpeg_compression"] == pytest.approx(5000 / 60.65)
        expected = np.mean([5000 / ALEXNET[name] for name in names()])
        assert found["mce"] == pytest.approx(expected)
        # The extra corruptions count only where they are named.
        errors["saturate"] = 0.0
        assert mean_corruption_error(errors, ALEXNET) == found

    def test_without_a_baseline_it_is_the_mean_error(self):
        found = mean_corruption_error(MODEL, None)
        assert found == {"mce": 20.0, "corruption_errors": {"fog": 30.0, "snow": 10.0}}

    def test_relative_errors_count_from_the_clean_ones(self):
        model, other = MODEL | {"clean": 5}, OTHER | {"clean": 6.0}
        found = mean_corruption_error(model, other, relative=True)
        expected = {"fog": 100 * 25 / 54, "snow": 100 * 5 / 4}
        assert found["corruption_errors"] == pytest.approx(expected)
        assert found["mce"] == pytest.approx(np.mean(list(expected.values())))
        assert mean_corruption_error(model, None, relative=True)["mce"] == 15
        # A model that corruptions help has a negative error.
        assert mean_corruption_error(model | {"clean": 40}, other, relative=True)["mce"] < 0

    def test_results_of_runs(self):
        model = result({"fog": {2: 0.8, 4: 0.6}, "saturate": {2: 0.0, 4: 0.0}})
        other = result({"fog": {4: 0.2, 2: 0.6}, "snow": {2: 0.1, 4: 0.2}}, clean=0.8)
        found = mean_corruption_error(model, other)
        assert found["corruption_errors"] == pytest.approx({"fog": 50})
        assert mean_corruption_error(model, other, relative=True)["mce"] == pytest.approx(50)
        assert mean_corruption_error(model, None)["mce"] == pytest.approx(30)
        assert mean_corruption_error(model, None, names="saturate")["mce"] == pytest.approx(100)

    def test_a_run_against_plain_numbers(self):
        model = result({"fog": dict.fromkeys(range(1, 6), 0.75)})
        assert mean_corruption_error(model, {"fog": 50}) == mean_corruption_error(
            model, {"fog": [np.float32(50)] * 5}
        )
        assert mean_corruption_error(model, {"fog": 50})["mce"] == pytest.approx(50)

    @pytest.mark.parametrize(
        ("arguments", "match"),
        [
            ((MODEL, {"fog": 50}), "`baseline` must have the corruption 'snow'"),
            ((MODEL, OTHER | {"fog": [1, 2]}), r"`baseline` must have the severities \[1, 2, 3, 4"),
            ((MODEL, OTHER | {"snow": 0}), "`baseline` must have more errors on 'snow'.*mean of 0"),
            ((MODEL, "alexnet"), "`baseline` must be .*Received: baseline='alexnet'"),
            (([1, 2], OTHER), r"`errors` must be .*Received: errors=\[1, 2\]"),
            (({"rain": 3}, None), "`errors` must have names of corruptions.*Received: 'rain'"),
            (({"fog": []}, None), "`errors` must have one to five errors for 'fog'. Received: 0"),
            (({"fog": [101]}, None), "`errors` must be a number >= 0 and <= 100. Received"),
            (({"fog": ["a"]}, None), "`errors` must be a number"),
            (({"saturate": 3}, None), "`names` must be given .*Received: a table with saturate"),
        ],
    )
    def test_bad_arguments_are_named(self, arguments, match):
        with pytest.raises(ValueError, match=match):
            mean_corruption_error(*arguments)

    @pytest.mark.parametrize(
        ("options", "match"),
        [
            ({"names": "frost"}, "`names` must be one or more of fog, snow. Received"),
            ({"names": []}, "`names` must be one or more of"),
            ({"relative": 1}, "`relative` must be True or False"),
            ({"relative": True}, '`errors` must have the error on "clean" images'),
        ],
    )
    def test_bad_options_are_named(self, options, match):
        with pytest.raises(ValueError, match=match):
            mean_corruption_error(MODEL, OTHER, **options)

    def test_results_of_other_images_are_not_compared(self):
        made, others, ready = (
            result({"fog": {1: 0.5}}) | {"settings": settings}
            for settings in ({"table": "cifar", "seed": 0}, {"table": "imagenet", "seed": 0},
                             {"source": "cifar10c"})
        )  # fmt: skip
        again = made | {"settings": {"table": "cifar", "seed": 3}}
        assert mean_corruption_error(made, again)["mce"] == 100
        for other in (others, ready):
            with pytest.raises(ValueError, match="the same table of constants .*'cifar'. Received"):
                mean_corruption_error(made, other)

    def test_relative_errors_need_the_clean_images(self):
        table = result({"fog": {1: 0.5}}) | {"clean": None}
        with pytest.raises(ValueError, match="accuracy on clean images .* Received: clean=None"):
            mean_corruption_error(table, None, relative=True)

    def test_a_baseline_that_corruptions_help_is_refused(self):
        model, other = MODEL | {"clean": 5}, OTHER | {"clean": 10}
        with pytest.raises(ValueError, match="more errors than on clean images on 'snow'"):
            mean_corruption_error(model, other, relative=True)


class TestAccuracy:
    def test_the_mean_of_all_cells_of_the_benchmark(self):
        table = result({"fog": {1: 0.5, 5: 0.25}, "snow": {1: 0.75}, "spatter": {1: 0.0}})
        assert mean_accuracy(table) == pytest.approx(0.5)
        assert mean_accuracy(table, ["fog", "spatter"]) == pytest.approx(0.25)
        assert mean_accuracy(table, "snow") == 0.75

    def test_bad_arguments_are_named(self):
        with pytest.raises(ValueError, match="`result` must be what .*Received: result={'fog': 1}"):
            mean_accuracy({"fog": 1})
        with pytest.raises(ValueError, match="`names` must be given"):
            mean_accuracy(result({"spatter": {1: 0.5}}))
