"""Tables for people, JSON for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from .attacks import ATTEMPTS, is_refused
from .profiles import DANGEROUS
from .trials import ENFORCED, LEARNING, NATIVE, Trial

COLUMNS = ["program", "allowed", "of", "removed", "class rules", "native s", "learning s", "enforced s", "denials", "attacks refused",
           "named"]


def table(trials: list[Trial]) -> str:
    """One row a program, then what the numbers do not say."""
    rows = [COLUMNS, *map(_row, trials)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(COLUMNS))]
    lines = ["  ".join(cell.ljust(width) if index == 0 else cell.rjust(width) for index, (cell, width) in enumerate(zip(row, widths)))
             for row in rows]
    through = sorted({name for trial in trials for name in trial.let_through(NATIVE)})
    lines += ["", f"let through by Docker's default profile: {', '.join(through) or 'nothing'}"]
    surfaces = {trial.program.name: trial.surface for trial in trials if trial.surface}
    if surfaces:
        gone = [name for name in DANGEROUS if all(name in each.removed for each in surfaces.values())]
        lines.append(f"of calls that attacks have used, gone everywhere: {', '.join(gone)}, and the 32-bit way in")
        for program, surface in surfaces.items():
            more = [name for name in surface.dangerous_removed if name not in gone]
            lines += [f"{program}: gone besides: {', '.join(more)}"] if more else []
    lines += [f"{trial.program.name}: refused while it was learned, and after: {each}" for trial in trials for each in trial.known]
    return "\n".join(lines)


def _row(trial: Trial) -> list[str]:
    surface = trial.surface
    tried = trial.attacks.get(ENFORCED)
    return [trial.program.name,
            *([str(surface.allowed), str(surface.of), f"{surface.percent_removed} %", str(surface.class_rules)] if surface else ["-"] * 4),
            *("/".join(f"{each:.2f}" for each in trial.seconds.get(how, [])) or "-" for how in (NATIVE, LEARNING, ENFORCED)),
            "-" if trial.denials is None else str(trial.denials),
            f"{sum(map(is_refused, tried.values()))} of {len(ATTEMPTS)}" if tried else "-",
            "-" if trial.named is None else f"{trial.named} of {len(ATTEMPTS)}"]


def document(trials: list[Trial], problems: list[str], version: str) -> dict[str, Any]:
    """What --json writes."""
    return {
        "version": 1,
        "build": version,
        "passed": not problems and not any(trial.problems for trial in trials),
        "problems": problems,
        "programs": [_document(trial) for trial in trials],
    }


def _document(trial: Trial) -> dict[str, Any]:
    surface = trial.surface
    return {
        "name": trial.program.name, "about": trial.program.about, "packages": trial.program.packages,
        "capabilities": trial.program.capabilities, "named_calls": trial.program.named_calls, "seconds": trial.seconds,
        "surface": surface and {**asdict(surface), "percent_removed": surface.percent_removed,
                                "dangerous_removed": surface.dangerous_removed},
        "denials": trial.denials, "denials_known": trial.known, "attacks": trial.attacks, "attacks_named": trial.named, "problems": trial.problems,
    }
