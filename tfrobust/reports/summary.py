"""A report in a few lines of text, for a terminal."""

from tfrobust.robustness.comparison import compare
from tfrobust.robustness.report import AraReport

SMOKE = "smoke run, not a measurement"
L2_SIZES = (0.25, 0.5, 1.0)  # at which papers give robust accuracy, of pixels from 0 to 1


def report_summary(report: AraReport, twin: AraReport | None = None) -> str:
    """The report's figures in a few lines.

    Args:
        report: what to show.
        twin: a report of the network's plain twin.

    Raises:
        InputError: the two reports cannot be compared.
    """
    data = f" of {report.data}" if report.data else ""
    robust = [f"{report.robust_accuracy(size):.3f} at L2 {size:g}" for size in L2_SIZES]
    lines = [
        f"{report.name}: {report.images} images{data}" + (f" ({SMOKE})" if report.smoke else ""),
        f"clean accuracy {report.clean_accuracy:.3f}",
        f"robust accuracy {', '.join(robust)}",
        f"attack ARA     {report.attack_ara}",
        f"BTR ARA        {report.btr_ara}",
        f"95 % intervals; upper bounds by {' + '.join(report.attack_names)}",
        f"{_cost(report)}; {len(report.unchecked)} of "
        f"{len(report.checks) + len(report.unchecked)} checks could not be made",
        report.second_opinion,
    ]
    extras = (report.lipschitz, report.certificate, report.clever)
    lines += [str(extra) for extra in extras if extra is not None]
    warnings = list(report.warnings)
    if twin is not None:
        ratios = compare(report, twin)
        lines.append(
            f"plain twin     clean accuracy {twin.clean_accuracy:.3f}; this network's attack "
            f"ARA is {ratios.attack} times the twin's, its BTR ARA {ratios.btr} times"
        )
        warnings += ratios.notes
    return "\n".join(lines + [f"warning: {warning}" for warning in warnings])


def _cost(report: AraReport) -> str:
    """How many gradients, or else answers, the areas rest on."""
    if report.attack_gradients is None:
        return "an attack did not count its gradients"
    if report.attack_gradients:
        return (
            f"at most {report.attack_gradients} gradients for each image, those of BTR "
            f"({report.btr_gradients}) included"
        )
    counts = [record.queries for record in report.attacks]
    if None in counts:
        return "no gradients"
    return f"no gradients, at most {sum(filter(None, counts))} answers for each image"
