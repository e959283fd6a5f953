"""Building what a recipe names from a plugin's configuration, with errors that name the component and its origin."""

from __future__ import annotations

import shlex
import traceback
from pathlib import Path
from typing import Any

import attrs
from torch import nn

from jepa_core.contracts import ComponentConfig
from jepa_core.discovery.blame import plugin_at_fault
from jepa_core.discovery.offer import in_words
from jepa_core.discovery.source import own_source_of, place_in
from jepa_core.engine.interruption import StoppedBeforeTraining
from jepa_core.engine.memory_faults import given_settings, memory_for
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
        DeviceError: its settings ask for more memory than there is.
    """
    named = f"the {what} {origin_of(config)}"
    try:
        with memory_for(named, config):
            return config.build(facts)
    except (JepaError, StoppedBeforeTraining):
        raise
    # A plugin's sys.exit(0) would end the program as if all had gone well.
    except (Exception, SystemExit) as error:
        raise PluginError(
            f"T{named[1:]} could not be built: {clean(in_words(error)).rstrip('.')}{_place_of(error)}.\n"
            f"{_remedy(config, error)}"
        ) from error


def _remedy(config: ComponentConfig, error: BaseException) -> str:
    """What to do: its settings may be wrong, or its code, which may be the user's own."""
    given = given_settings(config) if attrs.has(type(config)) else ""
    wrong = f"It may not take its settings: {given}. Try it without. " if given else ""
    plugin = plugin_at_fault(error)
    own = own_source_of(plugin) if plugin else None
    if own is None:
        return f"{wrong}{REMEDY}"
    place = place_in(own, error) or str(own)
    return f"{wrong}Correct {clean(place, 300)}; jepa plugins check {clean(shlex.quote(plugin), 300)} tries it alone."


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
