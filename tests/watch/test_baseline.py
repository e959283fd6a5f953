from __future__ import annotations

import tracemalloc

from hypothesis import given, settings
from hypothesis import strategies as st

from jepa_core.watch.baseline import series_of

NAMES = ("step", "loss", "val", "grad")
ROWS = st.lists(st.dictionaries(st.sampled_from((*NAMES, "epoch")), st.floats(0, 9), min_size=1), max_size=12)


@settings(max_examples=100, deadline=None)
@given(rows=ROWS)
def test_a_series_is_every_value_with_the_highest_epoch_so_far(rows: list[dict[str, float]]) -> None:
    expected: dict[str, list[tuple[float, float]]] = {}
    epochs: list[float] = []
    for row in rows:
        epochs += [row["epoch"]] if "epoch" in row else []
        for name, value in row.items() if epochs else ():
            expected.setdefault(name, []).append((max(epochs), value))
    found = {name: list(zip(each.epochs, each.values, strict=True)) for name, each in series_of(rows).items()}
    assert found == expected


def test_a_figure_of_many_rows_costs_little_more_than_its_eight_bytes() -> None:
    num_rows, names = 5_000, [f"m{index}" for index in range(20)]
    rows = ({"epoch": index / 100, **dict.fromkeys(names, index + 0.5)} for index in range(num_rows))
    tracemalloc.start()
    series = series_of(rows)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(series) == 21
    assert peak < 12 * 21 * num_rows
