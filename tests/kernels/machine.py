"""A machine of its own, emulated by qemu, until it switches itself off."""

import os
import select
import subprocess
import time

MEMORY = "2G"
PROCESSORS = "2"


class Late(Exception):
    """It was not done in time."""


def run(kernel, initramfs, disks, log, limit, tell):
    """Boots a machine; calls `tell` with each line of its console, which is also written to a log. What it writes to
    its disks is forgotten. Ends when the machine is off."""
    words = [
        # It goes with its runner.
        "setpriv", "--pdeathsig", "KILL", "--",
        "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", PROCESSORS, "-m", MEMORY,
        "-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio",
        "-kernel", kernel.image, "-initrd", initramfs,
        "-append", "console=ttyS0 panic=-1 quiet loglevel=4 mitigations=off",
    ]
    for disk in disks:
        words += ["-drive", f"file={disk},format=raw,if=virtio,snapshot=on,cache=unsafe"]
    end = time.monotonic() + limit
    with open(log, "wb") as record, subprocess.Popen(
        # In a session of its own, because the scheduler may group by session: what starves tests nothing.
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    ) as qemu:
        try:
            rest = b""
            while True:
                ready, _, _ = select.select([qemu.stdout], [], [], max(0, end - time.monotonic()))
                if not ready:
                    raise Late(f"the machine was not done in {limit} s")
                data = os.read(qemu.stdout.fileno(), 65536)
                record.write(data)
                record.flush()
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    tell(line.decode(errors="replace").rstrip("\r"))
                if not data:
                    return
        finally:
            qemu.kill()
