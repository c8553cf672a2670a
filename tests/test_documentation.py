"""What the documentation says is run: its Python examples, and its commands up to their options."""

import ast
import configparser
import contextlib
import doctest
import functools
import importlib
import importlib.util
import io
import json
import math
import pathlib
import re
import runpy
import shlex
import statistics
import sys
import textwrap
import unittest.mock

import keras
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Made of other files when the site is built, perhaps while the tests run.
_MADE = {"api", "examples", "zoo"}
PAGES = ["README.md", "CONTRIBUTING.md"] + sorted(
    str(path.relative_to(ROOT))
    for path in (ROOT / "docs").rglob("*.md")
    if not _MADE & set(path.parts)
)

_FENCE = re.compile(
    r"^(?P<indent>[ \t]*)```(?P<language>\w*)[^\n]*\n(?P<body>.*?)^(?P=indent)```[ \t]*$",
    re.MULTILINE | re.DOTALL,
)
_SHELL = {"bash", "sh", "shell", "console"}


def fenced(text, languages):
    """(line, body without its indentation) of each fenced block in one of the languages."""
    return [
        (text.count("\n", 0, match.start()) + 1, textwrap.dedent(match["body"]))
        for match in _FENCE.finditer(text)
        if match["language"] in languages
    ]


def public_docstrings(source):
    """(qualified name, docstring) of the module, its public classes, methods and functions."""

    def walk(node, prefix):
        text = ast.get_docstring(node)
        if text:
            yield prefix or "module", text
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.ClassDef, ast.FunctionDef)) and child.name[0] != "_":
                yield from walk(child, f"{prefix}.{child.name}" if prefix else child.name)

    return list(walk(ast.parse(source), ""))


def _library_docstrings():
    """(module, name for a person, docstring) for everything public in the library and the zoo."""
    for folder in ("spectral_keras", "models"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            file = path.relative_to(ROOT)
            module = ".".join(file.with_suffix("").parts).removesuffix(".__init__")
            for name, text in public_docstrings(path.read_text()):
                yield module, f"{file}:{name}", text


def _read(page):
    path = ROOT / page
    return path.read_text() if path.exists() else ""


def _docstring_examples():
    return [
        pytest.param(text, module, id=name)
        for module, name, text in _library_docstrings()
        if ">>>" in text or fenced(text, {"python"})
    ]


def run_page(text, page):
    """Run the Python blocks of a page one after the other, as a reader does, in one namespace."""
    names = {"__name__": "page"}
    for line, body in fenced(text, {"python"}):
        # As many lines before it as in the page: a traceback then names the page's own line.
        exec(compile("\n" * line + body, page, "exec"), names)


def run_examples(text, names=()):
    """Run the fenced Python blocks of a text, then its `>>>` examples; failures as one text.

    `names` are what an example may use without importing it: the contents of its own module.
    """
    names = {**dict(names), "__name__": "example"}
    for _, body in fenced(text, {"python"}):
        if ">>>" not in body:
            exec(compile(body, "<example>", "exec"), dict(names))
    test = doctest.DocTestParser().get_doctest(text, dict(names), "example", None, 0)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    report = []
    doctest.DocTestRunner(optionflags=flags, verbose=False).run(test, out=report.append)
    return "".join(report)


on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="the examples show TensorFlow's tensors"
)


@on_tensorflow
@pytest.mark.parametrize(("text", "module"), _docstring_examples())
def test_docstring(text, module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    failures = run_examples(text, vars(importlib.import_module(module)))
    assert not failures, failures


@on_tensorflow
@pytest.mark.parametrize("page", [page for page in PAGES if fenced(_read(page), {"python"})])
def test_page(page, tmp_path, monkeypatch):
    """Its blocks run one after the other; `run_page` lets through what any of them raises."""
    monkeypatch.chdir(tmp_path)
    run_page(_read(page), page)


def _targets(text):
    """Targets of the Markdown links and pictures of a page, outside its blocks of code."""
    return re.findall(r"\]\(([^)\s]+)\)", _FENCE.sub("", text))


def _anchors(text):
    """What GitHub and Sphinx (MyST) call the headings of a page."""
    titles = re.findall(r"^#+ (.+)$", _FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def broken_links(page, text):
    """Links of a page inside the repository that lead nowhere."""
    broken = []
    for target in _targets(text):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        path = (ROOT / page).parent / name if name else ROOT / page
        if not path.exists() or (anchor and anchor not in _anchors(path.read_text())):
            broken.append(target)
    return broken


@pytest.mark.parametrize("page", PAGES)
def test_links(page):
    assert broken_links(page, _read(page)) == []


@pytest.mark.parametrize(
    ("target", "broken"),
    [
        ("nothing.md", True),
        ("../README.md", False),
        ("../README.md#the-zoo", False),
        ("../README.md#the-circus", True),
        ("https://keras.io/no-such-page", False),
    ],
)
def test_a_broken_link_is_noticed(target, broken):
    assert broken_links("docs/index.md", f"See [a page]({target}).") == [target] * broken


def test_a_wrong_page_fails():
    page = "# Page\n\n```python\nx = 1\n```\n\nand then\n\n```python\nassert x == {}\n```\n"
    run_page(page.format(1), "page.md")
    with pytest.raises(AssertionError) as error:
        run_page(page.format(2), "page.md")
    assert error.traceback[-1].lineno == 9  # counted from 0


def test_a_wrong_example_fails():
    assert run_examples(">>> 1 + 1\n3\n")
    assert not run_examples(">>> 1 + 1\n2\n")
    with pytest.raises(NameError):
        run_examples("Text.\n\n```python\nnot_a_name\n```\n")
    # One inside an indented docstring section.
    with pytest.raises(ZeroDivisionError):
        run_examples("Example:\n\n    ```python\n    1 / 0\n    ```\n")


def test_every_layer_has_an_example():
    layers = {
        name: text
        for _, name, text in _library_docstrings()
        if re.fullmatch(r"spectral_keras/layers/\w+\.py:[A-Z]\w*", name)
    }
    assert len(layers) >= 4
    missing = [n for n, text in layers.items() if ">>>" not in text and "```python" not in text]
    assert not missing, missing


def shell_commands(text):
    """(line, words) of each command in the shell blocks of a page, comments and prompts removed."""
    commands = []
    for line, body in fenced(text, _SHELL):
        joined = body.replace("\\\n", "  ")
        for command in joined.splitlines():
            words = shlex.split(command.removeprefix("$ "), comments=True)
            while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
                words = words[1:]  # variables before the command
            if words:
                commands.append((line, words))
    return commands


@functools.cache
def _help(module):
    """What `python -m MODULE --help` prints, started in this process."""
    spec = importlib.util.find_spec(module)
    path = spec.origin
    if spec.submodule_search_locations:
        path = importlib.util.find_spec(f"{module}.__main__").origin

    def launch(module, *arguments, **_):
        sys.exit(importlib.import_module(module).main(*arguments))

    printed = io.StringIO()
    with (
        unittest.mock.patch("spectral_keras.experiments.command.launch", launch),
        unittest.mock.patch.object(sys, "argv", [module, "--help"]),
        contextlib.redirect_stdout(printed),
        pytest.raises(SystemExit) as end,
    ):
        runpy.run_path(path, run_name="__main__")
    assert not end.value.code, f"{module} --help: status {end.value.code}"
    return printed.getvalue()


def _check_module_command(module, arguments):
    if importlib.util.find_spec(module) is None:
        raise AssertionError(f"there is no module {module}")
    if module in ("pytest", "venv", "pip"):
        return
    family, _, name = module.partition(".")
    if family == "models":
        from spectral_keras.experiments.train import TrainOptions
        from spectral_keras.models import registry

        if name in registry.names():
            TrainOptions.of_command(name, arguments)  # exits with status 2 on a bad option
            return
    known = _help(module)
    for option in (word.partition("=")[0] for word in arguments if word.startswith("--")):
        assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", known), (
            f"{module} has no option {option}"
        )


def _check_make(arguments):
    targets = re.findall(r"^([\w-]+):(?!=)", _read("Makefile"), re.MULTILINE)
    for target in (word for word in arguments if "=" not in word):
        assert target in targets, f"the Makefile has no target {target}"


def _check_pip_install(arguments):
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    for word in arguments:
        match = re.fullmatch(r"\.\[([\w,]+)\]", word)
        for extra in match[1].split(",") if match else ():
            assert extra in config["options.extras_require"], f"setup.cfg has no extra {extra}"


def check_command(words):
    """AssertionError (or SystemExit) if a command of the documentation cannot be meant."""
    program, arguments = pathlib.PurePath(words[0]).name, words[1:]
    if re.fullmatch(r"python[\d.]*", program) and arguments[:1] == ["-m"]:
        module, *arguments = arguments[1:]
        # NAME stands for any name of the zoo.
        if not re.search(r"[A-Z]{3,}", module):
            _check_module_command(module, arguments)
    elif program == "make":
        _check_make(arguments)
    elif program == "pip" and arguments[:1] == ["install"]:
        _check_pip_install(arguments[1:])
    elif "/" in words[0]:
        assert (ROOT / words[0]).exists(), f"there is no {words[0]}"


def _commands():
    commands = [
        pytest.param(words, id=f"{page}:{line}:{' '.join(words)}")
        for page in PAGES
        for line, words in shell_commands(_read(page))
    ]
    for _, name, text in _library_docstrings():
        # "Command: python -m models.NAME ..." in the networks' modules.
        for command in re.findall(r"^\s*(?:Command: |`)(python -m [^`\n]+)", text, re.MULTILINE):
            commands.append(pytest.param(shlex.split(command), id=f"{name}:{command}"))
    return commands


@pytest.mark.parametrize("words", _commands())
def test_command(words):
    check_command(words)


@pytest.mark.parametrize(
    ("command", "match"),
    [
        ("python -m models.deep_spectrum --dataset digits", "no module models.deep_spectrum"),
        ("KERAS_BACKEND=jax python -m models.deep_spectral --epoch 3", "2"),
        ("python -m benchmarks.layers --outputs x.json", "no option --outputs"),
        ("make demos", "no target demos"),
        ("pip install -e '.[test,onxn]'", "no extra onxn"),
        ("tools/missing.sh", "no tools/missing.sh"),
    ],
)
def test_a_wrong_command_fails(command, match):
    ((_, words),) = shell_commands(f"Text\n\n```bash\n{command}  # comment\n```\n")
    with pytest.raises((AssertionError, SystemExit), match=match):
        check_command(words)


def test_the_readme_shows_what_a_user_needs():
    text = _read("README.md")
    commands = [" ".join(words) for _, words in shell_commands(text)]
    assert "make demo" in commands
    assert "make test" in commands
    assert any(c.startswith("python -m models.deep_spectral --dataset cifar100") for c in commands)
    for backend in ("tensorflow", "jax", "torch"):
        assert any(c.startswith("pip install") and f".[{backend}]" in c for c in commands)
    assert len(fenced(text, {"python"})) >= 1
    assert len(text.splitlines()) <= 150


def _claim(figure, text, digits):
    """Effect and interval of a claim in the JSON of a figure, as the README writes them."""
    claims = _json(f"figures/results/{figure}.json")["content"]["claims"]
    (one,) = (one for one in claims if one["claim"] == text)
    low, high = (f"{end:.{digits}f}" for end in one["interval"])
    return f"{one['effect']:.{digits}f}", f"[{low}, {high}]"


def _json(path):
    return json.loads((ROOT / path).read_text())


def _six_views(width):
    """The mean test error of `quick_spectral` on six views, over its seeds."""
    runs = _json("figures/results/flagship.json")["content"]["runs"]
    name = f"cifar10-quick-max_spectral-18-9-4{width}-seed-"
    right = [run["result"]["test_accuracy_tta"] for key, run in runs.items() if name in key]
    return f"{100 - 100 * statistics.mean(right):.2f} %"


def _speed_ups():
    """The least and the most over the networks that have one, beside the paper's."""
    claims = _json("figures/results/convergence.json")["content"]["claims"]
    cells = [one for one in claims if "fewer epochs than the spatial arm" in one["claim"]]
    found = [one["effect"] for one in cells if one["effect"] is not None]
    printed = [one["printed"] for one in cells]
    assert (len(found), len(cells)) == (5, 6)
    assert {one["verdict"] for one in cells} == {"undecided"}
    return (
        f"{min(found):.1f}\n  to {max(found):.1f} times", "five of six", "undecided",
        f"{min(printed)} to {max(printed)}",
    )  # fmt: skip


def _rates():
    """At the best rates how many times fewer epochs; what three times the rate does."""
    cell = _json("figures/results/convergence_rates.json")["content"]["cells"]["generic 3x3"]
    assert cell["seeds"] == [0] and set(cell["rates"].values()) == {0.001}
    ratios = [
        ratio
        for level in ("0.3", "0.2")
        for ratio in cell["speed_ups"]["spatial to spectral"][level]["ratios"]
    ]
    ((spectral,), (spatial,)) = (cell["last"][arm]["0.003"] for arm in ("spectral", "spatial"))
    words = " and ".join(f"{ratio:.1f}" for ratio in ratios)
    return f"{words} times", f"{spectral:.1f} in\n  place of {spatial:.1f} %"


def _both_against_natural():
    """Percent of the corrupted and of the clean images, of one seed each."""
    rows = _json("figures/results/corruption_tables.json")["content"]["tables"]["table3-resnet18"]
    both, natural = (rows["rows"][arm] for arm in ("both", "natural"))
    assert both["seeds"] == natural["seeds"] == [0]
    return (
        f"{both['robustness'][0]:.1f} % of corrupted",
        f"instead of {natural['robustness'][0]:.1f} %",
        f"{both['accuracy'][0]:.1f} instead of\n  {natural['accuracy'][0]:.1f} % clean",
        "one seed",
    )


_LOWER = (
    "most images' masks of the adversarial network have more energy in the lowest eighth of the "
    "rings than "
)


def _with_frequency_dropout():
    """Errors in training and in the test, with and without it, and with max pooling."""
    content = _json("figures/results/frequency_dropout.json")["content"]
    assert content["seeds"] == [0]  # "one seed"
    found = {key: record["result"] for key, record in content["runs"].items()}
    both = ("no-dropout-0", "frequency-dropout-0")
    train, test = (
        " to ".join(f"{found[key][f'{kind}_error_percent']:.1f}" for key in both) + " %"
        for kind in ("train", "test")
    )
    images = found["no-dropout-0"]["images"]["training"]
    return (
        f"{images:,} images",
        train,
        test,
        f"{found['max-pooling-0']['test_error_percent']:.1f} %",
    )


def _poolings():
    """How much faster pooling is than the usual way, and average pooling than that."""
    faster, average = [], []
    for sizes in ("32->16", "224->112"):
        times = {
            row["way"]: row["milliseconds"]
            for row in _json("benchmarks/results/layers.json")["rows"]
            if row["case"] == f"spectral pooling {sizes}"
        }
        ours = times["SpectralPool"]
        faster.append(f"{times['usual way (tf.signal.fft2d)'] / ours:.1f} times")
        average.append(f"{ours / times['AveragePooling2D']:.1f}")
    return *faster, f"{' and '.join(average)} times"


def _results():
    """File that a result of the README links to -> the numbers that it says, from that file."""
    run = _json("results/deep_spectral-cifar10/result.json")
    hundred = _json("results/quick_spectral-cifar100/result.json")
    return {
        "results/deep_spectral-cifar10/result.json": (
            f"{100 * run['test_accuracy']:.2f} %",
            f"--epochs {run['epochs']}`",
            f"{run['seconds'] / 60:.0f} minutes",
        ),
        "figures/results/flagship.json": _claim(
            "flagship",
            "under 8.6 % error on cifar10 with batch normalisation and augmentation "
            "(quick_spectral max_spectral 18, 9, 4)",
            2,
        )
        + (_six_views(""), _six_views("-width-1.5")),
        "results/quick_spectral-cifar100/result.json": (f"{hundred['test_error_percent']:.2f} %",),
        "figures/results/information_preservation.json": _claim(
            "information_preservation",
            "the least loss of max pooling (2 x 2) takes fewer numbers with spectral pooling",
            1,
        )[:1],
        "figures/results/convergence.json": _speed_ups(),
        "figures/results/convergence_rates.json": _rates(),
        "figures/results/frequency_dropout.json": _with_frequency_dropout(),
        "figures/results/fourier_masks.json": _claim(
            "fourier_masks", _LOWER + "the natural network's", 1
        )
        + _claim("fourier_masks", _LOWER + "those of a natural network of its accuracy", 1)[:1],
        "figures/results/corruption_tables.json": _both_against_natural(),
        "benchmarks/results/layers.json": _poolings(),
    }


@pytest.mark.parametrize("path", _results())
def test_results_of_the_readme_are_those_of_the_files(path):
    (line,) = (line for line in re.split(r"\n(?=- |\n)", _read("README.md")) if f"({path})" in line)
    for number in _results()[path]:
        assert number in line


def _milliseconds(benchmark):
    """(case, way) -> milliseconds, of a benchmark's JSON."""
    rows = _json(f"benchmarks/results/{benchmark}.json")["rows"]
    return {(row["case"], row["way"]): row["milliseconds"] for row in rows}


def _training_row(row):
    """How the row of the page begins for a row of training.json."""
    width = "" if row["width"] == 1 else f", width {row['width']:g}"
    return f"| `{row['network']}`{width}, {row['precision']} |"


def _speeds():
    """Start of a table row of the page on speed -> the numbers in it, from the benchmarks."""
    layers, attacks = _milliseconds("layers"), _milliseconds("attacks")
    intel = _milliseconds("layers_intel")
    responses = _milliseconds("responses")
    usual, loop = "usual way (tf.signal.fft2d)", "model(x) in a loop"
    corruptions = _json("benchmarks/results/corruptions.json")["totals"]["speedup"]
    masks = _json("benchmarks/results/masks.json")["ours_against_published"]

    def pooling(case, way="SpectralPool"):
        cells = []
        for times in (layers, intel):
            average = times.get((case, "AveragePooling2D"))
            beside = f", {times[case, way] / average:.1f} times" if average else ""
            cells.append(f"| {times[case, usual] / times[case, way]:.1f}x{beside}")
        return cells

    def attack(case):
        times = {way: time for (name, way), time in attacks.items() if name == case}
        return f"{case} {min(times['foolbox'], times['ART']) / times['spectral_keras']:.1f} times"

    stop = "PGD-10, early stop"
    gains = [
        f"{attacks[stop, 'all steps'] / attacks[stop, f'early stop, eps {eps}/255']:.1f} times"
        for eps in (1, 8)
    ]
    conv = {
        f"| `FFTConv2D`, kernel {side}": [
            f"{layers[f'convolution {side}x{side}', 'Conv2D'] / time:.1f}x"
        ]
        for side in (7, 13, 15, 21, 31)
        for time in [layers[f"convolution {side}x{side}", "FFTConv2D auto"]]
    }
    forward = "convolution 7x7 forward"
    slower = layers[forward, "Conv2D"] / layers[forward, "FFTConv2D auto"]
    conv["| `FFTConv2D`, kernel 7"].append(f"{slower:.2f}x")
    dropout = "spectral pooling with frequency dropout 32->27"
    mask, step = "mask 32x32x64", "deep_spectral step float32"
    usual_mask = "usual way (fft2d, multiply, ifft2d, real)"
    training = {}
    for machine in ("", "_intel"):
        for row in _json(f"benchmarks/results/training{machine}.json")["rows"]:
            training.setdefault(_training_row(row), []).append(f"| {row['speedup']:.2f}x |")
    return {
        **training,
        "| `SpectralPool` [128,32,32,96] to 16x16": pooling("spectral pooling 32->16"),
        "| `SpectralPool` [128,32,32,96] to 27x27": pooling("spectral pooling 32->27"),
        "| the same with frequency": pooling(dropout, "SpectralPool(frequency_dropout=0.3)"),
        "| `SpectralPool` [128,16,16,192]": pooling("spectral pooling 16->8"),
        "| `SpectralPool` [8,224,224,16]": pooling("spectral pooling 224->112"),
        **conv,
        "| `FourierMask`": [f"{layers[mask, usual_mask] / layers[mask, 'FourierMask auto']:.1f}x"],
        "| training step": [f"{layers[step, 'Conv2D'] / layers[step, 'SpectralConv2D']:.1f}x"],
        "| `python -m benchmarks.attacks`": [attack("FGSM"), attack("PGD-10"), *gains],
        "| `python -m benchmarks.corruptions`": [
            f"{corruptions['spectral_keras']['cpu']:.1f} times"
        ],
        "| `python -m benchmarks.masks`": [
            f"{masks['masks_a_minute']:.0f} times",
            f"{_masks_without_the_capped():.0f} times",
        ],
        "| `python -m benchmarks.responses`": [
            f"{responses[case, loop] / responses[case, 'spectral_keras']:.1f} times"
            for case in ("frequency response", "Fourier heat map")
        ],
    }


def _masks_without_the_capped():
    """How many times as many masks a minute, without the published ones that did not converge."""
    ways = {row["way"]: row for row in _json("benchmarks/results/masks.json")["rows"]}
    ours = ways["learn_masks, all at once"]
    published = ways["published procedure, one image at a time"]
    capped = published["masks"] - published["converged"]
    steps = published["masks"] * published["mean_steps"]
    share = 1 - capped * published["most_steps"] / steps
    minutes = published["seconds"] * share / 60
    return ours["masks_a_minute"] / (published["converged"] / minutes)


@pytest.mark.parametrize("start", _speeds())
def test_speeds_are_those_of_the_benchmarks(start):
    (row,) = (line for line in _read("docs/guides/speed.md").splitlines() if line.startswith(start))
    for number in _speeds()[start]:
        assert number in row


@pytest.mark.parametrize(
    ("folder", "page"),
    [("figures", "docs/papers/index.md"), ("benchmarks", "docs/guides/speed.md")],
)
def test_all_commands_are_listed(folder, page):
    helpers = {"__init__", "harness"}
    for path in (ROOT / folder).glob("[a-z]*.py"):
        if path.stem not in helpers:
            assert f"python -m {folder}.{path.stem}" in _read(page), path.stem


def _first_column(text, header):
    """What stands in backticks in the first column of the table with this header, in any number."""
    (table,) = re.findall(rf"^\| {header} \|.*\n((?:\|.*\n)+)", text, re.MULTILINE)
    cells = re.findall(r"^\|([^|]*)\|", table, re.MULTILINE)
    return re.findall(r"`(\w+)`", " ".join(cells))


@pytest.mark.parametrize("page", ["README.md", "docs/guides/layers.md"])
def test_all_layers_are_listed(page):
    from spectral_keras import layers

    public = {name for name, value in vars(layers).items() if isinstance(value, type)}
    assert set(_first_column(_read(page), "layer")) == public


def test_all_networks_are_listed_with_their_weights():
    from spectral_keras.models import registry

    listed = re.findall(r"^\| `(\w+)` \|.*\| ([\d,]+) \|$", _read("README.md"), re.MULTILINE)
    counts = {
        name: sum(math.prod(weight.shape) for weight in registry.build(name).trainable_weights)
        for name in registry.names()
    }
    assert dict(listed) == {name: f"{count:,}" for name, count in counts.items()}


def test_every_page_is_reached_from_the_readme():
    reached, new = set(), {ROOT / "README.md"}
    while new:
        page = new.pop()
        reached.add(page)
        for target in _targets(page.read_text()):
            path = (page.parent / target.partition("#")[0]).resolve()
            if path.suffix == ".md" and path.exists():
                new |= {path} - reached
    assert {ROOT / page for page in PAGES} <= reached
