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


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with held_back() as asked:
            signal.raise_signal(signal.SIGINT)
            assert not asked()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_who_may_have_left_early_does_not_go_on():
    def work():
        with held_back():
            signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        with pytest.raises(SystemExit) as ended:
            work()
        assert ended.value.code == 130
    finally:
        signal.signal(signal.SIGINT, before)
