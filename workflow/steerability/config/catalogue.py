"""What a config defines by name: suites, interventions, models, judges, tasks, adapters."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from steerability.config.base import Name, Names, Place, Section, Words, to_tuple
from steerability.config.interventions import (
    Interventions,
)
from steerability.protocol.base import LARGEST, Count
from steerability.protocol.request import Sampling
from steerability.protocol.scale import Scale
from steerability.protocol.scenario import Split
from steerability.protocol.task import Measure, Side
from steerability.support.address import check_address, check_variable

TokenId = Annotated[int, Field(ge=0, le=LARGEST)]
Address = Annotated[str, AfterValidator(check_address)]
Variable = Annotated[str, AfterValidator(check_variable)]


def names_to_uses(value: Any) -> Any:
    """Take a judge's bare name for a use of it with no settings."""
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
        Annotated[tuple[JudgeUse, ...], BeforeValidator(names_to_uses), Field(min_length=1)] | None
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
