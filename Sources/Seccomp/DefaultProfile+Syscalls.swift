extension DefaultProfile {
    /// The system calls of the default profile, by what they take.
    package enum Syscalls {
        /// Open to every container.
        package static var always: [String] {
            files + memory + processes + identity + time + signals + eventsAndWaiting + network + messages + hardening
                + machine
        }

        /// Open with the capability that the kernel asks for anyway; refused without.
        package static var byCapability: [(capability: String, calls: [String])] {
            [
                ("CAP_DAC_READ_SEARCH", words("open_by_handle_at")),
                ("CAP_BPF", words("bpf")),
                ("CAP_PERFMON", words("perf_event_open")),
                ("CAP_SYSLOG", words("syslog")),
                ("CAP_SYS_BOOT", words("reboot")),
                ("CAP_SYS_CHROOT", words("chroot")),
                ("CAP_SYS_MODULE", words("delete_module finit_module init_module")),
                ("CAP_SYS_NICE", words("get_mempolicy mbind set_mempolicy set_mempolicy_home_node")),
                ("CAP_SYS_PACCT", words("acct")),
                ("CAP_SYS_PTRACE", words("kcmp pidfd_getfd process_madvise")),
                ("CAP_SYS_RAWIO", words("ioperm iopl")),
                ("CAP_SYS_TIME", words("clock_settime clock_settime64 settimeofday stime")),
                ("CAP_SYS_TTY_CONFIG", words("vhangup")),
                ("CAP_SYS_ADMIN", administration),
            ]
        }

        /// Refused to every container, also by learning: kernel surface that few programs need and many exploits used,
        /// and what belongs to the host.
        package static var never: [String] {
            words(
                """
                io_uring_enter io_uring_register io_uring_setup userfaultfd add_key keyctl request_key
                kexec_file_load kexec_load swapoff swapon migrate_pages move_pages pivot_root nfsservctl
                uselib ustat sysfs _sysctl vm86 vm86old create_module get_kernel_syms query_module
                """
            )
        }

        private static var administration: [String] {
            words(
                """
                bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount mount_setattr
                move_mount open_tree open_tree_attr perf_event_open quotactl quotactl_fd setdomainname sethostname setns
                syslog umount umount2 unshare
                """
            )
        }

        private static var files: [String] {
            words(
                """
                access cachestat chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3 faccessat
                faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32
                fchownat fcntl fcntl64 fdatasync fgetxattr file_getattr file_setattr flistxattr flock fremovexattr
                fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futimesat getcwd getdents
                getdents64 getxattr getxattrat inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel
                io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit ioctl lchown lchown32
                lgetxattr link linkat listmount listxattr listxattrat llistxattr _llseek lremovexattr lseek lsetxattr lstat lstat64
                mkdir mkdirat mknod mknodat name_to_handle_at newfstatat open openat openat2 pipe pipe2 pread64 preadv
                preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv removexattr removexattrat rename
                renameat renameat2 rmdir sendfile sendfile64 setxattr setxattrat splice stat stat64 statfs statfs64 statmount statx
                symlink symlinkat sync sync_file_range syncfs tee truncate truncate64 umask unlink unlinkat utime utimensat
                utimensat_time64 utimes vmsplice write writev
                """
            )
        }

        private static var memory: [String] {
            words(
                """
                brk madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall mmap mmap2
                mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect process_mrelease
                remap_file_pages shmat shmctl shmdt shmget
                """
            )
        }

        private static var processes: [String] {
            words(
                """
                execve execveat exit exit_group fork get_robust_list get_thread_area getcpu getpgid getpgrp getpid getppid
                getpriority getrlimit getrusage getsid gettid ioprio_get ioprio_set pidfd_open prctl prlimit64
                process_vm_readv process_vm_writev ptrace rseq sched_get_priority_max sched_get_priority_min
                sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval
                sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield
                set_robust_list set_thread_area set_tid_address setpgid setpriority setrlimit setsid times ugetrlimit vfork
                wait4 waitid waitpid
                """
            )
        }

        private static var identity: [String] {
            words(
                """
                capget capset getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getresgid
                getresgid32 getresuid getresuid32 getuid getuid32 setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32
                setgroups setgroups32 setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32
                setuid setuid32
                """
            )
        }

        private static var time: [String] {
            words(
                """
                adjtimex alarm clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64
                clock_nanosleep clock_nanosleep_time64 getitimer gettimeofday nanosleep setitimer time timer_create
                timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create
                timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64
                """
            )
        }

        private static var signals: [String] {
            words(
                """
                kill pause pidfd_send_signal restart_syscall rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo
                rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaction sigaltstack
                signal signalfd signalfd4 sigpending sigprocmask sigreturn sigsuspend tgkill tkill
                """
            )
        }

        private static var eventsAndWaiting: [String] {
            words(
                """
                epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old
                eventfd eventfd2 futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake _newselect poll ppoll
                ppoll_time64 pselect6 pselect6_time64 select
                """
            )
        }

        /// What works on sockets; `socket` itself has conditions.
        ///
        /// The old 32-bit `socketcall` has its arguments in memory, out of a filter's
        /// sight; without it no 32-bit program could use the network, so it stays open, AF_ALG with it.
        private static var network: [String] {
            words(
                """
                accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg
                recvmmsg_time64 recvmsg send sendmmsg sendmsg sendto setsockopt shutdown socketcall socketpair
                """
            )
        }

        private static var messages: [String] {
            words(
                """
                ipc mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend
                mq_timedsend_time64 mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64
                """
            )
        }

        /// What a program uses to give up rights.
        private static var hardening: [String] {
            words(
                """
                landlock_add_rule landlock_create_ruleset landlock_restrict_self lsm_get_self_attr lsm_list_modules
                lsm_set_self_attr seccomp
                """
            )
        }

        private static var machine: [String] {
            #if arch(x86_64)
            words("arch_prctl getrandom modify_ldt sysinfo uname uretprobe uprobe")
            #elseif arch(arm64)
            words(
                "arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush getrandom set_tls sync_file_range2 sysinfo uname"
            )
            #else
            words("getrandom sysinfo uname")
            #endif
        }

        private static func words(_ text: String) -> [String] {
            text.split(whereSeparator: { $0 == " " || $0 == "\n" }).map(String.init)
        }
    }
}
