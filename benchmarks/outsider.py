"""Measures networks for CIFAR-10 as an outsider would: AutoAttack, corruptions, and the rest.

    make bench-outsider                       # in an environment of its own, .venv-attackbench
    …/python benchmarks/outsider.py --parts corruptions calibration --networks cifar10

Of each network, part by part:

- autoattack: which images stand AutoAttack's standard version at L2 0.5 and L∞ 8/255, by
  torchattacks on an exact twin in PyTorch;
- presets: clean accuracy and areas by our preset, and the robust accuracy at the same L2, and by
  CleverHans' PGD at the same L∞;
- corruptions: the accuracy under CIFAR-10-C's fifteen corruptions (cifar10_c.py);
- calibration: the expected calibration error;
- certified: what randomized smoothing certifies.

Images are the first test images; those of "CIFAR-10 (JPEG copy)" went through JPEG once, which
costs a network that was trained on the originals a point, and its clean accuracy of both is told
where it is known. What is done is not done again; blocks of images are kept in runs/outsider/.

Prints a table and writes benchmarks/results/outsider.json, with each network's entries in the form
of RobustBench's model_info.
"""

import argparse
import dataclasses
import importlib.metadata
import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import turns
from outsider_entries import ABOUT, model_info, table
from scipy.special import softmax

HERE = Path(__file__).resolve().parent
RUNS = HERE.parent / "runs" / "outsider"
PARTS = ("calibration", "corruptions", "presets", "certified", "autoattack")
CERTIFIED = 100  # images, each of a thousand draws
NEEDED = ("torch", "torchattacks", "imagecorruptions", "skimage")


class Measured:
    """A network with the images that it is measured on.

    Args:
        name: in ABOUT.
        flags: the command line.
    """

    def __init__(self, name: str, flags: argparse.Namespace) -> None:
        import attackbench_networks

        from tfrobust import datasets

        source = datasets.load("cifar10", data_dir=str(flags.data_dir))
        self.name, self.flags, self.data = name, flags, source.info.provenance
        self.images, self.labels = source.test_arrays(flags.images)
        self.attacked = min(flags.attacked, flags.images)
        found = attackbench_networks.twins(name, self.images[:8])
        twin, self.classifier, self.apart = found
        self.twin = attackbench_networks.Counted(twin)  # torchattacks asks for its device

    def calibration(self) -> dict[str, Any]:
        """The expected calibration error, and the accuracy that it is of."""
        from tfrobust.core.bootstrap import draws
        from tfrobust.robustness.calibration import Calibration

        shares = softmax(self._logits(self.images), axis=1)
        right = shares.argmax(axis=1) == self.labels
        weights = np.concatenate([np.ones((1, len(right))), *draws(len(right), resamples=500)])
        found = Calibration.of(shares.max(axis=1), right, weights)
        return {
            "images": len(right),
            "clean_accuracy": float(right.mean()),
            "mean_confidence": float(shares.max(axis=1).mean()),
            "ece": dataclasses.asdict(found.ece),
        }

    def corruptions(self) -> dict[str, Any]:
        """The accuracy under each corruption at each severity, of the attacked images."""
        import cifar10_c

        images, labels = self.images[: self.attacked], self.labels[: self.attacked]
        rows = {
            name: [
                float(np.mean(self._right(cifar10_c.corrupted(images, name, one), labels)))
                for one in cifar10_c.SEVERITIES
            ]
            for name in cifar10_c.CORRUPTIONS
        }
        mean = float(np.mean([row for row in rows.values()]))
        clean = float(np.mean(self._right(images, labels)))
        return {"images": len(images), "clean_accuracy": clean, "accuracy": mean, "rows": rows}

    def presets(self) -> dict[str, Any]:
        """The areas by a preset in the box, and the robust accuracy at L2 0.5 and L∞ 8/255."""
        from outsider_attacks import SIZES

        from tfrobust.attacks import PGD

        report = self._evaluated(self.flags.preset, preset=self.flags.preset)
        # Presets search in L2. CleverHans' descent bisects the size of a ball of L∞.
        in_linf = self._evaluated("Linf", attacks=[PGD(norm=np.inf, bounds=(0, 1))])
        return {
            "images": self.attacked,
            "preset": self.flags.preset,
            "attacks": list(report.attack_names),
            "attacks in L∞": list(in_linf.attack_names),
            "clean_accuracy": report.clean_accuracy,
            "attack_ara": dataclasses.asdict(report.attack_ara),
            "btr_ara": dataclasses.asdict(report.btr_ara),
            "robust_accuracy": {
                norm: one.robust_accuracy(SIZES[norm], norm)
                for norm, one in (("L2", report), ("Linf", in_linf))
            },
        }

    def _evaluated(self, told: str, **asked: Any) -> Any:
        """The report of the attacked images in the box, by what is asked."""
        from tfrobust.robustness.evaluate import evaluate

        return evaluate(
            self.classifier,
            self.images[: self.attacked],
            self.labels[: self.attacked],
            bounds=(0, 1),
            name=self.name,
            data=f"{self.data} the first {self.attacked} test images",
            partial_dir=RUNS / self.name / f"{told}_{self.attacked}",
            **asked,
        )

    def certified(self) -> dict[str, Any]:
        """What the smoothed network is certified for."""
        from tfrobust.certification.smoothing import certify

        count = min(CERTIFIED, self.attacked)
        found = certify(self.classifier, self.images[:count], self.labels[:count], n=1000)
        return {
            "images": count,
            "sigma": found.sigma,
            "draws": found.n,
            "accuracy": found.accuracy,
            "ara": dataclasses.asdict(found.ara),
        }

    def autoattack(self) -> dict[str, Any]:
        """Which images stand AutoAttack, in both norms."""
        import attackbench_networks
        import outsider_attacks as own

        numbers = {"steps": self.flags.steps, "queries": self.flags.queries}
        images = attackbench_networks.turned(self.images[: self.attacked])
        labels = self.labels[: self.attacked]
        found: dict[str, Any] = {"images": len(images), "twin_apart": self.apart, **numbers}
        release = importlib.metadata.version("torchattacks")
        found["library"] = f"torchattacks {release}: APGD-CE, APGD-T, FAB-T, Square, in turns"
        found["standard"] = numbers == {"steps": own.STEPS, "queries": own.QUERIES}
        for norm, size in own.SIZES.items():
            ends = own.robust(self.twin, images, labels, norm, RUNS / self.name, **numbers)
            found[norm] = {
                "eps": size,
                "clean_accuracy": 1 - ends.count("clean") / len(ends),
                "accuracy": ends.count("") / len(ends),
                "broken_by": {name: ends.count(name) for name in sorted(set(ends) - {""})},
            }
        return found

    def _logits(self, images: np.ndarray) -> np.ndarray:
        parts = [images[first : first + 100] for first in range(0, len(images), 100)]
        return np.concatenate([np.asarray(self.classifier(part)) for part in parts])

    def _right(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return self._logits(images).argmax(axis=1) == labels


def main() -> None:
    """Measures what is missing, prints and writes."""
    import outsider_attacks
    import torch

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=list(ABOUT), choices=ABOUT)
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    parser.add_argument("--images", type=int, default=10_000, help="that are only looked at")
    parser.add_argument("--attacked", type=int, default=1000, help="attacked, or corrupted")
    parser.add_argument("--preset", choices=("fast", "standard"), default="standard")
    parser.add_argument("--steps", type=int, default=outsider_attacks.STEPS)
    parser.add_argument("--queries", type=int, default=outsider_attacks.QUERIES)
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch")
    parser.add_argument("--data_dir", type=Path, default=HERE.parents[1] / "shared" / "tfds")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "outsider.json")
    flags = parser.parse_args()
    torch.set_num_threads(flags.threads)
    results: dict[str, Any] = {
        "command": "python benchmarks/outsider.py",
        "data": "CIFAR-10 (JPEG copy)",
        "networks": {},
    }
    if flags.output.exists():
        results = json.loads(flags.output.read_text())
    for name in flags.networks:
        row = results["networks"].setdefault(name, {})
        network = None
        for part in flags.parts:
            count = flags.images if part == "calibration" else flags.attacked
            if part == "certified":
                count = min(count, CERTIFIED)
            asked = {"images": count, "preset": flags.preset}
            asked |= {"steps": flags.steps, "queries": flags.queries}
            if row.get(part, {}).get("asked") == asked:
                continue
            network = network or Measured(name, flags)
            machine = turns.machine()
            row[part] = {**getattr(network, part)(), "asked": asked, "machine": machine}
            row["model_info"] = model_info(name, row)
            turns.write(flags.output, results)
            print(table(results["networks"]), file=sys.stderr)
    print(table(results["networks"]))
    print(f"written: {flags.output}")


if __name__ == "__main__":
    if missing := [one for one in NEEDED if importlib.util.find_spec(one) is None]:
        sys.exit(f"expected {', '.join(missing)}: `make bench-outsider`")
    main()
