import pytest

from proxy.dataplane.headers import keep_alive_s, presented_keys, put_key, read_head, read_response_head
from proxy.errors import Refusal

HOST = (b"Host", b"proxy")


def test_hop_by_hop_and_identity_stay_here_and_the_rest_travels_unchanged():
    raw = (
        (b"Host", b"proxy"), (b"X-Odd", b"caf\xe9"), (b"Connection", b"keep-alive, X-Private"), (b"X-Private", b"1"), (b"TE", b"trailers"),
        (b"x-agent-id", b"a"), (b"baggage", b"b=c"), (b"traceparent", b"00-1"), (b"x-odd", b"two"),
        (b"Expect", b"100-continue"), (b"Content-Length", b"3"),
    )  # fmt: skip
    head = read_head(raw)
    assert head.forward == [(b"X-Odd", b"caf\xe9"), (b"traceparent", b"00-1"), (b"x-odd", b"two")]
    assert head.fields["x-agent-id"] == "a" and "x-odd" not in head.fields


def test_nothing_that_is_meant_for_us_goes_on():
    raw = ((b"X-Weighbridge-Key", b"wbk_1"), (b"x-weighbridge-tags", b"a=b"), (b"x-weighbridge-anything", b"1"), (b"X-Weighbridge", b"2"))
    head = read_head((HOST, *raw))
    assert head.forward == [(b"X-Weighbridge", b"2")]
    assert head.fields == {"host": HOST[1].decode(), "x-weighbridge-key": "wbk_1", "x-weighbridge-tags": "a=b"}
    with pytest.raises(Refusal):
        read_head((HOST, (b"x-weighbridge-key", b"wbk_1"), (b"X-Weighbridge-Key", b"wbk_2")))


def test_a_credential_given_twice_is_refused_without_echo():
    with pytest.raises(Refusal) as caught:
        read_head((HOST, (b"Authorization", b"Bearer one"), (b"authorization", b"Bearer two")))
    assert caught.value.name == "caller_bad_request" and "Bearer" not in caught.value.message


def test_the_second_user_agent_gets_its_name_back_as_it_was_spelled():
    head = read_head((HOST, (b"User-Agent", b"a"), (b"X-Weighbridge-Second-user-agent", b"b")))
    assert head.forward == [(b"User-Agent", b"a"), (b"user-agent", b"b")]


def test_response_framing_is_ours_and_repeated_fields_stay():
    headers = [(b"Set-Cookie", b"a"), (b"Set-Cookie", b"b"), (b"Transfer-Encoding", b"chunked"), (b"Connection", b"x-hop"), (b"X-Hop", b"1")]
    head = read_response_head("POST", 200, b"OK", headers, False)
    assert (head.lines, head.framing) == ([b"Set-Cookie: a", b"Set-Cookie: b"], "chunked")


@pytest.mark.parametrize(
    ("fields", "query", "key"),
    [
        ({"authorization": "Bearer sk-1"}, "", "sk-1"),
        ({"x-api-key": "k"}, "", "k"),
        ({"x-goog-api-key": "g"}, "key=no", "g"),
        ({}, "alt=sse&key=AIza%2B", "AIza+"),
        ({"authorization": "AWS4-HMAC-SHA256 Credential=AKIA1/2026/us-east-1/bedrock/aws4_request, Signature=0"}, "", "AKIA1"),
        ({"authorization": "Bearer sk-1", "x-goog-api-key": "wbk_g"}, "", "wbk_g"),
        ({"x-api-key": "k"}, "key=wbk_q", "wbk_q"),
        ({"x-api-key": "wbk_k"}, "key=wbk_q", "wbk_k"),
        ({}, "monkey=1", None),
        ({}, "", None),
    ],
)
def test_presented_key(fields, query, key):
    assert next(iter(presented_keys(fields, query)), None) == key


def test_our_key_stands_where_the_callers_stood():
    assert put_key([(b"X-Api-Key", b"old"), (b"A", b"b")], "", "anthropic", "new") == ([(b"A", b"b"), (b"x-api-key", b"new")], "")
    assert put_key([(b"authorization", b"Bearer old")], "", "anthropic", "new") == ([(b"Authorization", b"Bearer new")], "")
    assert put_key([], "key=old&alt=sse", "gemini", "new") == ([(b"x-goog-api-key", b"new")], "alt=sse")
    assert put_key([], "", "openai", "new") == ([(b"Authorization", b"Bearer new")], "")


@pytest.mark.parametrize(
    ("method", "status", "headers", "framing"),
    [
        ("POST", 200, [(b"Content-Length", b"12")], 12),
        ("POST", 200, [(b"transfer-encoding", b"Chunked")], "chunked"),
        ("POST", 200, [], "close"),
        ("HEAD", 200, [(b"Content-Length", b"12")], "none"),
        ("GET", 304, [(b"Content-Length", b"12")], "none"),
        ("GET", 200, [(b"Content-Length", b"7"), (b"Content-Length", b"7")], 7),
    ],
)
def test_unambiguous_framing(method, status, headers, framing):
    assert read_response_head(method, status, b"OK", headers, False).framing == framing


@pytest.mark.parametrize(
    "headers",
    [
        [(b"Content-Length", b"1"), (b"Content-Length", b"2")],
        [(b"Content-Length", b"1"), (b"Transfer-Encoding", b"chunked")],
        [(b"Transfer-Encoding", b"chunked"), (b"Transfer-Encoding", b"chunked")],
        [(b"Transfer-Encoding", b"gzip, chunked")],
        [(b"Content-Length", b"+1")],
        [(b"Content-Length", b"\xb2")],
        [(b"Content-Length", b"9" * 20)],
    ],
)
def test_ambiguous_framing_is_refused(headers):
    with pytest.raises(Refusal) as caught:
        read_response_head("POST", 200, b"OK", headers, False)
    assert caught.value.name == "upstream_malformed"


def test_keep_alive_is_honoured_with_a_second_to_spare():
    assert keep_alive_s({"keep-alive": "max=5, timeout=5"}) == 4 and keep_alive_s({}) == float("inf")
