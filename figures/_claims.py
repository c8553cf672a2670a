"""What a paper claims and what was found, in one form for figures, pages and the scorecard.

Verdicts follow `spectral_keras.evaluation.verdicts`.  A claim about what a training does needs an
interval over trainings: with one seed it is undecided, however many test images there were.
"""

from spectral_keras.evaluation import VERDICTS, combine, judge, t_interval

# Key of a paper, also the name of its page -> its title.
PAPERS = {
    "spectral_representations": "Spectral representations (Rippel et al. 2015, and the report)",
    "auxiliary_fourier_task": "Fourier transform as an auxiliary task",
    "frequency_interpretation": "Frequency interpretation",
    "fourier_masks": "Fourier masks",
    # No paper of this project; its page says what was taken from whom.
    "poolings": "Poolings beyond the four papers (Riad et al. 2022, Grabinski et al. 2022)",
}


def claim(paper, where, text, run, *, effect=None, unit="points", over="", printed=None, note="",
          added=False, **rule):  # fmt: skip
    """One claim with its verdict, JSON-plain.

    Args:
        paper: key of `PAPERS`.
        where: table, figure or section.
        text: the claim, in a few words.
        run: network, width, images, epochs and seeds that it was tested with.
        effect: what was measured, a number, in units of `unit`; None if nothing was.  Of several
            parts the one that decides is shown, if it has a number.
        over: what the interval is over, such as "2 seeds" or "1000 images".
        printed: the paper's number in the same unit.
        note: what a reader must know.
        added: whether the claim is none of the paper's, but a control or a comparison of here.
        rule: `interval`, `bound`, `above` and `able` of `judge`; or `parts`, a list of (what,
            keyword arguments of `judge` and optionally "effect"), all of which must hold.
    """
    parts = rule.pop("parts", None)
    if parts is None:
        parts = [(None, {"interval": None, "measured": effect is not None} | rule)]
    judged = [_judge(what, dict(arguments)) for what, arguments in parts]
    verdict = combine(part["verdict"] for part in judged)
    shown = next(part for part in judged if part["verdict"] == verdict)
    if shown["effect"] is None:
        shown = judged[0]
    if shown["effect"] is not None:
        effect = shown["effect"]
    interval = shown["interval"]
    return {
        "paper": paper, "where": where, "claim": text, "added": added, "run": run,
        "effect": effect, "unit": unit,
        "of": shown["what"], "interval": interval, "over": over if interval else "",
        "printed": printed,
        "detectable": None if interval is None else (interval[1] - interval[0]) / 2,
        "parts": judged, "verdict": verdict, "note": note,
    }  # fmt: skip


def _judge(what, arguments):
    effect = arguments.pop("effect", None)
    verdict = judge(**arguments)
    interval = arguments["interval"]
    return {
        "what": what,
        "effect": effect,
        "interval": None if interval is None else [float(end) for end in interval],
        "bound": arguments.get("bound", 0.0),
        "above": arguments.get("above", True),
        "able": arguments.get("able", True),
        "verdict": verdict,
    }


def over_seeds(values):
    """Keyword arguments of `claim` for one value a seed: mean, t interval, what it is over."""
    values = list(values)
    mean = sum(values) / len(values) if values else None
    if len(values) < 2:
        return {"effect": mean, "interval": None}
    return {"effect": mean, "interval": t_interval(values), "over": f"{len(values)} seeds"}


def exact(value):
    """Keyword arguments of `claim` for a number that nothing random enters."""
    return {"effect": float(value), "interval": (float(value),) * 2, "over": "nothing random"}


def percent(interval):
    """An interval of shares in percent."""
    return [100 * end for end in interval]


def run_words(network, width, result, seeds):
    """What was run: network, factor on its filters, a run's result.json, how many seeds."""
    return (
        f"{network} x {width:g}, {result['images']['training']:,} images, {result['epochs']} "
        f"epochs, {seed_words(seeds)}"
    )


def seed_words(count):
    return "1 seed" if count == 1 else f"{count} seeds"


def sentence(one):
    """The claim, its verdict and its numbers, in one line."""
    words = f"{one['claim']}: {one['verdict'].upper()}"
    if one["effect"] is not None:
        words += f", {number(one['effect'])}"
        if one["interval"]:
            low, high = (number(end) for end in one["interval"])
            words += f" [{low}, {high}]"
        words += f" {one['unit']}".rstrip()
        words += f" ({one['of']})" if one["of"] else ""
    if one["printed"] is not None:
        words += f" (paper {number(one['printed'])})"
    return words + (f"; {one['note']}" if one["note"] else "")


def decided(claims):
    """Sentences of the claims that are confirmed or contradicted."""
    return [sentence(one) for one in claims if one["verdict"] in ("confirmed", "contradicted")]


def number(value):
    """A number as text: as many digits as a reader needs."""
    if isinstance(value, str):
        return value
    size = abs(value)
    if 0 < size < 5e-4:
        return f"{value:.0e}"
    digits = 1 if size >= 20 else 3 if 0 < size < 0.1 else 2
    return f"{value:.{digits}f}"


def count_verdicts(claims):
    """ "1 confirmed, 2 undecided" """
    counts = {verdict: sum(one["verdict"] == verdict for one in claims) for verdict in VERDICTS}
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)


def summary(claims):
    """How many claims have which verdict, and where each of them stands."""
    own = {one["paper"] for one in claims}
    pages = ", ".join(f"docs/papers/results_{paper}.md" for paper in PAPERS if paper in own)
    return f"Claims: {count_verdicts(claims)} ({pages})"
