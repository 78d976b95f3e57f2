"""The same kind of job on Celery's own chains and chords, with no ledger: the harness's control."""

import os
import signal
import time
from typing import Any

import httpx
import redis
from celery import Celery

PROVIDER = "PLAIN_PROVIDER"
REDIS = "PLAIN_REDIS"
DIES = "PLAIN_DIES_BEFORE_COUNTING"

app = Celery("plain", broker=os.environ.get(REDIS), backend=os.environ.get(REDIS))
app.conf.update(
    task_acks_late=os.environ.get("PLAIN_ACKS_LATE") == "1",
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "visibility_timeout": int(os.environ.get("PLAIN_VISIBILITY_S", "3600")),
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
    },
)


@app.task(name="plain.write")
def write(item: str) -> str:
    """Ask the model for one item and note that it is written."""
    ask(item)
    redis.Redis.from_url(os.environ[REDIS]).sadd("plain:written", item)
    return item


@app.task(name="plain.ask", ignore_result=True)
def ask(item: str) -> None:
    """Ask the model for one item; nothing is written anywhere."""
    body = {"model": "m", "messages": [{"role": "user", "content": item}], "max_tokens": 20}
    answer = httpx.post(
        f"{os.environ[PROVIDER]}/chat/completions",
        json=body,
        headers={"Idempotency-Key": item},
        timeout=60,
    )
    answer.raise_for_status()


@app.task(name="plain.collect")
def collect(items: list[str]) -> None:
    """Note that a chord's body has run."""
    redis.Redis.from_url(os.environ[REDIS]).sadd("plain:collected", ",".join(sorted(items)))


if os.environ.get(DIES):
    counted = type(app.backend).on_chord_part_return

    def die_before_counting(self: Any, request: Any, *given: Any, **named: Any) -> Any:
        """Die at the member that was named: its success is stored, all three are written."""
        if request.args and request.args[0] == os.environ[DIES]:
            while redis.Redis.from_url(os.environ[REDIS]).scard("plain:written") < 3:
                time.sleep(0.05)
            os.kill(os.getpid(), signal.SIGKILL)
        return counted(self, request, *given, **named)

    type(app.backend).on_chord_part_return = die_before_counting
