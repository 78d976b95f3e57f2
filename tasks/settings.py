"""Settings: the only reader of the environment, of `.env` and of `castline.toml`."""

import os
import socket
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from tomllib import TOMLDecodeError
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic import ValidationError as PydanticError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from tasks.crashing import CrashPoint
from tasks.errors import ConfigurationError, ServiceAwayError
from tasks.presets import Structured
from tasks.profiles import DEFAULT as DEFAULT_PROFILE
from tasks.profiles import Profile, defaults_of
from tasks.provider_table import ProviderTable, with_presets, wrong_key
from tasks.stackfile import StackNote, read_note

SIMULATED = "simulated"

EmptyIsNone = BeforeValidator(lambda value: None if value == "" else value)


def checked_redis(url: SecretStr) -> SecretStr:
    """Refuse what is no Redis address; the message never holds the password."""
    parts = urlsplit(url.get_secret_value())
    try:
        _ = parts.port  # raises ValueError for what is no port
    except ValueError:
        raise ValueError("the port is not a number from 0 to 65535") from None
    if parts.scheme not in ("redis", "rediss") or not parts.hostname:
        raise ValueError("it looks like redis://HOST:6379/0 or rediss://USER:PASSWORD@HOST:6379/0")
    return url


def checked_web(url: SecretStr) -> SecretStr:
    """Refuse what is no web address; the message never holds it, as it may hold a token."""
    text = url.get_secret_value()
    if text and not (text.startswith(("http://", "https://")) and urlsplit(text).hostname):
        raise ValueError("it looks like https://HOST/PATH")
    return url


def own_name(variable: str) -> Any:
    """Read a setting under the name that other tools use, too."""
    return Field(validation_alias=AliasChoices(variable, f"CASTLINE_{variable}"))


RedisUrl = Annotated[SecretStr, AfterValidator(checked_redis)]


class Settings(BaseSettings):
    """Everything that can be set; `init > environment > .env > castline.toml > defaults`."""

    model_config = SettingsConfigDict(
        env_prefix="CASTLINE_",
        env_file=".env",
        env_nested_delimiter="__",
        toml_file="castline.toml",
        frozen=True,
        extra="ignore",
        populate_by_name=True,
        allow_inf_nan=False,
    )

    home: Path = Path(".castline")
    redis_url: Annotated[RedisUrl | None, EmptyIsNone] = None
    blobs: str = ""
    node: str = Field(default_factory=socket.gethostname)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    provider: str = ""
    providers: Annotated[dict[str, ProviderTable], BeforeValidator(with_presets)] = Field(
        default_factory=dict
    )
    llm_base_url: str = ""
    llm_api_key: SecretStr = SecretStr("")
    llm_model: str = ""
    llm_tool_model: str = ""
    llm_vision_model: str = ""
    llm_rpm: int = Field(default=0, ge=0)
    llm_tpm: int = Field(default=0, ge=0)
    llm_timeout_s: float = Field(default=60.0, gt=0)
    llm_structured: Structured = "json_schema"
    call_deadline_s: float = Field(default=3000.0, gt=0)
    async_workers: int = Field(
        default=5,
        ge=1,
        le=1000,
        validation_alias=AliasChoices("LLM_ASYNC_WORKERS", "async_workers"),
    )
    async_queue_size: int = Field(
        default=100, ge=0, validation_alias=AliasChoices("LLM_ASYNC_QUEUE_SIZE", "async_queue_size")
    )
    async_timeout_s: float = Field(
        default=30.0, gt=0, validation_alias=AliasChoices("LLM_ASYNC_TIMEOUT", "async_timeout_s")
    )
    async_small_size: int = Field(default=20, ge=1, le=50)
    async_small_wait_s: float = Field(default=0.05, ge=0, le=10)
    async_enabled: bool = Field(
        default=True, validation_alias=AliasChoices("LLM_ASYNC_ENABLED", "async_enabled")
    )
    max_concurrent: int = Field(
        default=20,
        ge=1,
        validation_alias=AliasChoices("MAX_CONCURRENT", "CASTLINE_MAX_CONCURRENT"),
    )
    openai_api_key: Annotated[SecretStr, own_name("OPENAI_API_KEY")] = SecretStr("")
    groq_api_key: Annotated[SecretStr, own_name("GROQ_API_KEY")] = SecretStr("")
    anthropic_api_key: Annotated[SecretStr, own_name("ANTHROPIC_API_KEY")] = SecretStr("")
    deepseek_api_key: Annotated[SecretStr, own_name("DEEPSEEK_API_KEY")] = SecretStr("")
    bigmodel_api_key: Annotated[SecretStr, own_name("BIGMODEL_API_KEY")] = SecretStr("")

    profile: Profile = DEFAULT_PROFILE
    llm_concurrency: int = Field(ge=1, le=1000)
    tweet_group: int = Field(ge=1, le=50)
    retry_scale: float = Field(gt=0, le=10)
    queue_high_calls: int = Field(ge=1)
    queue_most_calls: int = Field(ge=1)
    cache: Literal["off", "idempotent"] = "idempotent"
    cache_ttl_s: int = Field(default=600, ge=1, le=86400)
    renderer: str = "tiny"
    device: Literal["", "cpu", "cuda"] = ""
    search_url: str = ""
    gpu_queue: str = ""
    picture_batch: int = Field(ge=1, le=64)

    retention_s: int = Field(default=7 * 86400, ge=60)
    lease_s: float = Field(default=30.0, ge=1)
    step_attempts: int = Field(default=3, ge=1)
    step_crashes: int = Field(default=10, ge=1)
    resend_s: float = Field(default=3.0, ge=1)
    redeliver_s: int = Field(default=3600, ge=1)
    batch_linger_s: float = Field(default=5.0, gt=0)
    batch_poll_s: float = Field(default=30.0, gt=0)
    session_slots: int = Field(default=100, ge=1)
    session_each: int = Field(default=10, ge=1)
    session_idle_s: int = Field(default=24 * 3600, ge=1)
    session_sweep_s: float = Field(default=3600.0, gt=0)
    api_timeout_s: float = Field(default=60.0, gt=0)
    api_requests: int = Field(default=1000, ge=1)
    api_streams: int = Field(default=100, ge=1)
    api_stream_s: float = Field(default=3600.0, gt=0)
    api_origins: str = Field(default="", pattern=r"^(https?://[^\s,/]+(,https?://[^\s,/]+)*)?$")
    alert_error_rate: float = Field(default=0.1, gt=0, le=1)
    alert_slower: float = Field(default=2.0, gt=1)
    alert_stuck_minutes: int = Field(default=5, ge=2, le=60)
    alert_cpu: float = Field(default=0.8, gt=0, le=1)
    alert_memory: float = Field(default=0.7, gt=0, le=1)
    alert_url: Annotated[SecretStr, AfterValidator(checked_web)] = SecretStr("")
    metrics_port: int = Field(default=0, ge=0, le=65535)
    metrics_host: str = "127.0.0.1"
    crash: CrashPoint | Literal[""] = ""
    crash_times: int = Field(default=1, ge=1)
    flower_auth: Annotated[SecretStr | None, EmptyIsNone] = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Add castline.toml below the environment."""
        toml = TomlConfigSettingsSource(settings_cls)
        return init_settings, env_settings, dotenv_settings, toml

    @model_validator(mode="before")
    @classmethod
    def add_profile(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Let the profile's defaults stand wherever nothing was given."""
        return {**defaults_of(str(given.get("profile", DEFAULT_PROFILE))), **given}

    @field_validator("queue_most_calls")
    @classmethod
    def check_order(cls, most: int, info: ValidationInfo) -> int:
        """Refuse a queue that is full before it is high."""
        high = info.data.get("queue_high_calls", 1)
        if most < high:
            raise ValueError(f"is {most}, below CASTLINE_QUEUE_HIGH_CALLS ({high})")
        return most

    @property
    def home_path(self) -> Path:
        """CASTLINE_HOME as an absolute path."""
        return self.home.expanduser().resolve()

    @property
    def blobs_url(self) -> str:
        """Where bytes go: `file:///…` under CASTLINE_HOME unless CASTLINE_BLOBS says otherwise."""
        return self.blobs or f"file://{self.home_path}/blobs"

    def stack(self) -> StackNote | None:
        """The local stack that runs in this CASTLINE_HOME, if any."""
        return read_note(self.home_path)

    def broker_url(self) -> str:
        """The Redis to use: CASTLINE_REDIS_URL, else the local stack's.

        Raises ServiceAwayError when there is neither.
        """
        if self.redis_url is not None:
            return self.redis_url.get_secret_value()
        note = self.stack()
        if note is None:
            raise ServiceAwayError(
                f"no Redis: CASTLINE_REDIS_URL is not set and no local stack runs in {self.home}",
                hint="start one with `castline up --detach`",
            )
        return note.redis_url


@lru_cache(maxsize=1)
def load_settings() -> Settings:
    """Read the settings once.

    Raises ConfigurationError that names each wrong variable.
    """
    return read_settings()


def read_settings(**given: Any) -> Settings:
    """Read the settings anew; `given` goes before everything else.

    Raises ConfigurationError that names each wrong variable, or the file that cannot be read.
    """
    try:
        return Settings(**given)
    except PydanticError as error:
        lines = [wrong_setting(e) for e in error.errors(include_url=False)]
        raise ConfigurationError(
            "wrong settings: " + "; ".join(lines), hint="correct the variable or castline.toml"
        ) from None
    except SettingsError as error:
        raise ConfigurationError(
            f"wrong settings: {error}", hint="CASTLINE_PROVIDERS is JSON; castline.toml is simpler"
        ) from None
    except TOMLDecodeError as error:
        raise ConfigurationError(
            f"castline.toml is not TOML: {error}", hint="correct castline.toml in this folder"
        ) from None
    except UnicodeDecodeError:
        raise ConfigurationError(
            ".env or castline.toml is not UTF-8 text", hint="save both as UTF-8"
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"{error.filename} cannot be read: {error.strerror}", hint="check its rights"
        ) from None


def wrong_setting(error: Mapping[str, Any]) -> str:
    """Name a wrong setting and what is wrong with it; its value may be a secret and stays out."""
    if error["loc"] and error["loc"][0] == "providers":
        return wrong_key(error)
    return f"{variable_name(error['loc'])}: {error['msg']}"


def variable_name(location: tuple[int | str, ...]) -> str:
    """Name the environment variable of a setting, as the user would type it."""
    first, *rest = (str(part) for part in location)
    field = first if first.isupper() else f"CASTLINE_{first.upper()}"
    return "__".join([field, *(part.upper() for part in rest)])


def child_environment(**extra: str) -> dict[str, str]:
    """Copy our environment for a child process, with `extra` on top."""
    return {**os.environ, **extra}
