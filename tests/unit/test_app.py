"""Settings of Celery without which messages or chords are lost, or come too often."""

from collections.abc import Mapping
from typing import Any

import pytest

from tasks import app
from tasks.settings import Settings
from workers.gpu import HARD_LIMIT_S, REDELIVER_S


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Mapping[str, Any]:
    """Read Celery's settings as a worker does."""
    given = Settings(redis_url="redis://127.0.0.1:1/0")
    monkeypatch.setattr(app, "load_settings", lambda: given)
    return app.configuration()


def test_workers_of_two_kinds_never_share_an_index_of_unacked_messages() -> None:
    llm, gpu = (app.transport_options(kind, visibility_timeout_s=9) for kind in ("llm", "gpu"))
    for key in ("unacked_key", "unacked_index_key", "unacked_mutex_key"):
        assert llm[key] != gpu[key]


def test_no_message_is_delivered_again_while_its_step_may_still_be_under_way(
    settings: Mapping[str, Any],
) -> None:
    llm_s = settings["broker_transport_options"]["visibility_timeout"]
    assert llm_s > Settings().call_deadline_s
    assert REDELIVER_S > HARD_LIMIT_S


def test_a_message_lives_until_its_step_has_an_outcome(settings: Mapping[str, Any]) -> None:
    for name in ("task_acks_late", "task_acks_on_failure", "task_reject_on_worker_lost"):
        assert settings[name] is True
    assert settings["worker_prefetch_multiplier"] == 1
    assert settings["worker_disable_prefetch"] is True
    assert settings["worker_deduplicate_successful_tasks"] is False


def test_pickles_and_queues_that_nobody_named_are_refused(settings: Mapping[str, Any]) -> None:
    assert settings["accept_content"] == ["json"]
    assert settings["task_create_missing_queues"] is False


def test_dead_connections_of_broker_and_backend_are_noticed(settings: Mapping[str, Any]) -> None:
    assert settings["broker_transport_options"]["health_check_interval"] > 0
    assert settings["redis_backend_health_check_interval"] > 0
    for wait in ("socket_timeout", "socket_connect_timeout"):
        assert settings["broker_transport_options"][wait] > 0
        assert settings[f"redis_{wait}"] > 0
