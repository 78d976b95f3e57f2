"""One `[providers.NAME]` table of castline.toml: its keys, and what is said of a wrong one."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)

from tasks.presets import (
    PLAIN,
    PRESETS,
    DialectName,
    LimitKey,
    Preset,
    Structured,
    WebSearch,
)

ALIASES = {"chat_model": "model"}


def web_address(base_url: str) -> str:
    """Refuse what no HTTP client can call."""
    if base_url and not base_url.startswith(("http://", "https://")):
        raise ValueError("it is not a web address; it looks like https://api.example.com/v1")
    return base_url


def named_model(model: str) -> str:
    """Refuse an empty model."""
    if not model.strip():
        raise ValueError("it is empty; name the model to ask")
    return model


def known_preset(preset: Any) -> Any:
    """Refuse a preset that there is not."""
    if isinstance(preset, str) and preset and preset not in PRESETS:
        raise ValueError(one_of(preset, PRESETS))
    return preset


class ProviderTable(BaseModel):
    """What a user says of one provider; None takes the preset's figure, limits of 0 mean none.

    `omit` names what its requests must not hold (`temperature`, for models that reason).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: Annotated[str, BeforeValidator(known_preset)] = ""
    base_url: Annotated[str, AfterValidator(web_address)] = ""
    dialect: DialectName | None = None
    api_key: SecretStr = SecretStr("")
    model: Annotated[str, AfterValidator(named_model)]
    tool_model: str = ""
    vision_model: str = ""
    fallback_models: tuple[Annotated[str, AfterValidator(named_model)], ...] = ()
    rpm: int = Field(default=0, ge=0)
    tpm: int = Field(default=0, ge=0)
    slots: int | None = Field(default=None, ge=1)
    burst_s: float = Field(default=0.5, gt=0, le=60, allow_inf_nan=False)
    breaker_failures: int = Field(default=10, ge=0)
    breaker_open_s: float = Field(default=10.0, gt=0, le=86_400)
    timeout_s: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    structured: Structured | None = None
    strict_schemas: bool | None = None
    max_batch: int | None = Field(default=None, ge=1)
    batch_api: bool | None = None
    limit_key: LimitKey | None = None
    web_search: WebSearch | None = None
    omit: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _one_name_for_each_key(cls, table: Any) -> Any:
        if not isinstance(table, Mapping):
            return table
        for alias, key in ALIASES.items():
            if alias in table and key in table:
                raise ValueError(f"{alias} and {key} are the same key: give one")
        return with_model({ALIASES.get(key, key): value for key, value in table.items()})

    @model_validator(mode="after")
    def _some_address(self) -> "ProviderTable":
        if not self.base_url and not self.preset:
            raise ValueError(f"give base_url, or preset ({', '.join(PRESETS)})")
        return self

    @property
    def defaults(self) -> Preset:
        """The figures for what the table leaves out."""
        return PRESETS.get(self.preset, PLAIN)


def with_model(table: dict[Any, Any]) -> dict[Any, Any]:
    """Name the preset's model in a table that names none, if the preset has one."""
    name = table.get("preset")
    preset = PRESETS.get(name, PLAIN) if isinstance(name, str) else PLAIN
    return {"model": preset.model, **table} if preset.model else table


def with_presets(tables: Any) -> Any:
    """Give each table that is named as a preset that preset, unless it names one itself."""
    if not isinstance(tables, Mapping):
        return tables
    return {
        name: {"preset": name, **table} if name in PRESETS and isinstance(table, Mapping) else table
        for name, table in tables.items()
    }


def wrong_key(error: Mapping[str, Any]) -> str:
    """Say what is wrong with a table, from pydantic's description; never the value."""
    path = ".".join(str(part) for part in error["loc"])
    key = str(error["loc"][-1])
    keys = (*ProviderTable.model_fields, *ALIASES)
    match error["type"]:
        case "extra_forbidden":
            return f"{path}: there is no such key; {one_of(key, keys)}"
        case "missing":
            return f"{path}: is missing"
        case "literal_error":
            given = error["input"] if isinstance(error["input"], str) else ""
            allowed = error["ctx"]["expected"].replace(" or ", ", ").replace("'", "").split(", ")
            return f"{path}: {one_of(given, allowed)}"
        case "model_type":
            return f"{path}: it must be a table, [{path}]"
    return f"{path}: {str(error['msg']).removeprefix('Value error, ')}"


def one_of(given: str, allowed: Iterable[str]) -> str:
    """List what is allowed, and what was probably meant."""
    names = list(allowed)
    near = difflib.get_close_matches(given, names, n=1)
    return f"allowed: {', '.join(names)}" + (f"; did you mean {near[0]!r}?" if near else "")
