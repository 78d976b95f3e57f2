"""Lists the secrets that this process knows, for whoever must never show one."""

from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from tasks.settings import Settings


def secrets_of(settings: Settings) -> list[str]:
    """List every secret that the settings hold, so that no log line does."""
    own = [value for _, value in settings if isinstance(value, SecretStr)]
    tables = [table.api_key for table in settings.providers.values()]
    values = [secret.get_secret_value() for secret in (*own, *tables)]
    note = settings.stack()
    urls = [*values, note.redis_url if note else ""]
    return [*values, *(password for url in urls if (password := password_in(url)))]


def password_in(url: str) -> str:
    """Find the password in an address of Redis; "" when there is none."""
    if not url.startswith(("redis://", "rediss://")):
        return ""
    return unquote(urlsplit(url).password or "")
