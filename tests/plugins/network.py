"""The network service as a plugin, in Python: a worked example for docs/plugins.md.

usage: network.py SCHEMA        started by cctl-supervisor; SCHEMA is the directory of network.capnp

It keeps the contract of schema/network.capnp by ip(8), nsenter(1) and nft(8). It keeps its leases in the records of the
service that is shipped, so either takes over from the other while containers run. What that does beyond the contract is
left out: undoing at once what other firewalls do to the table, and forgetting connections to a port that has moved on.
"""
import asyncio, errno, hashlib, ipaddress, json, os, secrets, socket, subprocess, sys
from concurrent.futures import ThreadPoolExecutor
import capnp

capnp.remove_import_hook()
SCHEMA = capnp.load(os.path.join(sys.argv[1], "network.capnp"))
STATE = os.path.join(os.environ["CCTL_ROOT"], "network")
LEASES = os.path.join(STATE, "leases")
BOOT = open("/proc/sys/kernel/random/boot_id").read().strip()
EPOCH = secrets.randbits(63) | 1
KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


class Refused(Exception):
    """An expected failure: code, one line, hint."""


def run(*command, text=None):
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    if done.returncode:
        raise Refused("internal", " ".join(f"{' '.join(command)}: {done.stderr or done.stdout}".split()), "")
    return done.stdout


def switch(name, value):
    with open(f"/proc/sys/net/{name}", "w") as file:
        file.write(value)


def kernel_name():
    """What Instance::kernel_name says: the name of bridge and table."""
    root, value = os.fsencode(os.environ["CCTL_ROOT"]), 0xCBF29CE484222325
    for byte in root:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return "cctl0" if root == b"/var/lib/cctl" else f"cctl-{(value ^ value >> 32) & 0xFFFFFF:06x}"


def write(path, kind, record):
    """A record as docs/decisions/0001-record-files.md describes it; whole or not at all."""
    body = json.dumps(record, indent=2).encode()
    head = f"cctl-record {kind} 1 sha256:{hashlib.sha256(body).hexdigest()}\n".encode()
    with open(path + ".tmp", "wb") as file:
        file.write(head + body)
        file.flush()
        os.fsync(file.fileno())
    os.rename(path + ".tmp", path)


def read(path):
    try:
        head, body = open(path, "rb").read().split(b"\n", 1)
        return json.loads(body) if head.endswith(hashlib.sha256(body).hexdigest().encode()) else None
    except (OSError, ValueError):
        return None


def container(text):
    if len(text) != 64 or set(text) - set("0123456789abcdef"):
        raise Refused("invalidArgument", f"{text!r} is not the id of a container", "")
    return text


class Engine:
    """Leases, and the kernel made to agree with them. Everything here may wait: it has a thread of its own."""

    def __init__(self):
        os.makedirs(LEASES, mode=0o700, exist_ok=True)
        self.name, self.held, self.leases = kernel_name(), {}, {}
        self.choice = read(os.path.join(STATE, "bridge.json"))
        for file in sorted(os.listdir(LEASES)):
            lease = read(os.path.join(LEASES, file)) if file.endswith(".json") else None
            if lease and lease["boot"] == BOOT:
                self.leases[file.removesuffix(".json")] = lease
        for id, lease in self.leases.items():
            try:
                self.held[id] = [self.hold(port) for port in lease["ports"]]
            except Refused as refused:
                print("a published port was taken meanwhile:", refused, file=sys.stderr)
        self.restore()

    # The bridge and the table.

    def subnets(self):
        """The chosen ones; chosen now if none are."""
        if not self.choice:
            routes = {route["dst"] for route in json.loads(run("ip", "-j", "-4", "route"))} - {"default"}
            used = [ipaddress.ip_network(route) for route in routes]
            seed = int.from_bytes(hashlib.sha256(self.name.encode()).digest(), "big")
            every = (ipaddress.ip_network((0x0A580000 + (seed + step) % 8192 * 256, 24)) for step in range(8192))
            free = next((net for net in every if not any(net.overlaps(other) for other in used)), None)
            if free is None:
                raise Refused("resourceExhausted", "no free subnet in 10.88.0.0/11", "`ip -4 route` shows them")
            six = ipaddress.ip_network(((0xFD << 120) | (seed % 2**56 << 64), 64))
            self.choice = {"subnet": str(free), "subnet6": str(six)}
            write(os.path.join(STATE, "bridge.json"), "network", self.choice)
        try:
            has_six = all(open(f"/proc/sys/net/ipv6/conf/{n}/disable_ipv6").read().strip() == "0" for n in ("all", "default"))
        except OSError:
            has_six = False
        six = self.choice.get("subnet6") if has_six else None
        return ipaddress.ip_network(self.choice["subnet"]), six and ipaddress.ip_network(six)

    def restore(self):
        """Bridge and table as the leases want them."""
        if self.leases:
            self.stand()
            for lease in self.leases.values():
                subprocess.run(["ip", "link", "set", lease["interface"], "master", self.name, "up"], capture_output=True)
            self.render()

    def stand(self):
        four, six = self.subnets()
        if self.name not in {link["ifname"] for link in json.loads(run("ip", "-j", "link"))}:
            run("ip", "link", "add", self.name, "address", mac(four[1]), "type", "bridge")
            self.render()
        if six:
            for name in ("accept_ra", "autoconf", "accept_dad"):
                switch(f"ipv6/conf/{self.name}/{name}", "0")
            run("ip", "-6", "addr", "replace", f"{six[1]}/{six.prefixlen}", "dev", self.name, "nodad")
            switch("ipv6/conf/all/forwarding", "1")
        run("ip", "addr", "replace", f"{four[1]}/{four.prefixlen}", "dev", self.name)
        switch("ipv4/ip_forward", "1")
        switch(f"ipv4/conf/{self.name}/route_localnet", "1")
        run("ip", "link", "set", self.name, "up")

    def render(self):
        """The whole table in one transaction: there is no moment without it."""
        four, six = self.subnets()
        maps = {"ports": [], "address_ports": [], "ports6": [], "address_ports6": [], "loopback_ports6": []}
        for lease in self.leases.values():
            for port in lease["ports"]:
                address = ipaddress.ip_address(port["host_address"] or "0.0.0.0")
                suffix, to = ("", lease["address"]) if address.version == 4 else ("6", lease.get("address6"))
                if not to:
                    continue
                key, to = f"{port['protocol']} . {port['host_port']}", f"{to} . {port['container_port']}"
                if address.is_unspecified:
                    maps["ports" + suffix].append(f"{key} : {to}")
                else:
                    maps["address_ports" + suffix].append(f"{address} . {key} : {to}")
                if suffix and (address.is_unspecified or address.is_loopback):
                    maps["loopback_ports6"].append(key)
        values = {name: f"elements = {{ {', '.join(items)} }}" if items else "" for name, items in maps.items()}
        template = open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "table.nft")).read()
        if not six:
            template = "\n".join(line for line in template.splitlines() if "SUBNET6" not in line and "GATEWAY6" not in line)
        for name in sorted(values, key=len, reverse=True):
            template = template.replace(f"ELEMENTS({name})", values[name])
        for name, value in ("SUBNET6", six), ("GATEWAY6", six and six[1]), ("SUBNET", four), ("BRIDGE", self.name):
            template = template.replace(name, str(value))
        run("nft", "-f", "-", text=f"table inet {self.name} {{}}\ndelete table inet {self.name}\n{template}\n")

    # Ports.

    def hold(self, port):
        """A socket on a port of the host: it is the only sure way to learn that it is free, and keeps it."""
        address = port["host_address"] or "0.0.0.0"
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        one = socket.socket(family, KINDS[port["protocol"]])
        try:
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if port["protocol"] == "tcp":
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind((address, port["host_port"]))
            if port["protocol"] == "tcp":
                one.listen(0)
            return one
        except OSError as error:
            one.close()
            code = {errno.EADDRINUSE: "conflict", errno.EADDRNOTAVAIL: "invalidArgument"}.get(error.errno, "internal")
            text = f"port {address}:{port['host_port']}/{port['protocol']}: {error.strerror}"
            raise Refused(code, text, "publish another port, or stop what uses it") from None

    def bind(self, wanted, six):
        """Ports as bound, and the sockets that hold them."""
        bound, held = [], []
        try:
            for port in wanted:
                every = ["0.0.0.0"] + (["::"] if six else [])
                for address in [port["host_address"]] if port["host_address"] else every:
                    one = dict(port, host_address=address)
                    if not one["host_port"] and address == "::":
                        one["host_port"] = bound[-1]["host_port"]
                    held.append(self.hold(one))
                    one["host_port"] = held[-1].getsockname()[1]
                    bound.append(one)
            return bound, held
        except BaseException:
            for one in held:
                one.close()
            raise

    # The contract.

    def attach(self, id, sandbox, spec):
        if spec["mode"] == "host" or spec["mode"] == "none" and spec["ports"]:
            raise Refused("invalidArgument", f"a network of mode {spec['mode']} cannot be attached so", "")
        inside = ["nsenter", f"--net=/proc/{sandbox['pid']}/ns/net"]
        try:
            started = int(open(f"/proc/{sandbox['pid']}/stat").read().rsplit(")", 1)[1].split()[19])
        except (OSError, IndexError):
            started = None
        if started != sandbox["start_time"]:
            raise Refused("notFound", f"the sandbox with process {sandbox['pid']} is gone", "")
        run(*inside, "ip", "link", "set", "lo", "up")
        if spec["mode"] == "none":
            return None
        lease = self.leases.get(id)
        if lease and lease["spec"] != spec:
            if lease["sandbox"] == sandbox:
                raise Refused("conflict", f"container {id[:12]} is attached in another way", "detach it first")
            self.detach(id)
            lease = None
        is_new, (four, six) = not lease, self.subnets()
        if is_new:
            taken = {other["address"] for other in self.leases.values()}
            number = next((n for n in range(2, four.num_addresses - 1) if str(four[n]) not in taken), None)
            if number is None:
                raise Refused("resourceExhausted", f"no address is left in {four}", "remove containers")
            ports, self.held[id] = self.bind(spec["ports"], six)
            order = 1 + max((other["order"] for other in self.leases.values()), default=0)
            lease = dict(boot=BOOT, order=order, spec=spec, address=str(four[number]),
                         address6=str(six[number]) if six else None, ports=ports)
        interface = f"veth{id[:7]}{(sandbox['pid'] ^ sandbox['start_time']) & 0xFFFF:04x}"
        lease = dict(lease, sandbox=sandbox, interface=lease.get("interface", interface))
        if lease["sandbox"] != self.leases.get(id, lease)["sandbox"]:
            lease["interface"] = interface
        # Recorded before any effect: whoever is killed in between leaves nothing that nobody knows of.
        write(os.path.join(LEASES, id + ".json"), "lease", lease)
        self.leases[id] = lease
        try:
            self.stand()
            self.plug(id, lease, inside, four, six)
            self.render()
        except BaseException:
            if is_new:
                self.detach(id)
            raise
        return lease

    def plug(self, id, lease, inside, four, six):
        present = {link["ifname"] for link in json.loads(run(*inside, "ip", "-j", "link"))}
        if "eth0" not in present:
            subprocess.run(["ip", "link", "del", lease["interface"]], capture_output=True)
            run("ip", "link", "add", lease["interface"], "type", "veth", "peer", "name", "eth0",
                "address", mac(ipaddress.ip_address(lease["address"])), "netns", str(lease["sandbox"]["pid"]))
        run("ip", "link", "set", lease["interface"], "master", self.name, "alias", f"cctl {id} {lease['address']}", "up")
        run("ip", "link", "set", lease["interface"], "type", "bridge_slave", "hairpin", "on")
        run(*inside, "ip", "addr", "replace", f"{lease['address']}/{four.prefixlen}", "dev", "eth0")
        run(*inside, "ip", "link", "set", "eth0", "up")
        run(*inside, "ip", "route", "replace", "default", "via", str(four[1]), "dev", "eth0")
        if lease["address6"]:
            run(*inside, "ip", "-6", "addr", "replace", f"{lease['address6']}/{six.prefixlen}", "dev", "eth0", "nodad")
            run(*inside, "ip", "-6", "route", "replace", "default", "via", str(six[1]), "dev", "eth0")

    def detach(self, id):
        lease = self.leases.pop(id, None)
        if lease:
            self.render()
            subprocess.run(["ip", "link", "del", lease["interface"]], capture_output=True)
            os.unlink(os.path.join(LEASES, id + ".json"))
            for one in self.held.pop(id, []):
                one.close()

    def reconcile(self, live):
        for id in set(self.leases) - set(live):
            self.detach(id)
        self.restore()

    def tear_down(self):
        if self.leases:
            raise Refused("conflict", f"{len(self.leases)} container(s) use the network", "stop them first")
        run("nft", "-f", "-", text=f"table inet {self.name} {{}}\ndelete table inet {self.name}\n")
        subprocess.run(["ip", "link", "del", self.name], capture_output=True)


def mac(address):
    return "02:42:" + ":".join(f"{byte:02x}" for byte in address.packed)


def answered(method):
    """A method of the contract: its failure is data, and so is a bug."""
    async def answer(self, _context, call=None, **arguments):
        try:
            fill = await method(self, **arguments)
            # After `await`, so that nothing of the outcome is there yet if it failed.
            done = _context.results.init("outcome").init("ok")
            if fill:
                fill(done)
        except Exception as error:
            code, message, hint = error.args if isinstance(error, Refused) else ("internal", f"{type(error).__name__}: {error}", "")
            failure = _context.results.init("outcome").init("failure")
            failure.code, failure.message, failure.hint = code, " ".join(message.split()), hint
    return answer


class Network(SCHEMA.Network.Server):
    def __init__(self, engine, thread):
        self.engine, self.thread = engine, thread

    async def ask(self, question, *arguments):
        return await asyncio.get_running_loop().run_in_executor(self.thread, question, *arguments)

    async def hello(self, features, _context, **_):
        about = _context.results.init("about")
        about.service, about.version, about.protocol, about.epoch = "network", "python-example", 1, EPOCH

    @answered
    async def attach(self, id, sandbox, spec):
        # What came in is read before the first `await`.
        ports = [dict(host_address=p.hostAddress or None, host_port=p.hostPort, container_port=p.containerPort,
                      protocol=str(p.protocol)) for p in spec.ports]
        wanted, reference = dict(mode=str(spec.mode), ports=ports), dict(pid=sandbox.pid, start_time=sandbox.startTime)
        lease = await self.ask(self.engine.attach, container(id), reference, wanted)
        if not lease:
            return None
        four, six = await self.ask(self.engine.subnets)

        def fill(done):
            done.address, done.prefixLength, done.gateway = lease["address"], four.prefixlen, str(four[1])
            done.mac = mac(ipaddress.ip_address(lease["address"]))
            for one, port in zip(done.init("ports", len(lease["ports"])), lease["ports"]):
                one.hostAddress, one.hostPort = port["host_address"] or "", port["host_port"]
                one.containerPort, one.protocol = port["container_port"], port["protocol"]
            if lease["address6"] and six:
                done.address6, done.prefixLength6, done.gateway6 = lease["address6"], six.prefixlen, str(six[1])
        return fill

    @answered
    async def detach(self, id):
        await self.ask(self.engine.detach, container(id))

    @answered
    async def reconcile(self, live):
        await self.ask(self.engine.reconcile, [container(id) for id in live])

    @answered
    async def tearDown(self):
        await self.ask(self.engine.tear_down)

    @answered
    async def info(self):
        four, six = await self.ask(self.engine.subnets)

        def fill(done):
            done.bridge = done.table = self.engine.name
            done.subnet, done.gateway, done.attached = str(four), str(four[1]), len(self.engine.leases)
            if six:
                done.subnet6, done.gateway6 = str(six), str(six[1])
        return fill


async def main():
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        sys.exit("this service is started by cctl-supervisor, which passes its socket")
    listener = socket.socket(fileno=3)
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.connect(os.environ["NOTIFY_SOCKET"])
    thread = ThreadPoolExecutor(1)
    engine = await asyncio.get_running_loop().run_in_executor(thread, Engine)

    async def serve(stream):
        try:
            await capnp.TwoPartyServer(stream, bootstrap=Network(engine, thread)).on_disconnect()
        except capnp.KjException as error:
            print("a connection is closed:", error.description, file=sys.stderr)

    server = await capnp.AsyncIoStream.create_unix_server(serve, sock=listener)
    notify.send(b"READY=1")
    while server.is_serving():
        await asyncio.sleep(int(os.environ["WATCHDOG_USEC"]) / 4e6)
        notify.send(b"WATCHDOG=1")


asyncio.run(capnp.run(main()))
