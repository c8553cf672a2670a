"""Figures 1 and 6 of the frequency-interpretation paper: what a first layer listens to.

Each VGG network is trained naturally, with power suppression and a gate, and with the eight
configurations of attended power suppression (see `figures._suppression_runs`); the trainings are
those of `figures.corruption_tables`.  The first convolution, with its batch normalisation, then
sees every frequency in every colour channel, and each of its maps votes for those that move it.

The paper reads out the mean of a map, which is the same for all frequencies (up to the border) as
long as no rectifier comes before it; here it is the root mean square of the change.  The density of
a band is its share of the votes over its share of the frequencies: 1 where the layer has no
preference.  A configuration is judged against natural training and, since an audit, against the
one with most votes of those that suppress the band.

Command: python -m figures.response_histogram --preset cpu
"""

if __name__ == "__main__":
    from models import command

    command("figures._figure", "response_histogram")

import numpy as np

from figures._claims import claim, over_seeds, run_words
from figures._figure import Figure
from figures._runs import load_best
from figures._style import BLUE, GREEN, ORANGE, caption, hide_unused, new_figure
from figures._suppression_runs import CONFIGURATIONS, PRESETS, run_key, train_arm
from spectral_keras.analysis import frequency_response, response_histogram, vote_shares
from spectral_keras.memory import clear_session
from spectral_keras.plots import plot_response
from spectral_keras.training import first_semantic_layer

ARMS = ("natural", "suppression+attention", *(f"LMH={name}" for name in CONFIGURATIONS))
BANDS = ("low", "medium", "high")
# The band that a configuration leaves its filters to: the digit that is 1 alone.
DOMINATED = {"LMH=100": "low", "LMH=010": "medium", "LMH=001": "high"}


def _settings(preset):
    """The shared preset, and which arms of which networks: those of Table 2."""
    shared = PRESETS[preset]
    networks = [name for name, tables in shared["networks"].items() if "table2" in tables]
    arms = ARMS
    if preset == "smoke":
        networks, arms = list(shared["networks"]), ("natural", "LMH=100")
    return shared | {"histograms": {name: list(arms) for name in networks}}


def run(experiment):
    settings = experiment.settings
    seeds = settings["seeds"]["table2"]
    histograms = experiment.content.setdefault("histograms", {})
    for seed in seeds:
        for network, arms in settings["histograms"].items():
            for arm in arms:
                key, record = train_arm(experiment, network, arm, seed)
                stored = histograms.get(key)
                if stored is None or stored["command"] != record["command"]:
                    histograms[key] = {"command": record["command"], **_measure(experiment, key)}
                    experiment.save()
                densities = ", ".join(
                    f"{band} {histograms[key]['bands'][band]['density']:.3f}" for band in BANDS
                )
                experiment.say(f"{key}: density of the votes {densities}")


def derive(stored):
    """Fills `averages` and `claims` from `histograms`."""
    content, settings = stored["content"], stored["settings"]
    seeds = settings["seeds"]["table2"]
    content["averages"] = {
        network: {
            arm: _average([content["histograms"][run_key(network, arm, seed)] for seed in seeds])
            for arm in arms
        }
        for network, arms in settings["histograms"].items()
    }
    content["claims"] = claims(content, settings)


def claims(content, settings):
    """Does the band that a configuration leaves open gain votes, more than where it is closed?

    Over natural training; and over the configuration, of those that suppress the band, in which it
    has most votes.
    """
    found = []
    records = [record["result"] for record in content["runs"].values()]
    record = records[0]
    right = [100 * result["test_accuracy"] for result in records]
    learned = f"of the test images {min(right):.0f} to {max(right):.0f} % are right"
    for network, rows in content["averages"].items():
        width = settings["options"].get(network, {}).get("width", 1)
        run_ = run_words(network, width, record, len(settings["seeds"]["table2"]))
        for arm, band in DOMINATED.items():
            if arm not in rows:
                continue
            closed = _most_votes_closed(rows, band)
            parts = [("over natural training", _more_votes(rows, arm, "natural", band))]
            if closed:
                parts.append((f"over {closed}", _more_votes(rows, arm, closed, band)))
            found.append(
                claim("frequency_interpretation", "Figures 1 and 6",
                      f"{network}, {arm}: the {band} band gains votes in the first layer, more "
                      "than where it is suppressed",
                      run_, unit="density", parts=parts,
                      note=", ".join(f"{part['effect']:+.3f} {what}" for what, part in parts)
                      + f"; {learned}")
            )  # fmt: skip
    return found


def _more_votes(rows, arm, other, band):
    pairs = zip(rows[arm]["density"][band], rows[other]["density"][band], strict=True)
    found = over_seeds([a - b for a, b in pairs])
    return {"effect": found["effect"], "interval": found["interval"]}


def _most_votes_closed(rows, band):
    """The configuration LMH=abc with most votes in a band that its digit suppresses."""
    place = len("LMH=") + list(BANDS).index(band)
    closed = [arm for arm in rows if arm.startswith("LMH=") and arm[place] == "0"]
    return max(closed, key=lambda arm: np.mean(rows[arm]["density"][band]), default=None)


def _measure(experiment, key):
    """Histogram (unshifted order) and band shares of the first layer of a run's best weights."""
    model, _ = load_best(experiment, key)
    layer = first_semantic_layer(model)
    responses = frequency_response(model, layer, readout="rms")
    votes = response_histogram(responses)
    clear_session()
    maps = responses.shape[0] * responses.shape[1]
    return {
        "layer": layer,
        "maps": maps,
        # In votes a map, so that layers of other sizes compare.
        "histogram": np.round(votes / maps, 5).tolist(),
        "bands": vote_shares(votes),
    }


def _average(stored):
    """Mean histogram and mean densities over the seeds, with each seed's densities."""
    return {
        "histogram": np.mean([one["histogram"] for one in stored], axis=0).round(5).tolist(),
        "density": {
            band: [one["bands"][band]["density"] for one in stored] for band in BANDS
        },
    }  # fmt: skip


def verdict(averages):
    """What the densities say about the paper's claims, in sentences with numbers."""
    lines = []
    for network, rows in averages.items():
        means = {
            arm: {band: float(np.mean(row["density"][band])) for band in BANDS}
            for arm, row in rows.items()
        }
        natural = means["natural"]
        lines.append(
            f"{network}, natural: density of the votes {natural['low']:.2f} low, "
            f"{natural['medium']:.2f} medium, {natural['high']:.2f} high"
        )
        found = []
        for arm, band in DOMINATED.items():
            if arm in means:
                gain = means[arm][band] - natural[band]
                found.append(f"{arm} {means[arm][band]:.2f} {band} ({gain:+.2f} over natural)")
        if found:
            grown = sum("(+" in text for text in found)
            lines.append(
                f"The band that a configuration leaves open has more votes in {grown} of "
                f"{len(found)}: {', '.join(found)}; others, in which it is closed, may have as "
                "many: see the verdicts in docs/papers/results_frequency_interpretation.md"
            )
    return ".  ".join(lines) + "."


def draw(stored):
    averages = stored["content"]["averages"]
    most = max(len(rows) for rows in averages.values())
    columns = min(5, most)
    lines = -(-most // columns)
    figure = new_figure((3.7 * lines + 6) * len(averages) + 5)
    for part, (network, rows) in zip(
        np.atleast_1d(figure.subfigures(len(averages), 1)), averages.items(), strict=True
    ):
        above, below = part.subfigures(2, 1, height_ratios=[3.7 * lines, 6])
        _maps(above, rows, lines, columns)
        above.suptitle(network, x=0.99, ha="right")
        _bars(below.subplots(), rows)
    figure.suptitle(
        "Votes of the first layer for the frequencies, the mean at the centre",
        x=0.01, ha="left",
    )  # fmt: skip
    caption(figure, f"{verdict(averages)}\n{_settings_line(stored)}")
    return figure


def _maps(figure, rows, lines, columns):
    images = {arm: row["histogram"] for arm, row in rows.items()}
    scale = {"vmin": np.min(list(images.values())), "vmax": np.max(list(images.values()))}
    panels = figure.subplots(lines, columns, squeeze=False)
    for panel, (arm, image) in zip(hide_unused(panels, len(images)), images.items(), strict=False):
        plot_response(image, panel, ticks=False, colorbar=None, **scale).set_title(_short(arm))
    figure.colorbar(panels[0, 0].images[0], ax=panels, shrink=0.8)


def _short(arm):
    return arm.replace("LMH=", "").replace("suppression+attention", "suppr.\n+ gate")


def _bars(panel, rows):
    for offset, band, color in zip((-0.25, 0, 0.25), BANDS, (BLUE, GREEN, ORANGE), strict=True):
        values = [np.mean(row["density"][band]) for row in rows.values()]
        places = np.arange(len(rows)) + offset
        panel.bar(places, np.subtract(values, 1), 0.23, bottom=1, color=color, label=band)
        for place, row in zip(places, rows.values(), strict=True):
            if len(row["density"][band]) > 1:
                panel.plot([place] * len(row["density"][band]), row["density"][band], "k.", ms=4)
    panel.axhline(1, color="0.4", linewidth=1)
    panel.set_xticks(range(len(rows)), [_short(arm) for arm in rows])
    panel.set_xlim(-0.6, len(rows) - 0.4)
    panel.set_ylabel("density of the votes")
    panel.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), title="band")


def _settings_line(stored):
    settings = stored["settings"]
    run_ = next(iter(stored["content"]["runs"].values()))
    networks = ", ".join(
        f"{network} ({settings['options'].get(network, {}).get('width', 1):g} x the filters)"
        for network in settings["histograms"]
    )
    seeds = len(next(iter(next(iter(stored["content"]["averages"].values())).values()))
                ["density"]["low"])  # fmt: skip
    return (
        f"Preset {stored['preset']}: {networks}, {run_['result']['images']['training']:,} training "
        f"images, {run_['result']['epochs']} epochs, {seeds} seed(s).  Each map is scaled to "
        "[0, 1], one percent of its values cut off at either end.  Bands: the masks of power "
        "suppression without the mean; they overlap.  Read-out: root mean square."
    )


FIGURE = Figure(
    "response_histogram",
    "Which frequencies the first layer answers to, under ten kinds of training.",
    {preset: _settings(preset) for preset in PRESETS}, run, draw, derive,
    runs_of="corruption_tables",
)  # fmt: skip
