import hashlib
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from proxy.call import Ask, Call
from proxy.config import Identity as IdentityConfig
from proxy.dataplane.headers import read_head
from proxy.dataplane.identify import Identifier, read_place
from proxy.dataplane.meeting import Meeting, meet
from proxy.errors import Refusal
from proxy.orders import Orders
from proxy.redact import Redactor
from proxy.rules import Key, read_moment
from proxy.upstream import Upstream
from tests.dataplane.conftest import open_site, post
from tests.dataplane.test_path import ANSWER, ASK, CHAT, answer

SECRET = "sk-0123456789abcdef0123"
HOST, KEY, LENGTH = (b"Host", b"localhost"), (b"Authorization", b"Bearer " + SECRET.encode()), (b"Content-Length", b"17")
AGENT, AGENT_OTHER = (b"X-Agent-Id", b"writer"), (b"X-Agent-Id", b"reader")
RETRIED, CLIENT = (b"X-Stainless-Retry-Count", b"2"), (b"User-Agent", f"sdk/1.0 {SECRET}".encode())
TARGET = "/a/crew/claude/v1/messages"


def ask_for(*headers: tuple[bytes, bytes], target: str = TARGET, method: str = "POST", version: tuple[int, int] = (1, 1)) -> Any:
    return SimpleNamespace(method=method, raw_path=target, version=version, raw_headers=headers)


def make_lanes(generation: int = 1) -> Any:
    lane = SimpleNamespace(upstream=Upstream(url="https://api.anthropic.com", dialect="anthropic"))
    return SimpleNamespace(generation=generation, by_name={"claude": lane})


def meet_with(request: Any) -> Meeting:
    return meet(request, read_place(request.raw_path), read_head(request.raw_headers, request.version), make_lanes(), Redactor())


def test_a_head_tells_a_call_what_it_is_without_the_secrets() -> None:
    call = Call(id="1", started_ns=0, method="POST", path="")
    meet_with(ask_for(HOST, KEY, CLIENT, RETRIED, (b"x-weighbridge-key", b"wbk_1"), target=f"{TARGET}?x=1")).introduce(call)
    assert (call.upstream, call.path, call.kind.format, call.dialect) == ("claude", "/v1/messages", "anthropic.messages", "anthropic")
    assert (call.secret, call.presented, call.user_agent, call.retry) == (SECRET, (SECRET, "wbk_1"), "sdk/1.0 [redacted]", 2)


def test_of_an_upstream_that_is_not_there_the_path_is_kept() -> None:
    call = Call(id="1", started_ns=0, method="POST", path="")
    meet_with(ask_for(HOST, target="/elsewhere/v1/chat/completions")).introduce(call)
    assert (call.upstream, call.path, call.dialect, call.secret) == ("", "/v1/chat/completions", "openai", None)


def test_it_holds_for_a_head_that_differs_in_its_length_alone() -> None:
    met = meet_with(ask_for(HOST, KEY, LENGTH, AGENT))
    other = ask_for(HOST, KEY, (b"Content-Length", b"2048"), AGENT)
    assert met.holds(other, make_lanes())
    head = met.read_head(other)
    assert head == read_head(other.raw_headers) and head.fields["content-length"] == "2048"
    assert met.head.fields["content-length"] == "17", "the first one keeps its own"
    assert met.read_head(ask_for(HOST, KEY, LENGTH, AGENT)) is met.head
    bare = meet_with(ask_for(HOST, KEY))
    assert bare.holds(ask_for(HOST, KEY), make_lanes()) and bare.read_head(ask_for(HOST, KEY)) is bare.head


@pytest.mark.parametrize(
    "other",
    [
        ask_for(HOST, KEY, LENGTH, AGENT_OTHER),
        ask_for(HOST, KEY, LENGTH),
        ask_for(HOST, KEY, LENGTH, AGENT, AGENT),
        ask_for(HOST, KEY, AGENT),
        ask_for(HOST, KEY),
        ask_for(HOST, KEY, AGENT, LENGTH),
        ask_for(HOST, KEY, (b"X-Content-Length", b"17"), AGENT),
        ask_for(HOST, (b"Authorization", b"Bearer another"), LENGTH, AGENT),
        ask_for(HOST, KEY, LENGTH, AGENT, target="/claude/v1/messages"),
        ask_for(HOST, KEY, LENGTH, AGENT, method="PUT"),
        ask_for(HOST, KEY, LENGTH, AGENT, version=(1, 0)),
    ],
)
def test_it_holds_for_no_other_head(other: Any) -> None:
    met = meet_with(ask_for(HOST, KEY, LENGTH, AGENT))
    assert met.holds(ask_for(HOST, KEY, LENGTH, AGENT), make_lanes()) and not met.holds(other, make_lanes())


def test_without_a_length_it_holds_for_none_with_one() -> None:
    assert not meet_with(ask_for(HOST, KEY)).holds(ask_for(HOST, KEY, LENGTH), make_lanes())
    assert not meet_with(ask_for(HOST, KEY)).holds(ask_for(HOST, KEY, AGENT), make_lanes())


def test_it_ends_with_the_lanes_that_it_was_held_for() -> None:
    request = ask_for(HOST, KEY, LENGTH)
    assert not meet_with(request).holds(request, make_lanes(generation=2))


def test_who_calls_is_found_once_and_again_where_the_body_or_the_config_says_otherwise() -> None:
    identifier = Identifier(IdentityConfig())
    met = meet_with(ask_for(HOST, KEY, LENGTH))
    first = met.identify(identifier, Ask(), met.head.fields)
    assert first == identifier.identify(met.place, met.head.fields, Ask(), met.secret, met.presented) and first.agent == "crew"
    assert met.identify(identifier, Ask(model="another"), met.head.fields) is first
    for marked in (Ask(task="sum-7"), Ask(session="s9"), Ask(agent="body"), Ask()):
        assert met.identify(identifier, marked, met.head.fields) == identifier.identify(met.place, met.head.fields, marked, met.secret, met.presented)
    identifier.configure(IdentityConfig(teams={"crew": "blue"}), "optional", Orders())
    assert met.identify(identifier, Ask(), met.head.fields).team == "blue"


def test_a_key_is_looked_at_again_where_it_expires_or_others_are_taken() -> None:
    key = Key(sha256=hashlib.sha256(SECRET.encode()).hexdigest(), agent="crew")
    expiring = msgspec.structs.replace(key, expires="2026-06-01T12:00:00Z")
    noon = read_moment("2026-06-01T12:00:00Z")
    identifier = Identifier(IdentityConfig(keys=[key]), "required")
    met = meet_with(ask_for(HOST, KEY, LENGTH))
    for _ in range(2):
        met.pass_by(identifier, met.head.fields, noon)
    identifier.configure(IdentityConfig(keys=[expiring]), "required", Orders())
    met.pass_by(identifier, met.head.fields, noon - 1)
    with pytest.raises(Refusal, match="caller_key_unknown"):
        met.pass_by(identifier, met.head.fields, noon)
    identifier.configure(IdentityConfig(keys=[key]), "required", Orders())
    met.pass_by(identifier, met.head.fields, noon)
    identifier.configure(IdentityConfig(keys=[key]), "required", Orders(revoked=[key.sha256]))
    with pytest.raises(Refusal, match="caller_key_unknown"):
        met.pass_by(identifier, met.head.fields, noon)


def test_calls_of_one_connection_are_each_told_apart_by_their_own_heads(run, tmp_path):
    """What is kept of a head is never another call's: not who calls, nor what for, nor whether its page may call."""

    async def main():
        async with open_site(tmp_path, answer) as site:
            reader, writer = await site.connect()
            for agent, path in (("one", CHAT), ("one", CHAT), ("two", CHAT), ("one", f"/a/three{CHAT}"), ("two", CHAT)):
                body = ASK + b" " * len(agent + path)
                writer.write(post(path, body, f"x-agent-id: {agent}\r\n".encode(), connection=b"keep-alive"))
                assert b"200 OK" in await reader.readuntil(b"\r\n\r\n") and await reader.readexactly(len(ANSWER)) == ANSWER
            writer.write(post(CHAT, ASK, b"x-agent-id: two\r\nOrigin: https://evil.example.com\r\n", connection=b"keep-alive"))
            assert b" 400 " in await reader.readuntil(b"\r\n")
            writer.close()
            await site.record(6)
            records = site.events("call")
            assert [record["agent"] for record in records] == ["one", "one", "two", "three", "two", "two"]
            assert [record["request_bytes"] - len(ASK) - len(CHAT) for record in records[:5]] == [3, 3, 3, 11, 3], "and by their own lengths"

    run(main())
