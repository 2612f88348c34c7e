@0xb98ea6537cdf08d3;
# The container manager owns the record and the lifecycle of every container. It has no privilege of its
# own: it asks the five workers.
#
# Where a method takes `container`, that is a name, an id of 64 hex digits, or a unique prefix of an id.
# Each fails with notFound if there is none, and with conflict if a prefix is ambiguous.

using Common = import "common.capnp";
using Network = import "network.capnp";
using Filesystem = import "filesystem.capnp";
using Executor = import "executor.capnp";
using ImageStore = import "image-store.capnp";
using LogCollector = import "log-collector.capnp";

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
  # Sends the stop signal, waits `timeoutMs` (0xffffffff: as the container's record says), sends SIGKILL. Done if it is not running. Idempotent.
  # Repeated with the same `call.request`: done also if it has removed itself meanwhile.

  kill @3 (call :Common.Call, container :Text, signal :Int32) -> (outcome :Common.Outcome(Container));
  # Sends a signal to PID 1. Repeated with the same `call.request`: sent again while it runs, done if it has ended, or removed itself.
  # Fails: conflict if it is not running.

  restart @4 (call :Common.Call, container :Text, timeoutMs :UInt32) -> (outcome :Common.Outcome(Container));
  # Stops it if it runs, and starts it. Repeated with the same `call.request`: done once.

  wait @5 (call :Common.Call, container :Text) -> (outcome :Common.Outcome(Container));
  # Answers when it is not running; also of one that has removed itself a moment ago. Dropping the call cancels the wait.
  # Idempotent.

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

  rename @13 (call :Common.Call, container :Text, newName :Text) -> (outcome :Common.Outcome(Container));
  # Gives a container another name. Done if it has it. Fails: alreadyExists, invalidArgument.

  pause @14 (call :Common.Call, container :Text) -> (outcome :Common.Outcome(Container));
  # Stops all its processes where they are. Done if they are. Fails: conflict if it is not running.

  unpause @15 (call :Common.Call, container :Text) -> (outcome :Common.Outcome(Container));
  # Lets a paused container go on. Done if it does. Fails: conflict if it is not running.

  stats @16 (call :Common.Call, container :Text) -> (outcome :Common.Outcome(Executor.Stats));
  # What it has used and uses. Idempotent. Fails: conflict if it is not running.

  top @17 (call :Common.Call, container :Text) -> (outcome :Common.Outcome(Executor.ProcessList));
  # Its processes. Idempotent. Fails: conflict if it is not running.

  events @18 (call :Common.Call, after :UInt64, since :Int64, waitMs :UInt32) -> (outcome :Common.Outcome(EventList));
  # What happened to containers after the event number `after` (0: from the oldest kept) and at `since`
  # (nanoseconds since the Unix epoch) or later. If there is nothing yet, waits up to `waitMs` for it. At most
  # 1,000 a call. The newest 10,000 or so are kept, also across restarts of this service. Idempotent.

  exec @19 (call :Common.Call, container :Text, exec :Text, spec :ExecSpec) -> (outcome :Common.Outcome(Exec));
  # Runs a further process in a running container. The caller chooses the id `exec` (64 lower-case hex digits,
  # random); its output is read, and its input written, at the log collector under that id. Again with the
  # same id: the same answer, nothing is started twice. Fails: conflict (not running, paused),
  # commandNotFound, notExecutable, notFound (user).

  execWait @20 (call :Common.Call, exec :Text) -> (outcome :Common.Outcome(Common.ExitRecord));
  # Answers when the process has ended. Idempotent. Fails: notFound if it is forgotten.

  execResize @21 (call :Common.Call, exec :Text, rows :UInt16, columns :UInt16) -> (outcome :Common.Outcome(Common.Done));
  # Sets the size of its terminal. Idempotent.

  execKeep @22 (call :Common.Call, exec :Text, leaseMs :UInt32) -> (outcome :Common.Outcome(Common.Done));
  # Keeps an exec from being forgotten for `leaseMs` from now, as `keep`. Without a lease it is forgotten, and
  # its output with it, 10 s after it ended. Idempotent.

  changes @23 (call :Common.Call, container :Text, after :Data, maxCount :UInt32) -> (outcome :Common.Outcome(Filesystem.ChangeList));
  # How its files differ from its image; see filesystem.

  archive @24 (call :Common.Call, container :Text, request :Filesystem.ArchiveRequest, cursor :Data, maxBytes :UInt32) -> (outcome :Common.Outcome(Filesystem.ArchiveChunk));
  # Its files as a tar archive, part by part; see filesystem.

  extract @25 (call :Common.Call, container :Text, request :Filesystem.ExtractRequest) -> (outcome :Common.Outcome(Common.Done));
  # Unpacks an upload of the image store into it; see filesystem.

  stat @26 (call :Common.Call, container :Text, path :Text) -> (outcome :Common.Outcome(Filesystem.PathStat));
  # What lies at one of its paths; see filesystem.

  commit @27 (call :Common.Call, container :Text, upload :Text, spec :CommitSpec) -> (outcome :Common.Outcome(ImageStore.Image));
  # Makes an image of its files and its configuration. `upload` is chosen by the caller (1 to 64 of [a-z0-9])
  # and makes a repetition answer the same image. A running container is paused meanwhile if `spec.pause`.
  # Fails: conflict if it runs, is not paused, and `spec.pause` is not set.

  usage @28 (call :Common.Call, container :Text) -> (outcome :Common.Outcome(Filesystem.Usage));
  # What its writable layer takes on disk. Idempotent.

  check @29 (call :Common.Call, repair :Bool) -> (outcome :Common.Outcome(Common.CheckReport));
  # Verifies the records of this service, and has filesystem, network, executor and log-collector compare what they
  # have with what they should have: what belongs to no container is a problem, and so is what a container lacks. With
  # `repair`, damaged records of what is known are written anew, the image store is told again which images are in use,
  # the others mend what they can, and what belongs to no container is removed. Idempotent.

  offer @30 (call :Common.Call, spec :ContainerSpec) -> (outcome :Common.Outcome(Offer));
  # An id for a container that is about to be created with this spec and started. Today it is random: what stands ready is
  # for `run`. Repeated: another id.

  run @31 (call :Common.Call, id :Text, spec :ContainerSpec) -> (outcome :Common.Outcome(Container));
  # Records a container and runs it: `create` and `start` in one call. The caller chooses the id, as for `create`; the
  # container may have another, that of a sandbox which stood ready, and is found by both. Repeated with the same
  # `call.request`, id and spec: the same container, not started twice, also if it has removed itself meanwhile. What could not be
  # started stays, with the reason in its record.
  # Fails as `create`, and then there is no container, or as `start`.

  standDown @32 (call :Common.Call) -> (outcome :Common.Outcome(Common.Done));
  # Removes the sandboxes that stand ready; none are made any more until this service is started again. Containers are left
  # alone. Called when the services are about to be stopped. Idempotent.

  ended @33 (call :Common.Call, container :Text) -> (outcome :Common.Outcome(Container));
  # As `wait`, but answers when its run has ended and that is recorded, before anything of it is cleaned up. For who is about to
  # remove it.
  # Idempotent.
}

struct Offer {
  id @0 :Text; # 64 lower-case hex digits
}

struct ExecSpec {
  arguments @0 :List(Text);
  environment @1 :List(Text); # "KEY=value", after the container's
  user @2 :Text;              # empty: the container's
  workingDirectory @3 :Text;  # empty: the container's
  terminal @4 :Bool;
  openStdin @5 :Bool;
  rows @6 :UInt16;
  columns @7 :UInt16;
  privileged @8 :Bool;        # it has every capability, and no AppArmor profile
}

struct Exec {
  id @0 :Text;
  container @1 :Text;  # id
  pid @2 :Int32;       # in the host's PID namespace
  position @3 :UInt64; # log position at which its output begins
}

struct CommitSpec {
  reference @0 :Text;       # repository[:tag]; empty: untagged
  message @1 :Text;
  author @2 :Text;
  changes @3 :List(Text);   # instructions as of a Dockerfile: "CMD …", "ENV KEY=value"
  pause @4 :Bool;
}

struct Event {
  sequence @0 :UInt64;        # counts up, never reused
  at @1 :Int64;               # nanoseconds since the Unix epoch
  action @2 :Text;            # create, start, die, stop, kill, pause, unpause, restart, rename, oom, destroy, commit, exec_start, exec_die;
                              # damage: its record was set aside; orphan: what was left of it without a record was removed
  container @3 :Text;         # id
  attributes @4 :List(Text);  # "key=value": name, image, exitCode, signal, …
}

struct EventList {
  events @0 :List(Event);
  next @1 :UInt64; # pass as `after` of the next call
}

enum RestartKind {
  no @0;
  onFailure @1;     # when its exit code is not 0
  always @2;        # also after the host was restarted, also if a user had stopped it before that
  unlessStopped @3; # as always, but not if a user had stopped it
}

struct RestartPolicy {
  kind @0 :RestartKind;
  maximum @1 :UInt32; # of `onFailure`: how often at most; 0: without bound
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
  logMode @20 :LogCollector.LogMode;
  labels @21 :List(Text);     # "key=value"
  restart @22 :RestartPolicy;
  stopSignal @23 :Text;       # name or number; empty: the image's
  stopTimeoutMs @24 :UInt32;  # how long `stop` waits if its caller does not say; 0: 10 s
  extraHosts @25 :List(Filesystem.HostEntry); # lines of /etc/hosts
  nameservers @26 :List(Text); # addresses; empty: the host's
  searchDomains @27 :List(Text); # empty: the host's
  security @28 :Common.Security;
  tmpfs @29 :List(Filesystem.Tmpfs);
  users @30 :UserMode;
}

enum UserMode {
  default @0; # as containers.toml of the instance says; `private` without it
  private @1; # a user namespace of its own: its root and its other users are nobody on the host
  host @2;    # the host's users: root in the container is root. So it is with `security.privileged`, too
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
  paused @6;
  restarting @7; # ended, and will be started again by its restart policy
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
  restartCount @15 :UInt32;   # how often its restart policy started it again
  execs @16 :List(Text);      # ids of the further processes that run in it
  idBase @17 :UInt32;         # its user ids 0 to 65535 are this and the following ones on the host, and no other
                              # container's, as long as it exists; 0: it has the host's
}

struct ContainerList {
  containers @0 :List(Container);
}

struct Info {
  containers @0 :UInt32;
  running @1 :UInt32;
  network @2 :Network.NetworkInfo;
}
