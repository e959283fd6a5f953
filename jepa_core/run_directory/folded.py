"""The runs of an ablation in one line of a list: its folder lies among runs, and theirs within it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from jepa_core.run_directory.layout import is_run
from jepa_core.run_directory.naming import runs_in
from jepa_core.run_directory.summary import TELLING, RunSummary

ABLATION = "ablation.json"
"""What makes a folder an ablation's."""

_RECIPE = re.compile(r"ablate-(.+)-[0-9a-f]{8}")


def ablations_in(runs_dir: Path) -> list[Path]:
    """The folders of ablations directly below `runs_dir` that have runs."""
    try:
        folders = [path for path in runs_dir.iterdir() if (path / ABLATION).is_file() and not is_run(path)]
    except OSError:
        return []
    return [path for path in sorted(folders) if runs_in(path)]


def folded(ablation: Path, runs: Sequence[RunSummary]) -> RunSummary:
    """An ablation's runs, of which there are some, as one: the best figure, and how many came to what."""
    named = _RECIPE.fullmatch(ablation.name)
    best = max((run for run in runs if run.best_mrr is not None), key=lambda run: run.best_mrr or 0.0, default=None)
    outcomes = Counter(run.outcome for run in runs if run.outcome)
    return RunSummary(
        name=ablation.name,
        path=str(ablation),
        state=min((run.state for run in runs), key=TELLING.index),
        epoch=None,
        total_epochs=None,
        best_mrr=best.best_mrr if best else None,
        null_mrr=best.null_mrr if best else None,
        null=best.null if best else "",
        outcome=", ".join(f"{number} {outcome}" for outcome, number in outcomes.most_common()),
        baseline="",
        exit_code=None,
        started=min(run.started for run in runs),
        recipe=named[1] if named else "",
        tags=tuple(dict.fromkeys(tag for run in runs for tag in run.tags)),
        folded=len(runs),
    )
