"""Which calls are handed over to be inspected."""

from __future__ import annotations

from proxy.dataplane.portion import Portion
from proxy.inspecting import Evaluators
from proxy.orders import Order, Orders, write_orders
from tests.dataplane.paying import answer
from tests.dataplane.routing import ASK, Upstreams, call
from tests.dataplane.test_carrier import hold

S = 10**9


def test_never_more_than_so_many_a_second_are_taken() -> None:
    portion = Portion(Evaluators(per_second=10))
    assert sum(portion.takes("chat", 100 * S + number * S // 1000) for number in range(5000)) in range(55, 62)  # 50, and a burst of 10


def test_all_are_taken_where_few_come() -> None:
    portion = Portion(Evaluators(per_second=10))
    assert all(portion.takes("chat", number * S) for number in range(100))


def test_a_share_is_drawn() -> None:
    draws = iter([0.1, 0.3, 0.2, 0.9])
    portion = Portion(Evaluators(share=0.25), lambda: next(draws))
    assert [portion.takes("chat", number * S) for number in range(4)] == [True, False, True, False]


def test_only_what_a_model_writes_is_taken() -> None:
    portion = Portion(Evaluators())
    assert [portion.takes(name, S) for name in ("embeddings", "files", "other")] == [False] * 3
    assert all(portion.takes(name, S) for name in ("chat", "text_completion", "generate_content"))


def test_it_can_be_off() -> None:
    portion = Portion(Evaluators(per_second=0))
    assert not portion.takes("chat", S)
    portion.configure(Evaluators())
    assert portion.takes("chat", S)
    portion.configure(Evaluators(share=0))
    assert not portion.takes("chat", S)


def test_an_order_has_calls_inspected_that_the_share_leaves_out(run, tmp_path, monkeypatch):
    write_orders(tmp_path / "orders.json", Orders(orders=[Order(verb="inspect", dimension="agent", value="alice")]))
    sent = []

    async def script(site):
        monkeypatch.setattr(site.plane._samples, "send", sent.append)
        for name in (b"alice", b"bob"):
            await call(site, headers=b"x-agent-id: " + name + b"\r\n")
        await site.record(2)
        assert [(one.agent, one.request) for one in sent if one.is_inspected] == [("alice", ASK)]

    hold(run, tmp_path, {"up": Upstreams(answer(40, 60))}, {}, script, evaluators=Evaluators(share=0.0))
