from . import attacks as attacks
from . import certification as certification
from . import core as core
from . import datasets as datasets
from . import explanations as explanations
from . import exporting as exporting
from . import metrics as metrics
from . import models as models
from . import reports as reports
from . import robustness as robustness
from . import runs as runs
from . import serving as serving
from . import training as training
from .certification.smoothing import certify as certify
from .core.door import as_classifier as as_classifier
from .core.door import as_labels as as_labels
from .core.loading import load as load
from .errors import InputError as InputError
from .explanations.adversarial import explain as explain
from .exporting.saved_model import export as export
from .robustness.evaluate import evaluate as evaluate
from .robustness.evaluate_labels import evaluate_labels as evaluate_labels
from .training.classifier import RobustClassifier as RobustClassifier

__version__: str
