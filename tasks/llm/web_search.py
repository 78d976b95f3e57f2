"""How a provider is asked to search the web, and how much it says it found.

`bigmodel`: a tool of type web_search with the query, results in the answer's `web_search`.
`anthropic`: the server tool web_search_20250305, results as blocks of the content.
`openai`: `web_search_options` of its search models, cited addresses as annotations.
`model`: a model that searches by itself and needs no telling (groq/compound and the like).
(docs.bigmodel.cn, docs.anthropic.com, platform.openai.com; read 2026-11)
"""

from collections.abc import Mapping
from typing import Any

from tasks.presets import WebSearch

MOST_SEARCHES = 3


def with_search(body: dict[str, Any], style: WebSearch, query: str) -> dict[str, Any]:
    """Add to a request's body what makes this provider search for `query`."""
    if style == "bigmodel":
        asked = {
            "enable": True,
            "search_engine": "search_std",
            "search_query": query,
            "search_result": True,
        }
        return {**body, "tools": [{"type": "web_search", "web_search": asked}]}
    if style == "anthropic":
        tool = {"type": "web_search_20250305", "name": "web_search", "max_uses": MOST_SEARCHES}
        return {**body, "tools": [tool]}
    if style == "openai":
        kept = {key: value for key, value in body.items() if key != "temperature"}
        return {**kept, "web_search_options": {}}
    return body


def results_found(payload: Any, style: WebSearch) -> int:
    """Count the results that a provider says it used; 0 when it says nothing."""
    if not isinstance(payload, Mapping):
        return 0
    if style == "bigmodel":
        return count_of(payload.get("web_search"))
    if style == "anthropic":
        blocks = [block for block in listed(payload.get("content")) if isinstance(block, Mapping)]
        return sum(
            count_of(b.get("content")) for b in blocks if b.get("type") == "web_search_tool_result"
        )
    if style == "openai":
        choice: Any = next(iter(listed(payload.get("choices"))), {})
        message = choice.get("message") if isinstance(choice, Mapping) else None
        return count_of(message.get("annotations")) if isinstance(message, Mapping) else 0
    return 0


def listed(value: Any) -> list[Any]:
    """Take a list as it is, and anything else as an empty one."""
    return value if isinstance(value, list) else []


def count_of(value: Any) -> int:
    """Count a list's members."""
    return len(listed(value))
