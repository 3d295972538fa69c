"""Image classifiers that resist adversarial examples, explain themselves with them, and ship.

After Woods, Chen and Teuscher, "Adversarial explanations for understanding image
classification decisions and improved neural network robustness", Nature Machine
Intelligence 2019 (arXiv 1906.02896).

`import tfrobust` is quick and is enough: every name loads at its first use, and TensorFlow with the
first name that needs it. `__init__.pyi` lists the names; editors and type checkers read it too.
"""

import lazy_loader

from tfrobust.core import presenters as _presenters
from tfrobust.core.registration import when_keras_is_imported

__version__ = "0.2.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

# Records are drawn by a room that they must not import; this names it.
_presenters.module = "tfrobust.reports.presenters"
when_keras_is_imported()
