"""The space of vectors: what it takes, what it says of itself, and other data in it."""

from __future__ import annotations

import pytest
import torch

from jepa_core.errors import DataError
from jepa_core.observations import Observations
from jepa_core.spaces import Fill, Space, space_of, space_state
from jepa_plugins.vectors.space import VectorSpace

SPACE = VectorSpace(dim=5)


def sequences(num: int = 6, places: int = 4, seed: int = 0) -> Observations:
    return Observations({"values": torch.randn(num, places, 5, generator=torch.Generator().manual_seed(seed))})


def test_it_is_a_space_and_its_examples_end_with_the_smallest() -> None:
    assert isinstance(SPACE, Space)
    assert [example.dim for example in VectorSpace.examples()] == [6, 1]


@pytest.mark.parametrize("fill", ["some", "none", "all"])
@pytest.mark.parametrize("space", VectorSpace.examples())
def test_a_sample_is_of_the_space(space: VectorSpace, fill: Fill) -> None:
    drawn = space.sample(40, fill)
    space.check(drawn.map(lambda tensor: tensor.unflatten(0, (10, 4))))
    held = float((drawn["values"] != 0).float().mean())
    assert {"some": 0.3 < held < 0.95, "none": held == 0, "all": held == 1}[fill]


def test_vectors_of_another_dimension_are_refused_with_both_told() -> None:
    assert SPACE.fitted(sequences()) is not None
    with pytest.raises(DataError, match="take vectors of 4 numbers, and this data has vectors of 5 numbers"):
        VectorSpace(dim=4).fitted(sequences())


def test_it_describes_itself_and_survives_a_checkpoint() -> None:
    assert SPACE.describe() == "vectors of 5 numbers"
    assert VectorSpace(dim=1).describe() == "vectors of 1 number"
    assert space_of(space_state(SPACE), VectorSpace) == SPACE


def test_an_edit_is_another_vector_and_its_sequences_stay() -> None:
    given = sequences()
    before = given["values"].clone()
    edited = SPACE.editor(given)(given[:, -1])
    assert (SPACE.keys(edited) != SPACE.keys(given[:, -1])).all()
    assert given["values"].equal(before)
    assert edited["values"].dtype == torch.float32


def test_the_audit_names_the_dimensions() -> None:
    audit = SPACE.audit(sequences(), None)
    assert audit.lines[0] == ("vectors", "5 numbers")
    assert [label for label, _ in audit.lines] == ["vectors", "values", "mean per dimension", "std per dimension"]
