"""AttackBench's optimality and the count of propagations, by hand; the page is of the results."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = os.environ.get("ATTACKBENCH_PYTHON", str(ROOT / ".venv-attackbench" / "bin" / "python"))
# A step of DDN is a forward and a backward pass of each image; DeepFool's Jacobian takes nine.
COUNTED = """
import sys, numpy as np, onnxruntime, torch
sys.path.insert(0, "benchmarks")
import attackbench_networks as networks, attackbench_peers as peers
from attackbench_optimality import Trail
path = "saved_models/fashion_mnist_mini/1/classifier.onnx"
model = networks.Counted(networks.attackbench_twin.Twin(networks.Path(path)))
images = np.random.default_rng(0).random((3, 1, 28, 28), np.float32)
found = model(torch.from_numpy(images)).numpy(force=True)
there = onnxruntime.InferenceSession(path).run(["logits"], {"images": images.transpose(0, 2, 3, 1)})
assert np.abs(found - there[0]).max() < 1e-5 * np.abs(found).max()
labels = torch.from_numpy(found.argmax(1))
for name, budget, forwards, backwards in (("DDN", 20, 10, 10), ("trust region", 23, 10, 13)):
    model.trail = trail = Trail(images, labels.numpy())
    peers.PEERS[name].run(model, torch.from_numpy(images), labels, budget)
    assert trail.forwards.tolist() == [forwards] * 3, (name, trail.forwards)
    assert trail.backwards.tolist() == [backwards] * 3, (name, trail.backwards)
"""


@pytest.fixture
def bench(benchmark: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark("attackbench_optimality")


def test_optimality_by_hand(bench: ModuleType) -> None:
    best = np.array([1.0, 2.0, 4.0])
    # Areas up to 4: of the attack (1 + 4 + 4)/3, of the envelope 7/3, of no attack 4.
    assert bench.optimality(np.array([1.0, 4.0, 8.0]), best) == pytest.approx(0.6)
    assert bench.optimality(best, best) == 1
    assert bench.optimality(np.full(3, np.inf), best) == 0
    # Images that are misclassified as they are scale all three areas alike.
    attack, best = np.array([0, 1, 4, 8.0]), np.array([0, 1, 2, 4.0])
    assert bench.optimality(attack, best) == pytest.approx(0.6)
    # Nothing is known of an image for which no attack found anything.
    assert bench.optimality(np.append(attack, 3), np.append(best, np.inf)) == pytest.approx(0.6)


def test_local_takes_the_best_run_and_the_envelope_of_all(bench: ModuleType) -> None:
    def row(attack: str, budget: int, **distances: list[float | None]) -> dict:
        told = {key.removeprefix("at_"): value for key, value in distances.items()}
        return {"model": "m", "attack": attack, "budget": budget, "distances": told}

    rows = [
        row("a", 25, at_10=[None, None], at_25=[2.0, 4.0]),
        row("a", 200, at_10=[None, None], at_25=[3.0, None], at_200=[1.0, 3.0]),
        row("b", 25, at_10=[4.0, None], at_25=[4.0, 2.0]),
    ]
    # The envelope is (1, 2): its area 1.5, that of no attack 2.
    assert bench.local(rows, 25) == {("m", "a"): 0, ("m", "b"): 1 - (2 - 1.5) / 0.5}
    assert bench.local(rows, 200) == {("m", "a"): 1, ("m", "b"): 0}
    # Two attacks were run for 25 on one network, and one of them on the other: too few.
    other = {**rows[0], "model": "n"}
    assert bench.models_of([*rows, other], 25) == bench.models_of([*rows, other], 200) == ["m"]
    more = [*rows, other, {**rows[2], "model": "n", "distances": {"25": [2.0, 4.0]}}]
    assert bench.models_of(more, 25) == ["m", "n"]
    # There both found (2, 4), so that both are the envelope.
    assert bench.overall(more, ["m", "n"], 25, 25) == {"a": (0 + 1) / 2, "b": (0 + 1) / 2}
    assert bench.overall(more, ["m"], 200, 200) == {"a": 1}
    records = bench.compiled(rows, ["model", "attack", "budget"])
    assert [one["budget"] for one in records] == [200, 25]
    assert [one["optimality"] for one in records] == [1, 0]


def test_a_trail_counts_each_image_and_keeps_the_smallest(bench: ModuleType) -> None:
    images = np.float32([[0.0, 0.0], [1.0, 1.0], [0.0, 1.0]]).reshape(3, 1, 1, 2)
    trail = bench.Trail(images, np.array([0, 0, 0]), limit=3)
    right, wrong = [1.0, 0.0], [0.0, 1.0]

    def asked(points: list[list[float]], logits: list[list[float]]) -> np.ndarray:
        points_ = np.float32(points).reshape(-1, 1, 1, 2)
        return trail.forward(points_, np.array(logits))

    # As many points as images are in their order, though the first lies nearer to the second.
    owners = asked([[0.8, 0.6], [1.0, 1.0], [0.0, 1.0]], [wrong, right, right])
    trail.backward(owners)
    assert owners.tolist() == [0, 1, 2] and trail.best.tolist() == [
        pytest.approx(1),
        np.inf,
        np.inf,
    ]
    # Fewer points belong to the nearest image. One that is there twice fills a batch up.
    owners = asked([[0.9, 1.0], [0.9, 1.0]], [wrong, wrong])
    trail.backward(owners)
    trail.backward(owners)
    assert trail.forwards.tolist() == [1, 2, 1] and trail.backwards.tolist() == [1, 3, 1]
    assert trail.at(2).tolist() == [pytest.approx(1), np.inf, np.inf]
    assert trail.at(3)[1] == trail.best[1] == pytest.approx(0.1)
    # What leaves the box is no image; a larger perturbation changes nothing.
    asked([[0.0, 1.2], [0.4, 1.0]], [wrong, wrong])
    assert trail.at(3)[2] == np.inf and trail.at(4)[2] == trail.best[2] == pytest.approx(0.4)
    trail.check()
    asked([[0.1, 0.0]], [right])
    with pytest.raises(bench.Spent):
        trail.check()


def test_the_page_is_made_of_the_results(benchmark: Callable[[str], ModuleType]) -> None:
    report = benchmark("attackbench_report")
    rows = json.loads((ROOT / "benchmarks" / "results" / "attackbench.json").read_text())["rows"]
    assert report.section(rows) in report.PAGE.read_text()


@pytest.mark.slow
def test_propagations_of_libraries_are_counted() -> None:
    if not Path(PYTHON).exists():
        pytest.skip(
            f"needs the environment of `make bench-attackbench`, and there is no {PYTHON}: make "
            "it, or name another by ATTACKBENCH_PYTHON"
        )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [PYTHON, "-c", COUNTED], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
