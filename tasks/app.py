"""The Celery app: every setting, each with its reason.

Celery delivers; the ledger decides. A message may be lost or come twice (docs/architecture.md), so
nothing here tries to make Celery reliable: the settings keep it quick, quiet and harmless.
"""

from collections.abc import Callable, Mapping
from typing import Any

from celery import Celery, Task
from kombu import Exchange, Queue

from tasks.errors import CastlineError
from tasks.routing import LLM_QUEUES
from tasks.settings import load_settings
from tasks.transport import install as install_transport

EXCHANGE = Exchange("castline", type="direct")


def queue_of(name: str) -> Queue:
    """Describe a queue that is reached by its name alone."""
    return Queue(name, exchange=EXCHANGE, routing_key=name)


def configuration() -> Mapping[str, Any]:
    """Celery's settings, read when they are first needed.

    Raises ServiceAwayError when no Redis is configured and no local stack runs.
    """
    settings = load_settings()
    url = settings.broker_url()
    return {
        "broker_url": url,
        "result_backend": url,  # chord counters; documents are in the ledger
        "imports": (
            "tasks.personas",
            "tasks.tweets",
            "tasks.pictures",
            "tasks.discussions",
            "tasks.topics",
        ),  # what a worker can do
        "task_queues": [queue_of(name) for name in LLM_QUEUES],  # GPU workers add their own
        "task_default_queue": LLM_QUEUES[0],  # never used: every signature names its queue
        "task_create_missing_queues": False,  # a typo is an error, not a queue that nobody reads
        "task_acks_late": True,  # a message lives until its step settled
        "task_acks_on_failure": True,  # a failure is an outcome in the ledger
        "task_acks_on_timeout": True,  # a timeout likewise: the lease runs out, upkeep sends again
        "task_reject_on_worker_lost": True,  # a killed child's message comes back
        "worker_prefetch_multiplier": 1,  # a message in one worker's memory helps nobody else
        "worker_disable_prefetch": True,  # take a message only when a thread is free for it
        "task_ignore_result": True,  # the ledger has the result; chord headers opt in
        "task_store_errors_even_if_ignored": False,  # errors are in the ledger too
        "result_expires": 86400,  # chord counters need no longer
        "result_backend_always_retry": True,  # a blip must not lose a chord's count
        "result_backend_max_retries": 60,  # about as long as a Redis restart takes
        "redis_socket_timeout": 30,  # a dead network is noticed
        "redis_socket_connect_timeout": 5,  # an absent host likewise
        "redis_socket_keepalive": True,  # idle connections survive NAT
        "redis_backend_health_check_interval": 25,  # one that died while idle is not used
        "broker_connection_retry_on_startup": True,  # a worker may start before Redis
        "broker_connection_max_retries": None,  # and waits for it for ever
        "broker_transport_options": transport_options(
            "llm", visibility_timeout_s=settings.redeliver_s
        ),
        "task_serializer": "json",  # never pickle
        "result_serializer": "json",  # never pickle
        "accept_content": ["json"],  # a pickled message is refused unread
        "worker_send_task_events": True,  # Flower shows tasks
        "task_send_sent_event": False,  # a third of a sender's time, for what the ledger shows
        "task_track_started": False,  # no result is kept; Flower hears it from the events
        "worker_consumer": "workers.consumer:Consumer",  # sends those in groups
        "worker_hijack_root_logger": False,  # our logging stays as it is set up
        "worker_deduplicate_successful_tasks": False,  # it loses chords; the ledger knows
        "worker_proc_alive_timeout": 300,  # torch takes a while to import
        "worker_cancel_long_running_tasks_on_connection_loss": False,  # a paid call may finish
        "timezone": "UTC",  # one clock for all machines
    }


def transport_options(kind: str, *, visibility_timeout_s: int) -> dict[str, Any]:
    """Redis transport options; each worker kind keeps its own list of unacked messages."""
    return {
        "visibility_timeout": visibility_timeout_s,  # above the longest deadline of the kind
        "queue_order_strategy": "sorted",  # ask queues by name; kombu keeps them in a set
        "unacked_key": f"castline.unacked.{kind}",  # the shortest timeout would win in one index
        "unacked_index_key": f"castline.unacked-index.{kind}",
        "unacked_mutex_key": f"castline.unacked-mutex.{kind}",
        "unacked_restore_interval": 5,  # look often: redelivery costs nothing here
        "unacked_restore_throttle": 1,  # and without a storm
        "socket_timeout": 30,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 10,
    }


class StepTask(Task):  # type: ignore[misc]
    """A task whose expected failures are a line in the log, without a traceback."""

    throws = (CastlineError,)


class CastlineCelery(Celery):  # type: ignore[misc]
    """Celery whose spawned pool children import this module instead of a pickled copy."""

    task_cls = StepTask

    def __reduce__(self) -> tuple[Callable[[], Celery], tuple[()]]:
        return (the_app, ())


def the_app() -> Celery:
    """Return this process's one app."""
    return app


app = CastlineCelery("castline")
install_transport(lambda: app.tasks)
app.add_defaults(configuration)
app.set_default()  # signatures are built without an app, on any thread
