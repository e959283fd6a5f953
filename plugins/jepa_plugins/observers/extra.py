"""Packages that come with an extra only: imported when an observer is built, with the command that installs them."""

from __future__ import annotations

import importlib
from typing import Any

from jepa_core.errors import PluginError


def import_extra(module: str, extra: str) -> Any:
    """The module.

    Raises:
        PluginError: it is not installed, or cannot be imported.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        install = f"pip install 'jepa-core[{extra}]'"
        raise PluginError(f"the package {module} is needed ({error}).\nInstall it: {install}") from error
