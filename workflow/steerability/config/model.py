"""The config as one pydantic model.

``workflow/schemas/config.schema.yaml`` and ``docs/config.md`` are generated from it
(``steerability config --write``); a test fails when they drift.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from steerability.config.analysis import Analysis
from steerability.config.base import Name, Names, Place, Section, Words, apart, place, to_tuple
from steerability.protocol.records import LARGEST, Count, Sampling

TokenId = Annotated[int, Field(ge=0, le=LARGEST)]


def _names_to_uses(value: Any) -> Any:
    if not isinstance(value, list | tuple):
        return value
    return tuple({"judge": item} if isinstance(item, str) else item for item in value)


def _texts(texts: dict[str, str]) -> dict[str, str]:
    """Check the files among interventions; ``published:LABEL`` and no text are none."""
    return {
        name: text if not text or text.startswith("published:") else place(text)
        for name, text in texts.items()
    }


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
    stop: Literal["eos"] | Annotated[tuple[TokenId, ...], BeforeValidator(to_tuple)] = Field(
        default="eos",
        description="`eos`: the vocabulary's own end token; or a list of token ids",
    )
    sampling: Sampling = Field(default=Sampling(), description="greedy unless said otherwise")
    transcripts: str | None = Field(
        default=None, description="the model's name in the published runs, for `outputs`"
    )


class EndpointModel(Section):
    """A model behind an OpenAI-compatible chat endpoint."""

    source: Literal["endpoint"]
    url: str = Field(description="base URL up to and including `/v1`")
    model: str = Field(description="the model's name as the endpoint knows it")
    key_env: str | None = Field(
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
        default=False, description="the judge sees the prompt without the intervention's text"
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


class ApiJudge(JudgeSection):
    """An OpenAI-compatible endpoint that answers in strict JSON."""

    kind: Literal["api"]
    url: str = Field(description="base URL up to and including `/v1`")
    model: str = Field(description="the pinned model name; an answer by another one is refused")
    key_env: str | None = Field(
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


class PublishedJudge(Section):
    """The labels that came with the published transcripts."""

    kind: Literal["published"]
    note: str | None = None


Judge = Annotated[
    RulesJudge | LlmJudge | DistilledJudge | ApiJudge | PublishedJudge,
    Field(discriminator="kind"),
]


class JudgeUse(Section):
    """A judge and the models whose outputs it labels."""

    judge: Name
    models: Names | None = Field(default=None, description="null: all models of the run")


class Catalogue(Section):
    """Everything that can be named in a run; overlays add to it."""

    suites: dict[Name, Suite] = Field(default={}, description="suites by name")
    interventions: Annotated[dict[Name, str], AfterValidator(_texts)] = Field(
        default={},
        description="name → a text file, `published:LABEL` (recovered from the transcripts), "
        "or an empty text for no suffix",
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
        default="auto", description="sequences decoded at once; changes no byte of the result"
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
        wanted: list[tuple[str, tuple[str, ...], dict[str, Any]]] = [
            ("suite", (self.suite,), catalogue.suites),
            ("interventions", self.interventions, catalogue.interventions),
            ("models", self.models, catalogue.models),
            ("judges", tuple(use.judge for use in self.judges), catalogue.judges),
            ("primary_judge", (self.primary_judge,), catalogue.judges),
        ]
        for field, names, defined in wanted:
            for name in names:
                if name not in defined:
                    known = ", ".join(sorted(defined)) or "none"
                    raise ValueError(f"{field}: {name!r} is not defined (defined: {known})")
            if len(set(names)) != len(names):
                raise ValueError(f"{field}: a name stands twice")
        if self.primary_judge not in {use.judge for use in self.judges}:
            raise ValueError(f"primary_judge: {self.primary_judge!r} is not among judges")
        for use in self.judges:
            for name in use.models or ():
                if name not in self.models:
                    raise ValueError(f"judges: {use.judge} names {name!r}, not among models")
        primary = next(use for use in self.judges if use.judge == self.primary_judge)
        if primary.models is not None and set(primary.models) != set(self.models):
            raise ValueError("primary_judge: must label every model of the run")
        return self

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
            return self
        for use in self.judges:
            if isinstance(self.catalogue.judges[use.judge], PublishedJudge):
                raise ValueError(f"judges: {use.judge} goes with outputs: transcripts only")
        return self
