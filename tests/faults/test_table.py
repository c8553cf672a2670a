"""docs/faults.md names every test of this folder, and no other."""

import ast
import pathlib
import re

HERE = pathlib.Path(__file__).parent
TABLE = HERE.parents[1] / "docs" / "faults.md"


def test_the_table_is_of_these_tests():
    there = {
        f"{path.stem}::{node.name}"
        for path in HERE.glob("test_*.py")
        if path != pathlib.Path(__file__)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }
    rows = [line for line in TABLE.read_text().splitlines() if line.startswith("|")]
    named = set(re.findall(r"`(test_\w+::test_\w+)`", "\n".join(rows)))
    assert named == there
