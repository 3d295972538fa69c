"""Our attacks and those of PyTorch's libraries by AttackBench's protocol (arXiv 2404.19460), in L2.

    make bench-attackbench        # or, of ours alone: python benchmarks/attackbench.py --only ours

All attacks meet the same PyTorch twin of each network (attackbench_twin.py), which counts the
forward and backward passes of every image, and keeps the smallest perturbation that it was asked
about. An attack is run for budgets of 25, 60, 200 and 2,000 passes with as many steps as fit.
Attacks of libraries are given a last search on the line to the image, as ours have one.

It needs an environment of its own, which the make target makes. What is measured already is not
measured again: see --again. Prints a table, and writes benchmarks/results/attackbench.json after
every attack, docs/images/attackbench.png and the table of docs/figures/attackbench.md. With
--report it writes the last two only, and needs no PyTorch.
"""

import argparse
import contextlib
import importlib.util
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import attackbench_optimality
import attackbench_report
import numpy as np
import turns
from attackbench_optimality import BUDGETS, KEPT, Spent, Trail

from tfrobust.core.files import write_atomically

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "attackbench.json"
# What AttackBench's site takes of each attack on each model, besides its optimality.
SITE = ("dataset", "attack", "library", "model", "threat_model", "ASR", "n_forwards", "n_backwards",
        "time")  # fmt: skip
# Its solver is compiled for a minute before it begins.
LAST = "Brendel-Bethge"
# Attacks of libraries that get 2,000 passes, as they improve for so long; the others get 200.
LONG = ("FMN", "ALMA", "FAB-T", "DDN", "APGD-T")


def planned(only: list[str], names: list[str], budgets: list[int]) -> list[tuple[int, str, str]]:
    """What is to be run, (budget, network, attack), the cheap first."""
    from attackbench_ours import OURS
    from attackbench_peers import PEERS

    budgets_of = {name: of for name, (of, _) in OURS.items()}
    budgets_of |= {name: _budgets(name, one.least) for name, one in PEERS.items()}
    groups = {"ours": list(OURS), "peers": list(PEERS)}
    wanted = [name for one in only or ["ours", "peers"] for name in groups.get(one, [one])]
    if unknown := [name for name in wanted if name not in budgets_of]:
        sys.exit(f"expected --only ours, peers, or of {', '.join(budgets_of)}; got {unknown[0]}")
    plan = [
        (budget, network, name)
        for budget in budgets
        for network in names
        for name in wanted
        if budget in budgets_of[name]
    ]
    return sorted(plan, key=lambda one: one[2] == LAST)


def _budgets(name: str, least: int) -> tuple[int, ...]:
    most = 2000 if name in LONG else 200
    return tuple(budget for budget in BUDGETS if least <= budget <= most)


def attacked(scenario: Any, classifier: Any, name: str, budget: int) -> dict[str, Any]:
    """Runs one attack; → its row of the results, without the network's name."""
    import attackbench_ours
    import attackbench_peers
    import torch

    model, images, labels = scenario.twin, scenario.images, scenario.labels
    torch.manual_seed(0)
    np.random.seed(0)
    began = time.perf_counter()
    if name in attackbench_ours.OURS:
        library = attackbench_ours.LIBRARY
        model.trail = trail = Trail(images, labels)
        rows = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
        attackbench_ours.run(classifier, name, budget, rows, labels)
    else:
        peer = attackbench_peers.PEERS[name]
        library, left = peer.library, budget - attackbench_peers.ENDING
        model.trail = trail = Trail(images, labels, left)
        with contextlib.suppress(Spent):
            peer.run(model, torch.from_numpy(images), torch.from_numpy(labels), left)
        trail.limit = budget
        try:
            with torch.no_grad():
                attackbench_peers.ending(model, trail)
        except Spent:
            pass
    model.trail = None
    spent = time.perf_counter() - began
    return {
        "attack": name,
        "library": library,
        "threat_model": "l2",
        "budget": budget,
        "ASR": round(float(np.isfinite(trail.best).mean()), 4),
        "n_forwards": round(float(trail.forwards.mean()), 1),
        "n_backwards": round(float(trail.backwards.mean()), 1),
        "time": round(spent, 2),
        "distances": {
            str(kept): [round(one, 4) if np.isfinite(one) else None for one in trail.at(kept)]
            for kept in KEPT
            if kept <= budget or (trail.at(kept) < trail.at(budget)).any()
        },
    }


def measure(flags: argparse.Namespace) -> None:
    """Runs what is not there yet, and writes after each attack."""
    import attackbench_networks
    import tensorflow as tf
    import torch

    from tfrobust.core.door import as_classifier
    from tfrobust.core.torch_module import TorchFunction

    torch.set_num_threads(flags.threads)
    tf.config.threading.set_intra_op_parallelism_threads(flags.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    machine = turns.machine()
    scenarios: dict[str, Any] = {}
    names = flags.networks or list(attackbench_networks.NETWORKS)
    for budget, network, name in planned(flags.only, names, flags.budgets):
        if not flags.again and (network, name, budget) in map(_key, stored()["rows"]):
            continue
        if network not in scenarios:
            made = attackbench_networks.scenario(network, flags.data_dir)
            told = stored()["networks"].get(network, made.facts)
            if any(told[fact] != made.facts[fact] for fact in ("images", "weights")):
                sys.exit(
                    f"expected the images and the weights of {RESULTS} for {network}, got others: "
                    "remove its rows and facts, or its folder in runs/attackbench"
                )
            function = TorchFunction(made.twin)
            classifier = as_classifier(function)
            classifier.check(np.ascontiguousarray(made.images.transpose(0, 2, 3, 1)))
            scenarios[network] = made, classifier
        facts = scenarios[network][0].facts
        row = {"dataset": facts["data"], "model": network}
        row |= attacked(*scenarios[network], name, budget)
        print(network, name, budget, row["n_forwards"], row["n_backwards"], row["time"],
              file=sys.stderr, flush=True)  # fmt: skip
        results = stored()  # read anew, as another process may measure other networks
        results["machine"] = machine
        results["networks"][network] = facts
        results["rows"] = [one for one in results["rows"] if _key(one) != _key(row)] + [row]
        write(results)


def stored() -> dict[str, Any]:
    """What was measured so far."""
    if RESULTS.exists():
        return json.loads(RESULTS.read_text())
    return {
        "command": "python benchmarks/attackbench.py",
        "protocol": "AttackBench, arXiv 2404.19460, in L2; budgets are forwards + backwards",
        "networks": {},
        "rows": [],
    }


def write(results: dict[str, Any]) -> None:
    """Writes the results, a line for each record."""
    text = json.dumps({**results, "compiled": [], "rows": []}, indent=1, ensure_ascii=False)
    compiled = attackbench_optimality.compiled(results["rows"], SITE)
    for name, records in (("compiled", compiled), ("rows", results["rows"])):
        lines = ",\n".join(json.dumps(one, ensure_ascii=False) for one in records)
        text = text.replace(f'"{name}": []', f'"{name}": [\n{lines}\n ]')
    write_atomically(RESULTS, text.encode() + b"\n")


def _key(row: dict[str, Any]) -> tuple[str, str, int]:
    return row["model"], row["attack"], row["budget"]


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", default=[], help="ours, peers, or attacks by name")
    parser.add_argument("--networks", nargs="+", default=[], help="names; default: all")
    parser.add_argument("--budgets", nargs="+", type=int, default=list(BUDGETS), choices=BUDGETS)
    parser.add_argument("--data_dir", type=Path, default=HERE.parents[1] / "shared" / "tfds")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--again", action="store_true", help="what --only names is run anew")
    parser.add_argument("--report", action="store_true", help="only from what is stored")
    flags = parser.parse_args()
    if not flags.report:
        if not all(map(importlib.util.find_spec, ("torch", "adv_lib", "foolbox", "art"))):
            sys.exit("expected PyTorch and the libraries' attacks: `make bench-attackbench`")
        measure(flags)
    attackbench_report.written(stored())


if __name__ == "__main__":
    main()
