import signal
import time

import pytest

from tfrobust.core.interruption import ONE_PRESS, deferred


def test_a_signal_waits_until_it_is_asked_for() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), deferred() as look:
        look()
        try:
            signal.raise_signal(signal.SIGINT)
        except BaseException:  # as a library that swallows all
            pytest.fail("it did not wait")
        look()
        pytest.fail("it was asked for")
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_is_not_asked_for_counts_at_the_end(number: signal.Signals) -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), deferred():
        signal.raise_signal(number)
        done.append("the rest")
    assert done


def test_an_error_goes_before_a_signal() -> None:
    with pytest.raises(ZeroDivisionError), deferred():
        signal.raise_signal(signal.SIGINT)
        raise ZeroDivisionError


def test_a_second_ctrl_c_does_not_wait() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), deferred():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)  # the same press, passed on by a launcher
        signal.raise_signal(signal.SIGTERM)  # schedulers repeat themselves
        done.append("the first press")
        time.sleep(2 * ONE_PRESS)
        signal.raise_signal(signal.SIGTERM)
        done.append("a scheduler's repetition")
        signal.raise_signal(signal.SIGINT)
        done.append("never")
    assert done == ["the first press", "a scheduler's repetition"]


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with deferred() as look:
            signal.raise_signal(signal.SIGINT)
            look()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
