"""The benchmarks of steps, presets and the input pipeline: arguments, tables, one small run."""

import json
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[2]
WRONG = [
    ("training_speed --rounds 0", "expected --rounds of at least 1, got 0"),
    ("training_speed --steps 0", "expected --steps of at least 1, got 0"),
    ("training_speed --depth 9", "expected --depth of 6n + 2 (8, 14, 20, …), got 9"),
    ("training_speed --configurations plain,fast", "got fast"),
    ("training_speed --batch_size many", "invalid int value: 'many'"),
    ("tensorflow_steps fast", "invalid choice: 'fast'"),
    ("preset_speed --before . --images 0", "expected --images of at least 1, got 0"),
    ("preset_speed --before /nowhere", "expected --before to be an older checkout, got /nowhere"),
    ("input_speed --rounds 0", "expected --rounds of at least 1, got 0"),
    ("input_speed --batches 0", "expected --batches of at least 1, got 0"),
    ("input_speed --data_dir /nowhere", "there is no imagenet2012 in /nowhere"),
]


@pytest.mark.parametrize(("line", "said"), WRONG, ids=[row[0] for row in WRONG])
def test_bad_arguments_are_refused_at_once(line: str, said: str, program: Callable) -> None:
    seconds = []
    for _ in range(3):  # the best of three: the machine may be busy with other tests
        began = time.monotonic()
        done = program(*line.split())
        seconds.append(time.monotonic() - began)
    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    # TensorFlow alone takes some four seconds to import.
    assert min(seconds) < 1


@pytest.mark.slow
def test_presets_beside_an_older_checkout(
    benchmark: Callable[[str], ModuleType],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / "preset_speed.json"
    few = "--images 2 --rounds 2 --only fast --network fashion_mnist_mini"
    line = f"preset_speed --before {ROOT} {few} --output {output}"
    monkeypatch.setattr("sys.argv", line.split())
    benchmark("preset_speed").main()
    told = json.loads(output.read_text())
    (row,) = told["networks"]["fashion_mnist_mini"]["presets"].values()
    # The same checkout twice finds the same, and its turns are counted.
    assert row["before"]["mean_btr_rmse"] == row["now"]["mean_btr_rmse"] > 0
    assert row["now"]["steps"] == 2
    assert row["met"] == (row["now / before"]["median"] <= 1.03)
    assert "| fast | " in capsys.readouterr().out


@pytest.mark.slow
def test_operators_and_multiply_adds_of_a_step(
    benchmark: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    # In a process of its own, which runs one operator at a time.
    output = tmp_path / "step_profile.json"
    line = f"{ROOT / 'benchmarks' / 'step_profile.py'} --depth 8 --batch_size 4 --output {output}"
    subprocess.run([sys.executable, *line.split()], check=True)
    told = json.loads(output.read_text())
    # ResNet-8, all kernels 3 × 3: a stem and a block of two; two blocks of two and a projection,
    # where the maps shrink; and the logits from one pixel.
    kernels = 32**2 * 9 * (3 * 16 + 2 * 16 * 16) + 16**2 * 9 * (2 * 16 * 32 + 32 * 32)
    kernels += 8**2 * 9 * (2 * 32 * 64 + 64 * 64) + 64 * 10
    plain, penalty = told["steps"]["plain"], told["steps"]["penalty"]
    # Forward, and gradients of kernels and of all maps but the image.
    assert plain["passes_of_all_convolutions"] == pytest.approx(3 - 1 / 10)
    assert plain["multiply_adds"] == pytest.approx(4 * kernels * (3 - 1 / 10))
    assert penalty["passes_of_all_convolutions"] > 5
    for step in told["steps"].values():
        assert step["operators_s"] == pytest.approx(sum(v["s"] for v in step["operators"].values()))
        # Profiled and not: the same step a moment later.
        assert 0.3 < step["operators_s"] / step["step_s"] < 3


def test_a_missed_limit_is_called_so(benchmark: Callable[[str], ModuleType]) -> None:
    training_speed = benchmark("training_speed")

    def worker(step_s: float) -> SimpleNamespace:
        one_round = {"seconds": [step_s], "cpu_s": 2 * step_s, "peak_mib": 100}
        facts = {"process_peak_mib": 300, "versions": {"library": "1"}}
        return SimpleNamespace(rounds=[one_round] * 2, facts=facts)

    flags = Namespace(depth=44, batch_size=128, threads=2, rounds=2)
    workers = {"plain": worker(2.0), "penalty": worker(4.0), "torch_penalty": worker(5.0)}
    results = training_speed.results_of(flags, workers)
    assert results["versions"] == {"library": "1"}
    assert results["configurations"]["penalty"]["images_per_s"] == 32
    table = training_speed.table_of(results)
    assert "| penalty | 32 | 4.000 | 8.00 | 2.00 | 100 | 300 |" in table
    assert (
        "penalty / plain: 2.00 [2.00, 2.00] over rounds, CPU time 2.00; at most 2.5: met" in table
    )
    assert "penalty / torch_penalty: 0.80" in table
    assert table.endswith("at most 0.75: MISSED")


def test_of_two_turns_the_second_runs_backwards_and_adversarial_steps_are_a_quarter(
    benchmark: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    training_speed = benchmark("training_speed")
    turns_taken = []

    class Worker:
        def __init__(self, command: list[str]) -> None:
            self.facts, self.kind = {"finite": True, "parameters": 7}, command[2]

        def turn(self, steps: int) -> None:
            turns_taken.append((self.kind, steps))

        def __enter__(self) -> "Worker":
            return self

        def __exit__(self, *error: object) -> None: ...

    monkeypatch.setattr(training_speed.turns, "Worker", Worker)
    arguments = ["--configurations=plain,adversarial", "--rounds=2", "--steps=8"]
    training_speed.measured(training_speed.flags_of(arguments))
    assert turns_taken == [("plain", 8), ("adversarial", 2), ("adversarial", 2), ("plain", 8)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [
        "plain",
        "plain_relu",
        "penalty",
        "adversarial",
        "stock_fit",
        "penalty_part",
        "penalty_differences_part",
        "penalty_loss",
    ],
)
def test_every_kind_of_step_is_measured(kind: str, benchmark: Callable[[str], ModuleType]) -> None:
    training_speed, turns = benchmark("training_speed"), benchmark("turns")
    flags = training_speed.flags_of(["--depth=8", "--batch_size=4", "--warmup=1"])
    # Uncompiled: XLA takes longer than all the steps.
    command = training_speed.command_of(
        kind if kind == "stock_fit" else f"{kind}_uncompiled", flags
    )
    with turns.Worker(command) as worker:
        worker.turn(2)
    found = turns.summary(worker)
    assert found["finite"]
    assert found["steps"] == 2
    assert found["step_s"] > 0
    assert found["steps_peak_mib"] > 0
    assert found["parameters"] > 50_000
