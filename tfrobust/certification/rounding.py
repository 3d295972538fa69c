"""How far sums of rounded products can be from the true ones.

Source: Higham, "Accuracy and Stability of Numerical Algorithms", 2002, section 3.1.
"""

UNIT_32, UNIT_64 = 2.0**-24, 2.0**-53


def gamma(terms: int, unit: float) -> float:
    """γ: a sum of products is wrong by at most γ·Σ|a·b|, in whatever order it is summed.

    Args:
        terms: how many products there are.
        unit: half the distance from 1 to the next number: `UNIT_32` or `UNIT_64`.
    """
    return terms * unit / (1 - terms * unit)
