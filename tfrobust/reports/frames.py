"""Records as pandas data frames."""

from typing import TYPE_CHECKING, Any

from tfrobust.certification.certificate import Certificate
from tfrobust.certification.estimate import Clever
from tfrobust.robustness.comparison import Comparison
from tfrobust.robustness.report import AraReport

if TYPE_CHECKING:
    import pandas


def _frame(columns: dict[str, Any], index: str) -> "pandas.DataFrame":
    """Columns of equal length as a data frame whose index has a name."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError(
            "a data frame needs pandas, which is not installed; pip install 'tfrobust[dataframe]'"
        ) from error
    frame = pandas.DataFrame(columns)
    frame.index.name = index
    return frame


def report_frame(report: AraReport) -> "pandas.DataFrame":
    """A row for each image: its smallest sizes, then those of each attack for each goal."""
    columns = {
        "attack_rmse": report.attack_rmse,
        "btr_rmse": report.btr_rmse,
        "attack_linf": report.attack_linf,
    }
    columns |= {f"{record.goal}: {record.name}": record.rmse for record in report.attacks}
    return _frame(columns, "image")


def certificate_frame(certificate: Certificate) -> "pandas.DataFrame":
    """A row for each image."""
    return _frame(
        {name: getattr(certificate, name) for name in ("predicted", "votes", "l2", "rmse")},
        "image",
    )


def clever_frame(clever: Clever) -> "pandas.DataFrame":
    """A row for each image."""
    return _frame({name: getattr(clever, name) for name in ("l2", "rmse", "rival", "fit")}, "image")


def comparison_frame(comparison: Comparison) -> "pandas.DataFrame":
    """A row for each goal."""
    goals = {"attack": comparison.attack, "btr": comparison.btr}
    columns = {
        name: [getattr(ratio, name) for ratio in goals.values()]
        for name in ("value", "low", "high", "paired")
    }
    frame = _frame(columns, "goal")
    return frame.set_axis(list(goals), axis=0).rename_axis("goal")
