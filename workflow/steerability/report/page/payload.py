"""The cells as data blocks that the page's script reads, made one file of records at a time.

A block stands in a ``<script type="application/json">``, which browsers never run. The index
holds a column of numbers for everything that filters and the list need, so that the list is there
at once. Texts come in blocks of about ``CHUNK`` characters, which are parsed when one of their
texts is read: a page's size is linear in its cells, and so is the work of making it.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any, get_args

from markupsafe import Markup

from steerability.protocol.label import Label
from steerability.protocol.request import FinishReason
from steerability.protocol.response import Choice, Response
from steerability.protocol.task import Task
from steerability.report.page.collect import Cell, Run, files_of, record_files
from steerability.report.page.error import measured_error
from steerability.report.page.words import answer_names, labels_of, outcome_colour, role_words
from steerability.score.cells import CellRow
from steerability.support.errors import UserError
from steerability.support.inert import script_json
from steerability.support.jsonl import read_records

CHUNK = 1 << 17
FINISH_REASONS: tuple[FinishReason, ...] = get_args(FinishReason)
UNKNOWN = -1


class _Chunks:
    """Entries on their way into blocks of one kind."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.count = 0
        self._entries: list[str] = []
        self._size = 0

    def add(self, key: int, value: Any) -> int:
        """Add an entry; return the number of its block."""
        text = f'"{key}":{script_json(value)}'
        self._entries.append(text)
        self._size += len(text)
        return self.count

    def full(self) -> Iterator[tuple[str, Markup]]:
        """Yield the block's id and content where it has grown enough."""
        if self._size >= CHUNK:
            yield from self.rest()

    def rest(self) -> Iterator[tuple[str, Markup]]:
        """Yield what is there as a block."""
        if self._entries:
            yield f"{self.kind}-{self.count}", Markup("{" + ",".join(self._entries) + "}")
            self.count += 1
            self._entries.clear()
            self._size = 0


class _Texts:
    """The texts of one scenario in one task, each distinct one once."""

    def __init__(self, context: str, prompt: str) -> None:
        self.context, self.prompt = context, prompt
        self.sent: dict[str, int] = {}
        self.answers: dict[tuple[str, str], int] = {}

    def json(self) -> dict[str, Any]:
        """Return them as the script reads them."""
        return {
            "context": self.context,
            "prompt": self.prompt,
            "sent": [json.loads(text) for text in self.sent],
            "answers": list(self.answers),
        }


class Payload:
    """A run's blocks: ``blocks`` must have ended before ``index`` is right."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._tasks = [task.name for task in run.study.tasks]
        self._places = {name: at for at, name in enumerate(run.cells)}
        self._block = [UNKNOWN] * len(run.cells)
        self._thought = [UNKNOWN] * len(run.cells)
        self._texts: dict[tuple[str, str], _Texts] = {}
        self._text_block: dict[tuple[str, str], int] = {}
        self._scenarios = self._all_scenarios()
        self._of_suite = {
            name: {scenario.id: scenario for scenario in suite.scenarios}
            for name, suite in run.suites.items()
        }

    def _all_scenarios(self) -> dict[tuple[str, str], int]:
        """Suite and id of every scenario that has a cell, with its place."""
        suites = {task.name: task.suite for task in self.run.study.tasks}
        rows = (cell.row for cell in self.run.cells.values())
        present = {(suites[row.task], row.scenario) for row in rows}
        ordered = (
            (name, scenario.id)
            for name, suite in self.run.suites.items()
            for scenario in suite.scenarios
        )
        return {key: at for at, key in enumerate(key for key in ordered if key in present)}

    def blocks(self) -> Iterator[tuple[str, Markup]]:
        """Yield id and content of every block of texts.

        Raises:
            UserError: a record is missing or is not the one that the tables were made of.
        """
        outputs, thinking, scenarios = (_Chunks(n) for n in ("outputs", "thinking", "scenarios"))
        for (name, model), cells in files_of(self.run).items():
            task = self.run.study.task(name)
            made = self._choices if task.measure == "choose" else self._responses
            for place, value, thought in made(task, model, cells):
                self._block[place] = outputs.add(place, value)
                yield from outputs.full()
                if thought:
                    self._thought[place] = thinking.add(place, thought)
                    yield from thinking.full()
        for key, texts in self._texts.items():
            self._text_block[key] = scenarios.add(self._text_number(key), texts.json())
            yield from scenarios.full()
        for chunks in (outputs, thinking, scenarios):
            yield from chunks.rest()

    def _text_number(self, key: tuple[str, str]) -> int:
        """One number for a task and scenario."""
        task, scenario = key
        place = self._scenarios[self.run.study.task(task).suite, scenario]
        return self._tasks.index(task) * len(self._scenarios) + place

    def _responses(
        self, task: Task, model: str, cells: list[Cell]
    ) -> Iterator[tuple[int, dict[str, Any], str | None]]:
        wanted = {cell.row.cell_id: cell for cell in cells}
        judges = list(dict.fromkeys(judge for cell in cells for judge in cell.labels))
        file, *label_files = record_files(task, model, judges)
        labels = {
            judge: _labels(self.run, path, judge, wanted)
            for judge, path in zip(judges, label_files, strict=True)
        }
        for response in read_records(self.run.folder / file, Response):
            cell = wanted.pop(response.id, None)
            if cell is None:
                continue
            row = cell.row
            assert isinstance(row, CellRow)
            if response.completion_sha256 != row.completion_sha256:
                raise UserError(
                    "the response is not the one in cells.csv",
                    where=response.id,
                    mend="score the run again",
                )
            texts = self._texts_of(task, response.scenario)
            messages = [[message.role, message.content] for message in response.sent]
            sent = _place(texts.sent, json.dumps({"plain": response.plain, "messages": messages}))
            of_cell = {name: labels[name][response.id] for name in cell.labels}
            yield (
                self._places[response.id],
                _output(response, sent, of_cell, self.run.judges),
                response.thinking,
            )
        _all_found(wanted, "response")

    def _choices(
        self, task: Task, model: str, cells: list[Cell]
    ) -> Iterator[tuple[int, dict[str, Any], None]]:
        wanted = {cell.row.cell_id: cell for cell in cells}
        (file,) = record_files(task, model, ())
        for choice in read_records(self.run.folder / file, Choice):
            cell = wanted.pop(choice.id, None)
            if cell is None:
                continue
            if getattr(cell.row, "key", choice.key) != choice.key:
                raise UserError(
                    "the choice is not the one in choices.csv",
                    where=choice.id,
                    mend="score the run again",
                )
            texts = self._texts_of(task, choice.scenario)
            answers = texts.answers.setdefault(choice.answers, len(texts.answers))
            value = {
                "answers": answers,
                "scores": choice.scores,
                "promptTokens": choice.prompt_tokens,
                "key": choice.key,
            }
            yield self._places[choice.id], value, None
        _all_found(wanted, "choice")

    def _texts_of(self, task: Task, scenario: str) -> _Texts:
        key = (task.name, scenario)
        if key not in self._texts:
            self._texts[key] = self._bare(task, scenario)
        return self._texts[key]

    def _bare(self, task: Task, scenario: str) -> _Texts:
        """What the suite says of a scenario, or of its twin."""
        found = self._of_suite[task.suite][scenario]
        twin = found.twin if task.side == "twins" else None
        context = twin.context if twin and twin.context is not None else found.context
        return _Texts(context, twin.prompt if twin else found.prompt)

    def index(self) -> Markup:
        """Return what filters and the list need: names, and columns of numbers, one a cell."""
        run = self.run
        models = {name: at for at, name in enumerate(run.models)}
        interventions = {name: at for at, name in enumerate(run.shown_interventions)}
        rows = [cell.row for cell in run.cells.values()]
        guards = {name: at for at, name in enumerate(dict.fromkeys(row.guard for row in rows))}
        suites = {task.name: task.suite for task in run.study.tasks}
        categories = list(
            dict.fromkeys(one for suite in run.suites.values() for one in suite.categories)
        )
        of_category = {one.id: at for at, one in enumerate(categories)}
        return script_json(
            {
                "run": run.name,
                "tasks": [self._task(task) for task in run.study.tasks],
                "scales": [_scale(run, scale.name) for scale in run.study.scales],
                "models": run.models,
                "interventions": [
                    {"name": name, "role": role_words(run.study.design, name)}
                    for name in interventions
                ],
                "contrasts": [
                    [interventions[c.a], interventions[c.b]]
                    for c in run.study.design.contrasts(run.shown_interventions)
                ],
                "guards": list(guards),
                "categories": [{"id": one.id, "title": one.title} for one in categories],
                "scenarios": [
                    {"id": scenario, "category": of_category[self._category(suite, scenario)]}
                    for suite, scenario in self._scenarios
                ],
                "judges": [
                    {
                        "name": judge,
                        "note": run.study.notes.get(judge),
                        "error": measured_error(run, judge),
                    }
                    for judge in run.judges
                ],
                "finish": list(FINISH_REASONS),
                "texts": {self._text_number(key): at for key, at in self._text_block.items()},
                "outputs": 1 + max(self._block, default=UNKNOWN),
                "cells": {
                    "task": [self._tasks.index(row.task) for row in rows],
                    "model": [models[row.model] for row in rows],
                    "intervention": [interventions[row.intervention] for row in rows],
                    "scenario": [self._scenarios[suites[row.task], row.scenario] for row in rows],
                    "guard": [guards[row.guard] for row in rows],
                    "sample": [row.sample for row in rows],
                    "finish": [_finish(row) for row in rows],
                    "labels": [self._labels_by(judge) for judge in run.judges],
                    "odds": _odds(run.cells.values()),
                    "block": self._block,
                    "thought": self._thought,
                },
            }
        )

    def _category(self, suite: str, scenario: str) -> str:
        return self._of_suite[suite][scenario].category

    def _task(self, task: Task) -> dict[str, Any]:
        scales = [scale.name for scale in self.run.study.scales]
        labelled = task.measure == "generate"
        judges = [self.run.judges.index(name) for name in task.judges if name in self.run.judges]
        return {
            "name": task.name,
            "scale": scales.index(task.scale) if labelled else UNKNOWN,
            "judges": judges,
            "twins": task.side == "twins",
            "answers": None if labelled else answer_names(self.run.study, task),
        }

    def _labels_by(self, judge: str) -> list[int]:
        places: dict[str, dict[str, int]] = {}
        for task in self.run.study.labelled:
            labels = self.run.study.scale(task.scale).labels
            places[task.name] = {name: at for at, name in enumerate(labels)}
        return [
            places[cell.row.task][cell.labels[judge]] if judge in cell.labels else UNKNOWN
            for cell in self.run.cells.values()
        ]


def _odds(cells: Iterable[Cell]) -> list[float | None]:
    odds = [cell.log_odds for cell in cells]
    return odds if any(value is not None for value in odds) else []


def _finish(row: Any) -> int:
    reason = getattr(row, "finish_reason", None)
    return FINISH_REASONS.index(reason) if reason else UNKNOWN


def _scale(run: Run, name: str) -> list[dict[str, Any]]:
    scale = run.study.scale(name)
    return [
        {
            "name": label,
            "title": labels_of(scale)[label],
            "colour": outcome_colour(scale, label),
            "valid": scale.outcome(label).valid,
            "event": label == scale.event,
        }
        for label in scale.labels
    ]


def _place(known: dict[str, int], text: str) -> int:
    return known.setdefault(text, len(known))


def _labels(run: Run, file: str, judge: str, wanted: dict[str, Cell]) -> dict[str, Label]:
    found = {item.id: item for item in read_records(run.folder / file, Label)}
    for name, cell in wanted.items():
        given = cell.labels.get(judge)
        if given is not None and (name not in found or found[name].label != given):
            raise UserError(
                "the label is not the one in cells.csv",
                where=f"labels of {judge}: {name}",
                mend="score the run again",
            )
    return found


def _all_found(left: dict[str, Cell], what: str) -> None:
    for name in left:
        raise UserError(f"no {what} of this cell", where=name, mend="score the run again")


def _output(
    response: Response, sent: int, labels: dict[str, Label], judges: list[str]
) -> dict[str, Any]:
    """A reply as the script reads it; what there is not is left out."""
    decision = response.decision
    value = {
        "sent": sent,
        "response": response.response,
        "raw": response.raw,
        "decision": decision.model_dump(exclude_none=True) if decision else None,
        "promptTokens": response.prompt_tokens,
        "completionTokens": response.completion_tokens,
        "truncated": response.truncated or None,
        "thinkingCut": response.thinking_cut or None,
        "sha256": response.completion_sha256,
        "key": response.key,
        "verdicts": [
            {
                "judge": judges.index(judge),
                "reason": label.reason,
                "probabilities": label.probabilities,
                "key": label.key,
            }
            for judge, label in labels.items()
        ],
    }
    return {name: given for name, given in value.items() if given is not None}
