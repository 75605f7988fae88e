"""Ids of calls, and the wait between two attempts."""

import asyncio

import pytest

from proxy.call import Call
from proxy.dataplane.sending import Pause, new_id
from proxy.errors import Refusal


def test_ids_sort_by_time_and_are_unique():
    ids = [new_id(millisecond * 1_000_000) for millisecond in (1, 2, 2, 3, 2**40)]
    assert ids == sorted(ids) and len(set(ids)) == 5 and {len(one) for one in ids} == {26}


def test_a_wait_ends_by_itself_or_by_an_order(run):
    async def script():
        call = Call(id="c", started_ns=0, method="POST", path="/")
        await Pause(call).wait(0)
        pause = Pause(call)
        asyncio.get_running_loop().call_soon(pause.end_in_band, Refusal("policy_killed", "Enough."))
        with pytest.raises(Refusal) as caught:
            await pause.wait(600)
        assert caught.value.name == "policy_killed"

    run(script())
