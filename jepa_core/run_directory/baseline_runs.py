"""Finding what a run is compared with: the newest finished run of a recipe on the same data, a run, or figures."""

from __future__ import annotations

from pathlib import Path, PurePath

import attrs

from jepa_core.errors import RunDirectoryError
from jepa_core.run_directory.naming import LATEST, RUNS_DIR, run_named, runs_in
from jepa_core.run_directory.reading import RunReader
from jepa_core.visible_text import clean
from jepa_core.watch.baseline import BaselineValues, series_of
from jepa_core.watch.rules import Baseline

_FEWEST_DIGITS = 12


@attrs.frozen(kw_only=True)
class ResolvedBaseline:
    """What was found."""

    values: BaselineValues | None
    """None when there is nothing to compare with."""
    reason: str
    """Why there is none, or what to know about it; may be empty."""
    baseline: Baseline | None
    """For the resolved recipe: the run and the figures that were found, so that it means the same later."""


def resolve_baseline(
    baseline: Baseline | None, runs_dir: Path = RUNS_DIR, data_fingerprint: str = "", *, own: str = ""
) -> ResolvedBaseline:
    """Find the baseline's figures. Never fails: a baseline that is not there is a reason in words.

    Args:
        baseline: the recipe's `watch.baseline` table.
        runs_dir: where runs are looked for: the folder that the run lies in.
        data_fingerprint: of this run's data; a run of the baseline's recipe on other data does not count.
        own: name of the run that is compared. It is no baseline of its own, and by the latest it means one that began
            before it.
    """
    if baseline is None:
        return ResolvedBaseline(values=None, reason="", baseline=None)
    run, reason = _find(baseline, runs_dir, data_fingerprint, own)
    if run is not None:
        return _of_run(baseline, run, data_fingerprint)
    if baseline.figures and not _is_of(baseline.data, data_fingerprint):
        name = baseline.name or "the recipe's baseline"
        reason = (
            f"the figures of {name} were measured on other data (fingerprint {baseline.data[:12] or 'not given'}, "
            f"this data has {data_fingerprint[:12] or 'none'}), so nothing is compared with them"
        )
        return ResolvedBaseline(values=None, reason=reason, baseline=baseline)
    if baseline.figures:
        values = BaselineValues(
            name=baseline.name or baseline.recipe or "the recipe's figures", figures=baseline.figures
        )
        return ResolvedBaseline(values=values, reason=reason, baseline=baseline)
    return ResolvedBaseline(values=None, reason=reason, baseline=baseline)


def _is_of(fingerprint: str, data_fingerprint: str) -> bool:
    """Whether it is the data's, or its first twelve digits or more."""
    is_start = len(fingerprint) >= _FEWEST_DIGITS and data_fingerprint.startswith(fingerprint)
    return is_start or fingerprint == data_fingerprint


def _find(baseline: Baseline, runs_dir: Path, data_fingerprint: str, own: str) -> tuple[RunReader | None, str]:
    if baseline.run:
        return _called(baseline.run, runs_dir, own)
    if not baseline.recipe:
        return None, ""
    on_other_data = 0
    for path in reversed([run for run in runs_in(runs_dir) if run.name != own]):
        reader = RunReader(path)
        if not _is_finished(reader, baseline.recipe):
            continue
        if not data_fingerprint or reader.environment().get("data_fingerprint") == data_fingerprint:
            return reader, ""
        on_other_data += 1
    others = f" ({on_other_data} on other data)" if on_other_data else ""
    return None, (
        f"no finished run of {baseline.recipe} on this data in {runs_dir}/{others}; "
        f"make one with: jepa run recipes/{baseline.recipe}.toml"
    )


def _called(text: str, runs_dir: Path, own: str) -> tuple[RunReader | None, str]:
    """The run of a name. Of a path, which earlier versions recorded, the last part counts: who reads a stranger's run
    is led to no other folder by it."""
    name = PurePath(text).name
    if name == LATEST:
        runs = runs_in(runs_dir)
        before = runs[: next((place for place, run in enumerate(runs) if run.name == own), len(runs))]
        reason = f"watch.baseline.run is {LATEST!r}, and no run in {runs_dir}/ began before this one"
        return (RunReader(before[-1]), "") if before else (None, reason)
    try:
        return RunReader(run_named(name, runs_dir, without=own)), ""
    except RunDirectoryError as error:
        why = str(error).splitlines()[0]
        alone = f"watch.baseline.run is {clean(text, 200)!r}, of which the name counts: a baseline lies beside its run"
        return None, why if name == text else f"{alone}. {why}"


def _is_finished(reader: RunReader, recipe: str) -> bool:
    status = reader.status()
    # What a rollback made began with another recipe, whatever its name.
    is_own = status is not None and status.state == "finished" and not status.parent
    return is_own and _recipe_name(reader) == recipe


def _recipe_name(reader: RunReader) -> str:
    status = reader.status()
    return (status.recipe if status else "") or str(reader.recipe().get("name", ""))


def _of_run(baseline: Baseline, reader: RunReader, data_fingerprint: str) -> ResolvedBaseline:
    theirs = reader.environment().get("data_fingerprint")
    same_data = theirs == data_fingerprint if theirs and data_fingerprint else None
    if same_data is False:
        reason = f"{reader.name} was trained on other data, so nothing is compared with it"
        return ResolvedBaseline(values=None, reason=reason, baseline=baseline)
    values = BaselineValues(
        name=baseline.name or _recipe_name(reader) or reader.name,
        run=reader.name,
        path=str(reader.path),
        same_data=same_data,
        series=series_of(reader.rows()),
        figures=baseline.figures,
    )
    pinned = attrs.evolve(baseline, recipe="", run=reader.path.name, name=values.name)
    return ResolvedBaseline(values=values, reason="", baseline=pinned)
