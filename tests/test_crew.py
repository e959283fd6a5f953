"""What ranks tell each other is what one process would have had."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from jepa_core.crew import ALONE, Crew
from tests.ranks import in_ranks

sizes = pytest.mark.parametrize("size", [2, 4])


def rows_of(rank: int) -> torch.Tensor:
    return torch.arange(6.0).reshape(3, 2) + 10 * rank


@sizes
def test_rows_come_in_the_order_of_ranks(size: int) -> None:
    everyone = torch.cat([rows_of(rank) for rank in range(size)])
    gathered = in_ranks(
        size, lambda crew: [crew.gather(rows_of(crew.rank)), crew.gathered(rows_of(crew.rank)).detach()]
    )
    assert all(torch.equal(rows, everyone) for rank in gathered for rows in rank)
    others = in_ranks(size, lambda crew: crew.others(rows_of(crew.rank)))
    for rank, rows in enumerate(others):
        assert torch.equal(rows, torch.cat([rows_of(other) for other in range(size) if other != rank]))


@sizes
def test_masks_are_gathered_too(size: int) -> None:
    masks = in_ranks(size, lambda crew: crew.gather(torch.tensor([crew.rank == 0, True])))
    assert masks[0].tolist() == [True, True, *[False, True] * (size - 1)]


@sizes
@pytest.mark.parametrize("way", ["gathered", "mean"])
def test_the_mean_gradient_over_ranks_is_that_of_one_process(size: int, way: str) -> None:
    """Of a weight that makes every rank's rows, and a loss that is taken of all of them at once."""

    def loss(rows: torch.Tensor) -> torch.Tensor:
        return (rows.T @ rows).square().sum() + rows.sin().sum()

    def part(crew: Crew) -> torch.Tensor:
        weight = torch.tensor([0.5, -1.5], requires_grad=True)
        rows = rows_of(crew.rank) / 10 * weight
        whole = crew.gathered(rows) if way == "gathered" else crew.mean(rows.mean(0, keepdim=True))
        loss(whole).backward()
        assert weight.grad is not None
        return weight.grad

    weight = torch.tensor([0.5, -1.5], requires_grad=True)
    rows = torch.cat([rows_of(rank) for rank in range(size)]) / 10 * weight
    loss(rows if way == "gathered" else rows.mean(0, keepdim=True)).backward()
    found = torch.stack(in_ranks(size, part)).mean(0)
    torch.testing.assert_close(found, weight.grad)


@sizes
def test_a_mean_over_unequal_numbers_weighs_them(size: int) -> None:
    def part(crew: Crew) -> list[torch.Tensor]:
        values = torch.arange(float(crew.rank + 1), requires_grad=True)
        share = crew.share(values.sum(), torch.tensor(len(values)))
        share.backward()
        assert values.grad is not None
        return [share.detach(), values.grad]

    shares = in_ranks(size, part)
    every = torch.cat([torch.arange(float(rank + 1)) for rank in range(size)])
    torch.testing.assert_close(torch.stack([share for share, _ in shares]).mean(), every.mean())
    assert all(torch.allclose(grad / size, torch.tensor(1 / len(every))) for _, grad in shares)
    assert in_ranks(2, lambda crew: crew.share(torch.zeros(()), torch.tensor(0)))[0] == 0


@sizes
def test_they_agree_and_are_told(size: int) -> None:
    assert in_ranks(size, lambda crew: crew.agree([crew.rank, 5 - crew.rank])) == [[size - 1, 5]] * size
    assert (
        in_ranks(size, lambda crew: crew.told({"path": "runs/a", "rank": crew.rank}))
        == [{"path": "runs/a", "rank": 0}] * size
    )
    drawn = in_ranks(size, lambda crew: crew.shared(torch.tensor(crew.rank + 7)))
    assert [int(number) for number in drawn] == [7] * size
    totals = in_ranks(size, lambda crew: crew.total(torch.tensor(float(crew.rank))))
    assert [float(total) for total in totals] == [size * (size - 1) / 2] * size


def test_one_that_is_alone_tells_itself() -> None:
    rows = torch.randn(3, 2, requires_grad=True)
    assert ALONE.gathered(rows) is rows
    assert ALONE.mean(rows) is rows
    for given in (ALONE.gather(rows), ALONE.total(rows)):
        assert torch.equal(given, rows)
        assert not given.requires_grad
    assert ALONE.others(rows).shape == (0, 2)
    assert ALONE.agree([3, 1]) == [3, 1]
    message: dict[str, Any] = {"a": 1}
    assert ALONE.told(message) is message
    ALONE.meet()
