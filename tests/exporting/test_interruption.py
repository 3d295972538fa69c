import signal

import pytest

from tfrobust.exporting.interruption import deferred


def test_an_interrupt_waits_until_it_is_asked_for():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), deferred() as look:
        look()
        try:
            signal.raise_signal(signal.SIGINT)
        except BaseException:  # as a library that swallows all
            pytest.fail("it did not wait")
        look()
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_interrupt_does_not_wait():
    with pytest.raises(KeyboardInterrupt), deferred():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
