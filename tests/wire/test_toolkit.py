"""Whose the tools of a request are."""

from __future__ import annotations

import msgspec
import pytest

from proxy.wire.toolkit import Tool, name_google_tools, name_tools


@pytest.mark.parametrize(
    ("tools", "names"),
    [
        (b"[]", []),
        (b'[{"type":"function"},{"type":"custom"},{"name":"web_search"},{"toolSpec":{}},{"cachePoint":{}}]', []),
        (b'[{"type":"bash_20250124"},{"type":"text_editor_20250728"},{"type":"computer_20251124"},{"type":"memory_20250818"}]', []),
        (b'[{"type":"bash_code_execution"},{"type":"advisor_20260301"}]', ["server_tools", "server_tools"]),
        (b'[{"type":"web_search_preview_2025_03_11"},{"type":"x_search"},{"type":"mcp"}]', ["web_search", "web_search", "server_tools"]),
        (b'[{"type":"namespace","tools":[{"type":"function"},{"type":"namespace","tools":[{"type":"web_search"}]}]}]', ["web_search"]),
        (b'[{"systemTool":{"name":"nova_code_interpreter"}}]', ["server_tools"]),
    ],
)
def test_tools_with_types(tools: bytes, names: list[str]) -> None:
    assert list(name_tools(msgspec.json.decode(tools, type=list[Tool]))) == names


@pytest.mark.parametrize(
    ("tools", "names"),
    [
        (b'[{"functionDeclarations":[{"name":"googleSearch"}]},{"function_declarations":[]},{"computerUse":{}},{}]', []),
        (b'[{"googleSearch":{}},{"enterpriseWebSearch":{}},{"google_search_retrieval":{}}]', ["web_search"] * 3),
        (b'[{"functionDeclarations":[],"urlContext":{}},{"googleMaps":{}},{"fileSearch":{}}]', ["server_tools"] * 3),
    ],
)
def test_tools_of_google(tools: bytes, names: list[str]) -> None:
    assert list(name_google_tools(msgspec.json.decode(tools, type=list[dict[str, msgspec.Raw]]))) == names
