"""The system calls that a sealed child may make, as numbers of x86_64 and aarch64. What is not here is refused."""

from __future__ import annotations

Table = dict[str, tuple[int | None, int | None]]
"""Name: its number on x86_64, and on aarch64 (None where there is none)."""

MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7), "arm64": (1, 0xC00000B7)}
"""Machine as `platform.machine()` names it: its column here, and what filters call it (AUDIT_ARCH_*)."""


def _table(text: str) -> Table:
    rows = (row.split() for row in text.split(";"))
    return {name: (int(x86), None if arm == "-" else int(arm)) for name, x86, arm in rows}


ORDINARY: Table = _table("""
    read 0 63; write 1 64; readv 19 65; writev 20 66; pread64 17 67; pwrite64 18 68; preadv 295 69;
    pwritev 296 70; lseek 8 62; close 3 57; close_range 436 436; dup 32 23; dup2 33 -; dup3 292 24; pipe 22 -;
    pipe2 293 59; eventfd2 290 19; poll 7 -; ppoll 271 73; select 23 -; pselect6 270 72; epoll_create1 291 20;
    epoll_ctl 233 21; epoll_wait 232 -; epoll_pwait 281 22; stat 4 -; lstat 6 -; fstat 5 80; newfstatat 262 79;
    statx 332 291; access 21 -; faccessat 269 48; faccessat2 439 439; readlink 89 -; readlinkat 267 78;
    statfs 137 43; fstatfs 138 44; getdents64 217 61; getcwd 79 17; chdir 80 49; fchdir 81 50; umask 95 166;
    sendfile 40 71; copy_file_range 326 285; fsync 74 82; fdatasync 75 83; mmap 9 222; mprotect 10 226;
    mremap 25 216; munmap 11 215; madvise 28 233; msync 26 227; brk 12 214; rt_sigaction 13 134;
    rt_sigprocmask 14 135; rt_sigreturn 15 139; rt_sigpending 127 136; rt_sigsuspend 130 133;
    rt_sigtimedwait 128 137; sigaltstack 131 132; pause 34 -; alarm 37 -; getitimer 36 102; setitimer 38 103;
    restart_syscall 219 128; futex 202 98; set_robust_list 273 99; set_tid_address 218 96; rseq 334 293;
    sched_yield 24 124; sched_getaffinity 204 123; getcpu 309 168; gettid 186 178; exit 60 93; exit_group 231 94;
    wait4 61 260; waitid 247 95; clock_gettime 228 113; clock_getres 229 114; clock_nanosleep 230 115;
    nanosleep 35 101; gettimeofday 96 169; time 201 -; times 100 153; getrusage 98 165; getrlimit 97 163;
    sysinfo 99 179; uname 63 160; getrandom 318 278; getpid 39 172; getppid 110 173; getpgrp 111 -;
    getpgid 121 155; getsid 124 156; getuid 102 174; geteuid 107 175; getgid 104 176; getegid 108 177;
    getresuid 118 148; getresgid 120 150; getgroups 115 158; capget 125 90; recvfrom 45 207; shutdown 48 210;
    getsockopt 55 209; getsockname 51 204; getpeername 52 205
""")
"""They reach nothing but the process itself, and files that may be read (Landlock and mounts say which)."""
CHECKED: Table = _table("""
    clone 56 220; kill 62 129; tgkill 234 131; prctl 157 167; prlimit64 302 261; fcntl 72 25; ioctl 16 29;
    socketpair 53 199; sendto 44 206; open 2 -; openat 257 56
""")
"""What they may do depends on their arguments: `filter.py` has the rules."""
WRITING: Table = _table("""
    mkdir 83 -; mkdirat 258 34; rmdir 84 -; unlink 87 -; unlinkat 263 35; rename 82 -; renameat 264 38;
    renameat2 316 276; link 86 -; linkat 265 37; symlink 88 -; symlinkat 266 36; chmod 90 -; fchmod 91 52;
    fchmodat 268 53; utime 132 -; utimes 235 -; utimensat 280 88; ftruncate 77 46; truncate 76 45;
    fallocate 285 47
""")
"""Only where there is a scratch folder of limited size. Landlock says where; it does not know of modes and times."""
ABSENT: Table = _table("""
    clone3 435 435; openat2 437 437; getxattr 191 8; lgetxattr 192 9; fgetxattr 193 10; listxattr 194 11;
    llistxattr 195 12; flistxattr 196 13
""")
"""Answered as a kernel or a file system without them does, since the C library and shutil then go another way."""
