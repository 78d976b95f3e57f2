"""What a retry makes due again: the `due_again` of `retry --json`."""

from tasks.schemas.frozen import Frozen


class DueAgain(Frozen):
    """How many steps, of which parts, and how many model calls they usually take.

    `failed` of them had ended without success, `changed` would come out otherwise now, the others
    are made from those. `not_asked` counts the done steps that `--changed` would make due as well.
    """

    steps: int
    by_part: dict[str, int]
    calls: int
    failed: int
    changed: int
    not_asked: int
