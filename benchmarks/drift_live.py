"""Drift through a running Weighbridge and a real Prometheus, on recorded answers of real models: two agents that change, beside ten that do not.

    .venv/bin/python benchmarks/drift_live.py PACK [ANSWERS [SEED]]    ANSWERS of each agent, 1,000 unless told
    .venv/bin/python benchmarks/drift_live.py PACK alone SEEDS         the same streams of many seeds in this process: false alarms alone

PACK is the folder that `drift.py` takes. Each agent gets one model's answers, drawn with replacement. After 400 answers `switched` gets those of
another model under the same name, and of `cut` one in five breaks off without a word. Weighbridge is stopped and started again before that, while
Prometheus goes on.
The same answers are given to the same detectors without proxy and restart: every figure of every stream must come out the same.
Fails where it does not, where a change is not found, or not told of, with its cause, by Alertmanager and by Weighbridge's own notifier, and where
either tells of an agent that no stream alone alarms.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from rig import Bridge, open_bridge, recorded  # noqa: E402
from rig.pager import ALERTMANAGER, NOTIFIER, Pager, open_observers  # noqa: E402
from rig.recorded import CHANGE, CUT, HEALTHY, SWITCHED  # noqa: E402

from proxy.controlplane.streams.shelf import Shelf  # noqa: E402
from proxy.controlplane.streams.told import Told, read_head  # noqa: E402

ANSWERS, SEED = 1000, 1
RESTART = 350
TAKEN_S, NOTICE_S, QUIET_S = 60.0, 150.0, 75.0  # the rule waits a minute
CHANGED = {SWITCHED, CUT}
MISSED = ("weighbridge_drift_skipped_answers_total", "weighbridge_samples_uninspected_total", "weighbridge_samples_dropped_total")


def look(bridge: Bridge, path: str) -> bytes:
    with urllib.request.urlopen(bridge.admin + path, timeout=60) as response:
        return response.read()


def wait(condition: Callable[[], bool], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            if condition():
                return True
        time.sleep(0.2)
    return False


def play(bridge: Bridge, scripts: dict[str, list[recorded.Turn]], whole: int) -> None:
    """Until drift has seen `whole` answers of each agent."""
    # What is sent before the control plane has heard of the data plane is lost.
    wait(lambda: json.loads(look(bridge, "/readyz"))["status"] == "ready", TAKEN_S)
    recorded.play(bridge.port, scripts)
    goal = whole * len(scripts)
    alarmed = set()

    def is_seen() -> bool:
        rows = json.loads(look(bridge, "/api/drift"))["rows"]
        alarmed.update(row["agent"] for row in rows if row["state"] == "alarmed")  # these take no more
        return sum(whole if row["agent"] in alarmed else row["answers"] for row in rows) >= goal

    wait(is_seen, TAKEN_S)


def find_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def run(scripts: dict[str, list[recorded.Turn]], pager: Pager, folder: Path) -> tuple[dict[str, Told], list[str]]:
    """Let them work; how the streams stand at the end, and what /metrics says was missed."""
    admin = f"127.0.0.1:{find_port()}"  # where Prometheus finds it after the restart
    settings = {
        "state_dir": str(folder / "state"), "admin": {"port": int(admin.partition(":")[2])}, "evaluators": {"per_second": 100_000},
        "notify": {"channels": [{"name": "desk", "kind": "webhook", "url": pager.find_url(NOTIFIER)}], "every_s": 1.0, "gather_s": 1.0},
    }  # fmt: skip
    answers = len(scripts[CUT])
    with open_observers(folder, admin, pager):
        with open_bridge(recorded.answer, settings) as bridge:
            play(bridge, {agent: turns[:RESTART] for agent, turns in scripts.items()}, RESTART)
        with open_bridge(recorded.answer, settings) as bridge:
            play(bridge, {agent: turns[RESTART:] for agent, turns in scripts.items()}, answers)
            wait(lambda: pager.list_drift(ALERTMANAGER).keys() & pager.list_drift(NOTIFIER).keys() >= CHANGED, NOTICE_S)
            time.sleep(QUIET_S)  # one that is to be silent has had its minute as well
            figures = look(bridge, "/metrics").decode().splitlines()
    heads = [read_head(data) for _, data in Shelf(folder / "state" / "drift").read()]
    return {told.agent: told for told in heads}, [line for line in figures if line.startswith(MISSED)]


def is_same(one: Told, other: Told) -> bool:
    """Whether two streams have come to the same, whatever their calls were called."""
    causes = [told.alarm and (told.alarm.severity, told.alarm.kind, told.alarm.cause) for told in (one, other)]
    return (one.state, one.answers, one.evidence) == (other.state, other.answers, other.evidence) and causes[0] == causes[1]


def live(pack: Path, answers: int, seed: int) -> int:
    scripts = recorded.write_scripts(recorded.read_pack(pack), answers, seed)
    pager = Pager()
    with tempfile.TemporaryDirectory() as folder:
        through, missed = run(scripts, pager, Path(folder))
    alone = recorded.watch(scripts)
    pager.shutdown()
    told = {path: pager.list_drift(path) for path in (ALERTMANAGER, NOTIFIER)}
    print(f"Seed {seed}. Restarted after {RESTART} answers; the changes began at answer {CHANGE + 1}.\n")
    print("| agent | state | answers seen | cause | Alertmanager told | notifier told | as alone, without restart |\n|---|---|---|---|---|---|---|")
    same = {agent: is_same(through[agent], alone[agent]) for agent in scripts}
    for agent in scripts:
        one = through[agent]
        words = ("yes" if agent in each else "no" for each in told.values())
        print(f"| {agent} | {one.state} | {one.answers} | {one.alarm.cause if one.alarm else ''} | {' | '.join(words)} | {same[agent]} |")
    print("", *missed, sep="\n")
    for path, each in told.items():
        for agent, description in each.items():
            print(f"{path[1:]} of {agent}: {description}")
        print(f"{path[1:]}, other alerts: {', '.join(sorted(pager.list_others(path))) or 'none'}")
    alarmed = {agent for agent, one in alone.items() if one.state == "alarmed"}
    has_causes = all(through[agent].alarm.cause in each.get(agent, "") for each in told.values() for agent in alarmed & CHANGED)
    return 0 if all(same.values()) and alarmed >= CHANGED and has_causes and all(each.keys() == alarmed for each in told.values()) else 1


def count_alone(pack: Path, seeds: int) -> int:
    """False alarms of the agents that stay, over many seeds."""
    pools = recorded.read_pack(pack)
    false, watched, found = 0, 0, dict.fromkeys(sorted(CHANGED), 0)
    for seed in range(1, seeds + 1):
        for agent, told in recorded.watch(recorded.write_scripts(pools, ANSWERS, seed)).items():
            if agent in CHANGED:
                found[agent] += told.state == "alarmed" and told.answers > CHANGE
            else:
                false += told.state == "alarmed"
                watched += told.answers
                if told.state == "alarmed":
                    print(f"seed {seed}, {agent} at answer {told.answers}: {told.alarm.cause}")
    print(f"{false} false alarms in {watched} answers of agents that stay: {1e4 * false / watched:.2f} in 10,000")
    print(f"found of {seeds}: {found}")
    return 0


def main(arguments: list[str]) -> int:
    if not arguments:
        print(f"{HEALTHY} agents that stay and 2 that change, {ANSWERS} answers each: name a PACK of recorded answers")
        return 0
    pack, *rest = arguments
    if rest[:1] == ["alone"]:
        return count_alone(Path(pack), int(rest[1]))
    if shutil.which("prometheus") is None or shutil.which("prometheus-alertmanager") is None:
        print("needs Debian's packages prometheus and prometheus-alertmanager")
        return 1
    return live(Path(pack), int(rest[0]) if rest else ANSWERS, int(rest[1]) if rest[1:] else SEED)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
