@0x9c70c80fb9b8e8c8;
# The filesystem service owns unpacked layers and the writable layer of each container. It mounts a root
# filesystem into a sandbox's mount namespace, and nowhere else: the host never has a mount of a container.

using Common = import "common.capnp";

interface Filesystem extends(Common.Service) {
  # Caller: `containers`.

  mount @0 (call :Common.Call, id :Text, sandbox :Common.SandboxRef, spec :MountSpec) -> (outcome :Common.Outcome(Common.Done));
  # Mounts the container's root filesystem at /rootfs of the sandbox, with its volumes and the files that
  # `setNames` fills. Layers that are not unpacked yet are fetched from the image store and unpacked;
  # concurrent mounts of one layer share that work. The writable layer is made at the first mount and kept
  # until `release`. Again for the same sandbox: done, nothing is mounted twice.
  # Fails: unimplemented (the kernel or a file system cannot map user ids), notFound (sandbox gone, blob missing), corrupt (layer's digest wrong), invalidArgument (an archive
  # or a volume target that leaves the root), resourceExhausted (disk full).

  setNames @1 (call :Common.Call, id :Text, names :Names) -> (outcome :Common.Outcome(Common.Done));
  # Writes /etc/hostname, /etc/hosts and /etc/resolv.conf of a container. They are files of this service,
  # mounted over the rootfs: not part of the writable layer. Idempotent.

  release @2 (call :Common.Call, id :Text) -> (outcome :Common.Outcome(Common.Done));
  # Forgets a container: removes its writable layer. Idempotent. The sandbox must be gone.

  reconcile @3 (call :Common.Call, live :List(Text)) -> (outcome :Common.Outcome(Common.Done));
  # Removes what belongs to containers that are not in `live`. Idempotent.

  # The methods below look into the root filesystem of a container that runs, has ended, or was never started.

  changes @4 (call :Common.Call, place :Place, after :Data, maxCount :UInt32) -> (outcome :Common.Outcome(ChangeList));
  # How the writable layer differs from the image, in the byte order of the paths' components, at most
  # `maxCount` (0: 10,000) of those that come after the path `after` (empty: from the first). Idempotent.

  archive @5 (call :Common.Call, place :Place, request :ArchiveRequest, cursor :Data, maxBytes :UInt32) -> (outcome :Common.Outcome(ArchiveChunk));
  # A tar archive, part by part: an empty `cursor` begins, the answer's `next` continues. A cursor says by
  # itself where the archive goes on, so a restart of this service is not noticed. At most 1 MiB a call; 4 MiB if the part
  # is put in a file, which the first never is, and none while many archives have files.
  # Volumes, /proc, /sys, /dev and the files of `setNames` are no part of an export. Idempotent.
  # Fails: notFound (path).

  extract @6 (call :Common.Call, place :Place, request :ExtractRequest) -> (outcome :Common.Outcome(Common.Done));
  # Unpacks a tar archive, a complete upload of the image store, below a directory of the container. Nothing
  # outside the container's root is touched, whatever the archive or the container's symbolic links say.
  # Repeated: extracts again, to the same end.
  # Fails: notFound (path or upload); invalidArgument (no archive, or an entry that leads outside).

  commitLayer @7 (call :Common.Call, place :Place, upload :Text) -> (outcome :Common.Outcome(CommittedLayer));
  # Writes the writable layer as an uncompressed OCI layer (whiteouts and opaque directories in OCI's form) to
  # an upload of the image store. The container must not run, or be frozen. Repeated: the upload begins anew.

  usage @8 (call :Common.Call, id :Text) -> (outcome :Common.Outcome(Usage));
  # What the writable layer takes on disk; 0 if there is none. Idempotent.

  stat @9 (call :Common.Call, place :Place, path :Text) -> (outcome :Common.Outcome(PathStat));
  # What lies at a path of the container. The last component is not followed if it is a symbolic link; those
  # before it are, beneath the container's root. Idempotent. Fails: notFound.

  check @10 (call :Common.Call, repair :Bool, running :List(Text)) -> (outcome :Common.Outcome(Common.CheckReport));
  # Compares what is stored with what should be: each layer that an image or a container needs and that was
  # unpacked is whole, nothing is there that belongs to nobody. With `repair`, a layer that is not as it was unpacked
  # is removed, to be unpacked anew when it is needed, if no container runs on it and its blob is there. `running` are
  # the ids of all containers that may run. Idempotent.
}

struct Place {
  # A container's root filesystem.
  id @0 :Text;
  layers @1 :List(Common.Layer);   # of its image, base first
  sandbox @2 :Common.SandboxRef;   # valid if `running`
  running @3 :Bool;
  idBase @4 :UInt32;               # as in MountSpec, if `running`
}

enum ChangeKind {
  added @0;
  modified @1;
  deleted @2;
}

struct Change {
  path @0 :Data; # absolute; bytes, as the file system has them
  kind @1 :ChangeKind;
}

struct ChangeList {
  changes @0 :List(Change);
  more @1 :Bool; # there are further ones
}

struct ArchiveRequest {
  path @0 :Text;    # "/" for an export; else what to copy
  export @1 :Bool;  # the whole root, entries without a leading directory, nothing of volumes
  byPath @2 :Bool;  # the part may be put in a file of this host, for a caller on it who is root
}

struct ArchiveChunk {
  data @0 :Data;
  next @1 :Data;  # cursor of the next part
  ended @2 :Bool; # this is the last part
  path @3 :Text;  # if not empty: the part is in this file instead of in `data`. Only root can open it. It does not change
                  # until the part after the next is asked for, and has its name until then, or until nobody has asked for 10 s.
                  # Whoever cannot open it asks for the part again, without `byPath`.
  length @4 :UInt64; # bytes of the part in that file, from its beginning on
}

struct ExtractRequest {
  path @0 :Text;       # an existing directory
  upload @1 :Text;     # of the image store
  keepOwner @2 :Bool;  # keep the archive's user and group ids; else the files become root's
}

struct CommittedLayer {
  length @0 :UInt64; # bytes of the upload
}

struct Usage {
  bytes @0 :UInt64; # as allocated on disk
  inodes @1 :UInt64;
}

enum FileKind {
  file @0;
  directory @1;
  symlink @2;
  other @3;
}

struct PathStat {
  kind @0 :FileKind;
  mode @1 :UInt32;     # permission bits
  size @2 :UInt64;     # bytes
  modifiedAt @3 :Int64; # nanoseconds since the Unix epoch
  linkTarget @4 :Data; # of a symbolic link
}

struct MountSpec {
  layers @0 :List(Common.Layer); # base first, at least one
  volumes @1 :List(Common.Volume); # and tmpfs: those higher up in the tree are mounted first
  readOnly @2 :Bool; # the files of setNames cannot be written. The executor makes the root read-only, when all that it
                     # makes there is made.
  tmpfs @3 :List(Tmpfs);
  idBase @4 :UInt32; # of the sandbox's user namespace: files of layers, which on disk belong to user 0 to 65535, belong
                     # there to this number and the following ones; nothing is changed on disk. 0: it has none
}

struct Tmpfs {
  # An empty filesystem in memory. It goes when the container ends.
  target @0 :Text;   # absolute path in the container, resolved beneath its root
  size @1 :UInt64;   # bytes, at most; 0: as the kernel has it, half of the memory
  mode @2 :UInt32;   # permission bits of its root
  uid @3 :UInt32;    # owner of its root, in the container
  gid @4 :UInt32;
  readOnly @5 :Bool;
  exec @6 :Bool;     # programs can be executed
  suid @7 :Bool;     # set-user-id bits count
  dev @8 :Bool;      # device nodes can be opened
}

struct Names {
  hostname @0 :Text;
  hosts @1 :List(HostEntry);
  nameservers @2 :List(Text); # addresses; empty: the host's, and its later changes are followed
  search @3 :List(Text);      # domains; empty: the host's
}

struct HostEntry {
  address @0 :Text;
  hostname @1 :Text;
}
