"""The rules on imports: their direction, what is imported when, and no TensorFlow needed."""

import ast
import os
import pathlib
import subprocess
import sys

import keras
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIBRARY = "spectral_keras"
TOP_LEVEL = ("models", "tuning", "figures", "benchmarks")
FOLDERS = (LIBRARY, *TOP_LEVEL)

# Part of the project -> the parts that it may import (itself always).  A part is a folder or a
# module of the library; the folders beside the library have names that end in a slash.
_BASE = {"ops"}
_OBJECTS = _BASE | {"initializers", "constraints", "regularizers", "windows"}
_BLOCKS = _OBJECTS | {"layers", "augmentation", "analysis"}
_SOURCES = {"classifiers", "attacks", "corruptions", "data"}
_USES = _BLOCKS | _SOURCES
MAY_IMPORT = {
    "ops": set(),
    "activations": _BASE,
    "initializers": _BASE,
    "constraints": _BASE,
    "regularizers": _BASE,
    "windows": _BASE,
    "layers": _OBJECTS,
    "augmentation": _OBJECTS,
    "analysis": _OBJECTS | {"layers", "classifiers", "data"},
    "classifiers": _BASE,
    "attacks": _BASE | {"classifiers"},
    "corruptions": _BASE | {"cifar10c"},
    "data": _BASE | {"logs", "cifar10c"},
    "training": _USES,
    "evaluation": _USES,
    "plots": _BASE,
    "precision": _BASE,
    "memory": set(),
    "logs": set(),
    "cifar10c": set(),
    "export": _BLOCKS | {"precision", "logs"},
    "folding": _BLOCKS,
    # Files of a preset are opened and checked as all files that someone else may have made.
    "models": _OBJECTS | {"activations", "layers", "augmentation", "data", "precision"},
}
_LIBRARY_PARTS = set(MAY_IMPORT)
# The outermost part, and the library's own front page, which shows any part of it.
MAY_IMPORT["experiments"] = _LIBRARY_PARTS | {LIBRARY}
MAY_IMPORT[LIBRARY] = _LIBRARY_PARTS | {"experiments"}
for _folder in TOP_LEVEL:
    # The commands of the other folders start as those of models/ do.
    MAY_IMPORT[f"{_folder}/"] = MAY_IMPORT[LIBRARY] | {LIBRARY, "models/"}

HEAVY = {
    "tensorflow",
    "tensorflow_datasets",
    "keras_tuner",
    "matplotlib",
    "sklearn",
    "PIL",
    "jax",
    "torch",
    "tf2onnx",
    "onnx",
    "onnxruntime",
    "ai_edge_litert",
}


# Subclasses of Keras Tuner's classes; whoever is not searching does not import this folder.
SEARCH = "spectral_keras.experiments.search"


def part_of(module):
    """The part of the project that a module name belongs to; None for other packages."""
    names = module.split(".")
    if names[0] not in FOLDERS:
        return None
    if names[0] != LIBRARY:
        return f"{names[0]}/"
    return names[1] if len(names) > 1 else LIBRARY


def module_name(path):
    names = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(names[:-1] if names[-1] == "__init__" else names)


def imported_modules(tree, module, is_package=False):
    """(line, imported module, whether it is imported with the file itself) for each import."""

    def walk(node, at_import):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield child.lineno, alias.name, at_import
            elif isinstance(child, ast.ImportFrom):
                base = module.split(".")
                if child.level:
                    base = base[: len(base) - child.level + is_package]
                    base += child.module.split(".") if child.module else []
                else:
                    base = child.module.split(".")
                # `from spectral_keras import layers` imports a part, not the front page.
                for alias in child.names:
                    yield child.lineno, ".".join([*base, alias.name]), at_import
            else:
                inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
                yield from walk(child, at_import and not inside)

    yield from walk(tree, True)


# What is private to Keras and used: a function with a defect, replaced for the time of a training
# by several workers; its seed and global generator, which it lets nobody read.
PRIVATE = {
    "spectral_keras.training.multi_worker_fit": "keras.src.backend.tensorflow.trainer",
    "spectral_keras.experiments.process": "keras.src.backend.common.global_state",
}


def violations(source, module, is_package=False):
    """What a file does against the rules, as lines of text."""
    tree = ast.parse(source)
    part = part_of(module)
    in_library = module.split(".")[0] == LIBRARY and part != "experiments"
    allowed = MAY_IMPORT.get(part)
    if allowed is None:
        return [f"{module}: {part!r} is no part of the project that MAY_IMPORT knows"]
    found = []
    for line, imported, at_import in imported_modules(tree, module, is_package):
        top = imported.split(".")[0]
        other = part_of(imported)
        # A name from the front page of the library is no part: `from spectral_keras import fold`.
        if other is not None and other not in MAY_IMPORT:
            other = LIBRARY
        if other is not None and other != part and other not in allowed:
            found.append(f"{module}:{line}: {part} imports {imported}")
        light = module.split(".")[0] in (LIBRARY, "models")
        light = light and not (top == "keras_tuner" and module.startswith(SEARCH))
        if at_import and top in HEAVY and light:
            found.append(f"{module}:{line}: {top} is imported with the file, not in a function")
        if imported.startswith("keras.src") and PRIVATE.get(module) != imported:
            found.append(f"{module}:{line}: {imported} is private to Keras")
        draws = top == "matplotlib" and part == "plots"
        if in_library and top in ("argparse", "time", "datetime", "matplotlib") and not draws:
            found.append(f"{module}:{line}: the library does not import {top}")
        if imported.split(".")[0] == "tests":
            found.append(f"{module}:{line}: imports {imported}")
    for node in ast.walk(tree):
        called = node.func if isinstance(node, ast.Call) else None
        if in_library and isinstance(called, ast.Name) and called.id in ("print", "input"):
            found.append(f"{module}:{node.lineno}: the library calls {called.id}()")
    return found


def project_files():
    return [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]


def test_every_file_keeps_the_rules():
    files = project_files()
    assert len(files) > 20
    found = [
        line
        for path in files
        for line in violations(path.read_text(), module_name(path), path.name == "__init__.py")
    ]
    assert not found, "\n".join(found)


def circles(sources):
    """Circles of imports among the modules of one folder, at import or within functions.

    Args:
        sources: module name -> (source, whether it is a package's own file).

    Returns:
        A list of circles, each a list of module names in the order of the imports.
    """
    graph = {}
    for module, (source, is_package) in sources.items():
        edges = set()
        for _, imported, _ in imported_modules(ast.parse(source), module, is_package):
            # `from a.b import c` means the module a.b.c if there is one, else the module a.b.
            names = (imported, imported.rpartition(".")[0])
            edges.add(next((name for name in names if name in sources), None))
        graph[module] = sorted(edges - {None, module})
    found, done = [], set()

    def visit(module, path):
        if module in path:
            found.append(path[path.index(module) :])
        elif module not in done:
            for imported in graph[module]:
                visit(imported, [*path, module])
            done.add(module)

    for module in graph:
        visit(module, [])
    return found


def test_no_circle_inside_a_folder():
    """A folder is read from one end to the other: no two modules need each other."""
    sources = {
        module_name(path): (path.read_text(), path.name == "__init__.py")
        for path in project_files()
    }
    found = circles(sources)
    assert not found, "\n".join(" -> ".join([*circle, circle[0]]) for circle in found)


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ({"p.a": "import p.b", "p.b": "import p.a"}, [["p.a", "p.b"]]),
        ({"p.a": "from p import b", "p.b": "from p.a import C"}, [["p.a", "p.b"]]),
        ({"p.a": "from .b import C", "p.b": "def f():\n  from . import a"}, [["p.a", "p.b"]]),
        (
            {"p.a": "import p.b", "p.b": "class A:\n  import p.c", "p.c": "import p.a.D"},
            [["p.a", "p.b", "p.c"]],
        ),
        ({"p": "from p.a import C", "p.a": "def f():\n  from p import C"}, [["p", "p.a"]]),
        ({"p": "from p.a import C\nfrom p.b import D", "p.a": "import p.b", "p.b": ""}, []),
        ({"p.a": "import p.c", "p.b": "import p.c", "p.c": "import q.a", "q.a": ""}, []),
        ({"p.a": "from p import b", "p.b": "import keras, numpy.p.a"}, []),
    ],
)
def test_a_circle_is_found(sources, expected):
    marked = {module: (source, module == "p") for module, source in sources.items()}
    assert circles(marked) == expected


@pytest.mark.parametrize(
    ("module", "source", "expected"),
    [
        ("spectral_keras.ops.a", "import spectral_keras.layers.b", "ops imports"),
        ("spectral_keras.ops.a", "from spectral_keras.layers.b import C", "ops imports"),
        ("spectral_keras.ops.a", "from spectral_keras import layers", "ops imports"),
        ("spectral_keras.ops.a", "from ..layers import C", "ops imports"),
        ("spectral_keras.ops.a", "from spectral_keras import fold", "ops imports"),
        ("spectral_keras.ops.a", "def f():\n  import models", "ops imports"),
        ("spectral_keras.models.a", "import spectral_keras.experiments", "models imports"),
        ("spectral_keras.data.a", "import spectral_keras.models.b", "data imports"),
        ("spectral_keras.data.a", "import spectral_keras.layers", "data imports"),
        ("spectral_keras.layers.a", "import spectral_keras.augmentation", "layers imports"),
        ("spectral_keras.training.a", "import spectral_keras.evaluation", "training imports"),
        ("spectral_keras.training.a", "from models import registry", "training imports"),
        ("models.a", "from tuning import search", "models/ imports"),
        ("benchmarks.a", "import figures.b", "benchmarks/ imports"),
        ("models.a", "import tests.oracles", "imports tests.oracles"),
        ("spectral_keras.other.a", "", "no part of the project"),
        ("spectral_keras.ops.a", "import tensorflow as tf", "tensorflow is imported with"),
        ("models.a", "try:\n  from jax import numpy\nexcept E: pass", "jax is imported with"),
        ("spectral_keras.layers.a", "class A:\n  import torch", "torch is imported with"),
        ("models.a", "from keras.src import ops", "private to Keras"),
        ("spectral_keras.ops.a", "def f():\n  import time", "does not import time"),
        ("spectral_keras.ops.a", "def f():\n  print(1)", "calls print()"),
    ],
)
def test_a_violation_is_found(module, source, expected):
    found = violations(source, module)
    assert len(found) == 1, found
    assert expected in found[0]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("spectral_keras.ops.a", "def f():\n  import tensorflow as tf"),
        ("spectral_keras.layers.a", "from ..ops import b\nfrom . import c"),
        ("spectral_keras.training.a", "from spectral_keras.layers import SpectralPool"),
        ("models.a", "from spectral_keras import fold\nprint(1)\nimport argparse"),
        ("figures.a", "import matplotlib\nfrom models import registry"),
    ],
)
def test_what_is_allowed(module, source):
    assert violations(source, module) == []


def test_the_library_and_the_zoo_need_only_keras_and_its_backend():
    """On JAX and PyTorch: all of it can be imported where TensorFlow is not installed."""
    backend = keras.backend.backend()
    blocked = HEAVY - {backend}
    modules = [
        module_name(path)
        for path in project_files()
        if path.relative_to(ROOT).parts[0] in (LIBRARY, "models")
        and path.name != "__main__.py"
        and not module_name(path).startswith(f"{SEARCH}.")
    ]
    # None: the import fails as if the package were not installed, and find_spec gives None.
    program = f"""
import importlib, sys
sys.modules.update(dict.fromkeys({sorted(blocked)!r}))
for module in {modules!r}:
    importlib.import_module(module)
import keras
print(keras.backend.backend())
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [backend]


def test_importing_changes_nothing_in_the_process():
    """Environment, signals, hooks, logging, file descriptors: a command sees to them itself."""
    modules = [
        module_name(path)
        for path in project_files()
        if path.name != "__main__.py" and not module_name(path).startswith("benchmarks.")
    ]
    if keras.backend.backend() != "tensorflow":
        modules = [m for m in modules if m.startswith(LIBRARY) and not m.startswith(SEARCH)]
    program = f"""
import importlib, logging, os, signal, sys, warnings
import keras, keras.src.backend
for package in ("scipy.optimize", "sklearn.linear_model", "PIL.Image", "keras_tuner", "grpc"):
    try:
        importlib.import_module(package)
    except ImportError:
        pass
def state():
    return dict(
        environment=dict(os.environ),
        signals=[signal.getsignal(s) for s in signal.valid_signals()],
        hooks=(sys.excepthook, sys.stdout, sys.stderr, sys.argv, warnings.showwarning),
        filters=list(warnings.filters),
        logging={{name: (logging.getLogger(name).level, list(logging.getLogger(name).handlers),
                  list(logging.getLogger(name).filters)) for name in (None, "tensorflow", "jax")}},
        files=sorted(os.listdir("/proc/self/fd")),
        keras=(keras.config.floatx(), keras.config.image_data_format(),
               keras.config.dtype_policy().name),
    )
before = state()
for module in {modules!r}:
    importlib.import_module(module)
after = state()
for name in before:
    if before[name] != after[name]:
        print(name, before[name], after[name])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0 and not done.stdout, done.stdout + done.stderr


def test_a_backend_that_there_is_not_is_one_line():
    done = subprocess.run(
        [sys.executable, "-c", "from models import command; command('models.evaluate')"],
        cwd=ROOT, env={**os.environ, "KERAS_BACKEND": "foo"}, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert (
        "backend foo" in done.stderr and "KERAS_BACKEND (tensorflow, jax or torch)" in done.stderr
    )


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_a_backend_that_is_not_installed_is_one_line(backend):
    blocked = f"import sys; sys.modules[{backend!r}] = None\n"
    environment = {**os.environ, "KERAS_BACKEND": backend}
    for program in (
        "import spectral_keras",
        "from models import command; command('spectral_keras.experiments.zoo')",
    ):
        done = subprocess.run(
            [sys.executable, "-c", blocked + program],
            cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        last = done.stderr.strip().splitlines()[-1]
        assert done.returncode != 0
        assert f"pip install 'spectral_keras[{backend}]'" in last and "KERAS_BACKEND" in last
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
