"""Speed of FGSM and PGD against foolbox and ART: `python -m benchmarks.attacks`.

A ResNet-18 of the zoo in float32 at 32x32x3, one batch of images, the same Keras model for all.
First equal work: given labels, no random start, all steps, and how many of the attacked images are
the same.  Then what early stopping of fooled images saves on top.  foolbox and ART are in the extra
"attacks"; without them only ours is timed.
"""

if __name__ == "__main__":
    from models import command

    command("benchmarks.attacks")

import dataclasses
import importlib.util
import warnings

import numpy as np

from benchmarks import harness
from benchmarks._options import (
    add_numbers,
    benchmark_parser,
    integer,
    number,
    parse_and_keep_memory,
)
from benchmarks.harness import Case

EPS, STEPS = 8 / 255, 10
STEP_SIZE = 2.5 * EPS / STEPS
OURS = "spectral_keras"
EARLY_STOP = "early stop, eps {}/255"
SMALL_EPS = (1, 8)  # of the early stop, in 1/255
TARGET = "at least 1.7x the faster library"
# Label of a way -> (module, distribution).
LIBRARIES = {"foolbox": ("foolbox", "foolbox"), "ART": ("art", "adversarial-robustness-toolbox")}
MODEL = (
    "random weights; the last layer is fitted by least squares to scikit-learn's digits at 32x32x3"
)


def main(arguments=None):
    parser = benchmark_parser("attacks", __doc__)
    rows = [
        ("--images", integer(1, 355), 32, "images of the batch"),
        ("--width", number(0, 4, low_open=True), 1.0, "factor on the network's filters"),
        ("--repeats", integer(3), 7, "3 or more"),
    ]
    add_numbers(parser, rows)
    options, kept = parse_and_keep_memory(parser, arguments)
    for name in LIBRARIES:
        if name not in find_installed():
            print(f"{name} is not installed and left out: pip install -e '.[attacks]'")
    model, x, y = make_model(options.width, options.images)
    results = {}  # (case, way) -> attacked images
    rows, summary = [], {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the other libraries
        for case in cases(model, x, y, results):
            measured = harness.measure(case, repeats=options.repeats, warmup=1)
            for row in measured:
                rows.append(_row(row, model, y, results))
            print(harness.format_rows(measured), flush=True)
            summary |= _against_libraries(case.name, measured)
    for name, text in summary.items():
        print(f"{name}: {text['speedup']:.2f}x the faster library ({text['library']})")
    if options.output:
        content = {
            "unit": "milliseconds a batch, median of interleaved repeats",
            "model": {
                "name": "resnet18",
                "width": options.width,
                "parameters": model.count_params(),
                "weights": MODEL,
                "accuracy": float((_classes(model, x) == y).mean()),
            },
            "against_libraries": summary,
            "rows": rows,
        }
        known = {"freed_memory_kept": kept}
        known |= {name: harness.version(package) for name, (_, package) in LIBRARIES.items()}
        harness.write_results(options.output, "attacks", arguments, content, known)
    return 0


def _row(row, model, y, results):
    """A row of the JSON: images a second too, and what became of the images."""
    images, ours = results[row.case, row.way], results.get((row.case, OURS))
    content = dataclasses.asdict(row)
    content["images_per_second"] = 1e3 * len(y) / row.milliseconds
    content["misclassified"] = float((_classes(model, images) != y).mean())
    if ours is not None and row.way != OURS:
        far = np.abs(images - ours).reshape(len(y), -1).max(axis=1)
        content["images_equal_to_ours"] = float((far < 1e-4).mean())
    return content


def _classes(model, images):
    from spectral_keras.classifiers import predict_classes

    return predict_classes(model, images, batch_size=len(images))


def _against_libraries(name, rows):
    """How many times as fast as the faster library we are, by wall clock and processor time."""
    theirs = [row for row in rows if row.way in LIBRARIES]
    if not theirs:
        return {}
    (ours,) = (row for row in rows if row.way == OURS)
    fastest = min(theirs, key=lambda row: row.milliseconds)
    return {
        name: {
            "library": fastest.way,
            "speedup": fastest.milliseconds / ours.milliseconds,
            "cpu_speedup": min(row.cpu_milliseconds for row in theirs) / ours.cpu_milliseconds,
        }
    }


def find_installed():
    """Labels of the libraries that can be imported."""
    return [name for name, (module, _) in LIBRARIES.items() if importlib.util.find_spec(module)]


def make_model(width, count):
    """(model, images, classes): a ResNet-18 that recognises digits, and `count` test digits.

    Only the last layer is fitted: the time of a step does not depend on the weights, but how many
    images are fooled, and after how many steps, does.
    """
    import keras

    from spectral_keras.data import load
    from spectral_keras.models import registry

    data = load("digits", limit=600, limit_test=count, validation_fraction=0)
    colour = [
        np.repeat(images, 3, axis=-1).astype("float32") / 255
        for images in (data.x_train, data.x_test)
    ]
    keras.utils.set_random_seed(0)
    model = registry.build("resnet18", (32, 32, 3), 10, width=width)
    last = model.layers[-1]
    features = keras.Model(model.inputs[0], last.input)
    z = features.predict(colour[0], batch_size=64, verbose=0).astype("float64")
    z = np.pad(z, ((0, 0), (0, 1)), constant_values=1)
    scale = np.abs(z).mean()
    gram = z.T @ z + 1e-4 * scale**2 * len(z) * np.eye(z.shape[1])
    weights = np.linalg.solve(gram, z.T @ (10 * np.eye(10)[data.y_train]))
    last.set_weights([weights[:-1].astype("float32"), weights[-1].astype("float32")])
    return model, colour[1], data.y_test


def attacks(model, x, y):
    """Name of an attack -> label of a way -> function that returns the attacked images.

    Within an attack all ways do the same: given labels, no random start, all steps.
    """
    from spectral_keras.attacks import fgsm, pgd

    count = len(x)
    ways = {
        "FGSM": {OURS: lambda: fgsm(model, x, y, EPS, batch_size=count)},
        f"PGD-{STEPS}": {
            OURS: lambda: pgd(
                model, x, y, EPS, STEP_SIZE, STEPS, random_start=False, early_stop=False,
                batch_size=count,
            )
        },
    }  # fmt: skip
    for name in find_installed():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = {"foolbox": _foolbox, "ART": _art}[name](model, x, y)
        for attack, function in zip(ways, theirs, strict=True):
            ways[attack][name] = function
    return ways


def early_stop(model, x, y):
    """Label -> PGD that lets an image be once it is fooled, for each of `SMALL_EPS`."""
    from spectral_keras.attacks import pgd

    def way(eps):
        return lambda: pgd(
            model, x, y, eps, 2.5 * eps / STEPS, STEPS, random_start=False, batch_size=len(x)
        )

    return {EARLY_STOP.format(levels): way(levels / 255) for levels in SMALL_EPS}


def cases(model, x, y, results):
    """The harness' cases; their steps keep the attacked images in `results[case, way]`."""
    shape = f"[{len(x)},32,32,3], given labels, no random start"
    ways = attacks(model, x, y)
    found = [
        Case(
            name=name,
            shape=f"{shape}, eps 8/255, all steps",
            reference=OURS,
            ways=_keeping(name, functions, results),
            targets={OURS: TARGET},
        )
        for name, functions in ways.items()
    ]
    name = f"PGD-{STEPS}, early stop"
    both = {"all steps": ways[f"PGD-{STEPS}"][OURS], **early_stop(model, x, y)}
    found.append(Case(name, shape, "all steps", _keeping(name, both, results)))
    return found


def _keeping(case, functions, results):
    """Label -> factory of a step that puts what the function returns into `results`."""

    def factory(label, function):
        def step():
            results[case, label] = np.asarray(function())

        return lambda: step

    return {label: factory(label, function) for label, function in functions.items()}


def _foolbox(model, x, y):
    import foolbox
    import tensorflow as tf

    device = "/gpu:0" if tf.config.list_logical_devices("GPU") else "/cpu:0"
    wrapped = foolbox.TensorFlowModel(model, bounds=(0, 1), device=device)
    x, y = tf.constant(x), tf.constant(y)
    one = foolbox.attacks.LinfFastGradientAttack()
    many = foolbox.attacks.LinfProjectedGradientDescentAttack(
        abs_stepsize=STEP_SIZE, steps=STEPS, random_start=False
    )
    # `run` is the attack alone; calling it would also classify the images.
    return [lambda attack=attack: attack.run(wrapped, x, y, epsilon=EPS).numpy()
            for attack in (one, many)]  # fmt: skip


def _art(model, x, y):
    import keras
    from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescent
    from art.estimators.classification import TensorFlowV2Classifier

    classifier = TensorFlowV2Classifier(
        model=model,
        nb_classes=10,
        input_shape=x.shape[1:],
        loss_object=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        clip_values=(0.0, 1.0),
    )
    common = {"norm": np.inf, "eps": EPS, "batch_size": len(x)}
    one = FastGradientMethod(classifier, **common)
    many = ProjectedGradientDescent(
        classifier, eps_step=STEP_SIZE, max_iter=STEPS, num_random_init=0, verbose=False, **common
    )
    return [lambda attack=attack: attack.generate(x=x, y=y) for attack in (one, many)]
