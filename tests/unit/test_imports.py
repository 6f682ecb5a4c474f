"""Which files rerun a rule: those that its verbs import, and no list that can fall behind."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

from steerability.cli import VERBS
from steerability.rules.code import code_of

RULES = Path("workflow") / "rules"
# what they fetch has a pinned digest, whichever code brings it
WITHOUT_CODE = {"fetch"}


def names(verb: str, root: Path) -> set[str]:
    package = root / "workflow" / "steerability"
    return {path.relative_to(package).as_posix() for path in code_of(verb, package)}


@pytest.mark.parametrize(
    ("verb", "decide", "beside_it"),
    [
        (
            "plan",
            {"protocol/request.py", "plan/requests.py", "config/model.py", "suites/cases.py"},
            {"needs/needs.py"},
        ),
        (
            "generate",
            {"engine/decoding.py", "generate/run.py", "support/store.py", "support/jsonl.py"},
            {"chat/client.py", "generate/assemble.py", "judges/run.py", "plan/requests.py"},
        ),
        (
            "query",
            {"chat/client.py", "support/retry.py"},
            {"generate/run.py", "generate/assemble.py"},
        ),
        ("assemble", {"generate/assemble.py"}, {"engine/engine.py"}),
        (
            "judge",
            {"judges/llm.py", "judges/rules.py", "engine/scoring.py", "chat/client.py"},
            set(),
        ),
        (
            "agreement",
            {"estimate/bootstrap.py", "agreement/coefficients.py"},
            {"judges/llm.py"},
        ),
        (
            "estimate",
            {"estimate/contrast_table.py", "estimate/bootstrap.py", "score/choices.py"},
            {"report/tables/table1.py", "judges/run.py"},
        ),
        (
            "table",
            {"score/cells.py", "support/tables.py", "config/analysis.py"},
            {"report/figures/style.py"},
        ),
        (
            "page",
            {"report/long_tables.py", "report/page/page.js", "report/page/page.html.j2"},
            {"judges/llm.py"},
        ),
    ],
)
def test_what_a_verb_imports_decides_it(
    verb: str, decide: set[str], beside_it: set[str], root: Path
) -> None:
    found = names(verb, root)
    assert decide <= found
    assert not beside_it & found
    assert f"verbs/{verb}.py" in found


@pytest.mark.parametrize("verb", VERBS)
def test_what_only_speaks_to_people_decides_nothing(verb: str, root: Path) -> None:
    assert not names(verb, root) & {
        "__init__.py",
        "cli.py",
        "support/console.py",
        "support/errors.py",
    }


@pytest.mark.parametrize("table", sorted(RULES.glob("*.smk")), ids=lambda path: path.name)
def test_every_rule_names_the_code_of_the_verb_that_it_calls(table: Path, root: Path) -> None:
    rules = re.split(r"(?m)^ *rule (?=\w+:$)", (root / table).read_text(encoding="utf-8"))[1:]
    for rule in rules:
        called = re.search(r"python -m steerability --log \{log:q\} ([\w-]+)", rule)
        code = re.search(r"code=code\((.+)\),", rule)
        assert called, rule
        if called[1] in WITHOUT_CODE:
            assert code is None
            continue
        assert code, rule
        verbs = ast.literal_eval(f"[{code[1]}]")
        assert verbs[0] == called[1] and set(verbs) <= set(VERBS)


def test_imports_can_be_read_off_the_source(root: Path) -> None:
    """Neither relative nor computed imports, which would be passed over."""
    for path in (root / "workflow" / "steerability").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            assert not (isinstance(node, ast.ImportFrom) and node.level), path
        assert path.name == "cli.py" or "import_module" not in text, path


def test_imports_are_followed_wherever_they_stand(tmp_path: Path) -> None:
    """In functions too, through packages, and round circles."""
    files = {
        "__init__.py": "",
        "verbs/__init__.py": "import steerability.support.tables\n",
        "verbs/score.py": "def score():\n    from steerability.a import b\n",
        "verbs/paint.py": "from steerability import unused\n",
        "a/__init__.py": "",
        "a/b.py": "import steerability.a.c as c\nfrom os import path\n",
        "a/c.py": "from steerability.a.b import name\nfrom steerability import d\n",
        "d.py": "",
        "support/__init__.py": "",
        "support/tables.py": "",
        "unused.py": "",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    found = {path.relative_to(tmp_path).as_posix() for path in code_of("score", tmp_path)}
    assert found == set(files) - {"__init__.py", "unused.py", "verbs/paint.py"}


def test_the_layers_that_are_enforced_are_the_table_of_the_map(root: Path) -> None:
    """`make lint` runs import-linter; a room that is in neither list is refused by it."""
    contracts = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    [contract] = contracts["tool"]["importlinter"]["contracts"]
    assert contract["exhaustive"] and "ignore_imports" not in contract
    enforced = re.findall(r"\w+", " ".join(contract["layers"]))
    page = (root / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page.partition("## The rooms")[2].partition("\n## ")[0]
    rows = re.findall(r"(?m)^\| ((?:`[\w.]+/?`(?:, )?)+) \|", table)
    told = [name.strip("`/").removesuffix(".py") for row in rows for name in row.split(", ")]
    assert ["__main__", *told] == enforced
    package = root / "workflow" / "steerability"
    rooms = {path.parent.name for path in package.glob("*/__init__.py")}
    assert rooms <= set(enforced)


def test_the_lowest_rooms_import_no_other(root: Path) -> None:
    for room in ("protocol", "support", "engine"):
        for path in (root / "workflow" / "steerability" / room).glob("*.py"):
            text = path.read_text(encoding="utf-8")
            found = set(re.findall(r"(?m)^\s*(?:from|import) steerability\.(\w+)", text))
            assert found <= {room}, path
