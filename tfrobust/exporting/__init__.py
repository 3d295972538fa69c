"""From a trained network to what is deployed: SavedModel, Keras file, ONNX, and their card.

`saved_model.export` writes a version, `loading.load_model` reads one back.
"""
