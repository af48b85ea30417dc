"""Profiles, as the command line shows them."""

from __future__ import annotations

import json
from dataclasses import dataclass

from harness.node import Node

from .catalogue import Program

# Calls that Docker's default profile lets through and attacks on the kernel have used more than programs do: other processes'
# memory and descriptors, splicing between pipes and caches, old asynchronous I/O and IPC, layouts of memory.
DANGEROUS = ["ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd", "kcmp", "chroot", "mknod", "mknodat",
             "modify_ldt", "personality", "seccomp", "name_to_handle_at", "fanotify_mark", "splice", "tee", "vmsplice", "io_setup",
             "io_submit", "msgsnd", "semop", "shmat", "mq_open", "add_key", "keyctl", "remap_file_pages", "memfd_create",
             "memfd_secret", "execveat", "timer_create", "mremap", "pkey_alloc"]


@dataclass(frozen=True)
class Denial:
    """One kind of call that was not allowed, as it is reported."""

    command: str
    call: str
    argument: str
    answer: str
    count: int
    # Whether the call was refused in the same way while the profile was learned, by what was the ceiling then.
    is_known: bool
    container: str

    def __str__(self) -> str:
        call = f"{self.call}:{self.argument}" if self.argument else self.call
        return f"{call} of {self.command} in {self.container}, {self.count} times, {self.answer}"


@dataclass(frozen=True)
class Surface:
    """What a profile leaves of Docker's default one."""

    allowed: int
    # Of Docker's default profile on this machine.
    of: int
    # Conditions on arguments: how many rules of the exported profile have one.
    class_rules: int
    removed: list[str]
    added: list[str]

    @property
    def percent_removed(self) -> float:
        return round(100 * len(self.removed) / self.of, 1)

    @property
    def dangerous_removed(self) -> list[str]:
        return [name for name in DANGEROUS if name in self.removed]


class Profiles:
    """The profiles of one manager."""

    def __init__(self, node: Node) -> None:
        self.node = node

    @property
    def is_offered(self) -> bool:
        return self.node.has_verb(self.node.build, "profile", "promote")

    def learning(self, program: Program) -> list[str]:
        """Options of a run that the program's profile is learned from."""
        named = [word for call in program.named_calls for word in ("--security-opt", f"berth.allow={call}")]
        return ["--security-opt", f"berth.learn={program.name}", *named]

    def enforcing(self, program: Program) -> list[str]:
        """Options of a run under the program's profile."""
        return ["--security-opt", f"berth.profile={program.name}"]

    def promote(self, program: Program) -> None:
        self.node.berth("profile", "promote", program.name)

    def surface(self, program: Program) -> Surface:
        """The promoted profile beside Docker's default."""
        difference = json.loads(self.node.berth("profile", "diff", program.name, "--format", "json"))
        exported = json.loads(self.node.berth("profile", "export", program.name))
        rules = [rule for rule in exported["syscalls"] if rule.get("args") and rule["action"] == "SCMP_ACT_ALLOW"]
        return Surface(difference["Allowed"], difference["OtherAllowed"], len(rules), difference["Removed"], difference["Added"])

    def denials(self, program: Program) -> list[Denial]:
        """Every denial under the program's profile since the manager began."""
        lines = self.node.berth("profile", "denials", program.name, "--format", "json").splitlines()
        return [Denial(each["Command"], each["Syscall"], each["Argument"], each["Answer"], each["Count"], each["Known"], each["Container"])
                for each in map(json.loads, filter(None, lines))]
