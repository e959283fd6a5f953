"""Which runs can no longer be resumed because another goes on in their place."""

from __future__ import annotations

from pathlib import Path

from jepa_core.errors import RunDirectoryError
from jepa_core.run_directory.naming import typed_name
from jepa_core.run_directory.status import read_status


def refuse_rolled_back(run: Path) -> None:
    """
    Raises:
        RunDirectoryError: the run was rolled back, and goes on elsewhere.
    """
    status = read_status(run)
    if status is not None and status.state == "rolled_back":
        child = run.parent / status.child
        raise RunDirectoryError(
            f"{run.name} was rolled back and stays as it is; {status.child} goes on in its place.\n"
            f"To resume that: jepa run --resume {typed_name(child)}"
        )
