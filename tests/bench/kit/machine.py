"""What processes take, where they are put, and what the machine is."""

import contextlib
import ctypes
import os
import platform
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent.parent
NULL = subprocess.DEVNULL
CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def words(command):
    return [str(word) for word in command]


def run(*command, **options):
    done = subprocess.run(words(command), stdin=NULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(words(command))}: exit {done.returncode}: {done.stderr.decode()[-500:]}")
    return done.stdout.decode()


def pss(pid):
    """Proportional set size of a process, in KiB."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def processes():
    """Every process here, by its number: its command line."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found[int(entry.name)] = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                pass
    return found


def program(arguments):
    """What a command line runs, without its directory."""
    return os.path.basename(arguments[0])


def cpu_seconds():
    """CPU time of all that was ever started here, but for this process and for the kernel's threads; none where no cgroup
    tells it."""
    for path in ("/sys/fs/cgroup/unified/cpu.stat", "/sys/fs/cgroup/cpu.stat"):
        try:
            lines = Path(path).read_text().splitlines()
        except OSError:
            continue
        used = dict(line.split() for line in lines)
        return int(used["usage_usec"]) / 1e6 - time.process_time()
    return None


def checked(answer):
    if answer != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


HOME = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


@contextlib.contextmanager
def inside(network):
    """What this thread starts meanwhile has this network namespace."""
    checked(LIBC.setns(network, CLONE_NEWNET))
    try:
        yield
    finally:
        checked(LIBC.setns(HOME, CLONE_NEWNET))


def new_network():
    """A network namespace, with a loopback that is up: its descriptor."""
    made = []

    def make():
        checked(LIBC.unshare(CLONE_NEWNET))
        made.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
        run("ip", "link", "set", "lo", "up")

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    return made[0]


def wire(here, there):
    """Connects two network namespaces as two hosts are: 192.0.2.1 is here, 192.0.2.2 there."""
    with inside(here):
        run("ip", "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", f"/proc/{os.getpid()}/fd/{there}")
    for network, number in ((here, 1), (there, 2)):
        with inside(network):
            run("ip", "address", "add", f"192.0.2.{number}/24", "dev", "wire")
            run("ip", "link", "set", "wire", "up")


def cgroups():
    """Directories for the floor's cgroups: of the hierarchy in which cctl puts a container without limits."""
    base = Path("/sys/fs/cgroup")
    if (base / "cgroup.controllers").exists():
        return [base]
    if (base / "unified").is_dir():
        return [base / "unified"]
    return [base / name for name in ("cpu", "memory", "pids") if (base / name).is_dir()][:1]


def detach_below(directory):
    """Takes away the mounts that somebody has left there."""
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for point in reversed([point for point in mounts if point.startswith(f"{directory}/")]):
        run("umount", "-l", point)


def description(directory):
    """The machine, and what is compared on it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    memory = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    revision = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], stdout=subprocess.PIPE, stderr=NULL)
    return {
        "cpu": model,
        "cpus": len(os.sched_getaffinity(0)),
        "memory": f"{int(memory.split()[1]) / 1024 / 1024:.0f} GiB",
        "kernel": platform.release(),
        "cgroups": "v2" if Path("/sys/fs/cgroup/cgroup.controllers").exists() else "hybrid",
        "files": run("stat", "-f", "-c", "%T", directory).strip(),
        "load": os.getloadavg()[0],
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "revision": revision.stdout.decode().strip() or "unknown",
    }
