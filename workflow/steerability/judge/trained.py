"""The file of a trained judge: safetensors, named by its digest; loading it runs nothing.

The tensors are plain arrays and the one metadata entry is canonical JSON. A file is read only
when its bytes have the digest that its name says, and every shape is checked against the rest.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from steerability.canonical import canonical_json, sha256_file
from steerability.errors import UserError
from steerability.files import write_atomic
from steerability.jsonl import explain
from steerability.judge.rubric import Rubric
from steerability.records import LABELS

SUFFIX = ".safetensors"
POINTER = "distilled.json"
_ENTRY = "steerability"


class Facts(BaseModel):
    """The metadata of a trained judge.

    Attributes:
        format: of this file.
        semantics: version of the code that computes the features.
        labels: the order of the weights' rows.
        bits: of the text's hash.
        rubric: the rules rubric whose measures and cues are features.
        temperature: what scores are divided by.
        reference: the judge it was trained on.
        cells: training cells.
        data: digest of the training cells (completion, prompt, label), sorted.
        training: parameters of the training.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = Field(default=1, ge=1, le=1)
    semantics: int
    labels: tuple[str, ...]
    bits: int = Field(ge=8, le=24)
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
class Trained:
    """A trained judge's arrays and facts.

    Attributes:
        text: float32, shape (labels, 2 ** bits).
        columns: float32, shape (labels, columns).
        mean: float32, shape (columns,).
        scale: float32, shape (columns,).
        intercept: float32, shape (labels,).
        facts: the metadata.
    """

    text: NDArray[np.float32]
    columns: NDArray[np.float32]
    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    intercept: NDArray[np.float32]
    facts: Facts

    def content(self) -> bytes:
        """Return the file's bytes."""
        facts = canonical_json(self.facts.model_dump(mode="json")).decode("utf-8")
        # save() writes memory as it lies, whatever the strides
        arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in _shapes(1, 1)}
        return save(arrays, metadata={_ENTRY: facts})


def _shapes(columns: int, buckets: int) -> dict[str, tuple[int, ...]]:
    labels = len(LABELS)
    return {
        "text": (labels, buckets),
        "columns": (labels, columns),
        "mean": (columns,),
        "scale": (columns,),
        "intercept": (labels,),
    }


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
        facts = Facts.model_validate(json.loads(metadata[_ENTRY]))
    except ValidationError as error:
        raise UserError(explain(error), where=file, mend="train it again") from error
    except (SafetensorError, KeyError, ValueError) as error:
        raise UserError(f"is no trained judge: {error}", where=file) from error
    wanted = _shapes(columns or len(arrays.get("mean", ())), 2**facts.bits)
    found = {name: array.shape for name, array in arrays.items()}
    if found != wanted or any(array.dtype != np.float32 for array in arrays.values()):
        raise UserError(f"holds {found}, not {wanted}", where=file, mend="train it again")
    if facts.labels != LABELS or not all(np.isfinite(array).all() for array in arrays.values()):
        raise UserError("holds other labels or no numbers", where=file, mend="train it again")
    return digest, Trained(**arrays, facts=facts)


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
