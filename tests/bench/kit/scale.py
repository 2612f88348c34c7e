"""How cctl grows with its containers: 100, 300, 1000 and so on, alive at the same time."""

import json
import os
import signal
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from .machine import processes, program, pss

#: What needs a service, besides `containers`, which all need.
NEEDS = {
    "containers": lambda engine: engine.lists(),
    "executor": lambda engine: engine.exec("s0", "true"),
    "filesystem": lambda engine: [*engine.command, "diff", "s0"],
    "network": lambda engine: engine.run("bridge", "true"),
    "log-collector": lambda engine: engine.logs("s0"),
    "image-store": lambda engine: [*engine.command, "images"],
    "supervisor": lambda engine: [*engine.command, "system", "status"],
}


def steps(most):
    return [count for count in (10, 30, 100, 300, 1000, 3000, 10000) if count < most] + [most]


def measure(engine, most):
    """A row for each step."""
    rows, alive = [], 0
    for count in steps(most):
        start = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: engine.timed(engine.sleeper(f"s{number}")), range(alive, count)))
        row = {"containers": count, "started per s": (count - alive) / (time.monotonic() - start)}
        alive = count
        row.update(looks(engine))
        row.update(sizes(engine, count))
        row["answers again after, ms"] = {service: after_kill(engine, service) for service in NEEDS}
        rows.append(row)
        print(f"scale: {count} containers", file=sys.stderr, flush=True)
    names = [f"s{number}" for number in range(alive)]
    start = time.monotonic()
    for number in range(0, alive, 100):
        engine.remove(names[number:number + 100])
    rows[-1]["removed per s"] = alive / (time.monotonic() - start)
    return rows


def middle(engine, command, times=9):
    return statistics.median(engine.timed(command) for _ in range(times))


def looks(engine):
    return {
        "ps, ms": middle(engine, engine.lists()),
        "inspect, ms": middle(engine, engine.inspects("s0")),
        "exec, ms": middle(engine, engine.exec("s0", "true")),
        "run --rm, bridge, ms": middle(engine, engine.run("bridge", "true")),
    }


def sizes(engine, count):
    """What is ours alone, once what the last commands have left is gone."""
    time.sleep(1)
    found = processes()
    monitors = [pid for pid, line in found.items() if program(line) == "cctl-shim"]
    # The keeper and the supervisor are one program.
    services = {line[1] if program(line) == "cctl-supervisor" else program(line): pss(pid) / 1024
                for pid, line in found.items() if engine.ours(line) and program(line) != "cctl-shim"}
    return {
        "monitor, KiB PSS": sum(map(pss, monitors)) / count,
        "services, MiB PSS": sum(services.values()),
        "of each service, MiB PSS": services,
    }


def after_kill(engine, service):
    """Milliseconds from the end of a service until a command that needs it is done, less what it takes otherwise."""
    command = NEEDS[service](engine)
    usual = middle(engine, command, 3)
    waits = []
    for _ in range(3):
        status = json.loads(engine.do(*engine.command, "system", "status", "--format", "json"))
        os.kill(next(one["pid"] for one in status if one["name"] == service), signal.SIGKILL)
        waits.append(engine.timed(command) - usual)
        # A service that is killed again and again is held back longer each time: not what is asked here.
        time.sleep(3)
    return max(0.0, statistics.median(waits))


def table(rows):
    lines = ["cctl with many containers"]
    for row in rows:
        for what, value in row.items():
            if isinstance(value, dict):
                value = ", ".join(f"{name} {one:.1f}" for name, one in value.items())
                lines.append(f"    {what:28} {value}")
            else:
                lines.append(f"{'' if what == 'containers' else '    '}{what:28} {value:10.2f}")
    return "\n".join(lines)
