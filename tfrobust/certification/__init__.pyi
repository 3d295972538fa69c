from .certificate import Certificate as Certificate
from .certificate import certified_radius as certified_radius
from .clever import clever_score as clever_score
from .estimate import Clever as Clever
from .smoothed import Smoothed as Smoothed
from .smoothed import voted_sizes as voted_sizes
from .smoothing import certify as certify
