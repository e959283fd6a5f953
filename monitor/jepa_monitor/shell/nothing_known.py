"""The view of a run of which nothing is known: for dialogs that can be opened before anything was read."""

from __future__ import annotations

from collections.abc import Sequence

from jepa_core.watch.rules import Watch
from jepa_monitor.history.series import Series
from jepa_monitor.model.run_view import RunView


class _NoRows:
    num_rows = 0
    names: Sequence[str] = ()

    def series(self, name: str) -> Series | None:  # noqa: ARG002  # there is none of any name
        return None


def nothing_known() -> RunView:
    """Empty in every respect."""
    return RunView(
        name="",
        path="",
        state="unknown",
        status=None,
        heartbeat_age=None,
        history=_NoRows(),
        finals={},
        metrics={},
        watch=Watch(),
        outlooks=(),
        firings=(),
        events=(),
        diagnosis={},
        console=(),
        verdict=None,
        recipe={},
        environment={},
        baseline=None,
        damaged=0,
        problems=(),
    )
