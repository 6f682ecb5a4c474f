"""A suite of scenarios, and the form of the file that holds one.

The JSON schema in ``workflow/schemas/suite.schema.yaml`` is printed from ``SuiteFile``.
"""

from collections import Counter
from typing import Any

from pydantic import Field

from steerability.protocol.records import NAME_PATTERN, Record, Scenario
from steerability.support.canonical import digest

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


class Suite(Record):
    """Scenarios in a fixed order; ids are unique and every category is known.

    Attributes:
        name: the value of the column ``suite``.
        categories: the six of the protocol, then the suite's own.
        scenarios: in the order of the file, which is the order of the cells.
    """

    name: str = Field(pattern=NAME_PATTERN)
    title: str = ""
    version: str = ""
    licence: str = ""
    canary: str = ""
    categories: tuple[Category, ...] = CATEGORIES
    scenarios: tuple[Scenario, ...] = Field(min_length=1)

    @property
    def digest(self) -> str:
        """SHA-256, in hex, of the canonical JSON of everything the suite holds."""
        return digest(self.model_dump(mode="json"))

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
    scenarios: tuple[Scenario, ...] = Field(min_length=1, description="At least one.")


def suite_schema() -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of a suite file."""
    schema = SuiteFile.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
