from __future__ import annotations

import itertools
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from jepa_monitor.feed.live import LiveFeed
from jepa_monitor.history.cache import FILE, FOLDER, HistoryCache
from jepa_monitor.model import run_model
from jepa_monitor.model.run_model import RunModel, live_model
from jepa_monitor.model.run_view import RunView

RECIPE = """
[[watch.must]]
id = "counted"
when = "a > -1"
hold = "always"
"""


class RunUnderAModel(RuleBasedStateMachine):
    """Whatever is done to a run's directory and to its cache, the view has its complete rows: none twice, none lost,
    none of others; and the rules have seen exactly these."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = pytest.MonkeyPatch()
        self.patches.setattr(run_model, "MIN_CACHED_ROWS", 3)
        self.folder = tempfile.TemporaryDirectory()
        self.run = Path(self.folder.name) / "mine"
        self.numbers = itertools.count()
        self.make_directory()
        self.model = live_model(self.run)
        self.view: RunView | None = None

    def teardown(self) -> None:
        self.patches.undo()
        self.folder.cleanup()

    @property
    def path(self) -> Path:
        return self.run / "metrics.jsonl"

    def make_directory(self) -> None:
        self.run.mkdir()
        (self.run / "recipe.toml").write_text(RECIPE)
        status = {"state": "running", "host": "elsewhere", "pid": 1, "heartbeat": time.time()}
        (self.run / "status.json").write_bytes(orjson.dumps(status))

    def line(self) -> bytes:
        number = next(self.numbers)
        row: dict[str, Any] = {"step": number, "a": number} if number % 3 else {"step": number, "b": number, "a": "nan"}
        return orjson.dumps(row)

    @property
    def content(self) -> bytes:
        return self.path.read_bytes() if self.path.exists() else b""

    @rule(count=st.integers(1, 30))
    def append_rows(self, count: int) -> None:
        if self.run.exists():
            with self.path.open("ab") as file:
                file.writelines(self.line() + b"\n" for _ in range(count))

    @rule(part=st.integers(1, 20))
    def append_part_of_a_row(self, part: int) -> None:
        if self.run.exists():
            with self.path.open("ab") as file:
                file.write(self.line()[:part])

    @rule(share=st.floats(0, 1))
    def truncate(self, share: float) -> None:
        if self.path.exists():
            os.truncate(self.path, int(share * len(self.content)))

    @rule(share=st.floats(0, 1), count=st.integers(1, 40))
    def truncate_and_grow_before_the_next_poll(self, share: float, count: int) -> None:
        self.truncate(share)
        self.append_rows(count)

    @rule(count=st.integers(0, 40))
    def replace(self, count: int) -> None:
        if self.run.exists():
            other = self.path.with_suffix(".new")
            other.write_bytes(b"".join(self.line() + b"\n" for _ in range(count)))
            other.replace(self.path)

    @rule()
    def delete_the_rows(self) -> None:
        self.path.unlink(missing_ok=True)

    @rule()
    def delete_the_directory_or_bring_it_back(self) -> None:
        if self.run.exists():
            shutil.rmtree(self.run)
        else:
            self.make_directory()

    @rule()
    def delete_the_cache(self) -> None:
        shutil.rmtree(self.run / FOLDER, ignore_errors=True)

    @rule(share=st.floats(0, 0.999), byte=st.integers(0, 255))
    def corrupt_the_cache(self, share: float, byte: int) -> None:
        path = self.run / FOLDER / FILE
        if path.exists():
            content = bytearray(path.read_bytes())
            content[int(share * len(content))] = byte
            path.write_bytes(content)

    @rule()
    def look(self) -> None:
        for view in iter(self.model.refresh, None):
            self.view = view
        assert self.view is not None
        if not self.run.exists():
            assert self.view.state == "unknown"
            assert self.view.problems == (f"{self.run} is gone",)
            return
        rows = [row for line in self.content.split(b"\n")[:-1] if (row := _parsed(line)) is not None]
        assert self.view.state == "running"
        assert self.view.history.num_rows == len(rows)
        assert self.view.damaged == self.content.count(b"\n") - len(rows)
        assert self.view.judged_rows is None
        for name in ("a", "b"):
            series = self.view.history.series(name)
            shown = [] if series is None else list(zip(series.steps.tolist(), series.values.tolist(), strict=True))
            assert str(shown) == str([(float(row["step"]), float(row[name])) for row in rows if name in row])
        (outlook,) = self.view.outlooks
        assert outlook.judgement.evaluations == sum("a" in row for row in rows)

    @rule()
    def open_again(self) -> None:
        self.model.close()
        if self.run.exists():
            self.model = RunModel(self.run, LiveFeed(self.run), cache=HistoryCache(self.run))


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        row = orjson.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


TestRunUnderAModel = RunUnderAModel.TestCase
TestRunUnderAModel.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_ten_thousand_sequences_give_no_wrong_row() -> None:
    thorough = settings(max_examples=10_000, stateful_step_count=20, deadline=None)
    run_state_machine_as_test(RunUnderAModel, settings=thorough)
