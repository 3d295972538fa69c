"""What a run says at its end."""

import dataclasses
import os
from pathlib import Path

from tfrobust.robustness import AraReport, LabelsReport


@dataclasses.dataclass(frozen=True, kw_only=True)
class Summary:
    """What a run found, and where it put it.

    Args:
        report: of the robustness; by label where images may have several.
        twin: of the plain twin's kept measurement; None where there is none.
        temperature: of the probabilities of the exported model, or why it has none.
        data: which images it was trained on, and what of them is left out.
        run_folder: configuration, checkpoints, logs and reports.
        version_folder: the exported model.
        seconds: of this call.
    """

    report: AraReport | LabelsReport
    twin: AraReport | None
    temperature: str
    data: str
    run_folder: Path
    version_folder: Path
    seconds: float

    def __str__(self) -> str:
        told = (
            self.report.summary()
            if isinstance(self.report, LabelsReport)
            else self.report.summary(self.twin)
        )
        lines = [
            told,
            "",
            f"temperature {self.temperature}",
            f"images  {self.data}",
            f"run     {self.run_folder}{os.sep}",
            f"report  {self.run_folder / 'report.html'}",
            f"model   {self.version_folder}{os.sep}",
            f"seconds {self.seconds:.0f}",
        ]
        return "\n".join(lines)
