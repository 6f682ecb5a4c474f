"""A run as a Workflow Run RO-Crate 0.5: what was run, on what, with which settings, giving what.

Profiles: Process Run Crate, Workflow Run Crate (https://w3id.org/ro/wfrun/workflow/0.5) and
Workflow RO-Crate 1.0, on RO-Crate 1.1.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate

from steerability.export.licence import INTERVENTIONS, input_licences, of_file, of_whole
from steerability.export.run import FinishedRun
from steerability.publish.manifest import MANIFEST, stage_of
from steerability.support.canonical import canonical_json
from steerability.support.documents import read_yaml
from steerability.support.errors import UserError

PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
# of the terms of https://w3id.org/ro/terms/workflow-run/context, those that a crate uses
TERMS = {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"}
PARAMETER_PROFILE = "https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE"
SUITES = "suites/"
# what the workflow runs with; neither images nor weights
CARRIED = (
    *("CITATION.cff", "Makefile", "README.md", "config.yaml", "pyproject.toml"),
    *("config/*.csv", "config/*.yaml", "config/variants/*"),
    *("containers/*.def", "containers/*.py", "containers/*.sh"),
    *("envs/*.in", "envs/*.sh", "envs/*.txt"),
    *("workflow/judges/*", "workflow/profiles/*/config.yaml", "workflow/reference/*"),
    *("workflow/report/*.rst", "workflow/report/figures/*", "workflow/rules/*.smk"),
    "workflow/schemas/*.yaml",
    *(f"workflow/steerability/**/*.{kind}" for kind in ("css", "j2", "js", "py")),
    *("workflow/suites/README.md", "workflow/suites/builtin/*", "workflow/suites/interventions/*"),
)
_CODE = {"@type": ["File", "SoftwareSourceCode"]}
MEDIA = {
    ".csv": "text/csv",
    ".html": "text/html",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".md": "text/markdown",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".tex": "application/x-tex",
}


def write_crate(
    run: FinishedRun,
    parameters: Mapping[str, Any],
    notes: Mapping[str, str],
    repository: Path,
    target: Path,
) -> int:
    """Write a crate that holds the run's files and the workflow's.

    Args:
        run: the finished run.
        parameters: the config's values by name; anything that is no scalar is kept as JSON text.
        notes: judge → warning.
        repository: where the Snakefile, LICENSE and CITATION.cff are.
        target: the crate's folder, made anew; it must not exist.

    Returns:
        The number of the run's files in the crate.

    Raises:
        UserError: the repository is none, or the target is there already.
    """
    if target.exists():
        raise UserError("is there already", where=target, mend="name a folder that is not there")
    citation = _citation(repository)
    crate = ROCrate(gen_preview=False, version="1.1")
    crate.metadata.extra_contexts.append(TERMS)
    crate.name = f"Steerability: the run {run.manifest.run}"
    crate.description = _description(run, notes)
    crate.datePublished = run.finished
    authors = [_author(crate, author) for author in citation["authors"]]
    crate.root_dataset["author"] = _one_or_all(authors)
    licences = input_licences(run, repository)
    own = _own_licence(crate, repository, citation)
    crate.license = of_whole(crate, licences, own, citation["license"])
    crate.root_dataset["conformsTo"] = [
        crate.add(
            ContextEntity(crate, url, {"@type": "CreativeWork", "name": name, "version": version})
        )
        for url, (name, version) in PROFILES.items()
    ]
    workflow = _workflow(crate, run, repository, citation, authors)
    given, made = _files(crate, run, licences)
    given += _weights(crate, run)
    settings = [_setting(crate, name, value) for name, value in parameters.items()]
    workflow["input"] = [*_slots(given), *(setting["exampleOfWork"] for setting in settings)]
    workflow["output"] = _slots(made)
    action = crate.add_action(
        workflow,
        identifier="#run",
        object=[*given, *settings],
        result=made,
        properties={
            "name": f"Run {run.manifest.run}",
            "description": crate.description,
            "endTime": run.finished.isoformat(),
            "actionStatus": "http://schema.org/CompletedActionStatus",
        },
    )
    action["agent"] = _one_or_all(authors)
    crate.root_dataset["mentions"] = action
    crate.write(target)
    return len(run.manifest.files)


def _description(run: FinishedRun, notes: Mapping[str, str]) -> str:
    judges = [f"{name} ({notes[name]})" if name in notes else name for name in run.judges]
    models = ", ".join(name for name, _, _ in run.models)
    suites = ", ".join(
        f"{len(suite.scenarios)} scenarios of the suite {suite.title or suite.name}"
        for suite in run.suites.values()
    )
    return (
        f"How far a short prompt intervention steers language models towards or away from "
        f"instrumental convergence: {models}; {suites}; labels by {', '.join(judges)}. "
        f"Digest of the run: {run.manifest.digest}."
    )


def _citation(repository: Path) -> dict[str, Any]:
    path = repository / "CITATION.cff"
    try:
        found = read_yaml(path)
    except UserError as error:
        raise UserError(
            f"no CITATION.cff to name authors by: {error.what}",
            where=path,
            mend="give --repository",
        ) from error
    return dict(found)


def _author(crate: ROCrate, author: Mapping[str, str]) -> ContextEntity:
    name = author.get("name") or f"{author['given-names']} {author['family-names']}"
    kind = "Organization" if "name" in author else "Person"
    identity = author.get("orcid") or f"#{name.lower().replace(' ', '-')}"
    return crate.add(ContextEntity(crate, identity, {"@type": kind, "name": name}))


def _one_or_all(entities: list[ContextEntity]) -> ContextEntity | list[ContextEntity]:
    """The entity itself where there is one, as RO-Crate 1.1 recommends."""
    return entities[0] if len(entities) == 1 else entities


def _own_licence(crate: ROCrate, repository: Path, citation: Mapping[str, Any]) -> Any:
    return crate.add_file(
        repository / "LICENSE",
        "LICENSE",
        properties={"name": citation["license"], "encodingFormat": "text/plain"},
    )


def _workflow(
    crate: ROCrate,
    run: FinishedRun,
    repository: Path,
    citation: Mapping[str, Any],
    authors: list[ContextEntity],
) -> Any:
    versions = dict(run.manifest.facts.get("versions", {}))
    snakefile = repository / "Snakefile"
    if not snakefile.is_file():
        raise UserError("no Snakefile", where=repository, mend="give --repository")
    release = versions.pop("steerability", str(citation["version"]))
    workflow = crate.add_workflow(
        snakefile,
        "Snakefile",
        main=True,
        lang="snakemake",
        lang_version=versions.pop("snakemake", None),
        properties={
            "name": citation["title"],
            "version": release,
            "license": citation["license"],
            "encodingFormat": "text/plain",
        },
    )
    workflow["author"] = _one_or_all(authors)
    workflow["hasPart"] = [
        crate.add_file(
            path,
            path.relative_to(repository).as_posix(),
            properties={"name": path.name, "encodingFormat": MEDIA.get(path.suffix, "text/plain")}
            | (_CODE | {"version": release} if path.suffix in (".py", ".smk") else {}),
        )
        for path in carried(repository)
    ]
    workflow["softwareRequirements"] = [
        crate.add(
            ContextEntity(
                crate,
                f"#software-{name}",
                {"@type": "SoftwareApplication", "name": name, "softwareVersion": version},
            )
        )
        for name, version in sorted(versions.items())
    ]
    return workflow


def carried(repository: Path) -> list[Path]:
    """Return the files that a crate holds of the workflow, besides Snakefile and LICENSE."""
    return sorted({path for pattern in CARRIED for path in repository.glob(pattern)})


def _files(
    crate: ROCrate, run: FinishedRun, licences: Mapping[str, str | None]
) -> tuple[list[Any], list[Any]]:
    """Add the run's files; return those it was given and those it made."""
    given: list[Any] = []
    made: list[Any] = []
    for name in (*sorted(run.manifest.files), MANIFEST):
        is_input = name == INTERVENTIONS or name.startswith(SUITES)
        slot = "manifest" if name == MANIFEST else stage_of(name)
        if is_input:
            slot = "interventions" if name == INTERVENTIONS else "suite"
        entity = crate.add_file(
            run.folder / name,
            name,
            properties={
                "name": name,
                "encodingFormat": MEDIA.get(Path(name).suffix, "application/octet-stream"),
                "contentSize": str((run.folder / name).stat().st_size),
            }
            | ({"sha256": run.manifest.files[name]} if name in run.manifest.files else {}),
        )
        entity["exampleOfWork"] = _slot(crate, "input" if is_input else "output", str(slot), "File")
        if name in licences:
            entity["license"] = of_file(crate, licences[name])
        (given if is_input else made).append(entity)
    return given, made


def _weights(crate: ROCrate, run: FinishedRun) -> list[Any]:
    """Name the weights by digest: they are too large to be carried along."""
    jobs = run.manifest.facts.get("jobs", {})
    digests = {facts["weights_sha256"] for facts in jobs.values() if facts.get("weights_sha256")}
    entities = []
    for digest in sorted(digests):
        properties = {
            "@type": "CreativeWork",
            "name": "Weights in GGUF form",
            "identifier": digest,
            "sha256": digest,
        }
        entity = crate.add(ContextEntity(crate, f"#weights-{digest}", properties))
        entity["exampleOfWork"] = _slot(crate, "input", "weights", "File")
        entities.append(entity)
    return entities


def _slot(crate: ROCrate, side: str, name: str, kind: str) -> Any:
    identity = f"#{side}-{name}"
    known = crate.get(identity)
    if known is not None:
        return known
    properties = {
        "@type": "FormalParameter",
        "name": name,
        "additionalType": kind,
        "conformsTo": {"@id": PARAMETER_PROFILE},
    }
    return crate.add(ContextEntity(crate, identity, properties))


def _slots(entities: list[Any]) -> list[Any]:
    slots = [entity["exampleOfWork"] for entity in entities]
    return list({slot.id: slot for slot in slots}.values())


def _setting(crate: ROCrate, name: str, value: Any) -> Any:
    kinds = {bool: "Boolean", int: "Integer", float: "Float"}
    kind = kinds.get(type(value), "Text")
    entity = crate.add(
        ContextEntity(
            crate,
            f"#setting-{name}",
            {
                "@type": "PropertyValue",
                "name": name,
                "value": value if kind != "Text" else _as_text(value),
            },
        )
    )
    entity["exampleOfWork"] = _slot(crate, "parameter", name, kind)
    return entity


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else canonical_json(value).decode("utf-8")
