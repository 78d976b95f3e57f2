"""The settings of a client: those of the environment and castline.toml, below what is given."""

from typing import Any

from pydantic import SecretStr

from tasks.settings import Settings, read_settings


def client_settings(
    *,
    provider: str = "",
    base_url: str = "",
    api_key: str | SecretStr = "",
    model: str = "",
    workers: int | None = None,
    queue_size: int | None = None,
    timeout_s: float | None = None,
    cache: bool = False,
) -> Settings:
    """Read the settings anew, so that a program may set its variables first.

    A `provider` is a table of castline.toml, which the rest changes; a `base_url` without one is a
    provider of its own. Raises ConfigurationError that names each wrong variable.
    """
    asynchronous = {
        "LLM_ASYNC_WORKERS": workers,
        "LLM_ASYNC_QUEUE_SIZE": queue_size,
        "LLM_ASYNC_TIMEOUT": timeout_s,
    }
    given: dict[str, Any] = {name: v for name, v in asynchronous.items() if v is not None}
    given["cache"] = "idempotent" if cache else "off"
    details = {"base_url": base_url, "api_key": api_key, "model": model}
    details = {name: value for name, value in details.items() if value}
    configured = read_settings(**given)
    if not provider and not base_url:
        provider = configured.provider
    if provider and (provider in configured.providers or (base_url and model)):
        given |= {"provider": provider, "providers": {provider: details}}
    elif provider or base_url:
        given |= {"provider": provider}
    if not given.get("providers"):
        given |= {f"llm_{name}": value for name, value in details.items()}
    return read_settings(**given)
