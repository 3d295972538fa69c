"""The order of the packages: imports go downward, siblings leave each other alone."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LAYERS = [
    {"errors"},
    {"recipes"},
    {"datasets", "models"},
    {"attacks"},
    {"evaluation", "explanations"},
    {"training"},
    {"exporting"},
    {"serving"},
    {"pipeline"},
    {"cli"},
]
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}


def imported_parts(path: Path) -> set[str]:
    """Names of the parts of tfrobust that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            module = node.module or ""
            names = (
                [f"tfrobust.{alias.name}" for alias in node.names]
                if module == "tfrobust"
                else [module]
            )
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("tfrobust.")}
    return found


FILES = [
    path for path in sorted((ROOT / "tfrobust").rglob("*.py")) if path.parent.name != "tfrobust"
] + [ROOT / "tfrobust" / name for name in ("recipes.py", "pipeline.py", "errors.py")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_downward(path: Path) -> None:
    part = path.relative_to(ROOT / "tfrobust").parts[0].removesuffix(".py")
    for other in imported_parts(path) - {part}:
        assert RANK[other] < RANK[part], f"{part} imports {other}"


def test_every_part_has_its_place() -> None:
    parts = {path.relative_to(ROOT / "tfrobust").parts[0].removesuffix(".py") for path in FILES}
    assert parts == set(RANK)


def test_the_package_itself_does_not_import_tensorflow() -> None:
    code = (
        "import sys, tfrobust, tfrobust.runs.recipes, tfrobust.datasets, tfrobust.cli.train, "
        "tfrobust.cli.evaluate, tfrobust.cli.explain, tfrobust.cli.export, "
        "tfrobust.runs.cluster;"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd="/")
