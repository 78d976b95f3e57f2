"""A topic analysis: what is asked for, what a search found, what came of it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from tasks.schemas.frozen import Frozen

TOPIC_CHARACTERS = 4000
MOST_TOPICS = 20_000
DAY_S = 86_400

SearchSource = Literal["provider", "endpoint", "none"]


class Analysis(Frozen):
    """One round of topics; `batch_size` are begun at a time, 0 means as many as calls at once.

    `timeout_s` holds for each topic's search and for its analysis, `max_retries` for each of their
    model calls; models that are not named are the worker's own.
    """

    topics: tuple[str, ...] = Field(min_length=1, max_length=MOST_TOPICS)
    timeout_s: FiniteFloat = Field(default=120.0, gt=0, le=DAY_S)
    max_retries: int = Field(default=2, ge=0, le=10)
    batch_size: int = Field(default=0, ge=0)
    chat_model: str = ""
    tool_model: str = ""


class Finding(BaseModel):
    """One thing that a search brought up."""

    model_config = ConfigDict(extra="ignore")

    title: str = Field(max_length=300)
    text: str = Field(max_length=2000)
    url: str = Field(default="", max_length=500)


class SearchReply(BaseModel):
    """What the tool model found on a topic."""

    model_config = ConfigDict(extra="ignore")

    findings: list[Finding] = Field(max_length=10)


class AnalysisReply(BaseModel):
    """What the chat model makes of a topic."""

    model_config = ConfigDict(extra="ignore")

    analysis: str = Field(min_length=1, max_length=12_000)


class SearchDocument(Frozen):
    """A search as it is stored: who searched, and how many results they say there were."""

    source: SearchSource
    results: int = 0
    findings: tuple[Finding, ...] = ()
    seconds: float = 0.0


class AnalysisDocument(Frozen):
    """An analysis as it is stored; `at_ms` is Redis time, `worker` who wrote it."""

    topic: str
    analysis: str
    results: int
    seconds: float
    worker: str
    at_ms: int


class TopicResult(Frozen):
    """One topic in one round, as document 000 of the requirements names its parts."""

    topic: str
    success: bool
    analysis: str = ""
    search_results_count: int = 0
    error_message: str = ""
    execution_time: float = 0.0
    worker_id: str = ""
    timestamp: str = ""
