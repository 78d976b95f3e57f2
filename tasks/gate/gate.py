"""The gate: decides for everybody who shares its rules which model call may leave now.

The rules (rates, slots, breaker, order) are kept in Redis for a cluster or in memory for a single
process; this face adds waiting. Callers of one process stand in line (by rank, then fairly across
flows) and one question at a time asks for all of them. If Redis is away, nothing is granted.
"""

import asyncio
import contextlib
import itertools
import math
import uuid
from collections import defaultdict
from collections.abc import Mapping
from contextvars import Context
from dataclasses import replace

from tasks.errors import ConfigurationError, ServiceAwayError
from tasks.gate.line import Ask, Line
from tasks.gate.rules import Answer, Question, Return, Rules, Wish
from tasks.schemas.limits import Ending, GateState, Granted, Limits, Wait

LINES_KEPT = 256
MOST_TOKENS = 10**9
LONGEST_BLOCK_S = 86_400.0

LineKey = tuple[str, str, int]


class Gate:
    """The gate of one process; `lease_s` is how long a slot outlives a killed holder.

    `holder` names the process to those who free its slots once it is known to be gone.
    """

    def __init__(
        self,
        rules: Rules,
        limits: Mapping[str, Limits],
        *,
        lease_s: float = 30.0,
        holder: str = "",
    ) -> None:
        self._rules = rules
        self._limits = dict(limits)
        self._lease_s = lease_s
        self._name = f"{holder}:{uuid.uuid4().hex}" if holder else uuid.uuid4().hex
        self._numbers = itertools.count()
        self._lines: dict[LineKey, Line] = {}
        self._held: dict[str, Granted] = {}
        self._keeper: asyncio.Task[None] | None = None
        self._listener: asyncio.Task[None] | None = None

    def limits(self, provider: str) -> Limits:
        """Limits of a provider. Raises ConfigurationError for one that the gate does not know."""
        try:
            return self._limits[provider]
        except KeyError:
            raise self._unknown(provider) from None

    async def acquire(
        self,
        provider: str,
        *,
        tokens: int = 0,
        run_id: str = "",
        run_slots: int = 0,
        rank: int = 0,
        flow: str = "",
        patience_s: float = math.inf,
    ) -> Granted:
        """Wait for a grant; `tokens` is the estimate that is reserved, `run_slots` the run's cap.

        Lower ranks go first, flows of one rank take turns, over all processes that share the rules.
        Runs with a cap of their own queue apart, so that a full one holds nobody up. Cancelling the
        wait leaves nothing behind. Raises ServiceAwayError when Redis is away, ProviderOpenError
        while the breaker is open, and at once when a block lasts longer than `patience_s`.
        """
        call = self._new_call(provider, run_id, run_slots, tokens)
        line = self._line_of(call)
        return self._hold(
            await line.admitted(call, rank=rank, flow=flow or run_id, patience_s=patience_s)
        )

    async def try_acquire(
        self, provider: str, *, tokens: int = 0, run_id: str = "", run_slots: int = 0
    ) -> Granted | Wait:
        """Ask once, past the lines. Raises ServiceAwayError when Redis is away."""
        call = self._new_call(provider, run_id, run_slots, tokens)
        answer = await self._rules.exchange(
            Question(
                provider=provider,
                limits=self.limits(provider),
                lease_s=self._lease_s,
                run_id=run_id,
                run_slots=run_slots,
                wishes=[Wish(call=call)],
            )
        )
        if not answer.granted:
            return Wait(seconds=answer.wait_s, reason=answer.reason)
        return self._hold(replace(call, tick=answer.tick))

    def settle(
        self,
        granted: Granted,
        *,
        used_tokens: int | None = None,
        ending: Ending = "other",
        sent: bool = True,
    ) -> "asyncio.Future[None]":
        """Return the slot with the next question; whoever wants to waits for the future.

        `used_tokens` corrects the reservation (None leaves it); `ending` moves the breaker; a call
        that was not `sent`, provably, gets its request back. A lease that expired changes nothing.
        The future raises ServiceAwayError when Redis is away: then the slot expires.
        """
        self._held.pop(granted.lease, None)
        used = granted.tokens if used_tokens is None else used_tokens
        return self._line_of(granted).give_back(
            Return(call=granted, used=used, ending=ending, sent=sent)
        )

    def waiting(self, provider: str) -> int:
        """Count the callers of this process that wait for a grant."""
        return sum(line.waiting for (name, *_), line in self._lines.items() if name == provider)

    async def block(self, provider: str, seconds: float) -> None:
        """Stop all grants of a provider for a while (a 429's `Retry-After`), a day at most."""
        await self._rules.block(provider, min(seconds, LONGEST_BLOCK_S))

    async def announce(self) -> None:
        """Tell the cluster which providers there are with which limits, for whoever looks."""
        await self._rules.announce(self._limits)

    async def known(self) -> list[str]:
        """List the providers that have been announced."""
        return await self._rules.known()

    async def change(self, provider: str, **limits: int | None) -> None:
        """Change `slots`, `rpm` or `tpm` for the whole cluster at once; None leaves one as it is.

        Without any, the configured limits hold again, and a block ends.
        """
        wanted = {name: value for name, value in limits.items() if value is not None}
        await self._rules.change(provider, wanted)

    async def state(self, provider: str) -> GateState:
        """Read a provider's gate. Raises ConfigurationError for one that nobody announced."""
        state = await self._rules.state(provider, self._limits.get(provider))
        if state is None:
            raise self._unknown(provider)
        return state

    async def close(self) -> None:
        """Return what was settled, then stop asking and renewing; what is still held expires."""
        await asyncio.gather(*(line.close() for line in self._lines.values()))
        for task in (self._keeper, self._listener):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    def _unknown(self, provider: str) -> ConfigurationError:
        known = ", ".join(sorted(self._limits)) or "none"
        return ConfigurationError(f"the gate knows no provider {provider!r} (known: {known})")

    def _new_call(self, provider: str, run_id: str, run_slots: int, tokens: int) -> Granted:
        """Describe a call that asks for its grant."""
        return Granted(
            provider=provider,
            lease=f"{self._name}{next(self._numbers):x}",
            run_id=run_id,
            run_slots=run_slots,
            tokens=min(tokens, MOST_TOKENS),
        )

    def _line_of(self, call: Granted) -> Line:
        """Find the line of those that share a call's limits: its provider's, or its run's own."""
        provider, run_slots = call.provider, call.run_slots
        run_id = call.run_id if run_slots else ""
        key = (provider, run_id, run_slots)
        line = self._lines.get(key)
        if line is None:
            self.limits(provider)
            if len(self._lines) > LINES_KEPT:
                for idle in [k for k, line in self._lines.items() if line.idle]:
                    del self._lines[idle]

            async def exchange(ask: Ask) -> Answer:
                return self._heard(await self._rules.exchange(self._question(key, ask)))

            def at_once(ask: Ask) -> Answer | None:
                return self._rules.at_once(self._question(key, ask))

            line = Line(exchange, at_once, lambda: self._freed(provider, but=key))
            self._lines[key] = line
        return line

    def _question(self, key: LineKey, ask: Ask) -> Question:
        provider, run_id, run_slots = key
        return Question(
            provider=provider,
            limits=self.limits(provider),
            lease_s=self._lease_s,
            run_id=run_id,
            run_slots=run_slots,
            line=f"{self._name}:{run_id}:{run_slots}",
            fresh=ask.fresh,
            waiting=ask.waiting,
            returns=ask.returns,
            wishes=ask.wishes,
        )

    def _heard(self, answer: Answer) -> Answer:
        if answer.reason and self._listener is None:
            self._listener = asyncio.create_task(self._listen(), context=Context())
        return answer

    def _freed(self, provider: str, *, but: LineKey | None = None) -> None:
        for key, line in self._lines.items():
            if key != but and key[0] == provider:
                line.freed()

    async def _listen(self) -> None:
        async for provider in self._rules.bells():
            self._freed(provider)

    def _hold(self, granted: Granted) -> Granted:
        self._held[granted.lease] = granted
        if self._keeper is None or self._keeper.done():
            self._keeper = asyncio.create_task(self._renew_while_held(), context=Context())
        return granted

    async def _renew_while_held(self) -> None:
        while self._held:
            await asyncio.sleep(self._lease_s / 3)
            groups: dict[tuple[str, str], list[str]] = defaultdict(list)
            for granted in self._held.values():
                groups[granted.provider, granted.run_id].append(granted.lease)
            for (provider, run_id), leases in groups.items():
                with contextlib.suppress(ServiceAwayError):  # tried again in a third of a lease
                    await self._rules.renew(provider, run_id, self._lease_s, leases)
