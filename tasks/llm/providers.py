"""What a provider is: where it is called, with which models, key and limits.

Which one is called is `tasks.llm.choosing`'s business.
"""

from dataclasses import dataclass
from typing import Literal

from pydantic import SecretStr

from tasks.errors import ConfigurationError
from tasks.presets import DialectName, LimitKey, Structured, WebSearch
from tasks.schemas.limits import Limits
from tasks.settings import SIMULATED

Task = Literal["chat", "tool"]
OWN_KEY = "CASTLINE_LLM_API_KEY"


@dataclass(frozen=True, kw_only=True)
class Provider:
    """One provider, ready to be called; `vision_model` is empty when it cannot see.

    `fallbacks` are asked in order when the model that was asked fails; `key_setting` names the
    setting that holds the key, for messages; `omit` is left out of its requests.
    """

    name: str
    base_url: str
    api_key: SecretStr
    model: str
    vision_model: str
    limits: Limits
    timeout_s: float
    structured: Structured
    tool_model: str = ""
    fallbacks: tuple["Fallback", ...] = ()
    dialect: DialectName = "openai"
    strict_schemas: bool = False
    max_batch: int = 1000
    batch_api: bool = True
    key_setting: str = OWN_KEY
    limit_key: LimitKey = "max_tokens"
    omit: tuple[str, ...] = ()
    web_search: WebSearch = "none"

    @property
    def searches(self) -> bool:
        """Whether it can be made to search the web."""
        return self.web_search != "none"

    @property
    def fallback_models(self) -> tuple[str, ...]:
        """Name the fallbacks, those of other providers with their provider."""
        return tuple(
            f"{f.provider.name}/{f.model}" if f.provider else f.model for f in self.fallbacks
        )

    @property
    def has_batches(self) -> bool:
        """Whether it speaks /files and /batches as OpenAI does."""
        return self.batch_api and self.dialect == "openai"

    @property
    def simulated(self) -> bool:
        """Whether its texts come from the simulated provider."""
        return self.name == SIMULATED

    def model_for(self, task: Task, *, sees: bool = False) -> str:
        """Choose the model by what is to be done; `sees` when there is a picture to look at.

        Raises ConfigurationError when a picture meets a provider without a vision model.
        """
        if not sees:
            return (self.tool_model if task == "tool" else "") or self.model
        if not self.vision_model:
            raise ConfigurationError(
                f"provider {self.name!r} has no vision model, so it cannot look at a picture",
                hint=f"set vision_model of [providers.{self.name}] or CASTLINE_LLM_VISION_MODEL, "
                "or describe the character with --text",
            )
        return self.vision_model


@dataclass(frozen=True, kw_only=True)
class Fallback:
    """A model to ask when those before it fail; `provider` is None for the same provider."""

    model: str
    provider: Provider | None = None


def simulated_provider(base_url: str, *, slots: int) -> Provider:
    """Build the provider that the simulated server at `base_url` plays."""
    return Provider(
        name=SIMULATED,
        base_url=base_url,
        api_key=SecretStr(""),
        model="castline-simulated",
        vision_model="castline-simulated",
        limits=Limits(slots=slots),
        timeout_s=60.0,
        structured="json_schema",
        web_search="bigmodel",
    )


def gate_limits(provider: Provider) -> dict[str, Limits]:
    """List the limits of a provider and of those that it falls back on, by their names."""
    others = {f.provider.name: f.provider.limits for f in provider.fallbacks if f.provider}
    return {provider.name: provider.limits, **others}
