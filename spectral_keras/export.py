"""Export of a model or of one layer to deployment formats, checked by running what was written.

A converter that ends without an error has not necessarily written a file that runs: the ONNX
export of an FFT, for one, reports success and writes an invalid graph.  So each export is loaded
again from disk, run in several batch sizes and compared with the Keras model before it appears
under the name that was asked for.
"""

import contextlib
import importlib.util
import logging
import numbers
import os
import pathlib
import re
import sys
import tempfile
import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from spectral_keras.logs import redirecting
from spectral_keras.ops.validation import check_bool, check_choice, check_number, describe
from spectral_keras.precision import all_layers, in_float32, rebuild

__all__ = ["ExportError", "SUFFIXES", "export"]


def __dir__():
    return __all__


# Format -> (what people call it, file name suffix, Keras' name, packages needed).
_FORMATS = {
    "saved_model": ("SavedModel", "", "tf_saved_model", ("tensorflow",)),
    "onnx": ("ONNX", ".onnx", "onnx", ("tensorflow", "tf2onnx", "onnx", "onnxruntime")),
    "litert": ("LiteRT", ".tflite", "litert", ("tensorflow", "ai_edge_litert")),
}

# Format -> suffix of the file name ("" for the folder of a SavedModel).
SUFFIXES = {name: row[1] for name, row in _FORMATS.items()}

# Two sizes, neither the other's multiple: a batch size frozen into the graph shows at one of them.
_BATCH_SIZES = (1, 3)


class ExportError(RuntimeError):
    """What was asked for could not be written, does not run, or gives other numbers."""


def export(
    model_or_layer: keras.Layer,
    path: str | os.PathLike,
    format: str,
    input_shape: Sequence[int] | None = None,
    *,
    tolerance: float = 1e-4,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write a model or one layer for deployment, and prove that what was written works.

    The result is written beside `path` under a temporary name, loaded from there, run on random
    images in [0, 1) in batches of 1 and 3 and compared with the Keras model; only then is it
    moved to `path`.  When anything fails nothing is left behind.  Inference only (random layers
    are the identity), any batch size, and always float32: a model of another precision is rebuilt
    in float32 with the same weights, and that is what it is compared with.

    The formats, all written from the TensorFlow backend:

    - "saved_model": a folder.  `tf.saved_model.load(path).serve(x)`, or as a layer of another
      model `keras.layers.TFSMLayer(path, call_endpoint="serve")`.
    - "onnx": a file `*.onnx` for ONNX Runtime, OpenVINO and others.
    - "litert": a file `*.tflite` with built-in operators only.

    ONNX and LiteRT have no complex numbers or 2-D FFT.  Layers that compute with the FFT are
    rebuilt for them with `implementation="matmul"` and the same weights; the report names them.
    While the converter runs, everything that the process writes to stdout and stderr is held back
    (the converters talk a lot, from C++ too).

    Args:
        model_or_layer: a `keras.Model` or a `keras.Layer` with one input and one output.
        path: where to write.  Folders on the way are made.
        format: "saved_model", "onnx" or "litert".
        input_shape: shape of the input without the batch, e.g. (32, 32, 3).  Needed only for a
            layer or model that has not been built, or that was built for unknown sizes.
        tolerance: greatest difference to accept, relative to the largest output but at least to 1.
        overwrite: replace what is at `path`, if it is of this format.

    Returns:
        A dict of plain values: "format", "path", "max_abs_difference" (over all outputs of all
        runs), "size_bytes", "input_shape" and "output_shape" (lists, with None for the batch) and
        "rebuilt", the names of the layers that were rebuilt with `implementation="matmul"`.

    Raises:
        ValueError: for a wrong argument, or an input shape that is needed and not given.
        FileExistsError: `path` exists and `overwrite` is False, or it is of another kind.
        ExportError: another backend, a missing package, a conversion that fails, a result that
            does not run or is not within the tolerance.

    Example:

    ```python
    import os, tempfile
    import numpy as np, tensorflow as tf
    from spectral_keras.export import export
    from spectral_keras.layers import SpectralPool

    path = os.path.join(tempfile.mkdtemp(), "pool")
    report = export(SpectralPool(16), path, "saved_model", input_shape=(32, 32, 3))
    assert report["max_abs_difference"] < 1e-5

    pool = tf.saved_model.load(path)
    assert pool.serve(np.ones((5, 32, 32, 3), "float32")).shape == (5, 16, 16, 3)
    ```
    """
    if not isinstance(model_or_layer, keras.Layer):
        raise ValueError(
            "`model_or_layer` must be a Keras model or layer. "
            f"Received: model_or_layer={describe(model_or_layer)}"
        )
    check_choice("format", format, tuple(_FORMATS))
    check_number("tolerance", tolerance, 0, low_open=True)
    check_bool("overwrite", overwrite)
    target = _check_target(path, format, overwrite)
    check_environment(format)
    try:
        os.fspath(target).encode()
    except UnicodeEncodeError:
        raise ExportError(f"converters take names in UTF-8 only, not {path!r}") from None
    model = _as_functional(model_or_layer, input_shape)
    try:
        model = in_float32(model)
    except Exception as error:  # a layer's own from_config, say
        raise ExportError(
            f"{model.name!r} cannot be rebuilt in float32: {_first_line(error)}"
        ) from error

    # The temporary folder is on the target's file system, so that the last step is a rename.
    nearest = next(folder for folder in target.parents if folder.exists())
    with tempfile.TemporaryDirectory(
        prefix=f".{target.name}.", suffix=".tmp", dir=nearest, ignore_cleanup_errors=True
    ) as folder:
        written = pathlib.Path(folder) / target.name
        writable, rebuilt = (model, []) if format == "saved_model" else _without_fft(model)
        difference = _write_and_compare(model, writable, written, format, tolerance)
        size = sum(file.stat().st_size for file in [written, *written.rglob("*")] if file.is_file())
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            os.replace(target, pathlib.Path(folder) / "replaced")
        os.replace(written, target)
    return {
        "format": format,
        "path": str(path),
        "max_abs_difference": difference,
        "size_bytes": size,
        "input_shape": list(model.inputs[0].shape),
        "output_shape": list(model.outputs[0].shape),
        "rebuilt": rebuilt,
    }


def _check_target(path, format, overwrite):
    """The absolute path to write to, once it is known that this may be done."""
    label, suffix, _, _ = _FORMATS[format]
    if not isinstance(path, (str, os.PathLike)):
        raise ValueError(f"`path` must be a path. Received: path={describe(path)}")
    target = pathlib.Path(os.path.abspath(path))
    if suffix and target.suffix != suffix:
        raise ValueError(f"`path` must end with {suffix!r} for {label}. Received: path={path!r}")
    for folder in target.parents:
        if folder.exists():
            if not folder.is_dir():
                raise ValueError(f"`path` goes through a file, {folder}. Received: path={path!r}")
            break
    if not target.exists():
        return target
    if not overwrite:
        raise FileExistsError(f"{path} exists already; overwrite=True replaces it")
    # Whole folders are replaced: never one that merely has the name.
    same_kind = target.is_file() if suffix else (target / "saved_model.pb").is_file()
    if not same_kind:
        raise FileExistsError(f"{path} exists and is no {label}; it is not overwritten")
    return target


def check_environment(format: str) -> None:
    """Raise the ExportError of a format that cannot be written on this backend, or here."""
    label, _, _, packages = _FORMATS[format]
    if keras.backend.backend() != "tensorflow":
        raise ExportError(
            f"{label} is written from the TensorFlow backend, not {keras.backend.backend()}: save "
            "the model as .keras, load it with KERAS_BACKEND=tensorflow and export it there"
        )
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise ExportError(
            f"{label} needs {', '.join(missing)}: pip install 'spectral_keras[export]'"
        )


def _as_functional(model_or_layer, input_shape):
    """A functional model of one input, whose batch size is free and whose other sizes are known."""
    built_for, dtype = _known_input(model_or_layer)
    name = model_or_layer.name
    if input_shape is None:
        if built_for is None or None in built_for[1:]:
            state = "is not built" if built_for is None else f"is built for {built_for[1:]}"
            raise ValueError(
                f"`input_shape` must give the sizes of the input without the batch: {name!r} "
                f"{state}. Received: input_shape=None"
            )
        shape = built_for[1:]
    else:
        shape = _check_input_shape(input_shape)
        if built_for is not None and not _fits(shape, built_for[1:]):
            raise ValueError(
                f"`input_shape` must fit {name!r}, which is built for {built_for[1:]}. "
                f"Received: input_shape={input_shape!r}"
            )
    if isinstance(model_or_layer, keras.Model) and built_for == (None, *shape):
        model = model_or_layer
    else:
        image = keras.Input(shape, dtype=dtype, name="input")
        model = keras.Model(image, model_or_layer(image), name=name)
    if len(model.outputs) != 1:
        raise ValueError(
            "`model_or_layer` must have one output. "
            f"Received: {name!r} with {len(model.outputs)} outputs"
        )
    return model


def _known_input(model_or_layer):
    """Shape with the batch (None where it is not known) and dtype of the input."""
    try:
        inputs = model_or_layer.inputs
    except AttributeError:  # a layer, a subclassed model, or a Sequential that is not built
        config = model_or_layer.get_build_config() or {}
        shape = config.get("input_shape")
        return (None if shape is None else tuple(shape)), "float32"
    if len(inputs) != 1:
        raise ValueError(
            "`model_or_layer` must have one input. "
            f"Received: {model_or_layer.name!r} with {len(inputs)} inputs"
        )
    dtype = keras.backend.standardize_dtype(inputs[0].dtype)
    if dtype == "string":
        raise ValueError(
            "`model_or_layer` must take numbers. "
            f"Received: {model_or_layer.name!r}, which takes texts"
        )
    return tuple(inputs[0].shape), dtype


def _check_input_shape(input_shape):
    valid = isinstance(input_shape, (list, tuple)) and all(
        isinstance(size, numbers.Integral) and not isinstance(size, bool) and size > 0
        for size in input_shape
    )
    if not valid:
        raise ValueError(
            "`input_shape` must be positive integers, the batch left out, as in (32, 32, 3). "
            f"Received: input_shape={input_shape!r}"
        )
    return tuple(int(size) for size in input_shape)


def _fits(shape, built_for):
    return len(shape) == len(built_for) and all(
        known is None or size == known for size, known in zip(shape, built_for, strict=True)
    )


def _without_fft(model):
    """(The model with `implementation="matmul"` in the layers that use the FFT, their names)."""
    names = [
        layer.name
        for layer in all_layers(model)
        if not isinstance(layer, keras.Model) and _choices(layer.get_config()) and _uses_fft(layer)
    ]
    if not names:
        return model, []
    try:
        return rebuild(model, lambda config: _with_matmul(config, names)), names
    except Exception as error:  # a subclassed model
        raise ExportError(
            f"the FFT of {', '.join(map(repr, names))} can be left out of {model.name!r} only by "
            f'building it with implementation="matmul": {_first_line(error)}'
        ) from error


def _choices(config):
    """Whether a layer's config, or that of a layer in it, leaves the FFT open."""
    if isinstance(config, (list, tuple)):
        return any(map(_choices, config))
    if not isinstance(config, dict):
        return False
    return config.get("implementation") in ("auto", "fft") or any(map(_choices, config.values()))


def _with_matmul(config, names, inside=False):
    """A config with `implementation="matmul"` in the layers of these names."""
    if isinstance(config, (list, tuple)):
        return type(config)(_with_matmul(item, names, inside) for item in config)
    if not isinstance(config, dict):
        return config
    inside = inside or config.get("name") in names
    changed = {key: _with_matmul(value, names, inside) for key, value in config.items()}
    if inside and config.get("implementation") in ("auto", "fft"):
        changed["implementation"] = "matmul"
    return changed


def _uses_fft(layer):
    """Whether the graph of a layer of a functional model has an FFT; True where it has no graph."""
    import tensorflow as tf

    try:
        specs = [tf.TensorSpec(x.shape, x.dtype) for x in keras.tree.flatten(layer.input)]
    except AttributeError:  # a layer of a subclassed model
        return True
    structure = layer.input

    def call(*tensors):
        return layer(keras.tree.pack_sequence_as(structure, tensors))

    graph = tf.function(call).get_concrete_function(*specs).graph
    functions = graph.as_graph_def().library.function
    operations = [operation.type for operation in graph.get_operations()]
    operations += [node.op for function in functions for node in function.node_def]
    return any("FFT" in operation for operation in operations)


def _write_and_compare(model, writable, path, format, tolerance):
    """Write `writable` to `path` and run it: its greatest difference to the model."""
    label, _, keras_format, _ = _FORMATS[format]
    inputs = _random_inputs(model)
    # On the CPU the reference is not rounded to TF32, as it would be on some GPUs.
    with keras.device("cpu:0"):
        expected = [keras.ops.convert_to_numpy(model(x, training=False)) for x in inputs]
        writable(inputs[0], training=False)  # Keras exports no model that was never called
    try:
        with _silence():
            writable.export(
                str(path), format=keras_format, verbose=False, **_converter_options(format)
            )
            run = _RUNNERS[format](path)
            received = [np.asarray(run(x)) for x in inputs]
    except Exception as error:  # converters and run times raise whatever they like
        raise ExportError(_explain(error, writable, path, format)) from error
    difference = 0.0
    for reference, result in zip(expected, received, strict=True):
        if reference.shape != result.shape:
            raise ExportError(
                f"the {label} of {model.name!r} gives outputs of shape {result.shape}, "
                f"the Keras model {reference.shape}"
            )
        if not (np.isfinite(reference).all() and np.isfinite(result).all()):
            raise ExportError(f"the outputs of {model.name!r} are not finite on random images")
        gap = float(np.max(np.abs(result.astype("float64") - reference), initial=0))
        allowed = tolerance * max(1.0, float(np.max(np.abs(reference), initial=0)))
        if gap > allowed:
            raise ExportError(
                f"the {label} of {model.name!r} differs from the Keras model by {gap:.3g}, "
                f"more than {allowed:.3g} (tolerance={tolerance})"
            )
        difference = max(difference, gap)
    return difference


def _converter_options(format):
    if format != "litert":
        return {}
    import tensorflow as tf

    # Keras also allows TensorFlow's own operators, which the LiteRT interpreter does not have.
    return {"target_spec": {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}}


def _random_inputs(model):
    shape = tuple(model.inputs[0].shape)[1:]
    dtype = keras.backend.standardize_dtype(model.inputs[0].dtype)
    rng = np.random.default_rng(0)
    if keras.backend.is_float_dtype(dtype):
        return [rng.random((size, *shape), dtype="float32") for size in _BATCH_SIZES]
    return [rng.integers(0, 128, (size, *shape)).astype(dtype) for size in _BATCH_SIZES]


def _run_saved_model(path):
    import tensorflow as tf

    artifact = tf.saved_model.load(str(path))

    def run(x):
        with tf.device("cpu:0"):
            return keras.tree.flatten(artifact.serve(tf.constant(x)))[0].numpy()

    return run


def _run_onnx(path):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: session.run(None, {name: x})[0]


def _run_litert(path):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    source = interpreter.get_input_details()[0]["index"]
    result = interpreter.get_output_details()[0]["index"]

    def run(x):
        interpreter.resize_tensor_input(source, x.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(source, x)
        interpreter.invoke()
        return interpreter.get_tensor(result)

    return run


_RUNNERS = {"saved_model": _run_saved_model, "onnx": _run_onnx, "litert": _run_litert}


@contextlib.contextmanager
def _silence():
    """Hold back what Python and C++ code write to stdout and stderr, which may be closed."""
    with redirecting, open(os.devnull, "w") as nowhere:
        saved, levels = [], {logger: logger.level for logger in _loggers()}
        for number, stream in ((1, sys.stdout), (2, sys.stderr)):
            with contextlib.suppress(OSError):
                saved.append((number, os.dup(number)))
            if stream is not None:
                stream.flush()
        try:
            for number, _ in saved:
                os.dup2(nowhere.fileno(), number)
            with (
                contextlib.redirect_stdout(nowhere),
                contextlib.redirect_stderr(nowhere),
                warnings.catch_warnings(),
            ):
                warnings.simplefilter("ignore")
                yield
        finally:
            for number, copy in saved:
                os.dup2(copy, number)
                os.close(copy)
            _free_log_handlers(nowhere)
            for logger, level in levels.items():
                logger.setLevel(level)


def _free_log_handlers(stream):
    """Log handlers that were made while `stream` stood for stderr write to it no more.

    A converter that logs configures the root logger, if the program has not done so yet; that is
    undone.
    """
    for logger in _loggers():
        for handler in tuple(logger.handlers):
            if getattr(handler, "stream", None) is not stream:
                continue
            if logger is logging.root:
                logger.removeHandler(handler)
            else:
                handler.setStream(sys.stderr)


def _loggers():
    known = tuple(logging.root.manager.loggerDict.values())
    return [logging.root, *(one for one in known if isinstance(one, logging.Logger))]


def _explain(error, model, path, format):
    """One line on why a converter or what it wrote failed, and what to do."""
    label = _FORMATS[format][0]
    text = str(error)
    if format == "onnx" and path.exists():
        import onnx

        # tf2onnx writes operators that it does not know as they are.
        with contextlib.suppress(Exception):  # a file that is damaged as well
            nodes = onnx.load(str(path), load_external_data=False).graph.node
            text = " ".join(node.op_type for node in nodes if not onnx.defs.has(node.op_type))
    operators = sorted(set(re.findall(r"(?:Flex)?(I?R?FFT(?:[23]D)?)\b", text)))
    if not operators:
        return f"{label} of {model.name!r} failed: {_first_line(error)}"
    suspects = [
        f"{layer.name!r} ({type(layer).__name__})"
        for layer in all_layers(model)
        if not isinstance(layer, keras.Model) and _uses_fft(layer)
    ]
    culprits = ", ".join(suspects) or "one of its layers"
    return (
        f"{label} cannot run the FFT ({', '.join(operators)}) of {culprits}: write it as "
        'products with spectral_keras.ops.dft_matrices, or export the model as "saved_model"'
    )


def _first_line(error):
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:300] if lines else 'no message'}"
