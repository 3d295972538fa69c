"""What bars say of their speed, beside the time that remains."""

from tqdm import tqdm


def speed(bar: tqdm, done: float, what: str) -> str:
    """How many were done a second since the bar began, such as "12.3 images/s".

    Args:
        bar: which knows how long it has been shown.
        done: how many since then.
        what: the plural of what is counted.
    """
    elapsed = bar.format_dict["elapsed"]
    rate = done / elapsed if elapsed else 0.0
    # From a thousand on, three digits would be written as 1.07e+03.
    return f"{rate:,.0f} {what}/s" if rate >= 999.5 else f"{rate:.3g} {what}/s"
