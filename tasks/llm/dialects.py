"""Every dialect by its name in castline.toml."""

from collections.abc import Mapping

from tasks.llm.anthropic_dialect import AnthropicDialect
from tasks.llm.dialect import Dialect
from tasks.llm.openai_dialect import OpenAIDialect
from tasks.presets import DialectName

DIALECTS: Mapping[DialectName, Dialect] = {
    "openai": OpenAIDialect(),
    "anthropic": AnthropicDialect(),
}
