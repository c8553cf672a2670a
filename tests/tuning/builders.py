"""Functions of hp for the tests, small enough to train in a second."""

import keras


def compiled(model, learning_rate):
    model.compile(
        keras.optimizers.Adam(learning_rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        run_eagerly=True,  # tracing takes most of the time of such small trainings
    )
    return model


def dense(hp):
    """Random dropout too, whose state a checkpoint has to hold."""
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Flatten(),
            keras.layers.Dense(hp.Int("units", 2, 32), activation="relu"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(3),
        ]
    )
    return compiled(model, hp.Float("learning_rate", 1e-3, 1e-1, sampling="log"))


def nine(hp):
    """Nine points."""
    units, kind = hp.Choice("units", [2, 4, 8]), hp.Choice("activation", ["relu", "tanh", "selu"])
    layers = [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(units, kind)]
    return compiled(keras.Sequential([*layers, keras.layers.Dense(3)]), 1e-2)


def picky(hp):
    """Refuses most points: by name, by a loss that is not finite, for lack of memory."""
    kind = hp.Choice("kind", ["refused", "infinite", "memory", "good"])
    hp.Int("other", 0, 9)
    if kind == "refused":
        raise ValueError("kind must not be refused.\nReceived: refused")
    if kind == "memory":
        raise MemoryError("cannot allocate 3 TiB")
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(3, kernel_initializer="zeros"))
    if kind == "infinite":
        model.add(keras.layers.Rescaling(float("inf")))
    return compiled(model, 1e-2)


def wrong(hp):
    """A programming error."""
    return hp.Int("units", 1, 4).no_such_attribute


def wrong_in_layer(hp):
    """A programming error that only some points have."""
    units = hp.Int("units", 1, 4)
    if units > 1:
        raise KeyError("units")
    return nine(hp)


def unmeasured(hp):
    layers = [keras.layers.Flatten(), keras.layers.Dense(hp.Int("units", 3, 4))]
    model = keras.Sequential([keras.Input((8, 8, 3)), *layers])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, run_eagerly=True)
    return model


def uncompiled(hp):
    return keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Dense(hp.Int("units", 1, 4))])


def constant(hp):
    return None


def branching(hp):
    """A branch, a loop and conditional scopes: most of it shows at some values only."""
    rate = hp.Float("rate", 0.1, 0.9) if hp.Boolean("dropout") else 0.0
    layers = [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dropout(rate)]
    for number in range(hp.Int("depth", 0, 2)):
        layers.append(keras.layers.Dense(hp.Int(f"units_{number}", 2, 8)))
    kind = hp.Choice("optimizer", ["adam", "sgd"])
    with hp.conditional_scope("optimizer", ["sgd"]):
        if kind == "sgd":
            hp.Float("momentum", 0.0, 0.9)
    return compiled(keras.Sequential([*layers, keras.layers.Dense(3)]), 1e-2)
