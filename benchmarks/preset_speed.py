"""Times the presets of `evaluate` beside those of an older checkout, in turns.

    git worktree add ../before 06985c6
    python benchmarks/preset_speed.py --before ../before [--images 128] [--rounds 3]

Each checkout has a process of its own, which compiles and warms up once. Then they take turns, so
that other programs disturb both alike: see turns.py. A turn is what `evaluate` spends
on attacks: all images, for misclassification and for BTR. Pixels may leave [0, 1]. The network is
the published ResNet-44 with the images of ../shared/reference, or a shipped network with the test
images of the embedded set: --network fashion_mnist_mini.

`standard` has had a second opinion since 06985c6, which costs 20 gradients for each goal. So the
walk of `standard` is timed alone as well.

Prints a table, and writes benchmarks/results/preset_speed.json.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import turns

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT.parent / "shared" / "reference"
PUBLISHED = "resnet44-all"
EMBEDDED = "fashion_mnist_mini"
# What is timed: a preset, and how many of its attacks; None for all.
KINDS: dict[str, tuple[str, int | None]] = {
    "fast": ("fast", None),
    "standard": ("standard", None),
    "standard, walk alone": ("standard", 1),
}
# A preset may take so many times the older one's seconds: what turns can tell apart.
MOST = 1.03


def subject(network: str, images: int) -> tuple[Any, Any, Any]:
    """The network, images float32 (N, H, W, C) in [0, 1] and labels int32 (N,)."""
    import numpy as np

    import tfrobust
    from tfrobust.models import published

    if network != PUBLISHED:
        source = tfrobust.datasets.load(EMBEDDED)
        return tfrobust.load(ROOT / "saved_models" / network), *source.test_arrays(images)
    with np.load(REFERENCE / "resnet44-all.expected.npz") as file:
        pixels = file["images"][:images].astype(np.float32) / 255
        labels = file["labels"][:images].astype(np.int32)
    return published.load(REFERENCE / "resnet44-all.npz"), pixels, labels


def worker(kind: str, network: str, images: int) -> None:
    """One process: attacks with the checkout that PYTHONPATH names, whenever it is its turn."""
    from tfrobust.attacks import BelowChance, Misclassified
    from tfrobust.attacks.ensemble import attack_in_turn, smallest
    from tfrobust.core.door import as_classifier
    from tfrobust.robustness.presets import preset_attacks

    model, pixels, labels = subject(network, images)
    classifier = as_classifier(model)
    preset, count = KINDS[kind]
    mean: dict[str, float] = {}

    def attacked() -> None:
        for name, goal in {"attack": Misclassified(), "btr": BelowChance()}.items():
            attacks = preset_attacks(preset, pixels, bounds=None)[:count]
            best, _ = smallest(list(attack_in_turn(attacks, classifier, pixels, labels, goal)))
            mean[f"mean_{name}_rmse"] = round(float(best.rmse[best.found].mean()), 6)

    attacked()
    turns.serve(turns.timed(attacked), {**mean, "images": len(pixels)})


def commit_of(checkout: Path) -> str:
    """A checkout's commit."""
    asked = ["git", "-C", str(checkout), "rev-parse", "--short", "HEAD"]
    return subprocess.run(asked, capture_output=True, text=True).stdout.strip() or "unknown"


def compared(before: Path, kind: str, flags: argparse.Namespace) -> dict[str, Any]:
    """Seconds of both checkouts' presets, and their ratio."""
    command = [sys.executable, __file__, "--worker", kind, "--network", flags.network]
    command += ["--images", str(flags.images)]
    with (
        turns.Worker(command, {"PYTHONPATH": str(before)}) as old,
        turns.Worker(command, {"PYTHONPATH": str(ROOT)}) as new,
    ):
        for number in range(flags.rounds):
            # Every second round backwards: whoever comes first has no advantage.
            for one in (old, new)[:: -1 if number % 2 else 1]:
                one.turn(1)
        told = turns.ratio(new, old)
        return {
            "before": turns.summary(old),
            "now": turns.summary(new),
            "now / before": told,
            "met": told["median"] <= MOST,
        }


def table_of(rows: dict[str, Any]) -> str:
    """The seconds as a Markdown table."""
    lines = ["| preset | before, s | now, s | now / before | at most |", "| --- |" + " --- |" * 4]
    for kind, row in rows.items():
        ratio = row["now / before"]
        lines.append(
            f"| {kind} | {row['before']['step_s']:.1f} | {row['now']['step_s']:.1f} | "
            f"{ratio['median']:.2f} [{ratio['low']:.2f}, {ratio['high']:.2f}] | "
            f"{MOST}: {'met' if row['met'] else 'MISSED'} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, help="an older checkout")
    parser.add_argument("--network", choices=(PUBLISHED, EMBEDDED), default=PUBLISHED)
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="a part of the names to time")
    parser.add_argument(
        "--output", type=Path, default=ROOT / "benchmarks" / "results" / "preset_speed.json"
    )
    parser.add_argument("--worker", choices=KINDS, help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.worker:
        worker(flags.worker, flags.network, flags.images)
        return
    for name in ("images", "rounds"):
        if getattr(flags, name) < 1:
            parser.error(f"expected --{name} of at least 1, got {getattr(flags, name)}")
    if flags.before is None or not (flags.before / "tfrobust" / "robustness").is_dir():
        parser.error(f"expected --before to be an older checkout, got {flags.before}")
    if not (kinds := [kind for kind in KINDS if flags.only in kind]):
        parser.error(f"expected --only to be a part of one of {', '.join(KINDS)}")
    if flags.network == PUBLISHED and not REFERENCE.is_dir():
        parser.error(f"expected {REFERENCE}, or --network {EMBEDDED}")
    asked = {
        "command": "python benchmarks/preset_speed.py --before PATH "
        f"--network {flags.network} --images {flags.images} --rounds {flags.rounds}",
        "commits": {"before": commit_of(flags.before), "now": commit_of(ROOT)},
        "goals": "misclassification and BTR, one after the other; without bounds",
    }
    results = json.loads(flags.output.read_text()) if flags.output.exists() else {"networks": {}}
    results["command"] = asked["command"]
    # What was measured by the same command stays; each kind tells its machine and its load.
    kept = results["networks"].get(flags.network, {})
    if {key: kept.get(key) for key in asked} != asked:
        kept = results["networks"][flags.network] = {**asked, "presets": {}}
    for kind in kinds:
        machine = turns.machine()
        row = compared(flags.before.resolve(), kind, flags)
        kept["presets"][kind] = {**row, "machine": machine}
        turns.write(flags.output, results)
    print(table_of(kept["presets"]))
    print(f"written: {flags.output}")


if __name__ == "__main__":
    main()
