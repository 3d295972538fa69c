<<<<<<< HEAD
"""From a trained network to what is deployed: SavedModel, Keras file, ONNX, and their card."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
=======
"""Exports a trained network: SavedModel, Keras file, ONNX files and a model card.

`saved_model.export` writes a version. `tfrobust.core.loading.load_model` reads one back.
"""
>>>>>>> 0c6940b (Datasets: the builder of TensorFlow Datasets in a file of its own, one record for a training stream, plain prose)
