"""What a run's rollback.json says: which run it goes on in the place of, and from where. What that run says of it is in
`successor`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import cattrs
import orjson

from jepa_core.errors import RunDirectoryError
from jepa_core.plain_files import read_plain
from jepa_core.recorded_numbers import encode
from jepa_core.run_directory.children import MAX_LINEAGE
from jepa_core.run_directory.layout import ROLLBACK
from jepa_core.run_directory.naming import run_beside
from jepa_core.run_directory.replacing import replace_file
from jepa_core.watch.rollback_story import PastRollback

_MOST = 1 << 53
"""More steps or rollbacks no run has: the file was not written by this program."""


@attrs.frozen(kw_only=True)
class Lineage:
    """What rollback.json says."""

    parent: str
    """Name of the run that was taken back, which lies beside this one."""
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
    """Of a run that is being made, and is synced as a whole.

    Raises:
        OSError: the file cannot be written.
        RunDirectoryError: it would be larger than what is read of it.
    """
    content = orjson.dumps(encode(attrs.asdict(lineage)), option=orjson.OPT_INDENT_2)
    if len(content) > MAX_LINEAGE:
        raise RunDirectoryError(
            f"What {lineage.parent} was rolled back for takes {len(content):,} bytes in {ROLLBACK}, more than the "
            f"{MAX_LINEAGE:,} that are read of it. Start a new run from its recipe instead."
        )
    replace_file(run / ROLLBACK, content, durable=False)


def read_lineage(run: Path) -> Lineage | None:
    """Where a run comes from; None when no rollback made it, or when the file is damaged."""
    try:
        lineage = cattrs.structure(orjson.loads(read_plain(run / ROLLBACK, MAX_LINEAGE)), Lineage)
        return lineage if 0 < lineage.generation <= _MOST and 0 <= lineage.step <= _MOST else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError, cattrs.BaseValidationError):
        return None


def parent_of(run: Path, lineage: Lineage) -> Path | None:
    """The parent's directory, beside its child; None when it is not there."""
    return run_beside(run, lineage.parent)
