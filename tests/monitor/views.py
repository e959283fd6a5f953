"""Views of a run, made by the model from a recorded one, for tests of what is shown of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs

from jepa_core.watch.judgement import Judgement, Kind, State
from jepa_monitor.model.run_view import Outlook, Prospect, RunView
from jepa_monitor.snapshot import take_snapshot
from tests.monitor.recorded import record


def view_of(path: Path, **options: Any) -> RunView:
    """A run recorded at `path`, as it is shown."""
    return take_snapshot(record(path, **options))


def outlook(  # short calls read well in tables
    kind: Kind,
    prospect: Prospect,
    metric: str = "",
    margin: float | None = None,
    title: str = "",
    **judgement: Any,
) -> Outlook:
    """A rule that stands as said."""
    state: State = "fired" if prospect == "fired" else "failed" if prospect == "failed" else "holding"
    title = title or f"{kind} of {metric}"
    known = {"id": title, "when": "vq.usage > 0.1", "state": state, "margin": margin, **judgement}
    return Outlook(judgement=Judgement(kind=kind, title=title, **known), prospect=prospect, metric=metric)


def with_outlooks(view: RunView, *outlooks: Outlook) -> RunView:
    return attrs.evolve(view, outlooks=outlooks)
