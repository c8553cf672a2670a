"""Mean corruption errors: what corruptions cost a model, compared with another model."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from spectral_keras.corruptions import BENCHMARK, EXTRA, SEVERITIES
from spectral_keras.ops.validation import check_bool, check_number, describe

__all__ = ["ALEXNET", "mean_accuracy", "mean_corruption_error"]

# Top-1 errors in per cent of AlexNet on ImageNet-C, the mean of five severities each, with which
# Hendrycks and Dietterich (2019) normalise; "clean" is that on ImageNet. There are no such numbers
# for CIFAR-10-C, where papers divide by a model of their own, or not at all.
ALEXNET = {
    "clean": 43.5,
    "gaussian_noise": 88.6428,
    "shot_noise": 89.4468,
    "impulse_noise": 92.2640,
    "defocus_blur": 81.9880,
    "glass_blur": 82.6268,
    "motion_blur": 78.5948,
    "zoom_blur": 79.8360,
    "snow": 86.6816,
    "frost": 82.6572,
    "fog": 81.9324,
    "brightness": 56.4592,
    "contrast": 85.3204,
    "elastic_transform": 64.6056,
    "pixelate": 71.7840,
    "jpeg_compression": 60.6500,
    "speckle_noise": 84.5,
    "gaussian_blur": 78.7,
    "spatter": 71.8,
    "saturate": 65.8,
}


def mean_accuracy(result: dict[str, Any], names: str | Sequence[str] | None = None) -> float:
    """The mean over corruptions and severities: "Rob." of the benchmark.

    Args:
        result: of `accuracy_under_corruption`.
        names: corruptions to count; None for those of the 15 of the benchmark that `result` has.

    Returns:
        The mean of the accuracies, in [0, 1].

    Raises:
        ValueError: for an argument that does not fit.

    Example:

    >>> points = [{"severity": 1, "accuracy": 0.75}, {"severity": 2, "accuracy": 0.5}]
    >>> extra = [{"severity": 1, "accuracy": 0.0}]
    >>> mean_accuracy({"corruptions": {"fog": points, "saturate": extra}})
    0.625
    """
    if not isinstance(result, dict) or "corruptions" not in result:
        raise ValueError(
            "`result` must be what accuracy_under_corruption returns. Received: "
            f"result={describe(result)}"
        )
    table = result["corruptions"]
    names = _chosen_names(names, table)
    return float(np.mean([point["accuracy"] for name in names for point in table[name]]))


def mean_corruption_error(
    errors: dict[str, Any],
    baseline: dict[str, Any] | None,
    *,
    names: str | Sequence[str] | None = None,
    relative: bool = False,
) -> dict[str, Any]:
    """mCE: the mean over the corruptions of the model's error divided by the baseline's.

    With the errors E(s) of the model and B(s) of the baseline at the severities s of a corruption,
    its corruption error is 100 sum E(s) / sum B(s), and mCE is the mean over the corruptions: a
    mean of ratios, not the ratio of means. The relative error counts what a corruption adds,
    100 sum (E(s) - E clean) / sum (B(s) - B clean). Hendrycks and Dietterich (2019), Section 4.1.

    Args:
        errors: the model: what `accuracy_under_corruption` returns, or a dict corruption -> list
            of errors in per cent, from severity 1 on, or one number, the mean of all five; and
            "clean" -> number for the relative error.
        baseline: what to divide by, in any of these forms; `ALEXNET` for ImageNet-C; or None:
            nothing is divided by, and the result is the mean error in per cent itself.
        names: corruptions to count; None for those of the 15 of the benchmark that `errors` has.
        relative: whether to count from the error on clean images.

    Returns:
        A dict of plain values, in per cent: "mce", and "corruption_errors", corruption -> error.
        The baseline itself has 100 everywhere.

    Raises:
        ValueError: for an argument that does not fit, such as a baseline without one of the
            corruptions, of other severities or another table of constants, or with errors that do
            not add up to more than 0.

    Example:

    >>> model = {"snow": [10, 20, 30, 40, 50], "fog": [5, 5, 10, 10, 20]}
    >>> other = {"snow": [20, 40, 60, 80, 100], "fog": [10, 10, 10, 10, 10]}
    >>> mean_corruption_error(model, other)
    {'mce': 75.0, 'corruption_errors': {'snow': 50.0, 'fog': 100.0}}
    """
    check_bool("relative", relative)
    table, clean = _read("errors", errors, relative)
    names = _chosen_names(names, table)
    means = {name: float(np.mean(list(table[name].values()))) - clean for name in names}
    if baseline is None:
        found = means
    else:
        base, base_clean = _read("baseline", baseline, relative)
        _check_same_images(errors, baseline)
        found = {}
        for name in names:
            if name not in base:
                raise ValueError(
                    f"`baseline` must have the corruption {name!r} that `errors` has. Received: "
                    f"baseline with {', '.join(base) or 'none'}"
                )
            if set(base[name]) != set(table[name]):
                raise ValueError(
                    f"`baseline` must have the severities {sorted(table[name])} of {name!r} that "
                    f"`errors` has. Received: {sorted(base[name])}"
                )
            divisor = float(np.mean(list(base[name].values()))) - base_clean
            if not divisor > 0:
                more = " than on clean images" if relative else ""
                raise ValueError(
                    f"`baseline` must have more errors{more} on {name!r}: there is nothing to "
                    f"divide by. Received: a mean of {divisor:g}"
                )
            found[name] = 100 * means[name] / divisor
    return {"mce": float(np.mean(list(found.values()))), "corruption_errors": found}


def _chosen_names(names, table):
    """The names that count, all of them in `table`."""
    if names is None:
        names = [name for name in BENCHMARK if name in table]
        if not names:
            raise ValueError(
                "`names` must be given where no corruption of the benchmark is in the table. "
                f"Received: a table with {', '.join(table) or 'nothing'}"
            )
    names = [names] if isinstance(names, str) else list(names)
    if not names or not all(isinstance(name, str) and name in table for name in names):
        raise ValueError(
            f"`names` must be one or more of {', '.join(table)}. Received: names={describe(names)}"
        )
    return names


def _check_same_images(errors, baseline):
    """Results of other constants, or of made and of ready images, are of other benchmarks."""
    settings = [value.get("settings") for value in (errors, baseline)]
    if all(isinstance(one, dict) for one in settings):
        tables = [one.get("table") for one in settings]
        if tables[0] != tables[1]:
            raise ValueError(
                "`baseline` must be of images that were corrupted by the same table of constants "
                f"as those of `errors`, {tables[0]!r}. Received: {tables[1]!r} (None: ready-made)"
            )


def _read(argument, value, needs_clean):
    """({corruption: {severity: per cent}}, error on clean images or 0)."""
    if not isinstance(value, dict):
        raise ValueError(
            f"`{argument}` must be what accuracy_under_corruption returns, or a dict corruption -> "
            f"errors. Received: {argument}={describe(value)}"
        )
    if "corruptions" in value:
        table = {
            name: {point["severity"]: 100 * (1 - point["accuracy"]) for point in points}
            for name, points in value["corruptions"].items()
        }
        if needs_clean and not value.get("clean"):
            raise ValueError(
                f"`{argument}` must have the accuracy on clean images for relative errors. "
                f"Received: clean={value.get('clean')!r}"
            )
        clean = 100 * (1 - value["clean"]["accuracy"]) if needs_clean else 0.0
        return table, clean
    table = {name: _row(argument, name, row) for name, row in value.items() if name != "clean"}
    if not needs_clean:
        return table, 0.0
    if "clean" not in value:
        raise ValueError(
            f'`{argument}` must have the error on "clean" images for relative errors. Received: '
            f"{argument} with {', '.join(value)}"
        )
    return table, check_number(argument, value["clean"], 0, 100)


def _row(argument, name, row):
    """{severity: per cent} of a list, or of the mean of all severities."""
    if not isinstance(name, str) or name not in BENCHMARK + EXTRA:
        raise ValueError(
            f"`{argument}` must have names of corruptions, such as 'fog'. "
            f"Received: {describe(name)}"
        )
    values = list(row) if np.ndim(row) else [row] * len(SEVERITIES)
    if not 1 <= len(values) <= len(SEVERITIES):
        raise ValueError(
            f"`{argument}` must have one to five errors for {name!r}. Received: {len(values)}"
        )
    values = [value.item() if isinstance(value, np.generic) else value for value in values]
    numbers = [check_number(argument, value, 0, 100) for value in values]
    return dict(zip(SEVERITIES, numbers, strict=False))
