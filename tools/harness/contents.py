"""What a database says, read by SQLite itself and by nothing of Berth."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

# What nobody tells of, as docs/operations.md says: counts of denials, and numbers of events that are in order.
UNTOLD = {"denials": "count", "events": "sequence"}


def of(files: dict[str, bytes], scratch: Path) -> dict[str, Any]:
    """Schema and rows, and SQLite's verdict; under "error" what keeps it from reading them."""
    for each in scratch.glob("look.db*"):
        each.unlink()
    for suffix, content in files.items():
        (scratch / f"look.db{suffix}").write_bytes(content)
    found: dict[str, Any] = {}
    connection = sqlite3.connect(scratch / "look.db")
    try:
        connection.text_factory = bytes
        found["schema"] = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name").fetchall()
        for kind, name, _, _ in found["schema"]:
            if kind == b"table":
                rows = connection.execute(f'SELECT * FROM "{name.decode()}"')
                columns = [each[0] for each in rows.description]
                found[name.decode()] = [dict(zip(columns, row)) for row in rows]
        found["verdict"] = connection.execute("PRAGMA integrity_check").fetchall()
        if found["verdict"] != [(b"ok",)]:
            found["error"] = found["verdict"]
    except (sqlite3.Error, UnicodeDecodeError) as error:
        found["error"] = str(error)
    finally:
        connection.close()
    return found


def without_untold(found: dict[str, Any]) -> dict[str, Any]:
    """The same without that, without SQLite's counters of rows, below which it never goes, and without a version that is an older one's."""
    kept = {name: [{key: value for key, value in row.items() if key != UNTOLD.get(name)} if isinstance(row, dict) else row
                   for row in rows] for name, rows in found.items()}
    kept["sqlite_sequence"] = [dict(row) for row in found.get("sqlite_sequence", []) if row["name"] == b"commits"]
    kept["meta"] = [row for row in found.get("meta", []) if row["key"] != b"schema" or row["value"] not in (b"1", b"2", b"3")]
    return kept


def is_untold(before: dict[str, Any], now: dict[str, Any]) -> bool:
    """Whether they differ by nothing else."""
    one, other = without_untold(before), without_untold(now)
    if before.get("schema") != now.get("schema"):
        return False
    if len(other["meta"]) < len(one["meta"]) == len(before["meta"]) == len(now["meta"]):
        one["meta"] = [row for row in one["meta"] if row["key"] != b"schema"]
    # A check value that is none any more takes nothing away; containers are given a new one.
    for name in one.keys() & other.keys():
        for then, row in zip(one[name], other[name]):
            if isinstance(row, dict):
                for key in row.keys() & then.keys():
                    if key.endswith("_check") and row[key] is None:
                        row[key] = then[key]
    # Ahead of the file beside it a database is after the power was lost.
    for row, then in zip(other["sqlite_sequence"], one["sqlite_sequence"]):
        if isinstance(row["seq"], int) and row["seq"] > then["seq"]:
            row["seq"] = then["seq"]
    return one == other


def difference(before: dict[str, Any], now: dict[str, Any]) -> str:
    """Where the first difference is."""
    if "error" in now:
        return f"SQLite says {str(now['error'])[:160]}"
    for name in before.keys() | now.keys():
        if before.get(name) != now.get(name):
            rows = [f"{str(one)[:200]} is {str(other)[:200]}"
                    for one, other in zip(before.get(name) or [], now.get(name) or []) if one != other]
            return f"{name}: " + (rows[0] if rows else f"{len(before.get(name) or [])} rows are {len(now.get(name) or [])}")
    return "nothing"
