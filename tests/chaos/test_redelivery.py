"""Messages that come twice: the second finds lease or document, and nobody is paid again."""

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
    site = farm(latency_s=20.0 if size.long else 8.0, slots=250, CASTLINE_REDELIVER_S="2")
    worker = site.supervised("llm")
    wait_for("the worker to listen", lambda: site.consumes(worker.pid))
    with received_messages(site.store.url) as received:
        run_id = site.submit_tweets(tweets, personas=personas)
        site.finished(run_id)
    assert max(received.values()) > 1, received
    verdict = judge(site, run_id, scenario="6 call longer than the visibility timeout")
    assert verdict.done == verdict.steps
    assert verdict.paid == tweets * personas
