"""Builds the images that the package ships: a class-balanced subset of Fashion-MNIST.

    apt-get install dataset-fashion-mnist
    python tools/make_embedded_images.py

Takes the first images of each class, in the order of the original files, and interleaves the
classes, so that every prefix of either split is class-balanced but for one image a class. The
same source files give the same bytes. After a change of the product, put the digest that this
prints into tfrobust/datasets/embedded.py.
"""

import argparse
import gzip
import hashlib
import io
import lzma
import subprocess
from pathlib import Path

import numpy as np

SOURCE = Path("/usr/share/datasets/fashion-mnist")
SOURCE_PACKAGE = "dataset-fashion-mnist"
TARGET = Path(__file__).resolve().parents[1] / "tfrobust" / "datasets" / "embedded_data"
PRODUCT = "fashion_mnist_mini.npy.xz"
CLASSES = 10
TRAIN_PER_CLASS = 1000
TEST_PER_CLASS = 200
IDX_DIMENSIONS = {0x00000801: 1, 0x00000803: 3}

LICENSE = """The MIT License (MIT)

Copyright (c) 2017 Zalando SE, https://tech.zalando.com

Permission is hereby granted, free of charge, to any person obtaining a copy of
this software and associated documentation files (the "Software"), to deal in
the Software without restriction, including without limitation the rights to
use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies
of the Software, and to permit persons to whom the Software is furnished to do
so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
"""


def read_idx(path: Path) -> np.ndarray:
    """Reads an IDX file, the format of MNIST: big-endian header, then unsigned bytes.

    Args:
        path: the gzipped file.

    Returns:
        uint8, of the shape that the header states.

    Raises:
        ValueError: the file is no IDX file of bytes.
    """
    content = gzip.decompress(path.read_bytes())
    magic = int.from_bytes(content[:4], "big")
    if magic not in IDX_DIMENSIONS:
        raise ValueError(f"{path} is no IDX file of images or labels: it starts with {magic:#010x}")
    end = 4 + 4 * IDX_DIMENSIONS[magic]
    shape = np.frombuffer(content[4:end], ">i4")
    return np.frombuffer(content[end:], np.uint8).reshape(shape)


def balanced(images: np.ndarray, labels: np.ndarray, per_class: int) -> np.ndarray:
    """The first images of each class, classes interleaved: 0, 1, …, 9, 0, 1, …

    Args:
        images: uint8 (N, 28, 28).
        labels: uint8 (N,).
        per_class: how many to take of each class.

    Returns:
        uint8 (10 · per_class, 28, 28).
    """
    columns = [np.flatnonzero(labels == label)[:per_class] for label in range(CLASSES)]
    return images[np.stack(columns, axis=1).ravel()]


def build(source: Path = SOURCE) -> bytes:
    """Makes the product.

    Args:
        source: folder of the four IDX files.

    Returns:
        An xz stream of two arrays in NumPy's format, one after the other: images uint8
        (12000, 28, 28), training images first, and labels uint8 (12000,).
    """
    splits = (("train", TRAIN_PER_CLASS), ("t10k", TEST_PER_CLASS))
    images = np.concatenate(
        [
            balanced(
                read_idx(source / f"{split}-images-idx3-ubyte.gz"),
                read_idx(source / f"{split}-labels-idx1-ubyte.gz"),
                per_class,
            )
            for split, per_class in splits
        ]
    )
    labels = np.tile(np.arange(CLASSES, dtype=np.uint8), TRAIN_PER_CLASS + TEST_PER_CLASS)
    buffer = io.BytesIO()
    np.save(buffer, images, allow_pickle=False)
    np.save(buffer, labels, allow_pickle=False)
    return lzma.compress(buffer.getvalue(), lzma.FORMAT_XZ, preset=9 | lzma.PRESET_EXTREME)


def source_version() -> str:
    """The installed version of the Debian package, or "unknown" outside Debian."""
    query = ["dpkg-query", "--show", "--showformat=${Version}", SOURCE_PACKAGE]
    try:
        return subprocess.run(query, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def provenance(source: Path, product: bytes) -> str:
    """The text of PROVENANCE.md: what was taken from where, with every digest."""
    files = "\n".join(
        f"| {path.name} | {hashlib.sha256(path.read_bytes()).hexdigest()} |"
        for path in sorted(source.glob("*.gz"))
    )
    return f"""# fashion_mnist_mini

The first {TRAIN_PER_CLASS} training images and the first {TEST_PER_CLASS} test images of each of
the {CLASSES} classes of Fashion-MNIST, in the order of the original files, classes interleaved:
{CLASSES * TRAIN_PER_CLASS} training and {CLASSES * TEST_PER_CLASS} test images of 28 × 28 grey
pixels, unchanged. Licence: MIT, © 2017 Zalando SE (LICENSE beside this file). Upstream:
https://github.com/zalandoresearch/fashion-mnist (Xiao, Rasul, Vollgraf, 2017, arXiv:1708.07747).

Made by `python tools/make_embedded_images.py` from Debian's `{SOURCE_PACKAGE}`
{source_version()}.

| source file | sha256 |
| --- | --- |
{files}

| product | bytes | sha256 |
| --- | --- | --- |
| {PRODUCT} | {len(product)} | {hashlib.sha256(product).hexdigest()} |
"""


def main() -> None:
    """Writes the product, its licence and its provenance."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, default=SOURCE, help="folder of the IDX files")
    parser.add_argument("--target", type=Path, default=TARGET, help="folder to write to")
    arguments = parser.parse_args()
    if not arguments.source.is_dir():
        parser.error(f"no folder {arguments.source}: apt-get install {SOURCE_PACKAGE}")
    product = build(arguments.source)
    arguments.target.mkdir(parents=True, exist_ok=True)
    (arguments.target / PRODUCT).write_bytes(product)
    (arguments.target / "LICENSE").write_text(LICENSE, encoding="utf-8")
    text = provenance(arguments.source, product)
    (arguments.target / "PROVENANCE.md").write_text(text, encoding="utf-8")
    digest = hashlib.sha256(product).hexdigest()
    print(f"{arguments.target / PRODUCT}: {len(product)} bytes, sha256 {digest}")


if __name__ == "__main__":
    main()
