"""What the hostile program tries, and how its refusal has to be named."""

from __future__ import annotations

from dataclasses import dataclass

from .profiles import Denial
from .runs import Outcome

# As the kernel knows it.
COMMAND = "hostile-calls"
# Negative, as the kernel answers: EPERM and ENOSYS.
REFUSALS = {-1: "EPERM", -38: "ENOSYS"}
# 128 and the signal's number: SIGSYS, or SIGKILL where a process is held in its call.
KILLED = {128 + 31: "SIGSYS", 128 + 9: "SIGKILL"}


@dataclass(frozen=True)
class Attempt:
    """One attempt, by its name in the hostile program."""

    name: str
    # What a report names it by, and its class where the call has one.
    call: str
    argument: str | None = None
    # A call by another way into the kernel than the machine's own ends the process, so that it is tried by itself.
    ends: bool = False

    def is_named_by(self, denial: Denial, result: str) -> bool:
        """Whether a denial is that of this attempt: the program, the call by name, its class, and what was answered."""
        convention, _, call = denial.call.rpartition(":")
        return (denial.command == COMMAND and call == self.call and bool(convention) == self.ends
                and (self.argument or "") in denial.argument and denial.answer == result)


ATTEMPTS = [
    Attempt("unshare", "unshare", "CLONE_NEWUSER"), Attempt("unshare-mount", "unshare", "CLONE_NEWNS"), Attempt("mount", "mount"),
    Attempt("pivot_root", "pivot_root"), Attempt("ptrace", "ptrace"), Attempt("process_vm_readv", "process_vm_readv"),
    Attempt("bpf", "bpf"), Attempt("keyctl", "keyctl"), Attempt("add_key", "add_key"), Attempt("io_uring_setup", "io_uring_setup"),
    Attempt("userfaultfd", "userfaultfd"), Attempt("socket-alg", "socket", "AF_ALG"), Attempt("socket-vsock", "socket", "AF_VSOCK"),
    Attempt("socket-packet", "socket", "AF_PACKET"), Attempt("perf_event_open", "perf_event_open"),
    Attempt("init_module", "init_module"), Attempt("finit_module", "finit_module"), Attempt("kexec_load", "kexec_load"),
    Attempt("kexec_file_load", "kexec_file_load"), Attempt("open_by_handle_at", "open_by_handle_at"), Attempt("unknown", "number 999"),
    Attempt("x32", "getpid", ends=True), Attempt("int80", "getpid", ends=True),
]
TOGETHER = [each.name for each in ATTEMPTS if not each.ends]
ALONE = [each.name for each in ATTEMPTS if each.ends]


def results(outcome: Outcome, names: list[str]) -> dict[str, str]:
    """What became of each attempt: the name of a refusal, "killed", or what else was answered."""
    said = {words[0]: int(words[2]) for words in map(str.split, outcome.output.splitlines()) if len(words) == 3 and words[0] in names}
    found: dict[str, str] = {}
    for name in names:
        if name in said:
            found[name] = REFUSALS.get(said[name], f"answered {said[name]}")
        elif outcome.code in KILLED and name not in found:
            found[name] = "killed"
        else:
            found[name] = f"not tried: {outcome.why}"
    return found


def is_refused(result: str) -> bool:
    return result in REFUSALS.values() or result == "killed"
