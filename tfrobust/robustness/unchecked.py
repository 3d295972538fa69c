"""Which checks cannot be made of an evaluation, and why: none of them counts as passed."""

from collections.abc import Callable

from tfrobust.robustness.evidence import Evidence


def unchecked(evidence: Evidence) -> dict[str, str]:
    """The checks that are not made.

    Args:
        evidence: what a finished evaluation found.

    Returns:
        For each such check's name, as `checks.CHECKS` has it, the reason.
    """
    found: dict[str, str] = {}
    for reason, holds, names in REASONS:
        if holds(evidence):
            found = dict.fromkeys(names, reason) | found  # the first reason counts
    return dict(sorted(found.items()))


def _followers(evidence: Evidence) -> int:
    """How many attacks followed gradients."""
    return len({record.name for record in evidence.attacks if record.needs_gradient})


# A reason, whether it holds, and the checks that it keeps from being made.
REASONS: tuple[tuple[str, Callable[[Evidence], bool], tuple[str, ...]], ...] = (
    (
        "the network gives no gradient",
        lambda evidence: not evidence.steepest,
        (
            "gradients lead somewhere",
            "logits are not saturated",
            "gradients agree with finite differences",
        ),
    ),
    (
        "the network answers differently from call to call",
        lambda evidence: evidence.drifts,
        (
            "gradients agree with finite differences",
            "attacks without gradients find no less",
            "larger perturbations work as well",
        ),
    ),
    (
        "no attack followed gradients",
        lambda evidence: not _followers(evidence),
        ("attacks without gradients find no less",),
    ),
    (
        "fewer than two attacks followed gradients",
        lambda evidence: _followers(evidence) < 2,
        ("more than one attack comes so close",),
    ),
    (
        "no attack tells what it found late",
        lambda evidence: not any(record.tells_late for record in evidence.attacks),
        ("changed in time",),
    ),
    (
        "no attack walks by steps of given lengths",
        lambda evidence: not any(record.last_step for record in evidence.attacks),
        ("steps are finer than sizes",),
    ),
    (
        "no attack blends with images that are measured",
        lambda evidence: not any(record.borrows for record in evidence.attacks),
        ("images were judged each by itself",),
    ),
)
