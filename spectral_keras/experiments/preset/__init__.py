"""The preset command: from a finished run to a preset with its model card."""

from spectral_keras.experiments import at_first_use

__all__ = ["PresetOptions", "check_preset", "make_preset"]

__getattr__ = at_first_use(
    __name__, PresetOptions="options", check_preset="command", make_preset="command"
)
