"""What is not right with plugins, one class for each way, each with cause and remedy in words.

None of it stops a run that does not use the plugin.
"""

from __future__ import annotations

import attrs

from jepa_core.discovery.choice import FLAG

OWN_DISTRIBUTION = "jepa-core"


@attrs.frozen(kw_only=True)
class BrokenPlugin:
    """A plugin that could not be loaded or does not keep to the contract: nothing of it is used."""

    distribution: str
    version: str
    entry_point: str
    cause: str
    remedy: str


@attrs.frozen(kw_only=True)
class ContestedComponent:
    """A component that several plugins offer. The built-in one is used if there is one, else none of them:
    which code runs must not depend on what else happens to be installed."""

    family: str
    name: str
    distribution: str
    """One whose component is not used; there is a remark for each."""
    version: str
    entry_point: str
    others: tuple[str, ...]
    """Origins of the other claimants."""
    is_built_in: bool
    """Whether one of the others is, and so is used."""

    @property
    def cause(self) -> str:
        used = f"that of {OWN_DISTRIBUTION} is used" if self.is_built_in else "none of them is used"
        return f"offers the {self.family} {self.name!r}, which {' and '.join(self.others)} offers too: {used}"

    @property
    def remedy(self) -> str:
        if self.is_built_in:
            return f"tell the author of {self.distribution} to name it otherwise"
        return f"leave one out: {FLAG} {self.distribution}, or pip uninstall {self.distribution}"


@attrs.frozen(kw_only=True)
class SlowPlugin:
    """A plugin that works but makes every command wait."""

    distribution: str
    version: str
    entry_point: str
    seconds: float
    is_own: bool = False
    """Whether the user writes it."""

    @property
    def cause(self) -> str:
        return f"took {self.seconds:.1f} s to load"

    @property
    def remedy(self) -> str:
        whose = "" if self.is_own else f"tell the author of {self.distribution} to "
        return f"{whose}import what is heavy in build, or leave it out: {FLAG} {self.entry_point}"


@attrs.frozen(kw_only=True)
class BlockedPlugin:
    """A plugin that was not imported, because the user said so."""

    distribution: str
    version: str
    entry_point: str
    blocker: str
    """The flag or variable."""

    @property
    def cause(self) -> str:
        return f"not imported, by {self.blocker}"

    @property
    def remedy(self) -> str:
        return f"leave out {self.blocker} to use it"


PluginRemark = BrokenPlugin | ContestedComponent | SlowPlugin | BlockedPlugin
