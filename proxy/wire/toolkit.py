"""Which of the tools that a request offers are run by the provider itself, as often as its model likes and at its own price."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import msgspec

_ABSENT = msgspec.Raw()
_OURS = frozenset({"function", "custom", "namespace", "local_shell", "apply_patch", "computer", "computer_use", "computer_use_preview"})
_OURS_DATED = re.compile(r"(?:bash|text_editor|computer|memory)_\d{8}\Z")  # Anthropic's, run by the caller
_SEARCHES = ("web_search", "google_search", "x_search", "live_search")
_OURS_OF_GOOGLE = frozenset({"functionDeclarations", "function_declarations", "computerUse", "computer_use"})


class Tool(msgspec.Struct, gc=False):
    type: str | None = None
    systemTool: msgspec.Raw = _ABSENT  # Bedrock
    tools: list[Tool] | None = None  # of a namespace


def name_tools(tools: Iterable[Tool]) -> Iterator[str]:
    """`server_tools` or `web_search` for each tool that the provider runs; a tool without a type is the caller's own."""
    for tool in tools:
        kind = tool.type
        if kind == "function" or kind == "custom":
            continue
        if kind is None:
            if tool.systemTool is not _ABSENT:
                yield "server_tools"
        elif kind not in _OURS and not _OURS_DATED.match(kind):
            yield "web_search" if any(search in kind for search in _SEARCHES) else "server_tools"
        if tool.tools:
            yield from name_tools(tool.tools)


def name_google_tools(tools: Iterable[dict[str, msgspec.Raw]]) -> Iterator[str]:
    """The same for Gemini's, which are told apart by the fields of one object."""
    for tool in tools:
        for name in tool.keys() - _OURS_OF_GOOGLE:
            yield "web_search" if "search" in name.lower() and "file" not in name.lower() else "server_tools"
