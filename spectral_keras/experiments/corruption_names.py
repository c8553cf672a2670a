"""How commands name corruptions: one by one, or as a group."""

from collections.abc import Iterable

from spectral_keras.corruptions import names as corruption_names
from spectral_keras.experiments.options import one_of, several

__all__ = ["CORRUPTIONS", "expand"]

_GROUPS = {"cifar10c": "benchmark", "extra": "extra", "cifar10c-extra": "extra", "all": "all"}
# A kind of option.
CORRUPTIONS = several(
    one_of((*_GROUPS, *corruption_names("all")), "cifar10c, extra, all or the name of a corruption")
)


def expand(words: Iterable[str]) -> list[str]:
    """The corruptions that names and groups stand for, each once; none stand for the benchmark."""
    words = list(words) or ["cifar10c"]
    found = [corruption_names(_GROUPS[w]) if w in _GROUPS else (w,) for w in words]
    return list(dict.fromkeys(name for names in found for name in names))
