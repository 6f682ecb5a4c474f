import base64
import csv
import hashlib
import json
import re
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from steerability.cli import run as call
from steerability.report.page.payload import script_json
from steerability.report.page.statistics import FOLDED
from support.fake_run import HOSTILE, make_run


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(
        tmp_path_factory.mktemp("pages") / "made",
        models=2,
        scenarios=8,
        thinking_words=5,
        figures=False,
    )


@pytest.fixture(scope="module")
def page(small: Path) -> str:
    assert call(["page", str(small), "--note", "doubtful=measures <b>nothing</b>"]) == 0
    return (small / "index.html").read_text(encoding="utf-8")


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


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_leaves_a_data_block(text: str) -> None:
    block = str(script_json({"response": text}))
    assert not set("<>&\u2028\u2029") & set(block)
    assert json.loads(block) == {"response": text}


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


def test_nothing_is_loaded_and_nothing_is_inline(page: str) -> None:
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
    assert call(["page", str(copy), "--note", "doubtful=measures <b>nothing</b>"]) == 0
    assert (copy / "index.html").read_text(encoding="utf-8") == page


def test_a_note_stands_wherever_its_judge_does(page: str) -> None:
    assert "measures &lt;b&gt;nothing&lt;/b&gt;" in page
    assert "measures <b>" not in page
    index = json.loads(next(text for a, text in Elements(page).blocks if a.get("id") == "index"))
    assert index["judges"] == [
        {"name": "strict", "note": None},
        {"name": "doubtful", "note": "measures <b>nothing</b>"},
    ]


def test_counts_link_to_the_cells_they_count(page: str) -> None:
    assert (
        'href="#model=tiny-base&amp;intervention=anti&amp;judge=strict&amp;label=convergence"'
        in page
    )


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
        ("labels/strict/tiny-base.jsonl", "", "", "cannot be read"),
        ("suite.json", '"id":"case-003"', '"id":"case-103"', "no such scenario"),
    ],
)
def test_a_run_that_is_not_of_one_piece_is_refused(
    file: str, old: str, new: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_run(tmp_path / "made", models=1, scenarios=6, thinking_words=5, figures=False)
    path = folder / file
    if old:
        path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    else:
        path.unlink()
    capsys.readouterr()
    assert call(["page", str(folder)]) == 2
    assert said in capsys.readouterr().err
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
