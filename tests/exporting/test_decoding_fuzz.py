"""Damaged files: folders, programs and the graph give the same pixels, or all refuse."""

import re
import resource
import struct
import zlib
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
from picture_files import all_files

from tfrobust.datasets import pictures
from tfrobust.datasets.headers import PictureError
from tfrobust.datasets.resizing import fit
from tfrobust.exporting.decoding import decoded

SIZE = (16, 12)
FILES = [file.content for file in all_files() if file.in_graph and len(file.content) < 20_000]


def flip(content: bytes, random: np.random.Generator) -> bytes:
    """Some other bits, most of them near the beginning, where the structure is."""
    changed = bytearray(content)
    for _ in range(random.integers(1, 4)):
        last = len(changed) if random.random() < 0.5 else min(len(changed), 200)
        changed[random.integers(last)] ^= 1 << random.integers(8)
    return bytes(changed)


def overwrite(content: bytes, random: np.random.Generator) -> bytes:
    """A number that was small or large."""
    at = random.integers(len(content))
    part = bytes([random.choice([0x00, 0x01, 0x7F, 0x80, 0xFF])]) * int(random.integers(1, 5))
    return content[:at] + part + content[at + len(part) :]


def cut(content: bytes, random: np.random.Generator) -> bytes:
    """A transfer that ended early."""
    return content[: random.integers(len(content))]


def lose(content: bytes, random: np.random.Generator) -> bytes:
    """A block that is missing."""
    first, last = np.sort(random.integers(0, len(content), 2))
    return content[:first] + content[last:]


def insert(content: bytes, random: np.random.Generator) -> bytes:
    """Bytes that do not belong there."""
    at = random.integers(len(content))
    return content[:at] + random.bytes(int(random.integers(1, 40))) + content[at:]


def append(content: bytes, random: np.random.Generator) -> bytes:
    """Something behind the picture."""
    return content + random.bytes(int(random.integers(1, 3000)))


def splice(content: bytes, random: np.random.Generator) -> bytes:
    """The beginning of one file and the end of another."""
    other = FILES[random.integers(len(FILES))]
    return content[: random.integers(len(content))] + other[random.integers(len(other)) :]


MUTATIONS = (flip, overwrite, cut, lose, insert, append, splice)


def with_right_sums(content: bytes) -> bytes:
    """A PNG whose chunks have right checksums again, so that decoders look at what they hold."""
    mended, at = bytearray(content), 8
    while content.startswith(b"\x89PNG") and at + 12 <= len(content):
        (length,) = struct.unpack(">I", mended[at : at + 4])
        end = at + 8 + length
        if end + 4 > len(content):
            break
        mended[end : end + 4] = struct.pack(">I", zlib.crc32(mended[at + 4 : end]))
        at = end + 4
    return bytes(mended)


def mutated(seed: int) -> bytes:
    random = np.random.default_rng(seed)
    content = FILES[random.integers(len(FILES))]
    for _ in range(random.integers(1, 3)):
        if content:
            content = MUTATIONS[random.integers(len(MUTATIONS))](content, random)
    return with_right_sums(content) if random.random() < 0.6 else content


def compare(seeds: range) -> Counter[str]:
    """Puts damaged files through both ways; → how often what came of it."""
    graphs: dict[int, Callable] = {
        channels: tf.function(
            lambda files, channels=channels: decoded(files, SIZE, channels),
            input_signature=[tf.TensorSpec((None,), tf.string)],
            autograph=False,
        )
        for channels in (1, 3)
    }
    outcomes: Counter[str] = Counter()
    for seed in seeds:
        content, channels = mutated(seed), (1, 3)[seed % 2]
        try:
            expected = fit(pictures.decode(content, channels), SIZE)
        except PictureError:
            expected = None
        try:
            found = graphs[channels](tf.constant([content]))[0].numpy() * 255
        except tf.errors.InvalidArgumentError as error:
            assert re.search("expected|Invalid|Could not|size", error.message), error.message
            found = None
        assert (expected is None) == (found is None), f"only one refuses seed {seed}"
        if expected is not None:
            np.testing.assert_array_equal(np.rint(found), expected, err_msg=f"seed {seed}")
        outcomes["refused" if expected is None else "read"] += 1
    return outcomes


def test_a_hundred_damaged_files() -> None:
    outcomes = compare(range(100))
    assert min(outcomes["read"], outcomes["refused"]) > 15


@pytest.mark.slow
def test_two_thousand_damaged_files() -> None:
    compare(range(100))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcomes = compare(range(100, 2100))
    assert min(outcomes["read"], outcomes["refused"]) > 300
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10
    # MiB: a damaged header may claim 100 megapixels, which take 400 MB until the data end.
    assert grown < 1500
