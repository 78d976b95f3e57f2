"""Ends what a process that is gone still holds in the ledger.

That it is gone is the caller's to prove. A process that lives after all goes on working until
somebody else claims its step; fencing keeps it from storing then.
"""

from collections import defaultdict

from tasks.store import keys
from tasks.store.ledger import Ledger

STEPS_A_SCRIPT = 500


async def end_leases(ledger: Ledger, holder: str) -> dict[str, int]:
    """End the leases of a holder; returns how many there were, by run."""
    steps: dict[str, list[str]] = defaultdict(list)
    for member in await ledger.redis.zrangebyscore(keys.DUE, await ledger.now_ms(), "+inf"):
        run_id, step = member.split(" ", 1)
        steps[run_id].append(step)
    ended: dict[str, int] = defaultdict(int)
    for run_id, due in steps.items():
        for start in range(0, len(due), STEPS_A_SCRIPT):
            part = due[start : start + STEPS_A_SCRIPT]
            ended[run_id] += await ledger.end_leases(run_id, holder, part)
    return {run_id: count for run_id, count in ended.items() if count}
