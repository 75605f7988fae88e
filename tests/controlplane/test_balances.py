"""The control plane's own ledger: the same figures as the journal's, whatever the file of orders says."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config import Config
from proxy.controlplane.balances import Balances
from proxy.controlplane.store import Store
from proxy.orders import Orders, TaskBudget, write_orders
from proxy.rules import Budget, Key
from proxy.rules import Ledger as Shared
from proxy.toll.checkpoint import write_checkpoint
from proxy.toll.follow import Follower
from proxy.toll.ledger import Ledger
from proxy.toll.talk import KEY
from tests.controlplane.conftest import START_NS, Segments, add, call, line, load_all, opened
from tests.toll.redis_server import RedisServer

CELL = "each.calls@?agent=agent-1"


def read(balances: Balances) -> dict[str, tuple[int | None, int, int]]:
    """Budget, unit and account → limit, spent and reserved."""
    return {f"{one.budget}.{one.unit} {'/'.join(one.scope.values())}".strip(): (one.limit, one.spent, one.reserved) for one in balances.read()}


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(state_dir=str(tmp_path), budgets=[Budget("each", calls=10, each=["agent"])])


def test_they_follow_the_journal_line_by_line(config: Config) -> None:
    segments = Segments(config.journal_dir)
    balances = Balances(config, lambda: START_NS)
    assert read(balances) == {}
    first = segments.begin(1)
    add(first, opened(1, reserved={CELL: 1}) + opened(2, reserved={CELL: 1}))
    assert read(balances) == {"each.calls agent-1": (10, 0, 2)}
    add(first, call(1, charged={CELL: 1}))
    add(segments.begin(2, writer="c"), line("correction", {"id": "call-1", "at_ns": 1, "by": "jo", "adjusted": {CELL: -1}}))
    assert read(balances) == {"each.calls agent-1": (10, 0, 1)}
    segments.begin(3, pid=12)
    assert read(balances) == {"each.calls agent-1": (10, 1, 0)}, "call 2 has crashed, and is presumed spent"
    balances.configure(Config(state_dir=config.state_dir, budgets=[Budget("each", calls=99, each=["agent"])]))
    assert read(balances) == {"each.calls agent-1": (99, 1, 0)}


def test_where_several_data_planes_share_their_budgets_their_sum_is_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    server = RedisServer(tmp_path)
    shared = Config(state_dir=str(tmp_path), budgets=[Budget("all", calls=9)], ledger=Shared(redis=server.url))
    balances = Balances(shared, lambda: START_NS)
    add(Segments(shared.journal_dir).begin(1), opened(1, reserved={"all.calls@": 1}))
    server.call("HSET", f"{KEY}:totals", "s:all.calls@", "5", "r:all.calls@", "3")
    assert read(balances) == {"all.calls": (9, 5, 3)}
    server.kill()
    assert read(balances) == {"all.calls": (9, 0, 1)} and "what this one has" in caplog.text


def test_tasks_and_keys_have_the_budgets_that_orders_give_them(config: Config, caplog: pytest.LogCaptureFixture) -> None:
    balances = Balances(config, lambda: START_NS)
    keys = [Key(sha256="a" * 64, agent="x", id="k1", usd=1.5), Key(sha256="b" * 64, agent="x", id="k2", calls=3)]
    write_orders(config.orders, Orders(tasks={"t": TaskBudget(tokens=7)}, keys=keys, revoked=["b" * 64]))
    assert read(balances) == {"task.tokens t": (7, 0, 0), "key.usd k1": (1_500_000_000, 0, 0)}
    config.orders.write_text("broken")
    assert len(read(balances)) == 2 and "stay as they were" in caplog.text
    config.orders.unlink()
    assert read(balances) == {}


def test_where_nobody_asked_while_the_journal_was_pruned_they_are_the_same(config: Config) -> None:
    segments, told = Segments(config.journal_dir), [opened(1, reserved={CELL: 1}), opened(2, reserved={CELL: 1}), call(1, charged={CELL: 1})]
    asked, silent = Balances(config, lambda: START_NS), Balances(config, lambda: START_NS)
    first = segments.begin(1)
    assert read(asked) == read(silent) == {}
    for text in told:
        add(first, text)
        read(asked)
    second = segments.begin(2)
    add(second, write_checkpoint(asked._ledger.checkpoint() | {"read": {}}) + call(2, charged={CELL: 1}))
    assert read(asked) == {"each.calls agent-1": (10, 2, 0)}
    first.unlink()
    assert read(silent) == read(asked)


CELLS = ("all.usd@", "day.usd@2026-11-21?agent=a", "24h.tokens@24h:1243055", "all.calls@")
amounts = st.dictionaries(st.sampled_from(CELLS), st.integers(0, 1000), min_size=1)
ends = st.one_of(st.none(), amounts)
lives = st.lists(st.tuples(amounts, st.none() | amounts, ends, st.none() | amounts), max_size=4)


def tell(number: int, life: tuple) -> tuple[bytes, bytes]:
    """What a call leaves in the data plane's journal, and in the control plane's."""
    reserved, extended, charged, adjusted = life
    lines = opened(number, reserved=reserved, reserved_nano_usd=reserved.get("all.usd@"))
    if extended is not None:
        whole = {cell: amount + extended.get(cell, 0) for cell, amount in reserved.items()}
        lines += line("extended", {"id": f"call-{number}", "reserved_nano_usd": whole.get("all.usd@"), "reserved": whole})
    if charged is not None:
        lines += call(number, charged={cell: charged.get(cell, 0) for cell in reserved})
    corrections = b"" if adjusted is None else line("correction", {"id": f"call-{number}", "at_ns": 1, "by": "jo", "adjusted": adjusted})
    return lines, corrections


@settings(max_examples=20, deadline=None)
@given(st.lists(lives, min_size=1, max_size=3))
def test_the_sum_of_the_ledger_is_the_sum_of_the_records_whatever_crashed(processes: list) -> None:
    """A call without an end is one whose process died: presumed spent in the ledger, and so in its row."""
    with tempfile.TemporaryDirectory() as folder:
        segments, store = Segments(Path(folder, "journal")), Store(Path(folder, "db"))
        for place, process in enumerate([*processes, []]):
            ours, theirs = segments.begin(place * 2 + 1, pid=place + 1), segments.begin(place * 2 + 2, pid=99, writer="c")
            for number, life in enumerate(process):
                lines, corrections = tell(place * 10 + number, life)
                add(ours, lines)
                add(theirs, corrections)
        reader = segments.reader()
        reader.restore(store)
        load_all(reader, store)
        ledger = Ledger([])
        Follower(segments.folder, ledger).catch_up()
        sums = (
            "SELECT cell, sum(amount)::BIGINT FROM (SELECT unnest(map_keys(charged)) AS cell, unnest(map_values(charged)) AS amount FROM calls_now)"
        )
        rows = {cell: amount for cell, amount in store.query(f"{sums} GROUP BY cell")[1] if amount}
        cells = ledger.checkpoint()["cells"]
        assert rows == {cell: spent for cell, (spent, _) in cells.items() if spent}
        assert not any(reserved for _, reserved in cells.values())
        store.close()
