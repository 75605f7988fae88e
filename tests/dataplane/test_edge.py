import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dataplane.edge import SECOND, Edge, mend_head
from tests.dataplane.conftest import open_site, post
from tests.dataplane.test_path import ANSWER, ASK, CHAT, answer

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nuser-agent: a\r\nUSER-AGENT: b\r\nX: 1\r\nUser-Agent: c\r\n\r\nUser-Agent: body"


def test_only_further_user_agents_of_the_head_are_renamed():
    mended = mend_head(HEAD, HEAD.index(b"\r\n\r\n"))
    assert mended == HEAD.replace(b"USER-AGENT: b", SECOND + b"USER-AGENT: b").replace(b"User-Agent: c", SECOND + b"User-Agent: c")


@given(st.lists(st.sampled_from([b"User-Agent: a", b"X-User-Agent: b", b"Accept: c", b"user-agent:"]), max_size=8), st.binary(max_size=40))
def test_mending_changes_names_only(lines, body):
    head = b"GET / HTTP/1.1\r\n" + b"".join(line + b"\r\n" for line in lines)
    data = head + b"\r\n" + body
    mended = mend_head(data, data.find(b"\r\n\r\n"))
    assert mended.endswith(b"\r\n" + body)
    mended_head = mended[: len(mended) - len(body)]
    assert mended_head.lower().replace(SECOND.lower(), b"") == (head + b"\r\n").lower()
    assert mended_head.lower().count(b"\nuser-agent:") <= 1


@pytest.mark.parametrize("size", [1, 7, 64])
def test_a_head_may_come_in_any_pieces(run, tmp_path, size):
    request = post(CHAT, ASK, b"User-Agent: one\r\nUser-Agent: two\r\n")

    async def main():
        async with open_site(tmp_path, answer) as site:
            reader, writer = await site.connect()
            for start in range(0, len(request), size):
                writer.write(request[start : start + size])
                await writer.drain()
            assert (await reader.read()).endswith(ANSWER)
            writer.close()

    run(main())


def test_a_body_that_comes_late_is_no_head(run, tmp_path):
    request = post(CHAT, ASK, b"Expect: 100-continue\r\n")
    cut = request.index(b"\r\n\r\n") + 4

    async def main():
        async with open_site(tmp_path, answer) as site:
            reader, writer = await site.connect()
            writer.write(request[:cut])
            await reader.readuntil(b"100 Continue\r\n\r\n")
            writer.write(request[cut:])
            assert (await reader.read()).endswith(ANSWER)
            writer.close()

    run(main())


def test_pipelined_requests_are_answered_in_order(run, tmp_path):
    async def main():
        async with open_site(tmp_path, answer) as site:
            response = await site.ask(post(CHAT, ASK, connection=b"keep-alive") + post(CHAT, ASK))
            assert response.count(ANSWER) == 2
            await site.record(2)

    run(main())


def test_a_defect_behind_an_answer_does_not_leave_the_connection_open(run, tmp_path, monkeypatch):
    async def fail(edge, payload):
        raise RuntimeError("a defect")

    monkeypatch.setattr(Edge, "_linger", fail)

    async def main():
        async with open_site(tmp_path, answer) as site:
            unfinished = post("/nowhere/v1/chat/completions", ASK, connection=b"keep-alive")[:-5]
            raw = await site.ask(unfinished)  # read up to the end of the connection
            assert raw.startswith(b"HTTP/1.1 404 ")

    run(main())
