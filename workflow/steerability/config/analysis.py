"""The ``analysis`` section of the config: what is tested, declared before anything is seen."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from steerability.config.base import Name, Names, Place, Section, to_tuple
from steerability.protocol.base import LARGEST


class Comparison(Section):
    """Two models set against each other; differences are a minus b."""

    name: Name = Field(description="how tables call the comparison")
    model_a: Name = Field(description="the model whose figures come first (the larger one)")
    model_b: Name = Field(description="the model that is subtracted (the smaller one)")

    @model_validator(mode="after")
    def _two_models(self) -> "Comparison":
        if self.model_a == self.model_b:
            raise ValueError(f"{self.name} compares {self.model_a} with itself")
        return self


class Within(Section):
    """Interventions against each other within each model."""

    kind: Literal["within"] = "within"
    name: Name = Field(description="the family's name in tests.csv")
    models: Names | None = Field(
        default=None,
        description="the models of the family: each counts in it, in the run or not; a further "
        "model of the run joins them. None: the run's models",
    )
    pairs: Annotated[tuple[tuple[Name, Name], ...], BeforeValidator(to_tuple)] | None = Field(
        default=None,
        description="pairs of interventions; differences are the first minus the second. null: "
        "the pairs of the design's roles",
    )


class Between(Section):
    """Models against each other."""

    kind: Literal["between"]
    name: Name = Field(description="the family's name in tests.csv")
    comparisons: Annotated[tuple[Comparison, ...], BeforeValidator(to_tuple)] = Field(
        min_length=1, description="which models are set against each other"
    )
    interventions: Names | None = Field(
        default=None,
        description="interventions under which the models' rates are compared; null: those that "
        "have a role in the design",
    )
    delta: bool = Field(default=True, description="compare Δ too")
    by_category: bool = Field(
        default=False, description="compare gaps within each category of scenarios instead"
    )


Family = Annotated[Within | Between, Field(discriminator="kind")]


class Analysis(Section):
    """How the run is analysed.

    Holm's correction is over each family as it is declared here: a test whose models or
    interventions are not in the run is listed as not present and still counts in the family.
    A family within models that names none is of the run's models, whichever these are.
    """

    confidence: float = Field(default=0.95, gt=0.5, lt=1, description="coverage of intervals")
    alpha: float = Field(
        default=0.05, gt=0, lt=0.5, description="level of verdicts, after correction"
    )
    seed: int = Field(
        default=20260104, ge=0, le=LARGEST, description="seed of resampling and simulation"
    )
    resamples: int = Field(default=10_000, ge=100, le=LARGEST, description="bootstrap resamples")
    permutations: int = Field(
        default=20_000, ge=100, le=LARGEST, description="random permutations of a test"
    )
    margin: float = Field(
        default=10.0,
        gt=0,
        le=100,
        description="points of the gap below which a loss does not count (hypothesis A) and "
        "within which two runs are equivalent",
    )
    power: float = Field(default=0.8, gt=0.5, lt=1, description="power asked of the suite")
    families: Annotated[tuple[Family, ...], BeforeValidator(to_tuple)] = Field(
        default=(Within(name="suffix"),), description="families of tests, each corrected alone"
    )
    size_family: Name | None = Field(
        default=None,
        description="the family of comparisons larger minus smaller that hypotheses A, B and C "
        "are read from; none: they are reported as not present",
    )
    reference_judge: Name | None = Field(
        default=None,
        description="the judge whose labels the others are corrected to (its labels, not the "
        "truth)",
    )
    reference_labels: Annotated[tuple[Place, ...], BeforeValidator(to_tuple)] = Field(
        default=(),
        description="label files (human ones, say), relative to the repository, that take the "
        "reference judge's place; they may cover some cells only",
    )
    ablations: dict[Name, Place] = Field(
        default={},
        description="name of a variant of the protocol → `table1.csv` of its run (relative to the "
        "working folder, as `results` is), drawn beside this run's gap",
    )
    calibration: Place | None = Field(
        default=None,
        description="cells.csv of a run that has the judges and the reference side by side "
        "(relative to the working folder, as `results` is), for a run whose own cells have no "
        "reference labels",
    )

    @model_validator(mode="after")
    def _names_fit(self) -> "Analysis":
        names = [family.name for family in self.families]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"two families are called {min(twice)}")
        if self.size_family is not None and not self.size_comparisons:
            raise ValueError(f"size_family {self.size_family} is not a family between models")
        return self

    @property
    def size_comparisons(self) -> tuple[Comparison, ...]:
        """The comparisons of the size family."""
        for family in self.families:
            if family.name == self.size_family and isinstance(family, Between):
                return family.comparisons
        return ()
