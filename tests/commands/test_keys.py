"""Issuing, listing and revoking keys at the command line."""

from __future__ import annotations

import hashlib

import pytest

from proxy.rules import Key
from tests.commands.conftest import Office


def test_a_key_is_printed_once_and_kept_by_its_digest(desk_office: Office, capsys: pytest.CaptureFixture) -> None:
    office = desk_office
    told = ["--team", "t", "--id", "k-1", "--tag", "stage=test", "--tag", "x=a=b", "--expires", "2999-01-01", "--usd", "2.5"]
    assert office.run("keys", "issue", "--agent", "a", *told, "--tokens", "9", "--calls", "3", "--per", "month", "--by", "jo") == 0
    printed = capsys.readouterr()
    secret = printed.out.strip()
    assert printed.out == f"{secret}\n" and secret.startswith("wbk_") and "The key k-1 is shown this once" in printed.err
    limits = {"usd": 2.5, "tokens": 9, "calls": 3, "per": "month", "expires": "2999-01-01"}
    key = Key(sha256=hashlib.sha256(secret.encode()).hexdigest(), agent="a", team="t", id="k-1", tags={"stage": "test", "x": "a=b"}, **limits)
    assert office.orders.keys == [key]
    assert office.run("keys", "list", "--format", "csv") == 0
    listed = capsys.readouterr().out
    assert listed.splitlines()[1] == "k-1,a,t,stage=test x=a=b,valid,2999-01-01,2.5,9,3,month,issued" and secret not in listed
    assert office.run("keys", "list") == 0
    assert "unknown" not in capsys.readouterr().out
    assert office.run("keys", "revoke", "k-1", "--reason", "leaked", "--by", "mo") == 0
    assert (office.orders.keys, office.orders.revoked) == ([], [key.sha256])
    assert [(one["verb"], one["value"], one["by"], one.get("reason")) for one in office.noted("order")] == [
        ("issue_key", "k-1", "jo", None), ("revoke_key", "k-1", "mo", "leaked"),
    ]  # fmt: skip


def test_a_key_of_the_config_is_listed_and_revoked(office: Office, capsys: pytest.CaptureFixture) -> None:
    office.write(identity={"keys": [{"sha256": "c" * 64, "team": "x"}]})
    with office.open():
        assert office.run("keys", "revoke", "cccccccc") == 0
        assert "still stands in the config" in capsys.readouterr().err
        assert office.run("keys", "list") == 0
    assert "revoked" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["issue"], 2, "names nobody; set --agent, --team or both"),
        (["issue", "--agent", "a", "--tag", "stage"], 2, "--tag takes NAME=VALUE"),
        (["issue", "--agent", "a", "--expires", "soon"], 2, "expires: expected a date"),
        (["revoke", "k"], 1, "there is no key of this id"),
    ],
)
def test_what_cannot_be_is_said(desk_office: Office, capsys: pytest.CaptureFixture, arguments: list[str], status: int, words: str) -> None:
    assert desk_office.run("keys", *arguments) == status
    printed = capsys.readouterr()
    assert words in printed.err and printed.out == ""
