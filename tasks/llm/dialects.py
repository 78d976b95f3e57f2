"""Every dialect by its name in castline.toml."""

from collections.abc import Mapping

from tasks.llm.dialect import Dialect
from tasks.llm.openai_dialect import OpenAIDialect

DIALECTS: Mapping[str, Dialect] = {"openai": OpenAIDialect()}
