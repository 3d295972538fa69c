"""The record of explanations: what follows from its fields, and its file."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tfrobust.errors import InputError
from tfrobust.explanations import Explanation

RNG = np.random.default_rng(0)
IMAGES = RNG.random((2, 3, 3, 1), np.float32)
DELTA = RNG.normal(0, 0.1, IMAGES.shape).astype(np.float32)
FOUND = Explanation(
    explanation=IMAGES + DELTA,
    difference=DELTA,
    target=np.array([1, 0], np.int32),
    confidence_before=np.array([0.25, 0.5], np.float32),
    confidence_after=np.array([0.75, 0.5], np.float32),
    rmse=np.array([0.1, 0.05], np.float32),
    rho=0.1,
    reached=np.array([True, False]),
    attribution=DELTA,
    map=np.abs(DELTA).sum(axis=-1),
    method="g_explain+ (RMSE 0.1)",
)


def test_what_follows_from_the_fields() -> None:
    # One rounding each way in float32, of numbers below 2.
    np.testing.assert_allclose(FOUND.image, IMAGES, atol=3e-7)
    assert FOUND.falls_short.tolist() == [False, True]
    assert FOUND.explanations is FOUND.explanation


def test_maps_change_no_images() -> None:
    looked = dataclasses.replace(
        FOUND, difference=0 * DELTA, rho=0.0, reached=np.array([True, True])
    )
    assert FOUND.changes_images and not looked.changes_images
    # A search for a change that found none is still a search for a change.
    assert dataclasses.replace(looked, reached=FOUND.reached).changes_images


@pytest.mark.parametrize("rho", [0.1, np.array([0.1, 0.2], np.float32)])
def test_file_there_and_back(tmp_path: Path, rho: float | np.ndarray) -> None:
    found = dataclasses.replace(FOUND, rho=rho)
    found.to_npz(tmp_path / "new" / "found.npz")
    read = Explanation.from_npz(tmp_path / "new" / "found.npz")
    for field in dataclasses.fields(Explanation):
        one, other = getattr(found, field.name), getattr(read, field.name)
        assert type(one) is type(other)
        np.testing.assert_array_equal(one, other)
        assert getattr(one, "dtype", None) == getattr(other, "dtype", None)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "found.npz"
    with pytest.raises(InputError, match="No such file"):
        Explanation.from_npz(path)
    FOUND.to_npz(path)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(InputError, match="to hold an explanation, as to_npz writes it"):
        Explanation.from_npz(path)
    np.savez(path, explanation=IMAGES)
    with pytest.raises(InputError, match="required positional arguments"):
        Explanation.from_npz(path)
    np.savez(path, explanation=np.array([print], object))
    with pytest.raises(InputError, match="allow_pickle=False"):
        Explanation.from_npz(path)
