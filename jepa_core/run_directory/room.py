"""Whether run directories can be made in a folder, looked at before anything is loaded that takes long."""

from __future__ import annotations

import os
from pathlib import Path

from jepa_core.errors import RunDirectoryError


def require_room(runs_dir: Path) -> None:
    """See that a run directory can be made in `runs_dir`, which need not exist yet. Nothing is made.

    A full or failing disk shows only when it is written to.

    Raises:
        RunDirectoryError: it is no folder, or cannot be written or made.
    """
    nearest = runs_dir
    while not os.path.lexists(nearest) and nearest.parent != nearest:
        nearest = nearest.parent
    if not nearest.is_dir():
        why = f"{nearest} is no folder"
    elif not os.access(nearest, os.W_OK | os.X_OK):
        why = f"{nearest} cannot be written to"
    else:
        return
    raise RunDirectoryError(
        f"No run directory can be made in {runs_dir}: {why}.\nChoose another place with --runs-dir."
    )
