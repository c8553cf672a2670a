"""Pages of the public names: one a package, one an object, from `__all__`."""

import functools
import importlib
import inspect
import re

from docs._extension.files import ROOT, write_folder

PACKAGES = [
    f"spectral_keras.{part}"
    for part in (
        "layers",
        "ops",
        "windows",
        "augmentation",
        "corruptions",
        "models",
        "classifiers",
        "attacks",
        "analysis",
        "analysis.masks",
        "evaluation",
        "training",
        "plots",
        "data",
        "export",
        "folding",
        "initializers",
        "activations",
        "constraints",
        "regularizers",
        "precision",
        "memory",
        "experiments.train",
        "experiments.evaluate",
        "experiments.explain",
        "experiments.corrupt",
        "experiments.search.api",
    )
]
_CONSTANTS = (int, float, str, tuple, dict, frozenset)


def documented(module):
    """Public names of a module that have a page: its functions and classes."""
    return [
        name
        for name in module.__all__
        if callable(getattr(module, name)) and getattr(module, name).__doc__
    ]


@functools.cache
def homes():
    """Where each public object is documented: identity -> full name, the first package's."""
    found = {}
    for package in PACKAGES:
        module = importlib.import_module(package)
        for name in documented(module):
            found.setdefault(id(getattr(module, name)), f"{package}.{name}")
    return found


def _summary(thing):
    """The first sentence of a docstring."""
    return " ".join(inspect.getdoc(thing).split("\n\n")[0].split())


def _own(package, module):
    """Names that have their page in this package."""
    return [
        name
        for name in documented(module)
        if homes()[id(getattr(module, name))] == f"{package}.{name}"
    ]


def _title(text):
    return f"{text}\n{'=' * len(text)}\n"


def _uses():
    """(title, link, text) of each guide and example, to look names up in."""
    pages = []
    for path in sorted((ROOT / "docs" / "guides").glob("*.md")):
        text = path.read_text()
        title = re.search(r"^# (.+)$", text, re.MULTILINE)[1]
        pages.append((title, f":doc:`/guides/{path.stem}`", text))
    for path in sorted((ROOT / "docs" / "gallery").glob("*.py")):
        pages.append((path.stem, f":doc:`/examples/{path.stem}`", path.read_text()))
    return pages


@functools.cache
def _named():
    """Full name of everything that has a page -> the words between backticks in its docstring."""
    found = {}
    for package in PACKAGES:
        module = importlib.import_module(package)
        for name in _own(package, module):
            spans = re.findall(r"`([^`]+)`", inspect.getdoc(getattr(module, name)))
            found[f"{package}.{name}"] = set(re.findall(r"\w+", " ".join(spans)))
    return found


def related(full):
    """Full names of what a docstring names, and of what names it in its own."""
    named, (package, _, name) = _named(), full.rpartition(".")
    lasts = [other.rpartition(".")[2] for other in named]
    result = []
    for other, last in zip(named, lasts, strict=True):
        # A short name is a word of the language; one of two packages is meant in its own.
        clear = len(last) > 4 and (other.startswith(f"{package}.") or lasts.count(last) == 1)
        back = lasts.count(name) == 1 or other.startswith(f"{package}.")
        if last != name and (clear and last in named[full] or back and name in named[other]):
            result.append(other)
    return result


def _object_page(package, name, thing, uses):
    kind = "autoclass" if inspect.isclass(thing) else "autofunction"
    lines = [_title(name), f".. currentmodule:: {package}", "", f".. {kind}:: {name}"]
    if kind == "autoclass":
        lines += ["   :members:"]
    names = [f":py:obj:`~{full}`" for full in related(f"{package}.{name}")]
    word = re.compile(rf"\b{name}\b")
    # A shorter one is a word of the language, such as `get`.
    links = [link for _, link, text in uses if len(name) > 4 and word.search(text)]
    lines += ["", ".. seealso::", "", f"   {', '.join([*names, *links, f':doc:`{package}`'])}"]
    return "\n".join(lines) + "\n"


def _package_page(package, module):
    from docs._extension.docstrings import to_rest

    rows = []
    lines = [_title(package), *to_rest(inspect.getdoc(module).splitlines()), ""]
    for name in documented(module):
        thing = getattr(module, name)
        (summary,) = to_rest([_summary(thing)])
        rows += [f"   * - :py:obj:`{name} <{homes()[id(thing)]}>`", f"     - {summary}"]
    lines += [".. list-table::", "   :widths: 30 70", "   :class: names", "", *rows]
    constants = [name for name in module.__all__ if isinstance(getattr(module, name), _CONSTANTS)]
    if constants:
        lines += ["", "Constants", "---------", ""]
        for name in constants:
            lines += [f".. py:data:: {package}.{name}", ""]
    lines += ["", ".. toctree::", "   :hidden:", ""]
    lines += [f"   {name} <{package}.{name}>" for name in _own(package, module)]
    return "\n".join(lines) + "\n"


def write(source):
    """Write the pages of the reference into the folder api/ of the site's source."""
    uses, pages = _uses(), {}
    index = [_title("Reference"), ".. list-table::", "   :widths: 35 65", "   :class: names", ""]
    for package in PACKAGES:
        module = importlib.import_module(package)
        index += [f"   * - :doc:`{package}`", f"     - {_summary(module)}"]
        pages[f"{package}.rst"] = _package_page(package, module)
        for name in _own(package, module):
            thing = getattr(module, name)
            pages[f"{package}.{name}.rst"] = _object_page(package, name, thing, uses)
    index += ["", ".. toctree::", "   :hidden:", ""]
    index += [f"   {package.removeprefix('spectral_keras.')} <{package}>" for package in PACKAGES]
    pages["index.rst"] = "\n".join(index) + "\n"
    write_folder(f"{source}/api", pages)
