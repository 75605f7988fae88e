"""Which calls are answered by another model, what of them changes, and what the caller and the record say of it."""

import json
from datetime import UTC, datetime

import pytest

from proxy.call import Ask, Call, Kind
from proxy.dataplane.tiering import Tiering
from proxy.orders import Order, Orders, write_orders
from proxy.routes import Fallback, Retry
from proxy.tiers import Tier
from proxy.toll.subject import Subject
from tests.dataplane.paying import COST, answer
from tests.dataplane.routing import ASK, Upstreams, call
from tests.dataplane.test_carrier import hold

CHAT = Kind("openai.chat", "chat", json_body=True, needs_model=True)
BODY = b'{"model": "m", "messages": []}'


def choose(tier, *more, ask=None, at="2026-06-01T12:00", id="c", kind=CHAT, body=BODY, path="/v1/chat/completions", **names):
    started_ns = int(datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp()) * 10**9
    asked = ask or Ask(model="m", prompt_bytes=len(body or b""))
    one = Call(id=id, started_ns=started_ns, method="POST", path=path, kind=kind, ask=asked)
    subject = Subject(**({"agent": "a", "upstream": "up", "model": kind.model or asked.model} | names))
    changed = Tiering([tier, *more]).choose(one, subject, body, path)
    return (one.tier, one.kind.model or one.ask.model, changed)


def test_the_name_changes_and_nothing_else():
    assert choose(Tier("t", {"m": "big"})) == ("t", "big", (BODY.replace(b'"m"', b'"big"'), "/v1/chat/completions"))
    gemini = Kind("gemini.generate", "generate_content", model="m", json_body=True)
    found = choose(Tier("t", {"m": "big"}), kind=gemini, ask=Ask(), body=b"{}", path="/v1beta/models/m:generateContent")
    assert found == ("t", "big", (b"{}", "/v1beta/models/big:generateContent"))


@pytest.mark.parametrize(
    "tier",
    [
        Tier("t", {"other": "big"}), Tier("t", {"m": "big"}, match={"agent": "b*"}), Tier("t", {"m": "big"}, match={"task": "*"}),
        Tier("t", {"m": "big"}, match={"tag:kind": "draft"}), Tier("t", {"m": "big"}, least_prompt_bytes=len(BODY) + 1),
        Tier("t", {"m": "big"}, most_prompt_bytes=len(BODY) - 1), Tier("t", {"m": "big"}, hours="13-12"), Tier("t", {"m": "big"}, hours="22-6"),
        Tier("t", {"m": "big"}, hours="12-13", timezone="Asia/Tokyo"), Tier("t", {"m": "big"}, share=0.0),
    ],
)  # fmt: skip
def test_whom_a_rule_does_not_concern(tier):
    assert choose(tier) == (None, "m", None)
    assert choose(tier, Tier("next", {"m": "small"}))[:2] == ("next", "small")


@pytest.mark.parametrize(
    "tier",
    [
        Tier("t", {"m": "big"}, match={"agent": "a*", "tag:kind": "draft"}), Tier("t", {"m": "big"}, least_prompt_bytes=len(BODY)),
        Tier("t", {"m": "big"}, hours="12-13"), Tier("t", {"m": "big"}, hours="22-13"), Tier("t", {"m": "big"}, hours="21-22", timezone="Asia/Tokyo"),
    ],
)  # fmt: skip
def test_whom_it_does(tier):
    assert choose(tier, tags={"kind": "draft"})[1] == "big"


def test_what_cannot_be_changed_stays():
    tier = Tier("t", {"m": "big"})
    assert choose(tier, body=None, ask=Ask(model="m"))[0] is None
    assert choose(tier, ask=Ask(model="m", unbounded=("stored_context",)))[0] is None
    assert choose(tier, kind=Kind("opaque", "other"))[0] is None


def test_a_share_is_kept_by_task_and_is_about_as_large_as_said():
    tier = Tier("t", {"m": "big"}, share=0.05)
    drawn = [choose(tier, id=f"c{number}")[0] is not None for number in range(4000)]
    assert 120 <= sum(drawn) <= 280
    for task in range(40):
        assert len({choose(tier, id=f"c{number}", task=f"t-{task}")[0] for number in range(5)}) == 1


def test_the_caller_and_the_record_say_what_was_asked_and_what_answered(run, tmp_path):
    up = Upstreams(answer(40, 60, "cheap"))

    async def script(site):
        status, fields, _ = await call(site)
        assert (status, fields["x-weighbridge-model-asked"]) == (200, "m")
        record = await site.record()
        assert (record["tier"], record["model_asked"], record["model"], record["cost_nano_usd"]) == ("drafts", "m", "cheap", COST // 10)

    hold(run, tmp_path, {"up": up}, {}, script, tiers=[Tier("drafts", {"m": "cheap"})])
    assert up.asked[0][1] == json.loads(ASK) | {"model": "cheap"}


def test_a_fallback_takes_it_from_there(run, tmp_path):
    other = Upstreams(answer(40, 60, "free"))
    sections = {"up": {"retry": Retry(attempts=1), "fallbacks": [Fallback("other", {"cheap": "free"})]}}

    async def script(site):
        assert (await call(site))[1]["x-weighbridge-model-asked"] == "m"
        assert (await site.record())["model_asked"] == "m"

    hold(run, tmp_path, {"up": None, "other": other}, sections, script, tiers=[Tier("drafts", {"m": "cheap"})])
    assert other.asked[0][1]["model"] == "free"


def test_a_rule_that_waits_for_an_order_comes_first_when_there_is_one(run, tmp_path):
    up = Upstreams(answer(40, 60, "big"))
    standing, ordered = Tier("standing", {"m": "small"}), Tier("strong", {"m": "big"}, by_order=True)
    assert choose(ordered) == (None, "m", None) and choose(ordered, standing)[0] == "standing"
    write_orders(tmp_path / "orders.json", Orders(orders=[Order(verb="tier", dimension="agent", value="alice", tier="strong")]))

    async def script(site):
        await call(site, headers=b"x-agent-id: alice\r\n")
        await call(site, headers=b"x-agent-id: bob\r\n")
        await site.record(2)
        assert [record["tier"] for record in site.events("call")] == ["strong", "standing"]

    hold(run, tmp_path, {"up": up}, {}, script, tiers=[standing, ordered])
    assert [body["model"] for _, body in up.asked] == ["big", "small"]
