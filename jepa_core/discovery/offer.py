"""What one plugin offers: its hooks called and what they return held against the contract.

Every way in which a plugin can break the contract has a message of its own here. Knows no other plugin.
"""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Iterator
from typing import Any

import attrs
import pluggy

from jepa_core import hookspecs
from jepa_core.contracts import ComponentConfig
from jepa_core.errors import PluginError

_NAME = re.compile("[a-z][a-z0-9_]*")
"""Names that can stand in a recipe, as a loss's table too."""

LONGEST_CAUSE = 500

Offer = tuple[str, type[ComponentConfig]]
"""Family and configuration class."""


class BrokenOfferError(PluginError):
    """A plugin breaks the contract."""

    def __init__(self, message: str, definition: object) -> None:
        """`definition`: the function or class of the plugin that does."""
        super().__init__(message)
        self.definition = definition


def offers_of(plugin: Any) -> list[Offer]:
    """Everything that a loaded plugin (a module or object) offers.

    Raises:
        PluginError: it breaks the contract; the text says how.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    _check_definitions(manager, plugin)
    _check_version(manager, plugin)
    manager.register(plugin)
    offers = [
        (family, config_class)
        for family, hook in hookspecs.HOOKS.items()
        for config_class in _returned(manager, family, hook)
    ]
    if not offers:
        hooks = ", ".join(hookspecs.HOOKS.values())
        raise BrokenOfferError(f"offers nothing: decorate one of {hooks} with `hookimpl`", plugin)
    return offers


def in_words(error: BaseException) -> str:
    """What a plugin's code raised, on a line; its own text may raise in turn."""
    if isinstance(error, PluginError):
        text = str(error)
    else:
        try:
            said = str(error).strip()
            text = f"{type(error).__name__}: {said}" if said else type(error).__name__
        except BaseException:  # its __str__ is the plugin's code too
            text = f"{type(error).__name__}, whose text cannot be shown"
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_CAUSE else f"{text[:LONGEST_CAUSE]}…"


def _check_definitions(manager: pluggy.PluginManager, plugin: Any) -> None:
    """pluggy takes a misspelt hook silently, and tells of wrong arguments in its own terms: look first."""
    known = list(hookspecs.HOOKS.values())
    for name in dir(plugin):
        options = manager.parse_hookimpl_opts(plugin, name)
        if options is None:
            continue
        hook = options.get("specname") or name
        if hook not in known:
            near = difflib.get_close_matches(hook, known, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"Hooks: {', '.join(known)}"
            raise BrokenOfferError(f"unknown hook {hook!r}. {hint}", getattr(plugin, name))
        signature = inspect.signature(getattr(plugin, name))
        if any(_is_required(parameter) for parameter in signature.parameters.values()):
            what = f"{hook} takes no arguments, but is defined as {name}{signature}"
            raise BrokenOfferError(what, getattr(plugin, name))


def _check_version(manager: pluggy.PluginManager, plugin: Any) -> None:
    """A plugin of an older version whose hooks have not changed since is as good as a new one.

    Raises:
        PluginError: what it offers is written for another version of the contract; with the lines to change.
    """
    version = getattr(plugin, hookspecs.VERSION_NAME, 1)
    if type(version) is not int or version < 1:
        raise BrokenOfferError(
            f"has {hookspecs.VERSION_NAME} = {_shown(version)}: it is a whole number, now {hookspecs.CONTRACT_VERSION}",
            plugin,
        )
    if version == hookspecs.CONTRACT_VERSION:
        return
    if version > hookspecs.CONTRACT_VERSION:
        raise PluginError(
            f"is written for version {_shown(version)} of the plugin contract, and this jepa-core has version "
            f"{hookspecs.CONTRACT_VERSION}: use a newer jepa-core"
        )
    offered = {
        options.get("specname") or name
        for name in dir(plugin)
        if (options := manager.parse_hookimpl_opts(plugin, name)) is not None
    }
    changes = [f"{hook}: {what}" for hook, what in hookspecs.CHANGED_IN_2.items() if hook in offered]
    if changes:
        raise BrokenOfferError(
            f"is written for version {version} of the plugin contract, and this jepa-core has version "
            f"{hookspecs.CONTRACT_VERSION}. {'. '.join(changes)}. Then write "
            f"{hookspecs.VERSION_NAME} = {hookspecs.CONTRACT_VERSION} into the module: docs/plugins.md, Migration",
            plugin,
        )


def _is_required(parameter: inspect.Parameter) -> bool:
    variadic = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
    return parameter.default is inspect.Parameter.empty and parameter.kind not in variadic


def _returned(manager: pluggy.PluginManager, family: str, name: str) -> Iterator[type[ComponentConfig]]:
    hook: pluggy.HookCaller = getattr(manager.hook, name)
    if not hook.get_hookimpls():
        return
    definition = hook.get_hookimpls()[0].function
    try:
        results = hook()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too
        raise BrokenOfferError(f"{name} raised {in_words(error)}", definition) from error
    if not results:
        # pluggy leaves None out.
        raise BrokenOfferError(f"{name} returned None: return a list of configuration classes", definition)
    for classes in results:
        if not isinstance(classes, list | tuple):
            what = f"{name} returned {_shown(classes)}: return a list of configuration classes"
            raise BrokenOfferError(what, definition)
        for offered in classes:
            try:
                yield _accepted(offered, family, name)
            except PluginError as error:
                raise BrokenOfferError(str(error), offered if isinstance(offered, type) else definition) from error


def _accepted(offered: Any, family: str, hook: str) -> type[ComponentConfig]:
    """The class, when it is one that the engine can use."""
    config_class: Any = offered
    if not (isinstance(offered, type) and attrs.has(offered)):
        raise PluginError(f"{hook} returned {_shown(offered)}, which is not an attrs class: use @attrs.frozen")
    found = f"{hook} returned {config_class.__name__}"
    if config_class.__setattr__ is object.__setattr__:
        raise PluginError(f"{found}, which is not frozen: use @attrs.frozen")
    kind = getattr(config_class, "kind", None)
    if not isinstance(kind, str):
        raise PluginError(f"{found}, which has no name: add `kind: ClassVar[str]`")
    if not _NAME.fullmatch(kind):
        raise PluginError(f"{found} of kind {kind!r}: use a-z, 0-9 and _, a letter first")
    if not isinstance(getattr(config_class, "metrics", None), tuple):
        raise PluginError(f"{found}, which declares no metrics: add `metrics: ClassVar[tuple[Metric, ...]] = ()`")
    if not callable(getattr(config_class, "build", None)):
        raise PluginError(f"{found}, which has no build(facts)")
    if family == "dataset" and not hasattr(config_class, "space"):
        raise PluginError(f"{found}, which names no space: add `space: ClassVar[type[Space]] = GridSpace`, or another")
    if family in hookspecs.FAMILIES_WITH_SPACES or hasattr(config_class, "spaces"):
        _check_spaces(config_class, found)
    try:
        attrs.resolve_types(config_class)
    except Exception as error:
        raise PluginError(f"{found}, whose annotations cannot be resolved: {in_words(error)}") from error
    accepted: type[ComponentConfig] = config_class
    return accepted


def _check_spaces(config_class: Any, found: str) -> None:
    spaces = getattr(config_class, "spaces", None)
    if isinstance(spaces, list):
        raise PluginError(f"{found}, whose spaces are a list: write a tuple, `(GridSpace,)`")
    if not (isinstance(spaces, tuple) and spaces and all(isinstance(space, type) for space in spaces)):
        raise PluginError(
            f"{found}, which does not name the spaces that it takes: add "
            "`spaces: ClassVar[tuple[type[Space], ...]] = (GridSpace,)`, or others"
        )


def _shown(value: Any) -> str:
    """A value in an error's text; showing it runs the plugin's code."""
    try:
        text = repr(value)
    except Exception:
        return f"a {type(value).__name__}"
    return text if len(text) <= LONGEST_CAUSE // 5 else f"a {type(value).__name__}"
