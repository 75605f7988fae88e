"""A maximum of output and a cheaper model put into requests: only that changes, in every dialect, whatever else the body holds."""

from __future__ import annotations

import copy
import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.call import Kind
from proxy.wire import cap_output, change_model, read_ask, recognise
from proxy.wire.maxima import find_maximum


def post(path: str, dialect: str = "openai") -> Kind:
    return recognise("POST", path, "", dialect)


CHAT = post("/v1/chat/completions")
COMPLETIONS = post("/v1/completions")
RESPONSES = post("/v1/responses")
MESSAGES = post("/v1/messages")
GEMINI = post("/v1beta/models/gemini-2.5-pro:streamGenerateContent")
VERTEX_CLAUDE = post("/v1/projects/p/locations/l/publishers/anthropic/models/claude-opus-5:rawPredict")
INTERACTIONS = post("/v1beta/interactions")
CONVERSE = post("/model/us.anthropic.claude-opus-5-v1%3A0/converse-stream")
COHERE = post("/v2/chat")
OLLAMA = post("/api/chat")
GENERATE = post("/api/generate")
AZURE = post("/openai/deployments/large/chat/completions")


def invoke(model: str) -> Kind:
    return post(f"/model/{model}/invoke")


# kind, provider, the path to the number, other paths that are as good
PLACES: list[tuple[Kind, str | None, list[list[str]]]] = [
    (CHAT, "openai", [["max_completion_tokens"], ["max_tokens"]]),
    (CHAT, "azure", [["max_completion_tokens"], ["max_tokens"]]),
    (CHAT, "deepseek", [["max_tokens"], ["max_completion_tokens"]]),
    (CHAT, None, [["max_tokens"], ["max_completion_tokens"]]),
    (COMPLETIONS, "openai", [["max_tokens"]]),
    (RESPONSES, "openai", [["max_output_tokens"]]),
    (MESSAGES, "anthropic", [["max_tokens"]]),
    (VERTEX_CLAUDE, "google", [["max_tokens"]]),
    (GEMINI, "google", [[a, b] for a in ("generationConfig", "generation_config") for b in ("maxOutputTokens", "max_output_tokens")]),
    (INTERACTIONS, "google", [[a, b] for a in ("generation_config", "generationConfig") for b in ("max_output_tokens", "maxOutputTokens")]),
    (CONVERSE, "aws", [["inferenceConfig", "maxTokens"]]),
    (invoke("us.anthropic.claude-opus-5-v1%3A0"), "aws", [["max_tokens"], ["max_tokens_to_sample"]]),
    (invoke("amazon.nova-pro-v1%3A0"), "aws", [["inferenceConfig", "maxTokens"], ["inferenceConfig", "max_new_tokens"]]),
    (invoke("amazon.titan-text-express-v1"), "aws", [["textGenerationConfig", "maxTokenCount"]]),
    (invoke("meta.llama3-70b-instruct-v1%3A0"), "aws", [["max_gen_len"]]),
    (invoke("mistral.mistral-large-2407-v1%3A0"), "aws", [["max_tokens"]]),
    (invoke("openai.gpt-oss-120b-1%3A0"), "aws", [["max_completion_tokens"], ["max_tokens"]]),
    (COHERE, "cohere", [["max_tokens"]]),
    (OLLAMA, None, [["options", "num_predict"]]),
    (GENERATE, None, [["options", "num_predict"]]),
]
IDS = [f"{kind.format} {provider} {kind.model or ''}" for kind, provider, _ in PLACES]
NAMES = sorted({name for _, _, paths in PLACES for path in paths for name in path} | {"model", "messages", "additionalModelRequestFields"})
NUMBERS = st.integers(0, 2**40)


def put(body: dict, path: list[str], value: object) -> dict:
    holder = body
    for name in path[:-1]:
        holder = holder.setdefault(name, {})
    holder[path[-1]] = value
    return body


def changed_bytes(before: bytes, after: bytes) -> tuple[bytes, bytes]:
    """What stands in the one place where the two differ."""
    head = next((place for place, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after)))
    tail = 0
    while tail < min(len(before), len(after)) - head and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    return before[head : len(before) - tail], after[head : len(after) - tail]


@pytest.mark.parametrize(("kind", "provider", "paths"), PLACES, ids=IDS)
def test_a_maximum_is_put_in_or_changed_and_nothing_else(kind: Kind, provider: str | None, paths: list[list[str]]) -> None:
    rest = {"messages": [{"content": 'say "max_tokens": 9, {"options": [1'}], "stream": True}
    bare = json.dumps(rest, indent=1).encode()
    capped = cap_output(kind, bare, 77, provider)
    assert capped is not None
    assert json.loads(capped) == put(copy.deepcopy(rest), paths[0], 77)
    assert changed_bytes(bare, capped)[0] == b""
    assert read_ask(kind, capped).max_output_tokens == 77
    for path in paths:
        standing = json.dumps(put(copy.deepcopy(rest), path, 123456), indent=1).encode()
        capped = cap_output(kind, standing, 77, provider)
        assert capped == standing.replace(b"123456", b"77")
        assert read_ask(kind, standing).max_output_tokens == 123456
    both = copy.deepcopy(rest)
    for number, path in enumerate(paths):
        put(both, path, number + 1)
    capped = cap_output(kind, json.dumps(both).encode(), 77, provider)
    for path in paths:
        put(both, path, 77)
    assert json.loads(capped) == both
    assert cap_output(kind, b"{}", 5, provider) == json.dumps(put({}, paths[0], 5), separators=(",", ":")).encode()


TEXT = st.text(max_size=6) | st.sampled_from(['"', "\\", '\\"max_tokens":1', "}", "],[", "\n"])
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | TEXT, inner, max_size=3),
    max_leaves=10,
)
BODY = st.dictionaries(st.sampled_from(NAMES) | TEXT, VALUE, max_size=6)


@given(BODY, st.sampled_from(PLACES), NUMBERS, st.booleans(), st.sampled_from([None, 1]))
def test_whatever_the_body_holds_only_the_maximum_changes(fields: dict, place: tuple, tokens: int, ascii_only: bool, indent: int | None) -> None:
    kind, provider, paths = place
    body = json.dumps(fields, ensure_ascii=ascii_only, indent=indent).encode()
    capped = cap_output(kind, body, tokens, provider)
    holders = {path[0] for path in paths if len(path) > 1}
    if any(fields.get(holder) is not None and not isinstance(fields[holder], dict) for holder in holders & fields.keys()):
        assert capped is None  # neither can the provider read it
        return
    assert capped is not None
    expected = copy.deepcopy(fields)
    present = [path for path in paths if path[0] in fields] if not holders else [[name] for name in holders if name in fields]
    for where in present or [paths[0]]:
        if not holders:
            put(expected, where, tokens)
        elif len(where) == 2:
            expected[where[0]] = {where[1]: tokens}
        else:
            names = [path[1] for path in paths if path[0] == where[0]]
            held = expected[where[0]] = expected[where[0]] or {}
            for name in [name for name in names if name in held] or [names_of(kind, provider)[0]]:
                held[name] = tokens
    for aside, name in find_maximum(kind, provider).asides:
        if isinstance(expected.get(aside), dict) and name in expected[aside]:
            expected[aside][name] = tokens
    assert json.loads(capped) == expected
    assert read_ask(kind, capped).max_output_tokens == tokens
    assert cap_output(kind, capped, tokens, provider) == capped


def names_of(kind: Kind, provider: str | None) -> tuple[str, ...]:
    return find_maximum(kind, provider).names


@given(st.lists(st.tuples(st.sampled_from(["max_tokens", "max_completion_tokens", "model", "x"]), VALUE), max_size=5), NUMBERS)
def test_of_keys_that_stand_twice_each_is_changed_and_every_other_byte_stays(pairs: list[tuple[str, object]], tokens: int) -> None:
    written = [(json.dumps(key), json.dumps(value)) for key, value in pairs]
    body = "{ " + " ,\t".join(f"{key} : {value}" for key, value in written) + "}\n"
    capped = cap_output(CHAT, body.encode(), tokens, "openai")
    changed = [(key, str(tokens) if "max" in key else value) for key, value in written]
    if changed == written and not any("max" in key for key, _ in written):
        comma = "," if written else ""
        assert capped == ("{" + f'"max_completion_tokens":{tokens}{comma}' + body[1:]).encode()
    else:
        assert capped == ("{ " + " ,\t".join(f"{key} : {value}" for key, value in changed) + "}\n").encode()


def test_a_second_maximum_beside_the_first_is_lowered_too() -> None:
    body = {"inferenceConfig": {"maxTokens": 9}, "additionalModelRequestFields": {"max_tokens": 9000, "thinking": {"budget_tokens": 5}}}
    assert read_ask(CONVERSE, json.dumps(body).encode()).max_output_tokens == 9000
    capped = cap_output(CONVERSE, json.dumps(body).encode(), 7, "aws")
    assert capped is not None
    assert json.loads(capped) == {
        "inferenceConfig": {"maxTokens": 7},
        "additionalModelRequestFields": {"max_tokens": 7, "thinking": {"budget_tokens": 5}},
    }


@pytest.mark.parametrize("value", ["null", '"100"', "-1", "1e9", "[]", '{"a":1}', "true"])
def test_a_maximum_that_is_no_number_becomes_one(value: str) -> None:
    body = b'{"max_tokens" : %s , "model":"m"}' % value.encode()
    assert cap_output(MESSAGES, body, 12, "anthropic") == b'{"max_tokens" : 12 , "model":"m"}'
    options = b'{"options" : null, "n":1}'
    assert cap_output(OLLAMA, options, 12, None) == b'{"options" : {"num_predict":12}, "n":1}'


@pytest.mark.parametrize(
    "kind",
    [
        post("/v1/embeddings"), post("/v1/images/generations"), post("/v1/responses/compact"), post("/v1/messages/count_tokens"),
        post("/v1/messages/batches"), post("/v2/embed"), recognise("GET", "/v1/realtime", "model=m", "openai"), invoke("amazon.titan-embed-text-v2"),
        invoke("arn%3Aaws%3Abedrock%3Aprofile"), invoke("cohere.rerank-v3-5"), post("/v1/anything"),
    ],
)  # fmt: skip
def test_where_there_is_no_maximum_there_is_nothing_to_set(kind: Kind) -> None:
    assert cap_output(kind, b'{"model":"m"}', 5, "openai") is None


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"5", b'{"a":1', b'{"a":1}{', b"\xff", b'{"max_tokens":1,}', b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"]
)
def test_what_is_no_object_is_left_alone(body: bytes) -> None:
    assert cap_output(CHAT, body, 5, "openai") is None
    assert change_model(CHAT, body, "/v1/chat/completions", "small") is None
    assert change_model(AZURE, body, "/openai/deployments/large/chat/completions", "small") is None


def test_bytes_that_are_no_text_stay_as_they_are() -> None:
    assert cap_output(CHAT, b'{"user":"\xff","max_tokens":9}', 5, None) == b'{"user":"\xff","max_tokens":5}'


@pytest.mark.parametrize("kind", [CHAT, COMPLETIONS, RESPONSES, MESSAGES, INTERACTIONS, COHERE, OLLAMA, GENERATE, post("/v1/embeddings")])
def test_a_model_named_in_the_body_is_changed_there(kind: Kind) -> None:
    body = b'{ "a": "model", "model" : "large-4.5" , "messages":[{"model":"large-4.5"}]}'
    assert change_model(kind, body, "/p?q=1", 'sm"all') == (body.replace(b' : "large-4.5"', b' : "sm\\"all"'), "/p?q=1")
    twice = b'{"model":"a","model":null}'
    assert change_model(kind, twice, "/p", "b") == (b'{"model":"b","model":"b"}', "/p")
    assert change_model(kind, b'{"x":1}', "/p", "b") == (b'{"model":"b","x":1}', "/p")


def test_a_list_of_models_becomes_the_one() -> None:
    assert change_model(CHAT, b'{"model":"a","models":["a","b"]}', "/p", "c") == (b'{"model":"c","models":["c"]}', "/p")
    assert change_model(CHAT, b'{"models":["a","b"]}', "/p", "c") == (b'{"models":["c"]}', "/p")


@pytest.mark.parametrize(
    ("path", "changed"),
    [
        ("/v1beta/models/gemini-2.5-pro:streamGenerateContent", "/v1beta/models/small%2F1:streamGenerateContent"),
        ("/v1/projects/p/locations/l/publishers/google/models/a:generateContent?alt=sse", None),
        ("/v1/projects/p/locations/l/publishers/anthropic/models/claude:rawPredict", None),
        ("/model/us.anthropic.claude-v1%3A0/converse-stream", "/model/small%2F1/converse-stream"),
        ("/model/anthropic.claude-v1%3A0/converse/", "/model/small%2F1/converse/"),
    ],
)
def test_a_model_named_in_the_path_is_changed_there(path: str, changed: str | None) -> None:
    bare, _, query = path.partition("?")
    kind = recognise("POST", bare, query, "openai")
    result = change_model(kind, b'{"contents":[]}', path, "small/1")
    assert result is not None
    body, where = result
    assert body == b'{"contents":[]}'
    assert where == (changed or path.replace("models/a:", "models/small%2F1:").replace("models/claude:", "models/small%2F1:"))
    assert recognise("POST", where.partition("?")[0], query, "openai").model == "small/1"


def test_a_deployment_is_changed_in_the_path_and_beside_it() -> None:
    path = "/openai/deployments/large/chat/completions?api-version=1"
    assert change_model(AZURE, b'{"model":"large"}', path, "small") == (b'{"model":"small"}', path.replace("large", "small"))
    assert change_model(AZURE, b'{"n":1}', path, "small") == (b'{"n":1}', path.replace("large", "small"))


def test_what_cannot_be_another_model() -> None:
    claude = invoke("us.anthropic.claude-opus-5-v1%3A0")
    path = "/model/us.anthropic.claude-opus-5-v1%3A0/invoke"
    assert change_model(claude, b"{}", path, "meta.llama3-70b-instruct-v1:0") is None
    assert change_model(claude, b"{}", path, "anthropic.claude-haiku-5-v1:0") == (b"{}", "/model/anthropic.claude-haiku-5-v1%3A0/invoke")
    assert change_model(INTERACTIONS, b'{"agent":"deep-research"}', "/p", "small") is None
    assert change_model(recognise("GET", "/v1/realtime", "model=m", "openai"), b"{}", "/v1/realtime?model=m", "small") is None
    tuned = "/v1beta/tunedModels/mine:generateContent"
    assert change_model(post(tuned), b"{}", tuned, "small") is None
    assert change_model(post("/v1/audio/transcriptions"), b"--b\r\n", "/v1/audio/transcriptions", "small") is None
    assert change_model(post("/v1/messages/count_tokens"), b'{"model":"a"}', "/p", "b") == (b'{"model":"b"}', "/p")


def test_recorded_requests_take_a_maximum_and_another_model() -> None:
    seen = 0
    with gzip.open(Path(__file__).parent / "recorded" / "exchanges.jsonl.gz", "rt", encoding="utf-8") as lines:
        for exchange in map(json.loads, lines):
            path, _, query = exchange["path"].partition("?")
            kind = recognise(exchange["method"], path, query, "openai")
            body = json.dumps(exchange["request"]).encode()
            if not kind.json_body or find_maximum(kind, "openai") is None:
                continue
            capped = cap_output(kind, body, 4321, "openai")
            assert capped is not None, exchange["id"]
            before, after = read_ask(kind, body), read_ask(kind, capped)
            assert after.max_output_tokens == 4321
            assert (after.model, after.unbounded, after.media_bytes) == (before.model, before.unbounded, before.media_bytes)
            changed = change_model(kind, capped, path, "anthropic.small" if "anthropic" in path else "small")
            if changed is not None:
                again = recognise("POST", changed[1], query, "openai")
                assert (read_ask(again, changed[0]).model or "").endswith("small")
                seen += 1
    assert seen > 300
