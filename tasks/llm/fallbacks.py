"""Which fallback is still worth a call after what failed, and which failure is told in the end."""

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.errors import CastlineError, ProviderOpenError, RefusedCallError
from tasks.llm.providers import Provider

ABOUT_THE_KEY = (401, 403)


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A provider did not answer a call, for good."""

    provider: Provider
    error: CastlineError


def worth_asking(provider: Provider, failed: Sequence[Failure]) -> bool:
    """Whether a provider could answer after all: its breaker is not open, its key not refused."""
    return not any(
        same_breaker(provider, one) if isinstance(one.error, ProviderOpenError)
        else is_about_key(one.error) and same_key(provider, one.provider)
        for one in failed
    )  # fmt: skip


def told(failed: Sequence[Failure]) -> CastlineError:
    """Choose the failure to raise: an open breaker, which costs a step nothing, else the last."""
    errors = [one.error for one in failed]
    return next((e for e in errors if isinstance(e, ProviderOpenError)), errors[-1])


def same_breaker(provider: Provider, failure: Failure) -> bool:
    """Whether a provider is the one whose breaker is open."""
    return provider.name == failure.provider.name


def same_key(one: Provider, other: Provider) -> bool:
    """Whether two providers would be refused for the same key."""
    key = one.api_key.get_secret_value()
    return one.name == other.name or bool(key and key == other.api_key.get_secret_value())


def is_about_key(error: CastlineError) -> bool:
    """Whether any model of the provider would be refused for the same reason."""
    return isinstance(error, RefusedCallError) and error.status in ABOUT_THE_KEY
