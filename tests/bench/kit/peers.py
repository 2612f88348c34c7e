"""Those that are compared: each in a network namespace of its own, so that none is hindered by another's firewall."""

import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from pathlib import Path

from .machine import NULL, ROOT, inside, new_network, program, run, wire, words

BIN = Path(os.environ.get("CCTL_BIN", ROOT / "target/release"))
SERVICES = ("image-store", "filesystem", "network", "executor", "log-collector", "containers")
PORT = 18080
# Lines in the image's file of lines.
BLOCK = 10_000


class Engine:
    """One with a command line like Docker's."""

    networks = ("bridge", "none")
    environment = None
    # Options for a log that keeps all that is written, where that is not usual.
    whole_log = ()

    def __init__(self, work, image):
        self.work, self.image = work, image
        self.net = new_network()
        # What lives as long as the host is in memory, as /run is.
        self.transient = work / "run"
        self.transient.mkdir(parents=True)
        run("mount", "-t", "tmpfs", "-o", "mode=0755", "run", self.transient)

    def place(self):
        return inside(self.net)

    def timed(self, command, output=NULL):
        """Milliseconds that a command takes."""
        # What a command leaves running holds its streams: they are no pipes.
        with self.place(), tempfile.TemporaryFile() as errors:
            start = time.monotonic()
            done = subprocess.run(words(command), stdin=NULL, stdout=output, stderr=errors, env=self.environment)
            milliseconds = (time.monotonic() - start) * 1e3
            if done.returncode != 0:
                errors.seek(0)
                raise SystemExit(f"{' '.join(words(command))}: exit {done.returncode}: {errors.read().decode()[-500:]}")
        return milliseconds

    def do(self, *command):
        with self.place():
            return run(*command, env=self.environment)

    def start(self):
        pass

    def stop(self):
        pass

    def version(self):
        return [self.command[0], "--version"]

    def run(self, network, *command):
        return [*self.command, "run", "--rm", "--network", network, "base", *command]

    def exec(self, name, *command):
        return [*self.command, "exec", name, *command]

    def sleeper(self, name):
        return [*self.command, "run", "-d", "--network", "none", "--name", name, "base", "sleep", "100000"]

    def remove(self, names):
        self.do(*self.command, "rm", "-f", *names)

    def lists(self):
        return [*self.command, "ps"]

    def inspects(self, name):
        return [*self.command, "inspect", name]

    def logs(self, name):
        return [*self.command, "logs", name]

    def wait(self, name):
        return [*self.command, "wait", name]

    def talker(self, name, lines):
        """A container that writes so many lines of 100 bytes, detached."""
        return [*self.command, "run", "-d", "--network", "none", *self.whole_log, "--name", name, "base", "sh", "-c", writes(lines)]

    def server(self, name):
        """Starts a server of traffic with a published port; its own address."""
        self.do(*self.command, "run", "-d", "--name", name, "-p", f"{PORT}:8080", "base", "/traffic", "serve", "8080")
        return self.do(*self.command, "inspect", "-f", "{{.NetworkSettings.IPAddress}}", name).strip()

    def neighbour(self):
        """A host beside that of the engine, which reaches it at 192.0.2.1."""
        there = new_network()
        wire(self.net, there)
        return there


def make_base(image):
    """The base image, and in it `/lines`: numbered lines of 100 bytes, to be written again and again."""
    with open(image, "wb") as file:
        subprocess.run([ROOT / "deploy/base-image"], stdout=file, check=True)
    text = "".join(f"{number:08} {'x' * 90}\n" for number in range(BLOCK)).encode()
    with tarfile.open(image, "a") as archive:
        member = tarfile.TarInfo("lines")
        member.size, member.mode = len(text), 0o644
        archive.addfile(member, io.BytesIO(text))


def writes(lines):
    """A shell command that writes so many lines, as fast as a pipe takes them: what makes lines one by one is slower than a log."""
    return f"set --; while [ $# -lt {lines // BLOCK} ]; do set -- /lines \"$@\"; done; exec cat \"$@\""


class Cctl(Engine):
    name = "cctl"
    whole_log = ("--log-opt", "max-size=1g")

    def __init__(self, work, image, programs=BIN, name="cctl"):
        super().__init__(work, image)
        self.name = name
        # Copied, as the packages of the others were: what a linker has written lies in the page cache in single pages, and
        # mapping those is slower, by 0.2 ms for a command and by 0.8 ms for a run.
        here = work / "programs"
        here.mkdir()
        run("cp", "-a", *(file for file in programs.iterdir() if file.is_file() and os.access(file, os.X_OK)), here)
        parts = {f"CCTL_{part.upper()}": str(work / part) for part in ("root", "run", "config")}
        self.environment = {**os.environ, **parts, "CCTL_LIBEXEC": str(here)}
        self.command = [here / "cctl"]

    def start(self):
        self.do(*self.command, "system", "start")
        self.do(*self.command, "import", self.image, "base")

    def stop(self):
        self.do(*self.command, "system", "stop", "--containers")

    def ours(self, arguments):
        return program(arguments) in SERVICES or program(arguments).startswith("cctl-")


class Podman(Engine):
    name = "podman"

    def start(self):
        self.command = ["podman", "--root", self.work / "root", "--runroot", self.transient / "root", "--cgroup-manager=cgroupfs",
                        "--events-backend=file", "--tmpdir", self.transient / "tmp"]
        self.do(*self.command, "import", self.image, "base")

    def version(self):
        return ["podman", "--version"]

    def stop(self):
        self.do(*self.command, "rm", "-fa", "-t", "0")
        subprocess.run(["umount", "-l", self.work / "root/overlay"], stderr=NULL)

    def remove(self, names):
        # It would wait for ten seconds until it kills what does not heed SIGTERM.
        self.do(*self.command, "rm", "-f", "-t", "0", *names)

    def ours(self, arguments):
        return program(arguments) == "conmon"


class Daemon(Engine):
    """One that is a daemon."""

    def launch(self, command, asks):
        log = open(self.work / "log", "wb")
        with self.place():
            self.daemon = subprocess.Popen(words(command), stdin=NULL, stdout=log, stderr=log)
        for _ in range(600):
            if subprocess.run(words(asks), stdout=NULL, stderr=NULL).returncode == 0:
                return
            if self.daemon.poll() is not None:
                break
            time.sleep(0.1)
        raise OSError(f"{command[0]} does not start: {(self.work / 'log').read_text()[-400:]}")

    def stop(self):
        self.daemon.send_signal(signal.SIGTERM)
        self.daemon.wait()

    def ours(self, arguments):
        # Its helpers name it by its directory.
        return any(str(self.work) in argument for argument in arguments)


class Docker(Daemon):
    name = "docker"

    def start(self):
        self.command = ["docker", "-H", f"unix://{self.work}/docker.sock"]
        self.launch(["dockerd", "--data-root", self.work / "root", "--exec-root", self.transient, "-H",
                     f"unix://{self.work}/docker.sock", "--pidfile", self.work / "pid", "--bip", "10.214.0.1/24"],
                    [*self.command, "version"])
        self.do(*self.command, "import", self.image, "base")

    def version(self):
        return ["docker", "--version"]


class Containerd(Daemon):
    """containerd by its own client: it keeps no logs, and knows no network but a namespace of loopback."""

    name = "containerd"
    networks = ("none",)
    count = 0
    logs = None

    def start(self):
        socket = self.work / "containerd.sock"
        self.command = ["ctr", "-a", socket]
        settings = self.work / "config.toml"
        settings.write_text(f'version = 2\nroot = "{self.work}/root"\nstate = "{self.transient}"\n'
                            f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "{socket}"\n')
        self.launch(["containerd", "--config", settings], [*self.command, "version"])
        archive = self.work / "archive.tar"
        docker_archive(self.image, archive)
        self.do(*self.command, "image", "import", archive)
        archive.unlink()

    def fresh(self):
        self.count += 1
        return f"c{self.count}"

    def run(self, network, *command):
        return [*self.command, "run", "--rm", "docker.io/library/base:latest", self.fresh(), *command]

    def exec(self, name, *command):
        return [*self.command, "task", "exec", "--exec-id", self.fresh(), name, *command]

    def sleeper(self, name):
        return [*self.command, "run", "-d", "--null-io", "docker.io/library/base:latest", name, "sleep", "100000"]

    def remove(self, names):
        for name in names:
            self.do(*self.command, "task", "rm", "-f", name)
        self.do(*self.command, "container", "rm", *names)

    def lists(self):
        return [*self.command, "task", "ls"]

    def inspects(self, name):
        return [*self.command, "container", "info", name]


def docker_archive(layer, target):
    """An image of one layer, as `docker save` writes it."""
    bytes_of = Path(layer).read_bytes()
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["sh"], "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]},
                         "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(bytes_of).hexdigest()}"]}}).encode()
    manifest = json.dumps([{"Config": "config.json", "RepoTags": ["docker.io/library/base:latest"], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(target, "w") as archive:
        for name, data in (("layer.tar", bytes_of), ("config.json", config), ("manifest.json", manifest)):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


class Runtime(Engine):
    """One that runs bundles, and does nothing else: no network, no image, no log."""

    networks = ("none",)
    logs = None
    count = 0

    def __init__(self, work, image, name):
        super().__init__(work, image)
        self.name = name
        self.command = [name, "--root", self.transient]

    def start(self):
        self.bundle("bundle", "true")
        self.bundle("sleeper", "sleep", "100000")

    def bundle(self, name, *command):
        bundle = self.work / name
        (bundle / "rootfs").mkdir(parents=True)
        run("tar", "-C", bundle / "rootfs", "-xf", self.image)
        run(self.name, "spec", cwd=bundle)
        spec = json.loads((bundle / "config.json").read_text())
        spec["process"].update(args=list(command), terminal=False)
        (bundle / "config.json").write_text(json.dumps(spec))

    def run(self, network, *command):
        self.count += 1
        return [*self.command, "run", "--bundle", self.work / "bundle", f"b{self.count}"]

    def sleeper(self, name):
        return [*self.command, "run", "--detach", "--bundle", self.work / "sleeper", name]

    def remove(self, names):
        for name in names:
            self.do(*self.command, "delete", "-f", name)


def installed(work, image, wanted):
    """Those that are wanted and there, each started; and why others are not."""
    kinds = {"cctl": (Cctl, BIN / "cctl"), "podman": (Podman, "podman"), "docker": (Docker, "dockerd"),
             "containerd": (Containerd, "ctr"), "crun": (Runtime, "crun"), "runc": (Runtime, "runc"), "youki": (Runtime, "youki")}
    engines = []
    for name in wanted:
        kind, needed = kinds[name]
        if shutil.which(str(needed)) is None:
            print(f"{name} is left out: it is not installed", flush=True)
            continue
        engine = kind(work / name, image, name) if kind is Runtime else kind(work / name, image)
        try:
            engine.start()
            engines.append(engine)
        except OSError as error:
            print(f"{name} is left out: {error}", flush=True)
    return engines
