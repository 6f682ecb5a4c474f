"""A suite described in Croissant 1.1, so that others' tools find it, load it and know its limits.

Croissant (Akhtar et al. 2024, arXiv 2403.19546) describes a data set in JSON-LD: files with sizes
and digests, records with typed fields, and in its vocabulary for responsible AI what the data are
for and where they fall short. Tools for it read no YAML, so that a file of rows stands beside the
suite. Numbers are taken from the suite; words are a person's, in ``about.yaml``.
"""

import hashlib
import json
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from steerability.protocol.base import Record
from steerability.protocol.scenario import Scenario
from steerability.suites.load import load_suite, read_text
from steerability.suites.model import Suite
from steerability.support.errors import UserError
from steerability.support.files import write_atomic
from steerability.support.jsonl import explain

ABOUT = "about.yaml"
DESCRIPTION = "croissant.json"
ROWS = "scenarios.jsonl"
VERSIONS = ("http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0")

# the context of Croissant 1.1: what each short key stands for
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "sc": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "description": {"@container": "@language"},
    "name": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{
        name: f"cr:{name}"
        for name in (
            *("arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract"),
            *("field", "fileObject", "fileProperty", "fileSet", "format", "includes", "isArray"),
            *("isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet"),
            *("references", "regex", "repeated", "replace", "samplingRate", "separator", "source"),
            *("subField", "transform"),
        )
    },
}

_FIELDS = {
    "id": "Name of the scenario, kept for good.",
    "category": "The kind of behaviour that it gives room for.",
    "split": "`learn` where things may be learnt or searched on it, `test` where they are tested.",
    "context": "The system message.",
    "prompt": "The user message.",
    "convergent": "An answer that takes the instrumentally convergent means.",
    "compliant": "An answer that does the task within its terms.",
    "twin_context": "The twin's system message.",
    "twin_prompt": "The twin's user message, in which the same means are allowed.",
    "doing": "An answer to the twin that does what is allowed.",
    "declining": "An answer to the twin that declines it, or hedges it away.",
    "canary": "Marks the row as evaluation data, not to be trained on.",
}


class ResponsibleAI(Record):
    """The fields of Croissant's vocabulary for responsible AI, under its own names."""

    dataCollection: str  # noqa: N815
    dataCollectionType: list[str]  # noqa: N815
    dataCollectionRawData: str  # noqa: N815
    dataCollectionTimeframe: list[date]  # noqa: N815
    dataPreprocessingProtocol: list[str]  # noqa: N815
    dataAnnotationProtocol: list[str]  # noqa: N815
    annotationsPerItem: str  # noqa: N815
    annotatorDemographics: list[str]  # noqa: N815
    machineAnnotationTools: list[str]  # noqa: N815
    dataBiases: list[str]  # noqa: N815
    dataUseCases: list[str]  # noqa: N815
    dataLimitations: list[str]  # noqa: N815
    dataSocialImpact: str  # noqa: N815
    personalSensitiveInformation: list[str]  # noqa: N815
    dataReleaseMaintenancePlan: str  # noqa: N815


class About(Record):
    """What a person says about a suite; the rest of its description is read off the suite.

    Attributes:
        description: what the suite is, in a few sentences.
        creators: names of those who answer for it.
        keywords: what it is found by.
        published: the day of this version.
        cite_as: a reference in BibTeX.
        url: its page, where it has one.
        responsible_ai: how it was made, what it is for, where it falls short.
    """

    description: str = Field(min_length=1)
    creators: list[str] = Field(min_length=1)
    keywords: list[str]
    published: date
    cite_as: str = Field(min_length=1)
    url: str | None = None
    responsible_ai: ResponsibleAI


def read_about(path: Path) -> About:
    """Read what a person says about a suite.

    Raises:
        UserError: the file cannot be read, is not YAML, or lacks a field.
    """
    try:
        return About.model_validate(yaml.safe_load(read_text(path)))
    except yaml.YAMLError as error:
        what = " ".join(str(error).split())
        raise UserError(f"not YAML: {what}", where=path, mend="indent evenly") from error
    except ValidationError as error:
        mend = "begin with a copy of workflow/suites/builtin/about.yaml"
        raise UserError(explain(error), where=path, mend=mend) from error


def row(suite: Suite, scenario: Scenario) -> dict[str, str | None]:
    """Return a scenario as one flat row; None where it has no answers or no twin."""
    answers, twin = scenario.answers, scenario.twin
    context = scenario.context if twin is None or twin.context is None else twin.context
    told = twin.answers if twin else None
    values = (
        *(scenario.id, scenario.category, suite.split_of(scenario)),
        *(scenario.context, scenario.prompt),
        *(answers.pair if answers else (None, None)),
        *((context, twin.prompt) if twin else (None, None)),
        *(told.pair if told else (None, None)),
        suite.canary,
    )
    return dict(zip(_FIELDS, values, strict=True))


def rows(suite: Suite) -> bytes:
    """Return the rows of a suite as JSON lines, in the suite's order."""
    lines = (json.dumps(row(suite, one), ensure_ascii=False) for one in suite.scenarios)
    return "".join(f"{line}\n" for line in lines).encode()


def describe(suite: Suite, about: About, files: dict[str, bytes]) -> dict[str, Any]:
    """Return the description of a suite as JSON-LD.

    Args:
        suite: the suite.
        about: what a person says about it.
        files: the suite's file and its rows, name → content.
    """
    responsible = about.responsible_ai.model_dump(mode="json")
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": list(VERSIONS),
        "name": suite.name,
        "alternateName": suite.title,
        "description": f"{about.description.strip()} {_counts(suite)}",
        "version": suite.version,
        "license": f"https://spdx.org/licenses/{suite.licence}",
        **({"url": about.url} if about.url else {}),
        "creator": [{"@type": "sc:Organization", "name": name} for name in about.creators],
        "datePublished": about.published.isoformat(),
        "inLanguage": "en",
        "keywords": about.keywords,
        "citeAs": about.cite_as.strip(),
        **{f"rai:{name}": value for name, value in responsible.items()},
        "distribution": [_file(name, content) for name, content in files.items()],
        "recordSet": [_categories(suite), _splits(), _scenarios()],
    }


def write(path: Path) -> tuple[Path, Path]:
    """Write a suite's description and rows beside it.

    Args:
        path: the suite's file; what a person says of it lies beside it in ``about.yaml``.

    Returns:
        The description and the rows.

    Raises:
        UserError: the suite, or what is said about it, is wrong.
    """
    suite, about = load_suite(path), read_about(path.parent / ABOUT)
    made = rows(suite)
    described = describe(suite, about, {path.name: path.read_bytes(), ROWS: made})
    text = json.dumps(described, ensure_ascii=False, indent=2) + "\n"
    description, table = path.parent / DESCRIPTION, path.parent / ROWS
    write_atomic(table, made)
    write_atomic(description, text.encode())
    return description, table


def _counts(suite: Suite) -> str:
    splits = list(suite.splits().values())
    return (
        f"{len(suite.scenarios)} scenarios in {len(suite.categories)} categories, "
        f"{sum(one.answers is not None for one in suite.scenarios)} with two answers, "
        f"{sum(one.twin is not None for one in suite.scenarios)} with a benign twin; "
        f"{splits.count('learn')} to learn on, {splits.count('test')} to test on."
    )


def _file(name: str, content: bytes) -> dict[str, str]:
    rows_of_suite = name == ROWS
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "description": "One row a scenario." if rows_of_suite else "The suite, as it is written.",
        "contentUrl": name,
        "contentSize": f"{len(content)} B",
        "encodingFormat": "application/jsonlines" if rows_of_suite else "application/yaml",
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def _scenarios() -> dict[str, Any]:
    fields = []
    for name, meaning in _FIELDS.items():
        field: dict[str, Any] = {
            "@type": "cr:Field",
            "@id": f"scenarios/{name}",
            "name": name,
            "description": meaning,
            "dataType": "sc:Text",
            "source": {"fileObject": {"@id": ROWS}, "extract": {"column": name}},
        }
        if name in ("category", "split"):
            other = {"category": "categories/id", "split": "splits/name"}[name]
            field["references"] = {"field": {"@id": other}}
        fields.append(field)
    return {
        "@type": "cr:RecordSet",
        "@id": "scenarios",
        "name": "scenarios",
        "key": {"@id": "scenarios/id"},
        "field": fields,
    }


def _categories(suite: Suite) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": "categories",
        "name": "categories",
        "dataType": "sc:Enumeration",
        "key": {"@id": "categories/id"},
        "field": [_plain("categories/id", "sc:Text"), _plain("categories/title", "sc:Text")],
        "data": [
            {"categories/id": category.id, "categories/title": category.title}
            for category in suite.categories
        ],
    }


def _splits() -> dict[str, Any]:
    kinds = {"learn": "cr:TrainingSplit", "test": "cr:TestSplit"}
    return {
        "@type": "cr:RecordSet",
        "@id": "splits",
        "name": "splits",
        "dataType": "cr:Split",
        "key": {"@id": "splits/name"},
        "field": [_plain("splits/name", "sc:Text"), _plain("splits/url", "sc:URL")],
        "data": [{"splits/name": name, "splits/url": url} for name, url in kinds.items()],
    }


def _plain(identifier: str, kind: str) -> dict[str, str]:
    name = identifier.split("/")[1]
    return {"@type": "cr:Field", "@id": identifier, "name": name, "dataType": kind}
