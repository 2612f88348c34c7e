@0x9631ece588a3662f;
# What every cctl service has in common. Read this first: the other files only add nouns and verbs.
#
# Rules that hold for every method of every service:
#
# * The kernel says who connects (SO_PEERCRED, SO_PEERGROUPS), and the bootstrap capability is made for that role: an admin
#   (root, a member of the group `cctl`) has all methods, a service those that are called by services, a viewer and the
#   user of a project those that were granted to them. Every other method answers `permissionDenied`; so does every
#   method but `hello` to a peer without any role, if it can connect at all.
# * A connection over which nothing is called for 10 seconds is closed, one of too many is closed at once, and so is one
#   over which a message of more than 8 MiB comes. Calls beyond 16384 that wait for their answers, or beyond 64 MiB of
#   parameters, are answered by the exception `overloaded`: try again later.
# * The first call on a connection is `hello`. Its `epoch` changes with every restart of the service, so a
#   client can tell a restarted service from the one it knew.
# * Every method may be repeated after a lost connection. It is either idempotent, or it recognises the
#   repetition by an id that the caller chose; its comment says which.
# * An expected failure is data (`Outcome.failure`). A Cap'n Proto exception means transport trouble or a bug.
# * A Cap'n Proto list or text that is too long for its meaning is answered with `invalidArgument`.

interface Service {
  # The bootstrap capability of every service.

  hello @0 (features :UInt64) -> (about :About);
  # Says who answers. `features` is a bit set of optional protocol features that the caller knows; none are
  # defined yet. Unknown bits are ignored.

  auditRecords @1 (call :Call, after :UInt64, since :Int64, until :Int64, maxCount :UInt32) -> (outcome :Outcome(AuditPage));
  # Who has changed something at this service, and who was refused: records, oldest first, from the place `after`
  # on (0: the oldest kept; else `next` of an earlier page), of `since` or later and before `until` (nanoseconds since
  # the Unix epoch; 0: without bound), at most `maxCount` (0: 1,000) of them. Caller: an admin. Idempotent.
  # Fails: unimplemented, if the service keeps no such records (a plugin need not).
}

struct About {
  service @0 :Text;    # what the service implements: "executor"
  version @1 :Text;    # of the program that answers: "0.1.0"
  protocol @2 :UInt32; # of the contract. A client refuses a service whose protocol it does not know.
  epoch @3 :UInt64;    # differs for every start of the service
  features @4 :UInt64; # optional features that both sides know
}

struct AuditPage {
  records @0 :List(AuditRecord);
  next @1 :UInt64; # pass as `after` of the next call; the same as was passed: there is nothing newer yet
  damaged @2 :UInt64; # records in this part that could not be read
}

struct AuditRecord {
  # One call that changes something, written before it was answered, or one that was refused.
  at @0 :Int64;               # when it was answered, nanoseconds since the Unix epoch
  service @1 :Text;           # that was called
  method @2 :Text;            # "containers.stop"; of an interface that is unknown: its id and ordinal
  uid @3 :UInt32;             # of the caller, by the kernel's word
  gid @4 :UInt32;
  pid @5 :Int32;
  role @6 :Text;              # "admin", "viewer", "project web", "none"; several: with commas between them
  object @7 :Text;            # what was named: a container, an image, a service; may be empty
  details @8 :List(Text);     # "key=value": parameters that matter. No environment, no arguments of commands, no credentials
  request @9 :UInt64;         # `Call.request`
  outcome @10 :Text;          # "ok"; the code of the failure, as `Code` names it; "begun": a transfer that goes on;
                              # "unknown": the caller went before there was an answer
  message @11 :Text;          # of the failure
  missing @12 :UInt64;        # calls just before this one that could not be recorded, or were too many refused ones
}

struct Call {
  # Goes with every method.
  request @0 :UInt64;    # identifies the user's request across processes: in every trace line, and the guard
                         # of methods that must not run twice
  deadlineMs @1 :UInt32; # milliseconds that the caller will still wait; 0xffffffff: without bound
}

struct Outcome(T) {
  union {
    ok @0 :T;
    failure @1 :Failure;
  }
}

struct Done {}
# Nothing to say but that it is done.

struct Failure {
  code @0 :Code;
  message @1 :Text; # one line, names the offending value
  hint @2 :Text;    # what to do about it; may be empty
}

enum Code {
  internal @0;          # a bug or an unexpected error of the system; the message has the context
  notFound @1;          # the named object does not exist
  alreadyExists @2;     # the name or id is taken by another object
  conflict @3;          # the object is in a state that does not allow this
  invalidArgument @4;   # the call can never succeed as it is
  permissionDenied @5;  # the caller may not do this
  resourceExhausted @6; # no addresses, no ports, no space, no memory
  unavailable @7;       # a service that is needed does not answer
  deadlineExceeded @8;  # the caller's time is over
  unimplemented @9;     # this service does not do this
  corrupt @10;          # stored data is damaged
  notExecutable @11;    # the command exists and cannot be executed (exit code 126)
  commandNotFound @12;  # the command does not exist in the container (exit code 127)
  sandboxLost @13;      # its monitor was killed before anything was executed in it: another can be made
}

struct SandboxRef {
  # Names the namespaces of a sandbox: /proc/<pid>/ns/*.
  pid @0 :Int32;        # of the sandbox's monitor, in the host's PID namespace
  startTime @1 :UInt64; # field 22 of /proc/<pid>/stat, in clock ticks since boot: guards against a reused pid
}

struct Layer {
  # One layer of an image, as OCI describes it.
  digest @0 :Text;    # of the blob as stored: "sha256:<hex>"
  diffId @1 :Text;    # of the uncompressed tar: "sha256:<hex>"
  mediaType @2 :Text; # OCI or Docker media type; tells the compression
  size @3 :UInt64;    # of the blob, bytes
}

struct Limits {
  # Resource limits of a container; 0 means no limit.
  memory @0 :UInt64;    # bytes
  memorySwap @1 :Int64; # bytes of memory and swap together; 0: twice `memory`; -1: swap without limit
  nanoCpus @2 :UInt64;  # billionths of a CPU: 1_500_000_000 is one and a half
  pids @3 :UInt64;      # tasks
  cpuShares @4 :UInt64; # relative weight where CPUs are contended, 2 to 262144; 1024 is what everybody else has
}

struct Security {
  # What the processes of a container may do, beyond or short of what those of each container may. Every field's
  # default is what a container has if nothing is said.
  privileged @0 :Bool;           # all capabilities and devices, no filter of system calls, nothing hidden: as good as
                                 # root on the host, where it shares the host's user namespace
  capAdd @1 :List(Text);         # "CAP_NET_ADMIN", with or without CAP_, in any case; or "ALL"
  capDrop @2 :List(Text);        # likewise. With ALL among the added, the dropped are left out; with ALL among the
                                 # dropped, only the added are left; else an added one wins over a dropped one
  readOnlyRoot @3 :Bool;         # the root filesystem cannot be written; volumes and tmpfs can
  newPrivileges @4 :NewPrivileges;
  seccomp :union {
    usual @5 :Void;              # the default list, which depends on the capabilities; none if privileged
    unconfined @6 :Void;
    profile @7 :Text;            # JSON as Docker and OCI have it, at most 256 KiB
  }
  appArmor @8 :Text;             # a profile that is loaded; "unconfined"; empty: "cctl-default" where it is loaded
  labels @9 :List(Text);         # SELinux: "user:U", "role:R", "type:T", "level:L", or "disable"
  systemPaths @10 :Bool;         # nothing of /proc and /sys is hidden or made read-only
  devices @11 :List(Device);
  groups @12 :List(Text);        # further groups of its processes: names of the image, or numbers
  sysctls @13 :List(Text);       # "net.core.somaxconn=1024": those that its own namespaces have
  ulimits @14 :List(Ulimit);
  shmSize @15 :UInt64;           # bytes of /dev/shm; 0: 64 MiB
}

enum NewPrivileges {
  usual @0;      # denied; allowed if privileged
  denied @1;     # no program gives more rights than its user has, whatever its set-user-id bit or capabilities
  allowed @2;
}

struct Device {
  source @0 :Text;  # absolute path of a device node on the host, or of a directory of such
  target @1 :Text;  # absolute path in the container, below /dev
  access @2 :Text;  # of r (read), w (write), m (make its node): at least one
}

struct Ulimit {
  # A limit of each process; see setrlimit(2).
  resource @0 :Text; # without RLIMIT_, in lower case: "nofile"
  soft @1 :UInt64;   # 0xffffffffffffffff: none
  hard @2 :UInt64;
}

enum Protocol {
  tcp @0;
  udp @1;
}

struct PortBinding {
  hostAddress @0 :Text;   # IPv4 or IPv6 address of the host to listen on; empty: all of both families
  hostPort @1 :UInt16;    # 0 in a request: choose one
  containerPort @2 :UInt16;
  protocol @3 :Protocol;
}

struct Volume {
  source @0 :Text;   # absolute path on the host; a directory is made there if nothing exists
  target @1 :Text;   # absolute path in the container, resolved beneath its root
  readOnly @2 :Bool;
  idmap @3 :Bool;    # files belong in the container to whom they belong on the host, though the container has user
                     # ids of its own; without it, the container sees the host's own ids, which it may not have
}

struct ExitRecord {
  # How a container's first process ended.
  code @0 :Int32;       # as a shell says it: the exit status, or 128 + the signal; -1: unknown
  signal @1 :Int32;     # the signal that ended it; 0: none
  oomKilled @2 :Bool;   # the kernel's OOM killer was at work in the container's cgroup
  finishedAt @3 :Int64; # nanoseconds since the Unix epoch
  note @4 :Text;        # why the code is unknown; else empty
}

struct CheckReport {
  # What a service found when it compared what it stores with what it should store.
  examined @0 :UInt64;          # objects that were read and verified
  bytes @1 :UInt64;             # bytes that were read
  problems @2 :List(Problem);   # empty: all is whole
  repaired @3 :List(Problem);   # what this call has mended; not among the problems any more
  kept @4 :List(Problem);       # damaged files that were set aside, and that nothing depends on; the hint removes each
  owners @5 :List(Text);        # ids of the containers and execs that have something at this service
}

struct Problem {
  object @0 :Text;  # what is wrong, as a user can name it: "blob sha256:…", "layer …", "record …"
  message @1 :Text; # what is wrong with it
  hint @2 :Text;    # what mends it; may be empty
  sources @3 :List(Text); # images (repository@digest) of which pulling any one brings what is missing
}
