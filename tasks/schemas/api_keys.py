"""A key of the HTTP API, as it is kept: never the secret itself."""

from dataclasses import dataclass

from tasks.schemas.frozen import Frozen


class ApiKey(Frozen):
    """Who may ask: `digest` is the SHA-256 of the secret; 0 means no limit.

    `rpm` are requests a minute on average (ten seconds' worth at once), `runs` how many of its runs
    may be open at a time.
    """

    id: str
    name: str
    digest: str
    created_ms: int
    revoked_ms: int | None = None
    rpm: int = 0
    runs: int = 0


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a request may go on: `key` is None for a wrong key, `wait_s` over 0 for too many."""

    key: ApiKey | None
    wait_s: float = 0.0
