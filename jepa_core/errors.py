"""What a user can be told went wrong.

JepaError                   anything that stops the program with a message instead of a traceback
├── RecipeError             a recipe, a flag or a rule is at fault: exit code 2
│   └── (carries every `Fault` found, see `jepa_core.recipes.faults`)
├── PluginError             a plugin cannot be loaded or breaks its contract
├── DataError               data is missing, malformed, or does not fit the recipe
├── RunDirectoryError       a run directory cannot be read, written or locked
│   └── CheckpointError     a checkpoint is missing, damaged, or does not fit the recipe
└── DeviceError             the device asked for is not there or cannot do what was asked
"""

from __future__ import annotations


class JepaError(Exception):
    """A failure with a message for the user: what is wrong, the value, where, and what to do."""

    exit_code = 1


class RecipeError(JepaError):
    """A recipe, a flag or a rule is at fault."""

    exit_code = 2


class PluginError(JepaError):
    """A plugin cannot be loaded, or breaks its contract."""


class DataError(JepaError):
    """Data is missing, malformed, or does not fit the recipe."""


class RunDirectoryError(JepaError):
    """A run directory cannot be read, written or locked."""


class CheckpointError(RunDirectoryError):
    """A checkpoint is missing, damaged, or does not fit the recipe."""


class DeviceError(JepaError):
    """The device asked for is not there, or cannot do what was asked."""
