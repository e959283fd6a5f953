from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any

import orjson
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from jepa_core.presentation.terminal import console_for
from jepa_monitor.feed.replay import ReplayFeed
from jepa_monitor.model.run_model import RunModel, live_model
from jepa_monitor.model.runs_list import list_runs
from jepa_monitor.snapshot import view_to_json
from jepa_monitor.text_view import text_view
from jepa_monitor.waiting import waiting_is_over

KEYS = st.sampled_from(
    ["step", "epoch", "vq.usage", "time.step", "val.retrieval.mrr", "state", "heartbeat", "pid", "host", "child",
     "total_steps", "name", "severity", "evidence", "sequence", "time", "rows", "set", "outcome", "judgements", "[/]"]
)  # fmt: skip
SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["nan", "inf", "-inf", "running", "finished", "rolled_back", "rollback A", "abort", "\x1b[2J"])
    | st.text(max_size=5)
)  # fmt: skip
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3))
RECORDS = st.dictionaries(KEYS, VALUES, max_size=6).map(orjson.dumps)
LINES = st.lists(RECORDS | st.binary(max_size=8), max_size=12).map(b"\n".join)
WATCH = b"""
[[watch.must]]
id = "[red]x"
when = "vq.usage > 0.1"
[[watch.rollback]]
id = "A"
when = "mean(val.retrieval.mrr, 2) < step"
"""
RECIPES = st.binary(max_size=20) | st.sampled_from(
    [WATCH, WATCH + b"metrics = 3", b"watch = 3", b"[watch]\nmust = [3]"]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    files=st.fixed_dictionaries(
        {
            "metrics.jsonl": LINES,
            "events.jsonl": LINES,
            "diagnostics.jsonl": LINES,
            "console.log": st.binary(max_size=20),
            "status.json": RECORDS | st.binary(max_size=8),
            "verdict.json": RECORDS,
            "environment.json": RECORDS,
            "recipe.toml": RECIPES,
        }
    )
)
@example(
    {"status.json": b'{"state": "running", "heartbeat": 1e308, "step": 9, "total_steps": 9}', "recipe.toml": WATCH}
)
@example({"events.jsonl": b'{"sequence": 1.8446744073709552e+19}'})
@example({"metrics.jsonl": b'{"vq.usage": 1e308, "step": 1e300}\n' * 9, "recipe.toml": WATCH})
def test_whatever_stands_in_the_files_a_view_is_made_and_shown(files: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "mine"
        run.mkdir()
        (run / "metrics.jsonl").touch()
        for name, content in files.items():
            (run / name).write_bytes(content + b"\n")
        replay = ReplayFeed(run)
        replay.to_end()
        for model in (live_model(run), RunModel(run, replay)):
            view = model.catch_up(10.0)
            stream = io.StringIO()
            console_for(stream).print(text_view(view))
            assert "\x1b" not in stream.getvalue()
            orjson.dumps(view_to_json(view))
            waiting_is_over(view, "success")
        assert [summary.name for summary in list_runs(Path(folder))] == ["mine"]
