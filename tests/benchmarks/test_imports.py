"""What benchmarks import from the package exists, also inside their functions."""

import ast
import importlib
from pathlib import Path

import pytest

PROGRAMS = sorted((Path(__file__).resolve().parents[2] / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_imported_names_exist(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tfrobust"):
            module = importlib.import_module(node.module)
            for alias in node.names:
                # A module of a package need not be an attribute before it is imported.
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")
