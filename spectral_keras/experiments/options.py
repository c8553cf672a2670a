"""Types of options: a text of the command line to a value, or one line that says what is wrong."""

import argparse
import fractions

SEEDS = 2**32  # NumPy's global generator takes no others


def number(kind, low=None, low_open=False, high=None):
    """An argparse type: a finite number of `kind`, at least (or above) `low` and below `high`."""

    def parse(text):
        try:
            value = kind(text)
        except ValueError:
            word = "an integer" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"expected {word}, received {text!r}") from None
        if value != value or value in (float("inf"), -float("inf")):
            raise argparse.ArgumentTypeError(f"expected a finite number, received {text!r}")
        if low is not None and (value < low or (low_open and value == low)):
            sign = ">" if low_open else ">="
            raise argparse.ArgumentTypeError(f"expected a value {sign} {low}, received {text!r}")
        if high is not None and value >= high:
            raise argparse.ArgumentTypeError(f"expected a value < {high}, received {text!r}")
        return value

    return parse


def fraction(low_open=False, high=None):
    """An argparse type: a number such as 0.03 or 8/255, at least (or above) 0, at most `high`."""

    def parse(text):
        try:
            value = float(fractions.Fraction(text.replace(" ", "")))
        except (ValueError, ZeroDivisionError, OverflowError):
            raise argparse.ArgumentTypeError(
                f"expected a number or a fraction such as 8/255, received {text!r}"
            ) from None
        if value < 0 or (low_open and value == 0):
            sign = ">" if low_open else ">="
            raise argparse.ArgumentTypeError(f"expected a value {sign} 0, received {text!r}")
        if high is not None and value > high:
            raise argparse.ArgumentTypeError(f"expected a value <= {high}, received {text!r}")
        return value

    return parse


def boolean(text):
    if text.lower() in ("true", "yes", "1", "on"):
        return True
    if text.lower() in ("false", "no", "0", "off"):
        return False
    raise argparse.ArgumentTypeError(f"expected true or false, received {text!r}")


def stream(text):
    """An argparse type: true, false or auto."""
    if text.lower() == "auto":
        return "auto"
    try:
        return boolean(text)
    except argparse.ArgumentTypeError:
        message = f"expected true, false or auto, received {text!r}"
        raise argparse.ArgumentTypeError(message) from None


def path(text):
    """An argparse type: a path that is not empty, as an unset shell variable would be."""
    if not text:
        raise argparse.ArgumentTypeError(f"expected a path, received {text!r}")
    return text
