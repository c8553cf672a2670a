"""Every claim, table and figure of the four papers: what was run, what was found, the verdict.

The comparison of poolings, of two more papers, has a page beside theirs.

Collects the claims in `figures/results/*.json`, adds what nobody has run, and writes
`figures/results/scorecard.json`, `docs/papers/scorecard.md` and one page of results a paper.
Nothing is trained; run it after any figure.

Command: python -m figures.scorecard
"""

if __name__ == "__main__":
    from models import command

    command("figures.scorecard")

import pathlib
import sys

from figures import _pages
from figures._claims import PAPERS, claim
from figures._figure import RESULTS
from spectral_keras.experiments.command import ENDS, CommandError, OneLineParser, report_end
from spectral_keras.experiments.folder import check_output, read_json, write_json, write_text

PAGES = pathlib.Path(__file__).resolve().parents[1] / "docs" / "papers"
# Modules with claims, in the order of the pages.
FIGURES = (
    "flagship",
    "information_preservation",
    "convergence",
    "convergence_rates",
    "frequency_dropout",
    "hyperparameter_search",
    "auxiliary_protocols",
    "auxiliary_tasks",
    "power_suppression",
    "frequency_noise",
    "point_detection",
    "corruption_tables",
    "response_histogram",
    "blue_shift",
    "fourier_masks",
    "planted_masks",
    "poolings",
)
_FULL = "--preset paper"
# Modules whose JSON may be missing: a row says that they were not run.
PENDING = {
    "auxiliary_protocols": (
        "auxiliary_fourier_task", "Table 1",
        "the published protocol: predicted labels, no clipping, batch statistics in the attack",
        "--preset cpu: resnet18 x 0.25, 47,500 images, 20 epochs", None,
    ),
}  # fmt: skip

# What no preset on two cores has reached: (paper, where, claim, module, run, the paper's number).
MISSING = (
    ("spectral_representations", "Section 5.1",
     "spectral pooling network (5) at full scale: CIFAR-10 test error at most 8.6 %",
     "hyperparameter_search", f"{_FULL}: all filters, 60 trials, 150 epochs", 8.6),
    ("spectral_representations", "Section 5.1",
     "spectral pooling network (5) at full scale: CIFAR-100 test error at most 31.6 %",
     "hyperparameter_search", f"{_FULL}: all filters, 60 trials, 150 epochs", 31.6),
    ("spectral_representations", "Figure 2 of the original",
     "spectral pooling loses less than max pooling on ImageNet", "information_preservation",
     "ImageNet's validation images", None),
    ("spectral_representations", "Section 5.2, Figure 7 of the report",
     "speed-ups at full scale", "convergence", f"{_FULL}: all filters and images, 200 epochs",
     "2.2 to 5.1"),
    ("spectral_representations", "Section 3.3",
     "frequency dropout at full scale, where the network overfits", "frequency_dropout",
     f"{_FULL}: all filters and images, 150 epochs", None),
    *(
        ("auxiliary_fourier_task", "Table 1",
         f"{network}: the Fourier task improves the clean accuracy", "auxiliary_tasks",
         f"{_FULL}, backbone {network}", gain)
        for network, gain in (("resnext29", 0.13), ("googlenet", -0.17), ("efficientnet_b0", -1.37),
                              ("mobilenet_v2", 0.26))
    ),
    ("auxiliary_fourier_task", "Table 1", "resnet18 at full scale", "auxiliary_tasks",
     f"{_FULL}: all filters, 47,500 images, 200 epochs", 0.27),
    ("frequency_interpretation", "Table 1", "vgg16 without batch normalisation: suppression",
     "corruption_tables", f"{_FULL}, network vgg16", 5.68),
    ("frequency_interpretation", "Table 2",
     "vgg16 without batch normalisation: eight configurations",
     "corruption_tables", f"{_FULL}, network vgg16", "3.30 to 7.57"),
    ("frequency_interpretation", "Tables 1 and 2", "vgg16_bn at full scale", "corruption_tables",
     f"{_FULL}: all filters, four seeds, 90 epochs", 5.12),
    ("frequency_interpretation", "Table 3", "resnet18 at full scale", "corruption_tables",
     f"{_FULL}: all filters, four seeds, 90 epochs", 10.16),
    ("frequency_interpretation", "Table 4", "gates with their loss at lambda 50, 10 and 2",
     "corruption_tables", f"{_FULL}, lambdas 50, 10 and 2", "10.26 to 11.13"),
    ("frequency_interpretation", "Figures 1 and 6", "vgg16 without batch normalisation: histograms",
     "response_histogram", f"{_FULL}, network vgg16", None),
    ("fourier_masks", "Tables 1 to 3, Figures 3 to 8", "vgg11_bn on five classes of Imagenette",
     "fourier_masks", f"{_FULL}: 128 x 128, all filters, five trainings", None),
    ("fourier_masks", "Section 3.2", "resnet18 gives qualitatively the same masks",
     "fourier_masks", "no preset yet", None),
)  # fmt: skip


def collect(folder):
    """Rows of the scorecard from the JSON of the figures, then what was not run.

    Raises:
        CommandError: if a figure's JSON is missing, damaged or without claims.
    """
    rows = []
    for name in FIGURES:
        path = pathlib.Path(folder) / f"{name}.json"
        if name in PENDING and not path.exists():
            rows.append(_missing(*PENDING[name][:3], name, *PENDING[name][3:]))
            continue
        if not path.exists():
            raise CommandError(f"there is no {path}: python -m figures.{name} makes it")
        stored = read_json(path)
        found = stored.get("content", {}).get("claims")
        if not isinstance(found, list):
            raise CommandError(f"{path} has no claims: python -m figures.{name} derives them")
        rows += [one | {"module": name, "preset": stored["preset"]} for one in found]
    rows += [_missing(*one) for one in MISSING]
    order = list(PAPERS)
    return sorted(rows, key=lambda row: order.index(row["paper"]))


def _missing(paper, where, text, module, run, printed):
    row = claim(paper, where, text, run, unit="", printed=printed)
    return row | {"module": module, "preset": None}


def write(results, pages):
    """scorecard.json, scorecard.md and the pages of results; the paths written."""
    rows = collect(results)
    results, pages = pathlib.Path(results), pathlib.Path(pages)
    pages.mkdir(parents=True, exist_ok=True)
    write_json(results / "scorecard.json", {"rows": rows, "counts": _pages.counts(rows)})
    written = {pages / "scorecard.md": _pages.scorecard(rows)}
    present = [name for name in FIGURES if (results / f"{name}.json").exists()]
    stored = {name: read_json(results / f"{name}.json") for name in present}
    for paper in PAPERS:
        written[pages / f"results_{paper}.md"] = _pages.results(paper, rows, stored)
    for path, text in written.items():
        write_text(path, text)
    return [results / "scorecard.json", *written]


def main(argv=None):
    """The command; exits with status 0, 2 (bad input) or 130 (Ctrl-C)."""
    parser = OneLineParser(prog="figures.scorecard", description=(__doc__ or "").strip())
    parser.add_argument("--results", default=str(RESULTS), help="folder of the figures' JSON")
    parser.add_argument("--pages", default=str(PAGES), help="folder that the pages go to")
    options = parser.parse_args(argv)
    try:
        check_output(options.results, "--results")
        check_output(options.pages, "--pages")
        for path in write(options.results, options.pages):
            print(f"scorecard: {path}")
        status = 0
    except ENDS as error:
        status = report_end("figures.scorecard", error)
    sys.exit(status)
