"""When a part is down, calls go on and nothing is lost: a test for each row of the table in the README.

The rows of Redis are tested in `tests/test_toll_shared.py`, the death of a plane in `tests/test_supervise.py`, the provider's in
`tests/dataplane/test_refusals.py`, a broken config in `tests/test_reload_live.py`.
"""

import os
import re
import resource
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.starting import WITHOUT_EXTRAS, give_book
from tests.test_supervise import ASK, SERVE, Bridge, serve, wait_until, write_config


def gauge(bridge, name: str) -> float | None:
    """One unlabelled figure of /metrics; None before the first pulse."""
    with urllib.request.urlopen(bridge.admin + "/metrics", timeout=10) as response:
        for line in response.read().decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
    return None


def test_a_full_disk_fails_no_call_and_loses_no_record(tmp_path):
    with serve(tmp_path) as bridge:
        bridge.post("/a/before/demo/v1/chat/completions", ASK)
        bridge.wait_for_calls(1)
        plane = bridge.child("proxy.dataplane.plane")
        unlimited = resource.prlimit(plane, resource.RLIMIT_FSIZE)
        resource.prlimit(plane, resource.RLIMIT_FSIZE, (100, unlimited[1]))  # every further line is refused, as by a full disk
        for _ in range(20):
            bridge.post("/a/during/demo/v1/chat/completions", ASK)
        wait_until(lambda: gauge(bridge, "weighbridge_journal_waiting_lines") == 40)
        assert len(bridge.journal_calls()) == 1
        resource.prlimit(plane, resource.RLIMIT_FSIZE, unlimited)
        calls = bridge.wait_for_calls(21)
        assert len({call["id"] for call in calls}) == 21 and gauge(bridge, "weighbridge_journal_lost_lines_total") == 0
        wait_until(lambda: gauge(bridge, "weighbridge_journal_waiting_lines") == 0)
    assert "the journal takes lines again" in (tmp_path / "log").read_text()


def test_a_corrupt_database_is_set_aside_and_rebuilt_while_calls_go_on(tmp_path):
    database = tmp_path / "state" / "weighbridge.duckdb"
    with serve(tmp_path) as bridge:
        for _ in range(5):
            bridge.post("/a/first/demo/v1/chat/completions", ASK)
        bridge.wait_for_calls(5)
    database.write_bytes(b"this is no database" * 1000)
    Path(f"{database}.wal").unlink(missing_ok=True)
    with serve(tmp_path) as bridge:
        bridge.post("/a/second/demo/v1/chat/completions", ASK)
        calls = bridge.wait_for_calls(6)
        assert sorted(call["id"] for call in calls) == sorted(bridge.journal_calls())
        assert gauge(bridge, "weighbridge_database_rebuilds_total") == 1
    assert [path.name for path in database.parent.glob("weighbridge.duckdb.broken-*")] and "set aside" in (tmp_path / "log").read_text()


def test_a_database_that_somebody_holds_delays_reports_and_nothing_else(tmp_path):
    database = tmp_path / "state" / "weighbridge.duckdb"
    database.parent.mkdir()
    script = f"import duckdb, sys; c = duckdb.connect({str(database)!r}); print('held', flush=True); sys.stdin.read()"
    holder = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdin is not None and holder.stdout is not None
    try:
        assert holder.stdout.readline() == "held\n"
        with serve(tmp_path) as bridge:
            for _ in range(5):
                bridge.post("/a/patient/demo/v1/chat/completions", ASK)
            assert len(bridge.journal_calls()) == 5
            holder.stdin.close()
            holder.wait(10)
            assert len(bridge.wait_for_calls(5, 30)) == 5
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    assert not list(database.parent.glob("*.broken-*")) and os.path.exists(database)


def test_a_huge_body_is_refused_and_the_next_call_works(tmp_path):
    with serve(tmp_path, limits={"body_bytes": 1_000_000}) as bridge:
        request = urllib.request.Request(bridge.base + "/demo/v1/chat/completions", b" " * 200_000_000, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30):
                raise AssertionError("200 MB were taken")
        except urllib.error.HTTPError as error:
            assert error.code == 413 and b"caller_body_too_large" in error.read()
        except ConnectionError:
            pass  # the answer came while the client was still sending, and it did not look
        bridge.post("/a/next/demo/v1/chat/completions", ASK)
        assert {call["outcome"] for call in bridge.wait_for_calls(2)} == {"ok", "caller_body_too_large"}


def test_without_a_price_book_calls_go_on_and_only_overrides_know_a_cost(tmp_path):
    (tmp_path / "state" / "prices.json").mkdir(parents=True)
    with serve(tmp_path, prices=[{"model": "house-model", "input": 1.0, "output": 1.0}]) as bridge:
        bridge.post("/a/any/demo/v1/chat/completions", ASK)
        bridge.post("/a/any/demo/v1/chat/completions", ASK | {"model": "house-model"})
        calls = {call["model"]: call for call in bridge.wait_for_calls(2)}
    house = calls.pop("house-model")
    assert house["cost_nano_usd"] == 1000 * (house["input_tokens"] + house["output_tokens"])
    (other,) = calls.values()
    assert (other["outcome"], other["cost_nano_usd"]) == ("ok", None) and other["input_tokens"] > 0
    assert "price book" in (tmp_path / "log").read_text()


def test_a_frozen_control_plane_holds_up_no_call_and_loses_no_record(tmp_path):
    with serve(tmp_path, capture={"content": True}) as bridge:
        bridge.post("/a/before/demo/v1/chat/completions", ASK)
        bridge.wait_for_calls(1)
        frozen = bridge.child("proxy.controlplane.plane")
        os.kill(frozen, signal.SIGSTOP)  # its sockets stay, and nobody empties them
        try:
            for _ in range(40):
                bridge.post("/a/during/demo/v1/chat/completions", ASK)
            wait_until(lambda: len(bridge.journal_calls()) == 41)
        finally:
            os.kill(frozen, signal.SIGCONT)
        assert len(bridge.wait_for_calls(41)) == 41 and bridge.child("proxy.controlplane.plane") == frozen


def test_without_the_sample_socket_texts_are_dropped_and_counted_and_records_are_not(tmp_path):
    path = tmp_path / "state" / "samples.sock"
    with serve(tmp_path, capture={"content": True}) as bridge:
        bridge.post("/a/before/demo/v1/chat/completions", ASK)
        bridge.wait_for_calls(1)
        calls = 1
        deadline = time.monotonic() + 60
        while not gauge(bridge, "weighbridge_samples_dropped_total"):
            assert time.monotonic() < deadline, "no text was dropped"
            path.rename(path.with_suffix(".gone"))
            back = time.monotonic() + 1.5  # texts go a few times a second: the traffic outlasts that
            while time.monotonic() < back:
                bridge.post("/a/during/demo/v1/chat/completions", ASK)
                calls += 1
            assert len(bridge.wait_for_calls(calls)) == calls
            path.with_suffix(".gone").rename(path)
            wait_until(lambda calls=calls: (gauge(bridge, "weighbridge_settled_calls_total") or 0) >= calls)  # a newer pulse has come
        bridge.post("/a/after/demo/v1/chat/completions", ASK)
        assert len(bridge.wait_for_calls(calls + 1)) == calls + 1


def test_a_log_that_nobody_reads_or_that_is_closed_holds_up_no_call_and_no_stop(tmp_path):
    for name, is_closed in (("full", False), ("closed", True)):
        folder = tmp_path / name
        folder.mkdir()
        ours, theirs = os.pipe()
        os.set_blocking(theirs, False)
        try:
            while not is_closed and os.write(theirs, b"x" * 65536):
                pass
        except BlockingIOError:
            os.set_blocking(theirs, True)  # it is full: whoever writes to it now waits for good
        os.set_blocking(theirs, True)
        if is_closed:
            os.close(ours)
        path = write_config(folder, limits={"stop_grace_s": 1})
        give_book(folder)
        environment = {**os.environ, "PYTHONPATH": WITHOUT_EXTRAS}
        process = subprocess.Popen([*SERVE, "--config", str(path)], env=environment, stdout=subprocess.PIPE, stderr=theirs, text=True)
        assert process.stdout is not None
        try:
            said = ""
            while "Where to look" not in said:
                said += process.stdout.readline()
            bridge = Bridge(process, re.search(r"ready on (\S+)", said)[1], re.search(r"Where to look: (\S+)/ ", said)[1], folder)
            for _ in range(2):
                os.kill(bridge.child("proxy.controlplane.plane"), signal.SIGKILL)  # each death is a line of the supervisor's
                bridge.post("/a/any/demo/v1/chat/completions", ASK)
                (folder / "state" / "orders.json").write_text("{")  # and this one of the data plane's
                bridge.post("/a/any/demo/v1/chat/completions", ASK)
            assert len(bridge.wait_for_calls(4)) == 4
            process.terminate()
            assert process.wait(20) == 0
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
            os.close(theirs)
            if not is_closed:
                os.close(ours)
