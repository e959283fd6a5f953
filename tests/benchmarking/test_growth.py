"""The scripts of benchmarks/: growth's arithmetic and its rehearsal, and that peers are timed."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.forked import forked_script

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def script(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return forked_script(BENCHMARKS / name, *arguments)


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A file of growth with a step that is quadratic from 2 on, then does not fit, then is not tried."""
    points = [
        {"axis": "batch", "size": size, "batch": size, "ms": ms, "peak_mib": mib, "note": note}
        for size, ms, mib, note in (
            (1, 10.0, 100.0, ""),
            (2, 20.0, 150.0, ""),
            (4, 80.0, 300.0, "launched: it waits"),
            (8, None, None, "out of memory"),
            (16, None, None, "not measured: no time left"),
        )
    ]
    path = tmp_path / "growth.json"
    path.write_text(json.dumps({"machine": {"device": "a GPU", "torch": "2"}, "seconds": 9.0, "points": points}))
    return path


def test_it_says_exponents_where_growth_is_no_longer_linear_and_what_does_not_fit(
    recorded: Path, tmp_path: Path
) -> None:
    plot = tmp_path / "growth.svg"
    done = script("growth.py", "--read", recorded, "--plot", plot)
    assert done.returncode == 0, done.stderr
    assert "| 1 | 10.0 ms | 10.0 ms | 100 MiB |  |  |" in done.stdout
    assert "| 2 | 20.0 ms | 10.0 ms | 150 MiB | 1.00 | 0.58 |" in done.stdout
    assert "| 4 | 80.0 ms (launched: it waits) | 20.0 ms | 300 MiB | 2.00 | 1.00 |" in done.stdout
    assert "| 8 | out of memory |  |  |  |  |" in done.stdout
    assert (
        "Time is no longer linear in batch from 2 on (exponent 2.00). Memory is at most linear in batch. "
        "8 runs out of memory. 16 was not measured for want of time."
    ) in done.stdout
    assert plot.read_text().startswith("<?xml")
    assert {path.name for path in tmp_path.iterdir()} == {"growth.json", "growth.svg"}


def test_a_rehearsal_measures_every_size_and_writes_what_can_be_read_again(tmp_path: Path) -> None:
    path = tmp_path / "tiny.json"
    done = script("growth.py", "--tiny", "--device", "cpu", "--axes", "batch,width", "--json", path)
    assert done.returncode == 0, done.stderr
    points = json.loads(path.read_text())["points"]
    assert [(point["axis"], point["size"]) for point in points] == [
        ("batch", 4),
        ("batch", 8),
        ("width", 48),
        ("width", 96),
    ]
    assert all(point["ms"] > 0 for point in points)
    assert "| 96 |" in done.stdout


@pytest.mark.slow
def test_peers_are_timed_beside_ours() -> None:
    done = script("peers.py", "tokeniser", "codebook", "contrast", "--quick", "--device", "cpu", "--json")
    assert done.returncode == 0, done.stderr
    rows = {row["way"]: row for result in json.loads(done.stdout)["results"] for row in result["rows"]}
    for peer in ("scipy", "vector-quantize-pytorch", "pytorch-metric-learning"):
        assert rows[peer]["ms"] > 0, rows[peer]
        assert rows[peer]["ratio"] > 0
