"""Drawing cells for people to label, and reading what they said."""

import json
import random
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

from steerability.cli import run
from steerability.labelling.draw import draw, systematic
from steerability.labelling.files import Header, read_label_file, read_reference_labels
from steerability.labelling.names import blind_name, run_digest
from steerability.labelling.page import header_of, render
from steerability.protocol.design import Design
from steerability.protocol.label import Label
from steerability.protocol.scale import BEHAVIOUR, BENIGN
from steerability.score.cells import CellRow
from steerability.support.canonical import sha256_text
from steerability.support.errors import UserError
from support.labelled import HOSTILE, STUDY, response, responses, write_labels, write_run

DESIGN = STUDY.design


def header(rows=None, *, cells=60, rater="ann", blind=False, seed=1) -> Header:
    drawn = draw(rows or responses(), DESIGN, cells=cells, seed=seed)
    made = header_of(drawn, "behaviour", BEHAVIOUR, cells=cells, blind=blind)
    return made.model_copy(update={"rater": rater})


# ---- the draw


def test_half_of_a_models_cells_amplify_half_suppress_and_no_scenario_comes_twice() -> None:
    drawn = draw(responses(("m-a", "m-b")), DESIGN, cells=60, seed=1)
    for model in ("m-a", "m-b"):
        own = [cell for cell in drawn.cells if cell.model == model]
        assert Counter(cell.intervention for cell in own) == {"pro": 30, "anti": 30}
        assert len({cell.scenario for cell in own}) == 60
    assert {cell.model for cell in drawn.cells[:20]} == {"m-a", "m-b"}


def test_scenarios_come_twice_only_where_there_are_too_few_and_then_in_both_halves() -> None:
    drawn = draw(responses(), DESIGN, cells=90, seed=1)
    times = Counter(cell.scenario for cell in drawn.cells)
    assert len(times) == 71 and sum(count == 2 for count in times.values()) == 19
    for arm in ("pro", "anti"):
        own = [cell.scenario for cell in drawn.cells if cell.intervention == arm]
        assert len(own) == len(set(own)) == 45
    every = draw(responses(), DESIGN, cells=1000, seed=1)
    assert len(every.cells) == 142 and len(draw(responses(), DESIGN, cells=7, seed=1).cells) == 7


def test_each_half_has_the_categories_shares() -> None:
    shares = Counter(cell.category for cell in responses() if cell.intervention == "pro")
    for seed in range(20):
        drawn = draw(responses(), DESIGN, cells=60, seed=seed)
        for arm in ("pro", "anti"):
            found = Counter(cell.category for cell in drawn.cells if cell.intervention == arm)
            for category, number in shares.items():
                assert abs(found[category] - 30 * number / 71) < 2


def test_the_draw_hangs_on_replies_and_seed_alone_and_each_model_is_drawn_for_itself() -> None:
    rows = responses(("m-a", "m-b"))
    first = draw(rows, DESIGN, cells=60, seed=1)
    mixed = [*rows]
    random.Random(3).shuffle(mixed)
    assert draw(mixed, DESIGN, cells=60, seed=1) == first
    assert {c.id for c in draw(rows, DESIGN, cells=60, seed=2).cells} != {c.id for c in first.cells}
    alone = draw(responses(("m-a",)), DESIGN, cells=60, seed=1)
    assert {c.id for c in alone.cells} == {c.id for c in first.cells if c.model == "m-a"}
    other = [row.model_copy(update={"completion_sha256": sha256_text(row.id)}) for row in rows]
    assert draw(other, DESIGN, cells=60, seed=1).digest != first.digest


@pytest.mark.parametrize(("items", "size"), [(7, 3), (12, 4), (9, 9), (5, 1), (71, 60)])
def test_a_systematic_sample_takes_each_item_with_the_same_chance(items: int, size: int) -> None:
    class Start:
        def __init__(self, at: int) -> None:
            self.at = at

        def randrange(self, stop: int) -> int:
            assert stop == items
            return self.at

    taken = Counter()
    for at in range(items):
        sample = systematic(range(items), size, Start(at))  # type: ignore[arg-type]
        assert len(set(sample)) == size
        taken.update(sample)
    assert set(taken.values()) == {size} and len(taken) == items
    assert systematic([], 0, random.Random(1)) == []


def test_guarded_and_filtered_replies_are_not_drawn() -> None:
    rows = [
        *(response("m-a", arm, at) for arm in ("pro", "anti") for at in range(4)),
        response("m-a", "pro", 4, finish_reason="content_filter"),
        response("m-a", "anti", 4),
        response("m-a", "pro", 5, guard="g", id="m-a/pro/gate-05@g"),
        response("m-a", "anti", 5),
    ]
    drawn = draw(rows, DESIGN, cells=60, seed=1)
    assert {cell.scenario for cell in drawn.cells} == {f"gate-{at:02d}" for at in range(4)}


def test_a_design_without_both_roles_and_a_model_without_replies_are_refused() -> None:
    with pytest.raises(UserError, match="no amplifying or no suppressing"):
        draw(responses(), Design(amplify=("pro",)), cells=60, seed=1)
    with pytest.raises(UserError, match="m-b has no scenario with replies under pro and anti"):
        draw([*responses(), response("m-b", "pro", 1)], DESIGN, cells=60, seed=1)


# ---- the page's bytes


def test_the_page_tells_neither_model_nor_intervention_nor_scenario() -> None:
    rows = responses(("secret-model",))
    drawn = draw(rows, DESIGN, cells=60, seed=1)
    made = header_of(drawn, "behaviour", BEHAVIOUR, cells=60, blind=True)
    page = render(drawn, made, BEHAVIOUR)
    assert page == render(drawn, made, BEHAVIOUR)
    told = page.replace('"models":["secret-model"]', "")
    for word in ("secret-model", "Closing text", '"pro"', '"anti"', "gate-0", "rules"):
        assert word not in told
    steered = header_of(drawn, "behaviour", BEHAVIOUR, cells=60, blind=False)
    assert "Closing text PRO" in render(drawn, steered, BEHAVIOUR)


def test_the_rubric_is_the_scales() -> None:
    drawn = draw(responses(), DESIGN, cells=60, seed=1)
    for scale in (BEHAVIOUR, BENIGN):
        made = header_of(drawn, "behaviour", scale, cells=60, blind=False)
        page = render(drawn, made, scale)
        assert all(outcome.meaning in page for outcome in scale.outcomes)
        assert ("mainly decline, with little else" in page) == (scale is BEHAVIOUR)
        assert f"to <kbd>{len(scale.names)}</kbd> label and go on" in page


def test_no_reply_can_close_the_page_s_data_block() -> None:
    drawn = draw(responses(), DESIGN, cells=60, seed=1)
    page = render(drawn, header(), BEHAVIOUR)
    data = page.split('<script type="application/json" id="data">')[1]
    block, rest = data.split("</script>", 1)
    assert rest.count("<script>") == 1 and "<" not in block
    shown = json.loads(block)["cells"]
    assert any(HOSTILE[0] in cell["response"] for cell in shown)
    assert [cell["response"] for cell in shown] == [cell.response for cell in drawn.cells]


# ---- label files


def test_labels_come_back_under_the_cells_own_ids_from_responses_or_from_cells_csv(
    tmp_path: Path,
) -> None:
    rows = responses(("m-a", "m-b"))
    drawn = draw(rows, DESIGN, cells=4, seed=1)
    made = header(rows, cells=4)
    path = write_labels(tmp_path / "l.jsonl", made, BEHAVIOUR.names, unsure=True)
    found = read_reference_labels([path], rows, {"behaviour": BEHAVIOUR})
    assert [(one.id, one.label) for one in found] == [
        (cell.id, name) for cell, name in zip(drawn.cells, BEHAVIOUR.names, strict=False)
    ]
    assert {(one.judge, one.reason) for one in found} == {("ann", "unsure")}
    table = [
        CellRow(
            **{name: getattr(row, name) for name in ("model", "intervention", "scenario")},
            category=row.category,
            completion_sha256=row.completion_sha256,
            **{"size": "", "stage": "", "suite": "gates", "judge": judge, "label": "nonsensical"},
        )
        for row in rows
        for judge in ("rules", "llm")
    ]
    assert read_reference_labels([path], table) == found


def test_another_model_in_the_run_does_not_spoil_a_label_file(tmp_path: Path) -> None:
    path = write_labels(tmp_path / "l.jsonl", header(), BEHAVIOUR.names)
    assert len(read_reference_labels([path], responses(("m-a", "m-b")))) == 4


def test_plain_lines_of_labels_are_still_read(tmp_path: Path) -> None:
    path = tmp_path / "plain.jsonl"
    labels = [
        Label(id=f"m-a/pro/gate-0{at}", label="convergence", reason="", judge="human", key="k")
        for at in range(3)
    ]
    path.write_text("\n".join(one.model_dump_json() for one in labels) + "\n\n")
    assert read_reference_labels([path], responses(), {"behaviour": BEHAVIOUR}) == labels
    for update, fault in (
        ({"id": "m-a/pro/nowhere"}, "line 2: the run has no cell m-a/pro/nowhere"),
        ({"id": "m-a/pro/gate-00"}, "human labels m-a/pro/gate-00 twice"),
        ({"label": "helped"}, "m-a/pro/gate-01: helped is no label of the scale behaviour"),
    ):
        changed = [labels[0], labels[1].model_copy(update=update)]
        path.write_text("".join(one.model_dump_json() + "\n" for one in changed))
        with pytest.raises(UserError, match=fault):
            read_reference_labels([path], responses(), {"behaviour": BEHAVIOUR})


def test_a_label_file_of_another_run_is_refused(tmp_path: Path) -> None:
    path = write_labels(tmp_path / "l.jsonl", header(), BEHAVIOUR.names)
    changed = responses()
    changed[5] = changed[5].model_copy(update={"completion_sha256": "0" * 64})
    with pytest.raises(UserError, match=r"l\.jsonl: labels of other replies \(run "):
        read_reference_labels([path], changed)
    with pytest.raises(UserError, match="labels of m-a in the task behaviour, which the run does"):
        read_reference_labels([path], responses(("m-b",)))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda lines: [lines[0], lines[1], lines[1]], "line 3: the cell .* is labelled twice"),
        (
            lambda lines: [lines[0], lines[1] | {"id": "f" * 16}],
            "the cell f+ was not drawn",
        ),
        (lambda lines: [lines[0], lines[1] | {"label": "maybe"}], "maybe is no label of the scale"),
        (
            lambda lines: [lines[0], lines[1] | {"label": "judge_failed"}],
            "judge_failed is no",
        ),
        (lambda lines: [lines[0], lines[1] | {"judge": "bob"}], "a label of bob, not of ann"),
        (lambda lines: [lines[0], {"id": "x"}], "line 2: label: Field required"),
        (lambda lines: [lines[0] | {"run": "x"}], "line 1: run: String should match"),
        (lambda lines: [lines[0] | {"format": 2}], "line 1: format: Input should be 1"),
        (lambda lines: lines[1:], "has no header of a label file"),
        (lambda lines: [lines[0] | {"drawn": lines[0]["drawn"][:1] * 2}], "a cell stands twice"),
        (lambda lines: [], "has no header"),
    ],
)
def test_a_wrong_label_file_is_refused_with_its_line(tmp_path: Path, change, fault: str) -> None:
    path = write_labels(tmp_path / "l.jsonl", header(), BEHAVIOUR.names)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(line) + "\n" for line in change(lines)))
    with pytest.raises(UserError, match=fault):
        read_label_file(path)


def test_two_files_of_one_rater_may_not_label_a_cell_twice(tmp_path: Path) -> None:
    one = write_labels(tmp_path / "1.jsonl", header(), BEHAVIOUR.names[:1])
    other = write_labels(tmp_path / "2.jsonl", header(), BEHAVIOUR.names[1:2])
    with pytest.raises(UserError, match=r"2\.jsonl: ann labels m-a/.* twice"):
        read_reference_labels([one, other], responses())


def test_the_run_digest_is_that_of_its_lines_in_order_of_ids() -> None:
    rows = [response("m-a", "pro", 1), response("m-a", "anti", 1)]
    lines = sorted((row.id, row.completion_sha256) for row in rows)
    assert run_digest([*rows, rows[0]]) == sha256_text("".join(f"{s}  {i}\n" for i, s in lines))
    names = {blind_name("a", *pair) for pair in (("cell", "x"), ("scenario", "x"), ("cell", "y"))}
    assert len(names) == 3 and all(a != b for a, b in combinations(names, 2))


# ---- the verbs


def test_the_verb_writes_a_page_before_any_judge_was_asked(tmp_path: Path, capsys) -> None:
    folder = write_run(tmp_path / "made", responses(("m-a", "m-b"), scenarios=12))
    page = tmp_path / "p.html"
    words = ["label", str(folder), "--model", "m-b", "--cells", "10", "--output", str(page)]
    assert run(words) == 0
    assert "label: 10 answers of 1 models" in capsys.readouterr().out
    assert "m-b" in page.read_text() and '"m-a"' not in page.read_text()
    first = page.read_bytes()
    run(words)
    assert page.read_bytes() == first


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (
            ["--task", "chosen"],
            "no task chosen whose answers are labelled; known: behaviour",
        ),
        (["--task", "twins"], "no responses"),
        (["--model", "x"], "--model: the run has no model x; known: m-a"),
    ],
)
def test_what_the_run_does_not_have_is_told_in_one_line(
    tmp_path: Path, capsys, words: list[str], fault: str
) -> None:
    folder = write_run(tmp_path / "made", responses(scenarios=3))
    assert run(["label", str(folder), *words]) == 2
    said = capsys.readouterr().err
    assert fault in said and said.count("\n") == 1


def test_a_run_without_a_study_asks_for_its_config(tmp_path: Path, capsys) -> None:
    folder = write_run(tmp_path / "made", responses(scenarios=3))
    (folder / "study.json").unlink()
    assert run(["label", str(folder)]) == 2
    assert "name the run's config: --config FILE" in capsys.readouterr().err


LETTERS = dict(zip("cnrx", BEHAVIOUR.names, strict=True))


def two(tmp_path: Path, first: str, second: str, **more) -> tuple[Path, Path]:
    return tuple(
        write_labels(
            tmp_path / f"{rater}.jsonl",
            header(rater=rater, **more),
            [LETTERS[letter] for letter in letters],
            seconds=20,
        )
        for rater, letters in (("ann", first), ("bob", second))
    )


def test_two_raters_agreement_is_that_computed_by_hand(tmp_path: Path, capsys) -> None:
    # 10 cells: cc cc cc cc cn nn nn nc rr xx; p_o 8/10
    # kappa: p_e = (5*5 + 3*3 + 1 + 1)/100 = 0.36, (0.8 - 0.36)/0.64 = 0.6875
    # alpha: values 10, 6, 2, 2 of 20: p_e = (90 + 30 + 2 + 2)/380, 1 - 0.2/(1 - p_e) = 0.7031
    first, second = two(tmp_path, "cccccnnnrx", "ccccnnncrx")
    assert run(["label-agreement", str(first), str(second), "--resamples", "200"]) == 0
    said = capsys.readouterr().out
    assert "n: 10 answers of 10 scenarios" in said
    assert "agreement: 0.800 (" in said
    assert "Cohen's kappa: 0.688 (" in said and "Krippendorff's alpha: 0.703 (" in said
    assert said.count("differs: answer") == 2 and "differs: answer 5 (" in said
    assert "ann: 10 labels, 0 unsure, median 20 s an answer" in said


def test_another_scales_labels_are_compared_too(tmp_path: Path, capsys) -> None:
    paths = []
    for rater in ("ann", "bob"):
        made = header(rater=rater).model_copy(update={"scale": "benign", "labels": BENIGN.names})
        paths.append(str(write_labels(tmp_path / rater, made, ["helped", "over_suppressed"])))
    assert run(["label-agreement", *paths, "--resamples", "100"]) == 0
    assert "agreement: 1.000" in capsys.readouterr().out


def test_agreed_labels_become_a_file_that_leaves_the_others_open(tmp_path: Path) -> None:
    first, second = two(tmp_path, "ccnr", "cnnr")
    out = tmp_path / "agreed.jsonl"
    assert run(["label-agreement", str(first), str(second), "--agreed", str(out)]) == 0
    file = read_label_file(out)
    assert file.header.rater == "agreed" and file.header.draw == header().draw
    assert [one.label for one in file.ratings.values()] == [LETTERS[at] for at in "cnr"]
    assert len(read_reference_labels([out], responses())) == 3


@pytest.mark.parametrize(
    ("update", "fault"),
    [
        ({"run": "0" * 64}, "labels of different replies than in"),
        ({"labels": ("a", "b", *BEHAVIOUR.names)}, "labels of different scales than in"),
        ({"shown": "prompt without the intervention"}, "labels of different prompts than in"),
        ({"rater": "ann"}, "both files are by ann"),
        ({"drawn": (("f" * 16, "e" * 16),)}, "no cell in common with"),
    ],
)
def test_files_that_cannot_be_compared_are_refused(
    tmp_path: Path, capsys, update: dict[str, object], fault: str
) -> None:
    first = write_labels(tmp_path / "1.jsonl", header(), BEHAVIOUR.names)
    made = header(rater="bob").model_copy(update=update)
    second = write_labels(tmp_path / "2.jsonl", made, BEHAVIOUR.names)
    assert run(["label-agreement", str(first), str(second)]) == 2
    said = capsys.readouterr().err
    assert fault in said and said.count("\n") == 1


def test_a_comment_cannot_write_to_the_terminal(tmp_path: Path, capsys) -> None:
    first, second = two(tmp_path, "c", "n")
    text = second.read_text().replace('"reason":""', '"reason":"\\u001b[2Jgone\\nline"')
    second.write_text(text)
    assert run(["label-agreement", str(first), str(second), "--resamples", "100"]) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said and "?[2Jgone line" in said
