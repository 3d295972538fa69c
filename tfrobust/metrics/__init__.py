"""How good an explanation is."""

from tfrobust.metrics.axiomatic.completeness import Completeness
from tfrobust.metrics.axiomatic.input_invariance import InputInvariance
from tfrobust.metrics.axiomatic.non_sensitivity import NonSensitivity
from tfrobust.metrics.comparison import compare, compare_manipulated
from tfrobust.metrics.complexity.complexity import effective_complexity, entropy, sparseness
from tfrobust.metrics.faithfulness.deletion import Deletion, Insertion
from tfrobust.metrics.faithfulness.infidelity import Infidelity
from tfrobust.metrics.faithfulness.parts import FaithfulnessEstimate, MonotonicityCorrelation
from tfrobust.metrics.faithfulness.region_perturbation import RegionPerturbation
from tfrobust.metrics.faithfulness.road import Road
from tfrobust.metrics.faithfulness.subsets import FaithfulnessCorrelation, SensitivityN
from tfrobust.metrics.localization.detection import average_precision, roc_auc
from tfrobust.metrics.localization.pointing_game import pointing_game
from tfrobust.metrics.localization.relevance import (
    intersection_over_union,
    relevance_mass,
    relevance_rank,
)
from tfrobust.metrics.map_measure import CoveringMeasure, MapMeasure
from tfrobust.metrics.method_measure import MethodMeasure
from tfrobust.metrics.perturbations.effect import confidence_gain, transfer
from tfrobust.metrics.perturbations.monotonicity import Monotonicity, monotonicity
from tfrobust.metrics.perturbations.nearness import distance_to_data
from tfrobust.metrics.robustness.goals.given_map import GivenMap
from tfrobust.metrics.robustness.goals.goal import Goal
from tfrobust.metrics.robustness.goals.mass_centre import MassCentre
from tfrobust.metrics.robustness.goals.rank_order import RankOrder
from tfrobust.metrics.robustness.goals.same_map import SameMap
from tfrobust.metrics.robustness.goals.top_pixels import TopPixels
from tfrobust.metrics.robustness.manipulation import ManipulatedExplanation, Manipulation
from tfrobust.metrics.robustness.noise_measure import NoiseMeasure
from tfrobust.metrics.robustness.prediction_saliency import (
    PredictionSaliency,
    PredictionSaliencyCorrelation,
)
from tfrobust.metrics.robustness.relative_stability import (
    RelativeInputStability,
    RelativeOutputStability,
)
from tfrobust.metrics.robustness.sensitivity import (
    AverageSensitivity,
    LocalLipschitz,
    MaxSensitivity,
)
from tfrobust.metrics.robustness.stability import Stability
from tfrobust.metrics.sanity.random_logit import RandomLogit
from tfrobust.metrics.sanity.randomization import Randomization, RandomizedLikeness
from tfrobust.metrics.similarity import rank_correlation, top_k_overlap
from tfrobust.metrics.table import Table

__all__ = [
    "AverageSensitivity",
    "Completeness",
    "CoveringMeasure",
    "Deletion",
    "FaithfulnessCorrelation",
    "FaithfulnessEstimate",
    "GivenMap",
    "Goal",
    "Infidelity",
    "InputInvariance",
    "Insertion",
    "LocalLipschitz",
    "ManipulatedExplanation",
    "Manipulation",
    "MapMeasure",
    "MassCentre",
    "MaxSensitivity",
    "MethodMeasure",
    "Monotonicity",
    "MonotonicityCorrelation",
    "NoiseMeasure",
    "NonSensitivity",
    "PredictionSaliency",
    "PredictionSaliencyCorrelation",
    "RandomLogit",
    "Randomization",
    "RandomizedLikeness",
    "RankOrder",
    "RegionPerturbation",
    "RelativeInputStability",
    "RelativeOutputStability",
    "Road",
    "SameMap",
    "SensitivityN",
    "Stability",
    "Table",
    "TopPixels",
    "average_precision",
    "compare",
    "compare_manipulated",
    "confidence_gain",
    "distance_to_data",
    "effective_complexity",
    "entropy",
    "intersection_over_union",
    "monotonicity",
    "pointing_game",
    "rank_correlation",
    "relevance_mass",
    "relevance_rank",
    "roc_auc",
    "sparseness",
    "top_k_overlap",
    "transfer",
]
