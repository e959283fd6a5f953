"""How fast the monitor is, in a real pseudo-terminal of 200 × 60: `python benchmarks/monitor.py [--quick]`.

Measures the budgets that the monitor is held to, and its chart widget beside those of other packages, in one go on one
machine. Prints a table; asserts nothing.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import importlib.util
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
from growing_run import GrowingRun, write_run
from rich.console import Console
from rich.table import Table
from terminal_session import COLUMNS, ROWS, TerminalSession

WORDS = re.compile("[a-z]{4}")
"""A first frame: its frame and its words."""
CURVES = re.compile("[\u2801-\u28ff]")
"""A frame with curves."""
CACHE = ".monitor-cache"
PEERS = {"textual-plotext": "textual_plotext", "textual-plot": "textual_plot"}
HERE = Path(__file__).parent


@attrs.frozen(kw_only=True)
class Size:
    """How much is measured."""

    starts: int = 7
    seconds: float = 10.0
    rows: int = 1_000_000

    @classmethod
    def quick(cls) -> Size:
        return cls(starts=3, seconds=4.0, rows=100_000)


@attrs.frozen(kw_only=True)
class Figure:
    """One line of the table."""

    what: str
    value: float
    unit: str
    budget: float | None = None
    more_is_better: bool = False

    @property
    def ratio(self) -> str:
        """Of the budget: 1 is on it, below 1 within it, whichever way is better."""
        if self.budget is None or not self.value:
            return ""
        return f"{self.budget / self.value if self.more_is_better else self.value / self.budget:.2f}"


def monitor_command(run: Path) -> list[str]:
    return [sys.executable, "-m", "jepa_core.cli", "monitor", str(run)]


def first_paint(folder: Path, size: Size) -> Iterator[Figure]:
    """From the start of the process; the interpreter's own part is told beside it."""
    run = write_run(folder / "finished", 2000)
    frames, curves, taken = [], [], []
    for _ in range(size.starts):
        with TerminalSession(monitor_command(run)) as session:
            frames.append(session.wait_for(WORDS, 20))
            curves.append(session.wait_for(CURVES, 20))
            taken.append(session.processor_seconds())
    yield Figure(what="first frame, from the start of Python", value=statistics.median(frames), unit="s", budget=0.4)
    yield Figure(what="first frame with curves", value=statistics.median(curves), unit="s")
    yield Figure(what="of it: processor time", value=statistics.median(taken), unit="s")
    yield Figure(what="of it: Python with nothing to do", value=_seconds_of("pass", size), unit="s")
    yield Figure(what="of it: Python and import textual.app", value=_seconds_of("import textual.app", size), unit="s")


def _seconds_of(code: str, size: Size) -> float:
    seconds = []
    for _ in range(size.starts):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def frames(folder: Path, size: Size) -> Iterator[Figure]:
    """Eight charts of 2,000 points of a run that grows faster than the monitor looks."""
    with (
        GrowingRun(folder / "growing", 2000, rows_per_second=60) as growing,
        TerminalSession(monitor_command(growing.path)) as session,
    ):
        session.wait_for(CURVES, 20)
        time.sleep(2)
        shown = measure(session, size.seconds)
    yield Figure(what="frames, 8 charts × 2,000 points", value=shown.frames, unit="/s", budget=10, more_is_better=True)
    yield Figure(what="share of a core at that rate", value=shown.share, unit="%", budget=25)
    yield Figure(what="share of a core at 10 frames/s", value=10 * shown.share / max(shown.frames, 0.1), unit="%")
    yield Figure(what="bytes a frame", value=shown.kb_a_frame, unit="KB", budget=50)
    yield Figure(what="peak memory, 2,000 rows", value=session.peak_mib, unit="MiB", budget=200)


@attrs.frozen(kw_only=True)
class Shown:
    """What was shown within a while."""

    frames: float
    """A second."""
    share: float
    """Of a core, in percent."""
    kb_a_frame: float


def measure(session: TerminalSession, seconds: float) -> Shown:
    """Frames, processor and bytes over the next `seconds`."""
    began, taken = time.perf_counter(), session.processor_seconds()
    time.sleep(seconds)
    num_frames, num_bytes = session.frames_since(began)
    elapsed = time.perf_counter() - began
    return Shown(
        frames=num_frames / elapsed,
        share=100 * (session.processor_seconds() - taken) / elapsed,
        kb_a_frame=num_bytes / max(num_frames, 1) / 1000,
    )


def large_run(folder: Path, size: Size) -> Iterator[Figure]:
    """A history that is opened for the first time, and again from the cache beside it.

    Its curves are meant: rules are judged over so many rows in the background, for as long as that takes.
    """
    words = f"{size.rows:,} rows × 8 series"
    run, small = write_run(folder / "large", size.rows), write_run(folder / "small", 2000)
    yield Figure(what=f"{words}: first opening, until it is cached", value=_until_cached(run), unit="s")
    again = [_opening(run) for _ in range(3)]
    from_cache = statistics.median(seconds for seconds, _ in again)
    beside = statistics.median(_opening(small)[0] for _ in range(3))
    yield Figure(what=f"{words}: from the cache, to its curves", value=from_cache, unit="s")
    yield Figure(what="of it: more than a run of 2,000 rows", value=from_cache - beside, unit="s", budget=0.5)
    yield Figure(what=f"{words}: peak memory", value=max(peak for _, peak in again), unit="MiB", budget=200)


def _until_cached(run: Path) -> float:
    """Seconds until the cache beside the run grows no more."""
    with TerminalSession(monitor_command(run)) as session:
        before, since = -1, session.started
        while (size := _cache_bytes(run)) == 0 or size != before or time.perf_counter() - since < 3:
            if size != before:
                before, since = size, time.perf_counter()
            if time.perf_counter() - session.started > 300:
                raise SystemExit(f"{run} was not cached within 300 s. Written:\n{session.text()[-3000:]}")
            time.sleep(0.05)
        return since - session.started


def _cache_bytes(run: Path) -> int:
    return sum(path.stat().st_size for path in run.glob(f"{CACHE}/**/*") if path.is_file())


def _opening(run: Path) -> tuple[float, float]:
    """Seconds until curves are shown, and the peak memory of the first ten seconds."""
    with TerminalSession(monitor_command(run)) as session:
        seconds = session.wait_for(CURVES, 300)
        time.sleep(max(0.0, 10 - seconds))
    return seconds, session.peak_mib


def widgets(size: Size) -> Iterator[tuple[str, Shown | str]]:
    """The same application with each chart widget; why there is nothing to show where that is so."""
    for name in ("own", *PEERS):
        if name in PEERS and importlib.util.find_spec(PEERS[name]) is None:
            yield name, f"not installed: pip install {name}"
            continue
        with TerminalSession([sys.executable, str(HERE / "eight_charts.py"), name]) as session:
            try:
                session.wait_for(CURVES, 30)
            except RuntimeError:
                yield name, "drew nothing within 30 s"
                continue
            time.sleep(1)
            yield name, measure(session, size.seconds)


def show_figures(console: Console, figures: Iterator[Figure]) -> None:
    for figure in figures:
        budget = "" if figure.budget is None else f"{'≥' if figure.more_is_better else '≤'} {figure.budget:g}"
        value = f"{figure.value:.2f}" if figure.value < 10 else f"{figure.value:.0f}"
        console.print(f"  {figure.what:<58}{value:>9} {figure.unit:<4}{budget:>9}{figure.ratio:>8}")


def show_widgets(console: Console, shown: Iterator[tuple[str, Shown | str]]) -> None:
    """Our widget comes first; the others' cost is told in multiples of its."""
    columns = ("frames/s", "share of a core", "KB a frame", "core-ms a frame", "× ours")
    table = Table("widget, 8 charts × 2,000 points", *columns)
    own_cost: float | None = None
    for name, figures in shown:
        words = f"{name} {_version(name)}" if name in PEERS and not isinstance(figures, str) else name
        if isinstance(figures, str):
            table.add_row(words, figures)
            continue
        cost = 10 * figures.share / max(figures.frames, 0.1)
        own_cost = own_cost or cost
        row = (f"{figures.frames:.1f}", f"{figures.share:.0f} %", f"{figures.kb_a_frame:.1f}", f"{cost:.1f}")
        table.add_row(words, *row, f"{cost / own_cost:.1f}")
    console.print(table)


def describe(console: Console) -> None:
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    versions = ", ".join(f"{name} {_version(name)}" for name in ("textual", "rich", "numpy", "orjson"))
    console.print(f"{datetime.date.today()} · {COLUMNS} × {ROWS} · Python {platform.python_version()} · {versions}")
    load = os.getloadavg()[0]
    console.print(
        f"{model[1] if model else platform.machine()} · {os.cpu_count()} cores · load {load:.1f} at the start"
    )


def _version(name: str) -> str:
    return importlib.metadata.version(name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller and shorter: 100,000 rows, 4 s")
    size = Size.quick() if parser.parse_args().quick else Size()
    console = Console(highlight=False, width=120)
    describe(console)
    with tempfile.TemporaryDirectory(prefix="jepa-bench-") as name:
        folder = Path(name)
        console.print(f"\n  {'':<58}{'measured':>14}{'budget':>9}{'ratio':>8}")
        for part in (first_paint(folder, size), frames(folder, size), large_run(folder, size)):
            show_figures(console, part)
    console.print()
    show_widgets(console, widgets(size))


if __name__ == "__main__":
    main()
