"""Bad input and dead upstreams: a clear error in the caller's dialect, and a record of it."""

import json
import socket

import pytest

from proxy.config import Config, Identity, Key, Limits, Listen, Upstream
from proxy.dataplane.headers import hash_key
from proxy.dataplane.upstream import Pool
from tests.dataplane.conftest import open_site, post
from tests.dataplane.test_path import ANSWER, ASK, CHAT, answer, split

PATHS = {
    "openai": ("/up/v1/chat/completions", lambda body: body["error"]["message"]),
    "anthropic": ("/up/v1/messages", lambda body: body["error"]["message"] if body["type"] == "error" else None),
    "gemini": ("/up/v1beta/models/gemini-2.5-flash:generateContent", lambda body: body["error"]["message"]),
    "bedrock": ("/up/model/amazon.nova-micro-v1%3A0/converse", lambda body: body["message"]),
    "cohere": ("/up/v2/chat", lambda body: body["message"]),
    "ollama": ("/up/api/chat", lambda body: body["error"]),
}


@pytest.mark.parametrize("dialect", PATHS)
def test_malformed_json_is_refused_in_the_callers_dialect(run, tmp_path, dialect):
    path, message = PATHS[dialect]

    async def main():
        async with open_site(tmp_path, answer) as site:
            head, body = split(await site.ask(post(path, b'{"model": "secret-ish", ')))
            assert head.startswith(b"HTTP/1.1 400 Bad Request") and b"x-should-retry: false" in head
            assert "not valid JSON" in message(json.loads(body)) and b"secret-ish" not in body
            record = await site.record()
            assert (record["outcome"], record["status"], record["cost_nano_usd"]) == ("caller_invalid_json", 400, 0)
            assert not site.events("opened")

    run(main())


@pytest.mark.parametrize(
    ("request_bytes", "status", "name"),
    [
        (post(CHAT, b'{"messages": []}'), 400, "caller_model_absent"),
        (post("/nowhere/v1/chat/completions", ASK), 404, "caller_unknown_upstream"),
        (post("/up/../x", ASK), 400, "caller_bad_request"),
        (post(CHAT, ASK, b"x-api-key: a\r\nx-api-key: b\r\n"), 400, "caller_bad_request"),
        (post(CHAT, ASK[:-2] + b" " * 3000 + ASK[-2:]), 413, "caller_body_too_large"),
        (post("/up/v1/files", b"x" * 9000), 413, "caller_body_too_large"),
    ],
)
def test_bad_requests_say_what_to_do(run, tmp_path, request_bytes, status, name):
    async def main():
        async with open_site(tmp_path, answer, Limits(body_bytes=2000, upload_bytes=8000)) as site:
            head, body = split(await site.ask(request_bytes))
            error = json.loads(body)["error"]
            assert head.startswith(b"HTTP/1.1 %d " % status) and f"x-weighbridge-error: {name}".encode() in head
            assert error["code"] == name and error["message"].endswith(".")
            assert (await site.record())["outcome"] == name

    run(main())


def test_a_model_may_be_absent_where_the_operator_says_so(run, tmp_path):
    async def main():
        async with open_site(tmp_path, answer) as site:
            port = site.plane.traffic.pools["up"].port
            optional = {"up": Upstream(url=f"http://127.0.0.1:{port}", model_optional=True)}
            site.plane.traffic.lanes.configure(optional, Limits())
            assert (await site.ask(post(CHAT, b'{"messages": []}'))).endswith(ANSWER)

    run(main())


def test_a_malformed_request_line_gets_a_page_that_echoes_nothing(run, tmp_path):
    async def main():
        async with open_site(tmp_path, answer) as site:
            response = await site.ask(b"GET /up HTTP/1.1\r\nAuthorization\x00: Bearer sk-leak\r\n\r\n")
            assert response.startswith(b"HTTP/1.1 400 ") and b"sk-leak" not in response and b"caller_bad_request" in response

    run(main())


def test_a_dead_upstream_is_a_502_that_may_be_retried(run, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    async def main():
        async with open_site(tmp_path, answer) as site:
            traffic = site.plane.traffic
            traffic.pools["up"] = Pool(Upstream(url=f"http://127.0.0.1:{port}"), Limits(), traffic._outbox)
            head, body = split(await site.ask(post("/up/v1/messages", ASK)))
            assert head.startswith(b"HTTP/1.1 502 ") and b"x-should-retry" not in head
            assert json.loads(body)["error"]["code"] == "upstream_unreachable"
            record = await site.record()
            assert (record["outcome"], record["cost_nano_usd"]) == ("upstream_unreachable", 0) and "usage_source" not in record

    run(main())


def test_a_silent_upstream_is_a_504(run, tmp_path):
    async def script(exchange):
        await exchange.read_request()
        await exchange.reader.read()

    async def main():
        async with open_site(tmp_path, script, Limits(first_byte_s=0.01)) as site:
            reader, writer = await site.connect()
            writer.write(post(CHAT, ASK))
            while not site.plane.traffic.in_flight:
                await _turn()
            while site.plane.traffic.in_flight:
                site.plane.tick()
                await _turn()
            head, body = split(await reader.read())
            writer.close()
            assert head.startswith(b"HTTP/1.1 504 ") and json.loads(body)["error"]["code"] == "upstream_timeout"
            assert (await site.record())["usage_source"] == "estimated"

    run(main())


async def _turn() -> None:
    import asyncio

    await asyncio.sleep(0.005)


def test_our_own_key_never_leaves_without_a_provider_key(run, tmp_path):
    identity = Identity(keys=[Key(sha256=hash_key("wb-1"), agent="billing")])

    async def main():
        async with open_site(tmp_path, answer, identity=identity) as site:
            head, body = split(await site.ask(post(CHAT, ASK, b"Authorization: Bearer wb-1\r\n")))
            assert head.startswith(b"HTTP/1.1 403 ") and b"policy_no_upstream_key" in body
            record = await site.record()
            assert (record["agent"], record["rung"]) == ("billing", "key")

    run(main())


def test_a_provider_key_from_the_environment_replaces_the_callers(run, tmp_path, monkeypatch):
    monkeypatch.setenv("UP_KEY", "sk-ours")
    heads = []

    async def script(exchange):
        heads.append(await exchange.read_request())
        await exchange.reply(ANSWER)

    async def main():
        async with open_site(tmp_path, script) as site:
            site.plane.traffic.lanes.by_name["up"].keyring.keys[0].secret = "sk-ours"
            await site.ask(post(CHAT, ASK, b"Authorization: Bearer dummy\r\n"))
            assert b"Authorization: Bearer sk-ours\r\n" in heads[0] and b"dummy" not in heads[0]

    run(main())


def test_health_answers_without_a_record(run, tmp_path):
    async def main():
        async with open_site(tmp_path, answer) as site:
            response = await site.ask(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert response.startswith(b"HTTP/1.1 200 OK") and response.endswith(b"ok\n")
            assert not site.events("call")

    run(main())


def test_defaults_are_usable():
    assert Config().limits.body_bytes > 32 * 1024 * 1024


FOREIGN = (b"Host: page.example.com", b"Host: localhost\r\nOrigin: https://page.example.com", b"Host: localhost\r\nOrigin: null")
OURS = (b"Host: localhost\r\nOrigin: http://localhost:3000", b"Host: proxy", b"Host: 127.0.0.1:8787")
LISTED = b"Host: bridge.example.com"


@pytest.mark.parametrize(
    ("hosts", "refused", "passed"), [([], (*FOREIGN, LISTED), OURS), (["bridge.example.com"], (*FOREIGN, b"Host: proxy"), (LISTED, OURS[2]))]
)
def test_a_page_that_calls_by_its_own_name_or_from_elsewhere_is_refused(run, tmp_path, hosts, refused, passed):
    asked = b"POST " + CHAT.encode() + b" HTTP/1.1\r\n%b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b"

    async def main():
        async with open_site(tmp_path, answer, listen=Listen(hosts=hosts)) as site:
            for head in refused:
                got = await site.ask(asked % (head, len(ASK), ASK))
                assert got.startswith(b"HTTP/1.1 400 ") and b"listen.hosts" in got and b"page.example.com" not in got, head
            assert site.plane.traffic.opened == 0
            for head in passed:
                assert (await site.ask(asked % (head, len(ASK), ASK))).startswith(b"HTTP/1.1 200 "), head

    run(main())
