"""Calling a layer that draws random numbers, in training."""

import keras


def training_call(layer, x):
    """layer(x, training=True); on JAX compiled as a whole, which saves seconds.

    Outside `jit` JAX compiles every op by itself.  The state of the layer's seed goes in and out
    of the compiled function and is put back, so the next call draws other numbers.
    """
    if keras.backend.backend() != "jax":
        return layer(x, training=True)
    import jax

    if not layer.built:
        layer.build(x.shape)

    variables = layer.non_trainable_variables

    @jax.jit
    def call(values, x):
        # Not `stateless_call`, which does not cast x to the layer's dtype.
        mapping = list(zip(variables, values, strict=True))
        with keras.StatelessScope(state_mapping=mapping) as scope:
            outputs = layer(x, training=True)
        return outputs, [scope.get_current_value(variable) for variable in variables]

    outputs, values = call([variable.value for variable in variables], x)
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    return outputs
