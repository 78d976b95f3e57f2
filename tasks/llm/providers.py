"""Which provider is called, where, with which models and limits; resolved from the settings."""

from dataclasses import dataclass

from pydantic import SecretStr

from tasks.errors import ConfigurationError
from tasks.schemas.limits import Limits
from tasks.settings import SIMULATED, ProviderTable, Settings, Structured


@dataclass(frozen=True, kw_only=True)
class Provider:
    """One provider, ready to be called; `vision_model` is empty when it cannot see."""

    name: str
    base_url: str
    api_key: SecretStr
    model: str
    vision_model: str
    limits: Limits
    timeout_s: float
    structured: Structured
    fallback_models: tuple[str, ...] = ()
    dialect: str = "openai"
    batch_api: bool = True
    max_batch: int = 1000

    @property
    def has_batches(self) -> bool:
        """Whether it speaks /files and /batches as OpenAI does."""
        return self.batch_api and self.dialect == "openai"

    @property
    def simulated(self) -> bool:
        """Whether its texts come from the simulated provider."""
        return self.name == SIMULATED


def resolve_provider(settings: Settings) -> Provider:
    """Choose the provider: castline.toml's, else CASTLINE_LLM_*, else the local stack's simulated.

    Raises ConfigurationError that names the missing or unknown setting.
    """
    if settings.provider and settings.provider != SIMULATED:
        return from_table(settings, settings.provider)
    if settings.llm_base_url and settings.provider != SIMULATED:
        return from_environment(settings)
    note = settings.stack()
    if note is not None and note.simulate_url:
        return simulated_provider(note.simulate_url, slots=settings.max_concurrent)
    raise ConfigurationError(
        "no model provider is configured",
        hint="set CASTLINE_LLM_BASE_URL, CASTLINE_LLM_API_KEY and CASTLINE_LLM_MODEL, "
        "or start `castline simulate` and point CASTLINE_LLM_BASE_URL at it",
    )


def from_table(settings: Settings, name: str) -> Provider:
    """Build the provider of one `[providers.NAME]` table."""
    table: ProviderTable | None = settings.providers.get(name)
    if table is None:
        known = ", ".join(sorted(settings.providers)) or "none"
        raise ConfigurationError(
            f"unknown provider {name!r} (configured: {known})",
            hint=f"add [providers.{name}] to castline.toml, or change CASTLINE_PROVIDER",
        )
    check_address(table.base_url, setting=f"base_url of provider {name!r}")
    if not table.api_key.get_secret_value() and not is_local(table.base_url):
        raise ConfigurationError(
            f"provider {name!r} has no key",
            hint=f"set CASTLINE_PROVIDERS__{name.upper()}__API_KEY",
        )
    return Provider(
        name=name,
        base_url=table.base_url,
        api_key=table.api_key,
        model=table.model,
        vision_model=table.vision_model,
        limits=Limits(rpm=table.rpm, tpm=table.tpm, slots=table.slots),
        timeout_s=table.timeout_s,
        structured=table.structured,
        fallback_models=table.fallback_models,
    )


def from_environment(settings: Settings) -> Provider:
    """Build the one provider that CASTLINE_LLM_* describes."""
    check_address(settings.llm_base_url, setting="CASTLINE_LLM_BASE_URL")
    key = settings.llm_api_key
    if not key.get_secret_value():
        key = settings.bigmodel_api_key
    if not key.get_secret_value() and not is_local(settings.llm_base_url):
        raise ConfigurationError(
            f"no key for {settings.llm_base_url}", hint="set CASTLINE_LLM_API_KEY"
        )
    if not settings.llm_model:
        raise ConfigurationError(
            f"no model for {settings.llm_base_url}", hint="set CASTLINE_LLM_MODEL"
        )
    return Provider(
        name="llm",
        base_url=settings.llm_base_url,
        api_key=key,
        model=settings.llm_model,
        vision_model=settings.llm_vision_model,
        limits=Limits(rpm=settings.llm_rpm, tpm=settings.llm_tpm, slots=settings.max_concurrent),
        timeout_s=settings.llm_timeout_s,
        structured=settings.llm_structured,
    )


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
    )


def check_address(base_url: str, *, setting: str) -> None:
    """Refuse what no HTTP client can call. Raises ConfigurationError."""
    if not base_url.startswith(("http://", "https://")):
        raise ConfigurationError(
            f"{setting} is not a web address: {base_url!r}",
            hint="it looks like https://api.example.com/v1",
        )


def is_local(base_url: str) -> bool:
    """Whether a server is on this machine, where servers often want no key."""
    return base_url.startswith(("http://127.", "http://localhost", "http://[::1]"))
