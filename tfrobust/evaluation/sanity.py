"""Reasons not to trust a figure, looked for before it is reported, and said in words."""

import numpy as np

_GOAL_WORDS = {"attack": "misclassified", "btr": "brought down to a guess (BTR)"}


def sanity(
    sizes: dict[str, np.ndarray],
    late: dict[str, np.ndarray],
    *,
    num_classes: int,
    clean_accuracy: float,
    stuck: dict[str, np.ndarray],
) -> tuple[str, ...]:
    """Warnings about an evaluation; none is the good case.

    Args:
        sizes: by goal ("attack", "btr"), float64 (N,), the smallest size over the attacks.
        late: by goal, bool (N,), whether the attack that won found it only in the second half
            of its search.
        num_classes: K.
        clean_accuracy: as computed apart from the attacks.
        stuck: by objective ("cross-entropy", "margin"), bool (N,), images whose gradient of it
            is all zero or not a number.

    Returns:
        Sentences, each with what to do.

    Source: arXiv 1906.02896 for late images.
    """
    count = len(sizes["attack"])
    warnings = []
    for goal, words in _GOAL_WORDS.items():
        unfound = int(np.isinf(sizes[goal]).sum())
        if unfound > count / num_classes:
            warnings.append(
                f"{unfound} of {count} images could not be {words} by any attack, more than "
                f"the 1 in {num_classes} that a guess gets right: nothing bounds the area, so "
                "none is given. Give the attacks more steps, or add another attack."
            )
        elif unfound:
            warnings.append(
                f"{unfound} of {count} images could not be {words} by any attack. They count as "
                "holding at every size shown, so the true area may be smaller. Give the attacks "
                "more steps, or add another attack."
            )
        if slow := int(late[goal].sum()):
            warnings.append(
                f"{slow} of {count} images were {words} only in the second half of the search, "
                "too late for it to come back close to the boundary: their sizes are too large. "
                "Give the attack more steps or a longer path."
            )
    # An image no likelier than a guess is misclassified as well, ties apart.
    weaker = int((sizes["btr"] < 0.99 * sizes["attack"]).sum())
    if weaker:
        warnings.append(
            f"For {weaker} of {count} images the BTR goal was met at a smaller size than the "
            "easier goal of misclassification: the attacks search badly there. Give them more "
            "steps, or add another attack."
        )
    for objective, images in stuck.items():
        if images.any():
            warnings.append(
                f"{int(images.sum())} of {count} images have a gradient of the {objective} that "
                "is all zero or not a number: attacks that follow it cannot move them, and their "
                "robustness may be only apparent (masked gradients). Check them with an attack "
                "that needs no gradient."
            )
    if abs(float(np.mean(sizes["attack"] > 0)) - clean_accuracy) > max(0.01, 1.5 / count):
        warnings.append(
            "The network answers the same images differently from call to call: its clean "
            f"accuracy is {clean_accuracy:.3f}, but {np.mean(sizes['attack'] > 0):.3f} of the "
            "images were right when the attacks began. Turn its randomness off (dropout?), or "
            "the sizes mean little."
        )
    return tuple(warnings)
