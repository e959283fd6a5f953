"""An observer on its own thread: in order, never waited for, and switched off when it fails or is slow."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from jepa_core.observing.worker import MAX_FAULTS, ObserverWorker


class Keeping:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []

    def row(self, row: Any) -> None:
        self.calls.append(("row", row))

    def event(self, event: Any) -> None:
        self.calls.append(("event", event))

    def end(self, verdict: Any) -> None:
        self.calls.append(("end", verdict))


def finish(worker: ObserverWorker, seconds: float = 10.0) -> bool:
    return worker.finish(None, time.monotonic() + seconds)


def test_calls_come_in_order_and_the_end_comes_last() -> None:
    observer = Keeping()
    worker = ObserverWorker(observer, "keeping")
    for step in range(20):
        worker.tell("row" if step % 3 else "event", step)
    assert finish(worker)
    assert observer.calls == [*(("row" if step % 3 else "event", step) for step in range(20)), ("end", None)]
    assert (worker.num_dropped, worker.switched_off) == (0, None)


def test_methods_that_are_missing_are_left_out() -> None:
    worker = ObserverWorker(object(), "nothing")
    worker.tell("row", {})
    assert finish(worker)
    assert worker.switched_off is None


def test_the_teller_never_waits_and_what_does_not_fit_is_counted() -> None:
    let_go = threading.Event()

    class Blocked(Keeping):
        def row(self, row: Any) -> None:
            let_go.wait(10)
            super().row(row)

    observer = Blocked()
    worker = ObserverWorker(observer, "blocked", capacity=4, slow_seconds=60)
    started = time.monotonic()
    for step in range(100):
        worker.tell("row", step)
    assert time.monotonic() - started < 1.0
    let_go.set()
    assert finish(worker)
    assert len(observer.calls) + worker.num_dropped == 101
    assert worker.num_dropped >= 94
    assert observer.calls[-1] == ("end", None), "the end is told although the queue was full"


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), KeyboardInterrupt()])
def test_one_that_raises_is_switched_off_after_a_few_faults(error: BaseException) -> None:
    calls = []

    class Raising:
        def row(self, row: Any) -> None:
            calls.append(row)
            raise error

    worker = ObserverWorker(Raising(), "raising")
    for step in range(10):
        worker.tell("row", step)
    finish(worker)
    assert calls == list(range(MAX_FAULTS))
    assert worker.switched_off is not None
    assert worker.switched_off.cause.startswith(f"row raised {type(error).__name__}")
    assert worker.switched_off.num_faults == MAX_FAULTS


def test_a_single_fault_is_forgiven() -> None:
    class Once(Keeping):
        def row(self, row: Any) -> None:
            if row == 1:
                raise ValueError("once")
            super().row(row)

    observer = Once()
    worker = ObserverWorker(observer, "once")
    for step in range(4):
        worker.tell("row", step)
    assert finish(worker)
    assert [told for _, told in observer.calls] == [0, 2, 3, None]
    assert worker.switched_off is None


def test_one_that_is_slow_is_switched_off() -> None:
    class Slow:
        def row(self, row: Any) -> None:
            time.sleep(0.02)

    worker = ObserverWorker(Slow(), "slow", slow_seconds=0.01)
    for step in range(MAX_FAULTS + 3):
        worker.tell("row", step)
    finish(worker)
    assert worker.switched_off is not None
    assert worker.switched_off.cause == "row took 0.0 s"


def test_one_that_does_not_start_is_told_nothing_more() -> None:
    class NoStart(Keeping):
        def start(self) -> None:
            raise OSError("no network")

    observer = NoStart()
    worker = ObserverWorker(observer, "no start")
    worker.tell("start")
    worker.tell("row", 1)
    finish(worker)
    assert observer.calls == []
    assert worker.switched_off is not None
    assert worker.switched_off.cause == "start raised OSError: no network"


def test_one_that_hangs_is_not_waited_for() -> None:
    let_go = threading.Event()

    class Hanging:
        def row(self, row: Any) -> None:
            let_go.wait(10)

    worker = ObserverWorker(Hanging(), "hanging")
    worker.tell("row", 1)
    started = time.monotonic()
    assert not finish(worker, seconds=0.1)
    assert time.monotonic() - started < 2.0
    let_go.set()
