"""Asking a server that serves exported networks: TF Serving, or any that speaks its protocol."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
