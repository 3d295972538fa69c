"""What ground_truth.py measures of a method's explanations of planted pictures."""

from typing import Any

import numpy as np

from tfrobust import datasets, explanations, metrics
from tfrobust.core.classifier import Classifier
from tfrobust.metrics import table
from tfrobust.robustness.evaluate import evaluate

# Of the attacks on maps.
RHO, STEPS = 0.01, 10
BATCH = 512  # images that a network sees at a time


def mean(values: np.ndarray) -> dict[str, Any]:
    """The mean over images with its 95 % bootstrap interval."""
    kept = np.asarray(values, np.float64)
    low, high = table.interval(kept)
    return {
        "mean": round(float(kept.mean()), 4),
        "interval": [round(low, 4), round(high, 4)],
        "images": len(kept),
    }


def asked(method: explanations.Method, labels: np.ndarray) -> np.ndarray | None:
    """The classes that a method explains; None for methods that look for another one."""
    return None if isinstance(method, explanations.SmallestChange) else labels


def found(
    method: explanations.Method, network: Classifier, planted: datasets.Planted
) -> dict[str, Any]:
    """Whether maps lie on the lesions."""
    maps, lesions = (
        method(network, planted.images, asked(method, planted.labels)).map,
        planted.lesions,
    )
    return {
        "pointing": mean(metrics.pointing_game(maps, lesions)),
        "iou": mean(metrics.intersection_over_union(maps, lesions)),
        "average_precision": mean(metrics.average_precision(maps, lesions)),
    }


def attacked(
    method: explanations.Method, network: Classifier, planted: datasets.Planted
) -> dict[str, Any]:
    """What becomes of maps under each attack, and where they point then."""
    images, labels = planted.images, asked(method, planted.labels)
    maps = method(network, images, labels).map
    told: dict[str, Any] = {}
    # Each is to look as another picture's explanation does.
    given = np.roll(maps, 1, axis=0) + 1e-9
    goals = (
        metrics.RankOrder(),
        metrics.TopPixels(),
        metrics.MassCentre(),
        metrics.GivenMap(maps=given),
    )
    for goal in goals:
        attack = metrics.Manipulation(goal=goal, rho=RHO, steps=STEPS, restarts=1, batch_size=BATCH)
        result = attack(network, method, images, labels)
        told[goal.name] = {
            "before": mean(goal.loss(maps, maps)),
            "noise": mean(result.noise_loss),
            "after": mean(result.loss),
            "points_at_lesion": mean(metrics.pointing_game(result.after.map, planted.lesions)),
            "rank_correlation": mean(result.rank_correlation),
            "by_gradient": int(result.by_gradient.sum()),
        }
    measure = metrics.PredictionSaliencyCorrelation(rho=2 * RHO, steps=STEPS, batch_size=BATCH)
    psc = measure(network, method, images, labels)
    for name in ("sensitivity", "robustness"):
        value = getattr(psc, name)
        told[name] = {
            "mean": round(value.value, 4),
            "interval": [round(value.low, 4), round(value.high, 4)],
            "images": len(images),
        }
    return told


def faithful(
    method: explanations.Method, network: Classifier, planted: datasets.Planted
) -> dict[str, Any]:
    """Whether confidence lives where the maps say, and whether they stay under noise."""
    images, labels = planted.images, planted.labels
    before = method(network, images, asked(method, labels))
    maps = before.map
    return {
        "deletion": mean(metrics.Deletion(fill=0.25)(network, images, labels, maps)),
        "insertion": mean(metrics.Insertion(fill=0.25)(network, images, labels, maps)),
        "noise": mean(metrics.Stability(rmse=RHO)(network, method, images, before=before)),
    }


def revealed(
    method: explanations.Method,
    with_mark: Classifier,
    without: Classifier,
    planted: datasets.Planted,
) -> dict[str, Any]:
    """How much of a map lies on the label, for the network that reads it and for the other."""
    classes = asked(method, planted.labels)
    maps, others = (method(one, planted.images, classes).map for one in (with_mark, without))
    shares = [metrics.relevance_mass(one, planted.marks) for one in (maps, others)]
    return {
        "with": mean(shares[0]),
        "without": mean(shares[1]),
        "difference": mean(shares[0] - shares[1]),
        "points_at_mark": mean(metrics.pointing_game(maps, planted.marks)),
    }


def robust(network: Classifier, planted: datasets.Planted) -> dict[str, Any]:
    """How robust the network itself is."""
    report = evaluate(network, planted.images, planted.labels, preset="fast")
    return {"attack_ara": str(report.attack_ara)}


def taken(planted: datasets.Planted, rows: np.ndarray) -> datasets.Planted:
    """Some rows."""
    arrays = ("images", "healthy", "labels", "lesions", "marks", "letters")
    return datasets.Planted(
        **{name: getattr(planted, name)[rows] for name in arrays}, class_names=planted.class_names
    )
