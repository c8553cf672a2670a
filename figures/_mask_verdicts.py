"""The paper's claims about Fourier masks, held against intervals of 95 %.

A claim is "confirmed" or "not confirmed" where the interval lies on one side of the bound that is
named in its text, and "undecided" where the interval reaches over it.
"""

import math
import statistics

from figures._mask_measures import low_energy

# Percent, with and without the mask (published notebook).
TABLE1 = {
    "N": (89.56, 89.20),
    "A": (79.62, 78.97),
    "S": (86.62, 86.72),
    "T": (85.86, 85.35),
    "R": (68.47, 68.17),
}
# Percent of 1421 images; the right classes of X and the wrong ones of XA are how they were chosen.
TABLE2 = {"M(X)": 100.00, "M'(X)": 55.52, "XA": 0.00, "M(XA)": 58.69}
# Percent: linear classifier and scrambled labels, training and test.
TABLE3 = {"labels": (97.60, 82.24), "control": (18.64, 20.56)}
# Percent of the images with more energy in the lowest eighth of the rings, read off the plot.
FIGURE7_LOW = 85

# Loss of accuracy behind a mask that counts as none, and a drop that counts as one.
KEPT, DROP = 0.02, 0.1
CONFIRMED, REFUTED, UNDECIDED = "confirmed", "not confirmed", "undecided"


def paired_interval(lost, won, images, confidence=0.95):
    """Interval of (lost - won) / images, shares of the same images (Agresti and Min 2005).

    Wald's interval with half an image more in each of the four cells.
    """
    z = statistics.NormalDist().inv_cdf((1 + confidence) / 2)
    total, lost, won = images + 2, lost + 0.5, won + 0.5
    mean = (lost - won) / total
    spread = z * math.sqrt(lost + won - (lost - won) ** 2 / total) / total
    return mean - spread, mean + spread


def judge(low, high, bound):
    """CONFIRMED if the interval lies above the bound, REFUTED if below."""
    if low > bound:
        return CONFIRMED
    return REFUTED if high < bound else UNDECIDED


def verdicts(content):
    """List of dict: claim, verdict, interval, text."""
    return [
        _accuracy_kept(content["set_masks"]),
        _low_frequencies(content),
        _complement_hurts(content["table2"]),
        _attacks_reversed(content["table2"]),
        _class_specific(content["table3"]),
    ]


def _accuracy_kept(masks):
    parts, outcomes, intervals = [], [], {}
    for letter, entry in masks.items():
        tested = entry["others"] or entry["own"]
        low, high = paired_interval(tested["lost"], tested["won"], tested["images"])
        # Turned round: it is to stay below the bound.  A mask of ones says nothing.
        outcome = judge(-high, -low, -KEPT) if entry["epoch"] else UNDECIDED
        outcomes.append(outcome)
        intervals[letter] = [low, high]
        parts.append(f"{letter} {100 * low:+.1f} to {100 * high:+.1f}")
    worst = next((o for o in (REFUTED, UNDECIDED) if o in outcomes), CONFIRMED)
    on = "images that the masks have not seen" if _unseen(masks) else "the masks' own images"
    return {
        "claim": "accuracy is kept under the mask",
        "verdict": worst,
        "interval": intervals,
        "text": f"loss in points on {on}: {', '.join(parts)}; bound {100 * KEPT:g}",
    }


def _unseen(masks):
    return all(entry["others"] for entry in masks.values())


def _low_frequencies(content):
    low = content["figure7"]["low"]
    share, ends = low["share"][0], (low["low"][0], low["high"][0])
    change = {
        letter: float(low_energy(entry["radial"]) - low_energy(content["set_masks"]["N"]["radial"]))
        for letter, entry in content["set_masks"].items()
        if letter != "N"
    }
    listed = ", ".join(f"{letter} {value:+.3f}" for letter, value in change.items())
    return {
        "claim": "adversarial training prefers low frequencies",
        "verdict": judge(*ends, 0.5),
        "interval": list(ends),
        "set_masks": change,
        "text": (
            f"{100 * share:.0f} % of {low['images']} images [{100 * ends[0]:.0f}, "
            f"{100 * ends[1]:.0f}] have more energy in the lowest eighth of the rings, "
            f"{100 * low['lost'][0] / low['images']:.0f} % less (paper: over {FIGURE7_LOW} %; "
            f"bound 50 %); energy there of the whole-set masks less N's, one network each: {listed}"
        ),
    }


def _share(table, row, form):
    from spectral_keras.ops.intervals import wilson_interval

    count, images = table["right"][row][form], table["images"]
    return count / images, wilson_interval(count, images)


def _text(name, share, ends):
    return f"{name} {100 * share:.1f} % [{100 * ends[0]:.1f}, {100 * ends[1]:.1f}]".lstrip()


def _complement_hurts(table):
    row = "M'(X)"
    share, ends = _share(table, row, "mask")
    control, control_ends = _share(table, row, "shuffled")
    only, paper = table["right_with_one_only"][row], TABLE2[row]
    apart = paired_interval(only["shuffled"], only["mask"], table["images"])
    hurts = judge(1 - ends[1], 1 - ends[0], DROP)
    # And more than to lose as many frequencies of the same rings.
    specific = judge(*apart, 0)
    verdict = REFUTED if REFUTED in (hurts, specific) else UNDECIDED
    verdict = CONFIRMED if hurts == specific == CONFIRMED else verdict
    return {
        "claim": "without the mask's frequencies the class is lost",
        "verdict": verdict,
        "interval": list(ends),
        "than_shuffled": list(apart),
        "text": (
            f"{_text(row, share, ends)} right of 100 % (paper {paper}); without as many other "
            f"frequencies of the same rings {_text('', control, control_ends)}; bounds: a drop of "
            f"{100 * DROP:g} points, and a larger one than the others' (by {100 * apart[0]:+.1f} "
            f"to {100 * apart[1]:+.1f} points)"
        ),
    }


def _attacks_reversed(table):
    share, ends = _share(table, "M(XA)", "mask")
    control, control_ends = _share(table, "M(XA)", "shuffled")
    only = table["right_with_one_only"]["M(XA)"]
    apart = paired_interval(only["mask"], only["shuffled"], table["images"])
    return {
        "claim": "the mask of the clean image reverses most attacks",
        "verdict": judge(*ends, 0.5),
        "interval": list(ends),
        "than_shuffled": list(apart),
        "text": (
            f"{_text('M(XA)', share, ends)} right (paper {TABLE2['M(XA)']}; bound 50 %); as many "
            f"others of the same rings {_text('', control, control_ends)}, "
            f"{100 * apart[0]:+.1f} to {100 * apart[1]:+.1f} points fewer"
        ),
    }


def _class_specific(report):
    verdict = {"separable": CONFIRMED, "not separable": REFUTED}.get(report["verdict"], UNDECIDED)
    arm, control = report["labels"], report["control"]
    return {
        "claim": "masks are specific to the class",
        "verdict": verdict,
        "interval": arm["test_interval"],
        "text": (
            f"linear classifier on {report['test_masks']} test masks: "
            f"{_text('', arm['test_accuracy'], arm['test_interval'])} (paper "
            f"{TABLE3['labels'][1]}; bound: chance {100 * arm['chance']:.1f} %), trained on "
            "permuted labels "
            f"{_text('', control['test_accuracy'], control['test_interval'])}"
        ),
    }
