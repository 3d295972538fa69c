"""What outsider.py measured as a table, and in the form of RobustBench's model_info."""

from typing import Any

# What RobustBench asks of a network besides its figures.
ABOUT: dict[str, dict[str, Any]] = {
    "cifar10": {
        "name": "tfrobust's cifar10",
        "authors": "tfrobust",
        "link": "https://arxiv.org/abs/2001.03994",
        "venue": "Unpublished",
        "architecture": "PreActResNet-8, width 56, stem of stride 2, mirrored",
        "additional_data": False,
        "number_forward_passes": 1,
    },
    "published_all": {
        "name": "Adversarial explanations for understanding image classification decisions and "
        "improved neural network robustness",
        "authors": "Walt Woods, Jack Chen, Christof Teuscher",
        "link": "https://arxiv.org/abs/1906.02896",
        "venue": "Nature Machine Intelligence 2019",
        "architecture": "PreActResNet-44",
        "additional_data": False,
        "number_forward_passes": 1,
    },
}


def model_info(name: str, row: dict[str, Any]) -> dict[str, Any]:
    """A network's entries as RobustBench keeps them, by threat model.

    Args:
        name: in ABOUT.
        row: what was measured, by its parts.
    """
    entries: dict[str, Any] = {}
    about = {**ABOUT[name], "dataset": "cifar10"}
    attacked = row.get("autoattack", {})
    if attacked.get("standard"):
        for norm, eps in (("L2", "0.5"), ("Linf", "8/255")):
            entries[norm] = {
                **about,
                "eps": eps,
                "clean_acc": _percent(attacked[norm]["clean_accuracy"]),
                "reported": None,
                "autoattack_acc": _percent(attacked[norm]["accuracy"]),
                "footnote": _footnote(attacked),
            }
    if corrupted := row.get("corruptions"):
        entries["corruptions"] = {
            **about,
            "eps": "null",
            "clean_acc": _percent(corrupted["clean_accuracy"]),
            "reported": None,
            "corruptions_acc": _percent(corrupted["accuracy"]),
            "footnote": _footnote(corrupted),
        }
    return entries


def _footnote(part: dict[str, Any]) -> str:
    return f"Of the first {part['images']} test images of CIFAR-10 (JPEG copy), not all 10,000."


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"


def table(networks: dict[str, Any]) -> str:
    """Markdown, a row for each network."""
    lines = [
        "| network | clean | AutoAttack, L2 0.5 | AutoAttack, L∞ 8/255 | corruptions | ECE |",
        "|" + " --- |" * 6,
    ]
    for name, row in networks.items():
        attacked = row.get("autoattack", {})
        cells = [
            row.get("calibration", {}).get("clean_accuracy"),
            *(attacked.get(norm, {}).get("accuracy") for norm in ("L2", "Linf")),
            row.get("corruptions", {}).get("accuracy"),
            row.get("calibration", {}).get("ece", {}).get("value"),
        ]
        told = (("" if cell is None else f"{cell:.3f}") for cell in cells)
        lines.append(f"| {name} | {' | '.join(told)} |")
    return "\n".join(lines)
