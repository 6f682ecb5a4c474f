"""Reading a published log: strict, and not to be led astray by what a model wrote into it.

The format marks its parts with tags and escapes nothing, so an answer may hold any tag, another
record, or the end of its own. Tags alone therefore decide nothing here. A *reading* of a log is a
choice of where each of the known records begins, so that every part has its form:

- record k begins with its known text (number, mode, scenario, steered prompt) and, after the
  first, directly behind the end of record k - 1;
- the judge's decision is one of the four labels and its reason, which the judge wrote and not the
  model, holds no tag that opens a decision;
- answers and reasons are not empty and have no white space at either end (the runs stripped them);
  thinking is empty or ends with ``</think>``, and the answer follows the last such end;
- the labels add up to the totals that the log states for each benchmark.

What really happened is always one of the readings. All are counted, by dynamic programming over
the places where a record could begin and the labels so far; a log is accepted when there is
exactly one, and refused, with the record where they part, when there are more. So a forged record
is never taken for a real one.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from steerability.protocol.records import LABELS, THINK_END, Intervention, Scenario
from steerability.support.errors import UserError
from steerability.transcripts import layout
from steerability.transcripts.layout import Benchmark, RunSettings, Totals

MAX_PLACES = 100
"""A record that could begin at more places than this is refused unread: the work grows with the
square, and no published answer holds a forged beginning at all."""
MEND = "fetch the published file again; a log that was cut or edited is not read"


class LogRecord(NamedTuple):
    """One record of a log.

    Attributes:
        scenario: which one, from the suite.
        prompt: the user message as sent, with its suffix.
        thinking: the text before the last ``</think>``; None for a run without thinking.
        thinking_cut: a thinking run's output that has no ``</think>``.
        answer: the text that the judge saw.
        label: one of the four.
        reason: the judge's.
    """

    scenario: Scenario
    prompt: str
    thinking: str | None
    thinking_cut: bool
    answer: str
    label: str
    reason: str


class ParsedRun(NamedTuple):
    """A log's records in order, and the suffix that all of them share."""

    suffix: Intervention
    records: list[LogRecord]


class _Anchor(NamedTuple):
    """The known beginning of a record; ``lead`` is what precedes its ``<result>``."""

    number: int
    block: int
    scenario: Scenario
    prompt: str
    lead: str
    head: str

    @property
    def text(self) -> str:
        return self.lead + self.head


class _Place(NamedTuple):
    """Where a record could begin, with the end of the record before it."""

    start: int
    answer_end: int = 0
    label: str = ""
    reason: str = ""


class _Step(NamedTuple):
    """A way to reach a state: the state before, and the parts of the record between them."""

    before: "_State"
    thinking: str
    answer: str


class _State(NamedTuple):
    place: _Place
    totals: Totals


def parse_log(
    text: str, settings: RunSettings, benchmarks: Sequence[Benchmark], *, where: str
) -> ParsedRun:
    """Read a published log.

    Args:
        text: the log, its line ends as they are.
        settings: of the run, from its ``config.json``.
        benchmarks: the suite's files in the run's order, with the scenarios that it drew.
        where: what to call the log in messages.

    Returns:
        One record per scenario, in order, and the suffix.

    Raises:
        UserError: the log is cut, altered, or can be read in two ways; names file and record.
    """
    begin = layout.first_line(settings).match(text)
    if begin is None:
        raise UserError("does not begin as a log of this run", where=where, mend=MEND)
    suffix = _suffix(text, begin.end(), settings, benchmarks, where)
    anchors = _anchors(settings, benchmarks, suffix)
    end = text.rfind(layout.SUMMARY)
    titles = [benchmark.title for benchmark in benchmarks]
    totals = layout.read_totals(text[end:], titles) if end >= 0 else None
    body = text[begin.end() : end if totals else len(text)]
    places = _places(body, anchors, closed=bool(totals))
    crowded = next((k for k, found in enumerate(places) if len(found) > MAX_PLACES), None)
    if crowded is not None:
        raise UserError(
            f"could begin at {len(places[crowded])} places (at most {MAX_PLACES} are looked at)",
            where=f"{where} record {crowded + 1}",
            mend=MEND,
        )
    steps = _readings(body, anchors, places, totals, settings)
    reached = next((k for k, layer in enumerate(steps) if not layer), len(steps))
    if totals is None and reached == len(anchors) and _is_ended(body, anchors[-1]):
        raise UserError("the summary at the end is missing or cut", where=where, mend=MEND)
    if reached < len(steps):
        raise _fault_at(reached, body, anchors, places, where)
    if totals is None or text[end:] != layout.summary(
        settings, list(zip(titles, totals, strict=True))
    ):
        raise UserError("the summary at the end was altered", where=where, mend=MEND)
    return ParsedRun(suffix, _only_reading(steps, anchors, settings, where))


def _suffix(
    text: str,
    begin: int,
    settings: RunSettings,
    benchmarks: Sequence[Benchmark],
    where: str,
) -> Intervention:
    """Return the run's suffix as its first record shows it: steered prompt minus scenario."""
    name = next(name for name, mode in layout.MODES.items() if mode == settings.mode)
    prompt = benchmarks[0].scenarios[0].prompt
    head = layout.block_start(benchmarks[0].title, settings)
    head += layout.record_start(1, prompt, settings)
    at = f"{where} record 1"
    if not text.startswith(head, begin):
        raise UserError("does not begin with the suite's first scenario", where=at, mend=MEND)
    begin += len(head)
    end = text.find(layout.THINKING_OPEN, begin)
    steered = text[begin:end]
    if end < 0:
        raise UserError("is cut in its prompt", where=at, mend=MEND)
    if settings.mode == layout.MODES["none"]:
        found = Intervention(name=name, text="")
    else:
        found = Intervention(name=name, text=steered.removeprefix(prompt.rstrip()).strip())
        if not found.text:
            raise UserError("has no suffix", where=at, mend=MEND)
    if found.apply(prompt) != steered:
        raise UserError("its steered prompt is not scenario and suffix", where=at, mend=MEND)
    return found


def _anchors(
    settings: RunSettings, benchmarks: Sequence[Benchmark], suffix: Intervention
) -> list[_Anchor]:
    anchors: list[_Anchor] = []
    for block, (title, scenarios) in enumerate(benchmarks):
        for number, scenario in enumerate(scenarios, start=1):
            prompt = suffix.apply(scenario.prompt)
            lead = layout.block_start(title, settings) if number == 1 else ""
            head = layout.record_start(number, scenario.prompt, settings)
            head += prompt + layout.THINKING_OPEN
            anchors.append(_Anchor(len(anchors) + 1, block, scenario, prompt, lead, head))
    return anchors


def _places(body: str, anchors: Sequence[_Anchor], *, closed: bool) -> list[list[_Place]]:
    """Return where each record could begin, and, as one more, where the last one ends."""
    places = [[_Place(0)] if body.startswith(anchors[0].text) else []]
    for anchor in anchors[1:]:
        found, at = [], body.find(layout.RECORD_END + anchor.text)
        while at >= 0:
            found.append(_record_end(body, at))
            at = body.find(layout.RECORD_END + anchor.text, at + 1)
        places.append([place for place in found if place])
    last = len(body) - len(layout.RECORD_END)
    final = _record_end(body, last) if closed and body.endswith(layout.RECORD_END) else None
    places.append([final] if final else [])
    return places


def _record_end(body: str, at: int) -> _Place | None:
    """Return the place behind the record end at ``at``, with the judge's part before it."""
    answer_end = body.rfind(layout.DECISION_OPEN, 0, at)
    if answer_end < 0:
        return None
    judged = body[answer_end + len(layout.DECISION_OPEN) : at]
    label, opened, reason = judged.partition(layout.REASON_OPEN)
    if not opened or label not in LABELS or not reason or reason != reason.strip():
        return None
    return _Place(at + len(layout.RECORD_END), answer_end, label, reason)


def _readings(
    body: str,
    anchors: Sequence[_Anchor],
    places: Sequence[Sequence[_Place]],
    totals: Sequence[Totals] | None,
    settings: RunSettings,
) -> list[dict[_State, list[_Step]]]:
    """Return, for each record's beginning and the log's end, the states that can be reached."""
    layers: list[dict[_State, list[_Step]]] = [{_State(p, Totals()): [] for p in places[0]}]
    for index, anchor in enumerate(anchors):
        ends_block = index + 1 == len(anchors) or anchors[index + 1].block != anchor.block
        layer: dict[_State, list[_Step]] = defaultdict(list)
        for state in layers[-1]:
            begin = state.place.start + len(anchor.text)
            for place in places[index + 1]:
                parts = _split(body[begin : place.answer_end], settings)
                if place.answer_end < begin or parts is None:
                    continue
                counted = state.totals.add(place.label)
                if totals is not None:
                    limit = totals[anchor.block]
                    if not counted.within(limit) or (ends_block and counted != limit):
                        continue
                step = _Step(state, *parts)
                layer[_State(place, Totals() if ends_block else counted)].append(step)
        layers.append(dict(layer))
    return layers


def _split(content: str, settings: RunSettings) -> tuple[str, str] | None:
    """Return thinking and answer of a record's free part, or None where it has no such form."""
    thinking, answer = "", content.removeprefix(layout.ANSWER_OPEN)
    if settings.is_thinking:
        at = content.rfind(THINK_END + layout.ANSWER_OPEN)
        if at >= 0:
            thinking = content[: at + len(THINK_END)]
            answer = content[len(thinking) + len(layout.ANSWER_OPEN) :]
    if not thinking and len(answer) == len(content):
        return None
    if not answer or answer != answer.strip() or thinking != thinking.strip():
        return None
    return thinking, answer


def _only_reading(
    layers: Sequence[dict[_State, list[_Step]]],
    anchors: Sequence[_Anchor],
    settings: RunSettings,
    where: str,
) -> list[LogRecord]:
    """Walk back from the end; refuse where two ways lead on."""
    records: list[LogRecord] = []
    states = list(layers[-1])
    for anchor, layer in zip(reversed(anchors), reversed(layers[1:]), strict=True):
        steps = [(state, step) for state in states for step in layer[state]]
        if len(steps) != 1:
            raise UserError(
                "can be read in two ways: an answer holds what looks like a whole record",
                where=f"{where} record {anchor.number}",
                mend="read it by eye; which text is whose cannot be told from the log",
            )
        (state, step) = steps[0]
        cut = settings.is_thinking and not step.thinking
        thinking = step.thinking.removesuffix(THINK_END) if settings.is_thinking else None
        place = state.place
        records.append(
            LogRecord(
                anchor.scenario,
                anchor.prompt,
                thinking,
                cut,
                step.answer,
                place.label,
                place.reason,
            )
        )
        states = [step.before]
    return records[::-1]


def _is_ended(body: str, anchor: _Anchor) -> bool:
    """Tell whether anything after the last place of an anchor ends a record."""
    return layout.RECORD_END in body[body.rfind(anchor.text) :]


def _fault_at(
    reached: int,
    body: str,
    anchors: Sequence[_Anchor],
    places: Sequence[Sequence[_Place]],
    where: str,
) -> UserError:
    """Say why no reading gets as far as the beginning of a record (or the log's end)."""
    number = reached
    if places[reached]:
        what = "its parts or labels do not fit the totals that the log states"
    elif not _is_ended(body, anchors[reached - 1]):
        what = "is cut"
    elif reached == len(anchors) or anchors[reached].text in body:
        what = "its judge's part or its end has not the right form"
    else:
        anchor = anchors[reached]
        number = anchor.number
        what = f"is missing or does not show scenario {anchor.scenario.id} and the suffix"
    return UserError(what, where=f"{where} record {number}", mend=MEND)
