"""Whose code an error came from that nobody has foreseen."""

from __future__ import annotations

import traceback

from jepa_core.discovery.remarks import OWN_DISTRIBUTION
from jepa_core.discovery.source import LOCAL, InstalledPlugin, installed_plugins


def plugin_at_fault(error: BaseException | None) -> str:
    """The distribution, or the local file, that the innermost code of any plugin is of; empty where none was running.
    What an error was raised from or upon counts where the error itself came from none."""
    packages = {
        source.point.module.partition(".")[0]: source.distribution
        for source in installed_plugins()
        if isinstance(source, InstalledPlugin) and source.distribution != OWN_DISTRIBUTION
    }
    while error is not None:
        for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
            module = str(frame.f_globals.get("__name__", ""))
            if module.startswith(LOCAL):
                return frame.f_code.co_filename
            if found := packages.get(module.partition(".")[0]):
                return found
        error = error.__cause__ or error.__context__
    return ""
