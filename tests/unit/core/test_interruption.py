"""Signals that wait for a good moment."""

import signal
import threading

import pytest

from components.core.interruption import held_back


def test_a_signal_waits_for_the_end_of_the_block():
    done = []

    def work():
        with held_back() as asked:
            assert not asked()
            signal.raise_signal(signal.SIGINT)
            assert asked()
            done.append("saved")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["saved"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_signal_does_not_wait():
    done = []

    def work():
        with held_back():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            done.append("saved")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == []


def test_without_a_signal_nothing_happens_and_handlers_come_back():
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with held_back() as asked:
        assert not asked()
    assert before == [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]


def test_another_thread_just_works():
    answers = []

    def work():
        with held_back() as asked:
            answers.append(asked())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert answers == [False]
