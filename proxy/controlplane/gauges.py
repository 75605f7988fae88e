"""What /metrics tells of Weighbridge itself: the data plane's pulse, the journal's lag, the store's troubles, and how its budgets stand.

Accounts are without number, and labels must not be: the most used of them have series of their own for as long as they are there, all others
of a budget are added up under the scope `other`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from proxy.controlplane import tokens
from proxy.controlplane.balances import Balances
from proxy.controlplane.estimator import Estimator
from proxy.controlplane.forecast import look_ahead
from proxy.controlplane.loader import Loader
from proxy.controlplane.metrics.pulse import collect_pulse
from proxy.controlplane.samples import SampleReceiver
from proxy.controlplane.show import write_scope
from proxy.footprint import Footprint, measure
from proxy.pulse import Pulse
from proxy.toll.terms import UNITS, Balance

MAX_ACCOUNTS = 200
_FIGURES = (
    ("limit", "What an account may spend in its window."),
    ("spent", "What an account has spent in its window."),
    ("reserved", "What running calls have reserved of an account."),
    ("forecast", "What an account will have spent at the end of its window, by the rate so far."),
)
_GAUGE, _COUNTER = GaugeMetricFamily, CounterMetricFamily


def make_gauges(loader: Loader, receiver: SampleReceiver, estimator: Estimator) -> Callable[[], Iterator[Metric]]:
    """A function that yields them as they are when it is called."""

    def collect() -> Iterator[Metric]:
        age = receiver.pulse_age_s
        if age is not None:
            yield _GAUGE("weighbridge_pulse_age_seconds", "Time since the data plane was last heard of.", age)
        if receiver.pulse is not None:
            yield from collect_pulse(receiver.pulse, receiver.worst_lag_ns)
        yield from _collect_footprints(receiver.pulse)
        reader = loader.reader
        counters = (
            ("weighbridge_journal_lines_loaded", "Journal lines loaded into the database.", reader.lines),
            ("weighbridge_journal_garbage_lines", "Journal lines that could not be read.", reader.garbage),
            ("weighbridge_journal_torn_lines", "Lines torn by the death of their writer.", reader.torn),
            ("weighbridge_journal_unknown_lines", "Journal lines of an unknown kind.", reader.unknown),
            ("weighbridge_crashed_calls", "Calls whose process died before they ended.", reader.crashed),
            ("weighbridge_database_rebuilds", "How often the database was set aside and made again.", loader.keeper.rebuilds),
            ("weighbridge_database_failures", "Failed attempts to load into the database.", loader.failures),
            ("weighbridge_samples_received", "Samples received.", receiver.received),
            ("weighbridge_samples_overflowed", "Samples dropped because the estimator was behind.", receiver.dropped),
            ("weighbridge_samples_uninspected", "Samples that were not inspected because the evaluators were behind.", receiver.uninspected),
            ("weighbridge_samples_malformed", "Datagrams that were neither a sample nor a pulse.", receiver.malformed),
            ("weighbridge_corrections", "Estimates corrected by counting tokens.", estimator.corrected),
            ("weighbridge_tokenizer_failures", "Texts that could not be tokenised and were taken by their bytes.", sum(tokens.failures().values())),
        )
        for name, text, value in counters:
            yield _COUNTER(name, text, value)
        yield _collect_drops(receiver)
        yield from estimator.errors.collect()
        yield _GAUGE("weighbridge_journal_lag_bytes", "Bytes of the journal that are not loaded yet.", reader.waiting_bytes())

    return collect


def _collect_drops(receiver: SampleReceiver) -> Metric:
    """What was given up on the way to whoever only looks on; accounts are never."""
    dropped = _COUNTER("weighbridge_dropped", "What was dropped, and why; never a record.", labels=["what", "reason"])
    if (pulse := receiver.pulse) is not None:
        dropped.add_metric(["samples", "socket_full"], pulse.samples_dropped)
        dropped.add_metric(["content", "too_many_running"], pulse.prompts_dropped)
    dropped.add_metric(["samples", "estimator_behind"], receiver.dropped)
    dropped.add_metric(["samples", "malformed"], receiver.malformed)
    return dropped


def _collect_footprints(pulse: Pulse | None) -> Iterator[Metric]:
    """What both planes take of their machine."""
    memory = _GAUGE("weighbridge_memory_bytes", "Resident memory of a plane.", labels=["plane"])
    cpu = _COUNTER("weighbridge_cpu_seconds", "User and system time that a plane has taken since it started.", labels=["plane"])
    planes = {"control": measure()} | ({"data": Footprint(pulse.memory_bytes, pulse.cpu_ns)} if pulse is not None else {})
    for plane, taken in planes.items():
        memory.add_metric([plane], taken.memory_bytes)
        cpu.add_metric([plane], taken.cpu_ns / 1e9)
    yield from (memory, cpu)


def make_budget_gauges(balances: Balances, clock_ns: Callable[[], int] = time.time_ns) -> Callable[[], Iterator[Metric]]:
    """A function that yields how the budgets stand when it is called: `weighbridge_budget_spent_usd{budget,scope}` and its like."""
    named: set[tuple[str, str, str]] = set()

    def collect() -> Iterator[Metric]:
        nonlocal named
        now_ns, read = clock_ns(), balances.read()
        named = _choose(read, named)
        for unit in UNITS:
            sums: dict[str, dict[tuple[str, str], int]] = {figure: {} for figure, _ in _FIGURES}
            for one in read:
                if one.unit == unit:
                    scope = write_scope(one.scope)
                    labels = (one.budget, scope if (one.budget, unit, scope) in named else "other")
                    forecast = look_ahead(one, None, now_ns).at_end
                    for figure, amount in (("limit", one.limit), ("spent", one.spent), ("reserved", one.reserved), ("forecast", forecast)):
                        if amount is not None:
                            sums[figure][labels] = sums[figure].get(labels, 0) + amount
            for figure, text in _FIGURES:
                family = _GAUGE(f"weighbridge_budget_{figure}_{unit}", text, labels=["budget", "scope"])
                for labels, amount in sums[figure].items():
                    family.add_metric(labels, amount / 1e9 if unit == "usd" else amount)
                yield family

    return collect


def _choose(balances: Sequence[Balance], named: set[tuple[str, str, str]]) -> set[tuple[str, str, str]]:
    """The accounts that have series of their own: those that had them and are still there, then the most used."""
    present = {(one.budget, one.unit, write_scope(one.scope)): (one.spent + one.reserved) / one.limit if one.limit else 0.0 for one in balances}
    kept = named & present.keys()
    free = sorted(present.keys() - kept, key=lambda account: (-present[account], account))
    return kept | set(free[: MAX_ACCOUNTS - len(kept)])
