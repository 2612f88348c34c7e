@0xc78eb394eef15337;
# The supervisor starts the services, holds their sockets, and restarts them. It never calls a service.

using Common = import "common.capnp";

interface Supervisor extends(Common.Service) {
  # Caller: `cctl`.

  status @0 (call :Common.Call) -> (outcome :Common.Outcome(StatusList));
  # The supervisor itself first, then the services in the manifest's order. Idempotent.

  restart @1 (call :Common.Call, service :Text) -> (outcome :Common.Outcome(Common.Done));
  # Kills a service (empty: each in turn) and answers when its successor is ready. Also clears `failed`.
  # Repeated: restarts again, which does no harm. The supervisor itself cannot be named: notFound.
  # The drop-ins of the instance's owner are read before, and if one is wrong, nothing is touched: invalidArgument,
  # notFound, notExecutable or permissionDenied, and the message names the file. A service that they define in another
  # way than it runs is started as they say, and answers when it has been ready for a moment. If it does not get ready,
  # or ends again and again, what ran before is back when the failure comes: unavailable.

  logFile @2 (call :Common.Call, service :Text) -> (outcome :Common.Outcome(LogFile));
  # Where a service writes its log. Idempotent.

  shutDown @3 (call :Common.Call) -> (outcome :Common.Outcome(Common.Done));
  # Ends the services, the supervisor and its keeper. Containers go on. The answer comes first. Idempotent.

  replace @4 (call :Common.Call, service :Text, executable :Text) -> (outcome :Common.Outcome(Common.Done));
  # Runs another program as a service, from now on and after every restart, until it is replaced again. `executable`
  # is an absolute path; what is there is checked and copied, so the file is not needed any more. Empty: the installed
  # program. Answers when the service has been ready with it for a moment. If it is not ready within the start timeout
  # of the service, or ends again and again, then the program of before is back when the failure comes: `unavailable`,
  # and the message says why. Before anything is touched:
  #   notFound           there is no such service, or no such file
  #   notExecutable      not a program: not executable, or neither ELF nor a script
  #   invalidArgument    not a regular file, or a path that is not absolute
  #   permissionDenied   somebody but root could change the file
  #   conflict           the service is being replaced by another program right now
  # Repeated: replaces the program by the same program, which does no harm.

  audit @5 (call :Common.Call) -> (outcome :Common.Outcome(Audit));
  # What each process of this instance holds at this moment, by the kernel's word (/proc), beside what the manifest
  # leaves to it: the supervisor, its keeper, the services that run in the manifest's order, then the monitors of
  # containers. Idempotent.

  calls @6 (call :Common.Call) -> (outcome :Common.Outcome(CallList));
  # What was called at the supervisor and at each service that runs, and how long the answers took, counted by the
  # current process of each. A service tells of it with its signs of life, in lines of sd_notify(3) that are named X_CCTL_CALLS
  # and X_CCTL_CONNECTIONS, so it is up to half a watchdog interval old; one that does not tell has no methods. Idempotent.
}

struct StatusList {
  services @0 :List(ServiceStatus);
}

struct ServiceStatus {
  service @0 :Text;
  pid @1 :Int32;         # 0: not running
  state @2 :State;
  restarts @3 :UInt32;   # since the supervisor started
  uptimeMs @4 :UInt64;   # of the current process
  memory @5 :UInt64;     # proportional set size (PSS), bytes
  lastError @6 :Text;    # why it was restarted last; may be empty
  executable @7 :Text;   # the program that runs instead of the installed one; empty: none does
  cpuNs @8 :UInt64;      # CPU time that the current process has used, nanoseconds
  ioRead @9 :UInt64;     # bytes that the current process had the disks read
  ioWritten @10 :UInt64; # bytes that it had them write
  descriptors @11 :UInt32; # that it has open
  threads @12 :UInt32;
}

struct CallList {
  services @0 :List(ServiceCalls);
}

struct ServiceCalls {
  service @0 :Text;
  connections @1 :UInt32;       # that it serves
  methods @2 :List(MethodCalls);
}

struct MethodCalls {
  method @0 :Text;              # "containers.start"
  answered @1 :UInt64;          # with `ok`
  refused @2 :UInt64;           # with a failure that is the caller's or the object's: notFound, alreadyExists, conflict,
                                # invalidArgument, permissionDenied, unimplemented, notExecutable, commandNotFound
  failed @3 :UInt64;            # with any other failure
  dropped @4 :UInt64;           # by callers that did not wait for the answer
  totalNs @5 :UInt64;           # how long they all took, nanoseconds
  durations @6 :List(UInt64);   # how many took at most 1, 4, 16, 64, 256, 1024, 4096 ms, and longer: eight numbers, each
                                # without those before it
}

enum State {
  starting @0;
  ready @1;
  draining @2;
  backoff @3;
  failed @4;   # gave up: too many restarts in too short a time
}

struct Audit {
  processes @0 :List(Held);
}

struct Held {
  process @0 :Text;              # name of the service; `supervisor`, `keeper`, or `monitor` and the container's id
  pid @1 :Int32;
  uid @2 :UInt32;                # effective
  gid @3 :UInt32;
  capabilities @4 :List(Text);   # of any of its threads, permitted, or to be had by executing something; without CAP_
  noNewPrivileges @5 :Bool;
  seccomp @6 :Bool;              # its system calls are filtered
  namespaces @7 :List(Text);     # kinds of namespaces, as /proc names them, that are not the supervisor's
  listens @8 :List(Text);        # file names of unix sockets, and `tcp` with address and port, on which it listens
  excess @9 :List(Text);         # what it has that the manifest does not leave to it, a sentence each; empty: nothing
  landlock @10 :UInt32;          # version of landlock(7) by whose rules it lives; 0: none. By the supervisor's word: /proc
                                 # does not tell
  lacks @11 :List(Text);         # what the manifest holds it by and this kernel cannot, a sentence each
}

struct LogFile {
  path @0 :Text;
}
