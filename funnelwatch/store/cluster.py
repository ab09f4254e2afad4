"""The schema for a ClickHouse cluster, made from `schema/current.sql`: replicated local tables under distributed ones.

Rows are sharded by visitor, so that a session lies whole on one shard and a roll-up never asks the others; tables without a
visitor go by their project. `python -m funnelwatch.store.cluster NAME` prints the statements.
"""

import re
import sys
from importlib.resources import files

_TABLE = re.compile(r"^CREATE TABLE (\w+)\n(?P<columns>\(.*?\n\))\nENGINE = (\w*MergeTree)(\([^)]*\))?(?P<rest>.*)$", re.S)
_VIEW = re.compile(r"^CREATE MATERIALIZED VIEW (\w+) TO (\w+)\n(?P<select>.*)$", re.S)

_PLAIN_VIEW = re.compile(r"^CREATE VIEW (\w+)\n(?P<select>.*)$", re.S)


def statements(cluster: str) -> list[str]:
    """The schema for `cluster`: each table becomes NAME_local on every node and a distributed NAME. Raises ValueError."""
    text = files("funnelwatch.store").joinpath("schema/current.sql").read_text().replace("default.", "")
    made: list[str] = []
    for statement in filter(None, text.split(";\n\n")):
        if table := _TABLE.match(statement):
            made += _table(cluster, table)
        elif view := _VIEW.match(statement):
            made.append(_view(cluster, view))
        elif view := _PLAIN_VIEW.match(statement):
            made.append(f"CREATE VIEW {view[1]} ON CLUSTER '{cluster}'\n{re.sub(r'[)] IN [(]', ') GLOBAL IN (', view['select'])}")
        else:
            raise ValueError(f"no cluster form for {statement.splitlines()[0]!r}")
    return made


def _table(cluster: str, table: re.Match[str]) -> list[str]:
    name, engine, arguments = table[1], table[3], (table[4] or "()")[1:-1]
    path = f"'/clickhouse/tables/{{shard}}/{name}', '{{replica}}'"
    replicated = f"Replicated{engine}({path}{', ' + arguments if arguments else ''})"
    # a replicated table drops repeated blocks by itself
    rest = re.sub(r"(, )?non_replicated_deduplication_window = \d+", "", table["rest"])
    rest = re.sub(r"\nSETTINGS\s*$", "", rest.rstrip())
    key = "cityHash64(visitor_id)" if re.search(r"^\s*`visitor_id` ", table["columns"], re.M) else "project_id"
    return [
        f"CREATE TABLE {name}_local ON CLUSTER '{cluster}'\n{table['columns']}\nENGINE = {replicated}{rest}",
        f"CREATE TABLE {name} ON CLUSTER '{cluster}' AS {name}_local\n"
        f"ENGINE = Distributed('{cluster}', currentDatabase(), '{name}_local', {key})",
    ]


def _view(cluster: str, view: re.Match[str]) -> str:
    select = re.sub(r"\bFROM (\w+)", r"FROM \1_local", view["select"])
    return f"CREATE MATERIALIZED VIEW {view[1]} ON CLUSTER '{cluster}' TO {view[2]}_local\n{select}"


def main(cluster: str) -> None:
    """Print every statement, ready for clickhouse-client."""
    for statement in statements(cluster):
        sys.stdout.write(f"{statement};\n\n")


if __name__ == "__main__":
    main(sys.argv[1])
