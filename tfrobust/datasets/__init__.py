"""Images to train, attack and explain with. `load(name)` opens every data set.

    data = tfrobust.datasets.load("cifar10", data_dir="…")
    for images, labels in data.train(128, seed=0): ...

Importing this package does not import TensorFlow. `load` does.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
