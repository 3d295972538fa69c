"""By what logits are divided before they become probabilities. This needs no TensorFlow."""

import math
import numbers
from typing import Any

from scipy.special import expit, logit

from tfrobust.errors import InputError


def checked_temperature(temperature: Any) -> float:
    """A temperature; 1, which changes nothing, for None.

    Args:
        temperature: a number above 0, or None.

    Raises:
        InputError: it is something else.

    Source: Guo et al., arXiv 1706.04599, section 4.2.
    """
    if temperature is None:
        return 1.0
    is_number = isinstance(temperature, numbers.Real) and not isinstance(temperature, bool)
    if not is_number or not 0 < temperature < math.inf:
        raise InputError(f"expected a temperature above 0, got {temperature!r}")
    return float(temperature)


def at_temperature(thresholds: tuple[float, ...], temperature: float) -> tuple[float, ...]:
    """Thresholds of probabilities at a temperature that decide as those at 1 do.

    Args:
        thresholds: of sigmoids of the logits, between 0 and 1.
        temperature: above 0.
    """
    if temperature == 1:
        return thresholds
    return tuple(float(expit(logit(one) / temperature)) for one in thresholds)
