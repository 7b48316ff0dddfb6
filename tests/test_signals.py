"""Ctrl-C and SIGTERM where no run is trained: KeyboardInterrupt, whatever a library makes of it."""

import os
import signal
import threading
from contextlib import suppress
from functools import partial

import pytest

from vae_runner.signals import GracefulStop, interruptible

BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])


@pytest.fixture(autouse=True)
def handlers_as_python_begins():
    """A shell that starts the tests beside something else has them ignore Ctrl-C."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def handlers() -> list:
    return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]


def tell(number: int = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)


def tell_what_tidies_up_what_is_half_made(number: int) -> None:
    half_made: list = []
    try:
        tell(number)
    finally:
        half_made[0].tidy_up()


@BOTH
def test_a_signal_is_a_keyboard_interrupt_that_names_it(number):
    with pytest.raises(KeyboardInterrupt, match=signal.Signals(number).name), interruptible():
        tell(number)


@BOTH
def test_an_exception_in_the_place_of_the_interruption_does_not_hide_it(number):
    with pytest.raises(KeyboardInterrupt, match=signal.Signals(number).name) as raised, interruptible():
        tell_what_tidies_up_what_is_half_made(number)
    assert isinstance(raised.value.__cause__, IndexError)


def test_an_interruption_that_a_library_swallows_comes_out_at_the_end():
    def work():
        with suppress(BaseException):
            tell()
        done.append("the rest")

    done: list[str] = []
    with pytest.raises(KeyboardInterrupt), interruptible():
        work()
    assert done == ["the rest"]


def test_an_exception_without_a_signal_stays_what_it_is():
    with pytest.raises(AttributeError), interruptible():
        raise AttributeError


def test_those_around_know_of_a_signal_that_an_inner_one_was_told_of():
    with pytest.raises(KeyboardInterrupt), interruptible(), suppress(BaseException), interruptible():
        tell()


def test_what_is_to_be_done_first_is_done_before_anything_else_hears_of_it():
    def work():
        try:
            tell()
        finally:
            done.append("tidied up")

    done: list[str] = []
    outer, inner = (interruptible(partial(done.append, name)) for name in ("outer", "inner"))
    with pytest.raises(KeyboardInterrupt), outer, inner:
        work()
    assert done == ["inner", "outer", "tidied up"]


def test_afterwards_signals_go_where_they_went_before():
    before = handlers()
    with interruptible():
        within = handlers()
        with GracefulStop() as stop:
            tell()
        assert handlers() == within != before
    assert stop.requested == "SIGINT"
    assert handlers() == before


def test_a_handler_that_took_its_place_meanwhile_stays():
    def other(number, frame):
        """Of a library, say."""

    before = handlers()
    with interruptible():
        signal.signal(signal.SIGTERM, other)
    assert handlers() == [before[0], other]


def test_in_another_thread_nothing_is_handled():
    within = []

    def work():
        with interruptible(), GracefulStop():
            within.extend(handlers())

    before = handlers()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert within == before
