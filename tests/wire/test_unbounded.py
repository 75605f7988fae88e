"""What makes a cost unbounded, in every dialect: the words the providers' own clients send, and none for what has a bound."""

from __future__ import annotations

import json

import pytest

from proxy.call import Kind
from proxy.wire import UNBOUNDED, leave_unread, makes_output, read_ask, recognise


def post(path: str, dialect: str = "openai") -> Kind:
    return recognise("POST", path, "", dialect)


CHAT = post("/v1/chat/completions")
COMPLETIONS = post("/v1/completions")
RESPONSES = post("/v1/responses")
MESSAGES = post("/v1/messages")
GEMINI = post("/v1beta/models/gemini-2.5-pro:generateContent")
EMBED = post("/v1beta/models/gemini-embedding:batchEmbedContents")
INTERACTIONS = post("/v1beta/interactions")
CONVERSE = post("/model/m/converse")
INVOKE = post("/model/anthropic.claude-opus-5-v1%3A0/invoke")
COHERE = post("/v2/chat")
OLLAMA = post("/api/chat")
LOCAL = {"type": "function", "function": {"name": "web_search", "parameters": {"type": "web_search"}}}


def named(kind: Kind, **fields: object) -> tuple[str, ...]:
    return read_ask(kind, json.dumps({"model": "m", "max_tokens": 5} | fields).encode()).unbounded


PLAIN: list[tuple[Kind, dict]] = [
    (CHAT, {"messages": [{"role": "user", "content": 'draw {"type": "image_url"} from http://x'}], "tools": [LOCAL, {"type": "custom"}], "n": 3}),
    (CHAT, {"messages": [{"content": None, "audio": None}], "web_search_options": None, "modalities": ["text"], "plugins": [], "prediction": None}),
    (CHAT, {"messages": [{"content": [{"type": "text", "text": "a", "image_url": "http://x"}]}], "models": ["one"], "audio": None}),
    (COMPLETIONS, {"prompt": ["a", "b"]}),
    (
        RESPONSES,
        {"input": "text", "tools": [{"type": kind} for kind in ("function", "custom", "local_shell", "apply_patch", "computer_use_preview")]},
    ),
    (RESPONSES, {"input": [{"role": "user", "content": "x"}, {"type": "function_call_output", "output": "y"}, {"type": "reasoning", "summary": []}]}),
    (
        RESPONSES,
        {"tools": [{"type": "namespace", "tools": [{"type": "function"}]}], "background": False, "previous_response_id": None, "prompt": None},
    ),
    (MESSAGES, {"tools": [{"name": "web_search", "input_schema": {}}, {"type": "custom"}, {"type": "bash_20250124"}, {"type": "computer_20251124"}]}),
    (MESSAGES, {"messages": [{"content": [{"type": "tool_result", "content": "http://x"}, {"type": "search_result", "source": "http://x"}]}]}),
    (MESSAGES, {"messages": [{"content": [{"type": "document", "source": {"type": "text", "data": "abc", "media_type": "text/plain"}}]}]}),
    (MESSAGES, {"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}, "mcp_servers": [], "container": None}),
    (GEMINI, {"contents": [{"parts": [{"text": "x"}, {"functionResponse": {"response": {}}}]}], "tools": [{"functionDeclarations": []}, {}]}),
    (GEMINI, {"contents": {"parts": {"text": "x"}}, "generationConfig": {"responseModalities": ["TEXT"]}, "tools": {"function_declarations": []}}),
    (GEMINI, {"contents": [{"parts": [{"inlineData": {"mimeType": "text/csv", "data": "YQ=="}}]}]}),
    (INTERACTIONS, {"input": [{"type": "text", "text": "x"}], "tools": [{"type": "function"}, {"type": "computer_use"}], "background": False}),
    (
        CONVERSE,
        {"messages": [{"content": [{"text": "x"}]}], "toolConfig": {"tools": [{"toolSpec": {"name": "n"}}, {"cachePoint": {"type": "default"}}]}},
    ),
    (CONVERSE, {"messages": [{"content": [{"document": {"format": "txt", "source": {"text": "abc"}}}]}]}),
    (INVOKE, {"messages": [{"content": "x"}], "anthropic_version": "bedrock-2023-05-31"}),
    (COHERE, {"messages": [{"content": [{"type": "document", "document": {"data": "text"}}]}], "tools": [LOCAL]}),
    (OLLAMA, {"messages": [{"content": "x", "images": ["aGVsbG8="]}]}),
    (post("/v1/embeddings"), {"input": ["a", "b"]}),
    (post("/v1/messages/count_tokens"), {"messages": [{"content": [{"type": "image", "source": {"type": "url", "url": "http://x"}}]}]}),
]
URL, DATA = "https://example.com/a.png", "data:image/png;base64,aGVsbG8="
NAMED: list[tuple[Kind, dict, str]] = [
    (CHAT, {"messages": [{"content": [{"type": "image_url", "image_url": {"url": URL}}]}]}, "image_url"),
    (CHAT, {"messages": [{"content": "x"}, {"content": [{"type": "image_url", "image_url": URL}]}]}, "image_url"),
    (CHAT, {"messages": [{"content": [{"type": "text"}]}, {"content": [{"type": "image_url", "image_url": {}}]}]}, "image_url"),
    (CHAT, {"messages": [{"content": [{"type": "image_url", "image_url": {"url": "data:application/pdf;base64,YQ=="}}]}]}, "file"),
    (CHAT, {"messages": [{"content": [{"type": "input_audio", "input_audio": {"data": "YQ==", "format": "wav"}}]}]}, "audio"),
    (CHAT, {"messages": [{"content": [{"type": "file", "file": {"file_id": "f"}}]}]}, "file"),
    (CHAT, {"messages": [{"content": [{"type": "file", "file": {"file_data": "data:application/pdf;base64,YQ=="}}]}]}, "file"),
    (CHAT, {"messages": [{"content": [{"type": "video_url", "video_url": {"url": URL}}]}]}, "file"),
    (CHAT, {"messages": [{"content": [{"type": "document_url", "document_url": URL}]}]}, "file"),
    (CHAT, {"messages": [{"role": "assistant", "audio": {"id": "a"}}]}, "audio"),
    (CHAT, {"modalities": ["text", "audio"], "audio": {"voice": "x"}}, "audio"),
    (CHAT, {"modalities": ["image", "text"]}, "image_output"),
    (CHAT, {"web_search_options": {"search_context_size": "low"}}, "web_search"),
    (CHAT, {"model": "gpt-4o-search-preview"}, "web_search"),
    (CHAT, {"model": "openai/gpt-4o:online"}, "web_search"),
    (CHAT, {"tools": [LOCAL, {"type": "openrouter:web_search"}]}, "web_search"),
    (CHAT, {"tools": [{"type": "code_interpreter"}]}, "server_tools"),
    (CHAT, {"plugins": [{"id": "file-parser"}]}, "server_tools"),
    (CHAT, {"prediction": {"type": "content", "content": "x"}}, "prediction"),
    (CHAT, {"models": ["a", "b"]}, "fallback_models"),
    (CHAT, {"agent_id": "ag:1"}, "stored_context"),
    (RESPONSES, {"tools": [{"type": "web_search"}]}, "web_search"),
    *((RESPONSES, {"tools": [{"type": kind}]}, "server_tools") for kind in ("mcp", "file_search", "code_interpreter", "image_generation")),
    (RESPONSES, {"tools": [{"type": "tool_search"}]}, "server_tools"),
    (RESPONSES, {"tools": [{"type": "namespace", "tools": [{"type": "mcp"}]}]}, "server_tools"),
    (RESPONSES, {"input": [{"type": "additional_tools", "tools": [{"type": "mcp"}]}]}, "server_tools"),
    (RESPONSES, {"previous_response_id": "resp_1"}, "stored_context"),
    (RESPONSES, {"conversation": "conv_1"}, "stored_context"),
    (RESPONSES, {"prompt": {"id": "pmpt_1"}}, "stored_context"),
    (RESPONSES, {"input": [{"type": "item_reference", "id": "x"}]}, "stored_context"),
    (RESPONSES, {"background": True}, "background"),
    (RESPONSES, {"context_management": [{"type": "compaction"}]}, "compaction"),
    (RESPONSES, {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": URL}]}]}, "image_url"),
    (RESPONSES, {"input": [{"type": "message", "content": [{"type": "input_image", "file_id": "f"}]}]}, "file"),
    (RESPONSES, {"input": [{"type": "message", "content": [{"type": "input_file", "file_url": URL}]}]}, "file"),
    (RESPONSES, {"input": [{"type": "function_call_output", "output": [{"type": "input_image", "image_url": URL}]}]}, "image_url"),
    (RESPONSES, {"input": [{"type": "computer_call_output", "output": {"type": "computer_screenshot", "image_url": URL}}]}, "image_url"),
    (MESSAGES, {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "web_search"),
    (MESSAGES, {"tools": [{"type": "code_execution_20260120"}]}, "server_tools"),
    (MESSAGES, {"mcp_servers": [{"type": "url", "url": URL}]}, "server_tools"),
    (MESSAGES, {"container": {"skills": []}}, "server_tools"),
    (MESSAGES, {"fallbacks": [{"model": "x"}]}, "fallback_models"),
    (MESSAGES, {"context_management": {"edits": [{"type": "compact_20260112"}]}}, "compaction"),
    (MESSAGES, {"messages": [{"content": [{"type": "image", "source": {"type": "url", "url": URL}}]}]}, "image_url"),
    (MESSAGES, {"messages": [{"content": [{"type": "image", "source": {"type": "file", "file_id": "f"}}]}]}, "image_url"),
    (MESSAGES, {"messages": [{"content": [{"type": "document", "source": {"type": "base64", "data": "YQ=="}}]}]}, "file"),
    (MESSAGES, {"messages": [{"content": [{"type": "container_upload", "file_id": "f"}]}]}, "file"),
    (MESSAGES, {"messages": [{"content": [{"type": "tool_result", "content": [{"type": "image", "source": {"url": URL}}]}]}]}, "image_url"),
    (MESSAGES, {"messages": [{"content": [{"type": "web_fetch_tool_result", "content": {"type": "web_fetch_result", "content": {
        "type": "document", "source": {"type": "base64", "data": "YQ=="}}}}]}]}, "file"),
    (MESSAGES, {"messages": [{"content": [{"type": "document", "source": {"type": "content", "content": [
        {"type": "image", "source": {"type": "url", "url": URL}}]}}]}]}, "image_url"),
    (MESSAGES, {"messages": [{"content": [{"type": "tool_addition", "tool": {"type": "tool_definition", "definition": {"type": "mcp_toolset"}}}]}]},
     "server_tools"),
    (GEMINI, {"tools": [{"functionDeclarations": [], "googleSearch": {}}]}, "web_search"),
    (GEMINI, {"tools": [{"google_search_retrieval": {}}]}, "web_search"),
    (GEMINI, {"tools": {"codeExecution": {}}}, "server_tools"),
    (GEMINI, {"tools": [{"fileSearch": {}}]}, "server_tools"),
    (GEMINI, {"cachedContent": "cachedContents/1"}, "stored_context"),
    (GEMINI, {"cached_content": "cachedContents/1"}, "stored_context"),
    (GEMINI, {"contents": [{"parts": [{"fileData": {"fileUri": URL}}]}]}, "file"),
    (GEMINI, {"contents": [{"parts": [{"file_data": {"file_uri": URL}}]}]}, "file"),
    (GEMINI, {"contents": [{"parts": [{"inline_data": {"mime_type": "application/pdf", "data": "YQ=="}}]}]}, "file"),
    (GEMINI, {"system_instruction": {"parts": [{"inlineData": {"mimeType": "audio/wav", "data": "YQ=="}}]}}, "audio"),
    (GEMINI, {"contents": [{"parts": [{"functionResponse": {"parts": [{"fileData": {"fileUri": URL}}]}}]}]}, "file"),
    (GEMINI, {"generationConfig": {"responseModalities": ["AUDIO"]}}, "audio"),
    (GEMINI, {"generation_config": {"response_modalities": ["TEXT", "IMAGE"]}}, "image_output"),
    (EMBED, {"requests": [{"content": {"parts": [{"fileData": {"fileUri": URL}}]}}]}, "file"),
    (post("/v1beta/models/gemini-2.5-flash-image:generateContent"), {}, "image_output"),
    (INTERACTIONS, {"tools": [{"type": "google_search"}]}, "web_search"),
    (INTERACTIONS, {"tools": [{"type": "mcp_server"}]}, "server_tools"),
    (INTERACTIONS, {"previous_interaction_id": "i"}, "stored_context"),
    (INTERACTIONS, {"agent": "deep-research"}, "server_tools"),
    (INTERACTIONS, {"input": {"type": "image", "uri": URL}}, "image_url"),
    (INTERACTIONS, {"input": [{"type": "user_input", "content": [{"type": "video", "uri": URL}]}]}, "file"),
    (INTERACTIONS, {"input": [{"type": "function_result", "result": [{"type": "audio", "data": "YQ=="}]}]}, "audio"),
    (CONVERSE, {"toolConfig": {"tools": [{"systemTool": {"name": "nova_grounding"}}]}}, "server_tools"),
    (CONVERSE, {"additionalModelRequestFields": {"tools": [{"type": "web_search_20250305"}]}}, "web_search"),
    (CONVERSE, {"promptVariables": {"a": {"text": "b"}}}, "stored_context"),
    (CONVERSE, {"messages": [{"content": [{"image": {"source": {"s3Location": {"uri": "s3://a"}}}}]}]}, "image_url"),
    (CONVERSE, {"messages": [{"content": [{"document": {"source": {"bytes": "YQ=="}}}]}]}, "file"),
    (CONVERSE, {"messages": [{"content": [{"video": {"source": {"bytes": "YQ=="}}}]}]}, "file"),
    (CONVERSE, {"messages": [{"content": [{"toolResult": {"content": [{"video": {"source": {"bytes": "YQ=="}}}]}}]}]}, "file"),
    (CONVERSE, {"messages": [{"content": [{"guardContent": {"image": {"source": {"s3Location": {}}}}}]}]}, "image_url"),
    (COHERE, {"messages": [{"content": [{"type": "image_url", "image_url": {"url": URL}}]}]}, "image_url"),
    (INVOKE, {"tools": [{"type": "mcp_toolset"}]}, "server_tools"),
    (post("/model/arn%3Aaws%3Abedrock%3Aapplication-inference-profile%2Fx/invoke"), {}, "no_maximum"),
    (post("/v1/responses/compact"), {"input": "x"}, "no_maximum"),
    (post("/v1/images/generations"), {"prompt": "x"}, "image_output"),
    (post("/v1/audio/speech"), {"input": "x"}, "audio"),
    (post("/v1/batches"), {"input_file_id": "f"}, "batch"),
    (post("/v1beta/models/imagen-4:predict"), {"instances": []}, "unread"),
    (post("/v1/videos"), {"prompt": "x"}, "unread"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "fields"), PLAIN, ids=[f"{number} {kind.format}" for number, (kind, _) in enumerate(PLAIN)])
def test_what_has_a_bound_is_not_named(kind: Kind, fields: dict) -> None:
    assert named(kind, **fields) == ()


@pytest.mark.parametrize(("kind", "fields", "name"), NAMED, ids=[f"{number} {kind.format} {name}" for number, (kind, _, name) in enumerate(NAMED)])
def test_what_has_no_bound_is_named_and_nothing_else_is(kind: Kind, fields: dict, name: str) -> None:
    assert named(kind, **fields) == (name,)
    for written in (
        json.dumps({"model": "m"} | fields, indent=1),
        json.dumps({"model": "m", "stream": 5} | fields),
    ):  # and where a field has a wrong type
        assert read_ask(kind, written.encode()).unbounded == (name,)


def test_every_name_is_met_and_explained() -> None:
    assert {name for _, _, name in NAMED} == set(UNBOUNDED)
    assert all(words and "\n" not in words for words in UNBOUNDED.values())


def test_several_names_stand_in_order() -> None:
    assert named(RESPONSES, background=True, tools=[{"type": "mcp"}, {"type": "web_search"}], conversation={"id": "c"}) == (
        "background", "server_tools", "stored_context", "web_search",
    )  # fmt: skip


def test_names_written_with_escapes_are_the_same_names() -> None:
    body = b'{"model":"m","messages":[{"content":[{"typ\\u0065":"imag\\u0065_url","im\\u0061ge_url":{"\\u0075rl":"https://x"}}]}],"t\\u006fols":[{"type":"mc\\u0070"}]}'
    assert read_ask(CHAT, body).unbounded == ("image_url", "server_tools")


def test_what_is_nested_deeper_than_anyone_writes_is_unread_and_takes_no_time() -> None:
    part: dict = {"type": "image", "source": {"type": "url", "url": URL}}
    for _ in range(200):
        part = {"type": "tool_result", "content": [part, {"type": "text", "text": "x" * 5000}]}
    assert named(MESSAGES, messages=[{"content": [part]}]) == ("unread",)
    deep: dict = {"fileData": {}}
    for _ in range(200):
        deep = {"functionResponse": {"parts": [deep]}}
    assert named(GEMINI, contents=[{"parts": [deep]}]) == ("unread",)
    source: dict = {"url": URL}
    for _ in range(200):
        source = {"source": source}
    assert named(MESSAGES, messages=[{"content": [{"type": "image"} | source]}]) == ("unread",)


def test_many_results_one_after_another_are_not_deep() -> None:
    results = [{"type": "tool_result", "content": [{"type": "image", "source": {"data": "YQ=="}}]}] * 30
    assert named(MESSAGES, messages=[{"content": results}]) == ()
    assert named(GEMINI, contents=[{"parts": [{"functionResponse": {"parts": [{"text": "x"}]}}] * 30}]) == ()


def test_at_the_edge_of_what_can_be_decoded_nothing_raises() -> None:
    seen = set()
    for depth in range(800, 1010):
        nested = b'{"type":"other","more":%s}' % (b"[" * depth + b"]" * depth)
        for _ in range(7):
            nested = b'{"type":"tool_result","content":[%s]}' % nested
        seen |= set(read_ask(MESSAGES, b'{"messages":[{"content":[%s]}]}' % nested).unbounded)
    assert seen <= {"unread"}


def test_a_body_that_is_not_read_is_named_by_its_kind() -> None:
    assert leave_unread(post("/v1/audio/transcriptions"), has_body=True).unbounded == ("audio",)
    assert leave_unread(post("/v1/batches"), has_body=True).unbounded == ("batch",)
    assert leave_unread(post("/v1/files"), has_body=True).unbounded == ()
    assert leave_unread(post("/v1/videos"), has_body=True).unbounded == ("unread",)
    assert leave_unread(CHAT, has_body=True).unbounded == ("unread",)
    assert leave_unread(recognise("GET", "/v1/batches/b1", "", "openai"), has_body=False).unbounded == ()
    assert leave_unread(GEMINI, has_body=False).model == "gemini-2.5-pro"


@pytest.mark.parametrize(
    ("path", "makes"),
    [
        ("/v1/chat/completions", True),
        ("/v1/responses/compact", True),
        ("/model/cohere.embed-v4%3A0/invoke", False),
        ("/model/meta.llama3/invoke", True),
        ("/v1/embeddings", False),
        ("/v1/messages/count_tokens", False),
        ("/v2/rerank", False),
        ("/v1/models/some/predictions", True),
    ],
)
def test_which_calls_are_billed_for_output(path: str, makes: bool) -> None:
    assert makes_output(post(path)) is makes
