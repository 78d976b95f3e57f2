"""Builds chains, chords and signatures from ids; it never sends and never imports a task.

Messages carry a run's id and a step's id, nothing else.
"""

from collections.abc import Sequence

from celery import chain, chord, signature
from celery.canvas import Signature

from tasks.routing import Priority, llm_queue, phase_of
from tasks.schemas.plan import STAGES, Request
from tasks.schemas.steps import StepName, calendar_step, chain_step, collect_step, tweet_step

CHAIN: tuple[str, ...] = (*STAGES, "assemble", "calendar")


def task_of(name: StepName) -> str:
    """Name the task that does a step."""
    if name.part == "calendar":
        return "calendar.plan"
    if name.part == "collect":
        return "tweet.collect"
    if name.is_tweet:
        return "tweet.write"
    if name.is_picture:
        return "picture.render"
    if name.is_turn:
        return "discussion.turn"
    if name.part == "summary":
        return "discussion.summary"
    if name.part in ("search", "analyze"):
        return f"topic.{name.part}"
    return f"persona.{name.part}"


def queue_for(name: StepName, priority: Priority) -> str:
    """Name a step's queue (not a picture's): a chain under way goes before all else."""
    return llm_queue(priority, phase_of(name.part))


def step_signature(run_id: str, step: str, priority: Priority) -> Signature:
    """Build the signature of one step that is not a picture."""
    name = StepName.parse(step)
    return signature(
        task_of(name), args=(run_id, step), immutable=True, queue=queue_for(name, priority)
    )


def persona_chain(run_id: str, step: str, request: Request) -> Signature:
    """Build the chain of a character from `step` on: the stages, assembly, then the calendar.

    In batch mode a step goes alone: the ledger says which others it opened.
    """
    if request.batch_api:
        return step_signature(run_id, step, request.priority)
    name = StepName.parse(step)
    parts = CHAIN[CHAIN.index(name.part) :]
    if not request.tweets:
        parts = tuple(part for part in parts if part != "calendar")
    steps = [
        calendar_step(name.persona) if part == "calendar" else chain_step(name.persona, part)
        for part in parts
    ]
    signatures = [step_signature(run_id, s, request.priority) for s in steps]
    return signatures[0] if len(signatures) == 1 else chain(*signatures)


def tweet_chord(run_id: str, persona: int, request: Request, *, group: int) -> Signature:
    """Build the chord of a character's tweets: header tasks of `group` each, then collect."""
    steps = [tweet_step(persona, slot) for slot in range(1, request.tweets + 1)]
    header = [tweets_signature(run_id, part, request.priority) for part in chunks(steps, group)]
    return chord(header, step_signature(run_id, collect_step(persona), request.priority))


def tweets_signature(run_id: str, steps: Sequence[str], priority: Priority) -> Signature:
    """Build the signature that writes a small group of tweets at once."""
    queue = llm_queue(priority, "rest")
    return signature("tweet.write", args=(run_id, list(steps)), immutable=True, queue=queue)


def picture_signature(run_id: str, step: str) -> Signature:
    """Build the signature of one picture; its queue is chosen when it is sent."""
    return signature("picture.render", args=(run_id, step), immutable=True)


def chunks(steps: Sequence[str], size: int) -> list[list[str]]:
    """Cut steps into groups of at most `size`, in order."""
    return [list(steps[i : i + size]) for i in range(0, len(steps), size)]
