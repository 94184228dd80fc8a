"""A fitted pipeline as a skops file: the same bytes every time."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import skops.io
from sklearn.pipeline import Pipeline


def dump_model(pipeline: Pipeline) -> bytes:
    """The pipeline as skops bytes that depend on nothing but the pipeline.

    skops names objects and array files after memory addresses, stamps the archive with the time
    and writes the unused bytes between a tree node's fields as they were found in memory. All
    three say nothing about the model and would give it a new digest with every run.
    """
    blob = skops.io.dumps(pipeline)
    with zipfile.ZipFile(io.BytesIO(blob)) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(content.pop("schema.json"))
    names: dict[str, str] = {}
    renumber(schema, {}, names)
    files = {names[name]: settle_array(name, data) for name, data in content.items()}
    files["schema.json"] = json.dumps(schema, indent=1, ensure_ascii=False).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # the same on every operating system
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name])
    return packed.getvalue()


def renumber(node: Any, numbers: dict[int, int], names: dict[str, str]) -> None:
    """Replace memory addresses by 1, 2, 3 … in order of appearance, also in file names."""
    if isinstance(node, list):
        for item in node:
            renumber(item, numbers, names)
    elif isinstance(node, dict):
        if "__id__" in node:
            node["__id__"] = numbers.setdefault(node["__id__"], len(numbers) + 1)
        if isinstance(node.get("file"), str):
            old = node["file"]
            node["file"] = names.setdefault(old, f"{len(names) + 1:04d}{Path(old).suffix}")
        for item in node.values():
            renumber(item, numbers, names)


def settle_array(name: str, data: bytes) -> bytes:
    """An array file with the gaps between the fields of its records set to zero."""
    if not name.endswith(".npy"):
        return data
    array = np.load(io.BytesIO(data), allow_pickle=False)
    if array.dtype.names is None:
        return data
    settled = np.frombuffer(bytearray(array.nbytes), dtype=array.dtype).reshape(array.shape)
    for field in array.dtype.names:
        settled[field] = array[field]
    out = io.BytesIO()
    np.save(out, settled, allow_pickle=False)
    return out.getvalue()


def reload_model(blob: bytes) -> tuple[Pipeline, list[str]]:
    """The pipeline read back, and the types skops does not trust by itself.

    Trusting whatever a file names is right only here, moments after we wrote it.
    """
    types = sorted(skops.io.get_untrusted_types(data=blob))
    return skops.io.loads(blob, trusted=types), types
