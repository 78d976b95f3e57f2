"""Every Redis key of the ledger, once.

A run owns a handful of keys that expire together; steps are fields in them. The scripts touch keys
of one run and a few global ones, so the ledger needs one Redis (or a primary with replicas), not
Redis Cluster.
"""

from dataclasses import dataclass
from functools import lru_cache

PREFIX = "castline"
RUNS = f"{PREFIX}:runs"
TRACES = f"{PREFIX}:traces"  # runs whose trace is open
LOAD = f"{PREFIX}:load"
DUE = f"{PREFIX}:due"
CONSUMED = f"{PREFIX}:consumed"
QUARANTINED = f"{PREFIX}:quarantined"  # steps: "run step" by time
BAD_MESSAGES = f"{PREFIX}:bad-messages"  # what was no message of ours, by id
BAD_MESSAGE_TIMES = f"{PREFIX}:bad-message-times"
BAD_MESSAGE_COUNTS = f"{PREFIX}:bad-message-counts"
SESSIONS_ACTIVE = f"{PREFIX}:sessions-active"
SESSIONS_WAITING = f"{PREFIX}:sessions-waiting"
SESSIONS_USERS = f"{PREFIX}:sessions-users"
SESSIONS_SEEN = f"{PREFIX}:sessions-seen"
SESSIONS_COUNTS = f"{PREFIX}:sessions-counts"
API_KEYS = f"{PREFIX}:api-keys"
SERVICES = f"{PREFIX}:services"
GPUS = f"{PREFIX}:gpus"
QUEUED = f"{PREFIX}:queued"
GPU_STEPS = f"{PREFIX}:gpu-steps"
GPU_BELL = f"{PREFIX}:gpu-bell"
LEADER = f"{PREFIX}:upkeep-leader"
LOG = f"{PREFIX}:log"
ALERTS = f"{PREFIX}:alerts"  # what fires, by name
TOTALS = f"{PREFIX}:counts"  # what all processes ever counted


@dataclass(frozen=True)
class RunKeys:
    """The keys of one run.

    `run` is a hash of the run's own fields; `rows` the static plan by step; `after` the dependents
    by step; `state`, `needs`, `lease`, `fence`, `tries`, `crashes`, `sent`, `queue` the moving
    parts by step; `docs` and `errors` the outcomes by step (`aside STEP`: the document that a
    step had before it was made due again); `names` the characters' names; `events` the stream;
    `held` the list of steps that wait until another character is done.
    """

    run_id: str

    def _key(self, part: str) -> str:
        return f"{PREFIX}:run:{self.run_id}:{part}"

    @property
    def run(self) -> str:
        return f"{PREFIX}:run:{self.run_id}"

    @property
    def all(self) -> tuple[str, ...]:
        """Every key of the run, in the order in which the scripts take them."""
        return all_keys(self.run_id)

    def __getattr__(self, part: str) -> str:
        if part not in PARTS:
            raise AttributeError(part)
        return self._key(part)


PARTS = (
    "rows",
    "after",
    "state",
    "needs",
    "lease",
    "fence",
    "tries",
    "crashes",
    "sent",
    "queue",
    "docs",
    "errors",
    "names",
    "events",
    "held",
)


@dataclass(frozen=True)
class BatchKeys:
    """The keys of a run whose calls travel in batches.

    `calls` holds the outstanding calls by key, `asked` their requests until the provider has
    accepted them, `waits` how many calls each step waits for, `chunks` what was or will be
    submitted together, `replies` the answers by step, one a line.
    """

    calls: str
    asked: str
    waits: str
    chunks: str
    replies: str

    @staticmethod
    def of(run_id: str) -> "BatchKeys":
        """Name the keys of one run."""
        parts = ("calls", "asked", "waits", "chunks", "replies")
        return BatchKeys(*(f"{PREFIX}:run:{run_id}:batch-{part}" for part in parts))

    @property
    def all(self) -> tuple[str, ...]:
        """Every key, in the order in which the scripts take them."""
        return (self.calls, self.asked, self.waits, self.chunks, self.replies)


def answers(run_id: str, step: str) -> str:
    """Key of a step's answered calls while it makes more of them: a hash by idempotency key."""
    return f"{PREFIX}:run:{run_id}:answers:{step}"


def batching(provider: str) -> str:
    """Key of the set of runs that have calls outstanding at one provider's batch endpoint."""
    return f"{PREFIX}:batching:{provider}"


def batch_leader(provider: str) -> str:
    """Key of the lease of the process that submits one provider's batches."""
    return f"{PREFIX}:batch-leader:{provider}"


def run_log(run_id: str) -> str:
    """Key of the stream of a run's log lines."""
    return f"{PREFIX}:run:{run_id}:log"


def counts(minute: int) -> str:
    """Key of what all processes counted in one minute (since 1970)."""
    return f"{PREFIX}:counts:{minute}"


def session_questions(run_id: str) -> str:
    """Key of the list of questions that were put to a discussion from outside."""
    return f"{PREFIX}:run:{run_id}:questions"


def api_rate(key: str) -> str:
    """Key of the moment up to which an API key's requests are used up."""
    return f"{PREFIX}:api-rate:{key}"


def owned_runs(owner: str) -> str:
    """Key of the sorted set of all runs of an owner, by the time they were asked for."""
    return f"{PREFIX}:owned:{owner}"


def open_runs(owner: str) -> str:
    """Key of the sorted set of an owner's runs that have not ended, as far as anybody looked."""
    return f"{PREFIX}:owned-open:{owner}"


def once(owner: str, digest: str) -> str:
    """Key of what an owner asked for under one Idempotency-Key."""
    return f"{PREFIX}:once:{owner}:{digest}"


def queued(queue: str) -> str:
    """Key of the sorted set of steps whose message upkeep left in a queue, by when it was sent."""
    return f"{QUEUED}:{queue}"


def gpu_steps(queue: str) -> str:
    """Key of the sorted set of steps that are assigned to one GPU queue, oldest first."""
    return f"{GPU_STEPS}:{queue}"


def gpu_warm(queue: str) -> str:
    """Key that names the worker process whose child has loaded its model."""
    return f"{PREFIX}:gpu-warm:{queue}"


def gpu_bell(queue: str) -> str:
    """Key that is there while a GPU's bell is rung or its worker draws."""
    return f"{GPU_BELL}:{queue}"


@lru_cache(maxsize=256)
def all_keys(run_id: str) -> tuple[str, ...]:
    """Every key of a run; asked for at every script call."""
    k = RunKeys(run_id)
    return (k.run, *(getattr(k, part) for part in PARTS))
