"""Drawing of the Fourier-mask figure, from its JSON alone."""

import numpy as np

from figures._claims import sentence, summary
from figures._mask_runs import MATCHED, NAMES, PRESETS
from figures._mask_verdicts import TABLE1, TABLE2, TABLE3
from figures._style import (
    AMBER,
    BLACK,
    BLUE,
    GREEN,
    GREY,
    GREY_LEVELS,
    ORANGE,
    PURPLE,
    SKY,
    caption,
    new_figure,
    show,
)
from figures._test_images import decode
from spectral_keras.analysis import mask_differences, scale_differences
from spectral_keras.evaluation import wilson_interval
from spectral_keras.plots import plot_mask, plot_spectrum

_COLOURS = {"A": ORANGE, "S": BLUE, "T": GREEN, "R": PURPLE, "M": AMBER}
_CLASS_COLOURS = (BLUE, ORANGE, GREEN, PURPLE, AMBER, SKY, BLACK, GREY)
_TITLE = {"weight": "bold"}


def draw(stored):
    """Figures: "" the masks of the whole set, "_images" examples, "_single" what all images say."""
    content = stored["content"]
    pictures = {
        "": ([(10.4, _draw_masks), (6.9, _draw_energies)], _set_words(stored)),
        "_images": ([(0.9 + 1.95 * len(content["examples"]), _draw_examples)], _data(stored)),
        "_single": (
            [(6.6, _draw_gains), (7.0, _draw_table2), (7.4, _draw_classes)],
            _single_words(stored),
        ),
    }
    return {suffix: _picture(content, *picture) for suffix, picture in pictures.items()}


def _picture(content, parts, words):
    heights = [height for height, _ in parts]
    lines = len(words) / 95 + words.count("\n")
    figure = new_figure(sum(heights) + 0.33 * lines + 0.3)
    figures = np.atleast_1d(figure.subfigures(len(parts), 1, height_ratios=heights, hspace=0.015))
    for part, (_, function) in zip(figures, parts, strict=True):
        function(part, content)
    caption(figure, words)
    return figure


def _data(stored):
    content, settings = stored["content"], stored["settings"]
    data = content["data"]
    size = " x ".join(str(side) for side in data["shape"][:2])
    return (
        f"Preset {stored['preset']}: {settings['data']['source']}, {', '.join(data['classes'])}, "
        f"grey, {size}; vgg11_bn, {settings['network'].get('width', 1):g} x the paper's filters, "
        f"one network a regime, {settings['bands']} bands."
    )


def _set_words(stored):
    content = stored["content"]
    late = [key for key, entry in content["set_masks"].items() if not entry["converged"]]
    words = f"Masks of {content['data']['mask_images']:,} test images"
    words += f"; not converged when the steps were over: {', '.join(late)}" if late else ""
    if MATCHED in content["set_masks"]:
        epochs = content["matched"]["epochs"]
        words += f".  M, not in the paper: natural, nearly as accurate as A, after {epochs} epochs"
    eps, published = (one["adversarial"]["eps"] for one in (stored["settings"], PRESETS["paper"]))
    words += f".  A: PGD, eps {eps} of the range of the pixels, the paper's {published}"
    return f"{summary(content['claims'])}.\n{_data(stored)}  {words}."


def _single_words(stored):
    content, settings = stored["content"], stored["settings"]
    chosen = content["selection"]
    converged = ", ".join(
        f"{letter} {one['converged']} of {one['images']}"
        for letter, one in content["single"].items()
    )
    empty = ", ".join(f"{letter} {one['empty']}" for letter, one in content["single"].items())
    lines = [
        sentence(one)
        for one in content["claims"]
        if one["where"].startswith(("Table 2", "Table 3", "Figure 7, radial"))
    ]
    lines.append(
        f"{_data(stored)}  Single images: {chosen['chosen']} of {chosen['test_images']:,} test "
        f"images, {chosen['right_by_both']:,} right for both networks, {chosen['fooled']:,} of "
        f"them fooled (PGD, eps {settings['attack']['eps']}); masks converged: {converged}; empty, "
        f"the class being that of grey: {empty}.  Intervals: 95 %, Wilson's for shares, Agresti "
        "and Min's for differences of the same images."
    )
    return "\n".join(line[0].upper() + line[1:] for line in lines)


def _draw_masks(figure, content):
    figure.suptitle(
        "Figure 3, Table 1: masks of the set (DC in the centre, black 0, white 1), less N's",
        **_TITLE,
    )
    masks = {letter: np.array(entry["mask"]) for letter, entry in content["set_masks"].items()}
    letters = list(masks)
    others = [letter for letter in letters if letter != "N"]
    differences = mask_differences(np.stack([masks[letter] for letter in others]), masks["N"])
    scaled = dict(zip(others, scale_differences(differences, "symmetric"), strict=True))
    axes = figure.subplots(2, len(letters))
    for column, letter in enumerate(letters):
        entry = content["set_masks"][letter]
        plot_mask(masks[letter], axes[0, column], ticks=False)
        axes[0, column].set_title(f"{letter}: {NAMES[letter]}")
        lines = [f"mean {entry['sparsity']:.3f}"]
        for name, label in (("own", "seen"), ("others", "new")):
            if entry[name]:
                one = entry[name]
                lines.append(f"{label} {100 * one['standard']:.1f}→{100 * one['masked']:.1f}")
        if not entry["converged"]:
            lines.append("not converged")
        if letter in TABLE1:
            lines.append("paper {:.1f}→{:.1f}".format(*TABLE1[letter]))
        axes[0, column].set_xlabel("\n".join(lines))
        if letter in scaled:
            scale = {"cmap": "RdBu_r", "vmin": -0.5, "vmax": 0.5}
            plot_spectrum(scaled[letter], axes[1, column], ticks=False, **scale)
            image = axes[1, column].images[0]
            axes[1, column].set_title(f"{letter} - N")
    axes[1, 0].set_axis_off()
    largest = float(np.abs(differences).max())
    axes[1, 0].text(
        0.0,
        0.5,
        "accuracy, %, without →\nwith the mask, on images\nit has seen and new ones\n\n"
        f"differences: red more,\nblue less than N, white 0,\nfull colour ±{largest:.2f}",
        transform=axes[1, 0].transAxes,
        va="center",
    )
    bar = figure.colorbar(image, ax=list(axes[1, 1:]), ticks=[-0.5, 0, 0.5], shrink=0.8)
    bar.ax.set_yticklabels([f"{-largest:.2f}", "0", f"{largest:.2f}"])


def _draw_energies(figure, content):
    figure.suptitle(
        "Figure 4: energy of the masks by bands, less that of N's; mean radius, less N's",
        **_TITLE,
    )
    axes = figure.subplots(1, 2)
    masks = content["set_masks"]
    for axis, name in zip(axes, ("radial", "angular"), strict=True):
        for (letter, colour), marker in zip(_COLOURS.items(), "os^Dv", strict=True):
            if letter not in masks:
                continue
            change = np.subtract(masks[letter][name], masks["N"][name])
            radius = masks[letter]["mean_radius"] - masks["N"]["mean_radius"]
            axis.plot(
                change, color=colour, marker=marker, markersize=5, linewidth=2,
                label=f"{letter}: radius {radius:+.3f}" if name == "radial" else letter,
            )  # fmt: skip
        _finish_bands(axis, name, len(masks["N"][name]))
        axis.axhline(0, color="0.3", linewidth=1)
        axis.set_ylabel("energy, less N's")
    # Below the panels: the curves may go anywhere in them.
    figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5,
        columnspacing=1, handlelength=1.5, borderaxespad=0.1,
    )  # fmt: skip


def _finish_bands(axis, name, bands):
    label = {
        "radial": "ring, from DC to the corner",
        "angular": f"wedge of {360 / bands:g}°, counter-clockwise from +x",
    }[name]
    axis.set_xlabel(label)
    axis.tick_params(labelsize="medium")
    axis.grid(alpha=0.3)
    axis.set_xlim(-0.7, bands - 0.3)
    axis.set_xticks(range(0, bands, 1 + bands // 10))


_COLUMNS = {
    "image": "X",
    "attacked": "XA",
    "mask": "M, of N",
    "M(X)": "M(X)",
    "M(XA)": "M(XA)",
    "complement": "M'",
    "M'(X)": "M'(X)",
    "adversarial mask": "M, of A",
}


def _draw_examples(figure, content):
    examples, classes = content["examples"], content["data"]["classes"]
    figure.suptitle(
        "Figures 5, 6: masks of classes and of single images, and what passes", **_TITLE
    )
    axes = figure.subplots(len(examples), 1 + len(_COLUMNS), squeeze=False)
    for row, example in zip(axes, examples, strict=True):
        number = example["class"]
        mask = np.array(content["class_masks"]["masks"][number])
        plot_mask(mask, row[0], ticks=False)
        row[0].set_ylabel(classes[number])
        for axis, (name, _) in zip(row[1:], _COLUMNS.items(), strict=True):
            picture = example["pictures"][name]
            values = decode(picture).squeeze()
            if name in ("mask", "complement", "adversarial mask"):
                plot_mask(values, axis, ticks=False)
            else:
                show(axis, values, **(GREY_LEVELS if "M" not in name else {"cmap": "gray"}))
    for axis, title in zip(axes[0], ["class mask", *_COLUMNS.values()], strict=True):
        axis.set_title(title)


def _draw_gains(figure, content):
    gains = content["figure7"]
    figure.suptitle(
        "Figure 7: images whose mask has more energy under adversarial training "
        f"({gains['radial']['images']} images)",
        **_TITLE,
    )
    for axis, name in zip(figure.subplots(1, 2, sharey=True), ("radial", "angular"), strict=True):
        found = gains[name]
        share = 100 * np.array(found["share"])
        ends = 100 * np.array([found["low"], found["high"]])
        place = np.arange(len(share))
        lost = 100 * np.array(found["lost"]) / found["images"]
        axis.bar(place, share, color=SKY, label="more energy")
        axis.errorbar(
            place, share, np.abs(ends - share), fmt="none", color=BLACK, linewidth=1.2, label="95 %"
        )
        axis.plot(place, 100 - lost, "_", color=ORANGE, markersize=13, markeredgewidth=2.5,
                  label="not less: no energy in either, too")  # fmt: skip
        axis.axhline(50, color="0.3", linewidth=1, linestyle="--")
        _finish_bands(axis, name, len(share))
        axis.set_ylim(0, 160)
        axis.set_yticks(range(0, 101, 20))
        axis.set_ylabel("% of the images")
    axis.legend(loc="upper right")


def _draw_classes(figure, content):
    left, right = figure.subfigures(1, 2, width_ratios=[1, 1.25])
    _draw_points(left, content)
    _draw_table3(right, content)


def _bar(axis, place, count, images, width, **options):
    share, ends = 100 * count / images, 100 * np.array(wilson_interval(count, images))
    axis.bar(place, share, width, **options)
    reach = np.abs(ends - share)[:, None]
    axis.errorbar(place, share, reach, fmt="none", color=BLACK, linewidth=1.2)


def _paper(axis, place, percent, first):
    style = {"color": ORANGE, "markersize": 9, "markeredgecolor": "white", "linestyle": ""}
    axis.plot(place, percent, "D", label="paper" if first else None, **style)


_FORMS = {
    "mask": (BLUE, "learned mask"),
    "binary": (SKY, "made binary"),
    "shuffled": (GREY, "shuffled in rings"),
    "none": ("0.8", "without"),
    "low-pass": (GREEN, "low-pass of its values"),
    "same class": (AMBER, "another of the class"),
    "other class": (PURPLE, "of another class"),
}
# Row of table 2 -> images of `_mask_controls.measure_controls`.
_CONTROLLED = {"M(X)": "X", "M(XA)": "XA"}


def _draw_table2(figure, content):
    table = content["table2"]
    figure.suptitle(f"Table 2: N on {table['images']} images", **_TITLE)
    axis = figure.subplots()
    names, seen = list(table["right"]), set()
    for column, name in enumerate(names):
        cells = dict(table["right"][name])
        if name in _CONTROLLED and "controls" in content:
            cells |= {
                form: one[_CONTROLLED[name]]
                for form, one in content["controls"].items()
                if form in _FORMS and form not in cells
            }
        width = 0.84 / max(3, len(cells))
        for number, (form, count) in enumerate(cells.items()):
            colour, label = _FORMS[form]
            place = column + (number - (len(cells) - 1) / 2) * width
            _bar(axis, place, count, table["images"], 0.93 * width, color=colour,
                 label=None if form in seen else label)  # fmt: skip
            seen.add(form)
        if name in TABLE2:
            _paper(axis, column, TABLE2[name], "paper" not in seen)
            seen.add("paper")
    axis.set_xticks(range(len(names)), names)
    _finish_shares(axis, 150)


def _finish_shares(axis, top):
    axis.set_ylim(0, top)
    axis.set_yticks(range(0, 101, 20))
    axis.tick_params(axis="y", labelsize="medium")
    axis.set_ylabel("% right")
    axis.grid(axis="y", alpha=0.3)
    axis.legend(ncols=2, loc="upper right")


def _draw_points(figure, content):
    found, classes = content["figure8"], content["data"]["classes"]
    figure.suptitle(f"Figure 8: classifier's outputs, {found['method'].upper()}", **_TITLE)
    axis = figure.subplots()
    points, labels = np.array(found["points"]), np.array(found["labels"])
    for label, colour in zip(np.unique(labels), _CLASS_COLOURS, strict=False):
        for part, marker, size in (("train", ".", 30), ("test", "*", 110)):
            chosen = np.array([i for i in found[part] if labels[i] == label], int)
            axis.scatter(
                *points[chosen].T, s=size, marker=marker, color=colour, alpha=0.85, linewidths=0,
                label=str(classes[label]) if part == "train" else None,
            )  # fmt: skip
    axis.set(xticks=[], yticks=[])
    axis.set_xlabel("stars: test masks")
    axis.legend(markerscale=2, handletextpad=0.2, labelspacing=0.3)


def _draw_table3(figure, content):
    report = content["table3"]
    figure.suptitle("Table 3: class from the mask", **_TITLE)
    axis = figure.subplots()
    places = {("labels", "train"): 0, ("labels", "test"): 1, ("control", "train"): 2.4,
              ("control", "test"): 3.4}  # fmt: skip
    for (arm, part), place in places.items():
        images = report[f"{part}_masks"]
        count = round(report[arm][f"{part}_accuracy"] * images)
        _bar(axis, place, count, images, 0.8, color=BLUE if arm == "labels" else GREY)
        paper = TABLE3[arm][part == "test"]
        _paper(axis, place, paper, place == 0)
    axis.axhline(
        100 * report["labels"]["chance"], color="0.3", linestyle="--", linewidth=1, label="chance"
    )
    ticks, names = list(places.values()), ["train", "test\nmasks", "train", "test\npermuted"]
    _explain(axis, 1.7, "one split,\nlines: 95 %")
    splits = content.get("class_null", {})
    if content.get("mask_splits"):
        splits = {"mask": content["mask_splits"]} | splits
    for number, (name, one) in enumerate(splits.items()):
        place = 5.1 + number * 1.2
        values = 100 * np.array(one["labels"])
        axis.bar(place, values.mean(), 0.8, color=BLUE if name == "mask" else SKY)
        axis.plot([place] * len(values), values, ".", color=BLACK)
        ticks.append(place)
        names.append({"magnitude": "|F|", "log magnitude": "log |F|\nof image"}.get(name, name))
    if splits:
        middle = 5.1 + 0.6 * (len(splits) - 1)
        _explain(axis, middle, f"test, dots: {len(values)} splits,\nbars: their mean")
    axis.set_xticks(ticks, names)
    _finish_shares(axis, 150)


def _explain(axis, place, text):
    axis.text(place, 104, text, ha="center", va="bottom")
