"""How far an evaluation is, by what its attacks ask of the network."""

from typing import Any, ClassVar

import pytest

from tfrobust.attacks import DDN, LinearizedMargin, Square
from tfrobust.core.progress import speed
from tfrobust.robustness.attack_progress import AttackProgress, work


def test_the_bar_is_as_long_as_the_work_and_tells_its_speeds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    attacks = [LinearizedMargin(steps=3), DDN(steps=9)]
    gradients = [attack.gradients for attack in attacks]
    each = sum(gradients)
    with AttackProgress(attacks, [10, 4], [1, 0], goals=2, shown=True) as bar:
        assert bar.total == 14 * each and bar.n == 10 * gradients[0]
        bar.start_t -= 10  # seconds
        bar.end(attacks[1], 10)
        bar.begin(attacks[0], "btr")
        postfix = str(bar.postfix)
    images, taken = 10 * gradients[1] / (2 * each) / 10, 10 * gradients[1] / 10
    told = [float(part.split()[0]) for part in postfix.split(", ")[:2]]
    # Three digits are shown, and the test itself takes a moment of the ten seconds.
    assert told == pytest.approx([images, taken], rel=0.02)
    assert f"block 3 of 4, {attacks[0].name}, btr" in postfix
    assert "attacking" in capsys.readouterr().err


def test_answers_count_for_a_third_of_a_gradient() -> None:
    square = Square(steps=300)
    assert square.queries and work(square) == pytest.approx(square.queries / 3)


@pytest.mark.parametrize(
    ("done", "said"),
    [(0, "0 gradients/s"), (24.68, "12.3 gradients/s"), (2500, "1,250 gradients/s")],
)
def test_speeds_are_said_in_plain_digits(done: float, said: str) -> None:
    bar: Any = Elapsed()
    assert speed(bar, done, "gradients") == said


class Elapsed:
    """A bar that has been shown for two seconds."""

    format_dict: ClassVar[dict[str, float]] = {"elapsed": 2.0}
