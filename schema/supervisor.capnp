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

  logFile @2 (call :Common.Call, service :Text) -> (outcome :Common.Outcome(LogFile));
  # Where a service writes its log. Idempotent.

  shutDown @3 (call :Common.Call) -> (outcome :Common.Outcome(Common.Done));
  # Ends the services, the supervisor and its keeper. Containers go on. The answer comes first. Idempotent.
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
}

enum State {
  starting @0;
  ready @1;
  draining @2;
  backoff @3;
  failed @4;   # gave up: too many restarts in too short a time
}

struct LogFile {
  path @0 :Text;
}
