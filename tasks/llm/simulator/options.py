"""How the simulated provider behaves: where it listens, how fast and how reliable it is."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from tasks.schemas.frozen import Frozen


class SimulatorOptions(Frozen):
    """Everything is off unless set: 0 and "" mean no limit, no fault, no log, no key.

    `jitter` is a share of `latency_s` (0.2: ±20 %). `rpm` and `tpm` are enforced by token
    buckets of `burst` requests (0: one second's worth, at least one) and one second's tokens; or,
    with `limit_mode="window"`, as at most so many in any 60 s. A batch takes `batch_delay_s`, holds
    at most `batch_max` requests and expires after `batch_window_s`. `fault_wait_s` is the
    `Retry-After` of a 429 that is a fault.
    """

    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65535)
    latency_s: float = Field(default=0.05, ge=0)
    jitter: float = Field(default=0, ge=0, le=1)
    tokens_per_s: float = Field(default=0, ge=0)
    rpm: int = Field(default=0, ge=0)
    tpm: int = Field(default=0, ge=0)
    burst: int = Field(default=0, ge=0)
    limit_mode: Literal["bucket", "window"] = "bucket"
    slots: int = Field(default=0, ge=0)
    faults: str = ""
    fault_wait_s: float = Field(default=1, ge=0)
    seed: int = 0
    log: Path | None = None
    api_key: str = ""
    vision: bool = True
    batch_delay_s: float = Field(default=1.0, ge=0)
    batch_max: int = Field(default=50_000, ge=1)
    batch_window_s: float = Field(default=86_400.0, gt=0)
