"""Reasons not to trust a figure. They are looked for before a report is given, and put in words.

Sources: Carlini et al., "On evaluating adversarial robustness", arXiv 1902.06705; Athalye et al.,
"Obfuscated gradients give a false sense of security", arXiv 1802.00420; AutoAttack's checks, arXiv
2003.01690; arXiv 1906.02896 for images found late.
"""

from collections.abc import Callable, Iterator

import numpy as np

from tfrobust.core.second_opinion import TAKEN_OVER
from tfrobust.robustness.chance import at_chance
from tfrobust.robustness.evidence import Evidence, Searched
from tfrobust.robustness.probes import FARTHER, NEARLY, TINY, margins
from tfrobust.robustness.unchecked import unchecked

GOALS = {"attack": "misclassified", "btr": "brought down to a guess (BTR)"}
# Chance may explain what this share of the images does, and it hardly moves an area.
FEW = 0.1
# A measured slope agrees with the gradient if it is between these multiples of it.
AGREES = (0.5, 2.0)
# An attack stands alone where its size is below this share of the next best attack's.
ALONE = 0.8
# How much larger sizes come out without gradients: benchmarks/black_box.py.
MORE = "12 to 15 %"
# A last step is coarse if it is more than this share of the size found.
COARSE = 0.02


def run_checks(evidence: Evidence) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
    """Runs all checks that can be made.

    Args:
        evidence: what a finished evaluation found.

    Returns:
        For the name of each check that was made, sentences that say what is wrong and what to do:
        an empty tuple is the good case. And for the name of each that was not made, why.
    """
    left_out = unchecked(evidence)
    made = {name: tuple(check(evidence)) for name, check in CHECKS.items() if name not in left_out}
    return made, left_out


def _guess(evidence: Evidence) -> Iterator[str]:
    if (reason := at_chance(evidence.logits, evidence.labels)) is not None:
        yield reason


def _unfound(evidence: Evidence) -> Iterator[str]:
    count, num_classes = evidence.logits.shape
    for goal, words in GOALS.items():
        unfound = int(np.isinf(evidence.sizes[goal]).sum())
        if unfound > count / num_classes:
            yield (
                f"{unfound} of {count} images could not be {words} by any attack, more than "
                f"the 1 in {num_classes} that a guess gets right: nothing bounds the area, so "
                "none is given. Give the attacks more steps, or add another attack."
            )
        elif unfound:
            yield (
                f"{unfound} of {count} images could not be {words} by any attack. They count as "
                "holding at every size shown, so the true area may be smaller. Give the attacks "
                "more steps, or add another attack."
            )


def _late(evidence: Evidence) -> Iterator[str]:
    for goal, words in GOALS.items():
        if late := int(evidence.late[goal].sum()):
            yield (
                f"{late} of {len(evidence.labels)} images were {words} only in the second half "
                "of the search, too late for it to come back close to the boundary: their sizes "
                "are too large. Give the attack more steps or a longer path."
            )


def _easier_goal(evidence: Evidence) -> Iterator[str]:
    # An image whose label is less likely than a guess is misclassified too, except in a tie.
    weaker = int((evidence.sizes["btr"] < 0.99 * evidence.sizes["attack"]).sum())
    if weaker:
        yield (
            f"For {weaker} of {len(evidence.labels)} images the BTR goal was met at a smaller "
            "size than the easier goal of misclassification, which took it over: the attacks "
            "search badly there. Give them more steps, or add another attack."
        )


def _no_gradient(evidence: Evidence) -> Iterator[str]:
    for objective, steepest in evidence.steepest.items():
        stuck = evidence.right & ~(steepest > 0)
        if objective == "cross-entropy":
            stuck &= ~evidence.saturated
        if stuck.any():
            yield (
                f"{int(stuck.sum())} of {len(stuck)} images have a gradient of the {objective} "
                "that is all zero or not a number: attacks that follow it cannot move them, and "
                "their robustness may be only apparent (masked gradients). Add an attack that "
                "needs no gradient (Square, Decision), or let the gradient pass what stops it."
            )


def _saturated(evidence: Evidence) -> Iterator[str]:
    right, saturated = evidence.right, evidence.saturated
    if saturated.sum() > FEW * right.sum():
        lead = float(np.median(margins(evidence.logits, evidence.labels)[saturated]))
        yield (
            f"{int(saturated.sum())} of {int(right.sum())} rightly classified images have logits "
            f"so large (the label leads by {lead:.3g}) that the softmax is 1 and the gradient of "
            "the cross-entropy vanishes in float32: attacks that follow it stand still (masked "
            "gradients). Trust only attacks that follow the margin, such as LinearizedMargin; or "
            f"divide the logits by {lead / 10:.0f} and evaluate again, which moves no decision "
            "(but makes BTR another question)."
        )


def _random(evidence: Evidence) -> Iterator[str]:
    clean, begun = float(np.mean(evidence.right)), float(np.mean(evidence.sizes["attack"] > 0))
    varies = abs(begun - clean) > max(0.01, 1.5 / len(evidence.labels))
    seen = []
    if evidence.drifts:
        drift = float(evidence.probes.drift.max())
        seen.append(f"its logits differ by up to {drift:.2g} of the largest")
    if varies:
        seen.append(
            f"its clean accuracy is {clean:.3f}, but {begun:.3f} of the images were right when "
            "the attacks began"
        )
    if seen:
        yield (
            f"The network answers the same images differently from call to call: "
            f"{'; '.join(seen)}. Attacks follow one draw and are judged by the next: attack its "
            "average, tfrobust.attacks.expectation(network, draws=…), or turn its randomness off "
            "(dropout?)."
        )


def _staircase(evidence: Evidence) -> Iterator[str]:
    still = evidence.probes.still
    if still.sum() > FEW * len(still):
        yield (
            f"{int(still.sum())} of {len(still)} images asked about are answered the same, bit "
            f"for bit, after every pixel changed by {TINY:g}: the network moves in steps, as with "
            "quantised images, and the gradient says nothing of where they are (masked "
            "gradients). Take the rounding out or let the gradient pass it, and compare with "
            "attacks that need no gradient (Square, Decision)."
        )


def _wrong_slope(evidence: Evidence) -> Iterator[str]:
    probes = evidence.probes
    judged = evidence.right[probes.rows] & ~np.isnan(probes.slopes).all(axis=0) & ~probes.still
    agrees = np.any((probes.slopes > AGREES[0]) & (probes.slopes < AGREES[1]), axis=0)
    wrong = judged & ~agrees
    if not evidence.drifts and wrong.sum() > FEW * judged.sum():
        yield (
            f"For {int(wrong.sum())} of {int(judged.sum())} images asked about a small step down "
            "the margin's gradient does not change the margin as the gradient says, at any of "
            f"{len(probes.slopes)} sizes: it is not the gradient of what the network computes "
            "(masked gradients). Look for custom gradients, rounding and thresholds, and add "
            "an attack that needs no gradient (Square, Decision)."
        )


def _gradient_free(evidence: Evidence) -> Iterator[str]:
    records = [record for record in evidence.attacks if record.goal == "attack"]
    followed = [record.rmse for record in records if record.needs_gradient]
    if not followed or evidence.drifts:
        return
    best, right, probes = np.min(followed, axis=0), evidence.right, evidence.probes
    rivals = [
        (record.name, record.rmse <= NEARLY * best, right)
        for record in records
        if not record.needs_gradient
    ]
    beaten = probes.free <= NEARLY * best[probes.rows]
    rivals.append(("noise or a blend with another image", beaten, right[probes.rows]))
    for name, better, asked in rivals:
        if (better & asked).sum() > FEW * asked.sum():
            yield (
                f"For {int((better & asked).sum())} of {int(asked.sum())} images {name}, which "
                "needs no gradient, finds a smaller perturbation than all attacks that follow "
                "it: the gradient misleads them (masked gradients), or they take too few steps. "
                "Give them more; if that does not help, trust Square and Decision."
            )
            return


def _lost(evidence: Evidence) -> Iterator[str]:
    probes = evidence.probes
    asked = int((np.isfinite(evidence.sizes["attack"]) & evidence.right)[probes.rows].sum())
    lost = int(probes.lost.sum())
    if not evidence.drifts and lost > 2 * FEW * asked:
        yield (
            f"{lost} of {asked} perturbations asked about no longer work at {FARTHER} times their "
            "size: more budget should not help a network. What the attacks found are lucky "
            "spots, not boundaries (masked gradients?). Give them more steps, or add an attack "
            "that needs no gradient (Square, Decision)."
        )


def _alone(evidence: Evidence) -> Iterator[str]:
    followed = [one for one in evidence.attacks if one.needs_gradient]
    for record in followed:
        rivals = [one for one in followed if one.goal == record.goal and one is not record]
        found = evidence.right & np.isfinite(record.rmse)
        ahead = record.rmse < ALONE * _others(evidence, record)
        if rivals and found.any() and np.mean(ahead[found]) > 0.5:
            yield (
                f"Only {record.name} has images {GOALS[record.goal]} at these sizes: for half of "
                f"them every other attack needs {1 / ALONE - 1:.0%} more, or fails. Nothing "
                "confirms the figure, and the same attack with more steps may still lower it: "
                "try."
            )


def _coarse(evidence: Evidence) -> Iterator[str]:
    for record in evidence.attacks:
        # Where another attack comes as close, it confirms the size.
        alone = evidence.right & (record.rmse < (1 - COARSE) * _others(evidence, record))
        coarse = alone & (record.rmse * COARSE < record.last_step)
        if coarse.sum() > FEW * len(coarse):
            yield (
                f"{int(coarse.sum())} of {len(coarse)} images were {GOALS[record.goal]} at sizes "
                f"that only {record.name} finds, whose last step of {record.last_step:.1g} is "
                f"more than {COARSE:.0%} of them: the true sizes are smaller by up to a step. "
                "Add LinearizedMargin with more steps, or give this attack more."
            )


def _others(evidence: Evidence, record: Searched) -> np.ndarray:
    """For each image the smallest size of all other attacks with gradients, for the same goal."""
    found = [
        other.rmse
        for other in evidence.attacks
        if other is not record and other.goal == record.goal and other.needs_gradient
    ]
    return np.min([*found, np.full(len(record.rmse), np.inf)], axis=0)


def _borrowed(evidence: Evidence) -> Iterator[str]:
    for record in evidence.attacks:
        # A blend looks only at images for which nothing was found before it. What an attack finds
        # after it, and is smaller, no longer rests on it.
        held = TAKEN_OVER * record.rmse <= evidence.sizes[record.goal]
        only = np.isfinite(record.rmse) & held
        if record.borrows and (count := int((evidence.right & only).sum())):
            yield (
                f"{count} of {len(record.rmse)} images were {GOALS[record.goal]} only by a blend "
                "with another of the images measured: their sizes depend on which images are "
                "measured together. Give evaluate a pool of other images, or more attacks."
            )


def _no_gradient_followed(evidence: Evidence) -> Iterator[str]:
    if evidence.attacks and not any(record.needs_gradient for record in evidence.attacks):
        yield (
            "Attacked without gradients: sizes are upper bounds. By the preset standard they came "
            f"out {MORE} larger than by gradients on networks that come with the package; on "
            "others they may be several times too large. Where the network can be had as Keras, "
            "SavedModel or a PyTorch module, measure "
            "that; an ONNX file has gradients where PyTorch can read it and is installed, "
            'pip install "tfrobust[torch]". Or add Decision with many steps, or Transfer from a '
            "network that is like it."
        )


# The names are those that the report's page shows.
CHECKS: dict[str, Callable[[Evidence], Iterator[str]]] = {
    "the network is better than a guess": _guess,
    "every image was changed": _unfound,
    "changed in time": _late,
    "the harder goal takes more": _easier_goal,
    "gradients lead somewhere": _no_gradient,
    "logits are not saturated": _saturated,
    "the same answer each time": _random,
    "tiny changes move the logits": _staircase,
    "gradients agree with finite differences": _wrong_slope,
    "attacks without gradients find no less": _gradient_free,
    "attacks followed gradients": _no_gradient_followed,
    "larger perturbations work as well": _lost,
    "more than one attack comes so close": _alone,
    "steps are finer than sizes": _coarse,
    "images were judged each by itself": _borrowed,
}
