"""The file of a trained judge: safetensors, named by its digest; loading it runs nothing.

The tensors are plain arrays and the one metadata entry is canonical JSON. A file is read only
when its bytes have the digest that its name says, and every shape is checked against the rest.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from steerability.judges.rubric import Rubric
from steerability.protocol.scale import BEHAVIOUR
from steerability.support.canonical import canonical_json, sha256_file
from steerability.support.documents import parse_json
from steerability.support.errors import UserError
from steerability.support.files import write_atomic
from steerability.support.jsonl import explain
from steerability.trained_judge.features import VIEWS

SUFFIX = ".safetensors"
POINTER = "distilled.json"
_ENTRY = "steerability"
_PLAIN = ("columns", "mean", "scale", "intercept")
Numbers = NDArray[np.float32]


class Facts(BaseModel):
    """The metadata of a trained judge.

    Attributes:
        format: of this file.
        semantics: version of the code that computes the features.
        labels: the order of the weights' rows.
        rubric: the rules rubric whose measures and cues are features.
        temperature: what scores are divided by.
        reference: the judge it was trained on.
        cells: training cells.
        data: digest of the training cells (completion, prompt, label), sorted.
        training: parameters of the training.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = Field(default=2, ge=2, le=2)
    semantics: int
    labels: tuple[str, ...]
    rubric: Rubric
    temperature: float = Field(gt=0)
    reference: str
    cells: int = Field(ge=1)
    data: str
    training: dict[str, Any]


class Pointer(BaseModel):
    """``distilled.json``: which file beside it is the judge."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


@dataclass(frozen=True)
class View:
    """The known terms of one view of a response.

    Attributes:
        terms: sorted.
        rarity: float32, shape (terms,).
        weights: float32, shape (labels, terms).
    """

    terms: tuple[str, ...]
    rarity: Numbers
    weights: Numbers


@dataclass(frozen=True)
class Trained:
    """A trained judge's arrays and facts.

    Attributes:
        views: the terms, in the order of ``VIEWS``.
        columns: float32, shape (labels, columns).
        mean: float32, shape (columns,).
        scale: float32, shape (columns,).
        intercept: float32, shape (labels,).
        facts: the metadata.
    """

    views: tuple[View, ...]
    columns: Numbers
    mean: Numbers
    scale: Numbers
    intercept: Numbers
    facts: Facts

    def content(self) -> bytes:
        """Return the file's bytes; terms stand there as UTF-8, one a line."""
        facts = canonical_json(self.facts.model_dump(mode="json")).decode("utf-8")
        arrays: dict[str, NDArray[Any]] = {name: getattr(self, name) for name in _PLAIN}
        for name, one in zip(VIEWS, self.views, strict=True):
            lines = "\n".join(one.terms).encode("utf-8")
            arrays[f"{name}.terms"] = np.frombuffer(lines, dtype=np.uint8)
            arrays[f"{name}.rarity"] = one.rarity
            arrays[f"{name}.weights"] = one.weights
        # save() writes memory as it lies, whatever the strides
        plain = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        return save(plain, metadata={_ENTRY: facts})


def _of_arrays(arrays: dict[str, NDArray[Any]], facts: Facts, columns: int | None) -> Trained:
    """Return the judge of a file's arrays, whose shapes and types must fit each other.

    Raises:
        ValueError: they do not.
    """
    found = {name: (str(array.dtype), array.shape) for name, array in arrays.items()}
    width = columns or len(arrays.get("mean", ()))
    labels = len(BEHAVIOUR.names)
    wanted: dict[str, tuple[str, tuple[int, ...]]] = {
        "columns": ("float32", (labels, width)),
        "mean": ("float32", (width,)),
        "scale": ("float32", (width,)),
        "intercept": ("float32", (labels,)),
    }
    views = []
    for name in VIEWS:
        raw = arrays.get(f"{name}.terms", np.zeros(0, dtype=np.uint8))
        lines = raw.tobytes().decode("utf-8")
        terms = tuple(lines.split("\n")) if lines else ()
        wanted[f"{name}.terms"] = ("uint8", (len(lines.encode("utf-8")),))
        wanted[f"{name}.rarity"] = ("float32", (len(terms),))
        wanted[f"{name}.weights"] = ("float32", (labels, len(terms)))
        views.append((name, terms))
    if found != wanted:
        raise ValueError(f"it holds {found}, not {wanted}")
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise ValueError("it holds numbers that are none")
    return Trained(
        views=tuple(
            View(terms, arrays[f"{name}.rarity"], arrays[f"{name}.weights"])
            for name, terms in views
        ),
        **{name: arrays[name] for name in _PLAIN},
        facts=facts,
    )


def write_trained(folder: Path, trained: Trained, remarks: dict[str, Any]) -> str:
    """Write the judge's file and the pointer to it; return the digest.

    Args:
        folder: where both go.
        trained: the judge.
        remarks: further entries of the pointer, for people.
    """
    content = trained.content()
    digest = hashlib.sha256(content).hexdigest()
    write_atomic(folder / f"{digest}{SUFFIX}", content)
    pointer = {"sha256": digest, "bytes": len(content), **remarks}
    write_atomic(folder / POINTER, canonical_json(pointer) + b"\n")
    return digest


def read_trained(path: Path, columns: int | None = None) -> tuple[str, Trained]:
    """Read a trained judge and return it with its digest.

    Args:
        path: the file, named by its digest, or the pointer beside it.
        columns: how many columns the features have; None does not check.

    Raises:
        UserError: the file is missing, its digest is not its name, or it does not fit.
    """
    file = _resolve(path)
    try:
        digest = sha256_file(file)
    except OSError as error:
        raise UserError(
            f"cannot be read: {error.strerror}", where=file, mend="train it: steerability distil"
        ) from error
    if digest != file.stem:
        raise UserError(
            f"has the digest {digest}, not the one in its name", where=file, mend="train it again"
        )
    try:
        with safe_open(str(file), framework="numpy") as opened:
            metadata = opened.metadata() or {}
            arrays = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        facts = Facts.model_validate(parse_json(metadata[_ENTRY], file))
        if facts.labels != BEHAVIOUR.names:
            raise ValueError("it holds other labels")
        return digest, _of_arrays(arrays, facts, columns)
    except ValidationError as error:
        raise UserError(explain(error), where=file, mend="train it again") from error
    except (SafetensorError, KeyError, ValueError) as error:
        raise UserError(
            f"is no trained judge: {error}", where=file, mend="train it again"
        ) from error


def _resolve(path: Path) -> Path:
    if path.suffix == SUFFIX:
        return path
    try:
        pointer = Pointer.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(
            f"cannot be read: {error.strerror}", where=path, mend="train it: steerability distil"
        ) from error
    except ValidationError as error:
        raise UserError(f"points to no judge: {explain(error)}", where=path) from error
    return path.parent / f"{pointer.sha256}{SUFFIX}"
