"""Shipped networks attacked anew: what of a card changes, and what stays."""

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

SHIPPED = Path(__file__).resolve().parents[2] / "saved_models" / "fashion_mnist_mini"


def test_few_images_are_no_measurement_to_ship(program: Callable) -> None:
    done = program("remeasure", "--images", 4)
    assert done.returncode != 0
    assert "expected --saved_models to be a copy where --images is given" in done.stderr


@pytest.mark.slow
def test_a_card_gets_new_figures_and_keeps_what_no_attack_says(
    benchmark: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remeasure = benchmark("remeasure")
    monkeypatch.setattr(remeasure, "RUNS", tmp_path / "runs")
    version = tmp_path / "models" / "fashion_mnist_mini" / "1"
    shutil.copytree(SHIPPED / "1", version)
    before = json.loads((version / "model_card.json").read_text())
    before["figures"]["plain twin"] = {"clean accuracy": 0.9}
    (version / "model_card.json").write_text(json.dumps(before))
    monkeypatch.setattr(
        "sys.argv", ["remeasure", "--images", "4", "--saved_models", str(tmp_path / "models")]
    )
    began = str(datetime.now(UTC).date())
    remeasure.main()
    after = json.loads((version / "model_card.json").read_text())
    figures = after.pop("figures")
    old = before.pop("figures")
    assert after == before
    assert figures["images"] == "fashion_mnist_mini, first 4 test images"
    assert figures["attack ARA"]["images"] == 4
    assert figures["measured on"] in {began, str(datetime.now(UTC).date())}
    assert figures["plain twin"] == {"clean accuracy": 0.9, "attacks": old["attacks"]}
    assert figures["gradients for each image, at most"]["BTR ARA"] == 80
    assert set(figures["robust accuracy in [0, 1] at L2"]) == {"0.25", "0.5", "1"}
    for name in ("training seconds", "certified ARA of the smoothed network"):
        assert figures[name] == old[name]
    assert "first 4 test images" in (version / "MODEL_CARD.md").read_text()
    # The network itself is as it was.
    for name in ("network.keras", "saved_model.pb"):
        assert (version / name).read_bytes() == (SHIPPED / "1" / name).read_bytes()
