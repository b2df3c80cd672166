"""When a training saves itself."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, final

from components.core.checkpoint import Checkpoint

_EVERY_S: Final = 20.0
_SHARE: Final = 0.1  # of the time at most goes into saving, however large the state


@final
class Saves:
    """Saves now and then, and when someone asks the training to stop.

    Args:
        write: puts all that a checkpoint holds into a directory.
        asked_to_stop: whether someone did.
    """

    def __init__(
        self, checkpoint: Checkpoint, write: Callable[[Path], None], asked_to_stop: Callable[[], bool]
    ) -> None:
        self._checkpoint, self._write, self._asked_to_stop = checkpoint, write, asked_to_stop
        self._next = time.monotonic() + _EVERY_S

    def save_if_due(self) -> bool:
        """Save if it is time or someone asked us to stop; whether to stop."""
        stop = self._asked_to_stop()
        start = time.monotonic()
        if stop or start >= self._next:
            self._checkpoint.save(self._write)
            now = time.monotonic()
            self._next = now + max(_EVERY_S, (now - start) / _SHARE)
        return stop
