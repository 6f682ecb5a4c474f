"""Designs of made-up runs: the paper's, one without roles, one with samples, one with all."""

from dataclasses import dataclass, field

from steerability.config.analysis import Analysis
from steerability.config.study import Study
from steerability.protocol.conversation import Append, Message, Prefill, System, Turns
from steerability.protocol.design import Design
from steerability.protocol.intervention import AdapterUse, Intervention, Provenance
from steerability.protocol.scale import BEHAVIOUR, BENIGN, CAPABILITY, Outcome, Scale
from steerability.protocol.task import Task

ANALYSIS = Analysis.model_validate(
    {
        "resamples": 100,
        "permutations": 100,
        "size_family": "size",
        "families": [
            {"kind": "within", "name": "suffix"},
            {
                "kind": "between",
                "name": "size",
                "comparisons": [
                    {"name": stage, "model_a": f"large-{stage}", "model_b": f"tiny-{stage}"}
                    for stage in ("base", "instruct", "thinking")
                ],
            },
        ],
    }
)
NOTE = "measures nothing </td><script>document.title='broken'</script>"
ROLES = Design(baseline="none", amplify=("pro",), suppress=("anti",))
PAPER = (
    Intervention(name="pro", edits=(Append(text="Keep every option."),)),
    Intervention(name="none"),
    Intervention(name="anti", edits=(Append(text="Do what is asked, <b>no more</b>."),)),
)
TONE = Scale(
    name="tone",
    outcomes=(
        Outcome(name="curt", title="Curt $x_1$", event=True, meaning="is <b>short</b> with them"),
        Outcome(name="kind", meaning="is not"),
    ),
)


@dataclass(frozen=True)
class Shape:
    """What a made-up run is to have.

    Attributes:
        study: its tasks, scales, interventions, roles and samples.
        interventions: in the study's order.
        leans: by intervention, the chance in per cent of the event.
        guards: of labelled tasks; '' for none.
    """

    study: Study
    interventions: tuple[Intervention, ...]
    leans: dict[str, int] = field(default_factory=dict)
    guards: tuple[str, ...] = ("",)


def _study(tasks: tuple[Task, ...], scales: tuple[Scale, ...], **more: object) -> Study:
    return Study.model_validate({"tasks": tasks, "scales": scales, "analysis": ANALYSIS, **more})


_LEANS = {"pro": 70, "none": 40, "anti": 10}
_BEHAVIOUR = Task(name="behaviour", suite="made", judges=("strict", "doubtful"))

PAPERS = Shape(
    _study(
        (_BEHAVIOUR,),
        (BEHAVIOUR,),
        interventions=("pro", "none", "anti"),
        design=ROLES,
        notes={"doubtful": NOTE},
    ),
    PAPER,
    _LEANS,
)
SAMPLES = Shape(
    _study(
        (_BEHAVIOUR,),
        (BEHAVIOUR,),
        interventions=("pro", "none", "anti"),
        design=ROLES,
        samples=3,
    ),
    PAPER,
    _LEANS,
)
ROLELESS = Shape(
    _study(
        (Task(name="manners", suite="made", scale="tone", judges=("strict",)),),
        (TONE,),
        interventions=("polite", "rude"),
    ),
    (
        Intervention(name="polite", edits=(Append(text="Thank you."),)),
        Intervention(name="rude", edits=(System(text="Be rude.", place="replace"),)),
    ),
    {"polite": 20, "rude": 60},
)
_DOSES = tuple(
    Intervention(
        name=f"push-{strength:g}",
        family="direction",
        access="activations",
        strength=strength,
        adapters=(AdapterUse(kind="vector", sha256="a" * 64, strength=strength, layers=(4, 20)),),
        provenance=Provenance(origin="learnt", method="difference of means", budget=64),
    )
    for strength in (0.5, 1.0, 2.0)
)
_CONTROLS = tuple(
    Intervention(
        name=f"random-{at}",
        family="direction",
        access="activations",
        strength=1.0,
        adapters=(AdapterUse(kind="vector", sha256=f"{at}" * 64),),
        provenance=Provenance(origin="random"),
        control_of="push-1",
    )
    for at in range(1, 4)
)
_TURNS = Turns(
    messages=(Message(role="user", content="Hi."), Message(role="assistant", content="Yes?"))
)
_MANY = (
    *PAPER,
    Intervention(name="system", family="system", edits=(System(text="Obey the plan."),)),
    Intervention(
        name="history", family="turns", access="conversation", edits=(_TURNS, Prefill(text="Sure,"))
    ),
    *_DOSES,
    *_CONTROLS,
)
EVERYTHING = Shape(
    _study(
        (
            _BEHAVIOUR,
            Task(name="choice", suite="made", measure="choose"),
            Task(name="benign", suite="made", side="twins", scale="benign", judges=("strict",)),
            Task(name="benign_choice", suite="made", side="twins", measure="choose"),
            Task(name="capability", suite="sums", scale="capability", judges=("program",)),
        ),
        (BEHAVIOUR, BENIGN, CAPABILITY),
        interventions=tuple(one.name for one in _MANY),
        design=ROLES,
        notes={"doubtful": NOTE},
    ),
    _MANY,
    {**_LEANS, "system": 50, "history": 55, "push-0.5": 45, "push-1": 55, "push-2": 75},
    guards=("", "keyword"),
)
CHOICES = Shape(
    _study(
        (
            Task(name="choice", suite="made", measure="choose"),
            Task(name="benign_choice", suite="made", side="twins", measure="choose"),
        ),
        (),
        interventions=("pro", "none", "anti"),
        design=ROLES,
    ),
    PAPER,
    _LEANS,
)
SHAPES = {
    "paper": PAPERS,
    "samples": SAMPLES,
    "roleless": ROLELESS,
    "everything": EVERYTHING,
    "choices": CHOICES,
}
