"""Runs in the child: locks it up before it hears of a job. By ctypes; standard library only.

What is taken away stays away: a new root with nothing in it but what may be read (namespaces(7), pivot_root(2)),
limits (setrlimit(2)), all capabilities, then the file system (Landlock) and the system calls (seccomp(2)).
"""

# pathlib, and signal with its enums, would take longer to import than all that is done here.
# ruff: noqa: PTH103, PTH109, PTH120

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]
import ctypes
import os
import resource
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from codegen_lsp.verify.job import Setup

NAMESPACES = 0x7E020000
"""CLONE_NEW*: mounts, cgroups, host name, IPC, users, processes, network."""
NOBODY = 65534
DIE_WITH_PARENT, DUMPABLE, SECCOMP, DROP_BOUNDING, NO_NEW_PRIVILEGES, AMBIENT = 1, 4, 22, 24, 38, 47
OPEN_TREE, MOVE_MOUNT, MOUNT_SETATTR, CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 428, 429, 442, 444, 445, 446
"""System calls that C libraries have no function for; the same numbers everywhere."""
NOSUID_NODEV, PRIVATE, REMOUNT = 2 | 4, 1 << 18 | 1 << 14, 1 << 5
READ_ONLY, BIND, NO_ATIME, RELATIVE_ATIME, STRICT_ATIME = 1, 1 << 12, 1 << 10, 1 << 12, 1 << 24
"""Of mount(2), but for RELATIVE_ATIME, which is of statvfs(3)."""
KEPT = 1 | 2 | 4 | 8 | NO_ATIME | 1 << 11
"""Flags that are the same for both: read-only, no programs of other users, no devices, no programs, no times."""
EMPTY_PATH, RECURSIVE, HERE = 0x1000, 0x8000, -100
READ_FILE, READ_FOLDER, WRITE_FILE, TRUNCATE = 1 << 2, 1 << 3, 1 << 1, 1 << 14
WRITE_FOLDER = WRITE_FILE | TRUNCATE | 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 12 | 1 << 13
"""Write, truncate, remove and make folders, files, pipes and links, and move them: no devices and no sockets."""
ACCESSES = ((1, 13), (2, 14), (3, 15), (5, 16))
"""Landlock's version, and how many of its file system accesses it knows."""

libc = ctypes.CDLL(None, use_errno=True)


def seal(setup: Setup) -> None:
    """Lock this process up, or raise OSError. In namespaces it comes back in another process, the first in there."""
    die_with(setup["parent"])
    if setup["namespaces"]:
        enter_namespaces()
        die_with(setup["parent"])  # which the kernel forgets with a change of capabilities
        fork_inside(setup["result"])
        make_root(setup)
    elif setup["remount"]:
        mount("tmpfs", setup["scratch"], "", NOSUID_NODEV | REMOUNT, setup["scratch_options"])
        for path, attributes in setup["mounts"]:
            add_flags(path, attributes)
    if setup["scratch"] and setup["filter"]:
        hand_over_output()
    os.chdir(setup["scratch"] or "/")
    for kind, figure in setup["limits"]:
        limit(kind, figure)
    if setup["filter"]:
        drop_capabilities()
        die_with(0 if setup["namespaces"] else setup["parent"])
        call("prctl", libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0))
    if setup["landlock"]:
        restrict_files(setup)
    if setup["filter"]:
        filter_calls(setup["filter"])


def call(name: str, result: int) -> int:
    """What a C function returned; OSError for -1."""
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def syscall(name: str, number: int, *arguments: int | bytes | ctypes.Array[ctypes.c_char] | None) -> int:
    converted = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    return call(name, libc.syscall(ctypes.c_long(number), *converted))


def die_with(parent: int) -> None:
    """Be killed when the process (by its number, 0: not checked) that started this one ends. Linux has that."""
    if not hasattr(libc, "prctl"):
        return
    call("prctl", libc.prctl(DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0))
    if parent and os.getppid() != parent:
        os._exit(1)


def limit(kind: int, figure: int) -> None:
    """Both limits, so that the kernel does not first send what a job may ignore."""
    _, hard = resource.getrlimit(kind)
    figure = figure if hard == resource.RLIM_INFINITY else min(figure, hard)
    resource.setrlimit(kind, (figure, figure))


def enter_namespaces() -> None:
    """Be nobody, in namespaces of one's own. In there this user is who we are outside, who owns what may be read."""
    user, group = os.geteuid(), os.getegid()
    call("unshare", libc.unshare(NAMESPACES))
    for name, text in (("setgroups", "deny"), ("uid_map", f"{NOBODY} {user} 1"), ("gid_map", f"{NOBODY} {group} 1")):
        descriptor = os.open(f"/proc/self/{name}", os.O_WRONLY)
        os.write(descriptor, text.encode())
        os.close(descriptor)
    call("sethostname", libc.sethostname(b"jail", 4))


def fork_inside(result: int) -> None:
    """Go on as the first process of the new process namespace, with whose end all others in it end.

    The one that stays outside runs nothing but this: it waits, kills the first one when it is told to, and ends as that
    did. So who waits for it knows that nothing is left.
    """
    child = os.fork()
    if child == 0:
        die_with(0)
        return
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGKILL))
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.close(result)
    os.close(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        call("prctl", libc.prctl(DUMPABLE, 0, 0, 0, 0))  # one crash is no reason for two core files
        if os.WTERMSIG(status) != signal.SIGKILL:
            signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def mount(kind: str, target: str, source: str, flags: int, options: str) -> None:
    call(f"mount {target}", libc.mount(source.encode(), os.fsencode(target), kind.encode(), flags, options.encode()))


def make_root(setup: Setup) -> None:
    """A root with the scratch folder and what may be read, mounted read-only where it is outside."""
    mount("", "/", "", PRIVATE, "")
    # What may be read can lie under where the new root is mounted, so it is taken first: a descriptor each.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    taken = [(path, attributes, take_tree(path)) for path, attributes in setup["mounts"]]
    os.chdir(os.path.dirname(os.__file__))
    mount("tmpfs", ".", "tmpfs", NOSUID_NODEV, "size=64k,mode=0755")
    os.chdir(os.getcwd())  # into what has just been mounted over it
    if setup["scratch"]:
        place = "." + setup["scratch"]
        os.makedirs(place)
        mount("tmpfs", place, "tmpfs", NOSUID_NODEV, setup["scratch_options"])
    for path, attributes, tree in taken:
        if tree is not None:
            hang_tree(path, attributes, tree)
    syscall("pivot_root", 155 if os.uname().machine == "x86_64" else 41, b".", b".")
    call("umount2", libc.umount2(b".", 2))
    os.chdir("/")
    set_attributes(HERE, b"/", 0, READ_ONLY)


def hand_over_output() -> None:
    """Let what Python writes to be the /dev/null of this root, which is mounted read-only: fchmod(2) of an inherited
    descriptor goes by the mount that it was opened on, and would change the device's mode for the whole machine."""
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (1, 2):
        os.dup2(null, descriptor)
    os.close(null)


def add_flags(path: str, flags: int) -> None:
    """Mount what is mounted at a path with more flags. It keeps those that it has only if they are said again."""
    now = os.statvfs(path).f_flag
    accessed = 0 if now & (NO_ATIME | RELATIVE_ATIME) else STRICT_ATIME
    mount("", path, "", REMOUNT | BIND | flags | accessed | now & KEPT, "")


def take_tree(path: str) -> int | None:
    """A copy of what is at a path, with what is mounted below, that hangs nowhere; None if it cannot be reached."""
    try:
        return syscall(f"open_tree {path}", OPEN_TREE, HERE, os.fsencode(path), 1 | os.O_CLOEXEC | RECURSIVE)
    except (FileNotFoundError, PermissionError):
        if os.access(path, os.F_OK):
            raise
        return None


def hang_tree(path: str, attributes: int, tree: int) -> None:
    """Hang it under the folder that this process is in."""
    place = "." + path
    if stat.S_ISDIR(os.fstat(tree).st_mode):
        os.makedirs(place, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(place), exist_ok=True)
        os.close(os.open(place, os.O_CREAT | os.O_WRONLY, 0o600))
    set_attributes(tree, b"", EMPTY_PATH | RECURSIVE, attributes)
    syscall(f"move_mount {path}", MOVE_MOUNT, tree, b"", HERE, os.fsencode(place), 4)
    os.close(tree)


def set_attributes(folder: int, path: bytes, flags: int, attributes: int) -> None:
    wanted = ctypes.create_string_buffer(attributes.to_bytes(8, "little") + bytes(24), 32)
    syscall("mount_setattr", MOUNT_SETATTR, folder, path, flags, wanted, 32)


def drop_capabilities() -> None:
    """All of them, for ever: none is permitted, and none would come back with a new program."""
    capability = 0
    # Without CAP_SETPCAP they cannot be dropped from the bounding set, which only matters to those who may exec.
    while libc.prctl(DROP_BOUNDING, capability, 0, 0, 0) == 0:
        capability += 1
    libc.prctl(AMBIENT, 4, 0, 0, 0)
    header = ctypes.create_string_buffer((0x20080522).to_bytes(4, "little") + bytes(4), 8)
    call("capset", libc.capset(header, ctypes.create_string_buffer(24)))


def restrict_files(setup: Setup) -> None:
    """Landlock (docs.kernel.org/userspace-api/landlock.html): all it knows is refused, but for the paths in `setup`."""
    version = syscall("landlock", CREATE_RULESET, None, 0, 1)
    known = (1 << max(num for first, num in ACCESSES if version >= first)) - 1
    network, scopes = 0b11 if version >= 4 else 0, 0b11 if version >= 6 else 0
    attributes = b"".join(each.to_bytes(8, "little") for each in (known, network, scopes))
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    rules = syscall("landlock", CREATE_RULESET, ctypes.create_string_buffer(attributes, 24), size, 0)
    for path in setup["readable"]:
        allow(rules, path, READ_FILE | READ_FOLDER)
    for path in setup["writable"]:
        allow(rules, path, (READ_FILE | READ_FOLDER | WRITE_FOLDER) & known)
    syscall("landlock", RESTRICT_SELF, rules, 0)
    os.close(rules)


def allow(rules: int, path: str, accesses: int) -> None:
    """Let a path, and what is below, be accessed; one that cannot be reached is passed over."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):
        return
    if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
        accesses &= READ_FILE | WRITE_FILE | TRUNCATE
    rule = ctypes.create_string_buffer(accesses.to_bytes(8, "little") + descriptor.to_bytes(4, "little"), 12)
    syscall(f"landlock {path}", ADD_RULE, rules, 1, rule, 0)
    os.close(descriptor)


def filter_calls(program: bytes) -> None:
    """From here on only what the program allows; in all threads, of which there is one."""
    instructions = ctypes.create_string_buffer(program, len(program))
    address = ctypes.addressof(instructions)
    head = ctypes.create_string_buffer((len(program) // 8).to_bytes(8, "little") + address.to_bytes(8, "little"), 16)
    call("seccomp", libc.prctl(SECCOMP, 2, head, 0, 0))
