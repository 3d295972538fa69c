"""How good an explanation is."""

from tfrobust.metrics.axiomatic.completeness import completeness
from tfrobust.metrics.axiomatic.input_invariance import input_invariance
from tfrobust.metrics.axiomatic.non_sensitivity import non_sensitivity
from tfrobust.metrics.comparison import compare, compare_manipulated
from tfrobust.metrics.complexity.complexity import effective_complexity, entropy, sparseness
from tfrobust.metrics.faithfulness.deletion import deletion, insertion
from tfrobust.metrics.faithfulness.infidelity import infidelity
from tfrobust.metrics.faithfulness.parts import faithfulness_estimate, monotonicity_correlation
from tfrobust.metrics.faithfulness.region_perturbation import region_perturbation
from tfrobust.metrics.faithfulness.road import road
from tfrobust.metrics.faithfulness.subsets import faithfulness_correlation, sensitivity_n
from tfrobust.metrics.localization.detection import average_precision, roc_auc
from tfrobust.metrics.localization.pointing_game import pointing_game
from tfrobust.metrics.localization.relevance import (
    intersection_over_union,
    relevance_mass,
    relevance_rank,
)
from tfrobust.metrics.perturbations.effect import confidence_gain, transfer
from tfrobust.metrics.perturbations.monotonicity import Monotonicity, monotonicity
from tfrobust.metrics.perturbations.nearness import distance_to_data
from tfrobust.metrics.robustness.manipulation import ManipulatedExplanation, Manipulation
from tfrobust.metrics.robustness.neighbours import Noise
from tfrobust.metrics.robustness.relative_stability import (
    relative_input_stability,
    relative_output_stability,
)
from tfrobust.metrics.robustness.sensitivity import (
    average_sensitivity,
    local_lipschitz,
    max_sensitivity,
)
from tfrobust.metrics.robustness.stability import stability
from tfrobust.metrics.sanity.random_logit import random_logit
from tfrobust.metrics.sanity.randomization import Randomization, randomization
from tfrobust.metrics.similarity import rank_correlation, top_k_overlap
from tfrobust.metrics.table import Table

__all__ = [
    "ManipulatedExplanation",
    "Manipulation",
    "Monotonicity",
    "Noise",
    "Randomization",
    "Table",
    "average_precision",
    "average_sensitivity",
    "compare",
    "compare_manipulated",
    "completeness",
    "confidence_gain",
    "deletion",
    "distance_to_data",
    "effective_complexity",
    "entropy",
    "faithfulness_correlation",
    "faithfulness_estimate",
    "infidelity",
    "input_invariance",
    "insertion",
    "intersection_over_union",
    "local_lipschitz",
    "max_sensitivity",
    "monotonicity",
    "monotonicity_correlation",
    "non_sensitivity",
    "pointing_game",
    "random_logit",
    "randomization",
    "rank_correlation",
    "region_perturbation",
    "relative_input_stability",
    "relative_output_stability",
    "relevance_mass",
    "relevance_rank",
    "road",
    "roc_auc",
    "sensitivity_n",
    "sparseness",
    "stability",
    "top_k_overlap",
    "transfer",
]
