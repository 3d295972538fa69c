"""Asks a server for a network's answers: TF Serving, or any server that speaks its protocol."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
