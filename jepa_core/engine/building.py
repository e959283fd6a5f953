"""Building what a recipe names from a plugin's configuration, with errors that name the component and its origin."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

from torch import nn

from jepa_core.contracts import ComponentConfig
from jepa_core.discovery.offer import in_words
from jepa_core.engine.interruption import StoppedBeforeTraining
from jepa_core.errors import JepaError, PluginError
from jepa_core.visible_text import clean

_CORE = Path(__file__).parents[1]

REMEDY = "Check it with jepa plugins check, update its package or tell its author, or name another in the recipe."
"""For a component that breaks its contract."""


def origin_of(config: ComponentConfig) -> str:
    """A component's name and where it comes from, for an error."""
    return f"{config.kind!r} ({type(config).__module__}.{type(config).__name__})"


def built_by(config: ComponentConfig, facts: object, *, what: str = "component") -> Any:
    """Whatever a configuration builds; `what` names it in an error.

    Raises:
        PluginError: it failed, with its name and where it comes from; its own `JepaError` passes.
    """
    try:
        return config.build(facts)
    except (JepaError, StoppedBeforeTraining):
        raise
    # A plugin's sys.exit(0) would end the program as if all had gone well.
    except (Exception, SystemExit) as error:
        raise PluginError(
            f"The {what} {origin_of(config)} could not be built: {clean(in_words(error)).rstrip('.')}"
            f"{_place_of(error)}.\n{REMEDY}"
        ) from error


def _place_of(error: BaseException) -> str:
    """The last line outside of jepa-core that was reached, such as " (my_loss.py:31)"; empty where there is none."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [(path, frame.lineno) for frame in frames if not (path := Path(frame.filename)).is_relative_to(_CORE)]
    return f" ({clean(places[-1][0].name, 100)}:{places[-1][1]})" if places else ""


def built(config: ComponentConfig, facts: object) -> Any:
    """The module that a configuration builds, of its family's protocol.

    Raises:
        PluginError: the component failed, or is no module; see `built_by`.
    """
    module = built_by(config, facts)
    if not isinstance(module, nn.Module):
        raise PluginError(
            f"The component {origin_of(config)} built a {type(module).__name__}, which is no torch.nn.Module."
        )
    return module
