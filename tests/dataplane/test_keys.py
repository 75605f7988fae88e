import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dataplane import keys as keys_module
from proxy.dataplane.keys import Auth, Keys
from proxy.errors import Refusal
from proxy.orders import Orders
from proxy.rules import Key, read_moment

ONE, TWO, STRANGE = "wbk_one", "team-secret", "wbk_nobody-knows"
NOW = read_moment("2026-06-01T00:00:00Z")
NOBODY = (None, None)


def make_key(secret: str, **more) -> Key:
    return Key(sha256=hashlib.sha256(secret.encode()).hexdigest(), **({"agent": "a"} | more))


def hold(*keys: Key, auth: Auth = "optional", **orders) -> Keys:
    return Keys(list(keys), auth, Orders(**orders))


def refusal(keys: Keys, secret: str | None, own: str | None = None, now_ns: int = NOW) -> tuple[str, int] | None:
    fields = {} if own is None else {"x-weighbridge-key": own}
    try:
        keys.admit(NOBODY, fields, secret, now_ns)
    except Refusal as caught:
        assert not any(each and each in caught.message for each in (secret, own)), "a refusal echoes no credential"
        return caught.name, caught.status
    return None


@pytest.mark.parametrize(
    ("auth", "secret", "own", "outcome"),
    [
        ("required", None, None, "caller_key_absent"),
        ("required", "", "", "caller_key_absent"),
        ("required", "sk-provider", None, "caller_key_absent"),
        ("required", STRANGE, None, "caller_key_unknown"),
        ("required", "sk-provider", "mistaken", "caller_key_unknown"),
        ("required", ONE, None, None),
        ("required", TWO, None, None),
        ("required", "sk-provider", ONE, None),
        ("required", None, TWO, None),
        ("optional", None, None, None),
        ("optional", "sk-provider", None, None),
        ("optional", STRANGE, None, "caller_key_unknown"),
        ("optional", "sk-provider", "mistaken", "caller_key_unknown"),
        ("optional", ONE, None, None),
        ("none", None, None, None),
        ("none", STRANGE, None, None),
        ("none", "sk-provider", "mistaken", None),
    ],
)
def test_who_passes_under_which_auth(auth, secret, own, outcome):
    keys = hold(make_key(ONE), auth=auth, keys=[make_key(TWO, agent="b")])
    assert refusal(keys, secret, own) == (None if outcome is None else (outcome, 401))


def test_a_key_is_found_where_it_was_put_and_its_own_header_counts_first():
    keys = hold(make_key(ONE, id="k-1"), keys=[make_key(TWO, id="k-2")])
    assert keys.find({}, ONE).id == "k-1" and keys.find({}, TWO).id == "k-2"
    assert keys.find({"x-weighbridge-key": TWO}, ONE).id == "k-2"
    assert keys.find({"x-weighbridge-key": STRANGE}, ONE) is None
    assert keys.find({}, "sk-provider") is None and keys.find({}, None) is None


def test_without_auth_keys_name_nobody_but_are_still_kept_from_providers():
    keys = hold(make_key(TWO), auth="none")
    assert keys.find({}, TWO) is None
    assert keys.owns(TWO) and keys.owns(STRANGE) and not keys.owns("sk-provider") and not keys.owns(None)


def test_a_key_ends_at_its_moment_and_says_so():
    keys = hold(make_key(ONE, id="k-1", expires="2026-06-01T12:00:00Z"))
    noon = read_moment("2026-06-01T12:00:00Z")
    assert refusal(keys, ONE, now_ns=noon - 1) is None
    with pytest.raises(Refusal, match="caller_key_unknown") as caught:
        keys.admit(NOBODY, {}, ONE, noon)
    assert "expired" in caught.value.message and caught.value.details == {"key": "k-1"}
    assert keys.admit(NOBODY, {}, ONE, noon - 1) is False, "it does not pass for good"
    assert hold(make_key(ONE)).admit(NOBODY, {}, ONE, noon) and hold().admit(NOBODY, {}, "sk-provider", noon)
    assert keys.find({}, ONE).id == "k-1"  # the record of the refused call still names it


def test_a_moment_that_cannot_be_read_lets_nobody_in():
    assert refusal(hold(make_key(ONE, expires="whenever")), ONE) == ("caller_key_unknown", 401)


@pytest.mark.parametrize("is_known", [True, False])
def test_a_revoked_key_is_refused_wherever_it_stands(is_known):
    key = make_key(TWO, id="k-2")
    keys = Keys([key] if is_known else [], "optional", Orders(revoked=[key.sha256]))
    with pytest.raises(Refusal, match="caller_key_unknown") as caught:
        keys.admit(NOBODY, {}, TWO, NOW)
    assert "revoked" in caught.value.message
    assert keys.owns(TWO)


def test_keys_come_and_go_with_the_orders():
    keys = hold(auth="required")
    assert refusal(keys, ONE) == ("caller_key_unknown", 401)
    keys.configure([], "required", Orders(keys=[make_key(ONE)]))
    assert refusal(keys, ONE) is None
    keys.configure([], "required", Orders(revoked=[make_key(ONE).sha256]))
    assert refusal(keys, ONE) == ("caller_key_unknown", 401)
    keys.configure([], "optional", Orders())
    assert refusal(keys, "sk-provider") is None


def test_a_bound_key_names_its_agent_alone():
    keys = hold(make_key(ONE, agent="a"), make_key(TWO, agent=None, team="t"))
    for agents in (("b", None), (None, "b"), ("a", "b")):
        with pytest.raises(Refusal, match="caller_bad_request"):
            keys.admit(agents, {}, ONE, NOW)
        keys.admit(agents, {}, TWO, NOW)
    keys.admit(("a", "a"), {}, ONE, NOW)


def test_digests_are_compared_in_constant_time(monkeypatch):
    compared = []
    real = hmac.compare_digest
    monkeypatch.setattr(keys_module.hmac, "compare_digest", lambda one, two: compared.append(two) or real(one, two))
    keys = hold(make_key(ONE))
    assert keys.find({}, ONE) is not None
    assert compared == [hashlib.sha256(ONE.encode()).hexdigest().encode()]


def test_keys_whose_digests_begin_alike_are_told_apart():
    right = make_key(ONE, id="right")
    wrong = Key(sha256=right.sha256[:60] + "0000", agent="x", id="wrong")
    assert hold(wrong, right).find({}, ONE).id == "right"
    assert hold(wrong).find({}, ONE) is None


@given(st.text(max_size=80), st.lists(st.text(min_size=1, max_size=20), max_size=5, unique=True))
def test_only_a_known_secret_is_found(presented, secrets):
    keys = hold(*(make_key(secret, id=secret) for secret in secrets))
    found = keys.find({}, presented)
    assert (found.id if found else None) == (presented if presented in secrets else None)
