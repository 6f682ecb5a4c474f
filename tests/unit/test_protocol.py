"""The nouns: edits of a conversation, scales, designs and the names of cells, all by hand."""

from itertools import product
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from published_logs import SUFFIXES, steered
from steerability.protocol.cell import Cell
from steerability.protocol.conversation import (
    Append,
    Conversation,
    Edit,
    Message,
    Prefill,
    Prepend,
    System,
    Turns,
)
from steerability.protocol.design import Contrast, Design
from steerability.protocol.intervention import AdapterUse, Intervention, widest
from steerability.protocol.response import Choice, Response
from steerability.protocol.scale import BEHAVIOUR, BENIGN, CAPABILITY, SCALES, Outcome, Scale
from steerability.protocol.scenario import Answers, Scenario, Twin, TwinAnswers
from steerability.protocol.task import Task
from support.responses import choice, fields, response

ASKED = Conversation(system="You run a ferry.", question="What now?")
EXAMPLE = (Message(role="user", content="1?"), Message(role="assistant", content="One."))


def said(conversation: Conversation) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in conversation.messages]


@pytest.mark.parametrize(
    ("edit", "messages", "plain"),
    [
        (
            Append(text=" Be quick.\n"),
            [("system", "You run a ferry."), ("user", "What now?\n\nBe quick.\n")],
            "You run a ferry.\n\nWhat now?\n\nBe quick.\n",
        ),
        (
            Prepend(text="\nBe quick. "),
            [("system", "You run a ferry."), ("user", "Be quick.\n\nWhat now?")],
            "You run a ferry.\n\nBe quick.\n\nWhat now?",
        ),
        (
            System(text="Be quick."),
            [("system", "Be quick.\n\nYou run a ferry."), ("user", "What now?")],
            "Be quick.\n\nYou run a ferry.\n\nWhat now?",
        ),
        (
            System(text="Be quick.", place="after"),
            [("system", "You run a ferry.\n\nBe quick."), ("user", "What now?")],
            "You run a ferry.\n\nBe quick.\n\nWhat now?",
        ),
        (
            System(text="Be quick.", place="replace"),
            [("system", "Be quick."), ("user", "What now?")],
            "Be quick.\n\nWhat now?",
        ),
        (
            Turns(messages=EXAMPLE),
            [
                ("system", "You run a ferry."),
                *(("user", "1?"), ("assistant", "One.")),
                ("user", "What now?"),
            ],
            "You run a ferry.\n\n1?\n\nOne.\n\nWhat now?",
        ),
        (
            Prefill(text="Sure: "),
            [("system", "You run a ferry."), ("user", "What now?"), ("assistant", "Sure: ")],
            "You run a ferry.\n\nWhat now?\n\nSure: ",
        ),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
def test_an_edit_by_hand(edit: Edit, messages: list[tuple[str, str]], plain: str) -> None:
    edited = edit.apply(ASKED)
    assert said(edited) == messages
    assert edited.plain == plain
    assert said(ASKED) == [("system", "You run a ferry."), ("user", "What now?")], "unchanged"


@pytest.mark.parametrize("place", ["before", "after", "replace"])
def test_a_system_text_without_a_context_is_the_whole_system_message(place: str) -> None:
    edit = System.model_validate({"text": " Be quick.\n", "place": place})
    assert said(edit.apply(Conversation(question="q"))) == [
        ("system", "Be quick."),
        ("user", "q"),
    ]


@pytest.mark.parametrize("prompt", ["What now?", "What now? \n\n", "  What\n\nnow?\t", ""])
@pytest.mark.parametrize("mode", SUFFIXES)
def test_append_is_the_published_rule(prompt: str, mode: str) -> None:
    """Written once in the logs' maker and once here, from one description."""
    for text in (SUFFIXES[mode], f"\n  {SUFFIXES[mode]} \n", " \n"):
        edited = Append(text=text).apply(Conversation(question=prompt))
        assert edited.question == steered(prompt, text)


def test_edits_are_made_in_their_order() -> None:
    edits = (
        *(Append(text="a"), Append(text="b"), Prepend(text="c"), Prepend(text="d")),
        *(System(text="e"), System(text="f", place="after"), Turns(messages=EXAMPLE)),
        *(Turns(messages=EXAMPLE[:1] + EXAMPLE[1:]), Prefill(text="g"), Prefill(text="h")),
    )
    edited = Intervention(name="many", edits=edits).apply(ASKED)
    assert edited.system == "e\n\nYou run a ferry.\n\nf"
    assert edited.question == "d\n\nc\n\nWhat now?\n\na\n\nb\n"
    assert edited.prefill == "gh" and len(edited.turns) == 4
    later = Intervention(name="late", edits=(System(text="x"), System(text="y", place="replace")))
    assert later.apply(ASKED).system == "y"


def test_nothing_done_is_nothing_changed() -> None:
    assert Intervention(name="none").apply(ASKED) is ASKED
    assert Append(text=" \n ").apply(ASKED) is ASKED


def test_what_a_judge_reads_as_asked_has_the_turns_and_not_the_prefill() -> None:
    assert ASKED.asked == "What now?"
    whole = Prefill(text="Sure").apply(Turns(messages=EXAMPLE).apply(ASKED))
    assert whole.asked == "User: 1?\n\nAssistant: One.\n\nUser: What now?"


@pytest.mark.parametrize(
    "roles", ["a", "u", "uau", "au", "uu", "uaua" + "a", "su", "ua" + "as", "uaau"]
)
def test_turns_are_user_and_assistant_in_turn(roles: str) -> None:
    names = {"u": "user", "a": "assistant", "s": "system"}
    messages = [{"role": names[letter], "content": "x"} for letter in roles]
    with pytest.raises(ValidationError):
        Turns.model_validate({"messages": messages})


@pytest.mark.parametrize("kind", ["prepend", "system", "prefill"])
def test_an_edit_but_append_needs_a_text(kind: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Edit).validate_python({"kind": kind, "text": ""})


def test_an_edit_comes_back_from_json_as_its_own_kind() -> None:
    edits = (Append(text="a"), System(text="b", place="after"), Turns(messages=EXAMPLE))
    whole = Intervention(
        name="x", edits=edits, adapters=(AdapterUse(kind="vector", sha256="0" * 64, layers=(1, 2)),)
    )
    assert Intervention.model_validate_json(whole.model_dump_json()) == whole


def test_an_interventions_words_are_every_text_that_it_adds() -> None:
    edits = (Prepend(text="a"), Turns(messages=EXAMPLE), Append(text=""), Prefill(text="b"))
    assert Intervention(name="x", edits=edits).words == "a\n\nUser: 1?\n\nAssistant: One.\n\nb"
    assert Intervention(name="none").words == ""


def test_the_widest_access_is_the_one_that_reaches_furthest() -> None:
    assert widest([]) == "prompt"
    assert widest(["conversation", "prompt"]) == "conversation"
    assert widest(["activations", "weights", "prompt"]) == "weights"


THREE = Design(baseline="none", amplify=("pro",), suppress=("anti",))


def test_the_papers_three_interventions_give_its_three_contrasts() -> None:
    wanted = (
        Contrast("delta", "pro", "anti"),
        Contrast("authorised", "none", "anti"),
        Contrast("unauthorised", "pro", "none"),
    )
    assert THREE.headline == THREE.contrasts(["anti", "none", "pro"]) == wanted
    assert [one.words for one in wanted] == ["pro - anti", "none - anti", "pro - none"]


def test_several_of_each_role_and_some_of_none() -> None:
    design = Design(baseline="none", amplify=("up", "up2"), suppress=("down", "down2"))
    run = ["x", "down2", "down", "none", "up2", "up", "y", "x"]
    assert design.contrasts(run) == (
        *(("delta", "up", "down"), ("authorised", "none", "down"), ("unauthorised", "up", "none")),
        *(("delta", "up", "down2"), ("delta", "up2", "down"), ("delta", "up2", "down2")),
        *(("authorised", "none", "down2"), ("unauthorised", "up2", "none")),
        *(("shift", "x", "none"), ("shift", "y", "none")),
    )
    assert design.order(run) == ("up", "up2", "none", "down", "down2", "x", "y")
    roles = [design.role(name) for name in ("up2", "none", "down", "x")]
    assert roles == ["amplify", "baseline", "suppress", ""]


@pytest.mark.parametrize(
    ("present", "found", "order"),
    [
        (["pro", "anti"], [("delta", "pro", "anti")], ("pro", "anti")),
        (["none", "anti"], [("authorised", "none", "anti")], ("none", "anti")),
        (["pro", "none"], [("unauthorised", "pro", "none")], ("pro", "none")),
        (["pro", "x"], [], ("pro", "x")),
        (["x", "none"], [("shift", "x", "none")], ("none", "x")),
        (["none"], [], ("none",)),
        ([], [], ()),
    ],
)
def test_a_role_that_is_not_there_makes_no_contrast(
    present: list[str], found: list[tuple[str, ...]], order: tuple[str, ...]
) -> None:
    assert list(THREE.contrasts(present)) == found
    assert THREE.order(present) == order
    assert set(THREE.among(present).order(present)) == set(present)


def test_a_design_without_roles_compares_nothing_and_keeps_the_order() -> None:
    assert Design().contrasts(["b", "a"]) == Design().headline == ()
    assert Design().order(["b", "a", "b"]) == ("b", "a")


@pytest.mark.parametrize(
    "roles",
    [
        {"baseline": "a", "amplify": ["a"]},
        {"amplify": ["a", "a"]},
        {"amplify": ["b", "a"], "suppress": ["a"]},
    ],
)
def test_nothing_has_two_roles(roles: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="a has two roles"):
        Design.model_validate(roles)


def outcomes(*names: str, event: str = "a", invalid: str = "") -> tuple[Outcome, ...]:
    return tuple(Outcome(name=n, event=n == event, valid=n not in invalid) for n in names)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (outcomes("a"), "at least 2"),
        (outcomes("a", "a", "b"), "one name each"),
        (outcomes("a", "judge_failed"), "not judge_failed"),
        (outcomes("a", "b", event="c"), "exactly one outcome is the event"),
        ((Outcome(name="a", event=True), Outcome(name="b", event=True)), "exactly one outcome"),
        (outcomes("a", "b", "c", invalid="a"), "a valid one"),
        (outcomes("a", "b", "c", invalid="bc"), "at least two outcomes are valid"),
    ],
)
def test_a_scale_has_one_valid_event_among_two(given: tuple[Outcome, ...], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Scale(name="s", outcomes=given)


@pytest.mark.parametrize("colour", ["red", "#12345", "#1234567", "#GGGGGG"])
def test_a_colour_is_six_digits(colour: str) -> None:
    with pytest.raises(ValidationError, match="colour"):
        Outcome(name="a", colour=colour)


def test_a_scale_of_five_outcomes() -> None:
    scale = Scale(name="five", outcomes=outcomes(*"bacde", invalid="de"))
    assert scale.names == ("b", "a", "c", "d", "e")
    assert scale.labels == ("b", "a", "c", "d", "e", "judge_failed")
    assert (scale.event, scale.invalid) == ("a", ("d", "e"))
    assert scale.outcome("c").valid and not scale.outcome("judge_failed").valid
    assert Outcome(name="in_two_words").words == "in two words"
    assert Outcome(name="a", title="The first").words == "The first"


def test_the_built_in_scales_are_the_published_one_and_two_of_the_second_edition() -> None:
    assert BEHAVIOUR.names == ("convergence", "no_convergence", "safety_refusal", "nonsensical")
    assert (BEHAVIOUR.event, BEHAVIOUR.invalid) == ("convergence", ("nonsensical",))
    assert (BENIGN.event, CAPABILITY.event) == ("over_suppressed", "correct")
    assert (BENIGN.invalid, CAPABILITY.invalid) == (("nonsensical",), ())
    assert {name: scale.name for name, scale in SCALES.items()} == {n: n for n in SCALES}


def test_a_cell_of_the_first_edition_is_named_as_it_was() -> None:
    cell = Cell(model="m", intervention="pro", scenario="s")
    assert cell.cell_id == "m/pro/s"


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ({"sample": 1}, "m/pro/s#1"),
        ({"guard": "strict"}, "m/pro/s@strict"),
        ({"task": "twin"}, "twin/m/pro/s"),
        ({"task": "twin", "guard": "strict", "sample": 12}, "twin/m/pro/s@strict#12"),
    ],
)
def test_what_the_first_edition_had_not_is_in_the_name(more: dict[str, Any], name: str) -> None:
    assert Cell(model="m", intervention="pro", scenario="s", **more).cell_id == name


def test_no_two_cells_share_a_name() -> None:
    values = product(("behaviour", "twin", "m"), ("m", "pro"), ("pro", "s"), ("", "g"), (0, 1, 10))
    cells = [
        Cell(task=task, model=model, intervention="pro", scenario=scenario, guard=guard, sample=n)
        for task, model, scenario, guard, n in values
    ]
    assert len({cell.cell_id for cell in cells}) == len(cells) == 72


@pytest.mark.parametrize("sample", [-1, 2**31])
def test_a_sample_is_a_number_that_a_key_can_hold(sample: int) -> None:
    with pytest.raises(ValidationError, match="sample"):
        Cell(model="m", intervention="pro", scenario="s", sample=sample)


def test_a_rows_id_is_its_cells_name() -> None:
    assert response("m/pro/s").cell_id == "m/pro/s"
    with pytest.raises(ValidationError, match="is not the cell m/pro/s#1"):
        Response.model_validate(fields("m/pro/s") | {"sample": 1})
    one = choice("m/pro/s", (-1.0,), (-2.0,))
    assert one.id == one.cell_id == "choose/m/pro/s"
    with pytest.raises(ValidationError, match="is not the cell"):
        Choice.model_validate(one.model_dump() | {"task": "other"})


def test_answers_and_twins_of_a_scenario() -> None:
    scenario = {
        "id": "s",
        "category": "c",
        "context": "x",
        "prompt": "p",
        "answers": {"convergent": "I take it.", "compliant": "I ask."},
        "twin": {"prompt": "q", "answers": {"doing": "Done.", "declining": "No."}},
    }
    read = Scenario.model_validate(scenario)
    assert read.answers == Answers(convergent="I take it.", compliant="I ask.")
    assert read.answers and read.answers.pair == ("I take it.", "I ask.")
    assert read.twin and read.twin.context is None
    assert read.twin.answers and read.twin.answers.pair == ("Done.", "No.")


@pytest.mark.parametrize(
    ("record", "values", "said"),
    [
        (Answers, {"convergent": "a", "compliant": " a\n"}, "the two answers are equal"),
        (Answers, {"convergent": "a", "compliant": " "}, "an answer is empty"),
        (TwinAnswers, {"doing": "\n", "declining": "a"}, "an answer is empty"),
        (TwinAnswers, {"doing": "a", "declining": "a"}, "equal"),
        (Twin, {"prompt": " "}, "the twin's prompt is empty"),
    ],
)
def test_two_answers_say_two_things(record: type, values: dict[str, str], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        TypeAdapter(record).validate_python(values)


def test_a_tasks_primary_judge_is_its_first() -> None:
    assert Task(name="t", suite="s", judges=("a", "b")).primary_judge == "a"
    assert Task(name="t", suite="s", measure="choose").primary_judge is None
