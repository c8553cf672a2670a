"""What is public says its types, which `make lint` checks; functions are short."""

import ast
import pathlib

import pytest

import spectral_keras

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIBRARY = ROOT / "spectral_keras"
MOST_LINES, MOST_ARGUMENTS = 60, 10
# Where more arguments are right: those of Keras' Conv2D; the options of a network, which its
# command takes from here.
MANY_ARGUMENTS = {
    "layers/fft_conv2d.py: FFTConv2D.__init__",
    "layers/fft_conv_pool2d.py: FFTConvPool2D.__init__",
    "layers/spectral_conv2d.py: SpectralConv2D.__init__",
    "models/spectral_pool_cnn.py: build",
}


def missing(source):
    """Public functions and methods of a module's source -> what of them has no annotation."""
    found = {}
    for name, function in _public(ast.parse(source)):
        arguments = function.args
        optional = (arguments.vararg, arguments.kwarg)
        parameters = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        parameters += [parameter for parameter in optional if parameter is not None]
        without = [p.arg for p in parameters if p.annotation is None and p.arg not in _IMPLIED]
        if function.returns is None and function.name != "__init__":
            without.append("return")
        if without:
            found[name] = without
    return found


_IMPLIED = {"self", "cls"}


def _public(tree):
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name[0] != "_":
            yield node.name, node
        elif isinstance(node, ast.ClassDef) and node.name[0] != "_":
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and (
                    method.name[0] != "_" or method.name == "__init__"
                ):
                    yield f"{node.name}.{method.name}", method


def _files():
    for path in sorted(LIBRARY.rglob("*.py")):
        parts = path.relative_to(LIBRARY).parts
        if not any(part.startswith("_") for part in parts[:-1]):
            yield path.relative_to(LIBRARY.parent)


@pytest.mark.parametrize("file", list(_files()), ids=str)
def test_public_names_are_annotated(file):
    assert missing((LIBRARY.parent / file).read_text()) == {}


def test_what_is_missing_is_noticed():
    source = """
def public(a, b: int = 0, *args, c=None, **kwargs: str) -> None: ...
def _private(a): ...
class Thing:
    def __init__(self, a: int): ...
    def method(self): ...
    def _hidden(self, b): ...
"""
    assert missing(source) == {"public": ["a", "c", "args"], "Thing.method": ["return"]}


@pytest.mark.parametrize("part", [part for part in spectral_keras._PARTS if part != "experiments"])
def test_completion_shows_public_names_only(part):
    module = getattr(spectral_keras, part)
    assert set(dir(module)) - {"masks"} == set(module.__all__)


def too_large(source):
    """Functions of a source with too many lines, not counting the docstring, or arguments."""
    found = {}
    for name, function in _functions(ast.parse(source)):
        lines = function.end_lineno - function.lineno + 1
        if ast.get_docstring(function) is not None:
            lines -= function.body[0].end_lineno - function.body[0].lineno + 1
        arguments = function.args
        names = [p.arg for p in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
        count = len([one for one in names if one not in _IMPLIED])
        if lines > MOST_LINES:
            found[name] = f"{lines} lines"
        elif count > MOST_ARGUMENTS:
            found[name] = f"{count} arguments"
    return found


def _functions(tree, prefix=""):
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef):
            yield prefix + node.name, node
        inside = isinstance(node, (ast.FunctionDef, ast.ClassDef))
        yield from _functions(node, f"{prefix}{node.name}." if inside else prefix)


def test_functions_are_short():
    found = {}
    for folder in ("spectral_keras", "models", "tuning", "figures", "benchmarks"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            file = path.relative_to(LIBRARY if folder == "spectral_keras" else ROOT)
            found |= {f"{file}: {name}": n for name, n in too_large(path.read_text()).items()}
    assert found.keys() == MANY_ARGUMENTS, found


def test_a_large_function_is_noticed():
    body = "    a = 1\n" * MOST_LINES
    source = f"""
def many({", ".join(f"a{i}" for i in range(MOST_ARGUMENTS + 1))}): ...
def long():
{body}
class Thing:
    def many(self, {", ".join(f"a{i}" for i in range(MOST_ARGUMENTS))}): ...
    def outer(self):
        def many({", ".join(f"a{i}" for i in range(MOST_ARGUMENTS))}, *, b): ...
"""
    assert too_large(source) == {
        "many": "11 arguments", "long": "61 lines", "Thing.outer.many": "11 arguments"
    }  # fmt: skip
    short = f'def short():\n    """One.\n\n    Two.\n    """\n{body.rpartition("    a")[0]}'
    assert too_large(short) == {}


def test_what_is_traced_annotates_no_local_name():
    """AutoGraph gives such a function up, with a warning, and keeps what it was called with."""
    found = []
    for folder in ("attacks", "classifiers", "layers", "ops", "training"):
        for path in sorted((LIBRARY / folder).rglob("*.py")):
            for name, function in _functions(ast.parse(path.read_text())):
                cached = any("lru_cache" in ast.unparse(each) for each in function.decorator_list)
                names = [node for node in ast.walk(function) if isinstance(node, ast.AnnAssign)]
                if any(isinstance(node.target, ast.Name) for node in names) and not cached:
                    found.append(f"{path.name}: {name}")
    assert found == []
