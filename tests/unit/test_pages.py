import base64
import csv
import hashlib
import json
import re
from collections.abc import Callable
from functools import cache
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from steerability.cli import run as call
from steerability.report.page.answer import answer
from steerability.report.page.collect import Run, collect
from steerability.report.page.error import NEVER, measured_error
from steerability.report.page.payload import CHUNK, Payload
from steerability.report.page.statistics import FILES, FOLDED
from steerability.support.inert import script_json
from steerability.support.tables import write_csv
from support.fake_run import HOSTILE, REFUSAL, make_run
from support.shapes import NOTE, SHAPES

Maker = Callable[[str], Path]
ESCAPED_NOTE = escape(NOTE, quote=True).replace("&#x27;", "&#39;")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Maker:
    """Make a small run of a shape with its page, once for the module."""

    @cache
    def make(shape: str) -> Path:
        folder = tmp_path_factory.mktemp(shape) / "made"
        sizes = {"models": 2, "scenarios": 8, "thinking_words": 5}
        make_run(folder, **sizes, figures=False, shape=shape)
        assert call(["page", str(folder)]) == 0
        return folder

    return make


@pytest.fixture(scope="module")
def small(made: Maker) -> Path:
    return made("paper")


@pytest.fixture(scope="module")
def page(small: Path) -> str:
    return (small / "index.html").read_text(encoding="utf-8")


def collected(folder: Path, shape: str) -> Run:
    return collect(folder, name="made", study=SHAPES[shape].study, extra=FILES)


class Elements(HTMLParser):
    """Every start tag with its attributes, and the text of scripts and styles by their place."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.blocks: list[tuple[dict[str, str | None], str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        tag, attributes = self.tags[-1] if self.tags else ("", {})
        if tag in ("script", "style") and data.strip():
            self.blocks.append((attributes, data))


def block(folder: Path, name: str) -> Any:
    found = Elements((folder / "index.html").read_text(encoding="utf-8"))
    return json.loads("".join(text for a, text in found.blocks if a.get("id") == name))


def outputs(folder: Path) -> dict[int, dict[str, Any]]:
    """Every output by the place of its cell."""
    count = block(folder, "index")["outputs"]
    found = {}
    for number in range(count):
        found |= {int(at): value for at, value in block(folder, f"outputs-{number}").items()}
    return found


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_leaves_a_data_block(text: str) -> None:
    made = str(script_json({"response": text}))
    assert not set("<>&\u2028\u2029") & set(made)
    assert json.loads(made) == {"response": text}


def test_the_policy_admits_the_one_script_and_style_by_digest(page: str) -> None:
    found = Elements(page)
    policy = next(
        attributes["content"] or ""
        for tag, attributes in found.tags
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; ") and "unsafe" not in policy
    running = [text for attributes, text in found.blocks if "type" not in attributes]
    assert len(running) == 2
    for text in running:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


@pytest.mark.parametrize("shape", list(SHAPES))
def test_nothing_is_loaded_and_nothing_is_inline(made: Maker, shape: str) -> None:
    page = (made(shape) / "index.html").read_text(encoding="utf-8")
    for tag, attributes in Elements(page).tags:
        assert tag not in ("link", "iframe", "object", "embed", "base")
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        for name in ("src", "href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/svg+xml;base64,"))


def test_the_same_run_gives_the_same_bytes(small: Path, page: str, tmp_path: Path) -> None:
    copy = tmp_path / "made"
    for path in sorted(small.rglob("*"), reverse=True):
        if path.is_file() and path.name != "index.html":
            target = copy / path.relative_to(small)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    assert call(["page", str(copy)]) == 0
    assert (copy / "index.html").read_text(encoding="utf-8") == page


def test_a_study_on_the_command_line_stands_in_for_the_runs_own(small: Path, page: str) -> None:
    words = ["page", "--spec", SHAPES["paper"].study.model_dump_json(), str(small)]
    assert call(words) == 0
    assert (small / "index.html").read_text(encoding="utf-8") == page


def test_a_note_and_a_measured_error_stand_wherever_their_judge_does(
    small: Path, page: str
) -> None:
    assert ESCAPED_NOTE in page and NOTE not in page
    judges = block(small, "index")["judges"]
    assert judges == [
        {"name": "strict", "note": None, "error": NEVER},
        {"name": "doubtful", "note": NOTE, "error": NEVER},
    ]
    shown = re.findall(r'<span class="judge">(\w+)</span> <span class="error">\((.*?)\)', page)
    assert {judge for judge, _ in shown} == {"strict", "doubtful"}
    assert {error for _, error in shown} == {NEVER}


def test_the_strictest_evaluation_of_a_judge_is_its_measured_error(
    small: Path, tmp_path: Path
) -> None:
    run = collected(small, "paper")
    row = {"judge": "strict", "condition": "all", "n": "1278", "kappa": "0.61",
           "kappa_low": "0.52", "kappa_high": "0.70"}  # fmt: skip
    rows = [row | {"evaluation": "all"}, row | {"evaluation": "scenario", "kappa": "0.55"}]
    rows.append(row | {"evaluation": "scenario", "condition": "pro", "kappa": "0.10"})
    write_csv(tmp_path / "agreement.csv", list(rows[0]), rows)
    run.further["agreement.csv"] = rows
    said = "κ 0.55 (0.52 to 0.70), n = 1,278, scenarios held out"
    assert measured_error(run, "strict") == said
    assert measured_error(run, "doubtful") == NEVER
    del run.further["agreement.csv"]


def test_the_page_begins_with_the_answer(made: Maker) -> None:
    for shape in SHAPES:
        page = (made(shape) / "index.html").read_text(encoding="utf-8")
        said = re.findall(r'<p class="lead">(.*?)</p>', page)
        assert 1 <= len(said) <= 3
        assert page.index('class="lead"') < page.index("<table")


def test_the_answer_of_one_model_says_counts_shift_interval_and_verdict(tmp_path: Path) -> None:
    run = make_run(
        tmp_path / "made", models=1, scenarios=18, thinking_words=5, figures=False, tests=False
    )
    shown = collected(run, "paper")
    (said,) = answer(shown)
    task = shown.study.tasks[0]
    line = shown.tables.lines("behaviour", "strict")[0]
    ends = [shown.tables.rate(task, line, name, "convergence") for name in ("pro", "anti")]
    assert all(f"{row['count']} of {row['valid']} valid replies" in said for row in ends if row)
    row = shown.tables.contrast(
        "behaviour", line, shown.study.design.headline[0], "convergence", "strict"
    )
    assert row is not None
    assert f"is {row['estimate']} points ({row['low']} to {row['high']})" in said
    sure = float(row["low"]) > 0 or float(row["high"]) < 0
    assert said.endswith(f"which {'is' if sure else 'is not'} distinguishable from zero.")


def test_the_answer_without_roles_claims_no_shift(made: Maker) -> None:
    said = answer(collected(made("roleless"), "roleless"))
    assert "Curt $x_1$" in said[0] and "No intervention has a role" in said[1]


def test_the_answer_of_several_tasks_holds_a_choice_and_the_twins(made: Maker) -> None:
    said = answer(collected(made("everything"), "everything"))
    assert len(said) == 3
    assert "“convergence”" in said[0] and "log-odds" in said[1] and "benign twins" in said[2]


def test_counts_link_to_the_cells_they_count(made: Maker, page: str) -> None:
    link = "#model=tiny-base&amp;intervention=anti&amp;judge=strict&amp;label=convergence"
    assert f'href="{link}"' in page
    whole = (made("everything") / "index.html").read_text(encoding="utf-8")
    of_task = "#task=benign&amp;model=tiny-base&amp;intervention=anti&amp;guard=keyword&amp;"
    assert f'href="{of_task}judge=strict&amp;label=over_suppressed"' in whole


def test_the_index_says_of_every_cell_what_the_tables_say(made: Maker) -> None:
    for shape in ("everything", "samples", "roleless"):
        folder = made(shape)
        index, of_cell = block(folder, "index"), outputs(folder)
        at = index["cells"]
        count = len(at["task"])
        assert sorted(of_cell) == list(range(count))
        found: dict[tuple[str, ...], str] = {}
        for cell in range(count):
            task = index["tasks"][at["task"][cell]]
            place = (
                task["name"],
                index["models"][at["model"][cell]],
                index["interventions"][at["intervention"][cell]]["name"],
                index["scenarios"][at["scenario"][cell]]["id"],
                index["guards"][at["guard"][cell]],
                str(at["sample"][cell]),
            )
            if task["scale"] < 0:
                found[(*place, "")] = f"{at['odds'][cell]:.6f}"
                continue
            for judge, labels in zip(index["judges"], at["labels"], strict=True):
                if labels[cell] >= 0:
                    label = index["scales"][task["scale"]][labels[cell]]["name"]
                    found[(*place, judge["name"])] = label
        keys = ("task", "model", "intervention", "scenario", "guard", "sample")
        wanted: dict[tuple[str, ...], str] = {}
        for file, value in (("cells.csv", "label"), ("choices.csv", "log_odds")):
            if (folder / file).is_file():
                with (folder / file).open(encoding="utf-8", newline="") as rows:
                    for row in csv.DictReader(rows):
                        place = tuple(row[key] for key in keys)
                        wanted[(*place, row.get("judge", ""))] = row[value]
        assert found == wanted


def test_a_system_message_is_shown_as_sent_only_where_it_was(small: Path) -> None:
    """tiny-base has its background left out; tiny-instruct is sent it."""
    index, of_cell = block(small, "index"), outputs(small)
    roles: dict[str, set[tuple[str, ...]]] = {}
    for cell, value in of_cell.items():
        scenario, model = (index["cells"][name][cell] for name in ("scenario", "model"))
        texts = block(small, f"scenarios-{index['texts'][str(scenario)]}")[str(scenario)]
        sent = tuple(role for role, _ in texts["sent"][value["sent"]]["messages"])
        roles.setdefault(index["models"][model], set()).add(sent)
    assert roles == {"tiny-base": {("user",)}, "tiny-instruct": {("system", "user")}}


def test_a_guards_decision_stands_with_the_reply_as_given_and_as_shown(made: Maker) -> None:
    folder = made("everything")
    index = block(folder, "index")
    at = index["cells"]
    seen = {True: 0, False: 0}
    for cell, value in outputs(folder).items():
        if index["guards"][at["guard"][cell]] != "keyword":
            assert "decision" not in value and "raw" not in value
            continue
        blocked = value["decision"]["blocked"]
        seen[blocked] += 1
        assert ("raw" in value) == blocked == (value["response"] == REFUSAL)
    assert seen[True] and seen[False]


def test_a_choice_has_its_answers_and_token_scores(made: Maker) -> None:
    folder = made("choices")
    index = block(folder, "index")
    assert [task["answers"] for task in index["tasks"]] == [
        ["convergent", "compliant"],
        ["doing", "declining"],
    ]
    for cell, value in outputs(folder).items():
        first, second = (sum(scores) for scores in value["scores"])
        assert first - second == pytest.approx(index["cells"]["odds"][cell], abs=2e-6)


def test_texts_of_interventions_stand_where_they_are_put(made: Maker) -> None:
    page = (made("everything") / "index.html").read_text(encoding="utf-8")
    for where, words in (
        ("After the question", "Keep every option."),
        ("In the system message", "Obey the plan."),
        ("Earlier turns", "User: Hi.\n\nAssistant: Yes?"),
        ("Beginning of the answer", "Sure,"),
    ):
        assert f'<p class="caption">{where}</p>\n<pre class="text">{words}</pre>' in page
    assert "learnt, difference of means, 64 queries" in page and "layers 4 to 20" in page


def test_blocks_are_bounded_and_hold_each_text_once(made: Maker) -> None:
    folder = made("everything")
    blocks = list(Payload(collected(folder, "everything")).blocks())
    longest = max(len(value) for value in HOSTILE) + 20_000
    assert len({name for name, _ in blocks}) == len(blocks) > 3
    assert all(len(content) < CHUNK + longest for _, content in blocks)


def test_verdicts_are_those_of_hypotheses_csv(small: Path, page: str) -> None:
    with (small / "hypotheses.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    chips = [a["data-verdict"] for tag, a in Elements(page).tags if "data-verdict" in a]
    assert sorted(chips) == sorted(row["verdict"] for row in rows)
    assert all(escape(row["words"], quote=True).replace("&#x27;", "&#39;") in page for row in rows)


def test_a_verdict_stands_beside_those_of_the_other_judges(tmp_path: Path) -> None:
    run = make_run(tmp_path / "made", models=4, scenarios=8, thinking_words=5, figures=False)
    assert call(["page", str(run)]) == 0
    page = (run / "index.html").read_text(encoding="utf-8")
    with (run / "judge_sensitivity.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["judge"] == "doubtful"]
    shown = [row for row in rows if row["primary_verdict"] != "not present"]
    assert shown
    said = re.findall(r"Under other judges: ([a-z ]+) \(<span class=.judge.>doubtful<", page)
    assert sorted(said) == sorted(row["verdict"] for row in shown)


def test_every_table_of_statistics_can_be_read(small: Path, page: str) -> None:
    elsewhere = {"cells.csv", "table1.csv", "table1_by_judge.csv", "hypotheses.csv", "outcomes.csv"}
    files = {path.name: path.read_text("utf-8") for path in small.glob("*.csv")}
    assert {"tests.csv", "judge_sensitivity.csv"} <= files.keys() - elsewhere <= FOLDED.keys()
    for file in files.keys() - elsewhere:
        if files[file].count("\n") == 1:  # a header alone
            continue
        assert f"<summary>{FOLDED[file][0].replace(chr(39), '&#39;')} (" in page


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("cells.csv", "strict,convergence", "strict,no_convergence", "the label is not the one"),
        ("labels/behaviour/strict/tiny-base.jsonl", "", "", "cannot be read"),
        ("responses/behaviour/tiny-base.jsonl", "case-003", "case-103", ""),
        ("suites/made.json", '"id":"case-003"', '"id":"case-103"', "no such scenario"),
        ("study.json", '"behaviour"', '"conduct"', ""),
    ],
)
def test_a_run_that_is_not_of_one_piece_is_refused(
    file: str, old: str, new: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_run(
        tmp_path / "made", models=1, scenarios=6, thinking_words=5, figures=False, tests=False
    )
    path = folder / file
    if old:
        path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    else:
        path.unlink()
    capsys.readouterr()
    assert call(["page", str(folder)]) == 2
    error = capsys.readouterr().err
    assert said in error and len(error.splitlines()) == 1
    assert not (folder / "index.html").exists()


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_text_has_the_contrast_that_wcag_asks_for(root: Path) -> None:
    css = (root / "workflow/steerability/report/page/page.css").read_text(encoding="utf-8")
    light, dark = (
        dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block))
        for block in re.findall(r":root \{(.*?)\n *\}", css, re.DOTALL)
    )
    for colours in (light, light | dark):
        for ink, ground in (
            *((ink, ground) for ink in ("ink", "soft", "link") for ground in ("ground", "raised")),
            ("warn-ink", "warn-ground"),
        ):
            pair = sorted(_luminance(colours[name]) for name in (ink, ground))
            assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5, (ink, ground)
