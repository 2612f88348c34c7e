@0xf15469af0ed861dc;
# The executor owns sandboxes: namespaces, cgroups, the monitor (shim) of each, and the processes in them.
# A plugin that runs sandboxes in another way (a micro-VM, say) implements this interface and nothing else.

using Common = import "common.capnp";

interface Executor extends(Common.Service) {
  # Caller: `containers`.

  prepare @0 (call :Common.Call, id :Text, spec :SandboxSpec) -> (outcome :Common.Outcome(Prepared));
  # Makes a sandbox: fresh namespaces, its cgroup, a parked monitor, stdio FIFOs. It lives until `destroy`,
  # whatever happens to the executor. Again with the same spec: the same sandbox.
  # Fails: conflict (another spec), resourceExhausted, invalidArgument (a limit the kernel refuses, a device that is none,
  # a profile that is not loaded), notFound (a device), unimplemented (what this host cannot confine), sandboxLost
  # (its monitor was killed before anything was to be executed: `destroy` it, and prepare it again).

  start @1 (call :Common.Call, id :Text, process :ProcessSpec) -> (outcome :Common.Outcome(Started));
  # Turns the mounted /rootfs into / and executes PID 1. Answers when exec has succeeded, or with why it did
  # not. Again: the same answer, nothing is started twice.
  # Fails: commandNotFound (127), notExecutable (126), notFound (user, group or sandbox), invalidArgument,
  # sandboxLost (as `prepare`; nothing was executed, and another sandbox may be tried); internal if the monitor was
  # killed later, when the process may have been executed.

  wait @2 (call :Common.Call, id :Text) -> (outcome :Common.Outcome(Common.ExitRecord));
  # Answers when PID 1 has ended; at once if it had. Its last output may still be on its way to the log. Dropping the call
  # cancels the wait, not the process.

  signal @3 (call :Common.Call, id :Text, signal :Int32) -> (outcome :Common.Outcome(Common.Done));
  # Sends a signal to PID 1. A signal that PID 1 does not handle is ignored by the kernel, but SIGKILL and
  # SIGSTOP. Done also if PID 1 has ended.

  resize @4 (call :Common.Call, id :Text, rows :UInt16, columns :UInt16) -> (outcome :Common.Outcome(Common.Done));
  # Sets the size of the container's terminal, also before PID 1 runs. Fails: conflict if it has none.

  destroy @5 (call :Common.Call, id :Text) -> (outcome :Common.Outcome(Common.Done));
  # Kills every process of the sandbox and removes its cgroup and its directory. Idempotent: done if it is gone.

  list @6 (call :Common.Call) -> (outcome :Common.Outcome(SandboxList));
  # Every sandbox and every exec that exists, from the kernel's and the monitors' own word. Idempotent.

  prepareExec @7 (call :Common.Call, id :Text, exec :Text, spec :ExecSpec) -> (outcome :Common.Outcome(Prepared));
  # Makes ready a further process in the sandbox `id`: a monitor of its own, with stdio FIFOs in a directory
  # of its own. `exec` is an id like a container's, chosen by the caller; `start`, `wait`, `signal`, `resize`
  # and `destroy` take it like a sandbox's. The process joins the sandbox's namespaces and cgroup and gets
  # the same restrictions. It ends with the sandbox. Again with the same spec: the same answer.
  # Fails: notFound (no such sandbox), conflict (not running, frozen, or another spec).

  freeze @8 (call :Common.Call, id :Text, frozen :Bool) -> (outcome :Common.Outcome(Common.Done));
  # Stops every process of the sandbox where it is, or lets them go on. Answers when it is so. Idempotent.
  # Fails: notFound; conflict if nothing runs; unimplemented where the host has no freezer.

  stats @9 (call :Common.Call, id :Text) -> (outcome :Common.Outcome(Stats));
  # What the sandbox has used and uses. Idempotent. Fails: notFound; conflict if nothing runs.

  processes @10 (call :Common.Call, id :Text) -> (outcome :Common.Outcome(ProcessList));
  # The processes of the sandbox, in the order of their ids. Idempotent. Fails as `stats`.

  check @11 (call :Common.Call, repair :Bool) -> (outcome :Common.Outcome(Common.CheckReport));
  # Compares directories, monitors and cgroups of sandboxes with each other. With `repair`, removes what is left of
  # sandboxes that do not exist any more. Idempotent.

  setUp @12 (call :Common.Call, id :Text) -> (outcome :Common.Outcome(Common.Done));
  # Does ahead what of `start` does not depend on the process: turns the mounted /rootfs into /, and makes PID 1, which
  # waits. From then on nothing can be mounted in the sandbox: `prepare` fails with sandboxLost. Idempotent; done if it was
  # started. Fails: conflict (nothing is mounted, or an exec), notFound, sandboxLost. Who does not implement it starts a
  # little later.
}

struct ExecSpec {
  terminal @0 :Bool;  # stdio is a pseudo-terminal
  openStdin @1 :Bool; # stdin is a FIFO; else /dev/null
  privileged @2 :Bool; # it has every capability, and no AppArmor profile
}

struct Stats {
  at @0 :Int64;            # when it was read, nanoseconds since the Unix epoch
  cpuNs @1 :UInt64;        # CPU time used so far, nanoseconds
  memory @2 :UInt64;       # bytes in use, without the page cache that can be dropped at once
  memoryLimit @3 :UInt64;  # bytes; the host's memory if there is no limit
  pids @4 :UInt64;         # tasks
  blockRead @5 :UInt64;    # bytes
  blockWritten @6 :UInt64; # bytes
  received @7 :UInt64;     # bytes, over all interfaces but loopback; 0 in the host's network
  sent @8 :UInt64;         # bytes
  cpus @9 :UInt32;         # CPUs that it may run on
  oomKills @10 :UInt64;    # processes of this run that were killed for want of memory
}

struct ProcessList {
  processes @0 :List(Process);
}

struct Process {
  pid @0 :Int32;        # in the host's PID namespace
  parent @1 :Int32;
  uid @2 :UInt32;
  user @3 :Text;        # name of the uid on the host; the number if it has none
  cpuNs @4 :UInt64;
  startedAt @5 :Int64;  # nanoseconds since the Unix epoch
  terminal @6 :Text;    # "pts/0"; "?" if it has none
  command @7 :Text;     # its arguments, separated by spaces; "[name]" if it shows none
  state @8 :Text;       # as ps shows it: R, S, D, T, Z
  memory @9 :UInt64;    # resident set, bytes
  cpuPermille @10 :UInt32; # CPU time over its lifetime, thousandths of a CPU
}

struct SandboxSpec {
  hostname @0 :Text;
  hostNetwork @1 :Bool; # share the host's network namespace
  terminal @2 :Bool;    # stdio is a pseudo-terminal
  openStdin @3 :Bool;   # stdin is a FIFO; else /dev/null
  limits @4 :Common.Limits;
  security @5 :Common.Security; # holds for execs, too
  idBase @6 :UInt32;    # not 0: a user namespace of its own, in which user and group ids 0 to 65535 are this number and
                        # the following ones of the host. `conflict` if another sandbox has one of these. 0: the host's
}

struct Prepared {
  sandbox @0 :Common.SandboxRef;
  directory @1 :Text;        # holds the FIFOs stdin, stdout, stderr (services/executor/shim describes all files)
  warnings @2 :List(Text);   # what this host cannot do of it, a line each
}

struct ProcessSpec {
  arguments @0 :List(Text);   # at least one; the first is looked up in the environment's PATH
  environment @1 :List(Text); # "KEY=value"
  workingDirectory @2 :Text;  # absolute; made if it is missing
  user @3 :Text;              # name or uid[:name or gid], resolved in the rootfs; empty: root
  rows @4 :UInt16;            # initial size of the terminal; 0: unknown
  columns @5 :UInt16;
}

struct Started {
  pid @0 :Int32;       # of PID 1, in the host's PID namespace
  startedAt @1 :Int64; # nanoseconds since the Unix epoch
}

struct SandboxList {
  sandboxes @0 :List(SandboxState);
}

struct SandboxState {
  id @0 :Text;
  union {
    parked @1 :Void;                 # prepared, not started
    running @2 :Started;
    exited @3 :Common.ExitRecord;
  }
  execOf @4 :Text;  # the sandbox that it is an exec of; empty: it is a sandbox itself
  frozen @5 :Bool;
  idBase @6 :UInt32; # of its user namespace, as in its spec; 0: it has the host's, or is an exec
}
