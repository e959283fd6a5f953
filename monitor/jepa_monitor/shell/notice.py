"""The line that is there only when something has to be said: a value that is not finite, a run that is gone, damage."""

from __future__ import annotations

from jepa_monitor.model.run_view import RunView
from jepa_monitor.panels.line import Line, Span, foreign, line
from jepa_monitor.shell.non_finite import NonFinite, non_finite_line


def notice_line(view: RunView | None, problem: str, non_finite: NonFinite | None, width: int) -> Line | None:
    """The most important thing to say; None when all is well.

    Args:
        problem: why the run cannot be read now.
    """
    words = problem or (_words(view) if view else "")
    if view is not None and non_finite is not None and not problem:
        return non_finite_line(non_finite, view, width)
    if words:
        return line(Span(" ▲ ", "warning", is_bold=True), Span(foreign(words, max(width, 1)), "warning")).fitted(width)
    if view is not None and view.judged_rows is not None:
        share = f"{view.judged_rows:,} of {view.history.num_rows:,} rows judged so far"
        return line(Span(f" ◌ {share}", "dim")).fitted(width)
    return None


def _words(view: RunView) -> str:
    if view.problems:
        return "; ".join(view.problems[:3])
    return f"{view.damaged} damaged {'line' if view.damaged == 1 else 'lines'} passed over" if view.damaged else ""
