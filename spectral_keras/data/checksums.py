"""The checksum that a JSON file of ours carries of itself."""

import hashlib
import json
from typing import Any

__all__ = ["CHECKSUM", "json_checksum", "without_checksum"]

# Name of the entry; the other entries are what it is of.
CHECKSUM = "sha256"


def json_checksum(content: dict[str, Any]) -> str:
    """SHA-256 of a JSON-plain dict, the same before it was written and after it was read.

    Raises:
        ValueError: for a number that is not finite, which JSON does not have.
    """
    return hashlib.sha256(json.dumps(content, indent=1, allow_nan=False).encode()).hexdigest()


def without_checksum(content: Any) -> dict[str, Any]:
    """A dict that was read, without its checksum, which files of older versions lack.

    Raises:
        ValueError: if it is no dict, or the checksum is of something else.
    """
    if not isinstance(content, dict):
        raise ValueError("expected a JSON object")
    plain = {name: value for name, value in content.items() if name != CHECKSUM}
    if CHECKSUM in content and content[CHECKSUM] != json_checksum(plain):
        raise ValueError(
            f"its checksum does not match (if it was changed by hand, delete its {CHECKSUM!r})"
        )
    return plain
