"""What a system call costs under a filter and under a guard, and what starting and learning cost."""

import json
import os
import statistics
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))

# A call that a filter allows by its number alone, which the kernel remembers, and one that it allows for some arguments, for which the
# filter runs each time (numbers of x86_64: getpid, personality).
CALLS = {"by number": (39, 2_000_000), "by argument": (135, 1_000_000)}

# What a small program needs: a filter as short as those that are learned. personality for 0 only, as in Docker's default.
SMALL = """access arch_prctl brk clock_gettime close execve exit exit_group fstat futex getpid getrandom getuid lseek mmap mprotect munmap
newfstatat openat prctl pread64 prlimit64 read readlink rseq rt_sigaction rt_sigprocmask set_robust_list set_tid_address write writev""".split()


# What docs/performance.md promises of a start: times that of native.
START_BUDGET = 1.10


def small_profile(place):
    path = os.path.join(place.path, "small.json")
    rules = [{"names": SMALL, "action": "SCMP_ACT_ALLOW"},
             {"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 0, "op": "SCMP_CMP_EQ"}]},
             {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": rules}, file)
    return path


def helper(place, call):
    path = os.path.join(place.path, "syscall-load")
    call("gcc", "-Os", "-static", "-s", "-o", path, os.path.join(HERE, "..", "..", "Tests", "Support", "syscall-load", "main.c"))
    return path


def nanoseconds(command):
    """{command of the helper: nanoseconds of a call}."""
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    lines = [line.split(": ") for line in done.stdout.decode().splitlines()]
    return {word: int(value) for word, value in lines}


def bench_syscalls(place, options, image, call, interleaved, print_times):
    place.make_image()
    berth = place.berth()
    program = helper(place, call)
    run = berth + ["run", "--rm", "--network", "none", "-v", f"{program}:/syscall-load:ro"]
    small = ["--security-opt", f"seccomp={small_profile(place)}"]
    cases = {
        "no filter": ["--security-opt", "seccomp=unconfined"],
        "Docker's default": [],
        "restricted, Docker's default": ["--runtime", "restricted"],
        "a small profile": small,
        "restricted, a small profile": small + ["--runtime", "restricted"],
    }
    words = {name: f"time={number}*{count}" for name, (number, count) in CALLS.items()}
    times = {name: {kind: [] for kind in words} for name in cases}
    for _ in range(max(3, options.rounds // 6)):
        for name, flags in cases.items():
            seen = nanoseconds(run + flags + [image, "/syscall-load", *words.values()])
            for kind, word in words.items():
                times[name][kind].append(seen[word])
    print(f"{'nanoseconds of an allowed call':32}" + "".join(f"{kind:>14}" for kind in words))
    for name, rows in times.items():
        print(f"{name:32}" + "".join(f"{statistics.median(row):14.0f}" for row in rows.values()))

    print("\nstart to exit of /bin/true")
    begin = berth + ["run", "--rm", "--network", "none"]
    starts = interleaved({
        "native": begin + [image, "/bin/true"],
        "restricted": begin + ["--runtime", "restricted", image, "/bin/true"],
    }, options.rounds)
    print_times(starts, ["native"])
    taken = statistics.median(starts["restricted"]) / statistics.median(starts["native"])
    if options.check and taken > START_BUDGET * options.check:
        raise SystemExit(f"start of restricted: {taken:.2f} x native, more than {options.check:g} x {START_BUDGET}")

    print("\n200,000 reads and writes of one byte (dd)")
    heavy = [image, "/bin/busybox", "dd", "if=/dev/zero", "of=/dev/null", "bs=1", "count=100000"]
    print_times(interleaved({
        "native": begin + heavy,
        "restricted": begin + ["--runtime", "restricted"] + heavy,
        "learning": begin + ["--runtime", "restricted", "--security-opt", "berth.learn=bench"] + heavy,
    }, max(3, options.rounds // 6)), ["native"])
