"""The picture of `figures.blue_shift`."""

import numpy as np

from figures._style import AMBER, BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, caption

FLOOR = 1e-4
COLOURS = {"softplus": BLUE, "tanh": GREEN, "ReLU": ORANGE, "hardtanh": PURPLE}
KINDS = {
    "mean": (GREY, "_", "mean"),
    "tone": (BLACK, "o", "what went in"),
    "harmonic": (ORANGE, "^", "harmonic: $2f$, $3f$, ..."),
    "intermodulation": (BLUE, "s", "intermodulation: $mf_1 \\pm nf_2$"),
}
CAPTION = (
    "Amplitudes of cosines on a logarithmic axis; what is not shown is below {floor:g}. "
    "softplus(x) \u2212 x/2 and ReLU(x) \u2212 x/2 are even functions: only even orders come out "
    "(2f, 4f, f2 \u00b1 f1). tanh and hardtanh are odd: only odd orders (3f, 2f1 \u00b1 f2). "
    "One tone has the amplitude of two in step, {amplitude:g}; at 1, as the paper's sin, hardtanh "
    "is the identity. "
    "THD: root of the power of all harmonics over that of the tone. Shares of the power are of all "
    "but the mean, over both phases, so that no product hides behind another. Centre: mean "
    "frequency of the power. Translations: mean over circular shifts by \u2212a ... a pixels, "
    "measured on a random signal; continuous: over shifts by up to n/2. The mean over all shifts "
    "leaves frequency 0 only (largest other factor: {all_shifts:.0e})."
)


def draw(stored):
    """Signals and spectra above, distortion and translation below."""
    from matplotlib import pyplot

    content, settings = stored["content"], stored["settings"]
    names = list(content["one_tone"])
    figure = pyplot.figure(figsize=(17, 15.5), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[3, 1])
    axes = above.subplots(len(names), 4, width_ratios=[1, 1.6, 1, 2.2], squeeze=False)
    labelled = {"one_tone": set(), "two_tones": set()}
    for row, name in zip(axes, names, strict=True):
        for (left, right), kind in (
            ((row[0], row[1]), "one_tone"),
            ((row[2], row[3]), "two_tones"),
        ):
            result = content[kind][name]
            draw_signal(left, result, settings, kind)
            draw_spectrum(right, result, settings, kind)
            label_products(right, result, settings, kind, labelled[kind])
            write_numbers(right, result)
        row[0].set_ylabel(name, fontsize=13, weight="bold")
    for axis, title in zip(axes[0], titles(settings), strict=True):
        axis.set_title(title, fontsize=12, loc="left")
    for axis in axes[-1][1::2]:
        axis.set_xlabel("frequency, cycles")
    for axis in axes[-1][::2]:
        axis.set_xlabel("time or space")
    axes[0][3].legend(fontsize=9, loc="upper right")
    distortion, translation = below.subplots(1, 2)
    draw_distortion(distortion, content, settings)
    draw_translation(translation, content["translation"])
    figure.suptitle("Blue shift: the frequencies that an activation adds", fontsize=15)
    text = CAPTION.format(
        floor=FLOOR,
        amplitude=settings["amplitude"],
        all_shifts=content["translation"]["all_shifts"],
    )
    caption(figure, f"{text}\n{data_line(stored)}")
    return figure


def data_line(stored):
    return (
        f"Preset {stored['preset']}: {stored['content']['data']['samples']:,} samples a signal, "
        f"{stored['settings']['phases']:,} x {stored['settings']['phases']:,} pairs of phases; "
        "nothing is trained."
    )


def titles(settings):
    f1, f2 = settings["tones"]
    return (
        f"{settings['amplitude']:g} cos({f1}\u00b72\u03c0t)",
        "amplitudes of its spectrum",
        f"cos({f1}\u00b72\u03c0t) + cos({f2}\u00b72\u03c0t)",
        "amplitudes of its spectrum",
    )


def draw_signal(axis, result, settings, kind):
    signal = np.asarray(result["signal"])
    t = np.arange(len(signal)) / len(signal)
    axis.axhline(0, color="0.8", linewidth=0.8)
    axis.plot(t, signal, color=BLACK, linewidth=1.4)
    axis.set(xlim=(0, 1), xticks=[0, 0.5, 1], ylim=(-2.3, 4.3 if signal.max() > 2.3 else 2.3))


def products(settings, kind):
    """Frequency -> (kind of product, its name), the one of lowest order."""
    f1, f2 = settings["tones"]
    found = {0: ("mean", "0"), f1: ("tone", "$f_1$" if kind == "two_tones" else "$f$")}
    if kind == "two_tones":
        found[f2] = ("tone", "$f_2$")
    for order in range(2, settings["highest"] + 1):
        for m in range(order + 1):
            n = order - m
            if kind == "one_tone":
                if n == 0:
                    found.setdefault(m * f1, ("harmonic", f"{m}$f$"))
                continue
            name = "harmonic" if m == 0 or n == 0 else "intermodulation"
            # The sign that has a positive frequency.
            sign = 1 if m * f1 > n * f2 else -1
            found.setdefault(m * f1 + n * f2, (name, product_name(m, n)))
            found.setdefault(abs(m * f1 - n * f2), (name, product_name(sign * m, -sign * n)))
    return found


def product_name(m, n):
    """ "2$f_1$+$f_2$" of (2, 1); the positive one first."""
    terms = sorted(((m, "$f_1$"), (n, "$f_2$")), key=lambda term: -term[0])
    text = ""
    for factor, tone in terms:
        if factor:
            sign = "\u2212" if factor < 0 else "+" if text else ""
            text += f"{sign}{abs(factor) if abs(factor) > 1 else ''}{tone}"
    return text


def draw_spectrum(axis, result, settings, kind):
    values = np.asarray(result["amplitudes"])
    known = products(settings, kind)
    for name, (colour, marker, label) in KINDS.items():
        places = [
            k for k, v in enumerate(values) if v > FLOOR and known.get(k, ("harmonic",))[0] == name
        ]
        axis.vlines(places, FLOOR, values[places], color=colour, linewidth=1.6)
        axis.plot(places, values[places], marker, color=colour, markersize=5, label=label)
    axis.set_yscale("log")
    top = 30 if kind == "one_tone" else 1000
    axis.set(xlim=(-0.8, settings["highest"] + 0.8), ylim=(FLOOR, top))
    axis.set_yticks([1e-4, 1e-2, 1], ["10$^{-4}$", "0.01", "1"])
    axis.set_yticks([], minor=True)
    axis.grid(alpha=0.25)


def label_products(axis, result, settings, kind, labelled):
    """Names over the lines, the lowest orders only: the others would run into each other."""
    f1, f2 = settings["tones"]
    if kind == "one_tone":
        wanted = [m * f1 for m in range(1, 7)]
    else:
        wanted = [abs(f2 - f1), f1, f2, 2 * f1, f1 + f2, 2 * f2, 2 * f1 + f2, 2 * f2 + f1,
                  abs(2 * f1 - f2), abs(2 * f2 - f1), 3 * f1, 3 * f2]  # fmt: skip
    known = products(settings, kind)
    for k in wanted:
        value = result["amplitudes"][k]
        if value > FLOOR:
            name, text = known[k]
            axis.annotate(
                text, (k, value), xytext=(0, 5), textcoords="offset points", ha="center",
                fontsize=8.5,
                in_layout=False, color=KINDS[name][0], rotation=90 if kind == "two_tones" else 0,
                va="bottom",
            )  # fmt: skip


def write_numbers(axis, result):
    lines = []
    if result.get("thd"):
        lines.append(f"THD {result['thd']:.1%}")
    power = result.get("power")
    if power and power["tones"] < 1 - 1e-9:
        lines.append(
            f"power: tones {power['tones']:.1%}, harmonics {power['harmonics']:.2%}, "
            f"intermodulation {power['intermodulation']:.1%}"
        )
    lines.append(f"centre {result['centroid']:.2f}")
    axis.set_title(", ".join(lines), loc="right", fontsize=10)


def draw_distortion(axis, content, settings):
    for name, values in content["distortion"].items():
        axis.plot(settings["sweep"], values, "o-", ms=4, color=COLOURS[name], label=name)
    limits = {
        "rectified wave, \u221a(1 \u2212 8/\u03c0\u00b2)": (1 - 8 / np.pi**2) ** 0.5,
        "square wave, \u221a(\u03c0\u00b2/8 \u2212 1)": (np.pi**2 / 8 - 1) ** 0.5,
    }
    for text, limit in limits.items():
        axis.axhline(limit, color=GREY, linestyle="--", linewidth=1, zorder=0)
        axis.text(
            settings["sweep"][0], limit - 0.006, f"{text} = {limit:.4f}", fontsize=10, va="top"
        )
    axis.set_xscale("log", base=2)
    ticks = [0.125, 0.25, 0.5, 1, 2, 4, 8, 16]
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.set(xlabel="amplitude of the tone", ylabel="THD", ylim=(-0.01, 0.53))
    axis.set_title("harmonic distortion against the amplitude of one tone", fontsize=12)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=10, loc="center left", bbox_to_anchor=(0, 0.52))


def draw_translation(axis, translation):
    colours = (AMBER, BLUE, GREEN, ORANGE)
    for reach, factor, colour in zip(
        translation["reaches"], translation["factors"], colours, strict=False
    ):
        k = np.arange(len(factor["measured"]))
        axis.plot(k, factor["dirichlet"], color=colour, linewidth=1.5)
        axis.plot(k, factor["sinc"], "--", color=colour, linewidth=1.2)
        axis.plot(k, factor["measured"], "o", color=colour, ms=5, label=f"a = {reach}, measured")
    axis.plot([], [], color=BLACK, label="sin(\u03c0nk/N) / (n sin(\u03c0k/N)), n = 2a + 1")
    axis.plot([], [], "--", color=BLACK, label="continuous: sinc(nk/N)")
    axis.axhline(0, color="0.8", linewidth=0.8)
    length = translation["length"]
    axis.set(xlabel=f"frequency k, cycles in N = {length} points", xlim=(0, length // 2))
    axis.set_ylabel("factor on the spectrum")
    axis.set_title(
        "the other way: the mean over translations dampens high frequencies", fontsize=12
    )
    axis.grid(alpha=0.3)
    axis.legend(fontsize=10)
