"""The paper's claims about Fourier masks, held against intervals of 95 %."""

import numpy as np

from figures._claims import claim, over_seeds, percent, seed_words
from figures._mask_basics import low_energy
from figures._mask_runs import MATCHED, REGIMES
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
# Percent of the images with more energy in the lowest eighth of the rings, read off the plot.
FIGURE7_LOW = 85

# In points: a loss behind a mask that counts as none, and a drop that counts as one.
KEPT, DROP = 2, 10
# Forms that a mask must beat: of its size and of images, and that leave the clean image its class.
CONTROLS = ("low-pass", "same class", "other class")
_PAPER = "fourier_masks"


def claims(content, settings):
    """List of `figures._claims.claim`."""
    run_ = _run_words(content, settings)
    return [
        _accuracy_kept(content, run_),
        *_shifts(content, run_),
        _low_frequencies(content, run_),
        _low_against_matched(content, run_),
        _angular_shares(content, run_),
        _complement_hurts(content["table2"], run_),
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


def _accuracy_kept(content, run_):
    masks, published = content["set_masks"], content.get("published_objective", {})
    unseen = all(entry["others"] for entry in masks.values())
    parts, images = [], 0
    for letter, entry in masks.items():
        if letter not in REGIMES:
            continue
        tested = entry["others"] or entry["own"]
        counts = tested["lost"], tested["won"], tested["images"]
        images = tested["images"]
        parts.append((
            REGIMES[letter],
            {"interval": percent(paired_share_interval(*counts)), "bound": KEPT, "above": False,
             # A mask of ones, kept for want of a better one, shows nothing.
             "able": bool(entry["epoch"]),
             "effect": 100 * (counts[0] - counts[1]) / images},
        ))  # fmt: skip
    late = _not_converged(masks)
    on = "images that the masks have not seen" if unseen else "the masks' own images"
    listed = ", ".join(f"{what} {part['effect']:.1f}" for what, part in parts)
    if unseen:
        own = (_points_lost(masks[letter]["own"]) for letter in masks if letter in REGIMES)
        listed += f"; on their own: {', '.join(own)}"
        by = [f"{REGIMES[key]} {_points_lost(one['others'])}" for key, one in published.items()]
        listed += f"; with the published objective, on others: {', '.join(by)}" if by else ""
    return claim(
        _PAPER, "Table 1", f"behind a mask of the whole set less than {KEPT} points are lost", run_,
        effect=parts[0][1]["effect"], over=f"{images:,} images, paired", parts=parts,
        printed=TABLE1["N"][0] - TABLE1["N"][1],
        note=f"on {on}, points: {listed}" + (f"; not converged: {late}" if late else ""),
    )  # fmt: skip


def _points_lost(tested):
    return f"{100 * (tested['lost'] - tested['won']) / tested['images']:.1f}"


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
        entry, reference = masks[letter], masks["N"]
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
            # What a mixed effect would be has no measure.
            "mixed": {"effect": float(np.mean(radius)), "unit": "mean radius"},
        }[kind]
        found.append(claim(_PAPER, "Figure 4, radial", text, run_, note=note, **measured))
        change = np.subtract(entry["angular"], reference["angular"])
        found.append(
            claim(_PAPER, "Figure 4, angular",
                  f"{REGIMES[letter]}: what moves depends on the direction", run_,
                  effect=float(np.ptp(change)), unit="energy",
                  note="largest less smallest change of a wedge; one network a training, no "
                  "interval" + (f"; masks not converged: {late}" if late else ""))
        )  # fmt: skip
    return found


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
        run_, effect=100 * low["share"][0], unit="% of the images", printed=FIGURE7_LOW,
        interval=percent((low["low"][0], low["high"][0])), bound=50,
        over=f"{low['images']} images of one pair of networks",
        note=f"{100 * low['lost'][0] / low['images']:.0f} % have less; the two networks differ in "
        "accuracy, too" + (f"; masks not converged: {late}" if late else ""),
    )  # fmt: skip


def _low_against_matched(content, run_):
    """Not the paper's: is it the training, or that its network is less accurate?"""
    text = (
        "most images' masks of the adversarial network have more energy in the lowest eighth of "
        "the rings than those of a natural network of its accuracy"
    )
    found, chosen = content.get("figure7_matched"), content.get("matched")
    if not found:
        return claim(_PAPER, "Figure 7, radial", text, run_)
    low, natural = (found[name]["low"] for name in ("adversarial", "natural"))
    right = 100 * chosen["accuracies"][str(chosen["epochs"])]
    return claim(
        _PAPER, "Figure 7, radial", text, run_, effect=100 * low["share"][0],
        unit="% of the images", interval=percent((low["low"][0], low["high"][0])), bound=50,
        over=f"{low['images']} images of one pair of networks",
        note=f"trained for {chosen['epochs']} epochs: {right:.1f} % of the test images, the "
        f"adversarial one {100 * chosen['adversarial']:.1f} %; of the natural network's masks "
        f"{100 * natural['share'][0]:.0f} % have more than its own",
    )  # fmt: skip


def _angular_shares(content, run_):
    """Figure 7, angular: is the share of images that gain the same in all directions?"""
    found = content["figure7"].get("angular")
    text = "how many masks gain energy depends on the direction"
    if not found:
        return claim(_PAPER, "Figure 7, angular", text, run_)
    gained, images = found["gained"], found["images"]
    most, least = max(gained), min(gained)
    # This pair was chosen among all pairs of wedges: Bonferroni's correction.  Opposite wedges of
    # a real image's mask are one.
    wedges = max(2, len(gained) // 2)
    confidence = 1 - 0.05 / (wedges * (wedges - 1) / 2)
    return claim(
        _PAPER, "Figure 7, angular", text, run_, effect=100 * (most - least) / images,
        interval=percent(newcombe_interval(most, images, least, images, confidence)),
        over=f"{images} images of one pair of networks, not paired, corrected for the choice of "
        "two wedges",
        note="largest less smallest share of images of a wedge",
    )  # fmt: skip


def _complement_hurts(table, run_):
    row, images = "M'(X)", table["images"]
    kept, control = (table["right"][row][form] for form in ("mask", "shuffled"))
    only = table["right_with_one_only"][row]
    drop = wilson_interval(images - kept, images)
    apart = paired_share_interval(only["shuffled"], only["mask"], images)
    lost = 100 * (images - kept) / images
    return claim(
        _PAPER, "Table 2, M'(X)",
        f"without the mask's frequencies at least {DROP} points of the images lose their class, "
        "and more than without as many others of the same rings",
        run_, effect=lost, unit="% of the images", over=f"{images:,} images",
        printed=100 - TABLE2[row],
        parts=[
            ("lost", {"interval": percent(drop), "bound": DROP, "effect": lost}),
            ("more than without others of the same rings",
             {"interval": percent(apart),
              "effect": 100 * (only["shuffled"] - only["mask"]) / images}),
        ],
        note=f"{100 * kept / images:.1f} % keep it, without others of the same rings "
        f"{100 * control / images:.1f} %",
    )  # fmt: skip


def _attacks_reversed(content, run_):
    """Most attacks are reversed, and more than by every control that keeps the clean image."""
    table, controls = content["table2"], content.get("controls")
    row, images = "M(XA)", table["images"]
    count = table["right"][row]["mask"]
    parts = [("most", {"interval": percent(wilson_interval(count, images)), "bound": 50,
                       "effect": 100 * count / images})]  # fmt: skip
    only = table["right_with_one_only"][row]
    parts.append(_beats("shuffled in rings", only["mask"], only["shuffled"], images))
    for form in CONTROLS:
        if controls is None:
            parts.append((f"more than {form}", {"interval": None, "measured": False}))
        else:
            one = controls[form]
            parts.append(_beats(form, one["only_mask"], one["only_control"], images))
    clean = 100 * table["right"]["M(X)"]["shuffled"] / images
    notes = [
        f"shuffled masks keep {clean:.0f} % of the clean images: no control of what reverses"
        if clean < 90 else f"shuffled masks keep {clean:.0f} % of the clean images"
    ]  # fmt: skip
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


def _beats(form, mask, control, images):
    ends = paired_share_interval(mask, control, images)
    return (
        f"more than {form}",
        {"interval": percent(ends), "effect": 100 * (mask - control) / images},
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
        )
    ]  # fmt: skip
    text = "the mask predicts the class better than the image's own spectrum"
    if null is None:
        return [*found, claim(_PAPER, where, text, run_), claim(_PAPER, where, _SPLITS, run_)]
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
              note=f"spectrum: {ranges}")
    )  # fmt: skip
    return [*found, _over_splits(content.get("mask_splits"), null[best], where, run_)]


_SPLITS = "the mask predicts the class better than the spectrum, over repeated splits"


def _over_splits(masks, spectrum, where, run_):
    if masks is None:
        return claim(_PAPER, where, _SPLITS, run_, note="masks are not kept in the JSON")
    values = [100 * (a - b) for a, b in zip(masks["labels"], spectrum["labels"], strict=True)]
    share = masks["test_masks"] / (masks["test_masks"] + masks["train_masks"])
    low, high = (100 * end(masks["permuted"]) for end in (min, max))
    return claim(
        _PAPER, where, _SPLITS, run_, effect=float(np.mean(values)),
        interval=resampled_t_interval(values, share), over=f"{len(values)} splits",
        note=f"permuted labels {low:.0f} to {high:.0f} %",
    )  # fmt: skip
