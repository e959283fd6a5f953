"""Rows as columns: what was recorded, where it was, and little memory."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jepa_core.run_directory.columns import columns_of

ROWS = st.lists(st.dictionaries(st.sampled_from(["step", "a", "b", "c"]), st.floats(allow_nan=False)), max_size=12)


@given(ROWS)
def test_every_row_is_where_it_was_with_the_figures_that_it_had(rows: list[dict[str, float]]) -> None:
    columns = columns_of(iter(rows))
    assert columns.num_rows == len(rows)
    assert list(columns.kinds_of) == list(dict.fromkeys(name for row in rows for name in row))
    dense = {name: columns.dense(name).tolist() for name in columns.kinds_of}
    found = [{name: dense[name][number] for name in dense} for number in range(len(rows))]
    assert [{name: figure for name, figure in row.items() if figure == figure} for row in found] == rows  # noqa: PLR0124


def test_a_figure_takes_little_more_than_its_eight_bytes() -> None:
    tracemalloc.start()
    columns = columns_of({f"m{metric}": float(step) for metric in range(20)} for step in range(5000))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert columns.num_rows == 5000
    assert held < 2 * 8 * 20 * 5000


def test_rows_that_all_have_other_names_take_no_longer_than_others() -> None:
    """A line may hold tens of thousands."""
    columns = columns_of([{f"m{number}": 1.0 for number in range(50_000)}])
    assert sum(columns.dense(name)[0] for name in columns.kinds_of) == 50_000
    assert np.isnan(columns_of([{"a": 1.0}, {}]).dense("a")).tolist() == [False, True]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the most memory used is told by Linux only")
@pytest.mark.parametrize("door", ["metrics", "compare"])
def test_a_hundred_thousand_rows_of_seventy_metrics_take_less_than_two_hundred_megabytes(
    tmp_path: Path, door: str
) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        names = "".join(f', "m{metric}": %d.5' for metric in range(70))
        with (tmp_path / name / "metrics.jsonl").open("w") as file:
            file.writelines(f'{{"step": {step}{names}}}\n' % ((step % 97,) * 70) for step in range(100_000))
    reads = {
        "metrics": "import jepa_core as jepa; metrics = jepa.open_run(sys.argv[1]).metrics; metrics['m69']",
        "compare": "from jepa_core.commands.compare import compare; compare(*sys.argv[1:], metric=('m69',))",
    }
    peak = "(int(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1]) >> 10)"
    code = f"import sys; import numpy; before = {peak}; {reads[door]}; sys.exit({peak} - before > 200)"
    subprocess.run([sys.executable, "-c", code, tmp_path / "one", tmp_path / "other"], check=True)
