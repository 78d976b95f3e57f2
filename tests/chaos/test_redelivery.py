"""Messages that come twice find lease or document; none is taken before a thread is free."""

from statistics import mode

import pytest

from tests.castline import wait_for
from tests.chaos.conftest import Size, Start
from tests.chaos.judge import judge
from tests.chaos.task_events import received_messages

pytestmark = pytest.mark.integration


def test_a_call_longer_than_the_visibility_timeout_is_delivered_again_and_paid_once(
    farm: Start, size: Size
) -> None:
    tweets, personas = (50, 10) if size.long else (4, 1)
    site = farm(latency_s=20.0 if size.long else 12.0, slots=250, CASTLINE_REDELIVER_S="2")
    worker = site.supervised("llm")
    wait_for("the worker to listen", lambda: site.consumes(worker.pid))
    with received_messages(site.store.url) as received:
        run_id = site.submit_tweets(tweets, personas=personas)
        site.finished(run_id)
    assert max(received.values()) > 1, received
    verdict = judge(site, run_id, scenario="6 call longer than the visibility timeout")
    assert verdict.done == verdict.steps
    assert verdict.paid == tweets * personas


def test_a_worker_takes_no_more_messages_than_it_has_threads(farm: Start) -> None:
    site = farm(CASTLINE_LLM_CONCURRENCY="2", CASTLINE_TWEET_GROUP="1")
    run_id = site.submit_tweets(20)
    client, taken, waiting = site.store.client(), [], []

    def ended() -> bool:
        taken.append(site.taken())
        waiting.append(client.llen("llm.1-interactive.2-rest"))
        return bool(client.hget(f"castline:run:{run_id}", "state") == "finished")

    wait_for(f"the end of {run_id}", ended)
    assert max(waiting) > 2, "there was never more work than threads"
    assert mode(taken) == 2
    assert max(taken) <= 2 * 2, "each thread has one, and may just have ended another"
