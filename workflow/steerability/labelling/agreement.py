"""Two raters of the same cells: how far they agree, and where they do not."""

from collections.abc import Sequence
from typing import NamedTuple

from steerability.agreement.pairs import Pair
from steerability.labelling.files import LabelFile, Rating
from steerability.support.errors import UserError


class Both(NamedTuple):
    """A cell that two raters labelled.

    Attributes:
        cell: its blind name.
        scenario: the scenario's.
        first: the first rater's label.
        second: the second's.
    """

    cell: str
    scenario: str
    first: Rating
    second: Rating

    @property
    def agreed(self) -> bool:
        """Whether both gave the same label."""
        return self.first.label == self.second.label


def join(first: LabelFile, second: LabelFile) -> list[Both]:
    """Return the cells that both files label, in the order of the first's draw.

    Raises:
        UserError: the files are of other replies, of another scale or of the same rater, the
            raters saw different prompts, or no cell is in both.
    """
    one, other = first.header, second.header
    for what, values in (
        ("replies", {(h.run, h.task) for h in (one, other)}),
        ("scales", {(h.scale, h.labels) for h in (one, other)}),
        ("prompts", {h.shown for h in (one, other)}),
    ):
        if len(values) > 1:
            raise UserError(
                f"labels of different {what} than in {first.path}",
                where=second.path,
                mend="let both raters label the same page",
            )
    if one.rater == other.rater:
        raise UserError(f"both files are by {one.rater}", where=second.path)
    found = [
        Both(cell, scenario, first.ratings[cell], second.ratings[cell])
        for cell, scenario in one.drawn
        if cell in first.ratings and cell in second.ratings
    ]
    if not found:
        raise UserError(f"no cell in common with {first.path}", where=second.path)
    return found


def pairs_of(cells: Sequence[Both]) -> list[Pair]:
    """Return the cells as coefficients of agreement take them; the first rater as the reference."""
    return [Pair(one.scenario, "all", one.first.label, one.second.label) for one in cells]


def agreed_lines(first: LabelFile, cells: Sequence[Both], name: str) -> str:
    """Return a label file of the cells that two raters agree on, under a name of its own.

    Opened on the page under that name, it leaves the cells that differ to be labelled.
    """
    header = first.header.model_copy(update={"rater": name})
    ratings = [
        one.first.model_copy(update={"judge": name, "reason": "", "unsure": False, "seconds": None})
        for one in cells
        if one.agreed
    ]
    return "".join(record.model_dump_json() + "\n" for record in (header, *ratings))
