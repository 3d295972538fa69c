"""Foolbox, which is an extra, made to run on NumPy 2 and to take our criteria."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfrobust.core.criterion import Criterion
from tfrobust.core.extras import imported


def import_foolbox() -> Any:
    """Foolbox, made to run on NumPy 2.

    Raises:
        ReportedError: it is not installed; the message says how to install it.
    """
    foolbox = imported("foolbox", needed_by="this attack")
    if not hasattr(np, "find_common_type"):
        # Foolbox 3.3.4's tensors ask NumPy for a function that version 2 no longer has.
        np.find_common_type = lambda arrays, scalars: np.result_type(*arrays, *scalars)  # type: ignore[attr-defined]
    return foolbox


def foolbox_criterion(criterion: Criterion, classes: tf.Tensor) -> Any:
    """A criterion of ours as Foolbox's.

    Args:
        criterion: what is to be met.
        classes: int32 (B,), the class of each image that it is about.
    """
    foolbox: Any = import_foolbox()
    import eagerpy

    class Adapted(foolbox.criteria.Criterion):
        def __repr__(self) -> str:
            return repr(criterion)

        def __call__(self, perturbed: Any, outputs: Any) -> Any:
            logits, restore = eagerpy.astensor_(outputs)
            return restore(eagerpy.astensor(criterion.met(logits.raw, classes)))

    return Adapted()
