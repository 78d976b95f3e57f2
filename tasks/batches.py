"""Submits the calls of runs in batch mode, fetches their answers and wakes the steps that wait.

One process leads for each provider. What must not be forgotten is in the ledger before it is sent,
so that a successor goes on where a crash left off (docs/decisions/0020).
"""

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from structlog.contextvars import bound_contextvars

from tasks import dispatch, measures
from tasks.deps import Deps
from tasks.errors import BadReplyError, RefusedCallError, ServiceAwayError, TransientError
from tasks.llm.batch_client import BatchClient, BatchView
from tasks.llm.batch_lines import (
    chunked,
    counted_as,
    failed,
    input_file,
    line_of,
    reply_of,
    uncounted,
)
from tasks.llm.providers import Provider
from tasks.schemas.batches import BatchReply, CallRow, Chunk
from tasks.store.batch_calls import CALLS_A_PIECE, BatchRun

log = logging.getLogger(__name__)

MOST_BYTES = 90 * 2**20  # below the 100 MB and 200 MB that providers take
LONGEST_LINGER = 12  # times the linger: a run that never falls quiet is submitted anyway
FULL_WAIT_MS = 60_000
FULL = "token_limit_exceeded"


class BatchDesk:
    """Serves all batch runs of one provider.

    `leads` asks whether this process still may; `send` sends the steps that are due.
    """

    def __init__(
        self,
        deps: Deps,
        provider: Provider,
        client: BatchClient,
        *,
        leads: Callable[[], Awaitable[bool]],
        send: Callable[..., None] = dispatch.send_steps,
    ) -> None:
        self._send = send
        self._deps = deps
        self._calls = deps.batch_calls
        self._provider = provider
        self._client = client
        self._leads = leads
        self._untried: set[str] = set()  # planned in this very round: nobody sent them yet
        self._waiting_since: dict[str, float] = {}
        self._look_at: dict[str, float] = {}

    async def round(self) -> None:
        """Do what is due now for every run; a provider in trouble is asked again later."""
        for run_id in await self._calls.runs(self._provider.name):
            if self._is_due(run_id):
                with bound_contextvars(run=run_id):
                    await self._serve_or_rest(run_id)

    async def _serve_or_rest(self, run_id: str) -> None:
        try:
            await self._serve(run_id)
        except (TransientError, BadReplyError) as error:
            self._rest(run_id)
            log.warning("batches of %s wait: %s", run_id, error)

    async def _serve(self, run_id: str) -> None:
        self._untried.clear()
        run = await self._calls.run(run_id)
        if not run.known:
            await self._calls.leave(run_id, self._provider.name)
            return
        if run.cancelled:
            free = await self._calls.outstanding(run_id)
            await self._calls.drop(run_id, [row.key for row in free])
        elif run.waiting:
            await self._plan(run_id, run)
        chunks = await self._calls.chunks(run_id)
        for chunk in chunks:
            await self._advance(run_id, chunk, cancelled=run.cancelled)
        if not chunks:
            await self._calls.close(run_id, self._provider.name)

    # --- planning ---------------------------------------------------------------------------

    async def _plan(self, run_id: str, run: BatchRun) -> None:
        """Write down chunks once a run asks nothing new for a while."""
        rows = await self._calls.outstanding(run_id)
        if not rows:
            self._waiting_since.pop(run_id, None)
            return
        since = self._waiting_since.setdefault(run_id, time.monotonic())
        linger_s = self._deps.settings.batch_linger_s
        quiet = run.quiet_ms >= linger_s * 1000
        late = time.monotonic() - since >= linger_s * LONGEST_LINGER
        if not quiet and not late and len(rows) < self._provider.max_batch:
            return
        del self._waiting_since[run_id]
        for model, part in chunked(rows, most=self._provider.max_batch, most_bytes=MOST_BYTES):
            chunk = Chunk(
                id=f"c-{secrets.token_hex(8)}",
                model=model,
                calls=len(part),
                created_ms=await self._deps.ledger.now_ms(),
            )
            if await self._calls.intend(run_id, chunk, [row.key for row in part]):
                self._untried.add(chunk.id)

    # --- submitting -------------------------------------------------------------------------

    async def _advance(self, run_id: str, chunk: Chunk, *, cancelled: bool) -> None:
        try:
            if chunk.state == "planned":
                await self._submit(run_id, chunk, cancelled=cancelled)
            else:
                await self._look(run_id, chunk, cancelled=cancelled)
        except RefusedCallError as error:
            if chunk.state != "planned" and error.status != 404:
                raise TransientError(str(error)) from error  # a key that is put right goes on
            log.warning("the batch of %s is refused: %s", run_id, error)
            await self._fail(run_id, chunk, f"{error} (in batch mode)", status=error.status)

    async def _submit(self, run_id: str, chunk: Chunk, *, cancelled: bool) -> None:
        """Create a chunk's batch, unless it is there already: ours, or a crashed predecessor's."""
        if chunk.id not in self._untried and await self._adopt(run_id, chunk):
            return
        if cancelled:
            rows = await self._calls.outstanding(run_id, chunk.id)
            await self._take(run_id, chunk, [uncounted(row) for row in rows])
            await self._close(run_id, chunk)
            return
        if chunk.not_before_ms > await self._deps.ledger.now_ms():
            return
        self._untried.discard(chunk.id)
        given = chunk.file_id
        if not given:
            chunk = chunk.model_copy(update={"file_id": await self._upload(run_id, chunk)})
            await self._calls.note(run_id, chunk)
        if not await self._leads():
            raise TransientError("another process submits by now")
        try:
            view = await self._client.create(chunk.file_id, chunk_id=chunk.id, run_id=run_id)
        except RefusedCallError:
            if not given:
                raise
            await self._calls.note(run_id, chunk.model_copy(update={"file_id": ""}))
            return  # the provider forgot a file that was uploaded long ago
        await self._created(run_id, chunk, view)

    async def _adopt(self, run_id: str, chunk: Chunk) -> bool:
        """Look for a chunk's batch at the provider; of two the younger is cancelled."""
        found = await self._client.find(chunk.id, since_s=chunk.created_ms / 1000)
        for double in found[1:]:
            log.warning("batch %s doubles %s and is cancelled", double.id, found[0].id)
            await self._client.cancel(double.id)
        if found:
            await self._created(run_id, chunk, found[0])
        return bool(found)

    async def _created(self, run_id: str, chunk: Chunk, view: BatchView) -> None:
        update = {"state": "created", "batch_id": view.id}
        await self._calls.note(run_id, chunk.model_copy(update=update))
        log.info("%d calls of %s are in batch %s", chunk.calls, run_id, view.id)

    async def _upload(self, run_id: str, chunk: Chunk) -> str:
        rows = await self._calls.outstanding(run_id, chunk.id)
        bodies = await self._calls.bodies(run_id, [row.key for row in rows])
        lines = [line_of(key, body, endpoint=self._client.endpoint) for key, body in bodies.items()]
        return await self._client.upload(f"castline-{chunk.id}.jsonl", input_file(lines))

    # --- looking ----------------------------------------------------------------------------

    async def _look(self, run_id: str, chunk: Chunk, *, cancelled: bool) -> None:
        """Look how far a batch is, every poll; take in what it answered when it has ended."""
        if cancelled and chunk.state != "cancelling":
            await self._client.cancel(chunk.batch_id)
            chunk = chunk.model_copy(update={"state": "cancelling"})
            await self._calls.note(run_id, chunk)
        elif not self._is_due(chunk.id):
            return
        self._rest(chunk.id)
        view = await self._client.batch(chunk.batch_id)
        if view.status in ("completed", "expired", "cancelled"):
            await self._harvest(run_id, chunk, view)
        elif view.status == "failed":
            await self._rejected(run_id, chunk, view)
        elif view.status != "validating" and chunk.state == "created":
            await self._calls.accepted(run_id, chunk.model_copy(update={"state": "accepted"}))

    async def _rejected(self, run_id: str, chunk: Chunk, view: BatchView) -> None:
        """Deal with a batch that failed its validation: nothing of it was made."""
        if FULL in view.error_codes:  # the provider's queue is full: later, the same chunk
            later = await self._deps.ledger.now_ms() + FULL_WAIT_MS
            update = {"state": "planned", "batch_id": "", "not_before_ms": later}
            await self._calls.note(run_id, chunk.model_copy(update=update))
            return
        codes = sorted({code for code in view.error_codes if re.fullmatch(r"[a-z_]{1,60}", code)})
        told = f"the provider refused the batch: {', '.join(codes) or 'no reason given'}"
        log.warning("%s: %s", run_id, told)
        await self._fail(run_id, chunk, told)

    async def _harvest(self, run_id: str, chunk: Chunk, view: BatchView) -> None:
        """Take in every answer; what has none is asked again."""
        rows = {row.key: row for row in await self._calls.outstanding(run_id, chunk.id)}
        files = [file for file in (view.output_file_id, view.error_file_id) if file]
        for file_id in files if rows else ():
            replies: list[BatchReply] = []
            async for entry in self._client.lines(file_id):
                row = rows.pop(str(entry.get("custom_id")), None)
                if row is not None:
                    replies.append(self._reply(entry, row, chunk))
                if len(replies) >= CALLS_A_PIECE:
                    await self._take(run_id, chunk, replies)
                    replies = []
            await self._take(run_id, chunk, replies)
        await self._take(run_id, chunk, [self._reply({}, row, chunk) for row in rows.values()])
        await self._close(run_id, chunk)
        await self._tidy([chunk.file_id, *files])

    def _reply(self, entry: dict[str, Any], row: CallRow, chunk: Chunk) -> BatchReply:
        if chunk.state == "cancelling" and not entry.get("response"):
            return uncounted(row)
        reply = reply_of(entry, row, dialect=self._client.dialect)
        measures.count(counted_as(reply))
        return reply

    # --- answers ----------------------------------------------------------------------------

    async def _fail(self, run_id: str, chunk: Chunk, told: str, *, status: int = 0) -> None:
        rows = await self._calls.outstanding(run_id, chunk.id)
        await self._take(
            run_id, chunk, [failed(row, told, status=status, again=False) for row in rows]
        )
        await self._close(run_id, chunk)

    async def _take(self, run_id: str, chunk: Chunk, replies: list[BatchReply]) -> None:
        for start in range(0, len(replies), CALLS_A_PIECE):
            part = replies[start : start + CALLS_A_PIECE]
            due = await self._calls.answered(run_id, chunk.id, part)
            if due:
                await self._wake(run_id, due)

    async def _wake(self, run_id: str, steps: list[str]) -> None:
        """Send the steps that wait for nothing more; what cannot be sent now is upkeep's."""
        request = await self._deps.request(run_id)
        group = self._deps.settings.tweet_group
        try:
            await asyncio.to_thread(self._send, run_id, steps, request, group=group)
        except ServiceAwayError as error:
            log.warning("%d steps of %s are left to upkeep: %s", len(steps), run_id, error)

    async def _close(self, run_id: str, chunk: Chunk) -> None:
        await self._calls.close(run_id, self._provider.name, chunk.id)
        self._look_at.pop(chunk.id, None)

    async def _tidy(self, files: Iterable[str]) -> None:
        """Delete files that are done with; one that stays expires at the provider."""
        for file_id in filter(None, files):
            try:
                await self._client.delete(file_id)
            except (TransientError, BadReplyError, RefusedCallError) as error:
                log.info("%s stays at the provider: %s", file_id, error)

    # --- pace -------------------------------------------------------------------------------

    def _is_due(self, name: str) -> bool:
        return time.monotonic() >= self._look_at.get(name, 0.0)

    def _rest(self, name: str) -> None:
        self._look_at[name] = time.monotonic() + self._deps.settings.batch_poll_s
