"""What is known of each provider before a user says anything: addresses, limits, abilities.

`castline.toml` overrides every figure. Figures marked 002 are those of the requirements' document
002 (batch and concurrency limits, timeouts); the others were chosen here, as said beside them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

DialectName = Literal["openai", "anthropic"]
Structured = Literal["json_schema", "json_object", "prompt"]
LimitKey = Literal["max_tokens", "max_completion_tokens"]
WebSearch = Literal["none", "bigmodel", "anthropic", "openai", "model"]


@dataclass(frozen=True, kw_only=True)
class Preset:
    """One provider's defaults; `key_variable` is the environment variable of its own tools.

    `model` is what is asked when nobody names one: only a model that costs nothing is a default.
    `strict_schemas` says that its strict mode takes only a part of JSON Schema, `batch_api` that it
    has OpenAI's /files and /batches; `limit_key` is what its requests call the token limit;
    `web_search` is how it is made to search (`tasks.llm.web_search`).
    """

    base_url: str = ""
    key_variable: str = ""
    model: str = ""
    dialect: DialectName = "openai"
    structured: Structured = "json_schema"
    strict_schemas: bool = False
    slots: int = 20
    max_batch: int = 1000
    timeout_s: float = 60.0
    batch_api: bool = False
    limit_key: LimitKey = "max_tokens"
    web_search: WebSearch = "none"


PLAIN = Preset(batch_api=True)  # any OpenAI-compatible server; what it lacks, it answers with 404

PRESETS: Mapping[str, Preset] = {
    "openai": Preset(
        base_url="https://api.openai.com/v1",
        key_variable="OPENAI_API_KEY",
        strict_schemas=True,
        slots=10,  # 002
        max_batch=1000,  # 002
        timeout_s=60.0,  # 002
        batch_api=True,
        limit_key="max_completion_tokens",  # its newer models refuse max_tokens
    ),
    "groq": Preset(
        base_url="https://api.groq.com/openai/v1",
        key_variable="GROQ_API_KEY",
        structured="json_object",  # json_schema exists for a few models only (console.groq.com)
        strict_schemas=True,
        slots=20,  # 002
        max_batch=500,  # 002
        timeout_s=30.0,  # 002
        batch_api=True,
    ),
    "anthropic": Preset(
        base_url="https://api.anthropic.com/v1",
        key_variable="ANTHROPIC_API_KEY",
        dialect="anthropic",
        slots=5,  # 002
        max_batch=2000,  # 002
        timeout_s=45.0,  # 002
        web_search="anthropic",
    ),
    "deepseek": Preset(
        base_url="https://api.deepseek.com/v1",
        key_variable="DEEPSEEK_API_KEY",
        structured="json_object",
        slots=15,  # 002
        max_batch=100,  # 002
        timeout_s=60.0,  # chosen: 002 leaves the others' open
    ),
    "bigmodel": Preset(
        base_url="https://open.bigmodel.cn/api/paas/v4",
        key_variable="BIGMODEL_API_KEY",
        model="glm-4-flash-250414",  # free (docs.bigmodel.cn, model overview, read 2026-11)
        structured="json_object",
        slots=10,  # chosen, as OpenAI's: 002 does not name it
        max_batch=100,  # chosen, the smallest of 002
        timeout_s=60.0,  # chosen
        web_search="bigmodel",
    ),
}
