"""One rule held against many cases in one test: a test of its own for each costs more to collect, hand out and report than to run."""

from __future__ import annotations

from collections.abc import Callable, Mapping


def holds_for(cases: Mapping[str, tuple]) -> Callable[[Callable[..., None]], Callable[[], None]]:
    """Make of a rule, which asserts, a test that gives it every case's arguments and tells of all cases that break it."""

    def make(rule: Callable[..., None]) -> Callable[[], None]:
        def test() -> None:
            assert cases, "there is something to look at"
            broken = [f"{name}: {reason}" for name, case in cases.items() if (reason := find_reason(rule, case))]
            assert not broken, f"{len(broken)} of {len(cases)}\n" + "\n".join(broken)

        test.__doc__ = rule.__doc__
        return test

    return make


def find_reason(rule: Callable[..., None], case: tuple) -> str:
    """Why a case breaks a rule, in a line; empty if it does not."""
    try:
        rule(*case)
    except AssertionError as error:
        return str(error).partition("\n")[0] or "it does not hold"
    except Exception as error:  # of this case too, the name is wanted
        return repr(error)
    return ""
