"""Distortion by activations: Figure 1 and section 3 of "Fourier masks" (arXiv 2203.08822).

One tone and two tones go through softplus, tanh, ReLU and hardtanh: what frequencies come out that
did not go in, harmonics of a tone ("blue shift") and products of two (intermodulation).  Beside it
what averaging over translations does, which goes the other way.

The paper's claim is judged at the amplitude of its sin, 1 (after an audit; until then at 2, where
hardtanh is no identity, too: "confirmed").
"""

if __name__ == "__main__":
    from models import command

    command("figures._figure", "blue_shift")

import keras
import numpy as np

from figures._blue_shift_drawing import draw
from figures._claims import claim, exact
from figures._figure import Figure

# Name -> function of a tensor; "input" and "square", the paper's worked example, for comparison.
FUNCTIONS = {
    "input": lambda x: x,
    "square": keras.ops.square,
    "softplus": keras.ops.softplus,
    "tanh": keras.ops.tanh,
    "ReLU": keras.ops.relu,
    "hardtanh": keras.ops.hard_tanh,
}
ACTIVATIONS = ("softplus", "tanh", "ReLU", "hardtanh")

# One tone has the amplitude of two in step: at 1 hardtanh would change nothing.
_SIGNAL = {"tones": [3, 7], "amplitude": 2.0, "highest": 40}
_TRANSLATION = {"length": 64, "reaches": [1, 5]}
PRESETS = {
    "smoke": {
        **_SIGNAL,
        "samples": 2048,
        "phases": 256,
        "sweep": [0.125, 1.0, 2.0, 16.0],
        "translation": _TRANSLATION,
    },
    "cpu": {
        **_SIGNAL,
        "samples": 16384,
        "phases": 1024,
        "sweep": [round(float(2 ** (k / 4)), 6) for k in range(-12, 17)],
        "translation": _TRANSLATION,
    },
}
# The paper gives no sizes, and there is nothing to train.
PRESETS["paper"] = PRESETS["cpu"]


def apply(name, signal):
    """A function of `FUNCTIONS` on a float64 array."""
    tensor = keras.ops.convert_to_tensor(np.asarray(signal, "float64"))
    return keras.ops.convert_to_numpy(FUNCTIONS[name](tensor)).astype("float64")


def tones(frequencies, samples, amplitude=1.0):
    """Sum of cosines: whole cycles on `samples` points."""
    t = np.arange(samples) / samples
    return amplitude * sum(np.cos(2 * np.pi * f * t) for f in frequencies)


def amplitudes(signal):
    """Amplitude of the cosine at each frequency from 0 on; the mean at 0."""
    spectrum = np.abs(np.fft.rfft(signal)) / len(signal)
    spectrum[1 : (len(signal) + 1) // 2] *= 2
    return spectrum


def harmonic_distortion(spectrum, tone):
    """THD: root of the power at 2f, 3f, ... over that at f; `spectrum` as of `amplitudes`."""
    return float(np.sqrt((spectrum[2 * tone :: tone] ** 2).sum()) / spectrum[tone])


def centroid(spectrum):
    """Mean frequency of the power without the mean's."""
    power = spectrum[1:] ** 2
    return float((np.arange(1, len(spectrum)) * power).sum() / power.sum())


def product_powers(name, phases, amplitude=1.0):
    """Shares of the power without the mean's after two tones went through a function.

    Over both phases g(cos a + cos b) is periodic, and its Fourier coefficient (m, n) is the product
    m f1 + n f2 whatever the tones are: none falls on another.

    Returns:
        dict: "tones", "harmonics", "intermodulation"; and "order_2" ... "order_5", the share of
        all products of that order |m| + |n|.
    """
    angle = np.cos(2 * np.pi * np.arange(phases) / phases)
    after = apply(name, amplitude * (angle[:, None] + angle))
    power = np.abs(np.fft.fft2(after) / phases**2) ** 2
    power[0, 0] = 0
    index = np.abs(np.fft.fftfreq(phases, 1 / phases).astype(int))
    order = index[:, None] + index
    alone = (index[:, None] == 0) | (index == 0)
    total = power.sum()
    parts = {
        "tones": alone & (order == 1),
        "harmonics": alone & (order > 1),
        "intermodulation": ~alone,
        **{f"order_{n}": order == n for n in range(2, 6)},
    }
    return {part: float(power[where].sum() / total) for part, where in parts.items()}


def translation_factor(length, reach):
    """What the mean over all circular shifts by -reach ... reach does to each frequency.

    Returns:
        dict: "measured" on a random signal, "dirichlet", the closed form sin(n pi k / N) / (n sin(
        pi k / N)) for n = 2 reach + 1, and "sinc", that of a continuous signal moved by up to n / 2
        either way; frequencies 0 ... length // 2.
    """
    signal = np.random.default_rng(0).standard_normal(length)
    shifts = range(-reach, reach + 1)
    mean = np.mean([np.roll(signal, shift) for shift in shifts], axis=0)
    measured = np.fft.rfft(mean) / np.fft.rfft(signal)
    k, count = np.arange(length // 2 + 1), len(shifts)
    # np.sinc(x) is sin(pi x) / (pi x).
    continuous = np.sinc(count * k / length)
    return {
        "measured": measured.real.round(9).tolist(),
        "measured_imaginary": float(np.abs(measured.imag).max().round(12)),
        "dirichlet": (continuous / np.sinc(k / length)).round(9).tolist(),
        "sinc": continuous.round(9).tolist(),
    }


def all_shifts(length):
    """Largest factor but the mean's of the mean over all circular shifts: 0 but for rounding."""
    signal = np.random.default_rng(0).standard_normal(length)
    mean = np.mean([np.roll(signal, shift) for shift in range(length)], axis=0)
    return float(np.abs(np.fft.rfft(mean) / np.fft.rfft(signal))[1:].max())


def one_tone(name, settings):
    """Signal, spectrum and distortion of one tone after a function."""
    tone, _ = settings["tones"]
    after = apply(name, tones([tone], settings["samples"], settings["amplitude"]))
    spectrum = amplitudes(after)
    result = _summary(after, spectrum, settings)
    # The square has nothing left at f.
    if name != "square":
        result["thd"] = round(harmonic_distortion(spectrum, tone), 7)
    return result


def two_tones(name, settings):
    """Signal, spectrum and shares of the power of two tones after a function."""
    after = apply(name, tones(settings["tones"], settings["samples"]))
    powers = product_powers(name, settings["phases"])
    result = _summary(after, amplitudes(after), settings)
    return {**result, "power": {part: round(share, 7) for part, share in powers.items()}}


def _summary(signal, spectrum, settings):
    every = settings["samples"] // 256
    return {
        "signal": signal[::every].round(5).tolist(),
        "amplitudes": spectrum[: settings["highest"] + 1].round(9).tolist(),
        "centroid": round(centroid(spectrum), 6),
    }


def sweep(name, settings):
    """THD against the amplitude of one tone."""
    tone, samples = settings["tones"][0], settings["samples"]
    return [
        round(harmonic_distortion(amplitudes(apply(name, tones([tone], samples, a))), tone), 7)
        for a in settings["sweep"]
    ]


def run(experiment):
    """Fills `data`, `one_tone`, `two_tones`, `distortion` and `translation`."""
    content, settings = experiment.content, experiment.settings
    if "translation" in content:
        experiment.say("all results are there")
        return
    content["data"] = {"signal": "cosines", "samples": settings["samples"]}
    content["one_tone"] = {name: one_tone(name, settings) for name in FUNCTIONS}
    content["two_tones"] = {name: two_tones(name, settings) for name in FUNCTIONS}
    for name in ACTIVATIONS:
        experiment.say(
            "{name}: THD {thd:.4f}, power of two tones: harmonics {harmonics:.4f}, intermodulation "
            "{intermodulation:.4f}".format(
                name=name,
                thd=content["one_tone"][name]["thd"],
                **content["two_tones"][name]["power"],
            )
        )
    content["distortion"] = {name: sweep(name, settings) for name in ACTIVATIONS}
    length, reaches = (settings["translation"][key] for key in ("length", "reaches"))
    content["translation"] = {
        "length": length,
        "reaches": reaches,
        "all_shifts": all_shifts(length),
        "factors": [translation_factor(length, reach) for reach in reaches],
    }


def derive(stored):
    """Fills `claims`."""
    content = stored["content"]
    tones, moved = content["one_tone"], content["translation"]
    settings = stored["settings"]
    place = settings["sweep"].index(1.0)  # the amplitude of the paper's sin
    own = [
        (name, {"interval": (value, value), "effect": value, "bound": 1e-9})
        for name in ACTIVATIONS
        for value in [content["distortion"][name][place]]
    ]
    parts = [
        (name, {"interval": (change, change), "effect": change})
        for name in ACTIVATIONS
        for change in [tones[name]["centroid"] - tones["input"]["centroid"]]
    ]
    apart = max(
        abs(a - b)
        for factor in moved["factors"]
        for a, b in zip(factor["measured"], factor["dirichlet"], strict=True)
    )
    run_ = f"{content['data']['samples']:,} samples; nothing is trained"
    content["claims"] = [
        claim("fourier_masks", "Figure 1",
              "softplus, tanh, ReLU and hardtanh each add frequencies to sin, amplitude 1", run_,
              unit="THD", over="nothing random", parts=own,
              note=", ".join(f"{name} {part['effect']:.2f}" for name, part in own)
              + "; up to the amplitude 1 hardtanh is the identity"),
        claim("fourier_masks", "Figure 1, a control",
              f"each of the four adds frequencies above a tone's of amplitude "
              f"{settings['amplitude']:g}", run_, added=True,
              unit="cycles", over="nothing random", parts=parts,
              note="mean frequency of the power: " + ", ".join(
                  f"{name} {part['effect']:+.2f}" for name, part in parts)),
        claim("fourier_masks", "Section 3.1",
              "averaging over translations by up to a damps frequency k of N by "
              "sin(pi n k / N) / (n sin(pi k / N)), n = 2 a + 1", f"{moved['length']} samples",
              unit="largest difference", bound=1e-6, above=False,
              note="the continuous sinc of the paper is its limit", **exact(apart)),
    ]  # fmt: skip


FIGURE = Figure("blue_shift", __doc__, PRESETS, run, draw, derive, uses=())
