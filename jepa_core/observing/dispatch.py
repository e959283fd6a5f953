"""A run's observers: built before data loads, told what is recorded, and let go at the end. They may fail, never harm.

All of it is called on the training thread, and none of it waits but `finish`, which has a time limit.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import attrs

from jepa_core.discovery.offer import in_words
from jepa_core.errors import JepaError, PluginError
from jepa_core.facts import ObserverFacts
from jepa_core.observing.worker import ObserverWorker
from jepa_core.recipes.tables import ObserverEntry
from jepa_core.run_directory.events import Event
from jepa_core.run_directory.layout import CHECKPOINTS

FINISH_SECONDS = 15.0
"""What all observers together have at the end for what still waits."""

FAILURE_SECONDS = 3.0
"""What they have after a failure: less, since the user waits for the program to end."""

_CHECKPOINT = "checkpoint"


@attrs.frozen(kw_only=True)
class Notice:
    """What went wrong with an observer, as the parts of an event."""

    name: str
    message: str
    advice: str
    evidence: Mapping[str, Any]


class Observers:
    """The observers of one run; none until they are built. As a context manager it lets them go, whatever happened."""

    def __init__(self) -> None:
        self._built: list[tuple[str, Any]] = []
        self._workers: list[ObserverWorker] = []
        self._reported: set[str] = set()
        self._run_path = Path()
        self._is_finished = False

    def build(self, entries: Iterable[ObserverEntry], run_path: Path, resumed_at: int | None) -> None:
        """Build them, before anything is loaded.

        Raises:
            PluginError: one cannot be built. The recipe asked for it, and nothing has been trained yet.
        """
        self._run_path = run_path
        facts = ObserverFacts(run_path=run_path, resumed_at=resumed_at)
        self._built = [(_label(entry), _built(entry, facts)) for entry in entries]

    def start(self, recipe_table: Mapping[str, Any]) -> None:
        """Tell them that training begins; until now they were told nothing."""
        self._workers = [ObserverWorker(observer, label) for label, observer in self._built]
        for worker in self._workers:
            worker.tell("start", self._run_path, copy.deepcopy(dict(recipe_table)))

    def row(self, row: Mapping[str, float]) -> None:
        """Tell of a metrics row."""
        for worker in self._workers:
            worker.tell("row", dict(row))

    def event(self, event: Event) -> None:
        """Pass an event on; one of a checkpoint also calls `checkpoint`."""
        for worker in self._workers:
            worker.tell("event", copy.deepcopy(attrs.asdict(event, recurse=False)))
            if event.name == _CHECKPOINT and event.step is not None:
                worker.tell("checkpoint", self._run_path / CHECKPOINTS / f"step-{event.step:.0f}", int(event.step))

    def notices(self) -> Iterator[Notice]:
        """What is new to be said about them, each once."""
        for worker in self._workers:
            off = worker.switched_off
            if off is not None and worker.label not in self._reported:
                self._reported.add(worker.label)
                yield Notice(
                    name="observer off",
                    message=f"Observer {worker.label} is switched off: {off.cause}.",
                    advice="Training goes on without it and is not affected. Mend it, or take it out of the recipe.",
                    evidence={"observer": worker.label, "cause": off.cause, "faults": off.num_faults},
                )

    def finish(self, verdict: Mapping[str, Any] | None, seconds: float = FINISH_SECONDS) -> list[Notice]:
        """Tell of the end, and wait for what still has to be told, at most so long. A second call does nothing."""
        if self._is_finished:
            return []
        self._is_finished = True
        deadline = time.monotonic() + seconds
        late = [worker for worker in self._workers if not worker.finish(copy.deepcopy(verdict), deadline)]
        return [*self.notices(), *(notice for worker in self._workers for notice in _missed(worker, worker in late))]

    def __enter__(self) -> Observers:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self.finish(None, FAILURE_SECONDS)


def _label(entry: ObserverEntry) -> str:
    return f"{entry.name} ({entry.origin})"


def _built(entry: ObserverEntry, facts: ObserverFacts) -> Any:
    try:
        return entry.config.build(facts)
    except JepaError as error:
        raise PluginError(f"Observer {_label(entry)} cannot be used: {error}") from error
    except (Exception, SystemExit) as error:
        if isinstance(error, SystemExit) and type(error) is not SystemExit:
            raise  # what the trainer makes of a stop signal is a kind of SystemExit, too
        raise PluginError(
            f"Observer {_label(entry)} cannot be used: {in_words(error)}.\n"
            f"Take [observers.{entry.name}] out of the recipe, or tell its author."
        ) from error


def _missed(worker: ObserverWorker, is_late: bool) -> Iterator[Notice]:
    """What it was not told."""
    if worker.switched_off is not None or not (is_late or worker.num_dropped):
        return
    parts = ["did not keep up"]
    if worker.num_dropped:
        parts.append(f"{worker.num_dropped} rows and events were not told to it")
    if is_late:
        parts.append("it was not done when the run ended")
    yield Notice(
        name="observer behind",
        message=f"Observer {worker.label}: {', '.join(parts)}.",
        advice="What it shows is incomplete; the run directory is not.",
        evidence={"observer": worker.label, "dropped": worker.num_dropped},
    )
