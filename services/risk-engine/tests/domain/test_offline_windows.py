"""Windows over columns against their plain meaning: every earlier row is looked at."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from risk_engine.domain.offline_windows import EntityHistory

HISTORIES = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 3), st.integers(1, 9)), min_size=1, max_size=40
).map(lambda rows: sorted(rows, key=lambda row: row[0]))


@given(HISTORIES, st.integers(1, 30), st.integers(0, 20))
def test_counts_and_sums_are_what_looking_at_every_row_gives(
    rows: list[tuple[int, int, int]], length_s: int, delay_s: int
) -> None:
    at_s, entity, amount = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    history = EntityHistory(entity, at_s)
    inside = [
        [
            j
            for j in range(len(rows))
            if entity[j] == entity[i]
            and at_s[i] - delay_s - length_s < at_s[j] <= at_s[i] - delay_s
            and (delay_s > 0 or j <= i)
        ]
        for i in range(len(rows))
    ]
    assert history.count(length_s, delay_s=delay_s).tolist() == [len(found) for found in inside]
    assert history.sum(amount, length_s, delay_s=delay_s).tolist() == [
        sum(int(amount[j]) for j in found) for found in inside
    ]
    assert history.largest(amount, length_s, delay_s=delay_s).tolist() == [
        max((int(amount[j]) for j in found), default=0) for found in inside
    ]


def test_groups_are_each_entitys_rows_in_order_of_time() -> None:
    history = EntityHistory(np.array([7, 2, 7, 2]), np.array([1, 2, 3, 4]))
    assert [own.tolist() for own in history.groups()] == [[1, 3], [0, 2]]
