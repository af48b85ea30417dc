"""Tables for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from .invariants import Result


def table(results: list[Result]) -> str:
    """One row an invariant, one column a step: "ok", the number of problems, or "-" where it was not looked at."""
    names = list(dict.fromkeys(name for result in results for name in result.problems))
    width = max([len(name) for name in names] + [9])
    lines = [f"{'':{width}}  " + "  ".join(f"{index + 1:>4}" for index in range(len(results)))]
    for name in names:
        cells = []
        for result in results:
            problems = result.problems.get(name)
            cells.append(f"{'-' if problems is None else 'ok' if not problems else len(problems):>4}")
        lines.append(f"{name:{width}}  " + "  ".join(cells))
    lines += ["", *(f"step {index + 1}: {result.step}" for index, result in enumerate(results))]
    return "\n".join(lines)


def problems(results: list[Result]) -> list[str]:
    """Every problem once, under its invariant and the first step that saw it."""
    seen: dict[tuple[str, str], int] = {}
    for index, result in enumerate(results):
        for name, found in result.problems.items():
            for problem in found:
                seen.setdefault((name, problem), index + 1)
    return [f"{name} (step {step}): {problem}" for (name, problem), step in seen.items()]


def failed(results: list[Result]) -> list[str]:
    """Names of the invariants that did not hold."""
    return list(dict.fromkeys(name for result in results for name in result.failed))


def document(results: list[Result], facts: dict[str, Any]) -> dict[str, Any]:
    """What --json writes."""
    return {
        "version": 1,
        "passed": not failed(results),
        "failed": failed(results),
        "facts": facts,
        "steps": [{"step": result.step, "facts": result.facts, "problems": result.problems} for result in results],
    }


def write(path: str, content: dict[str, Any]) -> None:
    """Writes a JSON file; "-" is standard output."""
    text = json.dumps(content, indent=2) + "\n"
    if path == "-":
        sys.stdout.write(text)
    else:
        Path(path).write_text(text, encoding="utf-8")
