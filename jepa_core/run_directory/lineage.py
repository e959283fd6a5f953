"""Where a run made by a rollback comes from: its rollback.json."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import cattrs
import orjson

from jepa_core.plain_files import read_plain
from jepa_core.recorded_numbers import encode
from jepa_core.run_directory.layout import ROLLBACK, is_run
from jepa_core.run_directory.replacing import replace_file
from jepa_core.watch.rollback_story import PastRollback

MAX_BYTES = 4 << 20
"""Most that is read of the file."""


@attrs.frozen(kw_only=True)
class Lineage:
    """What rollback.json says."""

    parent: str
    """Name of the run that was taken back."""
    parent_path: str = ""
    """Its directory then, absolute; runs may have been moved since."""
    step: int = 0
    """Of the checkpoint that was handed down; 0 when training began anew."""
    scenario: str = ""
    title: str = ""
    message: str = ""
    """What fired, in words."""
    fired_step: float | None = None
    first_sign: float | None = None
    evidence: Mapping[str, Any] = attrs.field(factory=dict)
    changes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """What of the parent's rules and flags could not be kept."""
    generation: int = 1
    """Rollbacks on the way here, this one included."""
    before: tuple[PastRollback, ...] = ()
    """The parent's own story, oldest first."""

    @property
    def story(self) -> tuple[PastRollback, ...]:
        """Every rollback on the way here, oldest first."""
        last = PastRollback(
            parent=self.parent,
            scenario=self.scenario,
            title=self.title,
            from_step=self.fired_step,
            to_step=self.step,
            changes=self.changes,
        )
        return (*self.before, last)


def write_lineage(run: Path, lineage: Lineage) -> None:
    """
    Raises:
        OSError: the file cannot be written.
    """
    replace_file(run / ROLLBACK, orjson.dumps(encode(attrs.asdict(lineage)), option=orjson.OPT_INDENT_2))


def read_lineage(run: Path) -> Lineage | None:
    """Where a run comes from; None when no rollback made it, or when the file is damaged."""
    try:
        return cattrs.structure(orjson.loads(read_plain(run / ROLLBACK, MAX_BYTES)), Lineage)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError, cattrs.BaseValidationError):
        return None


def generation_of(run: Path) -> int:
    """Rollbacks on the way to a run; 0 for one that no rollback made."""
    lineage = read_lineage(run)
    return 0 if lineage is None else lineage.generation


def parent_of(run: Path, lineage: Lineage) -> Path | None:
    """The parent's directory: where it was, or beside its child; None when it is in neither place."""
    places = (Path(lineage.parent_path), run.resolve().parent / lineage.parent) if lineage.parent else ()
    return next((place for place in places if str(place) != "." and is_run(place)), None)
