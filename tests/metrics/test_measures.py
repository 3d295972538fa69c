"""What all measures share: they are told apart by their hyper-parameters, which they tell."""

import pytest

from tfrobust import metrics
from tfrobust.errors import InputError
from tfrobust.metrics import CoveringMeasure, Deletion, Insertion, MapMeasure, MethodMeasure

ABSTRACT = (MapMeasure, CoveringMeasure, MethodMeasure, metrics.NoiseMeasure)
MEASURES = [
    value
    for value in map(metrics.__dict__.get, metrics.__all__)
    if isinstance(value, type)
    and issubclass(value, MapMeasure | MethodMeasure)
    and value not in ABSTRACT
]


@pytest.mark.parametrize("measure", MEASURES)
def test_hyper_parameters_are_told_and_tell_measures_apart(measure: type) -> None:
    one = measure()
    assert one.config()["class"] == measure.__name__
    assert one == measure() and hash(one) == hash(measure())
    assert {other for other in MEASURES if other() == one} == {measure}
    name, value = next((name, value) for name, value in one.config().items() if name != "class")
    if isinstance(value, int | float):
        other = measure(**{name: value / 2 if isinstance(value, float) else value + 1})
        assert other != one and f"{name}={other.config()[name]!r}" in repr(other)


def test_there_are_the_measures_and_what_they_share_is_refused_once() -> None:
    assert len(MEASURES) == 20 and Deletion() != Insertion()
    for measure in MEASURES:
        if issubclass(measure, MapMeasure):
            with pytest.raises(InputError, match="score of 'confidence' or 'logit', got 'margin'"):
                measure(score="margin")
            with pytest.raises(InputError, match="batch_size of at least 1, got 0"):
                measure(batch_size=0)
        if issubclass(measure, CoveringMeasure):
            with pytest.raises(InputError, match="fill from 0 to 1, got 2"):
                measure(fill=2)
