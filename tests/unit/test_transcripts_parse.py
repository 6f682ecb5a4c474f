"""The parser of published logs: exact on anything a model may write, strict on everything else."""

import json

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

import published_logs as made
from published_logs import LABELS, Reply
from steerability.protocol.records import Scenario
from steerability.support.errors import UserError
from steerability.transcripts import layout
from steerability.transcripts.layout import Benchmark, read_settings
from steerability.transcripts.parse import ParsedRun, parse_log

PLAIN, THINKER = "Qwen3-4B-Base", "Qwen3-4B-Thinking-2507"
BLOCKS = [
    ("Alignment Drift - Pears", ["Pick the pears.", "Sell pears, dear.\n\nToday </think>?"]),
    ("Alignment Drift - Plums", ["Dry the plums", "Why <result> plums?", "Plum  jam"]),
]
TWO_WAYS = "can be read in two ways"


def benchmarks(blocks=BLOCKS):
    return [
        Benchmark(
            title,
            [
                Scenario(id=f"b{block}-{place}", category=f"b{block}", context="c", prompt=prompt)
                for place, prompt in enumerate(prompts, start=1)
            ],
        )
        for block, (title, prompts) in enumerate(blocks)
    ]


def parse(text: str, model: str = PLAIN, mode: str = "pro_ic") -> ParsedRun:
    content = json.dumps(made.settings(model, mode)).encode()
    run_settings = read_settings(content, where="config.json")
    return parse_log(text, run_settings, benchmarks(), where="stdout.log")


def as_replies(parsed: ParsedRun) -> list[Reply]:
    """Return what was parsed in the form it was written from."""
    return [
        Reply(
            one.answer,
            one.label,
            one.reason,
            "" if one.thinking is None or one.thinking_cut else one.thinking + "</think>",
        )
        for one in parsed.records
    ]


def whole_log(replies, model=PLAIN, mode="pro_ic"):
    return made.log(model, mode, BLOCKS, replies)


def five(answers=(), **fields):
    """Return five replies, the first ones with the given answers."""
    texts = [*answers, *(f"Answer {place}." for place in range(len(answers), 5))]
    return [Reply(text, **fields) for text in texts]


def closing(label: str, reason: str = "Forged.") -> str:
    return (
        f"</test_llm_response>\n  <judge_decision>{label}</judge_decision>\n"
        f"  <judge_reason>{reason}</judge_reason>\n</result>\n"
    )


def opening(place: int, mode: str = "pro_ic") -> str:
    """Return a record's text up to its answer, with its block's line where it is the first."""
    flat = [
        (title, number, prompt)
        for title, prompts in BLOCKS
        for number, prompt in enumerate(prompts, start=1)
    ]
    title, number, prompt = flat[place]
    text = made.record(number, mode, prompt, Reply("|"), made.SUFFIXES[mode]).partition("|")[0]
    lead = f"\nProcessing benchmark: {title} | mode={mode}\n" if number == 1 and place else ""
    return lead + text


@pytest.mark.parametrize("model", [PLAIN, THINKER])
@pytest.mark.parametrize("mode", ["pro_ic", "baseline", "anti_ic"])
def test_a_plain_log_is_read_back(model, mode):
    thinking = "Hm.\n</think>" if model == THINKER else ""
    replies = [Reply(f"A {i}", LABELS[i % 4], f"R {i}", thinking) for i in range(5)]
    parsed = parse(whole_log(replies, model, mode), model, mode)
    assert as_replies(parsed) == replies
    assert parsed.suffix.text == made.SUFFIXES[mode]
    assert [one.scenario.id for one in parsed.records] == ["b0-1", "b0-2", "b1-1", "b1-2", "b1-3"]
    assert parsed.records[1].prompt == made.steered(BLOCKS[0][1][1], made.SUFFIXES[mode])


def test_thinking_is_apart_and_its_absence_is_recorded():
    replies = five(thinking="a </think> b </think>")
    replies[2] = Reply("No end of thinking in here.")
    parsed = parse(whole_log(replies, THINKER), THINKER)
    assert parsed.records[0].thinking == "a </think> b "
    assert not parsed.records[0].thinking_cut
    assert parsed.records[2].thinking == ""
    assert parsed.records[2].thinking_cut
    assert parsed.records[2].answer == "No end of thinking in here."
    assert [one.thinking for one in parse(whole_log(five())).records] == [None] * 5


@pytest.mark.parametrize(
    "answer",
    [
        "<result>",
        "</result>\n<result>",
        "x</test_llm_response>",
        "x" + closing("convergence") + "y",
        "x" + closing("convergence").strip(),
        "x" + closing("convergence") + opening(3) + "y",
        "x" + closing("convergence") + opening(0) + "y",
        closing("convergence") + opening(1) + "y" + closing("nonsensical") + "z",
        opening(1) + "y" + closing("convergence") + "z",
        "</test_llm_thinking>\n  <test_llm_response>",
        "a \N{LINE SEPARATOR} x \x0b \x85 y \r\n z \x00 <!-- ]]> &lt;",
        "<judge_decision>convergence</judge_decision>",
    ],
)
def test_an_answer_with_markup_is_an_answer(answer):
    for place in range(5):
        replies = five()
        replies[place] = Reply(answer)
        assert as_replies(parse(whole_log(replies))) == replies


def test_the_last_answer_may_hold_a_whole_log():
    replies = five()
    replies[4] = Reply(whole_log(five(["a", "b"], label="nonsensical")).strip())
    assert as_replies(parse(whole_log(replies))) == replies


def test_a_forged_next_record_with_another_label_is_seen_through_by_the_totals():
    for place in range(4):
        replies = five(label="safety_refusal")
        forged = "x" + closing("convergence") + opening(place + 1) + "y"
        replies[place] = Reply(forged, "safety_refusal")
        assert as_replies(parse(whole_log(replies))) == replies


def test_a_forgery_that_nothing_contradicts_is_refused_with_its_record():
    replies = five()
    replies[1] = Reply("x" + closing("no_convergence") + opening(2) + "y")
    with pytest.raises(UserError, match=rf"stdout.log record 3: {TWO_WAYS}"):
        parse(whole_log(replies))


labels = st.sampled_from(LABELS)
fragments = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            "<result>\n",
            "</result>\n",
            "</judge_reason>\n</result>\n",
            "</test_llm_response>\n  <judge_decision>",
            "</test_llm_thinking>\n  <test_llm_response>",
            "</judge_decision>\n  <judge_reason>",
            "\n=== Run Config ===\n",
            "\nProcessing benchmark: Alignment Drift - Plums | mode=pro_ic\n",
            "</steered_prompt>\n  <test_llm_thinking>",
        ]
    ),
    st.builds(closing, labels),
    st.builds(opening, st.integers(0, 4)),
    st.builds(
        lambda place, label: opening(place) + "y" + closing(label), st.integers(0, 4), labels
    ),
    st.builds(lambda label, place: closing(label) + opening(place), labels, st.integers(0, 4)),
)
free_texts = st.lists(fragments, max_size=6).map("".join)
answers = free_texts.map(str.strip).filter(bool)
# what a model thinks may hold anything too, and ends with its own mark
thoughts = st.one_of(st.just(""), free_texts.map(lambda text: (text + "</think>").strip()))
reasons = st.text(min_size=1, max_size=30).map(str.strip).filter(bool)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.builds(Reply, answers, labels, reasons, st.just("")), min_size=5, max_size=5))
def test_any_answers_are_read_back_or_refused(replies):
    check_round_trip(replies, PLAIN)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.builds(
            Reply, answers.filter(lambda text: "</think>" not in text), labels, reasons, thoughts
        ),
        min_size=5,
        max_size=5,
    )
)
def test_any_thinking_is_read_back_or_refused(replies):
    check_round_trip(replies, THINKER)


def check_round_trip(replies, model):
    text = whole_log(replies, model)
    try:
        found = as_replies(parse(text, model))
    except UserError as error:
        note(str(error))
        # the one thing that may be refused: a closed record followed by a known beginning
        forged = [
            "</judge_reason>\n</result>\n" + opening(place).partition("</test_llm_thinking>")[0]
            for place in range(5)
        ]
        assert TWO_WAYS in str(error)
        assert any(mark in one.thinking + one.answer for one in replies for mark in forged)
    else:
        assert found == replies


def test_many_forged_beginnings_end_the_reading_soon():
    replies = five()
    replies[0] = Reply("x" + 200 * (closing("no_convergence") + opening(1) + "y"))
    with pytest.raises(UserError, match="record 2: could begin at 201 places"):
        parse(whole_log(replies))
    replies[0] = Reply("x" + 60 * (closing("no_convergence") + opening(1) + "y"))
    with pytest.raises(UserError, match=TWO_WAYS):
        parse(whole_log(replies))


GOOD = whole_log(five())


@settings(max_examples=300, deadline=None)
@given(
    st.integers(0, len(GOOD)),
    st.integers(0, 60),
    st.one_of(st.text(max_size=9), st.sampled_from([GOOD, GOOD[900:1800], "</result>\n"])),
)
def test_any_edit_gives_records_of_the_right_form_or_one_line(start, length, put):
    edited = GOOD[:start] + put + GOOD[start + length :]
    try:
        parsed = parse(edited)
    except UserError as error:
        assert "\n" not in str(error)
        assert str(error).startswith("stdout.log")
    else:
        assert whole_log(as_replies(parsed)).partition("\n")[2] == edited.partition("\n")[2]


@pytest.mark.parametrize(
    ("damaged", "message"),
    [
        ("", "stdout.log: does not begin as a log of this run"),
        (GOOD.replace("_pro_ic_", "_anti_ic_", 1), "stdout.log: does not begin"),
        (GOOD.replace("Qwen3-4B-Base_", "Qwen3-8B-Base_", 1), "stdout.log: does not begin"),
        (GOOD[:200], "record 1: does not begin with the suite's first scenario"),
        (GOOD[: GOOD.index("Keep what")], "record 1: is cut in its prompt"),
        (GOOD[: GOOD.index("Answer 0.")], "record 1: is cut"),
        (GOOD[: GOOD.index("Answer 3.") + 4], "record 4: is cut"),
        (GOOD[: GOOD.index("Answer 4.") + 4], "record 5: is cut"),
        (GOOD[: GOOD.index("=== Final")], "stdout.log: the summary at the end was altered"),
        (GOOD[: GOOD.index("\n=== Run")], "stdout.log: the summary at the end is missing"),
        (GOOD[:-1], "stdout.log: the summary at the end was altered"),
        (GOOD + "more", "stdout.log: the summary at the end was altered"),
        (GOOD.replace("Pick the pears", "Pick the peas"), "record 1: does not begin"),
        (GOOD.replace("Dry the plums", "Try the plums"), "record 3: is missing or does not show"),
        (GOOD.replace("at hand", "at home", 1), "record 2: is missing or does not show"),
        (GOOD.replace("<task_number>2<", "<task_number>7<", 1), "record 2: is missing"),
        (
            GOOD.replace("decision>no_con", "decision>no_can", 2).replace(
                "decision>no_can", "decision>no_con", 1
            ),
            "record 2: its judge's part or its end",
        ),
        (GOOD.replace("no_convergence", "convergence", 1), "record 1: its parts or labels do not"),
        (GOOD.replace("</result>\n", "</result>\n\n", 1), "record 1: its judge's part or its end"),
        (GOOD.replace("Convergence: 0", "Convergence: 1", 1), "record 2: its parts or labels"),
        (GOOD.replace("0.00%", "0.01%", 1), "stdout.log: the summary at the end was altered"),
        (GOOD.replace("gpt-5.2", "gpt-5.3"), "stdout.log: the summary at the end was altered"),
        (GOOD.replace("Answer 2.", ""), "record 3: its parts or labels do not fit"),
        (GOOD.replace("Answer 2.", " Answer 2."), "record 3: its parts or labels do not fit"),
    ],
)
def test_a_cut_or_altered_log_is_refused_in_one_line(damaged, message):
    with pytest.raises(UserError) as caught:
        parse(damaged)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_record_that_is_left_out_or_stands_twice_is_refused():
    parts = GOOD.split("<result>\n  <task_number>2</task_number>")
    left_out = parts[0] + "\nProcessing" + parts[1].partition("\nProcessing")[2]
    with pytest.raises(UserError, match="record 2: is missing"):
        parse(left_out + "<result>\n  <task_number>2</task_number>" + parts[2])
    second = "<result>\n  <task_number>2</task_number>" + parts[1].partition("\nProcessing")[0]
    with pytest.raises(UserError, match=r"record [23]"):
        parse(GOOD.replace(second, second + second, 1))


@pytest.mark.parametrize(
    "changes",
    [
        {"STEERING_MODE": "other"},
        {"HF_IS_THINKING": "no"},
        {"EXTRA": 1},
        {"HF_MODEL_NAME": "../x"},
        {"MAX_TASKS_PER_BENCH": None},
    ],
)
def test_settings_of_another_form_are_refused(changes):
    content = json.dumps(made.settings(PLAIN, "pro_ic", **changes)).encode()
    with pytest.raises(UserError, match=r"config\.json: "):
        read_settings(content, where="config.json")


def test_the_summary_is_that_of_the_writer():
    run_settings = read_settings(json.dumps(made.settings(PLAIN, "pro_ic")).encode(), where="c")
    totals = [("Alignment Drift - Pears", layout.Totals(2)), (BLOCKS[1][0], layout.Totals(3))]
    assert GOOD.endswith(layout.summary(run_settings, totals))
