"""Which request fails, and how: a seeded draw per attempt, so a run can be repeated.

What a fault does to the reply is the server's business.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping

from tasks.errors import BadInputError

KINDS: Mapping[str, str] = {
    "429": "refused with 429 and Retry-After",
    "5xx": "refused with 503",
    "hang": "never answered",
    "badjson": "200, but the content is almost JSON",
    "truncate": "200, cut in the middle, finish_reason length",
    "drop": "the connection is closed in the middle of the reply",
    "html": "200 with an HTML page, as a captive portal answers",
    "empty": "200 with empty content",
}
_REMEMBERED = 200_000


def fault_shares(spec: str) -> dict[str, float]:
    """Parse `429=0.1,hang=0.05` into the share of requests that each fault hits.

    Raises BadInputError naming the wrong part.
    """
    shares: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in spec.split(","))):
        kind, _, written = (piece.strip() for piece in part.partition("="))
        if kind not in KINDS or kind in shares:
            raise _wrong(part, "names no fault" if kind not in KINDS else "repeats a fault")
        try:
            shares[kind] = float(written)
        except ValueError as error:
            raise _wrong(part, "gives no number") from error
        if not 0 <= shares[kind] <= 1:
            raise _wrong(part, "is not a share from 0 to 1")
    if sum(shares.values()) > 1 + 1e-9:
        raise BadInputError(f"the faults {spec!r} add up to more than 1", hint=_HINT)
    return shares


class Faults:
    """Draws a fault, or none, from the seed, the idempotency key and the number of the attempt.

    The attempts of the last 200,000 keys are remembered.
    """

    def __init__(self, spec: str, *, seed: int) -> None:
        self._shares = fault_shares(spec)
        self._seed = seed
        self._attempts: OrderedDict[str, int] = OrderedDict()

    def next_for(self, key: str) -> str | None:
        """The fault of this key's coming attempt; the same until `count` is called."""
        if not self._shares:
            return None
        draw = _uniform(f"{self._seed}\0{key}\0{self._attempts.get(key, 0)}")
        for kind, share in self._shares.items():
            draw -= share
            if draw < 0:
                return kind
        return None

    def count(self, key: str) -> None:
        """The attempt took place."""
        if not self._shares:
            return
        self._attempts[key] = self._attempts.get(key, 0) + 1
        self._attempts.move_to_end(key)
        if len(self._attempts) > _REMEMBERED:
            self._attempts.popitem(last=False)

    def forget(self) -> None:
        """Begin again: no attempt has taken place."""
        self._attempts.clear()


_HINT = "write SHARE as 0 to 1: " + ",".join(f"{kind}=SHARE" for kind in KINDS)


def _wrong(part: str, problem: str) -> BadInputError:
    return BadInputError(f"{part!r} in the faults {problem}", hint=_HINT)


def _uniform(text: str) -> float:
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64
