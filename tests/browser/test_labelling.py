"""The labelling page in a browser: by keyboard, closed half-way, resumed, and never led astray."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.action_chains import ActionChains

from steerability.cli import run as call
from steerability.labelling.draw import draw
from steerability.labelling.files import read_label_file, read_reference_labels
from steerability.protocol.scale import BEHAVIOUR
from support.browser import chromium, resize, wait_until
from support.labelled import HOSTILE, STUDY, responses, write_run

pytestmark = pytest.mark.heavy
NAMES = BEHAVIOUR.names
TITLE = "Label 60 answers"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labelling")
    made = write_run(folder / "made", responses())
    assert call(["label", str(made), "--seed", "1", "--output", str(folder / "label.html")]) == 0
    return folder / "label.html"


@pytest.fixture
def visit(browser: Chrome, page: Path) -> Callable[..., Chrome]:
    """Open the page with nothing kept from earlier tests, and start under a name."""

    def go(width: int = 1280, rater: str = "ann") -> Chrome:
        resize(browser, width)
        browser.get(page.as_uri())
        browser.execute_script("localStorage.clear()")
        browser.refresh()
        browser.get_log("browser")
        if rater:
            start(browser, rater)
        return browser

    return go


def start(page: Chrome, rater: str) -> None:
    page.find_element("id", "rater").clear()
    page.find_element("id", "rater").send_keys(rater, Keys.ENTER)
    wait_until(page, lambda page: page.find_element("id", "work").is_displayed())


def press(page: Chrome, *keys: str) -> None:
    ActionChains(page, duration=0).send_keys(*keys).perform()


def title(page: Chrome) -> str:
    return page.find_element("id", "cell-title").text


def count(page: Chrome) -> str:
    return page.find_element("id", "count").text


def saved(page: Chrome, folder: Path) -> Path:
    """Save the file by its key to a new folder, and wait for it."""
    folder.mkdir()
    params = {"behavior": "allow", "downloadPath": str(folder)}
    page.execute_cdp_cmd("Browser.setDownloadBehavior", params)
    press(page, "s")
    wait_until(page, lambda _: [*folder.glob("*.jsonl")])
    (path,) = folder.glob("*.jsonl")
    return path


@pytest.fixture
def own_browser(browser: Chrome, tmp_path: Path) -> Iterator[Callable[[], Chrome]]:
    """Start browsers that share a profile, one after the other."""
    with ExitStack() as stack:

        def open_again() -> Chrome:
            stack.close()
            return stack.enter_context(chromium(tmp_path / "profile"))

        yield open_again


def test_sixty_answers_by_keyboard_closed_half_way_and_resumed(
    own_browser: Callable[[], Chrome], page: Path, tmp_path: Path
) -> None:
    labels = [NAMES[at * 7 % 4] for at in range(60)]
    here = own_browser()
    here.get(page.as_uri())
    press(here, Keys.TAB, Keys.TAB, Keys.TAB, Keys.TAB)
    assert here.switch_to.active_element.get_attribute("id") == "rater"
    press(here, "ann", Keys.ENTER)
    for at in range(33):
        assert title(here) == f"Answer {at + 1} of 60"
        if at == 4:
            press(here, "u")
        if at == 5:
            press(here, "c", "it asks 1 keeper, then 2", Keys.ESCAPE)
        press(here, str(NAMES.index(labels[at]) + 1))
    assert count(here).startswith("33 of 60 labelled")
    here = own_browser()
    here.get(page.as_uri())
    assert here.find_element("id", "rater").get_attribute("value") == "ann"
    here.find_element("id", "rater").send_keys(Keys.ENTER)
    assert title(here) == "Answer 34 of 60"
    assert "33 of 60" in here.find_element("id", "said").text
    for at in range(33, 60):
        press(here, str(NAMES.index(labels[at]) + 1))
        if at == 40:
            wrong = title(here)
            press(here, "1", "z")
            assert title(here) == wrong
    assert "All 60 answers are labelled" in here.find_element("id", "said").text
    assert here.switch_to.active_element.get_attribute("id") == "save"
    path = saved(here, tmp_path / "saved")
    assert here.get_log("browser") == []
    file = read_label_file(path)
    assert [file.ratings[cell].label for cell, _ in file.header.drawn] == labels
    ratings = [file.ratings[cell] for cell, _ in file.header.drawn]
    assert [at for at, one in enumerate(ratings) if one.unsure] == [4]
    assert {at: one.reason for at, one in enumerate(ratings) if one.reason} == {
        5: "it asks 1 keeper, then 2"
    }
    assert all(one.seconds is not None for one in ratings)
    drawn = draw(responses(), STUDY.design, cells=60, seed=1)
    found = read_reference_labels([path], responses(), {"behaviour": BEHAVIOUR})
    assert [(one.id, one.label) for one in found] == [
        (cell.id, name) for cell, name in zip(drawn.cells, labels, strict=True)
    ]


def test_undo_takes_every_kind_of_step_back(visit: Callable[..., Chrome]) -> None:
    here = visit()
    press(here, "2", "u", "c", "a word", Keys.ENTER, "3")
    assert title(here) == "Answer 3 of 60"
    press(here, "z")
    assert title(here) == "Answer 2 of 60"
    assert here.find_element("id", "comment").get_attribute("value") == "a word"
    press(here, "z")
    assert here.find_element("id", "comment").get_attribute("value") == ""
    assert here.find_element("id", "unsure").is_selected()
    press(here, "z", "z")
    assert title(here) == "Answer 1 of 60" and count(here).startswith("0 of 60")
    assert not here.find_element("id", "undo").is_enabled()
    press(here, "z")
    assert title(here) == "Answer 1 of 60"


def test_the_answers_shown_are_the_drawn_ones_as_text(visit: Callable[..., Chrome]) -> None:
    here = visit()
    drawn = draw(responses(), STUDY.design, cells=60, seed=1)
    names = "['context', 'prompt', 'response']"
    read = f"return {names}.map((id) => document.getElementById(id).textContent)"
    for cell in drawn.cells[:20]:
        assert here.execute_script(read) == [cell.context, cell.prompt, cell.response]
        press(here, "n")
    planted = "#work script, #work img, #work iframe, #work svg, #work a, #work style"
    assert here.find_elements("css selector", planted) == []
    assert here.title == TITLE and here.get_log("browser") == []


PLANTED = """<script>document.title = 'broken'</script><img src="x" onerror="document.title = 'b'">
<iframe srcdoc="<script>1</script>"></iframe><style>main { display: none }</style>"""


def test_markup_that_got_in_all_the_same_does_nothing(
    browser: Chrome, page: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.html"
    text = page.read_text(encoding="utf-8").replace("</main>", f"{PLANTED}</main>", 1)
    broken.write_text(text, encoding="utf-8")
    browser.get_log("browser")
    browser.get(broken.as_uri())
    start(browser, "eve")
    assert browser.title == TITLE
    refused = [line["message"] for line in browser.get_log("browser")]
    assert sum("script-src" in message for message in refused) >= 2


def test_the_page_may_reach_nothing(visit: Callable[..., Chrome]) -> None:
    here = visit()
    refused = here.execute_async_script(
        """
        const done = arguments[0];
        const ways = [
          () => fetch("http://127.0.0.1:9/"),
          async () => { document.body.innerHTML += "<b>"; },
          async () => { setTimeout("1"); },
        ];
        const told = (way) => Promise.resolve().then(way).then(() => "done", (e) => e.name);
        Promise.all(ways.map(told)).then(done);
        """
    )
    assert refused == ["TypeError"] * 3
    assert any("connect-src" in line["message"] for line in here.get_log("browser"))


def test_another_name_sees_nothing_of_the_first_raters_labels(visit: Callable[..., Chrome]) -> None:
    here = visit()
    press(here, "1", "2", "3")
    here.refresh()
    start(here, "bob")
    assert title(here) == "Answer 1 of 60" and count(here).startswith("0 of 60")
    here.refresh()
    start(here, "ann")
    assert title(here) == "Answer 4 of 60"


def test_a_saved_file_is_opened_again_and_a_wrong_one_is_refused(
    visit: Callable[..., Chrome], tmp_path: Path
) -> None:
    here = visit()
    press(here, "1", "u", "2", "4")
    path = saved(here, tmp_path / "first")
    here = visit()
    assert count(here).startswith("0 of 60")
    here.find_element("id", "file").send_keys(str(path))
    wait_until(here, lambda here: count(here).startswith("3 of 60"))
    assert title(here) == "Answer 4 of 60"
    press(here, "p", "p")
    assert title(here) == f"Answer 2 of 60: {BEHAVIOUR.outcomes[1].words}"
    assert here.find_element("id", "unsure").is_selected()
    again = saved(here, tmp_path / "again")
    assert again.read_text().splitlines()[1:] == path.read_text().splitlines()[1:]
    lines = path.read_text().splitlines()
    for change, fault in (
        (lambda first: first | {"draw": "0" * 64}, "it is of another page"),
        (lambda first: first | {"rater": "bob"}, "it is by bob, and you are ann"),
        (lambda first: {"kind": "x"}, "it is no label file"),
    ):
        wrong = tmp_path / "wrong.txt"
        wrong.write_text("\n".join([json.dumps(change(json.loads(lines[0]))), *lines[1:]]))
        here.find_element("id", "file").send_keys(str(wrong))
        wait_until(here, lambda here, fault=fault: fault in here.find_element("id", "warning").text)
        assert count(here).startswith("3 of 60")


def test_a_screen_reader_is_told_what_there_is(visit: Callable[..., Chrome]) -> None:
    here = visit()
    assert here.switch_to.active_element.get_attribute("id") == "cell-title"
    press(here, "1")
    assert here.switch_to.active_element.get_attribute("id") == "cell-title"
    said = here.find_element("id", "said")
    assert said.get_attribute("aria-live") == "polite" and said.text == "Answer 1: convergence."
    names = here.execute_script(
        """
        return [...document.querySelectorAll("button, input:not([hidden])")]
          .filter((node) => node.offsetParent !== null)
          .map((node) => node.textContent.trim() || node.labels[0]?.textContent.trim() || "");
        """
    )
    assert all(names)
    buttons = here.find_elements("css selector", "[data-label]")
    assert [button.text for button in buttons] == [
        f"{at} {outcome.words}" for at, outcome in enumerate(BEHAVIOUR.outcomes, start=1)
    ]
    press(here, "p")
    assert buttons[0].get_attribute("aria-pressed") == "true"
    order = []
    for _ in range(20):
        press(here, Keys.TAB)
        node = here.switch_to.active_element
        order.append(node.get_attribute("id") or node.get_attribute("data-label"))
    wanted = ["unsure", "comment", *NAMES, "undo", "next", "save", "open"]
    at = order.index("unsure")
    assert order[at : at + len(wanted)] == wanted


def test_keys_can_be_switched_off_and_leave_modifiers_and_the_comment_alone(
    visit: Callable[..., Chrome],
) -> None:
    here = visit()
    press(here, "c", "1234 uzpns")
    assert title(here) == "Answer 1 of 60" and count(here).startswith("0 of 60")
    press(here, Keys.ESCAPE)
    ActionChains(here).key_down(Keys.CONTROL).send_keys("1").key_up(Keys.CONTROL).perform()
    assert count(here).startswith("0 of 60")
    here.execute_script("document.getElementById('rubric').open = true")
    here.find_element("id", "keys").click()
    press(here, "1")
    assert count(here).startswith("0 of 60")
    here.find_element("css selector", "[data-label=convergence]").click()
    assert count(here).startswith("1 of 60")


@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_is_wider_than_the_window(visit: Callable[..., Chrome], width: int) -> None:
    here = visit(width)
    for _ in range(len(HOSTILE)):
        assert here.execute_script("return document.documentElement.scrollWidth") <= width
        press(here, "n")
    asked, said = (
        here.find_element("css selector", f"[aria-labelledby={name}].side").rect
        for name in ("asked-title", "response-title")
    )
    beside = asked["y"] == said["y"] and said["x"] > asked["x"]
    assert beside == (width == 1280)
