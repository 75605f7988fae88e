"""Virtual keys through real sockets: who is let in, in whose name, and what the provider gets to see of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from proxy.config import Identity
from proxy.orders import Orders, write_orders
from proxy.rules import Budget, Key
from tests.dataplane.conftest import Exchange, Site, open_site, post

Run = Callable[[Awaitable[None]], None]
CREW, ALICE, ISSUED = "wbk_crew", "wbk_alice", "wbk_issued"
BODY = json.dumps({"model": "m", "max_tokens": 5, "messages": []}).encode()
CHAT = "/up/v1/chat/completions"


def make_key(secret: str, **more: object) -> Key:
    return Key(sha256=hashlib.sha256(secret.encode()).hexdigest(), **more)  # type: ignore[arg-type]


class Provider:
    """Answers everything, and keeps the heads it got."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []

    async def __call__(self, exchange: Exchange) -> None:
        while True:
            self.heads.append((await exchange.read_request()).lower())
            await exchange.reply(b'{"id":"r","model":"m","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}')


async def send(site: Site, headers: bytes = b"", path: str = CHAT) -> tuple[int, dict]:
    head, _, content = (await site.ask(post(path, BODY, headers))).partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(content)


def hold(run: Run, folder: Path, provider: Provider, script: Callable[[Site], Awaitable[None]], **settings: object) -> None:
    keys = [make_key(CREW, team="night", tags={"stage": "live"}, id="crew"), make_key(ALICE, agent="alice", id="alice-1")]

    async def go() -> None:
        async with open_site(folder, provider, identity=Identity(keys=keys), **settings) as site:
            await script(site)

    run(go())


def bearer(secret: str) -> bytes:
    return b"Authorization: Bearer " + secret.encode() + b"\r\n"


def test_where_a_key_is_required_nothing_else_is_let_in(run: Run, tmp_path: Path) -> None:
    provider = Provider()

    async def script(site: Site) -> None:
        for number, (headers, path, name) in enumerate(
            [
                (b"", CHAT, "caller_key_absent"),
                (bearer("sk-provider"), CHAT, "caller_key_absent"),
                (bearer("wbk_wrong"), CHAT, "caller_key_unknown"),
                (b"", "/nowhere/v1/x", "caller_key_absent"),  # strangers learn nothing of the upstreams
                (b"x-weighbridge-key: nonsense\r\n" + bearer("sk-provider"), "/a/alice" + CHAT, "caller_key_unknown"),
            ],
            start=1,
        ):
            status, body = await send(site, headers, path)
            assert (status, body["error"]["code"], body["error"]["type"]) == (401, name, "authentication_error")
            assert (await site.record(number))["outcome"] == name
        assert provider.heads == []
        assert (await send(site, b"x-weighbridge-key: wbk_alice\r\n" + bearer("sk-provider")))[0] == 200

    hold(run, tmp_path, provider, script, auth="required")


def test_a_key_in_its_own_header_leaves_the_providers_key_and_stays_here(run: Run, tmp_path: Path) -> None:
    provider = Provider()

    async def script(site: Site) -> None:
        tags = b"x-weighbridge-tags: stage=test,crew=7\r\nbaggage: weighbridge.city=Ulm\r\n"
        status, _ = await send(site, b"X-Weighbridge-Key: wbk_crew\r\n" + tags + bearer("sk-provider"), "/a/bob/t/t-1" + CHAT)
        record, (opened,) = await site.record(), site.events("opened")
        assert status == 200
        assert (record["agent"], record["rung"], record["team"], record["key"], record["task"]) == ("bob", "path", "night", "crew", "t-1")
        assert record["tags"] == opened["tags"] == {"stage": "live", "crew": "7", "city": "Ulm"}
        assert record["key_hash"] and opened["key"] == "crew"
        (head,) = provider.heads
        assert b"authorization: bearer sk-provider" in head and b"weighbridge" not in head and b"wbk_" not in head and b"ulm" not in head

    hold(run, tmp_path, provider, script, auth="required")


@pytest.mark.parametrize("auth", ["required", "optional", "none"])
@pytest.mark.parametrize("secret", [CREW, "wbk_unheard-of"])
def test_no_key_of_ours_reaches_a_provider(run: Run, tmp_path: Path, auth: str, secret: str) -> None:
    provider = Provider()

    async def script(site: Site) -> None:
        for number, place in enumerate([bearer(secret), b"x-api-key: " + secret.encode() + b"\r\n"], start=1):
            status, body = await send(site, place)
            assert status in (401, 403) and body["error"]["code"] in ("policy_no_upstream_key", "caller_key_unknown")
            assert "key_hash" not in await site.record(number)
        status, _ = await send(site, b"", f"{CHAT}?key={secret}")
        assert status in (401, 403) and provider.heads == []
        assert secret.encode() not in b"".join(path.read_bytes() for path in (tmp_path / "journal").iterdir())

    hold(run, tmp_path, provider, script, auth=auth)


def test_nobody_calls_in_anothers_name(run: Run, tmp_path: Path) -> None:
    provider = Provider()

    async def script(site: Site) -> None:
        own = b"x-weighbridge-key: wbk_alice\r\n"
        assert (await send(site, own, "/a/bob" + CHAT))[0] == 400
        record = await site.record()
        assert (record["agent"], record["rung"], record["outcome"]) == ("alice", "key", "caller_bad_request")
        assert (await send(site, own + b"x-agent-id: bob\r\n"))[0] == 400 and provider.heads == []
        assert (await send(site, own + b"x-agent-id: alice\r\nbaggage: agent.id=bob\r\nuser-agent: claude-cli/2\r\n"))[0] == 200
        record = await site.record(3)
        assert (record["agent"], record["rung"], record["key"]) == ("alice", "key", "alice-1")

    hold(run, tmp_path, provider, script, auth="optional")


def test_keys_are_issued_and_revoked_while_it_runs(run: Run, tmp_path: Path) -> None:
    async def script(site: Site) -> None:
        own = b"x-weighbridge-key: wbk_issued\r\n"
        assert (await send(site, own))[0] == 401
        write_orders(tmp_path / "orders.json", Orders(keys=[make_key(ISSUED, agent="carol", id="c-1", calls=1)]))
        site.plane.look()
        assert (await send(site, own))[0] == 200
        assert (await site.record(2))["agent"] == "carol"
        assert (await send(site, own))[0] == 402  # its own budget of one call
        revoked = [make_key(ISSUED).sha256, make_key(ALICE).sha256]
        write_orders(tmp_path / "orders.json", Orders(revoked=revoked))
        site.plane.look()
        assert "revoked" in (await send(site, own))[1]["error"]["message"]
        assert "revoked" in (await send(site, b"x-weighbridge-key: wbk_alice\r\n"))[1]["error"]["message"]

    hold(run, tmp_path, Provider(), script, auth="required")


def test_budgets_are_kept_by_key_and_by_tag(run: Run, tmp_path: Path) -> None:
    async def script(site: Site) -> None:
        own = b"x-weighbridge-key: wbk_crew\r\n"
        assert (await send(site, own + b"x-weighbridge-tags: stage=test\r\n"))[0] == 200  # the key's own tag holds
        status, body = await send(site, own)
        assert (status, body["error"]["weighbridge"]["scope"]) == (402, {"key": "crew", "tag:stage": "live"})
        assert (await send(site))[0] == 200

    hold(run, tmp_path, Provider(), script, budgets=[Budget("each", calls=1, each=["key", "tag:stage"])])


def test_the_simulated_provider_is_called_with_a_key_of_ours_and_does_not_see_it(run: Run, tmp_path: Path) -> None:
    provider = Provider()

    async def script(site: Site) -> None:
        assert (await send(site, b"x-api-key: wbk_alice\r\n", "/demo/v1/chat/completions"))[0] == 200
        assert (await site.record(1))["agent"] == "alice"
        (head,) = provider.heads
        assert b"x-api-key: demo\r\n" in head and b"wbk_" not in head

    hold(run, tmp_path, provider, script, auth="required")
