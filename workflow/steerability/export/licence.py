"""Which licences a run's texts are under, and which one, if any, is true of a whole crate."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate

from steerability.export.run import FinishedRun
from steerability.protocol.intervention import Intervention
from steerability.support.canonical import sha256_text
from steerability.support.jsonl import read_records
from steerability.support.tables import read_csv

INTERVENTIONS = "interventions.jsonl"
SUFFIXES = Path("workflow") / "reference" / "suffixes.csv"
# it asks for nothing, so that what it covers may go on under any other
_WAIVER = "CC0-1.0"
_BETWEEN = "\n\n"
_ABSENT = {"", "none", "noassertion"}
_OWN = "The workflow's own files are under the licence in LICENSE."


def granted(licence: str) -> str | None:
    """Return a licence, an SPDX identifier as SPDX writes it; None where none is granted."""
    if licence.strip().lower() in _ABSENT:
        return None
    try:
        return str(canonicalize_license_expression(licence))
    except InvalidLicenseExpression:
        return licence.strip()


def input_licences(run: FinishedRun, repository: Path) -> dict[str, str | None]:
    """Return file → licence (None: none was granted), for the texts that a run was given.

    The intervention texts are listed where they are the published ones, by their digests, which
    came without a licence; others are the user's or the workflow's own.

    Args:
        run: the finished run.
        repository: where the digests of the published texts are.
    """
    licences = {f"suites/{name}.json": granted(one.licence) for name, one in run.suites.items()}
    known = repository / SUFFIXES
    rows = read_csv(known, ("sha256",)) if known.is_file() else []
    published = {row["sha256"] for row in rows}
    entries = read_records(run.folder / INTERVENTIONS, Intervention)
    texts = (text for entry in entries for text in texts_of(entry))
    if any(sha256_text(text) in published for text in texts):
        licences[INTERVENTIONS] = None
    return licences


def texts_of(intervention: Intervention) -> Iterator[str]:
    """Yield every text of an intervention's edits, one that is repeated by itself too."""
    for edit in intervention.edits:
        if edit.kind == "turns":
            yield from (message.content for message in edit.messages)
            continue
        for times in range(1, len(edit.text) + 1):
            length, rest = divmod(len(edit.text) + len(_BETWEEN), times)
            one = edit.text[: length - len(_BETWEEN)]
            if not rest and one and _BETWEEN.join([one] * times) == edit.text:
                yield one


def of_whole(crate: ROCrate, licences: Mapping[str, str | None], own: Any, own_name: str) -> Any:
    """Return the licence of a whole crate, an entity: the workflow's, where that is true.

    Args:
        crate: gets the entity.
        licences: as ``input_licences`` returns them.
        own: the entity of the workflow's licence.
        own_name: its SPDX identifier.
    """
    absent = [file for file, licence in licences.items() if licence is None]
    others = {licence for licence in licences.values() if licence not in (own_name, _WAIVER)}
    if absent:
        return _statement(
            crate,
            "#no-licence",
            "None granted",
            f"This crate holds text without a licence ({', '.join(absent)}, and the prompts, "
            f"outputs and pages that quote it): it is not for passing on. {_OWN}",
        )
    if others:
        return _statement(
            crate,
            "#several-licences",
            "No single licence",
            f"{_named(licences)}, and prompts, outputs and pages quote it. {_OWN}",
        )
    return own


def _named(licences: Mapping[str, str | None]) -> str:
    return "; ".join(f"{file} is under {licence}" for file, licence in licences.items())


def of_file(crate: ROCrate, licence: str | None) -> Any:
    """Return the licence of a file, an entity: SPDX's page where it is one that SPDX lists.

    Args:
        crate: gets the entity.
        licence: as ``input_licences`` returns it.
    """
    if licence is None:
        return _statement(
            crate, "#no-licence-of-text", "None granted", "This text came without a licence."
        )
    try:
        listed = canonicalize_license_expression(licence)
    except InvalidLicenseExpression:
        listed = None
    # neither an expression of several nor one's own LicenseRef- has a page
    single = listed and re.fullmatch(r"(?!LicenseRef-)[\w.+-]+", listed)
    identity = f"https://spdx.org/licenses/{listed}" if single else "#licence-of-text"
    return crate.add(ContextEntity(crate, identity, {"@type": "CreativeWork", "name": licence}))


def _statement(crate: ROCrate, identity: str, name: str, description: str) -> Any:
    properties = {"@type": "CreativeWork", "name": name, "description": description}
    return crate.add(ContextEntity(crate, identity, properties))
