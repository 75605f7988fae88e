"""The compiler: once for each version, atomically, loudly where genai-prices has something new."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from genai_prices import types

from proxy.pricing.compile import compile_book, convert_clause, convert_constraint, convert_model, main
from proxy.pricing.match import Clause, Constraint
from proxy.pricing.sheet import Rate, Sheet
from proxy.pricing.shelf import current_version, is_current, read_version


def test_compiles_once_for_each_version(tmp_path: Path) -> None:
    out = tmp_path / "new" / "prices.json"
    assert compile_book(out)
    assert read_version(out) == current_version() and is_current(out)
    before = out.stat().st_mtime_ns
    assert not compile_book(out)
    assert out.stat().st_mtime_ns == before
    out.write_text("{")
    assert compile_book(out)
    assert os.listdir(out.parent) == ["prices.json"]


def test_runs_as_a_process_of_its_own(tmp_path: Path) -> None:
    out = tmp_path / "prices.json"
    subprocess.run([sys.executable, "-m", "proxy.pricing.compile", str(out)], check=True, timeout=60)
    assert is_current(out)


def test_wrong_use_says_how(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "usage:" in capsys.readouterr().err


def test_the_data_plane_never_imports_genai_prices() -> None:
    code = "import sys, proxy.pricing.book; sys.exit(any(name.startswith(('genai_prices', 'pydantic')) for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_clauses_are_lower_cased_but_expressions_are_not() -> None:
    clause = types.ClauseOr(or_=[types.ClauseEquals(equals="GPT"), types.ClauseAnd(and_=[types.ClauseRegex(regex="[A-Z]")])])
    assert convert_clause(clause) == Clause("or", parts=(Clause("equals", "gpt"), Clause("and", parts=(Clause("regex", "[A-Z]"),))))


def test_what_is_new_in_genai_prices_is_an_error_not_a_guess() -> None:
    with pytest.raises(TypeError):
        convert_clause(object())
    with pytest.raises(TypeError):
        convert_constraint(object())
    with pytest.raises(ValueError):
        convert_constraint(types.TimeOfDateConstraint(datetime.time(0, 0, 1), datetime.time(1)))


def test_times_of_day_become_minutes_in_utc() -> None:
    east = datetime.timezone(datetime.timedelta(hours=2))
    constraint = types.TimeOfDateConstraint(datetime.time(1, 30, tzinfo=east), datetime.time(12, 0, tzinfo=east))
    assert convert_constraint(constraint) == Constraint(minutes=(23 * 60 + 30, 10 * 60))
    assert convert_constraint(types.StartDateConstraint(datetime.date(1970, 1, 11))) == Constraint(from_day=10)


def test_no_price_is_unknown_and_a_free_name_is_zero() -> None:
    def prices_of(name: str) -> Sheet:
        model = types.ModelInfo(id=name, match=types.ClauseEquals(equals=name), prices=types.ModelPrice())
        return convert_model("any", model).prices[0][1]

    assert prices_of("quiet") == Sheet()
    assert prices_of("gift:free") == Sheet(input=Rate(0), output=Rate(0), request=Rate(0))


def test_an_unmetered_price_leaves_the_sheet_empty() -> None:
    model = types.ModelInfo(id="ocr", match=types.ClauseEquals(equals="ocr"), prices=types.ModelPrice(input_document_kpages=Decimal(2)))
    assert convert_model("any", model).prices[0][1] == Sheet()
