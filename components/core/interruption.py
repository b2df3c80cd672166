"""A signal that asks to stop, heard at a moment when the work can be saved."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def held_back() -> Iterator[Callable[[], bool]]:
    """Within the block, the first signal to stop does not break in: the function that the block gets tells
    whether one came, so that it can save itself and leave. The signal takes effect at the block's end, and
    whatever its handler does, the block does not end well then: it may have left early. A second signal takes
    effect at once. One that is ignored stays so; outside the main thread, where none arrives, all is as ever.
    """
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)
        restore()

    def restore() -> None:
        for one, handler in before.items():
            signal.signal(one, handler)

    handlers = {one: signal.getsignal(one) for one in _SIGNALS}
    before = {one: handler for one, handler in handlers.items() if handler is not signal.SIG_IGN}
    try:
        for one in before:
            signal.signal(one, note)
    except ValueError:  # not the main thread
        yield lambda: False
        return
    try:
        yield lambda: bool(came)
    finally:
        restore()
        if came:
            signal.raise_signal(came[0])
            raise SystemExit(128 + came[0])
