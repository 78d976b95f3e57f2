"""How full Redis is: who submits looks before it writes, upkeep and `status` warn.

A Redis that is full refuses what would grow it, and kombu then loses what it has just taken from a
queue; the ledger sends that again, but nothing goes on until somebody makes room.
"""

from dataclasses import dataclass

from tasks.connection import TextRedis

WARN_SHARE = 0.7
FULL_SHARE = 0.9
STEP_BYTES = 4000  # a step's row, state, document and events, measured in benchmarks/README.md


@dataclass(frozen=True, kw_only=True)
class Room:
    """Memory in use and the most there may be, in bytes; `most_bytes` is 0 without a limit."""

    used_bytes: int
    most_bytes: int

    @property
    def share(self) -> float:
        """The share in use; 0 without a limit."""
        return self.used_bytes / self.most_bytes if self.most_bytes else 0.0

    def share_with(self, steps: int) -> float:
        """The share in use when a run of so many steps is done."""
        more = Room(used_bytes=self.used_bytes + steps * STEP_BYTES, most_bytes=self.most_bytes)
        return more.share

    @property
    def said(self) -> str:
        """What a person reads."""
        if not self.most_bytes:
            return f"{megabytes(self.used_bytes)} used, no limit"
        return (
            f"{megabytes(self.used_bytes)} of {megabytes(self.most_bytes)} used ({self.share:.0%})"
        )


async def look(redis: TextRedis) -> Room:
    """Ask Redis for its memory."""
    info = await redis.info("memory")
    return Room(used_bytes=int(info["used_memory"]), most_bytes=int(info.get("maxmemory") or 0))


def megabytes(count: int) -> str:
    """Write bytes for a person."""
    return f"{count / 1e6:,.1f} MB"
