"""Texts from outside, safe in each language that they meet."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steerability.judges.measures import LONGEST_GAP, Measured, with_short_gaps
from steerability.judges.rubric import load_rubric
from steerability.report.figures.style import save, style
from steerability.report.tables.render import markdown_grid
from steerability.support.text import for_html, for_latex, for_line, for_markdown, for_terminal

MARKS = load_rubric().marks
EVIL = "\x1b[2J\x07\x9b\u202e\ud800 a\tb\nc"


def test_a_terminal_sees_no_control_character() -> None:
    assert for_terminal(EVIL) == r"\x1b[2J\x07\x9b\u202e\ud800 a" + "\tb\nc"
    assert for_line(EVIL) == r"\x1b[2J\x07\x9b\u202e\ud800 a\tb\nc"
    assert for_terminal("Δ 猫 naïve 😀 – …") == "Δ 猫 naïve 😀 – …"


@given(st.text(st.characters()))
def test_no_text_at_all_steers_a_terminal(text: str) -> None:
    shown = for_line(text)
    assert shown.isprintable() or not re.search(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e]", shown)
    shown.encode("utf-8")


def test_latex_html_and_markdown_show_a_text_as_it_is() -> None:
    assert for_latex(r"50 % of $x_1$ & {a} #1 \ ~ ^") == (
        r"50 \% of \$x\_1\$ \& \{a\} \#1 \textbackslash{} \textasciitilde{} \textasciicircum{}"
    )
    assert for_html("<b a='1'>&\x00") == r"&lt;b a=&#x27;1&#x27;&gt;&amp;\x00"
    assert for_markdown("a|b <i> `c`\nd") == r"a\|b \<i> \`c\`\\nd"


def test_a_cell_cannot_leave_its_row() -> None:
    text = markdown_grid(["a", "b"], [["x | y\n| z", "<script>"]])
    assert len(text.splitlines()) == 3
    assert re.findall(r"(?<!\\)\|", text.splitlines()[2]) == ["|"] * 3


@pytest.mark.parametrize("label", ["$x^2$", r"$\frac{$", "5 $ or 6 $", r"\$", "a_b^c", "$$"])
def test_a_label_is_no_formula(label: str, tmp_path: Path) -> None:
    """Drawn as text: as many glyphs as it has characters, and never a parse error."""
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=(2, 1))
        shown = figure.text(0.5, 0.5, label)
        save(figure, tmp_path, "f", "t\x1b", "c\x00")
    assert not shown.get_parse_math()
    svg = (tmp_path / "f.svg").read_text(encoding="utf-8")
    assert "\x00" not in svg and "\x1b" not in svg
    assert len(re.findall(r"<use ", svg)) == len(label)


def test_a_long_gap_is_cut_and_keeps_a_lines_end() -> None:
    short = "a" + " " * LONGEST_GAP + "b"
    assert with_short_gaps(short) == short
    for gap in ("\n" * 16_000, " " * 9000 + "\n" + " " * 9000, "\t" * 70_000):
        cut = with_short_gaps(f"a{gap}b")
        assert len(cut) == LONGEST_GAP + 3
        assert ("\n" in cut) == ("\n" in gap)


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["user", "User:", "a", ":", "\n", " ", "\n" * 70, " " * 80, " " * 50 + "\n" + " " * 50]
        ),
        max_size=30,
    )
)
def test_marks_are_counted_as_in_the_whole_text(parts: list[str]) -> None:
    text = "".join(parts)
    marks = MARKS
    whole = sum(len(mark.findall(text)) for mark in marks)
    measured = Measured(text, "", (), marks)
    words = max(measured.words(), 1)
    assert measured.role_marks_per_100_words() == 100.0 * whole / words


def test_no_pattern_of_the_rubric_looks_through_a_run_from_each_of_its_places() -> None:
    """The work of ``^\\s*x`` is that of the lines' starts in a run times its length.

    With gaps cut it is bounded by a constant for each line, so that twice the text is twice the
    work; counted, not timed.
    """

    def work(text: str) -> int:
        cut = with_short_gaps(text)
        starts = [0, *(found.end() for found in re.finditer("\n", cut))]
        spaces = re.compile(r"\s*")
        return sum(spaces.match(cut, start).end() - start for start in starts)  # type: ignore[union-attr]

    for unit in ("\n", "user\n\n", " \n", "x" + "\n" * 200):
        one, two = work(unit * 4000), work(unit * 8000)
        assert two <= 2 * one + LONGEST_GAP**2, unit
