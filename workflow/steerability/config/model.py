"""The config as one pydantic model.

``workflow/schemas/config.schema.yaml`` and ``docs/config.md`` are generated from it
(``steerability config --write``); a test fails when they drift.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from steerability.config.analysis import Analysis
from steerability.config.base import Name, Names, Place, Section, apart, to_tuple
from steerability.config.catalogue import (
    Catalogue,
    JudgeUse,
    PublishedJudge,
    SuiteInstrumentalEval,
    TaskSection,
    names_to_uses,
)
from steerability.config.interventions import (
    AdapterIntervention,
    ComposedIntervention,
    Variant,
    controlled,
    variants,
)
from steerability.protocol.base import Count
from steerability.protocol.design import Design
from steerability.protocol.scale import SCALES
from steerability.protocol.task import BEHAVIOUR_TASK


class Sources(Section):
    """Where outside files come from."""

    mirror: Place | None = Field(
        default=None, description="folder in the layout of the pinned repositories"
    )
    base_url: str = Field(
        default="https://raw.githubusercontent.com",
        description="pinned files are at `BASE/OWNER/REPOSITORY/COMMIT/PATH`",
    )
    index: Place = Field(default="config/sources.csv", description="the table of outside files")
    folder: Place = Field(default="results/sources", description="folder that they are put in")
    suffixes: Place = Field(
        default="workflow/reference/suffixes.csv",
        description="digests of the suffix texts that are recovered from transcripts",
    )
    published: Place = Field(
        default="workflow/reference/table1_published.csv",
        description="the published Table 1 that transcripts are compared with",
    )
    weights: Place = Field(default="config/weights.csv", description="the table of weights")


class Config(Section):
    """A run."""

    run: Name = Field(description="name of the run and of its folder under `results/`")
    outputs: Literal["generate", "transcripts"] = Field(
        default="generate",
        description="`generate`: run the models; `transcripts`: the published outputs instead",
    )
    suite: Name = Field(description="a name in `catalogue.suites`")
    scenarios_per_category: int | None = Field(
        default=None,
        ge=1,
        description="a pilot: only the first so many scenarios of each category, in the suite's "
        "order; a larger pilot or the whole suite later makes only the further cells",
    )
    interventions: Names = Field(description="names in `catalogue.interventions`")
    design: Design = Field(
        default=Design(),
        description="roles of interventions; a name that the run does not have has no role in it",
    )
    tasks: Names = Field(
        default=(BEHAVIOUR_TASK,), description="names in `catalogue.tasks`, or `behaviour`"
    )
    samples: Count = Field(
        default=1, description="replies to every request; more than one needs a temperature"
    )
    context: Literal["sent", "left_out"] = Field(
        default="sent",
        description="`left_out`: no system message; judges still see the scenario's context",
    )
    models: Names = Field(description="names in `catalogue.models`, in the table's order")
    primary_judge: Name = Field(description="the judge of Table 1; one of `judges`")
    judges: Annotated[tuple[JudgeUse, ...], BeforeValidator(names_to_uses), Field(min_length=1)] = (
        Field(description="names in `catalogue.judges`, or `{judge: NAME, models: [NAME, …]}`")
    )
    training: Names | None = Field(
        default=None,
        description="the published models that `distilled` judges are trained on, by their "
        "published names, as far as they are at hand; null, or none of them at hand: every one "
        "that is",
    )
    max_tokens: Count | None = Field(
        default=None, description="lowers every model's limit of new tokens"
    )
    shards: int = Field(
        default=1,
        ge=1,
        le=999,
        description="jobs a model is split into; a scenario's shard depends on its id alone, the "
        "run's digest not on the split",
    )
    parallel: int | Literal["auto"] = Field(
        default="auto",
        description="sequences decoded at once; on a CPU it changes no byte, on an accelerator it "
        "is part of every key",
    )
    gpu_layers: int | Literal["auto"] = Field(
        default="auto", description="layers on the GPU; auto: all where there is one"
    )
    results: Place = Field(default="results", description="folder of the runs")
    store: Place = Field(default="results/store", description="folder of the objects")
    weights_dir: Place = Field(default="results/weights", description="folder of the weights")
    weights_search: Annotated[tuple[Place, ...], BeforeValidator(to_tuple)] = Field(
        default=(), description="folders that may hold weights already; only read"
    )
    sources: Sources = Sources()
    analysis: Analysis = Field(default=Analysis(), description="intervals, tests and hypotheses")
    catalogue: Catalogue = Catalogue()

    @model_validator(mode="after")
    def _names_are_defined(self) -> "Config":
        catalogue = self.catalogue
        known_tasks = {BEHAVIOUR_TASK: TaskSection(), **catalogue.tasks}
        _defined("suite", (self.suite,), catalogue.suites)
        _defined("interventions", self.interventions, catalogue.interventions)
        _defined("models", self.models, catalogue.models)
        _defined("tasks", self.tasks, known_tasks)
        _defined("judges", tuple(use.judge for use in self.judges), catalogue.judges)
        for name in self.interventions:
            self._check_intervention(name)
        names = [one.name for one in self.variants()]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise ValueError(f"interventions: {twice!r} stands for two interventions")
        for name in self.tasks:
            self._check_task(name, known_tasks[name])
        if self.samples > 1:
            for name in self.models:
                if catalogue.models[name].sampling.temperature == 0:
                    raise ValueError(
                        f"samples: {name} is greedy and would repeat itself; give its sampling a "
                        "temperature"
                    )
        return self

    def _check_intervention(self, name: str) -> None:
        entry = self.catalogue.interventions[name]
        if isinstance(entry, ComposedIntervention):
            where = f"catalogue.interventions.{name}.of"
            _defined(where, entry.of, self.catalogue.interventions)
            for part in entry.of:
                whole = self.catalogue.interventions[part]
                if isinstance(whole, ComposedIntervention) or len(variants(part, whole)) > 1:
                    raise ValueError(f"{where}: {part} stands for several interventions itself")
                self._check_intervention(part)
        elif isinstance(entry, AdapterIntervention):
            where = f"catalogue.interventions.{name}.adapter"
            _defined(where, (entry.adapter,), self.catalogue.adapters)
        for variant in variants(name, entry):
            controlled(variant, self.catalogue.interventions)

    def _check_task(self, name: str, entry: TaskSection) -> None:
        where = "" if name == BEHAVIOUR_TASK else f"catalogue.tasks.{name}."
        _defined(f"{where}suite", (entry.suite or self.suite,), self.catalogue.suites)
        for model in entry.models or ():
            if model not in self.models:
                raise ValueError(f"{where}models: {model!r} is not among models")
        if entry.measure == "choose":
            if entry.judges is not None or entry.primary_judge is not None:
                raise ValueError(f"{where}judges: a choice has no judge")
            return
        _defined(f"{where}scale", (entry.scale,), {**SCALES, **self.catalogue.scales})
        uses = entry.judges or self.judges
        judges = tuple(use.judge for use in uses)
        _defined(f"{where}judges", judges, self.catalogue.judges)
        primary = entry.primary_judge or (self.primary_judge if not entry.judges else judges[0])
        _defined(f"{where}primary_judge", (primary,), self.catalogue.judges)
        if primary not in judges:
            raise ValueError(f"{where}primary_judge: {primary!r} is not among judges")
        for use in uses:
            for model in use.models or ():
                if model not in self.models:
                    raise ValueError(
                        f"{where}judges: {use.judge} names {model!r}, not among models"
                    )
        chosen = next(use for use in uses if use.judge == primary)
        asked = set(entry.models or self.models)
        if chosen.models is not None and not asked <= set(chosen.models):
            raise ValueError(f"{where}primary_judge: must label every model of the run")
        for judge in judges:
            self._check_scale(where, judge, entry.scale)

    def _check_scale(self, where: str, judge: str, scale: str) -> None:
        entry = self.catalogue.judges[judge]
        own = getattr(entry, "scale", None) or "behaviour"
        if own != scale:
            raise ValueError(
                f"{where}judges: {judge} labels on the scale {own}, the task is on {scale}"
            )

    def variants(self) -> tuple[Variant, ...]:
        """Return the interventions of the run, in its order; an entry may stand for several."""
        entries = self.catalogue.interventions
        return tuple(one for name in self.interventions for one in variants(name, entries[name]))

    @model_validator(mode="after")
    def _folders_are_apart(self) -> "Config":
        if self.results.strip("/") == "":
            raise ValueError("results: the root folder is no place for runs")
        folders = {
            "store": self.store,
            "weights_dir": self.weights_dir,
            "sources.folder": self.sources.folder,
            "the fetches' logs": f"{self.results}/logs",
        }
        apart(folders.items(), f"{self.results}/{self.run}")
        return self

    @model_validator(mode="after")
    def _names_differ_in_more_than_case(self) -> "Config":
        for field, names in (
            ("models", self.models),
            ("judges", tuple(use.judge for use in self.judges)),
            ("interventions", self.interventions),
        ):
            if len({name.casefold() for name in names}) != len(set(names)):
                raise ValueError(
                    f"{field}: two names differ in case only, which some disks take for one file"
                )
        return self

    @model_validator(mode="after")
    def _published_goes_with_transcripts(self) -> "Config":
        suite = self.catalogue.suites[self.suite]
        if self.outputs == "transcripts":
            published = isinstance(suite, SuiteInstrumentalEval) and suite.selection == "published"
            if not published:
                raise ValueError("suite: transcripts go with instrumentaleval, published selection")
            if self.scenarios_per_category is not None:
                raise ValueError("scenarios_per_category: transcripts are of the whole suite")
            if self.tasks != (BEHAVIOUR_TASK,) or self.samples != 1:
                raise ValueError("tasks: transcripts are of the task behaviour, one reply a cell")
            return self
        sections = [self.catalogue.tasks.get(name, TaskSection()) for name in self.tasks]
        for use in (use for section in sections for use in section.judges or self.judges):
            if isinstance(self.catalogue.judges[use.judge], PublishedJudge):
                raise ValueError(f"judges: {use.judge} goes with outputs: transcripts only")
        return self


def _defined(field: str, names: Sequence[str], known: Mapping[str, Any]) -> None:
    """Check that every name is defined and stands once.

    Raises:
        ValueError: one is not; names the field.
    """
    for name in names:
        if name not in known:
            there = ", ".join(sorted(known)) or "none"
            raise ValueError(f"{field}: {name!r} is not defined (defined: {there})")
    if len(set(names)) != len(names):
        raise ValueError(f"{field}: a name stands twice")
