@0xa0445e9d8e1c907e;
# The log collector captures the output of containers exactly once, keeps it within bounds, hands it out,
# and carries input to them.
#
# A position counts the bytes that a container has written, stdout and stderr together, since it was
# created. It never goes back, also across restarts, rotation and compression.

using Common = import "common.capnp";

interface LogCollector extends(Common.Service) {
  # Callers: `containers` (open, remove, reconcile), `cctl` (read, locate, openInput, totals).

  open @0 (call :Common.Call, id :Text, spec :LogSpec) -> (outcome :Common.Outcome(Opened));
  # Begins to capture a run: opens the FIFOs in the sandbox's directory. From the answer on nothing that the
  # container writes is lost. Again for the same directory: the same answer.

  read @1 (call :Common.Call, id :Text, position :UInt64, maxBytes :UInt32, waitMs :UInt32, reader :UInt64) -> (outcome :Common.Outcome(Chunk));
  # Output from `position` on. If there is none yet and the run has not ended, waits up to `waitMs` for some.
  # A position that was rotated away is answered from the oldest byte kept, and `lost` says how many bytes
  # are missing. `reader` is 0, or a random number that an attached client keeps: then what lies from `position`
  # on is not rotated away before that client reads on, and a container that is faster waits for it. The
  # hold ends 5 s after the answer, so a client that stopped reading holds up nobody for longer. Idempotent.

  locate @2 (call :Common.Call, id :Text, from :From) -> (outcome :Common.Outcome(Opened));
  # The position at which a part of the log begins. Idempotent.

  openInput @3 (call :Common.Call, id :Text, session :Text, once :Bool) -> (outcome :Common.Outcome(Input));
  # Attaches to the container's stdin. `session` is chosen by the caller and makes a reconnection continue
  # where it was: `accepted` tells how many bytes of this session have been taken. With `once`, the end of the
  # session ends the container's stdin: when it is closed, or when the caller's connection is lost and the
  # session is not opened again within 2 s.
  # Fails: conflict if the container runs without stdin, or has ended.

  remove @4 (call :Common.Call, id :Text) -> (outcome :Common.Outcome(Common.Done));
  # Forgets a container's log. Idempotent.

  reconcile @5 (call :Common.Call, live :List(Text)) -> (outcome :Common.Outcome(Common.Done));
  # Removes the logs of containers that are not in `live`. Idempotent.

  check @6 (call :Common.Call, repair :Bool) -> (outcome :Common.Outcome(Common.CheckReport));
  # Names what is kept of logs, and what of it is damaged. Idempotent.

  totals @7 (call :Common.Call) -> (outcome :Common.Outcome(TotalList));
  # How much each log has taken, of containers and of execs. Idempotent.

  parts @8 (call :Common.Call, id :Text, position :UInt64, maxBytes :UInt64, waitMs :UInt32, reader :UInt64) -> (outcome :Common.Outcome(PartList));
  # What `read` hands out, by where it is: for a caller on this host that may open the collector's files, which is
  # root, and wants bytes by the hundred megabytes. `position`, `waitMs`, `reader`, `next`, `lost` and `ended` are as for
  # `read`; `maxBytes` 0: 64 MiB. What a part describes never changes in its file. The file may be gone when the caller
  # opens it, replaced by its compressed form or rotated away: then the caller asks again, or reads. Of a file that is
  # open, all parts stay readable whatever becomes of its name. Idempotent.
  # Fails: unimplemented, if the collector keeps no such files (a plugin need not): then the caller reads.
}

interface InputSession {
  write @0 (call :Common.Call, offset :UInt64, data :Data) -> (outcome :Common.Outcome(Accepted));
  # Bytes of this session from `offset` on; those that were taken before are skipped. Answers when all are in
  # the container's pipe: a container that does not read makes the caller wait. At most 64 KiB a call.

  close @1 (call :Common.Call) -> (outcome :Common.Outcome(Common.Done));
  # Ends the session.
}

struct LogSpec {
  directory @0 :Text;    # of the sandbox
  terminal @1 :Bool;     # only stdout exists
  openStdin @2 :Bool;    # stdin exists
  maxSize @3 :UInt64;    # bytes of a segment; 0: 20 MiB
  maxFiles @4 :UInt32;   # segments kept; 0: 5
  mode @5 :LogMode;
  labels @6 :List(Text); # of the container: whoever may read or write where one of them is. Of the first `open` of a run.
}

enum LogMode {
  block @0; # a container that is faster than its log waits
  drop @1;  # what the log cannot take in time is counted and dropped, and a gap shows it
}

struct Opened {
  position @0 :UInt64;
}

struct TotalList {
  totals @0 :List(Total);
}

struct Total {
  id @0 :Text;        # of the container or exec
  written @1 :UInt64; # bytes that it has written since it was created, also those that were dropped
  kept @2 :UInt64;    # bytes of them that can still be read
  dropped @3 :UInt64; # bytes that were dropped, with mode `drop` or a full disk, since this service was started
}

struct From {
  union {
    start @0 :Void;      # the oldest byte kept
    end @1 :Void;        # what is written from now on
    lastLines @2 :UInt64;
    since @3 :Int64;     # nanoseconds since the Unix epoch
  }
}

struct Chunk {
  records @0 :List(Record);
  next @1 :UInt64;  # position after these records
  lost @2 :UInt64;  # bytes between the position asked for and the first record
  ended @3 :Bool;   # the run has ended and this is all of it
}

struct Record {
  at @0 :Int64;          # when it was captured, nanoseconds since the Unix epoch
  stream @1 :Stream;
  data @2 :Data;
  dropped @3 :UInt64;    # bytes of this stream that were dropped just before `data`, with mode `drop` or a full disk
}

struct PartList {
  files @0 :List(PartFile);
  parts @1 :List(Part); # in the order of capture
  next @2 :UInt64;      # position after these parts
  lost @3 :UInt64;      # bytes between the position asked for and the first part
  ended @4 :Bool;       # the run has ended and this is all of it
}

struct PartFile {
  path @0 :Text;   # beneath the collector's state directory, without symbolic links
  device @1 :UInt64;
  inode @2 :UInt64; # as fstat(2) tells: a file that has other numbers is another one
  packed @3 :Bool; # in zstd's seekable format; else as it was written
}

struct Part {
  stream @0 :Stream;
  file @1 :UInt32;    # its place in `files`
  offset @2 :UInt64;  # in the content of the file, decompressed
  length @3 :UInt64;
  dropped @4 :UInt64; # bytes of this stream that were dropped just before, as in `Record`; then `length` may be 0
}

enum Stream {
  stdout @0;
  stderr @1;
}

struct Input {
  session @0 :InputSession;
  accepted @1 :UInt64;
}

struct Accepted {
  total @0 :UInt64; # bytes of the session that the container's pipe has
}
