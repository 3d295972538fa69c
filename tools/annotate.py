"""Runs `tfrobust.cli.annotate` from this clone."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this clone, not one installed

from tfrobust.cli.annotate import main

main()
