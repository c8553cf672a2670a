"""The command `python -m models`: list the zoo and the presets."""

from spectral_keras.experiments.command import OneLineParser, command_line, program
from spectral_keras.experiments.preset.card import csv_text, row
from spectral_keras.models import presets, registry

__all__ = ["LEGEND", "main"]

# What the letters of a network's layers stand for.
LEGEND = """\
C96: a convolution with 96 filters; M, MP: max pooling; SP: spectral pooling; GA, GM: global
average, maximum; FC: a dense layer (of fourier_cnn FC and FCP: FFTConv2D, FFTConvPool2D);
W: whitening; I: inception; +: residual sum; BN: batch normalisation."""

# Columns of results.csv -> their headings here; the others are in the file.
_HEADINGS = {
    "name": "preset",
    "data": "data",
    "clean": "clean",
    "corruptions": "corrupt",
    "pgd": "pgd",
    "parameters": "parameters",
    "macs": "macs",
}
_LONGEST_DATA = 12


def main(argv: list[str] | None = None) -> int:
    """Print the networks of the zoo and the presets; returns the exit status."""
    parser = OneLineParser(
        prog=program("models"),
        description="List the zoo and the presets.",
        epilog=f"Train a network of the zoo: {command_line('models.NAME', ['--help'])}",
    )
    parser.add_argument("--csv", action="store_true", help="the presets alone, as results.csv")
    if parser.parse_args(argv).csv:
        print(csv_text(presets()), end="")
        return 0
    print(f"{'name':<20}{'parameters':>12}  paper")
    for name in registry.names():
        recipe = registry.recipe(name)
        parameters = registry.build(name).count_params()
        print(f"{name:<20}{parameters:>12,}  {recipe.paper}")
        print(f"{'':<34}{recipe.summary}")
    print(f"\n{LEGEND}")
    print("\nparameters: at 32x32x3 and ten classes; a full spectral kernel counts its real and")
    train = command_line("models.NAME", ["--dataset", "cifar10"])
    print(f"imaginary table.  Train one: {train}; options: --help\n")
    _print_presets()
    return 0


def _print_presets():
    table = [_HEADINGS]
    for name, metadata in presets().items():
        values = row(name, metadata)
        numbers = {key: f"{value:,}" for key, value in values.items() if isinstance(value, int)}
        # A file's name may be long, and the card has it.
        data = values["data"]
        data = data if len(data) <= _LONGEST_DATA else f"{data[: _LONGEST_DATA - 3]}..."
        table.append(values | numbers | {"data": data})
    widths = {name: max(len(str(line[name] or "-")) for line in table) for name in _HEADINGS}
    for line in table:
        cells = [f"{line[name] or '-':>{widths[name]}}" for name in [*_HEADINGS][1:]]
        print("  ".join([f"{line['name']:<{widths['name']}}", *cells]))
    print("\nclean, corrupt (15 corruptions), pgd (L-inf, eps 8/255): accuracy in percent on test")
    print("images, - where nobody measured it; speeds and seeds: --csv; all else: the cards.")
    print("Load one: models.from_preset('NAME')")
    print(f"Train from one: {command_line('models.NETWORK', ['--weights', 'PRESET'])}")
    print(f"Evaluate one: {command_line('models.evaluate', ['PRESET'])}")
