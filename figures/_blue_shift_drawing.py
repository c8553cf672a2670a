"""The picture of `figures.blue_shift`."""

import numpy as np

from figures._style import AMBER, BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, caption, new_figure

FLOOR = 1e-4
COLOURS = {"softplus": BLUE, "tanh": GREEN, "ReLU": ORANGE, "hardtanh": PURPLE}
KINDS = {
    "mean": (GREY, "_", "mean"),
    "tone": (BLACK, "o", "what went in"),
    "harmonic": (ORANGE, "^", "harmonic: $2f$, $3f$, ..."),
    "intermodulation": (BLUE, "s", "intermodulation: $mf_1 \\pm nf_2$"),
}
THD = "THD: root of the power of all harmonics over that of the tone."
CAPTION = (
    f"{THD} Up to the amplitude 1, that of the paper's sin, hardtanh is the identity. "
    "Translations: mean over circular shifts by \u2212a ... a pixels, measured on a random signal; "
    "continuous: over shifts by up to n/2. The mean over all shifts leaves frequency 0 only "
    "(largest other factor: {all_shifts:.0e})."
)
SPECTRA = (
    "Amplitudes of cosines on a logarithmic axis; what is not shown is below {floor:g}. "
    "softplus(x) \u2212 x/2 and ReLU(x) \u2212 x/2 are even functions: only even orders come out "
    "({even}). tanh and hardtanh are odd: only odd orders ({odd}). Centre: mean frequency of the "
    "power without the mean's."
)
# Kind of signal -> products of even and of odd order, what else its picture needs to have said.
WORDS = {
    "one_tone": (
        "2f, 4f", "3f, 5f",
        f"{THD} The tone has the amplitude of two in step, {{amplitude:g}}; at 1, as the paper's "
        "sin, hardtanh is the identity.",
    ),
    "two_tones": (
        "2f1, f2 \u00b1 f1", "3f1, 2f1 \u00b1 f2",
        "Shares of the power are of all but the mean, over both phases ({phases:,} x {phases:,} "
        "pairs), so that no product hides behind another.",
    ),
}  # fmt: skip


def draw(stored):
    """ "" distortion and translation, "_one_tone" and "_two_tones" signals and their spectra."""
    content, settings = stored["content"], stored["settings"]
    text = CAPTION.format(all_shifts=content["translation"]["all_shifts"])
    figure = new_figure(22.5)
    distortion, translation = figure.subplots(2, 1)
    draw_distortion(distortion, content, settings)
    draw_translation(translation, content["translation"])
    figure.suptitle("Blue shift: the frequencies that an activation adds")
    caption(figure, f"{text}\n{data_line(stored)}")
    pictures = {"": figure}
    f1, f2 = settings["tones"]
    one, two = (f"cos({f}\u00b72\u03c0t)" for f in (f1, f2))
    signals = {"one_tone": f"{settings['amplitude']:g} {one}", "two_tones": f"{one} + {two}"}
    for kind, signal in signals.items():
        pictures[f"_{kind}"] = draw_spectra(content, settings, kind, signal)
        caption(pictures[f"_{kind}"], f"{spectra_words(settings, kind)}\n{data_line(stored)}")
    return pictures


def draw_spectra(content, settings, kind, signal):
    """A signal through each function, and its spectrum."""
    functions = list(content[kind])
    figure = new_figure(4.3 * len(functions) + 2)
    axes = figure.subplots(len(functions), 2, width_ratios=[1, 2.4], squeeze=False)
    for (left, right), name in zip(axes, functions, strict=True):
        result = content[kind][name]
        draw_signal(left, result)
        draw_spectrum(right, result, settings, kind)
        label_products(right, result, settings, kind)
        write_numbers(right, result)
        left.set_ylabel(name, weight="bold")
    axes[0][0].set_title(signal, loc="left")
    axes[-1][0].set_xlabel("time or space")
    axes[-1][1].set_xlabel("frequency, cycles")
    # Of the input there is little to see.
    axes[0][1].legend(loc="upper right")
    what = "signals and amplitudes of their spectra"
    figure.suptitle(f"Blue shift of {kind.replace('_', ' ')}: {what}")
    return figure


def data_line(stored):
    samples = stored["content"]["data"]["samples"]
    return f"Preset {stored['preset']}: {samples:,} samples a signal; nothing is trained."


def spectra_words(settings, kind):
    even, odd, more = WORDS[kind]
    return f"{SPECTRA.format(floor=FLOOR, even=even, odd=odd)} {more.format(**settings)}"


def draw_signal(axis, result):
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
        if kind == "one_tone" and name == "intermodulation":
            continue
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


def label_products(axis, result, settings, kind):
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
    axis.set_title(", ".join(lines), loc="right")


def draw_distortion(axis, content, settings):
    for name, values in content["distortion"].items():
        axis.plot(settings["sweep"], values, "o-", ms=4, color=COLOURS[name], label=name)
    limits = {
        "rectified wave, \u221a(1 \u2212 8/\u03c0\u00b2)": (1 - 8 / np.pi**2) ** 0.5,
        "square wave, \u221a(\u03c0\u00b2/8 \u2212 1)": (np.pi**2 / 8 - 1) ** 0.5,
    }
    for text, limit in limits.items():
        axis.axhline(limit, color=GREY, linestyle="--", linewidth=1, zorder=0)
        axis.text(settings["sweep"][0], limit - 0.006, f"{text} = {limit:.4f}", va="top")
    axis.set_xscale("log", base=2)
    ticks = [0.125, 0.25, 0.5, 1, 2, 4, 8, 16]
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.set(xlabel="amplitude of the tone", ylabel="THD", ylim=(-0.01, 0.53))
    axis.set_title("harmonic distortion against the amplitude of one tone")
    axis.grid(alpha=0.3)
    axis.legend(loc="center left", bbox_to_anchor=(0, 0.52))


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
    axis.set_title("the other way: the mean over translations dampens high frequencies")
    axis.grid(alpha=0.3)
    axis.legend()
