"""Classifies and explains a picture with the ONNX files of an export.

    python examples/onnx_explain.py saved_models/fashion_mnist_mini/1 picture.png [--target Coat]

It needs onnxruntime, numpy and pillow, but neither TensorFlow nor tfrobust. It writes
explanation.png: the picture, the picture changed so that the network is surer of the class, and the
difference around grey.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def picture_of(path: Path, shape: list) -> np.ndarray:
    """Reads a picture, resized to the network's size, as float32 (1, H, W, C) in [0, 1]."""
    _, height, width, channels = shape
    try:
        with Image.open(path) as file:
            picture = ImageOps.exif_transpose(file).convert("L" if channels == 1 else "RGB")
    except OSError as error:
        sys.exit(f"error: expected a picture at {path}: {error}")
    picture = ImageOps.fit(picture, (width, height), Image.Resampling.BILINEAR)
    return np.asarray(picture, np.float32).reshape(1, height, width, channels) / 255


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("version", type=Path, help="a version folder")
    parser.add_argument("picture", type=Path)
    parser.add_argument("--target", help="a class's name; default: the predicted class")
    parser.add_argument("--rho", type=float, default=0.1, help="the size of the change, RMSE")
    parser.add_argument("--output", type=Path, default=Path("explanation.png"))
    flags = parser.parse_args()
    for name in ("classifier.onnx", "explainer.onnx"):
        if not (flags.version / name).is_file():
            sys.exit(f"error: expected a version folder with {name}, got {flags.version}")
    classifier, explainer = (
        onnxruntime.InferenceSession(flags.version / name, providers=["CPUExecutionProvider"])
        for name in ("classifier.onnx", "explainer.onnx")
    )
    metadata = classifier.get_modelmeta().custom_metadata_map
    names, shape = json.loads(metadata["class_names"]), json.loads(metadata["input"])["shape"]
    if flags.target is not None and flags.target not in names:
        sys.exit(f"error: expected --target to be one of {', '.join(names)}, got {flags.target}")
    image = picture_of(flags.picture, shape)
    (probabilities,) = classifier.run(["probabilities"], {"images": image})
    for number in np.argsort(-probabilities[0])[:3]:
        print(f"{probabilities[0][number]:6.1%}  {names[number]}")
    inputs = {
        "images": image,
        "target": np.array([-1 if flags.target is None else names.index(flags.target)], np.int32),
        "direction": np.ones(1, np.int32),
        "rho": np.full(1, flags.rho, np.float32),
    }
    outputs = [output.name for output in explainer.get_outputs()]
    found = dict(zip(outputs, explainer.run(outputs, inputs), strict=True))
    print(
        f"{names[found['class_id'][0]]}: {found['confidence_before'][0]:.1%} → "
        f"{found['confidence_after'][0]:.1%} at RMSE {found['rmse'][0]:.3f}"
    )
    shown = [image[0], found["explanation"][0], 0.5 + found["difference"][0] / (6 * flags.rho)]
    pixels = np.rint(np.clip(np.concatenate(shown, axis=1), 0, 1) * 255).astype(np.uint8)
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(flags.output)
    print(f"written: {flags.output}")


if __name__ == "__main__":
    main()
