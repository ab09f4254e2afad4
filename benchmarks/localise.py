"""How often the localised cohort is exactly right, on public labelled incidents.

`python -m benchmarks.localise RCA_FOLDER [--quick] [--json]`, RCA_FOLDER holding RS/ (real incidents of a ratio metric: stalled
viewers of all viewers, low counts) as its README describes. One answer an incident; micro-F1 over exact element sets. Also answers for
null cases: the same tables with the labels of the minutes swapped, so that nothing happened.
"""

import argparse
import csv
import gzip
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

from benchmarks._report import report
from funnelwatch.core.cohort import Cohort
from funnelwatch.core.diagnosis import LeafTable
from funnelwatch.diagnose.localise import locate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    cases = _cases(options.folder / "RS")
    report("localise", _measure(cases[:30] if options.quick else cases, options.folder / "RS"))


def _measure(cases: list[tuple[str, int, Cohort]], folder: Path) -> dict[str, float]:
    tp = fp = fn = exact = null_answered = 0
    seconds: list[float] = []
    for name, moment, truth in cases:
        rows = _rows(folder / f"{name}.csv.gz")
        table = _table(rows, moment, base=range(moment - 240, moment, 60))
        start = time.perf_counter()
        found = locate(table, direction="up")[0].cohort
        seconds.append(time.perf_counter() - start)
        exact += found == truth
        tp += found == truth
        fp += found != truth and bool(found.entries)
        fn += found != truth
        quiet = _table(rows, moment - 60, base=range(moment - 240, moment - 60, 60))
        null_answered += bool(locate(quiet, direction="up")[0].cohort.entries)
        print(f"{name}: truth {truth.label()}, found {found.label()}", file=sys.stderr)
    return {
        "rs_f1": 2 * tp / max(2 * tp + fp + fn, 1),
        "rs_exact": exact / len(cases),
        "null_answered": null_answered / len(cases),
        "p95_s": float(np.quantile(seconds, 0.95)),
        "cases": len(cases),
    }


def _cases(folder: Path) -> list[tuple[str, int, Cohort]]:
    """The labels of anomaly.yaml: a flat list of data, timestamp and cause, read line by line."""
    cases: list[tuple[str, int, dict[str, str]]] = []
    for line in (folder / "anomaly.yaml").read_text().splitlines():
        key, _, value = line.replace("- ", "  ", 1).strip().partition(":")
        if key == "data":
            cases.append((value.strip(), 0, {}))
        elif key == "timestamp":
            cases[-1] = (cases[-1][0], int(value), cases[-1][2])
        elif key != "cause" and value.strip():
            cases[-1][2][key.strip()] = value.strip().strip("'\"")
    return [(name, moment, Cohort.of(cause)) for name, moment, cause in cases if (folder / f"{name}.csv.gz").exists()]


def _rows(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt") as handle:
        return list(csv.DictReader(handle))


def _table(rows: list[dict[str, str]], moment: int, base: range) -> LeafTable:
    dimensions = tuple(name for name in rows[0] if name not in ("min", "value", "cnt"))
    sums: dict[tuple[str, ...], list[float]] = defaultdict(lambda: [0.0] * 4)
    for row in rows:
        at = int(row["min"])
        offset = 2 if at == moment else 0 if at in base else None
        if offset is not None:
            cell = sums[tuple(row[name] for name in dimensions)]
            cell[offset] += float(row["cnt"])
            cell[offset + 1] += float(row["value"])
    labels = tuple(tuple(sorted({key[axis] for key in sums})) for axis in range(len(dimensions)))
    codes = [{label: code for code, label in enumerate(axis)} for axis in labels]
    values = np.array([[codes[axis][key[axis]] for axis in range(len(dimensions))] for key in sums], dtype=np.int64)
    counts = np.array(list(sums.values()))
    return LeafTable(dimensions, labels, values, counts[:, 0], counts[:, 1], counts[:, 2], counts[:, 3])


if __name__ == "__main__":
    main()
