"""The page in a real browser: what a reader does with it."""

import csv
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from support.browser import TITLE, Visit, heading, is_open, wait_until
from support.fake_run import NOTE

pytestmark = pytest.mark.heavy

Row = dict[str, str]


@pytest.fixture(scope="module")
def cells(folder: Path) -> list[Row]:
    """One row per cell, with the label of each judge under its name."""
    merged: dict[tuple[str, ...], Row] = defaultdict(dict)
    with (folder / "cells.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            cell = merged[row["model"], row["intervention"], row["scenario"]]
            cell |= row | {row["judge"]: row["label"]}
    return list(merged.values())


def shown(page: Chrome) -> int:
    return int(page.find_element("id", "count").text.split(" of ")[0].replace(",", ""))


def choose(page: Chrome, **filters: str) -> None:
    for name, value in filters.items():
        Select(page.find_element("id", f"filter-{name}")).select_by_value(value)


def press(page: Chrome, *keys: str) -> None:
    for key in keys:
        ActionChains(page).send_keys(key).perform()


def test_it_opens_without_a_fault_and_fetches_nothing(visit: Visit) -> None:
    page = visit()
    assert page.title == TITLE
    assert shown(page) == 1278
    assert len(page.find_elements("css selector", "#list tbody tr")) == 50
    loaded = page.execute_script(
        "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    )
    assert [name for name in loaded if not name.startswith("data:image/svg+xml")] == []
    assert page.execute_script(
        "return document.images.length > 0"
        " && [...document.images].every((image) => image.naturalWidth > 0)"
    )
    assert page.get_log("browser") == []


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"model": "large-base"}, lambda c: c["model"] == "large-base"),
        ({"intervention": "anti"}, lambda c: c["intervention"] == "anti"),
        ({"category": "deceptive_behavior"}, lambda c: c["category"] == "deceptive_behavior"),
        ({"label": "safety_refusal"}, lambda c: c["strict"] == "safety_refusal"),
        (
            {"judge": "doubtful", "label": "convergence"},
            lambda c: c.get("doubtful") == "convergence",
        ),
        ({"agreement": "differ"}, lambda c: c.get("doubtful") not in (None, c["strict"])),
        ({"agreement": "agree"}, lambda c: c.get("doubtful") == c["strict"]),
        (
            {"agreement": "differs-from:doubtful"},
            lambda c: c.get("doubtful") not in (None, c["strict"]),
        ),
        ({"finish": "cut"}, lambda c: c["finish_reason"] == "length"),
        ({"finish": "filtered"}, lambda c: c["finish_reason"] == "content_filter"),
        (
            {"model": "tiny-base", "intervention": "pro", "label": "convergence"},
            lambda c: (
                (c["model"], c["intervention"], c["strict"]) == ("tiny-base", "pro", "convergence")
            ),
        ),
    ],
)
def test_filters_show_what_cells_csv_says(
    visit: Visit, cells: list[Row], filters: dict[str, str], expected: Callable[[Row], bool]
) -> None:
    page = visit()
    choose(page, **filters)
    assert 0 < shown(page) == sum(map(expected, cells)) < 1278
    page.find_element("css selector", "#filters [type=reset]").click()
    wait_until(page, lambda page: shown(page) == 1278)


@pytest.mark.parametrize(
    ("flip", "before", "after"),
    [
        ("pro-not-anti", ("pro", True), ("anti", False)),
        ("anti-not-pro", ("pro", False), ("anti", True)),
        ("pro-not-none", ("pro", True), ("none", False)),
        ("none-not-anti", ("none", True), ("anti", False)),
    ],
)
def test_flips_are_counted_over_valid_outputs(
    visit: Visit,
    cells: list[Row],
    flip: str,
    before: tuple[str, bool],
    after: tuple[str, bool],
) -> None:
    converged = {"convergence": True, "no_convergence": False, "safety_refusal": False}
    groups: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for row in cells:
        groups[row["model"], row["scenario"]][row["intervention"]] = row["strict"]
    expected = sum(
        all(converged.get(labels[name]) is value for name, value in (before, after))
        for labels in groups.values()
    )
    page = visit()
    choose(page, flip=flip)
    assert 0 < shown(page) == 3 * expected


def test_words_are_found_in_prompts_and_answers(visit: Visit) -> None:
    page = visit()
    search = page.find_element("id", "filter-text")
    search.send_keys("CANAL 17.")
    wait_until(page, lambda page: shown(page) == 18)
    search.clear()
    search.send_keys("</script><SCRIPT>")
    wait_until(page, lambda page: 18 < shown(page) < 1278)


def test_a_search_gives_way_to_the_next_one(visit: Visit) -> None:
    page = visit()
    search = page.find_element("id", "filter-text")
    for word in ("canal 1", "nothing of the kind", "canal 17."):
        search.clear()
        search.send_keys(word)
    wait_until(page, lambda page: "Searching" not in page.find_element("id", "count").text)
    wait_until(page, lambda page: shown(page) == 18)
    assert page.get_log("browser") == []


def test_more_lines_come_on_demand(visit: Visit) -> None:
    page = visit()
    page.find_element("id", "more").click()
    rows = page.find_elements("css selector", "#list tbody tr")
    assert len(rows) == 100
    assert page.switch_to.active_element == rows[50].find_element("tag name", "a")


def test_a_fragment_opens_its_cell_and_another_fragment_another(visit: Visit) -> None:
    page = visit("#cell=large-thinking/anti/case-017")
    assert is_open(page)
    assert heading(page) == "case-017, large-thinking"
    sides = page.find_elements("css selector", ".side")
    names = [side.find_element("css selector", "h3 a").text for side in sides]
    assert names == ["pro", "none", "anti"]
    assert [side.get_attribute("aria-current") for side in sides] == [None, None, "true"]
    page.execute_script("location.hash = '#cell=tiny-base/pro/case-000'")
    wait_until(page, lambda page: heading(page) == "case-000, tiny-base")
    page.back()
    wait_until(page, lambda page: heading(page) == "case-017, large-thinking")
    page.find_element("id", "close").click()
    assert not is_open(page)
    assert "cell=" not in page.current_url


@pytest.mark.parametrize("fragment", ["#cell=no/such/cell", "#cell=%E0%A4%A", "#model=nobody&x"])
def test_a_fragment_that_names_nothing_does_no_harm(visit: Visit, fragment: str) -> None:
    page = visit(fragment)
    assert not is_open(page)
    assert page.get_log("browser") == []
    assert page.find_elements("css selector", "#list tbody tr")


def test_a_count_of_a_table_leads_to_its_outputs(visit: Visit) -> None:
    page = visit()
    link = page.find_element("css selector", "#tables tbody tr:nth-child(2) .counts")
    count = int(link.text.split("/")[0])
    link.click()
    wait_until(page, lambda page: shown(page) == count)
    label = Select(page.find_element("id", "filter-label"))
    assert label.first_selected_option.text == "Convergence"


def test_the_answer_and_its_figure_come_before_any_table(visit: Visit) -> None:
    page = visit()
    sentences = page.find_elements("css selector", "#answer .lead")
    figure = page.find_element("css selector", "#answer img")
    table = page.find_element("tag name", "table")
    assert 1 <= len(sentences) <= 3
    assert max(sentences[-1].rect["y"], figure.rect["y"]) < table.rect["y"]


def test_tasks_and_guards_can_be_chosen_and_are_in_the_address(visit: Visit, whole: Path) -> None:
    page = visit(of=whole)
    assert shown(page) == 11 * 8 * (3 * 2 + 2)  # labelled tasks behind two guards
    choose(page, task="benign", guard="keyword")
    assert shown(page) == 11 * 8
    assert "task=benign&guard=keyword" in page.current_url.replace("model=&", "")
    page = visit("#task=choice&intervention=anti&answer=second", of=whole)
    assert Select(page.find_element("id", "filter-task")).first_selected_option.text == "choice"
    with (whole / "choices.csv").open(encoding="utf-8", newline="") as file:
        rows = [
            r for r in csv.DictReader(file) if (r["task"], r["intervention"]) == ("choice", "anti")
        ]
    assert shown(page) == sum(float(row["log_odds"]) <= 0 for row in rows)


def test_a_choice_shows_both_answers_with_their_token_scores(visit: Visit, whole: Path) -> None:
    page = visit("#cell=choice/tiny-base/push-1/case-003", of=whole)
    side = page.find_element("css selector", ".side.chosen")
    heads = [head.text for head in side.find_elements("tag name", "h4")]
    assert heads == ["Convergent answer", "Compliant answer"]
    scores = [
        len(one.find_elements("tag name", "li"))
        for one in side.find_elements("class name", "scores")
    ]
    assert scores == [7, 6]
    page.find_element("link text", "benign_choice").click()
    wait_until(page, lambda page: "Benign twin" in page.find_element("id", "cell-body").text)
    assert "Doing answer" in page.find_element("css selector", ".side.chosen").text


def test_what_was_sent_has_a_system_message_only_where_one_was(visit: Visit) -> None:
    roles = {}
    for model in ("tiny-base", "tiny-instruct"):
        page = visit(f"#cell={model}/pro/case-005")
        side = page.find_element("css selector", ".side.chosen")
        summary = side.find_element("xpath", ".//summary[.='Sent']")
        summary.click()
        wait_until(
            page, lambda page, side=side: side.find_elements("css selector", "details .role")
        )
        roles[model] = [role.text for role in side.find_elements("css selector", "details .role")]
    assert roles == {
        "tiny-base": ["User message"],
        "tiny-instruct": ["System message", "User message"],
    }


def test_a_withheld_reply_is_shown_beside_what_the_model_said(visit: Visit, whole: Path) -> None:
    page = visit("#task=behaviour&guard=keyword", of=whole)
    for row in page.find_elements("css selector", "#list tbody tr a")[:12]:
        page.execute_script("location.hash = arguments[0].hash", row)
        wait_until(page, is_open)
        side = page.find_element("css selector", ".side.chosen")
        assert "Guard keyword:" in side.text
        if "withheld the reply" in side.text:
            break
    assert "Reply as shown" in side.text and "Reply as the model gave it" in side.text


def test_samples_are_cells_of_their_own(visit: Visit, sampled: Path) -> None:
    page = visit("#cell=" + quote("tiny-base/anti/case-002#2", safe="/"), of=sampled)
    assert is_open(page)
    assert "sample 3" in page.find_element("id", "cell-body").text
    page.find_element("link text", "2").click()
    wait_until(page, lambda page: "sample 2" in page.find_element("id", "cell-body").text)
    assert page.current_url.endswith("#cell=tiny-base/anti/case-002%231")
    page.find_element("id", "close").click()
    choose(page, sample="1")
    assert shown(page) == 3 * 6


def test_a_cell_shows_thinking_reasons_and_digests(visit: Visit, cells: list[Row]) -> None:
    page = visit("#cell=tiny-thinking/pro/case-005")
    side = page.find_element("css selector", ".side.chosen")
    thinking = side.find_element("css selector", "details")
    assert not thinking.find_elements("css selector", "pre")
    thinking.find_element("tag name", "summary").click()
    wait_until(page, lambda page: thinking.find_elements("css selector", "pre"))
    place = ("tiny-thinking", "pro", "case-005")
    row = next(c for c in cells if (c["model"], c["intervention"], c["scenario"]) == place)
    assert row["completion_sha256"] in side.text
    assert row["strict"].replace("_", " ").capitalize() in side.text
    assert "cue " in side.text


def test_a_note_is_shown_with_its_judge(visit: Visit) -> None:
    page = visit("#cell=tiny-base/pro/case-000")
    marks = page.find_elements("css selector", ".side .warning")
    assert [mark.text for mark in marks] == [NOTE] * 3
    page.find_element("id", "close").click()
    assert "doubtful*" in page.find_element("css selector", "#list tbody tr").text
    assert f"*doubtful (never measured) {NOTE}" in page.find_element("id", "outputs").text


def test_it_can_be_used_with_the_keyboard_alone(visit: Visit) -> None:
    page = visit()
    press(page, Keys.TAB)
    assert page.switch_to.active_element.text == "Skip to the outputs"
    press(page, Keys.ENTER, Keys.TAB)
    assert page.switch_to.active_element.get_attribute("id") == "filter-model"
    press(page, "l")  # to the first model of that letter
    wait_until(page, lambda page: shown(page) == 213)
    for _ in range(30):
        press(page, Keys.TAB)
        if page.switch_to.active_element.text == "case-000":
            break
    press(page, Keys.ENTER)
    wait_until(page, is_open)
    assert page.switch_to.active_element.get_attribute("id") == "cell-title"
    for _ in range(40):
        press(page, Keys.TAB)
        assert page.execute_script(
            "return document.activeElement === document.body"
            " || document.getElementById('cell').contains(document.activeElement)"
        )
    page.find_element("id", "next").send_keys(Keys.ENTER)
    wait_until(page, lambda page: heading(page) == "case-001, large-base")
    press(page, Keys.ESCAPE)
    wait_until(page, lambda page: not is_open(page))
    assert page.switch_to.active_element.text == "case-000"
    assert "cell=" not in page.current_url and "model=large-base" in page.current_url


def test_a_screen_reader_is_told_what_is_what(visit: Visit) -> None:
    page = visit()
    tree = page.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    nodes = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in tree
        if not node.get("ignored") and "role" in node
    ]
    roles = [role for role, _ in nodes]
    assert roles.count("main") == 1 and roles.count("banner") == 1
    assert ("navigation", "On this page") in nodes and ("form", "Filter the outputs") in nodes
    assert [name for role, name in nodes if role == "combobox"] == [
        "Model",
        "Intervention",
        "Category",
        "Judge",
        "Label by this judge",
        "Judges",
        "Flips: Convergence",
        "Ended by",
    ]
    for role in ("link", "button", "combobox", "searchbox", "image", "region"):
        assert all(name.strip() for kind, name in nodes if kind == role), role
    status = page.find_element("id", "count")
    assert (status.aria_role, status.get_attribute("aria-live")) == ("status", "polite")


FAULTS = """
const dialog = document.getElementById("cell");
const root = dialog.open ? dialog : document.body;
const faults = [];
for (const node of root.querySelectorAll("*")) {
  const box = node.getBoundingClientRect();
  if (!box.width || !node.checkVisibility() || node.closest(".skip, thead, dialog:not([open])")) {
    continue;
  }
  const says = node.outerHTML.slice(0, 90);
  if (box.right > innerWidth + 1 || box.left < -1) faults.push(`outside: ${says}`);
  const inline = getComputedStyle(node).display === "inline" || node.tagName === "SELECT";
  if (!inline && node.clientWidth && node.scrollWidth > node.clientWidth + 1) {
    faults.push(`overflows: ${says}`);
  }
}
const canvas = document.createElement("canvas").getContext("2d");
for (const select of dialog.open ? [] : root.querySelectorAll("select")) {
  const style = getComputedStyle(select);
  canvas.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
  const arrow = 22;
  const room = select.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  for (const option of select.options) {
    if (canvas.measureText(option.text).width > room - arrow) faults.push(`cut: ${option.text}`);
  }
}
const boxes = [...root.querySelectorAll("button, select, input, .chip, .counts")]
  .filter((node) => node.checkVisibility() && !node.closest("dialog:not([open])"))
  .map((node) => node.getBoundingClientRect()).filter((box) => box.width);
boxes.forEach((a, at) => boxes.slice(at + 1).forEach((b) => {
  const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
  const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
  if (across > 1 && down > 1) faults.push(`overlap at ${a.left}, ${a.top}`);
}));
return faults;
"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [400, 768, 1280])
@pytest.mark.parametrize("fragment", ["", "#cell=tiny-base/anti/case-007"])
def test_nothing_is_cut_or_overlaps(visit: Visit, fragment: str, width: int, dark: bool) -> None:
    assert visit(fragment, width, dark=dark).execute_script(FAULTS) == []


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize(
    "fragment",
    ["", "#cell=choice/tiny-base/anti/case-007", "#cell=tiny-base/anti/case-007@keyword"],
)
def test_nothing_is_cut_or_overlaps_with_every_task(
    visit: Visit, whole: Path, fragment: str, width: int
) -> None:
    assert visit(fragment, width, of=whole).execute_script(FAULTS) == []
