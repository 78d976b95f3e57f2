"""Celery the obvious way: threads, sync httpx in the task, results in Redis.

Run as a script it starts its worker and sends; see benchmarks/path.py for the variables.
"""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
from celery import Celery, group

app = Celery("plain_celery", broker=os.environ["BENCH_REDIS"], backend=os.environ["BENCH_REDIS"])
IN_FLIGHT = int(os.environ["BENCH_IN_FLIGHT"])
BODY = Path(os.environ["BENCH_BODY"]).read_bytes()
client = httpx.Client(timeout=60)


@app.task(name="call")
def call(_: int) -> str:
    """Make one call and return its text."""
    answer = client.post(
        os.environ["BENCH_URL"] + "/chat/completions",
        content=BODY,
        headers={"Content-Type": "application/json"},
    )
    answer.raise_for_status()
    return str(answer.json()["choices"][0]["message"]["content"])


def main() -> None:
    """Start one worker, send all calls, wait for their results, print one JSON line."""
    worker = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "plain_celery", "worker", "-P", "threads",
         "-c", str(IN_FLIGHT), "-l", "ERROR"],
        cwd=Path(__file__).parent,
    )  # fmt: skip
    try:
        while not app.control.ping(timeout=0.5):
            pass
        before = sum(psutil.Process(worker.pid).cpu_times()[:2])
        began = time.monotonic()
        sent = group(call.s(i) for i in range(int(os.environ["BENCH_CALLS"]))).apply_async()
        texts = sent.get(timeout=300, propagate=False)
        wall = time.monotonic() - began
        spent = sum(psutil.Process(worker.pid).cpu_times()[:2]) - before
    finally:
        worker.terminate()
        worker.wait()
    used = resource.getrusage(resource.RUSAGE_SELF)
    failed = sum(not isinstance(text, str) for text in texts)
    cpu_s = used.ru_utime + used.ru_stime + spent
    print(json.dumps({"wall_s": wall, "cpu_s": cpu_s, "failed": failed}))


if __name__ == "__main__":
    main()
