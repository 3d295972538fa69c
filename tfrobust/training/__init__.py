"""Training with the gradient penalty whose weight adapts, and adversarial training.

Importing this package does not import TensorFlow; its names do, when they are first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
