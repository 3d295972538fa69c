"""Lower bounds on robustness, and estimates that say that they are none."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
