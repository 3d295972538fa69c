from .certificate import Certificate as Certificate
from .certificate import certified_radius as certified_radius
from .clever import clever_score as clever_score
from .estimate import Clever as Clever
from .smoothing import Smoothed as Smoothed
from .smoothing import certify as certify
from .smoothing import smoothed as smoothed
