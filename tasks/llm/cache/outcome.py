"""What a call came to, as those read it who waited for it: a completion, or an error for good."""

from typing import Literal

from tasks.errors import BadReplyError, PermanentError, RefusedCallError
from tasks.schemas.completion import Completion
from tasks.schemas.frozen import Frozen


class SharedError(Frozen):
    """A permanent error of a call; its message holds no prompt and no key, as none does."""

    kind: Literal["refused", "bad reply"]
    message: str
    hint: str
    status: int = 0


class Outcome(Frozen):
    """Either of the two."""

    completion: Completion | None = None
    error: SharedError | None = None

    def unwrap(self) -> Completion:
        """Return the completion. Raises the error."""
        if self.completion is not None:
            return self.completion
        if self.error is not None and self.error.kind == "refused":
            raise RefusedCallError(
                self.error.message, status=self.error.status, hint=self.error.hint
            )
        raise BadReplyError(self.error.message if self.error else "the shared reply is empty")


def outcome_of(error: PermanentError) -> Outcome | None:
    """Describe an error that everybody would get; None for one that may be ours alone."""
    if isinstance(error, RefusedCallError):
        return Outcome(
            error=SharedError(
                kind="refused", message=str(error), hint=error.hint, status=error.status
            )
        )
    if isinstance(error, BadReplyError):
        return Outcome(error=SharedError(kind="bad reply", message=str(error), hint=error.hint))
    return None
