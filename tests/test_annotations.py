"""Everything public in the library says its types; `make lint` checks what it says."""

import ast
import pathlib

import pytest

LIBRARY = pathlib.Path(__file__).resolve().parent.parent / "spectral_keras"
# Parts of the library that are not annotated yet.
PENDING = {
    "augmentation",
    "experiments",
    "ops",
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
        if parts[0] not in PENDING and not any(part.startswith("_") for part in parts[:-1]):
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
