"""What an outcome in the ledger means to Celery: does the chain go on, and what Flower shows."""

from celery.exceptions import Ignore

from tasks import crashing
from tasks.errors import CastlineError
from tasks.execution import Outcome


class StepFailedError(CastlineError):
    """The step failed for good; why is in the ledger. Shown red in Flower, ends the chain."""


def go_on_or_stop(outcome: Outcome, step: str) -> None:
    """Return when the chain may go on; raise what stops it otherwise.

    Raises StepFailedError after a failure, Ignore when another worker, or a later message, has it.
    """
    crashing.here("before_next")
    if outcome == "failed":
        raise StepFailedError(step)
    if outcome in ("postponed", "elsewhere"):
        raise Ignore
