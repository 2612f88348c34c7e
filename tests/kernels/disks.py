"""What a machine boots from: an initramfs, the disk of its root, and a disk of the programs under test."""

import lzma
import os
import shutil
import subprocess
from pathlib import Path

# What the kernel must have before it can mount its root; everything else it loads when it is asked for.
EARLY = ["virtio_pci", "virtio_blk", "ext4"]

INIT = """#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
for module in $(/bin/busybox cat /order); do /bin/busybox insmod "/modules/$module" || exit; done
while ! [ -b /dev/vdb ]; do /bin/busybox usleep 10000; done
/bin/busybox mount -t ext4 /dev/vda /root && /bin/busybox mount -t ext4 /dev/vdb /root/mnt || exit
/bin/busybox mount --move /dev /root/dev
exec /bin/busybox switch_root /root /bin/busybox init
"""
# What the first process of the root does.
INITTAB = "::sysinit:/mnt/sources/tests/kernels/init\n"


def root(image, recipe, kernel):
    """Makes the disk of the root, with the modules of the kernel, unless it is there."""
    marks = recipe.read_text() + kernel.release
    stamp = image.with_suffix(".stamp")
    if image.exists() and stamp.exists() and stamp.read_text() == marks:
        return
    print("making the root of a machine", flush=True)
    archive = image.with_suffix(".tar")
    with open(archive, "wb") as output:
        log = image.with_suffix(".root.log")
        with open(log, "wb") as errors:
            if subprocess.run([recipe, "machine"], stdout=output, stderr=errors, check=False).returncode != 0:
                raise SystemExit(f"{recipe} machine: {log.read_text()}")
    tree = image.with_suffix(".tree")
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir()
    subprocess.run(["tar", "--extract", "--directory", tree, "--file", archive], check=True)
    archive.unlink()
    shutil.copytree(kernel.modules, tree / "usr/lib/modules" / kernel.release)
    subprocess.run(["chroot", tree, "depmod", kernel.release], check=True)
    shutil.copy(tree / "usr/lib/modules" / kernel.release / "modules.dep", kernel.modules)
    (tree / "etc/inittab").write_text(INITTAB)
    disk(image, tree, spare=2 << 30)
    shutil.rmtree(tree)
    stamp.write_text(marks)


def disk(image, tree, spare):
    """Makes an ext4 file system of a directory, with room for so many bytes more. No mount is needed."""
    used = int(subprocess.run(["du", "-s", "-B1", tree], stdout=subprocess.PIPE, check=True).stdout.split()[0])
    new = image.with_suffix(".new")
    with open(new, "wb") as file:
        file.truncate(used + used // 8 + (64 << 20) + spare)
    words = ["mke2fs", "-q", "-F", "-t", "ext4", "-E", "root_owner=0:0", "-d", tree, new]
    subprocess.run(words, check=True)
    new.rename(image)


def initramfs(path, kernel, busybox):
    """Writes what the kernel unpacks first: cpio, the format `newc`."""
    order = []
    for name in EARLY:
        for module in with_dependencies(kernel, name):
            if module not in order:
                order.append(module)
    with open(path, "wb") as file:
        number = 0

        def entry(name, mode, data=b""):
            nonlocal number
            number += 1
            fields = [number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
            header = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
            for part in (header, data):
                file.write(part + b"\0" * (-len(part) % 4))

        for name in ["bin", "dev", "modules", "root"]:
            entry(name, 0o040755)
        entry("bin/busybox", 0o100755, Path(busybox).read_bytes())
        entry("init", 0o100755, INIT.encode())
        entry("order", 0o100644, "\n".join(plain(module) for module in order).encode())
        for module in order:
            data = (kernel.modules / module).read_bytes()
            entry(f"modules/{plain(module)}", 0o100644, lzma.decompress(data) if module.endswith(".xz") else data)
        entry("TRAILER!!!", 0)


def plain(module):
    """The name of its file when it is not compressed."""
    return os.path.basename(module).removesuffix(".xz")


def with_dependencies(kernel, name):
    """Files of a module and of all that it needs, in the order in which they are loaded; none if it is built in."""
    names = {name, name.replace("_", "-")}
    for line in (kernel.modules / "modules.dep").read_text().splitlines():
        file, needs = line.split(":")
        if plain(file).removesuffix(".ko") in names:
            return [*reversed(needs.split()), file]
    return []
