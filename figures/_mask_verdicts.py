"""The paper's claims about Fourier masks, held against intervals of 95 %."""

import numpy as np

from figures._claims import claim, over_seeds, percent, seed_words
from figures._mask_basics import low_energy
from figures._mask_runs import MATCHED, REGIMES
from spectral_keras.analysis.masks import EpochRule
from spectral_keras.evaluation import (
    newcombe_interval,
    paired_share_interval,
    resampled_t_interval,
    wilson_interval,
)

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
# Percent of the images with more energy in each of the eight lowest of 64 rings, read off the plot.
FIGURE7_LOW = 85

# In points: a loss behind a mask that counts as none, and a drop that counts as one.
KEPT, DROP = 2, 10
# Forms that a mask must beat, besides its own values shuffled in their rings.
CONTROLS = ("low-pass", "same class", "other class")
# A control that leaves less of the clean images their class cannot win: with it nothing is decided.
KEEPS_CLEAN = 0.9
_PAPER = "fourier_masks"


def claims(content, settings):
    """List of `figures._claims.claim`."""
    run_ = _run_words(content, settings)
    return [
        *_accuracy_kept(content, settings, run_),
        *_shifts(content, run_),
        _low_frequencies(content, run_),
        _lowest_rings(content, run_),
        _low_against_matched(content, run_),
        _angular_shares(content, run_),
        *_complement_hurts(content["table2"], run_),
        _attacks_reversed(content, run_),
        *_class_specific(content, run_),
    ]


def _run_words(content, settings):
    runs, data = content.get("runs", {}), settings["data"]
    record = next(iter(runs.values()))["result"] if runs else None
    images = (
        f"{record['images']['training']:,} images, {record['epochs']} epochs, " if record else ""
    )
    return (
        f"vgg11_bn x {settings['network'].get('width', 1):g}, {len(data['classes'])} classes of "
        f"{data['source']}, {images}{seed_words(1 + len(content.get('set_masks_of_seeds', {})))}"
    )


def _not_converged(masks):
    return ", ".join(letter for letter, one in masks.items() if not one.get("converged", True))


def _accuracy_kept(content, settings, run_):
    """On the images that the masks were learned on, as in the paper, and on others."""
    text = f"behind a mask of the whole set less than {KEPT} points are lost"
    printed = TABLE1["N"][0] - TABLE1["N"][1]
    ratio = settings["set_mask"].get("accuracy_ratio", EpochRule.accuracy_ratio)
    masks, published = content["set_masks"], content.get("published_objective", {})
    unseen = text + ", on images that it has not seen"
    own = f"chosen to keep {100 * ratio:g} % of the accuracy (the paper's code: 99 %)"
    found = [
        _kept_on("own", masks, run_, text + ", on its own images", own, printed=printed),
        _kept_on("others", masks, run_, f"{unseen}, by the objective of here", own),
    ]
    if published:
        by = f"{unseen}, by the published objective"
        found.append(_kept_on("others", published, run_, by, own))
    return found


def _kept_on(which, masks, run_, text, note, printed=None):
    parts, listed = [], []
    for letter, name in REGIMES.items():
        if letter not in masks or not masks[letter][which]:
            continue
        entry, tested = masks[letter], masks[letter][which]
        counts = tested["lost"], tested["won"], tested["images"]
        ends = percent(paired_share_interval(*counts))
        lost = 100 * (counts[0] - counts[1]) / counts[2]
        parts.append((
            name,
            {"interval": ends, "bound": KEPT, "above": False, "effect": lost,
             # A mask of ones, kept for want of a better one, shows nothing.
             "able": bool(entry["epoch"])},
        ))  # fmt: skip
        listed.append(f"{name} {lost:.1f} [{ends[0]:.1f}, {ends[1]:.1f}]")
    where = "Table 1" if printed is not None else "Table 1, a control"
    added = printed is None
    if not parts:
        return claim(_PAPER, where, text, run_, added=added)
    late = _not_converged(masks)
    return claim(
        _PAPER, where, text, run_, over=f"{tested['images']:,} images, paired", parts=parts,
        printed=printed, added=added,
        note=f"points: {', '.join(listed)}; masks {note}"
        + (f"; not converged: {late}" if late else ""),
    )  # fmt: skip


# Letter -> (claim about the whole-set mask less N's, what is measured).
_SHIFTS = {
    "A": ("adversarial training moves the mask to low frequencies", "low"),
    "S": ("random scales move the mask to low frequencies", "low"),
    "T": ("random translations have a mixed effect on low and middle frequencies", "mixed"),
    "R": ("random rotations move the mask to high frequencies", "radius"),
}


def _shifts(content, run_):
    """Figure 4, radial and angular: one mask a training, so intervals are over seeds."""
    found, masks = [], content["set_masks"]
    seeds = [masks, *content.get("set_masks_of_seeds", {}).values()]
    for letter, (text, kind) in _SHIFTS.items():
        if letter not in masks:
            continue
        entry = masks[letter]
        both = [one for one in seeds if {"N", letter} <= one.keys()]
        low, radius = zip(*(_shift(one[letter], one["N"]) for one in both), strict=True)
        late = _not_converged({key: masks[key] for key in ("N", letter)})
        note = (
            f"{seed_words(len(both))}; energy in the lowest eighth of the rings "
            f"{np.mean(low):+.3f}, mean radius {np.mean(radius):+.3f} of half a cycle a pixel"
        )
        if letter == "A" and MATCHED in masks:
            few, near = _shift(entry, masks[MATCHED])
            note += f"; less a natural network's as accurate {few:+.3f} and {near:+.3f}"
        note += f"; masks not converged: {late}" if late else ""
        measured = {
            "low": over_seeds(low) | {"unit": "energy"},
            "radius": over_seeds(radius) | {"unit": "mean radius"},
            "mixed": {"effect": float(np.mean(radius)), "unit": "mean radius"},
        }[kind]
        if kind == "mixed":
            note += "; the paper gives no measure of a mixed effect, so nothing can be decided"
        found.append(claim(_PAPER, "Figure 4, radial", text, run_, note=note, **measured))
        found.append(_directions(letter, both, run_, late))
    return found


def _directions(letter, seeds, run_, late):
    """Do the two wedges that the first seed sets farthest apart differ as much in the others?"""
    first, *others = (np.subtract(one[letter]["angular"], one["N"]["angular"]) for one in seeds)
    most, least = first.argmax(), first.argmin()
    apart = [float(change[most] - change[least]) for change in others]
    measured = over_seeds(apart) if apart else {"effect": float(first[most] - first[least])}
    return claim(
        _PAPER, "Figure 4, angular", f"{REGIMES[letter]}: what moves depends on the direction",
        run_, unit="energy",
        note=("of the two wedges that change most and least in the first seed, in the others"
              if apart else
              "largest less smallest change of a wedge, greater than 0 by choice: one seed")
        + (f"; masks not converged: {late}" if late else ""),
        **measured,
    )  # fmt: skip


def _shift(entry, reference):
    """By how much one mask has more energy in the lowest rings, and a larger mean radius."""
    low = low_energy(entry["radial"]) - low_energy(reference["radial"])
    return float(low), entry["mean_radius"] - reference["mean_radius"]


def _low_frequencies(content, run_):
    low = content["figure7"]["low"]
    single = content.get("single", {})
    late = ", ".join(
        f"{one['images'] - one['converged']} of {letter}"
        for letter, one in single.items()
        if one["converged"] < one["images"]
    )
    return claim(
        _PAPER, "Figure 7, radial",
        "most images' masks of the adversarial network have more energy in the lowest eighth of "
        "the rings than the natural network's",
        run_, effect=100 * low["share"][0], unit="% of the images",
        interval=percent((low["low"][0], low["high"][0])), bound=50,
        over=f"{low['images']} images of one pair of networks",
        note=f"{100 * low['lost'][0] / low['images']:.0f} % have less; the two networks "
        "differ in accuracy, too" + (f"; masks not converged: {late}" if late else ""),
    )  # fmt: skip


def _lowest_rings(content, run_):
    """The number that is in the paper's plot."""
    text = (
        "masks of the adversarial network have more energy in each ring of the lowest eighth in at "
        f"least {FIGURE7_LOW} % of the images"
    )
    radial = content["figure7"].get("radial")
    if not radial:
        return claim(_PAPER, "Figure 7, radial", text, run_, printed=FIGURE7_LOW)
    ends = zip(radial["low"], radial["high"], radial["share"], strict=True)
    parts = [
        (f"ring {ring}",
         {"interval": percent((low, high)), "bound": FIGURE7_LOW, "effect": 100 * share})
        for ring, (low, high, share) in enumerate(ends, 1)
    ][: max(1, len(radial["share"]) // 8)]  # fmt: skip
    each = ", ".join(f"{part['effect']:.1f}" for _, part in parts)
    return claim(
        _PAPER, "Figure 7, radial", text, run_, unit="% of the images", printed=FIGURE7_LOW,
        parts=parts, over=f"{radial['images']} images of one pair of networks",
        note=f"{each} %; the paper's eight lowest of 64 rings are {len(parts)} of "
        f"{len(radial['share'])} here",
    )  # fmt: skip


def _low_against_matched(content, run_):
    """Not the paper's: is it the training, or that its network is less accurate?"""
    text = (
        "most images' masks of the adversarial network have more energy in the lowest eighth of "
        "the rings than those of a natural network of its accuracy"
    )
    found, chosen = content.get("figure7_matched"), content.get("matched")
    if not found:
        return claim(_PAPER, "Figure 7, radial", text, run_, added=True)
    low, natural = (found[name]["low"] for name in ("adversarial", "natural"))
    right = 100 * chosen["accuracies"][str(chosen["epochs"])]
    return claim(
        _PAPER, "Figure 7, radial", text, run_, effect=100 * low["share"][0],
        unit="% of the images", interval=percent((low["low"][0], low["high"][0])), bound=50,
        over=f"{low['images']} images of one pair of networks", added=True,
        note=f"trained for {chosen['epochs']} epochs: {right:.1f} % of the test images, the "
        f"adversarial one {100 * chosen['adversarial']:.1f} %; of the natural network's masks "
        f"{100 * natural['share'][0]:.0f} % have more than its own",
    )  # fmt: skip


def _angular_shares(content, run_):
    """Figure 7, angular: is the share of images that gain the same in all directions?

    It differs between two natural networks, too, which are the control.
    """
    found = content["figure7"].get("angular")
    text = "how many masks gain energy depends on the direction"
    if not found:
        return claim(_PAPER, "Figure 7, angular", text, run_)
    effect, (low, high) = _wedges_apart(found)
    parts = [("", {"interval": (low, high), "effect": effect})]
    note = "largest less smallest share of images of a wedge"
    matched = content.get("figure7_matched") or {}
    control = matched.get("natural", {}).get("angular")
    if control:
        other, (least, most) = _wedges_apart(control)
        # The ends of a difference from those of its terms (Newcombe's way).
        apart = effect - other
        ends = (apart - np.hypot(effect - low, most - other),
                apart + np.hypot(high - effect, other - least))  # fmt: skip
        parts.append(("more than between two natural networks",
                      {"interval": ends, "effect": apart}))  # fmt: skip
        note += (f": {effect:.1f} [{low:.1f}, {high:.1f}] points, between two natural networks "
                 f"{other:.1f} [{least:.1f}, {most:.1f}]")  # fmt: skip
    return claim(
        _PAPER, "Figure 7, angular", text, run_, parts=parts,
        over=f"{found['images']} images of one pair of networks, not paired, corrected for the "
        "choice of two wedges", note=note,
    )  # fmt: skip


def _wedges_apart(found):
    """Points between the wedges in which most and fewest images gain, and their interval."""
    gained, images = found["gained"], found["images"]
    most, least = max(gained), min(gained)
    # This pair was chosen among all pairs of wedges: Bonferroni's correction.  Opposite wedges of
    # a real image's mask are one.
    wedges = max(2, len(gained) // 2)
    confidence = 1 - 0.05 / (wedges * (wedges - 1) / 2)
    ends = newcombe_interval(most, images, least, images, confidence)
    return 100 * (most - least) / images, percent(ends)


def _complement_hurts(table, run_):
    row, images = "M'(X)", table["images"]
    kept, control = (table["right"][row][form] for form in ("mask", "shuffled"))
    only = table["right_with_one_only"][row]
    drop = wilson_interval(images - kept, images)
    apart = paired_share_interval(only["shuffled"], only["mask"], images)
    lost = 100 * (images - kept) / images
    where, printed = "Table 2, M'(X)", 100 - TABLE2[row]
    size = {"unit": "% of the images", "over": f"{images:,} images", "printed": printed}
    first = claim(
        _PAPER, where,
        f"without the mask's frequencies at least {DROP} points of the images lose their class, "
        "and more than without as many others of the same rings",
        run_, effect=lost, **size,
        parts=[
            ("lost", {"interval": percent(drop), "bound": DROP, "effect": lost}),
            ("more than without others of the same rings",
             {"interval": percent(apart),
              "effect": 100 * (only["shuffled"] - only["mask"]) / images}),
        ],
        note=f"{100 * kept / images:.1f} % keep it, without others of the same rings "
        f"{100 * control / images:.1f} %",
    )  # fmt: skip
    text = "without the mask's frequencies as many images lose their class as in print"
    return [first, claim(_PAPER, where, text, run_, effect=lost, interval=percent(drop),
                         bound=printed, **size)]  # fmt: skip


def _attacks_reversed(content, run_):
    """Most attacks are reversed, and more than by every control that keeps the clean image."""
    table, controls = content["table2"], content.get("controls")
    row, images = "M(XA)", table["images"]
    count = table["right"][row]["mask"]
    parts = [("most", {"interval": percent(wilson_interval(count, images)), "bound": 50,
                       "effect": 100 * count / images})]  # fmt: skip
    only = table["right_with_one_only"][row]
    clean = {"shuffled": table["right"]["M(X)"]["shuffled"]}
    clean |= {form: controls[form]["X"] for form in CONTROLS} if controls else {}
    fair = {form: count >= KEEPS_CLEAN * images for form, count in clean.items()}
    parts.append(_beats("shuffled", only["mask"], only["shuffled"], images, fair["shuffled"]))
    for form in CONTROLS:
        if controls is None:
            parts.append((f"more than {form}", {"interval": None, "measured": False}))
        else:
            counts = controls[form]["only_mask"], controls[form]["only_control"]
            parts.append(_beats(form, *counts, images, fair[form]))
    binary = table["right"][row].get("binary")
    notes = [] if binary is None else [
        f"masks made binary, as the paper's number: {100 * binary / images:.1f} %"
    ]  # fmt: skip
    if not all(fair.values()):
        kept = ", ".join(
            f"{form} {100 * clean[form] / images:.0f} %" for form in fair if not fair[form]
        )
        notes.append(
            f"no controls, as less than {100 * KEEPS_CLEAN:g} % of the clean images keep their "
            f"class behind them: {kept}"
        )
    if controls is None:
        notes.append(f"controls not run: {', '.join(CONTROLS)}")
    else:
        notes += [_conditional(form, controls[form]) for form in ("mask", "shuffled", *CONTROLS)]
    return claim(
        _PAPER, "Table 2, M(XA)",
        "the clean image's mask reverses most attacks, and more than other masks of its size",
        run_, effect=100 * count / images, unit="% of the images", over=f"{images:,} images",
        printed=TABLE2[row], parts=parts, note="; ".join(notes),
    )  # fmt: skip


def _beats(form, mask, control, images, fair):
    ends = percent(paired_share_interval(mask, control, images))
    found = {"interval": ends, "able": fair}
    # What cannot be decided is no number to show.
    return f"more than {form}", found | (
        {"effect": 100 * (mask - control) / images} if fair else {}
    )


def _conditional(form, one):
    """How many images that a form leaves their class when clean keep it when attacked?"""
    return f"{form}: {one['both']} of {one['X']} that are right when clean"


def _class_specific(content, run_):
    """Table 3 against chance, and against the images' own spectra."""
    report, null = content["table3"], content.get("class_null")
    arm, tested = report["labels"], report["test_masks"]
    right = round(arm["test_accuracy"] * tested)
    where, control = "Table 3, Figure 8", report["control"]
    found = [
        claim(
            _PAPER, where, "a linear classifier tells the class from the mask", run_,
            effect=100 * arm["test_accuracy"], unit="%", interval=percent(arm["test_interval"]),
            bound=100 * arm["chance"], able=report["verdict"] != "control failed",
            over=f"{tested} test masks", printed=TABLE3["labels"][1],
            note=f"on permuted labels {100 * control['test_accuracy']:.1f} %, chance "
            f"{100 * arm['chance']:.1f} %",
        ),
        claim(
            _PAPER, where, "a linear classifier tells it as often as in print", run_,
            effect=100 * arm["test_accuracy"], unit="%", interval=percent(arm["test_interval"]),
            bound=TABLE3["labels"][1], over=f"{tested} test masks", printed=TABLE3["labels"][1],
        ),
    ]  # fmt: skip
    text = "the mask predicts the class better than the image's own spectrum"
    if null is None:
        missing = (claim(_PAPER, where, each, run_, added=True) for each in (text, _SPLITS))
        return [*found, *missing]
    best = max(null, key=lambda name: np.mean(null[name]["labels"]))
    first, count = null[best]["labels"][0], null[best]["test_masks"]
    ends = newcombe_interval(right, tested, round(first * count), count)
    ranges = ", ".join(
        f"{name} {100 * min(one['labels']):.0f} to {100 * max(one['labels']):.0f} % over "
        f"{len(one['labels'])} splits (permuted {100 * min(one['permuted']):.0f} to "
        f"{100 * max(one['permuted']):.0f})"
        for name, one in null.items()
    )
    found.append(
        claim(_PAPER, where, text, run_, effect=100 * (arm["test_accuracy"] - first),
              interval=percent(ends), over=f"{tested} test masks, one split, not paired",
              added=True, note=f"spectrum: {ranges}; {_LEARNED}")
    )  # fmt: skip
    return [*found, _over_splits(content.get("mask_splits"), null[best], where, run_)]


_LEARNED = "each mask was learned to keep the class that is read off it, the spectrum was not"
_SPLITS = "the mask predicts the class better than the spectrum, over repeated splits"


def _over_splits(masks, spectrum, where, run_):
    if masks is None:
        note = "masks are not kept in the JSON"
        return claim(_PAPER, where, _SPLITS, run_, note=note, added=True)
    values = [100 * (a - b) for a, b in zip(masks["labels"], spectrum["labels"], strict=True)]
    share = masks["test_masks"] / (masks["test_masks"] + masks["train_masks"])
    low, high = (100 * end(masks["permuted"]) for end in (min, max))
    return claim(
        _PAPER, where, _SPLITS, run_, effect=float(np.mean(values)),
        interval=resampled_t_interval(values, share), over=f"{len(values)} splits", added=True,
        note=f"masks {100 * np.mean(masks['labels']):.1f} %, the spectrum "
        f"{100 * np.mean(spectrum['labels']):.1f} %, permuted labels {low:.0f} to {high:.0f} %; "
        + _LEARNED,
    )  # fmt: skip
