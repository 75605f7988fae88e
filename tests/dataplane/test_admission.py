"""Admission, through real sockets: what is refused, capped, downgraded and observed, before a scripted provider."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from proxy.call import Ask
from proxy.dataplane import path
from proxy.rules import Budget, RateLimit
from proxy.wire import read_ask
from tests.dataplane.conftest import Site
from tests.dataplane.paying import CHAT, COST, Provider, Run, ask, hold, send


def test_a_call_is_reserved_before_it_goes_and_charged_when_it_ends(run: Run, tmp_path: Path) -> None:
    async def script(site: Site) -> None:
        status, fields, _ = await send(site, ask())
        record = await site.record()
        (opened,) = site.events("opened")
        assert status == 200 and "x-weighbridge-budget" not in fields
        assert opened["reserved"].keys() == {"all.usd@", "all.tokens@", "all.calls@"}
        assert opened["reserved_nano_usd"] == record["reserved_nano_usd"] == opened["reserved"]["all.usd@"] > COST
        assert record["charged"] == {"all.usd@": COST, "all.tokens@": 100, "all.calls@": 1}
        assert record["cost_nano_usd"] == COST

    hold(run, tmp_path, Provider(), script, Budget("all", usd=1, tokens=10**6, calls=10))


def test_a_used_up_budget_refuses_for_good_and_the_provider_hears_nothing(run: Run, tmp_path: Path) -> None:
    provider = Provider()

    async def script(site: Site) -> None:
        assert [(await send(site, ask()))[0] for _ in range(2)] == [200, 200]
        status, fields, body = await send(site, ask())
        assert (status, fields["x-weighbridge-error"], fields["x-should-retry"]) == (402, "policy_budget_exhausted", "false")
        facts = body["error"]["weighbridge"]
        assert (facts["budget"], facts["scope"], facts["unit"]) == ("each", {"agent": "alice"}, "calls")
        assert (facts["limit"], facts["spent"], facts["reserved"], facts["asked"]) == (2, 2, 0, 1)
        record = await site.record(3)
        assert (record["outcome"], record["act"], record["budget"], record["cost_nano_usd"]) == ("policy_budget_exhausted", "refused", "each", 0)
        assert "charged" not in record
        assert (await send(site, ask(), CHAT.replace("alice", "bob")))[0] == 200
        assert len(provider.got) == 3

    hold(run, tmp_path, provider, script, Budget("each", calls=2, each=["agent"]))


def test_what_is_left_is_useful_so_the_answer_is_capped(run: Run, tmp_path: Path) -> None:
    provider = Provider(output_tokens=20)

    async def script(site: Site) -> None:
        status, fields, _ = await send(site, ask(most=5000, user="u"))
        most = int(fields["x-weighbridge-max-tokens"])
        assert status == 200 and 64 <= most < 1000
        assert provider.got[0] == {**json.loads(ask(user="u")), "max_tokens": most}
        record = await site.record()
        assert (record["act"], record["budget"], record["capped_tokens"], record["max_output_tokens"]) == ("clamped", "all", most, most)
        assert record["reserved_nano_usd"] <= 10_000_000
        assert record["reserved_nano_usd"] > 9_980_000  # all that is left is put to use

    hold(run, tmp_path, provider, script, Budget("all", usd=0.01))


def test_a_rest_too_small_to_be_of_use_is_refused_with_what_would_fit(run: Run, tmp_path: Path) -> None:
    async def script(site: Site) -> None:
        status, _, body = await send(site, ask(most=5000))
        assert status == 402 and body["error"]["code"] == "policy_call_too_costly"
        affordable = body["error"]["weighbridge"]["affordable_max_tokens"]
        assert 0 < affordable < 64
        assert (await send(site, ask(most=affordable)))[0] == 200

    hold(run, tmp_path, Provider(output_tokens=10), script, Budget("all", usd=0.0006))


def test_a_request_without_a_maximum_reserves_the_default(run: Run, tmp_path: Path) -> None:
    async def script(site: Site) -> None:
        await send(site, ask(most=None))
        (opened,) = site.events("opened")
        assert 16384 * 10_000 < opened["reserved_nano_usd"] < 16500 * 10_000

    provider = Provider()
    hold(run, tmp_path, provider, script, Budget("all", usd=1))
    assert "max_tokens" not in provider.got[0]


def test_strict_writes_the_maximum_and_reserves_every_byte(run: Run, tmp_path: Path) -> None:
    provider = Provider()

    async def script(site: Site) -> None:
        status, fields, _ = await send(site, ask(most=None))
        assert (status, fields["x-weighbridge-max-tokens"], provider.got[0]["max_tokens"]) == (200, "16384", 16384)
        (opened,) = site.events("opened")
        assert opened["reserved_nano_usd"] >= 16384 * 10_000 + len(ask(most=None)) * 2000
        status, _, body = await send(site, ask(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://h/x.png"}}]}]))
        assert (status, body["error"]["code"]) == (403, "policy_call_unbounded")
        assert "image_url" in body["error"]["weighbridge"]["classes"]

    hold(run, tmp_path, provider, script, Budget("all", usd=1, mode="strict"))


def test_unbounded_calls_under_strict_reserve_what_the_operator_says(run: Run, tmp_path: Path) -> None:
    picture = {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://h/x.png"}}]}]}

    async def script(site: Site) -> None:
        assert (await send(site, ask(**picture)))[0] == 200
        assert site.events("opened")[0]["reserved_nano_usd"] == 500_000_000

    hold(run, tmp_path, Provider(), script, Budget("all", usd=1, mode="strict", unbounded_usd=0.5))


def test_downgrade_asks_the_cheaper_model(run: Run, tmp_path: Path) -> None:
    provider = Provider()

    async def script(site: Site) -> None:
        await send(site, ask())
        status, fields, _ = await send(site, ask())
        assert (status, fields["x-weighbridge-model-asked"]) == (200, "m")
        assert [each["model"] for each in provider.got] == ["m", "cheap"]
        record = await site.record(2)
        assert (record["act"], record["budget"], record["model_asked"], record["model"]) == ("downgraded", "soft", "m", "cheap")
        assert record["cost_nano_usd"] == COST // 10
        assert (await send(site, ask("free")))[0] == 200  # costs nothing: nothing is asked of the budget
        assert (await send(site, ask("cheap", most=2000)))[0] == 402  # none cheaper is named

    hold(run, tmp_path, provider, script, Budget("soft", usd=0.0012, mode="downgrade", downgrade={"m": "cheap"}))


@pytest.mark.parametrize(("mode", "act"), [("observe", "observed"), ("warn", "observed")])
def test_soft_budgets_refuse_nothing(run: Run, tmp_path: Path, mode: str, act: str) -> None:
    async def script(site: Site) -> None:
        answers = [await send(site, ask()) for _ in range(3)]
        assert [status for status, _, _ in answers] == [200, 200, 200]
        assert answers[2][1].get("x-weighbridge-budget") == ("all 100%" if mode == "warn" else None)
        record = await site.record(3)
        assert (record["act"], record["budget"]) == (act, "all")

    hold(run, tmp_path, Provider(), script, Budget("all", calls=1, mode=mode))


@pytest.mark.parametrize(("unpriced", "status"), [("refuse", 403), ("allow", 200)])
def test_calls_without_a_price(run: Run, tmp_path: Path, unpriced: str, status: int) -> None:
    async def script(site: Site) -> None:
        got, _, body = await send(site, ask("nobody-knows"))
        assert got == status
        if got == 403:
            assert body["error"]["code"] == "policy_call_unpriced"
            assert (await site.record())["act"] == "refused"

    hold(run, tmp_path, Provider(), script, Budget("all", usd=1, unpriced=unpriced))


def test_what_costs_nothing_passes_a_used_up_budget(run: Run, tmp_path: Path) -> None:
    async def script(site: Site) -> None:
        assert (await send(site, ask()))[0] == 402
        assert (await site.ask(b"GET /up/v1/models HTTP/1.1\r\nHost: p\r\nConnection: close\r\n\r\n")).startswith(b"HTTP/1.1 200")

    hold(run, tmp_path, Provider(), script, Budget("none", calls=0))


@pytest.mark.parametrize("settings", [{}, {"budgets": [Budget("all", usd=1)]}, {"rate_limits": [RateLimit("all", requests_per_minute=60)]}])
def test_a_call_is_looked_into_only_where_a_budget_or_a_limit_weighs_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict
) -> None:
    asked: list[Ask] = []

    def read(*args: object, **how: bool) -> Ask:
        asked.append(read_ask(*args, **how))
        return asked[-1]

    monkeypatch.setattr(path, "read_ask", read)
    names = ("image_url",) if settings else ("unread",)
    pages = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}]}]

    async def script(site: Site) -> None:
        assert (await send(site, ask(messages=pages)))[0] == 200
        assert asked[0].unbounded == names

    hold(run, tmp_path, Provider(), script, *settings.pop("budgets", []), **settings)


def test_a_model_that_is_run_by_a_post_to_it_is_paid_for(run: Run, tmp_path: Path) -> None:
    provider = Provider()

    async def script(site: Site) -> None:
        for target, status in (("/up/v1/models/black/flux/predictions", 403), ("/up/v1/files", 200)):
            assert (await send(site, ask(), target))[0] == status
        assert len(provider.got) == 1

    hold(run, tmp_path, provider, script, Budget("all", usd=1))


def test_a_body_in_a_coding_that_cannot_be_read_has_no_bound(run: Run, tmp_path: Path) -> None:
    async def script(site: Site) -> None:
        status, _, body = await send(site, b"?" * 5000, "/up/v1/embeddings", b"Content-Encoding: compress\r\n")
        assert (status, body["error"]["code"], body["error"]["weighbridge"]["classes"]) == (403, "policy_call_unbounded", ["unread"])

    hold(run, tmp_path, Provider(), script, Budget("all", tokens=10**6, mode="strict"))


def test_a_maximum_in_other_letters_beside_ours_is_refused_under_strict(run: Run, tmp_path: Path) -> None:
    async def script(site: Site) -> None:
        status, _, body = await send(site, ask(most=None, Max_Tokens=10**6))
        assert (status, body["error"]["weighbridge"]["classes"]) == (403, ["repeated_keys"])
        assert (await send(site, ask(most=5)))[0] == 200

    hold(run, tmp_path, Provider(output_tokens=5), script, Budget("all", usd=1, mode="strict"))
