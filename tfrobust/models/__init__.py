"""Keras networks that give logits and normalise their input inside.

Importing this package does not import TensorFlow. Its names do, when they are first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
