"""What an array was understood as, in the words of a run's first lines and of errors, and how to say otherwise.

Whoever reads an array wrongly has to see that before anything else is blamed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs

from jepa_core.errors import DataError
from jepa_plugins.arrays.files import Header
from jepa_plugins.arrays.readings import READINGS, Holds, ObservedAs, Reading, likeliest, possible_readings

_FEW_STEPS = 32
"""A recording of no more steps, with many times as many channels, has rather been transposed."""

_MANY_TIMES = 8

_OTHER_TYPES = {
    "complex": "Save real and imaginary part as two channels, as float32.",
    "str": "Save numbers: observations.astype(numpy.float32).",
    "bytes": "Save numbers: observations.astype(numpy.float32).",
    "datetime64": "Save what was measured; times are not observed.",
    "void": "Save its fields as channels: "
    "numpy.stack([observations[name].astype(numpy.float32) for name in observations.dtype.names], -1).",
}
"""How types begin that are no numbers → what to do."""

_NOUNS = {"S": "sequence", "R": "recording", "L": "step", "C": "channel", "D": "number"}
"""What the dimensions of shapes count."""

_Reader = Callable[[ObservedAs | None, Holds | None], Reading | None]


@attrs.frozen(kw_only=True)
class Understood:
    """One reading, where it came from, and what else it could be."""

    header: Header
    reading: Reading
    otherwise: tuple[str, ...]
    """How to say each other thing that the shape could be; empty where the recipe has said it."""

    def sentence(self) -> str:
        """Such as "observations (1000, 3) float32 are read as series, one recording (time, C)"."""
        return f"observations {self.header.shape} {self.header.dtype} are read as {self.reading.text()}"

    def meaning(self) -> str:
        """What each number of the shape counts, such as "that is 1,000 steps of 3 channels"."""
        sizes = dict(zip(self.reading.dims, self.header.shape, strict=True))
        counted = {name: _counted(sizes[name], noun) for name, noun in _NOUNS.items() if name in sizes}
        if self.reading.observed_as == "images":
            moment, of = "frame", f"{sizes['H']} × {sizes['W']} pixels"
            if "C" in sizes:
                of += f" with {counted['C']}"
        else:
            moment = "step" if self.reading.observed_as == "series" else "vector"
            of = counted.get("C") or counted.get("D") or "1 channel"
        if self.reading.holds == "sequences":
            piece = f"{counted['S']} of {_counted(sizes['T+1'], 'observation')}"
            return f"that is {piece}: each {counted['L']} of {of}" if "L" in sizes else f"that is {piece}: {of} each"
        whole = f"{counted['R']} of " if "R" in sizes else ""
        return f"that is {whole}{_counted(sizes['time'], moment)} of {of}"

    def notes(self) -> tuple[str, ...]:
        """The sentence, its numbers, and what to do if it is wrong, a line each; none where nothing was inferred."""
        return (self.sentence(), self.meaning(), *self.otherwise) if self.otherwise else ()

    def doubt(self) -> str:
        """What errors end with that a wrong reading may have caused; empty where nothing was inferred."""
        return f" If they are something else: {'; '.join(self.otherwise)}." if self.otherwise else ""


def understand(
    where: str,
    header: Header,
    observed_as: ObservedAs | None,
    holds: Holds | None,
    is_cut: Callable[[Reading], bool] = lambda _: False,
) -> Understood:
    """What an array is read as.

    Args:
        where: names it in errors.
        header: its shape and type.
        observed_as: what the recipe says.
        holds: likewise.
        is_cut: whether the recipe says how recordings of a reading are cut: then they are no ready sequences.

    Raises:
        DataError: its type or its shape is none that can be read.
    """
    _check_type(where, header)
    if 0 in header.shape:
        raise DataError(f"{where} are empty: their shape is {header.shape}. Give at least one sequence or recording.")

    def read(observed_as: ObservedAs | None, holds: Holds | None) -> Reading | None:
        likely = likeliest(header, observed_as, holds)
        if holds is None and likely is not None and likely.holds == "sequences":
            recordings = likeliest(header, observed_as, "recordings")
            if recordings is not None and is_cut(recordings):
                return recordings
        return likely

    chosen = read(observed_as, holds)
    if chosen is None:
        raise DataError(_unreadable(where, header, observed_as, holds))
    otherwise = [
        *_arranged_otherwise(header, chosen, observed_as),
        *_said_otherwise(header, chosen, observed_as, holds, read),
    ]
    return Understood(header=header, reading=chosen, otherwise=tuple(otherwise))


def _said_otherwise(
    header: Header, chosen: Reading, observed_as: ObservedAs | None, holds: Holds | None, read: _Reader
) -> list[str]:
    """For each other meaning the shortest settings that lead to it."""
    pairs = dict.fromkeys((r.observed_as, r.holds) for r in possible_readings(header, observed_as, holds))
    said = []
    for other_observed, other_holds in pairs:
        if (other_observed, other_holds) == (chosen.observed_as, chosen.holds):
            continue
        for asked_observed, asked_holds in (
            (other_observed, holds),
            (observed_as, other_holds),
            (other_observed, other_holds),
        ):
            reading = read(asked_observed, asked_holds)
            if reading is not None and (reading.observed_as, reading.holds) == (other_observed, other_holds):
                changed = {
                    "observed_as": asked_observed if asked_observed != observed_as else None,
                    "holds": asked_holds if asked_holds != holds else None,
                }
                said.append(f"for {reading.text()}, say {_settings(changed)}")
                break
    return said


def _arranged_otherwise(header: Header, chosen: Reading, observed_as: ObservedAs | None) -> list[str]:
    """That dimensions may be the other way round: channels before time, or channels where none are looked for."""
    if chosen.dims == ("time", "H", "W") and header.shape[-1] in (3, 4):
        return ["for a single picture (H, W, C), give several: nothing follows on one"]
    if chosen.observed_as == "images":
        # A picture's number of channels at both places, as in (time, 3, 64, 3).
        as_bytes = attrs.evolve(header, dtype="uint8")
        others = possible_readings(header, "images", chosen.holds)
        if not any(r.dims != chosen.dims and "C" in r.dims and r.is_likely(as_bytes) for r in others):
            return []
        start, end = (-3, -1) if chosen.dims[-1] == "C" else (-1, -3)
        return [f"for channels at the other place, save numpy.moveaxis(observations, {start}, {end})"]
    if chosen.dims[-2:] == ("L", "C") or len(header.shape) < 2:
        return []
    steps, numbers = header.shape[-2:]
    if steps > _FEW_STEPS or numbers < _MANY_TIMES * steps or observed_as == "vectors":
        return []
    leading = "recordings, " if len(header.shape) == 3 else ""
    return [f"for ({leading}channels, time), save numpy.swapaxes(observations, -1, -2)"]


def _settings(changed: Mapping[str, str | None]) -> str:
    return " and ".join(f'data.{key} = "{value}"' for key, value in changed.items() if value)


def _check_type(where: str, header: Header) -> None:
    if header.dtype == "object":
        several = len(header.shape) > 1
        remedy = "observations" if several else "numpy.stack(recordings)"
        more = "" if several else (
            " Recordings of unequal length cannot be stacked: cut them all to one length, or into ready sequences."
        )  # fmt: skip
        raise DataError(
            f"{where} are Python objects (dtype object): reading them would run code that the file holds. Save plain "
            f"numbers: numpy.savez(FILE, observations={remedy}.astype(numpy.float32)).{more}"
        )
    if header.dtype.startswith(("bool", "uint", "int", "float", "bfloat")):
        return
    for kind, remedy in _OTHER_TYPES.items():
        if header.dtype.startswith(kind):
            raise DataError(f"{where} are of type {header.dtype}. {remedy}")
    raise DataError(f"{where} are of type {header.dtype}. Save numbers, as float32.")


def _unreadable(where: str, header: Header, observed_as: ObservedAs | None, holds: Holds | None) -> str:
    asked = [f"data.{key} = {value!r}" for key, value in (("observed_as", observed_as), ("holds", holds)) if value]
    given = f" with {' and '.join(asked)}" if asked else ""
    fitting = possible_readings(header, observed_as, holds)
    if not header.shape:
        return f"{where} are a single number. Give a recording (time, channels), or what else docs/your-data.md lists."
    others = [r for r in READINGS if observed_as in (None, r.observed_as) and holds in (None, r.holds)]
    shapes = "\n".join(dict.fromkeys(f"  {reading.text()}" for reading in fitting or others))
    if any("C" in reading.dims and reading.observed_as == "images" for reading in fitting):
        return (
            f"{where} have the shape {header.shape} and the type {header.dtype}, and{given} it does not show where the "
            f"channels C are:\n{shapes}\n"
            "They are found by their number: 1, 3 or 4, or, where data.observed_as and data.holds are both said, fewer "
            "than rows H and columns W. Say both, or move them with numpy.moveaxis."
        )
    return (
        f"{where} have the shape {header.shape} and the type {header.dtype}, which{given} is none that is read:\n"
        f"{shapes}\n"
        "Reshape the array, or say what it is with data.observed_as and data.holds."
    )


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
