"""Asking a server that serves exported networks: TF Serving, or any that speaks its protocol."""

from tfrobust.serving.client import Client, Explained, Predicted, ServerError

__all__ = ["Client", "Explained", "Predicted", "ServerError"]
