"""The command `python -m models`: list the zoo."""

import sys

from spectral_keras.models import registry


def main(argv=None):
    """Print the networks of the zoo; returns the exit status."""
    argv = sys.argv[1:] if argv is None else argv
    if argv:
        if argv in (["-h"], ["--help"]):
            print("python -m models: list the zoo; python -m models.NAME --help: train one of it")
            return 0
        print(f"models: error: unexpected argument {argv[0]!r}", file=sys.stderr)
        return 2
    print(f"{'name':<20}{'parameters':>12}  paper")
    for name in registry.names():
        recipe = registry.recipe(name)
        parameters = registry.build(name).count_params()
        print(f"{name:<20}{parameters:>12,}  {recipe.paper}")
        print(f"{'':<34}{recipe.summary}")
    print("\nparameters: at 32x32x3 and ten classes; a full spectral kernel counts its real and")
    print("imaginary table.  Train one: python -m models.NAME --dataset cifar10; options: --help")
    return 0
