"""Records are drawn by a room above them."""

import subprocess
import sys

import pytest

from tfrobust.core.presenters import present


def test_what_nothing_draws_is_named() -> None:
    with pytest.raises(LookupError, match="draws no str as html"):
        present("no record", "html")


def test_a_report_is_drawn_without_tensorflow() -> None:
    program = (
        "import sys, numpy as np\n"
        "from tfrobust.robustness import AraReport, accuracy_robustness_area\n"
        "sizes = np.array([0.1, 0.2])\n"
        "ara = accuracy_robustness_area(sizes, 2)\n"
        "report = AraReport(name='', data='', num_classes=2, image_shape=(1, 1, 1), bounds=None,\n"
        "    clean_accuracy=1.0, attack_ara=ara, btr_ara=ara, attack_rmse=sizes, btr_rmse=sizes,\n"
        "    attack_linf=sizes, attacks=(), checks={}, unchecked={}, image_hash='',\n"
        "    smoke=False, seed=0, command='', versions={}, seconds=0.0)\n"
        "report.summary(), report._repr_html_()\n"
        "sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
