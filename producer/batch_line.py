"""Says in one line of 80 columns what a run in batch mode waits for."""

from tasks.schemas.batches import BatchStanding

_LONGEST_ID = 12


def batch_line(batch: BatchStanding | None) -> str:
    """Name the calls that are back and the batch they are in; "" when nothing is waited for."""
    if batch is None or not batch.pending + batch.submitted:
        return ""
    back = f"{batch.back:,} of {batch.asked:,} calls back"
    if not batch.batches:
        return f"gathering calls for the provider's batch ({back})"
    return f"waiting for the provider's batch ({back}, {_batches(batch.batches)})"


def _batches(batches: tuple[str, ...]) -> str:
    if len(batches) > 1:
        return f"{len(batches)} batches"
    name = batches[0]
    return name if len(name) <= _LONGEST_ID else name[:_LONGEST_ID] + "..."
