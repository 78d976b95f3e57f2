"""Which provider is called: chosen by the settings, made of a table, a preset or CASTLINE_LLM_*.

Presets are `tasks.presets`'s, the keys of a table `tasks.provider_table`'s.
"""

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

from pydantic import SecretStr

from tasks.errors import ConfigurationError
from tasks.llm.providers import Fallback, Provider, simulated_provider
from tasks.presets import PLAIN, PRESETS, Preset
from tasks.provider_table import ProviderTable, one_of
from tasks.schemas.limits import Limits
from tasks.settings import SIMULATED, Settings

TABLE_OR_PRESET = (
    "dialect", "structured", "strict_schemas", "slots", "timeout_s", "max_batch", "batch_api",
    "limit_key", "web_search",
)  # fmt: skip


def resolve_provider(settings: Settings) -> Provider:
    """Choose the provider: castline.toml's, else CASTLINE_LLM_*, else the local stack's simulated.

    Raises ConfigurationError that names the missing or unknown setting.
    """
    if SIMULATED in settings.providers:
        raise ConfigurationError(
            f"[providers.{SIMULATED}]: the name belongs to the local stack's own provider",
            hint="give the table another name",
        )
    name = chosen_name(settings)
    if name and name != SIMULATED:
        provider = named_provider(settings, name)
        return replace(provider, fallbacks=tuple(fallbacks_of(settings, name)))
    if settings.llm_base_url and name != SIMULATED:
        return from_environment(settings)
    note = settings.stack()
    if note is not None and note.simulate_url:
        return simulated_provider(note.simulate_url, slots=settings.max_concurrent)
    raise ConfigurationError(
        "no model provider is configured",
        hint="set CASTLINE_PROVIDER (" + ", ".join(PRESETS) + ") with its key and "
        "CASTLINE_LLM_MODEL, or CASTLINE_LLM_BASE_URL of another server; docs/providers.md",
    )


def chosen_name(settings: Settings) -> str:
    """Name the provider that is to be used: the one that is set, else the only table's; or "".

    Raises ConfigurationError when there are several tables and none is chosen.
    """
    if settings.provider or settings.llm_base_url or not settings.providers:
        return settings.provider
    if len(settings.providers) > 1:
        raise ConfigurationError(
            f"which provider? configured: {', '.join(sorted(settings.providers))}",
            hint='write provider = "NAME" at the top of castline.toml, or set CASTLINE_PROVIDER',
        )
    return next(iter(settings.providers))


def configured_names(settings: Settings) -> list[str]:
    """Name every provider that the settings describe; "" stands for CASTLINE_LLM_* alone."""
    chosen = {settings.provider} - {"", SIMULATED}
    alone = [""] if settings.llm_base_url and not settings.provider else []
    return [*alone, *sorted(chosen | set(settings.providers))]


def named_provider(settings: Settings, name: str) -> Provider:
    """Build the provider of a `[providers.NAME]` table, or of a preset and CASTLINE_LLM_*; without
    its fallbacks. "" is CASTLINE_LLM_* alone.

    Raises ConfigurationError for an unknown name, a missing key or a missing model.
    """
    if not name:
        return from_environment(settings)
    if name in settings.providers:
        return from_table(settings, name, settings.providers[name])
    if name in PRESETS:
        return from_table(settings, name, environment_table(settings, name))
    known = {*settings.providers, *PRESETS, SIMULATED}
    raise ConfigurationError(
        f"unknown provider {name!r}; {one_of(name, sorted(known))}",
        hint=f"add [providers.{name}] to castline.toml, or change CASTLINE_PROVIDER",
    )


def from_table(settings: Settings, name: str, table: ProviderTable) -> Provider:
    """Build the provider of one table; what it leaves out is its preset's."""
    given = {key: value for key in TABLE_OR_PRESET if (value := getattr(table, key)) is not None}
    preset = replace(table.defaults, **given)
    setting = f"CASTLINE_PROVIDERS__{name.upper()}__API_KEY"
    base_url = table.base_url or preset.base_url
    key = table.api_key
    if preset.key_variable and preset_at(base_url) == table.defaults:
        key = key if key.get_secret_value() else settings_key(settings, preset.key_variable)
        setting = preset.key_variable
    if not key.get_secret_value() and not is_local(base_url):
        raise ConfigurationError(f"provider {name!r} has no key", hint=f"set {setting}")
    return Provider(
        name=name,
        base_url=base_url,
        api_key=key,
        model=table.model,
        tool_model=table.tool_model,
        vision_model=table.vision_model,
        limits=Limits(
            rpm=table.rpm,
            tpm=table.tpm,
            slots=preset.slots,
            burst_s=table.burst_s,
            breaker_failures=table.breaker_failures,
            breaker_open_s=table.breaker_open_s,
        ),
        timeout_s=preset.timeout_s,
        structured=preset.structured,
        strict_schemas=preset.strict_schemas,
        dialect=preset.dialect,
        max_batch=preset.max_batch,
        batch_api=preset.batch_api,
        web_search=preset.web_search,
        key_setting=setting,
        limit_key=preset.limit_key,
        omit=table.omit,
    )


def environment_table(settings: Settings, name: str) -> ProviderTable:
    """Describe a preset's provider by CASTLINE_LLM_* alone. Raises ConfigurationError."""
    model = settings.llm_model or PRESETS[name].model
    if not model:
        raise ConfigurationError(
            f"no model for provider {name!r}",
            hint=f"set CASTLINE_LLM_MODEL, or add [providers.{name}] to castline.toml",
        )
    if settings.llm_base_url:
        check_address(settings.llm_base_url, setting="CASTLINE_LLM_BASE_URL")
    said = settings.model_fields_set
    return ProviderTable(
        preset=name,
        base_url=settings.llm_base_url,
        api_key=settings.llm_api_key,
        model=model,
        tool_model=settings.llm_tool_model,
        vision_model=settings.llm_vision_model,
        rpm=settings.llm_rpm,
        tpm=settings.llm_tpm,
        slots=settings.max_concurrent if "max_concurrent" in said else None,
        timeout_s=settings.llm_timeout_s if "llm_timeout_s" in said else None,
        structured=settings.llm_structured if "llm_structured" in said else None,
    )


def from_environment(settings: Settings) -> Provider:
    """Build the one provider that CASTLINE_LLM_* describes."""
    check_address(settings.llm_base_url, setting="CASTLINE_LLM_BASE_URL")
    preset = preset_at(settings.llm_base_url)
    said = settings.model_fields_set
    key = settings.llm_api_key
    if not key.get_secret_value() and preset.key_variable:
        key = settings_key(settings, preset.key_variable)
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
        tool_model=settings.llm_tool_model,
        vision_model=settings.llm_vision_model,
        limits=Limits(
            rpm=settings.llm_rpm,
            tpm=settings.llm_tpm,
            slots=settings.max_concurrent if "max_concurrent" in said else preset.slots,
        ),
        timeout_s=settings.llm_timeout_s if "llm_timeout_s" in said else preset.timeout_s,
        structured=settings.llm_structured if "llm_structured" in said else preset.structured,
        strict_schemas=preset.strict_schemas,
        dialect=preset.dialect,
        limit_key=preset.limit_key,
        max_batch=preset.max_batch,
        batch_api=preset.batch_api,
        web_search=preset.web_search,
    )


def preset_at(base_url: str) -> Preset:
    """Find the preset of an address, so that no provider's key goes to another's server."""
    host = urlsplit(base_url).hostname
    return next((p for p in PRESETS.values() if urlsplit(p.base_url).hostname == host), PLAIN)


def fallbacks_of(settings: Settings, name: str) -> Iterator[Fallback]:
    """Read a table's fallbacks: `OTHER/model` with a configured OTHER is that provider's model.

    A provider's own name before the slash changes nothing. Raises ConfigurationError for a
    fallback whose provider has no key.
    """
    table = settings.providers.get(name)
    for written in table.fallback_models if table else ():
        prefix, slash, model = written.partition("/")
        if slash and prefix == name:
            yield Fallback(model=model)
        elif slash and prefix in settings.providers:
            yield Fallback(model=model, provider=named_provider(settings, prefix))
        else:
            yield Fallback(model=written)


def settings_key(settings: Settings, variable: str) -> SecretStr:
    """Read the key that a provider's own tools use."""
    key: SecretStr = getattr(settings, variable.lower())
    return key


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
