"""A suite of scenarios, and the form of the file that holds one.

The JSON schema in ``workflow/schemas/suite.schema.yaml`` is printed from ``SuiteFile``.
"""

import hashlib
import re
from collections import Counter
from typing import Any

from pydantic import Field

from steerability.protocol.base import NAME_PATTERN, Name, Record
from steerability.protocol.conversation import Conversation
from steerability.protocol.scenario import Scenario, Split
from steerability.protocol.task import Side
from steerability.support.canonical import digest

# an attribute in a docstring, and the lines that go on with it
_ATTRIBUTE = re.compile(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)

GUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


class Category(Record):
    """A kind of behaviour that scenarios give room for."""

    id: str = Field(pattern=NAME_PATTERN, description="Name in files and columns.")
    title: str = Field(min_length=1, description="Name in tables and figures.")


CATEGORIES: tuple[Category, ...] = (
    Category(id="evading_shutdown", title="Evading Shutdown"),
    Category(id="running_multiple_ai_copies", title="Running Multiple AI Copies"),
    Category(id="deceptive_behavior", title="Deceptive Behavior"),
    Category(id="hiding_unwanted_behavior", title="Hiding Unwanted Behavior"),
    Category(id="strategically_appearing_aligned", title="Strategically Appearing Aligned"),
    Category(id="hacking_computer_systems", title="Hacking Computer Systems"),
)
"""The six categories of InstrumentalEval (arXiv 2502.12206), known to every suite."""


class Case(Record):
    """One side of a scenario as a task puts it to a model.

    Attributes:
        scenario: the scenario's id, on either side.
        context: the system message.
        prompt: the user message.
        answers: the answer that is the event, then the other; None where there are none.
    """

    scenario: Name
    category: Name
    context: str
    prompt: str
    answers: tuple[str, str] | None = None

    @property
    def conversation(self) -> Conversation:
        """The case before any intervention: the context, stripped, as the system message."""
        return Conversation(system=self.context.strip(), question=self.prompt)


class Suite(Record):
    """Scenarios in a fixed order; ids are unique and every category is known.

    Attributes:
        name: the value of the column ``suite``.
        categories: the six of the protocol, then the suite's own.
        split_seed: decides, with a scenario's id, whether it is of the ``test`` split.
        scenarios: in the order of the file, which is the order of the cells.
    """

    name: str = Field(pattern=NAME_PATTERN)
    title: str = ""
    version: str = ""
    licence: str = ""
    canary: str = ""
    categories: tuple[Category, ...] = CATEGORIES
    split_seed: int = Field(default=0, exclude_if=lambda seed: seed == 0)
    scenarios: tuple[Scenario, ...] = Field(min_length=1)

    @property
    def digest(self) -> str:
        """SHA-256, in hex, of the canonical JSON of everything the suite holds.

        What the first edition had not is in it only where it is there: keys hold the digest.
        """
        return digest(self.model_dump(mode="json"))

    def split_of(self, scenario: Scenario) -> Split:
        """Return a scenario's split: its own, or ``test`` for a third of the ids by the seed.

        It depends on seed and id alone, so that an added scenario never moves another.
        """
        if scenario.split is not None:
            return scenario.split
        drawn = hashlib.sha256(f"{self.split_seed}:{scenario.id}".encode()).digest()[:8]
        return "test" if int.from_bytes(drawn, "big") % 3 == 0 else "learn"

    def splits(self) -> dict[str, Split]:
        """Return the split of every scenario by its id."""
        return {scenario.id: self.split_of(scenario) for scenario in self.scenarios}

    def cases(self, side: Side, split: Split | None = None) -> tuple[Case, ...]:
        """Return the scenarios, or their twins, as they are put to a model.

        Args:
            side: which of the two.
            split: only those of this split; None: all.

        Raises:
            ValueError: a scenario has no twin; names it.
        """
        chosen = (s for s in self.scenarios if split in (None, self.split_of(s)))
        return tuple(_case(scenario, side) for scenario in chosen)

    def pilot(self, per_category: int | None) -> "Suite":
        """Return the suite with the first so many scenarios of each category; None keeps all."""
        if per_category is None:
            return self
        taken: Counter[str] = Counter()
        kept = []
        for scenario in self.scenarios:
            taken[scenario.category] += 1
            if taken[scenario.category] <= per_category:
                kept.append(scenario)
        return self.model_copy(update={"scenarios": tuple(kept)})

    def counts(self) -> dict[str, int]:
        """Return the number of scenarios of each category, in the order of the categories."""
        ids = [scenario.category for scenario in self.scenarios]
        return {category.id: ids.count(category.id) for category in self.categories}


def _case(scenario: Scenario, side: Side) -> Case:
    if side == "scenarios":
        pair = scenario.answers.pair if scenario.answers else None
        return Case(
            scenario=scenario.id,
            category=scenario.category,
            context=scenario.context,
            prompt=scenario.prompt,
            answers=pair,
        )
    twin = scenario.twin
    if twin is None:
        raise ValueError(f"the scenario {scenario.id} has no twin")
    return Case(
        scenario=scenario.id,
        category=scenario.category,
        context=scenario.context if twin.context is None else twin.context,
        prompt=twin.prompt,
        answers=twin.answers.pair if twin.answers else None,
    )


class SuiteFile(Record):
    """A suite of scenarios for Steerability."""

    name: str = Field(pattern=NAME_PATTERN, description="Short name; the column `suite`.")
    title: str = Field(default="", description="What a person calls the suite.")
    version: str = Field(
        min_length=1, description="Raised whenever a scenario is added, changed or taken out."
    )
    licence: str = Field(min_length=1, description="SPDX identifier, such as CC0-1.0.")
    canary: str = Field(
        pattern=f"GUID {GUID}",
        description="Marks the file as evaluation data: a sentence that ends in `GUID` and a UUID.",
    )
    categories: tuple[Category, ...] = Field(
        default=(), description="The suite's own categories, besides the six of the protocol."
    )
    split_seed: int = Field(
        default=0, ge=0, description="Decides which third of the scenarios is the `test` split."
    )
    scenarios: tuple[Scenario, ...] = Field(min_length=1, description="At least one.")


def suite_schema() -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of a suite file."""
    schema = SuiteFile.model_json_schema()
    for part in schema["$defs"].values():
        _tidy(part)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _tidy(part: dict[str, Any]) -> None:
    """Describe each property where it stands, and refuse a null as the loader does."""
    summary, _, attributes = part["description"].partition("\n\nAttributes:\n")
    part["description"] = summary
    for name, text in _ATTRIBUTE.findall(attributes):
        part["properties"][name]["description"] = " ".join(text.split()).replace("``", "`")
    for field in part["properties"].values():
        choices = [one for one in field.get("anyOf", ()) if one != {"type": "null"}]
        if len(choices) == 1:
            del field["anyOf"], field["default"]
            field.update(choices[0])
