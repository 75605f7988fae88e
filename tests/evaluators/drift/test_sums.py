"""The sums: over every time of change so far, the product of the e-values since."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from evaluators.drift import sums


@given(st.lists(st.floats(0, 10), min_size=1, max_size=12))
def test_a_sum_is_that_of_the_products_since_every_time(e_values: list[float]) -> None:
    trail = sums.run(np.zeros(1), np.array(e_values)[:, None])[:, 0]
    for number, found in enumerate(trail, 1):
        assert np.isclose(found, sum(np.prod(e_values[begun:number]) for begun in range(number)))


def test_it_goes_on_from_where_it_was_and_what_has_not_begun_stays_nothing() -> None:
    before = np.array([3.0, 0.0])
    trail = sums.run(before, np.full((2, 2), 2.0), np.array([1.0, 0.0]))
    assert trail.tolist() == [[8, 0], [18, 0]] and before.tolist() == [3, 0]
