import logging

import pytest

from proxy.dataplane.obey import OrdersFile
from proxy.errors import Refusal
from proxy.orders import Order, Orders, write_orders
from proxy.rules import DIMENSIONS
from proxy.toll.subject import Subject

CALL = Subject("alice", "openai", "gpt-4o", team="red", task="t-1", session="s-1", key="k-1", tags={"stage": "live"})
PAUSE = Order(verb="pause", dimension="agent", value="alice", reason="she spends too much", by="root", at_ns=1_700_000_000 * 10**9)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "orders.json"


def outcome(file: OrdersFile, subject: Subject = CALL) -> str | None:
    try:
        file.check(subject)
    except Refusal as refusal:
        return refusal.name
    return None


def test_without_a_file_nothing_holds(path):
    file = OrdersFile(path)
    assert outcome(file) is None and not file.refresh() and file.find_end(CALL) is None


def test_an_order_holds_from_the_next_look_until_it_is_taken_back(path):
    file = OrdersFile(path)
    write_orders(path, Orders(orders=[PAUSE]))
    assert outcome(file) is None
    assert file.refresh() and not file.refresh()
    assert outcome(file) == "policy_paused" and outcome(file, Subject("bob", "openai")) is None
    write_orders(path, Orders())
    assert file.refresh() and outcome(file) is None


def test_it_outlives_a_restart(path):
    write_orders(path, Orders(orders=[PAUSE]))
    assert outcome(OrdersFile(path)) == "policy_paused"


def test_the_refusal_says_who_and_why(path):
    write_orders(path, Orders(orders=[PAUSE]))
    with pytest.raises(Refusal) as caught:
        OrdersFile(path).check(CALL)
    assert caught.value.details == {"reason": "she spends too much", "by": "root", "since": "2023-11-14T22:13:20Z"}
    assert "The agent alice is paused by root at 2023-11-14T22:13:20Z: she spends too much." in caught.value.message
    assert (caught.value.status, caught.value.retryable) == (403, False)


@pytest.mark.parametrize("dimension", [*DIMENSIONS, "tag:stage", None])
def test_an_order_concerns_a_call_in_every_dimension(path, dimension):
    value = None if dimension is None else CALL.name_in(dimension)
    write_orders(path, Orders(orders=[Order(verb="pause", dimension=dimension, value=value)]))
    file = OrdersFile(path)
    assert outcome(file) == "policy_paused"
    assert outcome(file, Subject("bob", "azure")) == ("policy_paused" if dimension is None else None)


KILLS = [Order(verb="kill", dimension="agent", value="bob"), Order(verb="kill", dimension="task", value="t-1")]


@pytest.mark.parametrize("turn", [1, -1])
@pytest.mark.parametrize("orders", [[PAUSE, Order(verb="kill", dimension="agent", value="alice")], [PAUSE, *KILLS], [Order(verb="pause"), *KILLS]])
def test_of_several_orders_the_ending_one_is_told(path, turn, orders):
    write_orders(path, Orders(orders=orders[::turn]))
    assert outcome(OrdersFile(path)) == "policy_killed"


def test_running_calls_end_only_where_the_order_says_so(path):
    kill = Order(verb="kill", dimension="task", value="t-1", running=True, reason="gone astray")
    write_orders(path, Orders(orders=[PAUSE, kill]))
    file = OrdersFile(path)
    end = file.find_end(CALL)
    assert end is not None and end.name == "policy_killed" and "gone astray" in end.message
    assert file.find_end(Subject("alice", "openai", task="t-2")) is None


SPOILED = [b"{", b"", b'{"orders": 7}', b'{"orders": [{"verb": "dance"}]}', b'{"orders": [{"verb": "pause", "dimension": "shoe", "value": "x"}]}']


@pytest.mark.parametrize("text", SPOILED)
def test_a_file_that_cannot_be_read_leaves_the_last_good_one(path, text, caplog):
    write_orders(path, Orders(orders=[PAUSE], config_generation=3))
    file = OrdersFile(path)
    path.write_bytes(text)
    with caplog.at_level(logging.ERROR):
        assert not file.refresh() and not file.refresh()
    assert outcome(file) == "policy_paused" and file.orders.config_generation == 3
    assert file.unreadable == 1 and len(caplog.records) == 1, "told once, and not at every look"
    write_orders(path, Orders())
    assert file.refresh() and outcome(file) is None


@pytest.mark.parametrize("text", SPOILED)
def test_where_there_never_was_a_good_one_everything_is_paused(path, text):
    path.write_bytes(text)
    file = OrdersFile(path)
    assert outcome(file) == "policy_paused" and file.find_end(CALL) is None and file.unreadable == 1
    path.unlink()
    assert file.refresh() and outcome(file) is None


def test_a_fault_that_passes_is_not_the_last_word(path, monkeypatch):
    write_orders(path, Orders())
    file = OrdersFile(path)
    write_orders(path, Orders(orders=[PAUSE]))
    with monkeypatch.context() as patch:
        patch.setattr(type(path), "read_bytes", _no_more_files)
        assert not file.refresh() and outcome(file) is None
    assert file.refresh() and outcome(file) == "policy_paused"


def test_a_folder_that_cannot_be_looked_into_is_a_fault_too(path, monkeypatch):
    write_orders(path, Orders(orders=[PAUSE]))
    file = OrdersFile(path)
    with monkeypatch.context() as patch:
        patch.setattr(type(path), "stat", _no_more_files)
        assert not file.refresh() and file.unreadable == 1 and outcome(file) == "policy_paused"
    write_orders(path, Orders())
    assert file.refresh() and outcome(file) is None


def _no_more_files(path, **_):
    raise OSError(24, "Too many open files")


def test_an_order_ends_by_itself_though_nobody_lifts_it(path):
    now = [10]
    ends = [Order(verb="pause", dimension="agent", value="alice", until_ns=20), Order(verb="kill", dimension="task", value="t-1", until_ns=30)]
    write_orders(path, Orders(orders=ends))
    file = OrdersFile(path, lambda: now[0])
    assert outcome(file) == "policy_killed" and not file.refresh()
    now[0] = 20
    assert file.refresh() and not file.refresh() and outcome(file, Subject("alice", "openai")) is None and outcome(file) == "policy_killed"
    now[0] = 30
    assert file.refresh() and not file.refresh() and outcome(file) is None


def test_tiers_and_inspections_hold_up_nobody(path):
    orders = [Order(verb="tier", dimension="agent", value="alice", tier="strong"), Order(verb="inspect", dimension="team", value="red")]
    write_orders(path, Orders(orders=orders))
    file = OrdersFile(path)
    assert outcome(file) is None and file.inspects_some
    assert (file.find_tier(CALL), file.inspects(CALL)) == ("strong", True)
    assert (file.find_tier(Subject("bob", "openai")), file.inspects(Subject("bob", "openai"))) == (None, False)
