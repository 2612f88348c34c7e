"""Debian's kernels: fetched by apt and unpacked, not installed."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

# The package that means the newest build of a kernel.
NEWEST = {"6.1": "linux-image-cloud-amd64", "6.12": "linux-image-6.12-cloud-amd64"}


class Kernel:
    """A kernel that is unpacked in a directory."""

    def __init__(self, directory):
        self.image = next((directory / "boot").glob("vmlinuz-*"))
        self.release = self.image.name.removeprefix("vmlinuz-")
        self.modules = directory / "lib/modules" / self.release


def kernel(version, place):
    """One of NEWEST, fetched below a directory unless some build of it is there."""
    here = [path for path in place.glob(f"linux-image-{version}.*") if path.is_dir() and path.suffix != ".new"]
    if not here:
        here = [fetch(version, place)]
    return Kernel(max(here, key=lambda path: path.stat().st_mtime))


def fetch(version, place):
    """Fetches and unpacks it; the directory is whole or absent."""
    name = build(version)
    if name is None:
        # The lists of a fresh machine are empty.
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        name = build(version)
    if name is None:
        raise SystemExit(
            f"apt knows no kernel {version} ({NEWEST[version]}): "
            "add Debian's bookworm and bookworm-security to its sources"
        )
    print(f"fetching {name}", flush=True)
    unpacked = place / f"{name}.new"
    shutil.rmtree(unpacked, ignore_errors=True)
    with tempfile.TemporaryDirectory() as work:
        # apt drops to a user that must be able to write here.
        Path(work).chmod(0o777)
        if subprocess.run(["apt-get", "download", "-qq", name], cwd=work, check=False).returncode != 0:
            # The list may name a build that the mirror has replaced.
            subprocess.run(["apt-get", "update", "-qq"], check=True)
            subprocess.run(["apt-get", "download", "-qq", name], cwd=work, check=True)
        package = next(Path(work).glob("*.deb"))
        subprocess.run(["dpkg-deb", "-x", package, unpacked], check=True)
    return unpacked.rename(place / name)


def build(version):
    """The newest build's package, if apt knows one."""
    words = ["apt-cache", "show", "--no-all-versions", NEWEST[version]]
    text = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False, text=True).stdout
    found = re.search(rf"^Depends: (linux-image-{re.escape(version)}\.[^ ,]+)", text, re.MULTILINE)
    return found and found.group(1)
