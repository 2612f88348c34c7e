@0xb98ea6537cdf08d3;
# The container manager owns the record and the lifecycle of every container. It has no privilege of its
# own: it asks the five workers.
#
# Where a method takes `container`, that is a name, an id of 64 hex digits, or a unique prefix of an id.
# Each fails with notFound if there is none, and with conflict if a prefix is ambiguous.

using Common = import "common.capnp";
using Network = import "network.capnp";

interface Containers extends(Common.Service) {
  # Caller: `cctl`.

  create @0 (call :Common.Call, id :Text, spec :ContainerSpec) -> (outcome :Common.Outcome(Container));
  # Records a container. The caller chooses the id (64 lower-case hex digits, random). Again with the same id
  # and spec: the same container.
  # Fails: notFound (image), alreadyExists (name, or the id with another spec), invalidArgument.

  start @1 (call :Common.Call, container :Text) -> (outcome :Common.Outcome(Container));
  # Runs a container that is not running. Repeated with the same `call.request`: done, not started twice.
  # A failure to start leaves it stopped, with the reason in its record.
  # Fails: conflict if it is running; else as the workers say.

  stop @2 (call :Common.Call, container :Text, timeoutMs :UInt32) -> (outcome :Common.Outcome(Container));
  # Sends the stop signal, waits, sends SIGKILL. Done if it is not running. Idempotent.

  kill @3 (call :Common.Call, container :Text, signal :Int32) -> (outcome :Common.Outcome(Container));
  # Sends a signal to PID 1. Fails: conflict if it is not running.

  restart @4 (call :Common.Call, container :Text, timeoutMs :UInt32) -> (outcome :Common.Outcome(Container));
  # Stops it if it runs, and starts it. Repeated with the same `call.request`: done once.

  wait @5 (call :Common.Call, container :Text) -> (outcome :Common.Outcome(Container));
  # Answers when it is not running. Dropping the call cancels the wait. Idempotent.

  remove @6 (call :Common.Call, container :Text, force :Bool) -> (outcome :Common.Outcome(Common.Done));
  # Removes a stopped container and all that belongs to it; with `force`, kills a running one first.
  # Fails: conflict if it runs and `force` is not set.

  list @7 (call :Common.Call) -> (outcome :Common.Outcome(ContainerList));
  # All containers, newest first. Idempotent.

  inspect @8 (call :Common.Call, container :Text) -> (outcome :Common.Outcome(Container));
  # One container. Idempotent.

  resize @9 (call :Common.Call, container :Text, rows :UInt16, columns :UInt16) -> (outcome :Common.Outcome(Common.Done));
  # Sets the size of its terminal. Idempotent.

  keep @10 (call :Common.Call, container :Text, leaseMs :UInt32) -> (outcome :Common.Outcome(Common.Done));
  # Keeps a container with `autoRemove = afterClient` from being removed for `leaseMs` from now, so that its
  # client can read the last of its output. Without a lease it is removed 10 s after it ended. Idempotent.

  shutDown @11 (call :Common.Call, timeoutMs :UInt32) -> (outcome :Common.Outcome(Common.Done));
  # Stops every container, all at a time, and removes what this instance has in the kernel. Idempotent.

  info @12 (call :Common.Call) -> (outcome :Common.Outcome(Info));
  # Counts, and what the workers say of the host. Idempotent.
}

struct ContainerSpec {
  image @0 :Text;             # reference, as the user wrote it
  containerName @1 :Text;     # empty: one is made from the id
  command @2 :List(Text);     # empty: the image's
  entrypoint @3 :Entrypoint;
  environment @4 :List(Text); # "KEY=value", after the image's
  user @5 :Text;              # empty: the image's
  hostname @6 :Text;          # empty: the first 12 digits of the id
  workingDirectory @7 :Text;  # empty: the image's
  terminal @8 :Bool;
  openStdin @9 :Bool;
  stdinOnce @10 :Bool;        # the end of the client's input ends the container's
  limits @11 :Common.Limits;
  network @12 :Network.Mode;
  ports @13 :List(Common.PortBinding);
  volumes @14 :List(Common.Volume);
  autoRemove @15 :AutoRemove;
  logMaxSize @16 :UInt64;     # 0: the collector's default
  logMaxFiles @17 :UInt32;    # 0: the collector's default
  rows @18 :UInt16;           # initial size of the terminal; 0: unknown
  columns @19 :UInt16;
}

struct Entrypoint {
  union {
    image @0 :Void;           # the image's
    replace @1 :List(Text);   # may be empty: none
  }
}

enum AutoRemove {
  never @0;
  onExit @1;
  afterClient @2;
}

enum State {
  created @0;
  starting @1;
  running @2;
  stopping @3;
  exited @4;
  removing @5;
}

struct Container {
  id @0 :Text;
  spec @1 :ContainerSpec;     # with the name that it has
  imageId @2 :Text;
  arguments @3 :List(Text);   # what PID 1 executes: entrypoint and command together
  createdAt @4 :Int64;        # nanoseconds since the Unix epoch
  state @5 :State;
  pid @6 :Int32;              # of PID 1 in the host's PID namespace; 0: not running
  startedAt @7 :Int64;        # 0: never
  exit @8 :Common.ExitRecord; # of the last run; valid if `hasExit`
  hasExit @9 :Bool;
  error @10 :Text;            # why the last start failed; empty: it did not
  errorCode @11 :Common.Code; # valid if `error` is not empty
  attachment @12 :Network.Attachment; # valid while it runs
  runPosition @13 :UInt64;    # log position at which the current or last run begins
  warnings @14 :List(Text);   # what the host could not do for it
}

struct ContainerList {
  containers @0 :List(Container);
}

struct Info {
  containers @0 :UInt32;
  running @1 :UInt32;
  network @2 :Network.NetworkInfo;
}
