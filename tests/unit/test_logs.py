"""Every line is JSON with the ids of its work, and holds no secret."""

import asyncio
import json
import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from pydantic import BaseModel, ValidationError
from redis.exceptions import ConnectionError as RedisConnectionError

from tasks import logs
from tasks.logs import LineBuffer, Redaction, ServiceHandler, bind_ids, unbind_ids
from tasks.schemas.ledger import Claim
from tasks.secrets import secrets_of
from tasks.settings import Settings
from tasks.store.leases import LeaseKeeper

SECRET = 'open"sesame\\1'
PROMPT = "my whole prompt"
THIRD_PARTY = "celery.app.trace"


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[LineBuffer]:
    """Log as a service does, into a buffer of our own."""
    kept = LineBuffer()
    monkeypatch.setattr(logs, "buffer", kept)
    handler = ServiceHandler(json_lines=True, service="llm-1@n", redact=Redaction([SECRET]))
    root = logging.getLogger()
    root.addHandler(handler)
    yield kept
    root.removeHandler(handler)
    structlog.contextvars.clear_contextvars()


def entries(kept: LineBuffer) -> list[dict[str, Any]]:
    """Read the lines."""
    return [json.loads(line) for _, line in kept.take()]


def task(name: str) -> Any:
    """Name a task."""
    return SimpleNamespace(name=name)


def test_a_third_partys_line_in_a_task_has_the_tasks_ids(lines: LineBuffer) -> None:
    bind_ids(task("discussion.turn"), args=("r1", "t1.2"), task_id="id")
    logging.getLogger(THIRD_PARTY).warning("Task %s failed", "x")
    unbind_ids()
    logging.getLogger(THIRD_PARTY).warning("between tasks")
    [(run, text), (none, after)] = lines.take()
    entry = json.loads(text)
    assert (run, none) == ("r1", "")
    assert {k: entry[k] for k in ("run", "session", "step", "task_id", "service", "level")} == {
        "run": "r1", "session": "r1", "step": "t1.2", "task_id": "id", "service": "llm-1@n",
        "level": "warning",
    }  # fmt: skip
    assert entry["event"] == "Task x failed"
    assert "run" not in json.loads(after)


def test_only_a_discussion_is_a_session(lines: LineBuffer) -> None:
    bind_ids(task("tweet.write"), args=("r1", ["p0.t1"]), task_id="id")
    logging.getLogger("x").warning("w")
    [entry] = entries(lines)
    assert "session" not in entry
    assert entry["step"] == ["p0.t1"]


def test_a_line_about_a_run_is_that_runs_wherever_it_is_logged(lines: LineBuffer) -> None:
    logging.getLogger("x").warning("sent again", extra={"run": "r2", "step": "s"})
    [(run, line)] = lines.take()
    assert (run, json.loads(line)["run"]) == ("r2", "r2")


class Away:
    """A ledger whose Redis is away; `told` is set when it was asked."""

    lease_s = 0.01

    def __init__(self) -> None:
        self.told = asyncio.Event()

    async def renew(self, *_: Any) -> list[str]:
        """Be away."""
        self.told.set()
        raise RedisConnectionError


@pytest.mark.anyio
async def test_a_shared_timers_line_is_not_of_the_run_that_started_it(lines: LineBuffer) -> None:
    ledger: Any = Away()
    keeper = LeaseKeeper(ledger)
    structlog.contextvars.bind_contextvars(run="first", session="first", step="a")
    keeper.hold(Claim(run_id="first", step="a", verdict="granted"))
    keeper.release(Claim(run_id="first", step="a", verdict="granted"))
    keeper.hold(Claim(run_id="second", step="b", verdict="granted"))
    await ledger.told.wait()
    await keeper.close()
    [(run, line), *_] = lines.take()
    assert run == "second"
    assert "first" not in line


def test_no_key_token_password_or_quoted_value_is_logged(lines: LineBuffer) -> None:
    class Reply(BaseModel):
        """What somebody should have answered."""

        text: int

    log = logging.getLogger("x")
    log.warning("key sk-abcdefghijklmnopqrst and Bearer abc.def, %s", SECRET)
    log.warning("redis://user:hunter2@host:6379/0 is away")
    try:
        Reply.model_validate({"text": PROMPT})
    except ValidationError:
        log.exception("a reply is wrong")
    text = "".join(line for _, line in lines.take())
    hidden = ("abcdefghijkl", "abc.def", "hunter2", "sesame", PROMPT)
    assert [word for word in hidden if word in text] == []
    assert "ValidationError" in text
    assert text.count("***") == 5


def test_every_secret_of_the_settings_is_known_to_the_log() -> None:
    settings = Settings(redis_url="redis://me:hunter%212@h/0", llm_api_key="topsecret")  # type: ignore[arg-type]  # pydantic makes the secrets
    assert {"topsecret", "hunter!2"} <= set(secrets_of(settings))


def test_half_a_character_and_a_long_line_can_be_shipped(lines: LineBuffer) -> None:
    [handler] = [h for h in logging.getLogger().handlers if isinstance(h, ServiceHandler)]
    for event in ("a\ud800b", "w" * 20_000):  # past pytest, whose reports take no half character
        handler.handle(logging.makeLogRecord({"name": "x", "levelname": "INFO", "msg": event}))
    (_, half), (_, long) = lines.take()
    assert json.loads(half)["event"] == "a?b"
    assert len(long) < logs.MOST_CHARACTERS
    assert json.loads(long)["event"].endswith("w…")


def test_a_full_buffer_drops_and_counts(lines: LineBuffer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MOST_BUFFERED", 2)
    for _ in range(5):
        logging.getLogger("x").warning("w")
    assert len(lines.take()) == 2
    assert (lines.forget_dropped(), lines.forget_dropped()) == (3, 0)
