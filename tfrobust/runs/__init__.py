"""A run: its configuration, what is built of it, its loop, its folder and its stages."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
