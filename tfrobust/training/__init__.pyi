from .adversarial import L2MinWalk as L2MinWalk
from .adversarial import L2Walk as L2Walk
from .ball import Madry as Madry
from .ball import Trades as Trades
from .classifier import RobustClassifier as RobustClassifier
from .penalty import InputGradientPenalty as InputGradientPenalty
from .perturber import Perturber as Perturber
from .psi import PsiController as PsiController
