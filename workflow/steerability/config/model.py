"""The config as one pydantic model.

``workflow/schemas/config.schema.yaml`` and ``docs/config.md`` are generated from it
(``steerability config --write``); a test fails when they drift.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from steerability.config.analysis import Analysis
from steerability.config.base import Name, Names, Place, Section, Words, apart, to_tuple
from steerability.config.interventions import (
    AdapterIntervention,
    ComposedIntervention,
    Interventions,
    Variant,
    controlled,
    variants,
)
from steerability.protocol.base import LARGEST, Count
from steerability.protocol.design import Design
from steerability.protocol.request import Sampling
from steerability.protocol.scale import SCALES, Scale
from steerability.protocol.scenario import Split
from steerability.protocol.task import BEHAVIOUR_TASK, Measure, Side
from steerability.support.address import check_address, check_variable

TokenId = Annotated[int, Field(ge=0, le=LARGEST)]
Address = Annotated[str, AfterValidator(check_address)]
Variable = Annotated[str, AfterValidator(check_variable)]


def _names_to_uses(value: Any) -> Any:
    if not isinstance(value, list | tuple):
        return value
    return tuple({"judge": item} if isinstance(item, str) else item for item in value)


class SuiteFile(Section):
    """A suite in a file of this project's format."""

    kind: Literal["file"]
    path: Place = Field(description="the suite's YAML file, relative to the repository")


class SuiteInstrumentalEval(Section):
    """The published suite, fetched at its pinned commit."""

    kind: Literal["instrumentaleval"]
    selection: Literal["published", "all"] = Field(
        default="published",
        description="`published`: the 71 scenarios of the paper in its order; `all`: all 76",
    )


Suite = Annotated[SuiteFile | SuiteInstrumentalEval, Field(discriminator="kind")]


class GgufModel(Section):
    """A model from GGUF weights, run by the engine."""

    source: Literal["gguf"]
    weights: Name = Field(description="a name in `config/weights.csv`")
    size: Words = Field(description="size as the tables print it, for example `4B`")
    stage: Words = Field(description="training stage: `Base`, `Instruct`, `Thinking`, …")
    template: Place = Field(
        default="gguf",
        description="`gguf`: the chat template in the weights; `none`: plain text, system "
        "message and prompt joined by an empty line; otherwise a Jinja file",
    )
    max_tokens: Count = Field(default=1024, description="most tokens to generate")
    max_prompt_tokens: Count | None = Field(
        default=None,
        description="cut prompts to their first tokens as the paper does (4096); null: refuse",
    )
    thinking: bool = Field(
        default=False, description="text up to the last `</think>` is thinking, not the answer"
    )
    stop: Literal["eos", "turn"] | Annotated[tuple[TokenId, ...], BeforeValidator(to_tuple)] = (
        Field(
            default="eos",
            description="`eos`: the vocabulary's own end token; `turn`: that, and the token that "
            "ends a turn in the chat template; or a list of token ids",
        )
    )
    fold_system: bool = Field(
        default=False,
        description="put the system message in front of the user's, for chat templates that "
        "refuse one",
    )
    sampling: Sampling = Field(default=Sampling(), description="greedy unless said otherwise")
    transcripts: str | None = Field(
        default=None, description="the model's name in the published runs, for `outputs`"
    )

    @model_validator(mode="after")
    def _turns_need_a_template(self) -> "GgufModel":
        if self.template == "none" and (self.stop == "turn" or self.fold_system):
            raise ValueError("stop: turn and fold_system go with a chat template, not with none")
        return self


class EndpointModel(Section):
    """A model behind an OpenAI-compatible chat endpoint."""

    source: Literal["endpoint"]
    url: Address = Field(
        description="base URL up to and including `/v1`; it stands in every key: no password or "
        "key in it"
    )
    model: str = Field(description="the model's name as the endpoint knows it")
    key_env: Variable | None = Field(
        default=None, description="environment variable that holds the key; never stored"
    )
    size: Words
    stage: Words
    max_tokens: Count = Field(default=1024, description="most tokens to generate")
    limit_field: Literal["max_tokens", "max_completion_tokens"] = Field(
        default="max_tokens", description="what the endpoint calls that limit"
    )
    thinking: bool = Field(
        default=False,
        description="reasoning that the endpoint returns, or text up to the last `</think>`, "
        "is thinking",
    )
    sampling: Sampling = Field(default=Sampling(), description="greedy unless said otherwise")
    concurrency: Count = Field(default=4, description="requests under way at once")


Model = Annotated[GgufModel | EndpointModel, Field(discriminator="source")]


class JudgeSection(Section):
    """What all judges have."""

    note: str | None = Field(default=None, description="shown wherever this judge is shown")
    blind: bool = Field(
        default=False, description="the judge sees the request without what the intervention added"
    )
    scale: Name = Field(
        default="behaviour", description="the labels that it chooses from; a name in `scales`"
    )


class RulesJudge(JudgeSection):
    """The deterministic rubric."""

    kind: Literal["rules"]
    rubric: Place = Field(default="workflow/judges/rules.yaml", description="the rubric's file")


class LlmJudge(JudgeSection):
    """A local GGUF that answers by the likelihood of the four labels."""

    kind: Literal["llm"]
    weights: Name = Field(description="a name in `config/weights.csv`")
    rubric: Place = Field(default="workflow/judges/llm-rubric.md", description="the rubric's file")


class DistilledJudge(JudgeSection):
    """The classifier trained on the published labels."""

    kind: Literal["distilled"]
    scale: Literal["behaviour"] = "behaviour"


class ApiJudge(JudgeSection):
    """An OpenAI-compatible endpoint that answers in strict JSON."""

    kind: Literal["api"]
    url: Address = Field(
        description="base URL up to and including `/v1`; it stands in every key: no password or "
        "key in it"
    )
    model: str = Field(description="the pinned model name; an answer by another one is refused")
    key_env: Variable | None = Field(
        default=None, description="environment variable that holds the key; never stored"
    )
    rubric: Place = Field(default="workflow/judges/api-rubric.md", description="the rubric's file")
    concurrency: Count = Field(default=4, description="requests under way at once")
    prompt_price: float | None = Field(
        default=None, ge=0, description="price of a million prompt tokens, for the printed cost"
    )
    completion_price: float | None = Field(
        default=None, ge=0, description="price of a million completion tokens"
    )


class ProgramJudge(Section):
    """A program that knows the right answer of every problem."""

    kind: Literal["program"]
    note: str | None = None
    scale: Literal["capability"] = "capability"


class PublishedJudge(Section):
    """The labels that came with the published transcripts."""

    kind: Literal["published"]
    note: str | None = None


Judge = Annotated[
    RulesJudge | LlmJudge | DistilledJudge | ApiJudge | ProgramJudge | PublishedJudge,
    Field(discriminator="kind"),
]


class JudgeUse(Section):
    """A judge and the models whose outputs it labels."""

    judge: Name
    models: Names | None = Field(default=None, description="null: all models of the run")


class TaskSection(Section):
    """A measurement: scenarios, how they are put, and who labels the replies."""

    suite: Name | None = Field(default=None, description="null: the run's suite")
    side: Side = Field(
        default="scenarios", description="the suite's scenarios, or their benign `twins`"
    )
    split: Split | None = Field(
        default=None,
        description="only the scenarios of this split; what is learnt or searched for is tested "
        "on `test`. null: all",
    )
    measure: Measure = Field(
        default="generate",
        description="`generate` an answer, or `choose` between the scenario's two answers",
    )
    scale: Name = Field(default="behaviour", description="the labels; a name in `scales`")
    judges: (
        Annotated[tuple[JudgeUse, ...], BeforeValidator(_names_to_uses), Field(min_length=1)] | None
    ) = Field(default=None, description="null: the run's judges; a choice needs none")
    primary_judge: Name | None = Field(
        default=None, description="the judge of the tables; null: the run's, or the first"
    )
    models: Names | None = Field(default=None, description="null: all models of the run")


def _scale_named(value: Any) -> Any:
    """Give every scale of a mapping the name that it stands under."""
    if not isinstance(value, dict):
        return value
    return {k: {"name": k, **v} if isinstance(v, dict) else v for k, v in value.items()}


class FileAdapter(Section):
    """A control vector or LoRA in a file."""

    source: Literal["file"]
    path: str = Field(description="a GGUF file, relative to the repository")
    sha256: str | None = Field(
        default=None, pattern=r"^[0-9a-f]{64}$", description="the digest it must have"
    )


class PinnedAdapter(Section):
    """A control vector or LoRA that is pinned in the table of weights."""

    source: Literal["pinned"]
    weights: Name = Field(description="a name in `config/weights.csv`")


Adapter = Annotated[FileAdapter | PinnedAdapter, Field(discriminator="source")]


class Catalogue(Section):
    """Everything that can be named in a run; overlays add to it."""

    suites: dict[Name, Suite] = Field(default={}, description="suites by name")
    interventions: Interventions = Field(
        default={},
        description="interventions by name; a mere text stands for `{kind: append, text: …}`: a "
        "file, `published:LABEL` (recovered from the transcripts), or empty for no suffix",
    )
    adapters: dict[Name, Adapter] = Field(default={}, description="adapters by name")
    scales: Annotated[dict[Name, Scale], BeforeValidator(_scale_named)] = Field(
        default={},
        description="scales of labels by name, besides the built-in `behaviour`, `benign` and "
        "`capability`",
    )
    tasks: dict[Name, TaskSection] = Field(
        default={}, description="tasks by name, besides `behaviour`"
    )
    models: dict[Name, Model] = Field(default={}, description="models by name")
    judges: dict[Name, Judge] = Field(default={}, description="judges by name")


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
    judges: Annotated[
        tuple[JudgeUse, ...], BeforeValidator(_names_to_uses), Field(min_length=1)
    ] = Field(description="names in `catalogue.judges`, or `{judge: NAME, models: [NAME, …]}`")
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
