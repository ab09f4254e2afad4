"""Arrays and a little JSON as bytes, without pickle: how baselines and detector states are stored."""

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from funnelwatch.core.cohort import Cohort
from funnelwatch.core.series import SeriesKey

Array = NDArray[Any]
_META = "meta.json"


def pack(meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> bytes:
    """One zip: `meta` as JSON, each array as .npy. Level 1: counts shrink fourfold and higher levels cost ten times as much."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr(_META, json.dumps(meta))
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as entry:
                np.lib.format.write_array(entry, np.ascontiguousarray(array), allow_pickle=False)
    return out.getvalue()


def unpack(data: bytes) -> tuple[dict[str, Any], dict[str, Array]]:
    """The inverse of `pack`. Raises ValueError for bytes that are no such archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            meta = json.loads(archive.read(_META))
            arrays = {
                name.removesuffix(".npy"): np.lib.format.read_array(io.BytesIO(archive.read(name)), allow_pickle=False)
                for name in archive.namelist()
                if name != _META
            }
    except (zipfile.BadZipFile, KeyError) as error:
        raise ValueError("not a packed baseline or detector state") from error
    return meta, arrays


def keys_to_json(keys: tuple[SeriesKey, ...]) -> list[list[Any]]:
    """Series keys as JSON rows."""
    return [[key.metric, key.step_from, key.step_to, key.error, list(key.cohort.entries)] for key in keys]


def keys_from_json(rows: list[list[Any]]) -> tuple[SeriesKey, ...]:
    """The inverse of `keys_to_json`."""
    return tuple(
        SeriesKey(metric, step_from, step_to, Cohort(tuple((name, value) for name, value in entries)), error)
        for metric, step_from, step_to, error, entries in rows
    )
