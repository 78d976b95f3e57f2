"""All batches of one provider, and how each passes from validating to its end."""

import asyncio
import time
from collections import OrderedDict

from tasks.llm.simulator.batches.answers import LineAnswer, LineAnswers, unanswered
from tasks.llm.simulator.batches.batch import Batch
from tasks.llm.simulator.batches.files import Files, StoredFile
from tasks.llm.simulator.batches.lines import BatchLine, read_lines
from tasks.llm.simulator.options import SimulatorOptions
from tasks.llm.simulator.stats import Stats

_KEPT = 10_000
_SLICES = 20  # in how many parts of its time a batch's lines are answered
_UNANSWERED = {
    "expired": (
        "batch_expired",
        "This request could not be executed before the completion window expired.",
    ),
    "cancelled": ("batch_cancelled", "This request was not executed: its batch was cancelled."),
}


class Batches:
    """Starts batches and remembers them; needs a running loop, `close` ends what is under way."""

    def __init__(
        self, options: SimulatorOptions, files: Files, answers: LineAnswers, stats: Stats
    ) -> None:
        self._options = options
        self._files = files
        self._answers = answers
        self._stats = stats
        self._batches: OrderedDict[str, Batch] = OrderedDict()
        self._under_way: set[asyncio.Task[None]] = set()

    def start(self, file: StoredFile, metadata: dict[str, str] | None) -> Batch:
        """Begin a batch; what is wrong with its file shows later, as its state `failed`."""
        now = time.time()
        batch = Batch(
            input_file_id=file.id,
            metadata=metadata,
            expires_at=int(now + self._options.batch_window_s),
        )
        batch.move("validating", now)
        self._batches[batch.id] = batch
        if len(self._batches) > _KEPT:
            self._batches.popitem(last=False)
        self._stats.batches["created"] += 1
        task = asyncio.get_running_loop().create_task(self._pass(batch, file.content))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return batch

    def get(self, batch_id: str) -> Batch | None:
        """Find a batch."""
        return self._batches.get(batch_id)

    def newest(self, *, after: str, limit: int) -> tuple[list[Batch], bool]:
        """List batches, the newest first, behind the one with id `after`; and whether more are."""
        batches = list(reversed(self._batches.values()))
        ids = [batch.id for batch in batches]
        start = ids.index(after) + 1 if after in ids else 0
        return batches[start : start + limit], start + limit < len(batches)

    def cancel(self, batch: Batch) -> None:
        """Ask a batch to end early; what is answered by then stays."""
        if not batch.ended:
            batch.move("cancelling", time.time())

    async def close(self) -> None:
        """End what is under way."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _pass(self, batch: Batch, content: bytes) -> None:
        await asyncio.sleep(0)
        lines, errors = read_lines(content, most=self._options.batch_max)
        if errors:
            batch.errors = errors
            self._end(batch, "failed")
            return
        batch.total = len(lines)
        if batch.status != "cancelling":
            batch.move("in_progress", time.time())
        answered = await self._answer(batch, lines)
        if batch.status == "in_progress":
            batch.move("finalizing", time.time())
            await asyncio.sleep(0)
            ended = "completed" if len(answered) == len(lines) else "expired"
        else:
            ended = "cancelled"
        rest = lines[len(answered) :]
        code, message = _UNANSWERED.get(ended, ("", ""))
        self._write(batch, [*answered, *(unanswered(n, code=code, message=message) for n in rest)])
        self._end(batch, ended)

    async def _answer(self, batch: Batch, lines: list[BatchLine]) -> list[LineAnswer]:
        """Answer lines, spread over the batch's time, until it is cancelled or expires."""
        begun = time.monotonic()
        delay_s, window_s = self._options.batch_delay_s, self._options.batch_window_s
        answered: list[LineAnswer] = []
        for part in range(1, _SLICES + 1):
            due_s = delay_s * part / _SLICES
            await asyncio.sleep(max(0.0, begun + min(due_s, window_s) - time.monotonic()))
            if batch.status == "cancelling" or due_s > window_s:
                break
            for line in lines[len(answered) : len(lines) * part // _SLICES]:
                answered.append(self._answers.answer(line))
                batch.completed += answered[-1].good
                batch.failed += not answered[-1].good
                await asyncio.sleep(0)
        return answered

    def _write(self, batch: Batch, answers: list[LineAnswer]) -> None:
        batch.output_file_id = self._file(f"{batch.id}_output", [a.text for a in answers if a.good])
        bad = [a.text for a in answers if not a.good]
        batch.error_file_id = self._file(f"{batch.id}_error", bad)

    def _file(self, name: str, lines: list[str]) -> str | None:
        if not lines:
            return None
        content = ("\n".join(lines) + "\n").encode("utf-8", "surrogatepass")
        now = time.time()
        return self._files.add(content, name=f"{name}.jsonl", purpose="batch_output", now=now).id

    def _end(self, batch: Batch, ended: str) -> None:
        batch.move(ended, time.time())  # type: ignore[arg-type]  # one of the four that are left
        self._stats.batches[ended] += 1
