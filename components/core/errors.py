"""The errors a user can meet. Each knows its exit code; orchestrators decide on it whether to retry."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from components.core.gates import Gate


class RecloopError(Exception):
    """Base of the errors that are shown as one message, without a traceback."""

    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False


class InvalidInputError(RecloopError, ValueError):
    """The recipe, the command or the data cannot be used as given."""

    exit_code = 2


class GateFailedError(RecloopError):
    """A gate stopped the run: the work was done, its result is not good enough to go on.

    Attributes:
        gates: every gate that was looked at, those that passed too.
    """

    exit_code = 3

    def __init__(self, message: str, gates: "Iterable[Gate]" = ()) -> None:
        super().__init__(message)
        self.gates = list(gates)


class ConflictError(RecloopError):
    """Someone else is writing, or has written something else, at the same place."""

    exit_code = 4


class IntegrityError(RecloopError):
    """An artifact is not what its manifest says."""

    exit_code = 5


class InfrastructureError(RecloopError):
    """Disk, network or a server failed; the same command may succeed later."""

    exit_code = 6
    retryable = True


def is_retryable(exit_code: int) -> bool:
    """Whether a process that ended with `exit_code` may succeed when it is started again.

    Our own errors say so themselves; a crash (1) or a signal (negative, or 128 + n) is worth a retry.
    """
    final = {kind.exit_code for kind in RecloopError.__subclasses__() if not kind.retryable}
    return exit_code not in final
