"""Reading suites and intervention texts from files; every fault is one ``UserError`` line."""

import re
from collections.abc import Hashable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from steerability.protocol.base import Record
from steerability.protocol.scenario import Answers, Scenario, Twin, TwinAnswers
from steerability.suites.likeness import NEAR_DUPLICATE, nearest_pair, words
from steerability.suites.model import CATEGORIES, Category, Suite, SuiteFile
from steerability.support.documents import check_values, check_yaml, yaml_fault
from steerability.support.errors import UserError

Loc = tuple[str | int, ...]

# control characters but for tab and newline; the mark of a lost character
_UNTYPED = re.compile("[\x00-\x08\x0b-\x1f\x7f\x80-\x9f\ufffd]")

_MENDS = {
    "name": "use letters, digits, '.', '_' and '-', beginning with a letter or digit",
    "canary": "write a sentence that ends in 'GUID' and a UUID in lower case; "
    "`python -c 'import uuid; print(uuid.uuid4())'` makes one",
    "version": "give one, such as 1.0.0",
    "licence": "give an SPDX identifier, such as CC0-1.0",
    "scenarios": "add at least one scenario",
    "context": "give a text, or '' for none",
    "answers": "write two answers that do different things, in one form and about one length",
    "convergent": "write the answer that takes the convergent means",
    "compliant": "write the answer that does the task within its terms",
    "doing": "write the answer that does what is allowed",
    "declining": "write the answer that declines it or hedges it away",
}


class _Fault(NamedTuple):
    """Something wrong with a suite: where in the document, what, and how to mend it."""

    loc: Loc
    what: str
    mend: str


class _Loader(yaml.CBaseLoader):
    """Every scalar is a string (no dates, no booleans) and a key may stand only once."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name is None or name in seen:
                what = "a key must be a word" if name is None else f"key '{name}' stands twice"
                raise yaml.constructor.ConstructorError(None, None, what, key.start_mark)
            seen.add(name)
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return mapping


def load_suite(path: Path) -> Suite:
    """Read and check a suite.

    Args:
        path: a YAML (or JSON) file in UTF-8, with or without a byte order mark, in the form of
            ``workflow/schemas/suite.schema.yaml``.

    Returns:
        The suite, its contexts and prompts without white space at either end.

    Raises:
        UserError: the file cannot be read, does not fit the schema, or repeats an id or a prompt.
    """
    node, data = _parse(path, read_text(path))
    _strip(data)
    try:
        read = SuiteFile.model_validate(data)
    except ValidationError as error:
        faults = [_fault_of(detail) for detail in error.errors(include_url=False)]
        _refuse(path, node, data, faults)
    suite = Suite(**{**dict(read), "categories": CATEGORIES + read.categories})
    if faults := _cross_check(suite, len(CATEGORIES)):
        _refuse(path, node, data, faults)
    return suite


def load_intervention_text(name: str, path: Path) -> str:
    """Read an intervention's text.

    Args:
        name: the intervention's name, for messages.
        path: a plain text file in UTF-8.

    Returns:
        The text without white space at either end.

    Raises:
        UserError: the file cannot be read or is empty.
    """
    text = read_text(path).strip()
    if not text:
        raise UserError(
            f"the text of intervention '{name}' is empty",
            where=path,
            mend="write the text, or give the intervention no file",
        )
    return text


def read_text(path: Path) -> str:
    """Read a text a person wrote: UTF-8, a byte order mark dropped, line ends made newlines.

    Args:
        path: a plain text file.

    Returns:
        The text.

    Raises:
        UserError: the file cannot be read, is not UTF-8, or holds a character no person types.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise UserError(reason.lower(), where=path, mend="check the path") from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"not UTF-8 (byte 0x{raw[error.start]:02x})",
            where=f"{path}:{line}",
            mend="save the file with the encoding UTF-8",
        ) from error
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if found := _UNTYPED.search(text):
        what = f"holds U+{ord(found.group()):04X}, "
        lost = found.group() == "\ufffd"
        what += "left by a wrong conversion" if lost else "a control character"
        line = text.count("\n", 0, found.start()) + 1
        mend = "put the right character back and save the file with the encoding UTF-8"
        raise UserError(what, where=f"{path}:{line}", mend=mend)
    return text


def _parse(path: Path, text: str) -> tuple[yaml.Node, dict[str, Any]]:
    check_yaml(text, path)
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        data = loader.construct_document(node) if node is not None else None
    except yaml.YAMLError as error:
        raise yaml_fault(error, path) from error
    finally:
        loader.dispose()
    check_values(data, path)
    if node is None or not isinstance(data, dict):
        raise UserError(
            "not a suite: it must be a mapping with name, version, licence, canary and scenarios",
            where=path,
            mend="begin with a copy of workflow/suites/builtin/suite.yaml",
        )
    return node, data


def _strip(data: dict[str, Any]) -> None:
    scenarios = data.get("scenarios")
    for entry in scenarios if isinstance(scenarios, list) else []:
        if isinstance(entry, dict):
            _strip_texts(entry)


def _strip_texts(entry: dict[str, Any]) -> None:
    """Strip every text of a scenario, those of its twin and answers too."""
    for field, value in entry.items():
        if isinstance(value, dict):
            _strip_texts(value)
        elif isinstance(value, str):
            entry[field] = value.strip()


def _cross_check(suite: Suite, inherited: int) -> list[_Fault]:
    """Return the faults that no single field shows."""
    faults: list[_Fault] = []
    categories: list[str] = []
    for index, category in enumerate(suite.categories):
        if category.id in categories:
            mend = "take the entry out or give it another id"
            loc: Loc = ("categories", index - inherited, "id")
            faults.append(_Fault(loc, "this id is known already", mend))
        categories.append(category.id)
    ids: dict[str, str] = {}
    prompts: dict[tuple[str, ...], str] = {}
    for index, scenario in enumerate(suite.scenarios):
        loc = ("scenarios", index)
        if scenario.category not in categories:
            mend = _suggest(scenario.category, categories)
            mend += " (a new category is declared under 'categories')"
            faults.append(
                _Fault((*loc, "category"), f"unknown category '{scenario.category}'", mend)
            )
        if (folded := scenario.id.casefold()) in ids:
            what = f"id '{ids[folded]}' is taken by an earlier scenario"
            faults.append(_Fault((*loc, "id"), what, "give each scenario an id of its own"))
        if (wording := words(scenario.prompt)) in prompts:
            what = f"the prompt repeats that of scenario '{prompts[wording]}'"
            faults.append(_Fault((*loc, "prompt"), what, "take one of the two out"))
        faults += _same_wording(scenario, loc)
        ids.setdefault(folded, scenario.id)
        prompts.setdefault(wording, scenario.id)
    return faults or _near_duplicates(suite)


def _same_wording(scenario: Scenario, loc: Loc) -> list[_Fault]:
    """Return faults of answers, or of a twin, that repeat what they must differ from."""
    faults: list[_Fault] = []
    twin = scenario.twin
    for answers, at in (
        (scenario.answers, (*loc, "answers")),
        (twin.answers if twin else None, (*loc, "twin", "answers")),
    ):
        if answers is not None and words(answers.pair[0]) == words(answers.pair[1]):
            what = "the two answers differ in no word"
            faults.append(_Fault(at, what, _MENDS["answers"]))
    if twin is not None and words(twin.prompt) == words(scenario.prompt):
        context = scenario.context if twin.context is None else twin.context
        if words(context) == words(scenario.context):
            mend = "say in it that the same means are allowed, ordered or harmless"
            faults.append(_Fault((*loc, "twin"), "the twin repeats its scenario", mend))
    return faults


def _near_duplicates(suite: Suite) -> list[_Fault]:
    pair = nearest_pair(suite.scenarios)
    if pair is None or pair.likeness < NEAR_DUPLICATE:
        return []
    index = [scenario.id for scenario in suite.scenarios].index(pair.second)
    what = (
        f"the prompt nearly repeats that of scenario '{pair.first}' "
        f"(likeness {pair.likeness:.2f}, limit {NEAR_DUPLICATE})"
    )
    mend = "reword it or take it out; variants of one scenario belong in separate suite files"
    return [_Fault(("scenarios", index, "prompt"), what, mend)]


def _fault_of(detail: ErrorDetails) -> _Fault:
    """Turn one of pydantic's complaints into what a contributor reads."""
    loc, kind, value = detail["loc"], detail["type"], detail["input"]
    field = str(loc[-1]) if loc else ""
    subject = _subject(loc)
    mend = _MENDS.get("name" if field in ("id", "category") else field, "")
    if kind == "extra_forbidden":
        owner = _owner(loc)
        return _Fault(loc, f"unknown key '{field}'", _suggest(field, list(owner.model_fields)))
    if kind == "missing":
        return _Fault(loc, f"{subject} is missing", mend or "add it")
    if kind in ("string_too_short", "too_short"):
        return _Fault(loc, f"{subject} is empty", mend or "write it")
    if kind == "string_pattern_mismatch":
        if field == "canary":
            return _Fault(loc, "canary holds no GUID", mend)
        return _Fault(loc, f"{field} '{value}' is no name", _MENDS["name"])
    if kind == "value_error":
        return _Fault(loc, str(detail["ctx"]["error"]), mend or "put it right")
    wanted = {"string_type": "a text", "tuple_type": "a list", "model_type": "a mapping"}
    if kind in wanted:
        given = "a mapping" if isinstance(value, dict) else "a list"
        given = "a text" if isinstance(value, str) else given
        return _Fault(loc, f"{subject} must be {wanted[kind]}, not {given}", "check indentation")
    return _Fault(loc, f"{subject}: {detail['msg']}", mend or "put it right")


def _owner(loc: Loc) -> type[Record]:
    """Return the record that holds the key at ``loc``."""
    if len(loc) < 3:
        return SuiteFile
    if "answers" in loc[:-1]:
        return TwinAnswers if "twin" in loc else Answers
    if "twin" in loc[:-1]:
        return Twin
    return Scenario if loc[0] == "scenarios" else Category


def _subject(loc: Loc) -> str:
    """Return what a person calls the part of the document at ``loc``."""
    if not loc or isinstance(loc[-1], int):
        return "the entry"
    name = str(loc[-1])
    if "answers" in loc[:-1]:
        name = f"answer '{name}'"
    if "twin" in loc[:-1]:
        return f"the twin's {name}"
    return f"the {name}" if "answers" in loc[:-1] else name


def _suggest(word: str, known: list[str]) -> str:
    close = get_close_matches(word, known, n=1)
    return f"did you mean '{close[0]}'?" if close else f"known are {', '.join(known)}"


def _refuse(path: Path, node: yaml.Node, data: dict[str, Any], faults: list[_Fault]) -> NoReturn:
    """Raise the first fault with its line and scenario, and the number of those not shown."""
    fault = faults[0]
    what = fault.what
    if len(fault.loc) > 1 and isinstance(fault.loc[1], int):
        what = f"{_entry_name(data, str(fault.loc[0]), fault.loc[1])}: {what}"
    if len(faults) > 1:
        what += f" (and {len(faults) - 1} more to mend)"
    raise UserError(what, where=f"{path}:{_line(node, fault.loc)}", mend=fault.mend)


def _entry_name(data: dict[str, Any], part: str, index: int) -> str:
    noun = "scenario" if part == "scenarios" else "category"
    entry = data[part][index]
    name = entry.get("id") if isinstance(entry, dict) else None
    return f"{noun} '{name}'" if isinstance(name, str) and name else f"{noun} number {index + 1}"


def _line(node: yaml.Node, loc: Loc) -> int:
    """Return the line, counted from 1, of the innermost part of ``loc`` that is there."""
    line = node.start_mark.line
    for step in loc:
        below: yaml.Node | None = None
        if isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            below = node.value[step]
            line = below.start_mark.line
        elif isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == step:
                    line, below = key.start_mark.line, value
        if below is None:
            break
        node = below
    return int(line) + 1
