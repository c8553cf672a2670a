"""What is committed: claims follow from the runs, pages from the claims."""

import copy
import importlib
import json
import re

import pytest

from figures import _pages, scorecard
from figures._claims import PAPERS
from figures._figure import RESULTS
from spectral_keras.evaluation import VERDICTS, judge
from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.folder import read_json
from tests.models.runs import by_hand

PRESENT = [name for name in scorecard.FIGURES if (RESULTS / f"{name}.json").exists()]


def committed(name):
    return read_json(RESULTS / f"{name}.json")


@pytest.fixture(scope="module")
def rows():
    return committed("scorecard")["rows"]


@pytest.mark.parametrize("name", PRESENT)
def test_claims_follow_from_the_numbers_of_the_runs(name):
    stored = committed(name)
    figure = importlib.import_module(f"figures.{name}").FIGURE
    again = copy.deepcopy(stored)
    figure.derive(again)
    found, expected = (json.loads(json.dumps(one["content"])) for one in (stored, again))
    assert _close(found, expected)
    assert found["claims"]


def _close(one, other):
    """Equal, numbers up to what another processor or library rounds."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_close(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_close, one, other))
    if isinstance(one, float):
        return one == pytest.approx(other, rel=1e-9, abs=1e-12)
    return one == other


def test_rows_are_those_of_the_figures(rows):
    assert _close(rows, json.loads(json.dumps(scorecard.collect(RESULTS))))
    assert {row["paper"] for row in rows} == set(PAPERS)
    assert {row["verdict"] for row in rows} == set(VERDICTS)


def test_verdicts_follow_from_the_intervals(rows):
    for row in rows:
        for part in row["parts"]:
            if part["verdict"] != "not run":
                rule = {key: part[key] for key in ("bound", "above", "able")}
                assert part["verdict"] == judge(part["interval"], **rule)
        order = ("contradicted", "not run", "undecided", "confirmed")
        assert row["verdict"] == min((p["verdict"] for p in row["parts"]), key=order.index)


def test_only_what_is_announced_may_be_missing():
    assert set(scorecard.FIGURES) - set(PRESENT) <= set(scorecard.PENDING)


def test_a_missing_file_names_the_command_that_makes_it(tmp_path):
    with pytest.raises(CommandError, match=r"python -m figures\.\w+ makes it"):
        scorecard.collect(tmp_path)


def test_every_table_and_figure_has_a_row(rows):
    wanted = {
        "auxiliary_fourier_task": ["Table 1"],
        "spectral_representations": ["Figure 2 ", "Figure 6 ", "Figure 7 ", "Section 5.1"],
        "frequency_interpretation": [
            *(f"Table {n}" for n in (1, 2, 3, 4)), *(f"Figure {n}" for n in (3, 4, 5)),
            "Figures 1 and 6",
        ],
        "fourier_masks": [
            *(f"Table {n}" for n in (1, 2, 3)), *(f"Figure {n}" for n in (1, 4, 7, 8)),
        ],
    }  # fmt: skip
    for paper, places in wanted.items():
        own = [row["where"] + " " for row in rows if row["paper"] == paper]
        for place in places:
            assert any(place in where for where in own), (paper, place)
    missing = [row["claim"] for row in rows if row["verdict"] == "not run"]
    for network in ("vgg16 ", "resnext29", "googlenet", "efficientnet_b0", "mobilenet_v2"):
        assert any(network in text for text in missing)
    assert any("ImageNet" in text for text in missing)
    assert any("Imagenette" in text for text in missing)


def test_pages_are_generated(rows):
    stored = {name: committed(name) for name in PRESENT}
    assert (scorecard.PAGES / "scorecard.md").read_text() == _pages.scorecard(rows)
    for paper in PAPERS:
        page = (scorecard.PAGES / f"results_{paper}.md").read_text()
        assert page == _pages.results(paper, rows, stored)


def test_pages_say_what_state_a_run_is_in():
    """Finished with the settings of today, with others, and unfinished."""
    from figures import frequency_dropout

    settings = json.loads(json.dumps(frequency_dropout.PRESETS["smoke"]))
    stored = {"preset": "smoke", "settings": settings, "finished": True}
    assert _pages._state("frequency_dropout", stored) == ""
    other = stored | {"settings": settings | {"seeds": [7]}}
    assert "earlier settings of the preset `smoke`" in _pages._state("frequency_dropout", other)
    unfinished = stored | {"finished": False}
    assert _pages._state("frequency_dropout", unfinished).startswith(" Unfinished")


def test_every_picture_is_on_a_page():
    text = "".join((scorecard.PAGES / f"results_{paper}.md").read_text() for paper in PAPERS)
    for name in PRESENT:
        pictures = sorted(path.name for path in RESULTS.glob(f"{name}*.png"))
        assert pictures and all(f"results/{picture})" in text for picture in pictures)


@pytest.mark.parametrize("page", ["scorecard", *(f"results_{paper}" for paper in PAPERS)])
def test_numbers_on_the_pages_are_those_of_the_json(page, rows):
    """Read back from the Markdown, not by the code that wrote it."""
    by_claim = {(row["where"], row["claim"]): row for row in rows}
    seen = 0
    for line in (scorecard.PAGES / f"{page}.md").read_text().splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) < 8 or not cells[2].startswith("**"):
            continue
        row = by_claim[cells[0].replace("\\|", "|"), cells[1].replace("\\|", "|")]
        assert cells[2] == f"**{row['verdict']}**"
        shown = [*re.findall(_NUMBER, cells[3])[:1], *re.findall(_NUMBER, cells[4]),
                 *re.findall(_NUMBER, cells[6])]  # fmt: skip
        ends = row["interval"] or []
        values = [row["effect"], *ends, row["detectable"]]
        values = [value for value in values if value is not None]
        assert len(shown) == len(values), line
        for text, value in zip(shown, values, strict=True):
            assert abs(float(text) - value) <= _half_a_digit(text) * 1.001, line
        seen += 1
    assert seen >= 6


_NUMBER = r"-?\d+(?:\.\d+)?(?:e-\d+)?"


def _half_a_digit(text):
    mantissa, _, exponent = text.partition("e")
    digits = len(mantissa.partition(".")[2])
    return 0.5 * 10.0 ** (int(exponent or 0) - digits)


class TestCommand:
    def run(self, capsys, *arguments):
        with pytest.raises(SystemExit) as left:
            scorecard.main([str(one) for one in arguments])
        return left.value.code, capsys.readouterr()

    def test_writes_what_is_committed(self, tmp_path, capsys, rows):
        for name in PRESENT:
            (tmp_path / f"{name}.json").write_bytes((RESULTS / f"{name}.json").read_bytes())
        status, printed = self.run(capsys, "--results", tmp_path, "--pages", tmp_path / "pages")
        assert status == 0 and "scorecard.json" in printed.out
        assert _close(rows, read_json(tmp_path / "scorecard.json")["rows"])
        pages = sorted(path.name for path in (tmp_path / "pages").iterdir())
        assert pages == sorted(["scorecard.md", *(f"results_{paper}.md" for paper in PAPERS)])

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (None, "python -m figures.convergence makes it"),
            ({"content": {}}, "python -m figures.convergence derives them"),
        ],
    )
    def test_missing_results_are_one_line(self, tmp_path, capsys, change, message):
        for name in PRESENT:
            (tmp_path / f"{name}.json").write_bytes((RESULTS / f"{name}.json").read_bytes())
        path = tmp_path / "convergence.json"
        if change is None:
            path.unlink()
        else:
            path.write_text(by_hand(committed("convergence") | change))
        status, printed = self.run(capsys, "--results", tmp_path, "--pages", tmp_path / "pages")
        assert status == 2 and message in printed.err and printed.err.count("\n") == 1
        assert not (tmp_path / "scorecard.json").exists()
