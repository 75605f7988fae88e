"""How fast the control plane loads a journal into DuckDB: rows a second and CPU a record, from the journal's bytes on.

    python benchmarks/load_journal.py [calls]

Every call has its `opened` line, as the data plane writes it; decoding, counting for /metrics, the transactions and their
fsyncs are all within the measured time, and so is what the fleet learns. The scrape after it has its own figure.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import msgspec

from proxy.config import Fleet as Silence
from proxy.controlplane.events import Weighed
from proxy.controlplane.fleet import Fleet
from proxy.controlplane.journal_reader import JournalReader
from proxy.controlplane.metrics import Metrics
from proxy.controlplane.metrics.fleet import make_fleet_gauges
from proxy.controlplane.store import Store
from proxy.record import Opened, Record

_SAME = {"upstream": "openai", "dialect": "openai", "format": "openai_chat", "operation": "chat", "method": "POST", "stream": True}
_TOKENS = ("cache_write_tokens", "cache_write_1h_tokens", "reasoning_tokens", "input_audio_tokens", "output_audio_tokens", "input_image_tokens")
_ENDING = {"outcome": "ok", "status": 200, "finish": "stop", "user_agent": "OpenAI/Python 2.8.0"}
_USAGE = {"output_tokens": 345, "cache_read_tokens": 1024, "output_image_tokens": 0, "web_searches": 0, "usage_source": "reported"}
_TIMES = {"duration_ns": 1_234_567_890, "first_byte_ns": 200_000_000}
_TIMES |= {"first_token_ns": 234_000_000, "output_token_ns": 2_900_000, "added_ns": 412_000}
_SIZES = {"response_bytes": 30_000, "chunks": 346, "output_bytes": 1500, "limit_requests": 10_000, "remaining_requests": 9_999}
_FIGURES = dict.fromkeys(_TOKENS, 0) | _ENDING | _USAGE | _TIMES | _SIZES | {"cost_source": "book", "price_version": "genai-prices 0.2.3"}


def write_journal(folder: Path, calls: int) -> int:
    """Write segments of 50 000 calls of ten models and a hundred agents. Their size in bytes."""
    encode = msgspec.json.Encoder().encode
    size = 0
    for first in range(0, calls, 50_000):
        started_ns = 1_770_000_000_000_000_000 + first * 1_000_000
        lines = [encode({"segment": {"version": 1, "started_ns": started_ns, "pid": 2**22, "writer": "d"}})]
        for index in range(first, min(first + 50_000, calls)):
            event = Opened(
                id=f"wb_{index:026d}",
                started_ns=started_ns + index * 1_000_000,
                agent=f"agent-{index % 100}",
                rung="path",
                task=f"task-{index % 1000}",
                path="/v1/chat/completions",
                model_asked=f"gpt-{index % 10}",
                request_bytes=2000,
                **_SAME,
            )
            opened = msgspec.structs.asdict(event)
            record = Record(
                charged=opened.pop("reserved"),
                **opened,
                model=f"gpt-{index % 10}-2026-10-01",
                response_id=f"chatcmpl-{index:029d}",
                request_id=f"req_{index:032x}",
                trace_id=f"{index:032x}",
                span_id=f"{index:016x}",
                input_tokens=1200 + index % 100,
                cost_nano_usd=123_456 + index,
                **_FIGURES,
            )
            lines += (b'{"opened":' + encode(event) + b"}", b'{"call":' + encode(record) + b"}")
        lines.append(encode({"closed": {"at_ns": started_ns, "lines": len(lines) - 1}}))
        data = b"\n".join(lines) + b"\n"
        (folder / f"{started_ns:020d}-d{2**22}.ndjson").write_bytes(data)
        size += len(data)
    return size


def main() -> None:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as name:
        journal = Path(name) / "journal"
        journal.mkdir()
        size = write_journal(journal, calls)
        store, reader, metrics = Store(Path(name) / "weighbridge.duckdb"), JournalReader(journal), Metrics({"openai"})
        fleet = Fleet(Silence())
        metrics.gauges.append(make_fleet_gauges(fleet, metrics.agents))

        def observe(weighed: list[Weighed]) -> None:
            metrics.observe(weighed)
            fleet.observe(weighed)

        reader.restore(store)
        wall, cpu = time.perf_counter(), time.process_time()
        while reader.step(store, observe):
            continue
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        scraping = time.process_time()
        text, _ = metrics.scrape()
        scraping = time.process_time() - scraping
        _, rows = store.query("SELECT count(*), sum(cost_nano_usd) FROM calls")
        store.close()
        assert rows[0] == (calls, sum(123_456 + index for index in range(calls))), "the table is not the journal"
        file_bytes = (Path(name) / "weighbridge.duckdb").stat().st_size
    print(f"{calls} calls, {size / 1e6:.0f} MB of journal, {file_bytes / calls:.0f} bytes a row in the database")
    print(f"{calls / wall:.0f} calls/s, {cpu / calls * 1e6:.1f} us of CPU a call (its opened line, decoding, counting, DuckDB)")
    print(f"{len(text) / 1e6:.2f} MB of metrics, {scraping * 1e3:.0f} ms of CPU a scrape")


if __name__ == "__main__":
    main()
