"""Tables for people, JSON for programs."""

from __future__ import annotations

from typing import Any

from .trials import Trial

COLUMNS = ["program", "native s", "let through by Docker's default"]


def table(trials: list[Trial]) -> str:
    """One row a program."""
    rows = [COLUMNS, *([trial.program.name, _seconds(trial, "native"), ", ".join(trial.let_through("native")) or "-"]
                       for trial in trials)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(COLUMNS))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def _seconds(trial: Trial, confinement: str) -> str:
    return f"{trial.seconds[confinement]:.2f}" if confinement in trial.seconds else "-"


def document(trials: list[Trial], problems: list[str], version: str) -> dict[str, Any]:
    """What --json writes."""
    return {
        "version": 1,
        "build": version,
        "passed": not problems and not any(trial.problems for trial in trials),
        "problems": problems,
        "programs": [{"name": trial.program.name, "about": trial.program.about, "packages": trial.program.packages,
                      "capabilities": trial.program.capabilities, "seconds": trial.seconds, "attacks": trial.attacks,
                      "problems": trial.problems} for trial in trials],
    }
