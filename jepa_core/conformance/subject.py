"""What is tried: a component, small, in every variant that its settings of few choices offer.

Sizes are found by the names of fields, not of components, so that anyone's component is tried on small tensors too.
"""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs

from jepa_core.conformance.families import MODULE_FAMILIES
from jepa_core.conformance.violation import Violation
from jepa_core.contracts import SequenceDataset, Space, spaces_of
from jepa_core.errors import JepaError
from jepa_core.facts import DatasetFacts
from jepa_core.registry import Component
from jepa_core.settings import setting_of

SMALL: dict[str, Any] = {
    "dim": 16,
    "layers": 1,
    "heads": 2,
    "patch": 3,
    "max_objects": 4,
    "codes": 8,
    "queue": 12,
    "slices": 8,
    "points": 5,
    "num_sequences": 60,
    "side": 8,
    "train_windows": 2,
}
"""Field → value, for every component with a field of that name and kind."""


@attrs.frozen(kw_only=True)
class Subject:
    """One component in one variant."""

    component: Component
    config: Any
    variant: str = ""
    """The setting that differs, such as "queries=all"."""
    space_class: type[Space] | None = None
    """What it is tried on; None where it names no space."""

    @functools.cached_property
    def dataset(self) -> SequenceDataset:
        """What a dataset's configuration builds, once."""
        built: SequenceDataset = self.config.build(DatasetFacts(seed=0))
        return built


def subjects_of(component: Component, config: Any = None) -> tuple[Subject, ...]:
    """The component in all variants of `config`, or of small defaults.

    Raises:
        Violation: no configuration is given, and a field has no default, or the defaults are refused.
    """
    if config is None:
        config = small_config(component.config_class)
    changed = _variants(config) if component.family in MODULE_FAMILIES else [("", config)]
    spaces: Sequence[type[Space] | None] = spaces_of(config) or (None,)
    return tuple(
        Subject(component=component, config=config, variant=_joined(variant, space, len(spaces)), space_class=space)
        for variant, config in changed
        for space in spaces
    )


def _joined(variant: str, space: type[Space] | None, num_spaces: int) -> str:
    """The variant, with the space where there are several."""
    return variant if space is None or num_spaces == 1 else f"{variant} on {space.plural}".strip()


def small_config(config_class: type[Any]) -> Any:
    """The component's own example, where it has a classmethod `example(folder)`; else its defaults, but small."""
    if hasattr(config_class, "example"):
        return config_class.example(_folder(f"{config_class.__module__}.{config_class.__qualname__}"))
    given = {
        field.name: SMALL[field.name]
        for field in attrs.fields(config_class)
        if field.name in SMALL and (field.default is attrs.NOTHING or type(field.default) is type(SMALL[field.name]))
    }
    fields = attrs.fields_dict(config_class)
    required = [name for name, field in fields.items() if field.default is attrs.NOTHING and name not in given]
    if required:
        raise Violation(
            f"{', '.join(required)} has no default, so there is nothing to try: give one, "
            f"or call check_component(component, config={config_class.__name__}(…)) in a test"
        )
    try:
        return config_class(**given)
    except (ValueError, JepaError):
        return _defaults(config_class)


def _defaults(config_class: type[Any]) -> Any:
    try:
        return config_class()
    except (ValueError, JepaError) as error:
        raise Violation(f"it refuses its own defaults: {error}") from error


def _variants(config: Any) -> Iterator[tuple[str, Any]]:
    """The configuration, and it with one setting of few choices changed: "" and "queries=all", with each."""
    yield "", config
    for field in attrs.fields(type(config)):
        now = getattr(config, field.name)
        choices = (False, True) if isinstance(now, bool) else setting_of(field).choices
        for choice in choices:
            if choice != now and (changed := _changed(config, field.name, choice)) is not None:
                yield f"{field.name}={choice}", changed


def _changed(config: Any, field: str, value: Any) -> Any:
    """The configuration with another value; None when it refuses that beside its other settings."""
    try:
        return attrs.evolve(config, **{field: value})
    except (ValueError, JepaError):
        return None


@functools.cache
def _folder(name: str) -> Path:  # noqa: ARG001  # one for each
    """Of files that a component's example may need; removed when the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="jepa-conformance-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
