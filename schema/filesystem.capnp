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
  # Fails: notFound (sandbox gone, blob missing), corrupt (layer's digest wrong), invalidArgument (an archive
  # or a volume target that leaves the root), resourceExhausted (disk full).

  setNames @1 (call :Common.Call, id :Text, names :Names) -> (outcome :Common.Outcome(Common.Done));
  # Writes /etc/hostname, /etc/hosts and /etc/resolv.conf of a container. They are files of this service,
  # mounted over the rootfs: not part of the writable layer. Idempotent.

  release @2 (call :Common.Call, id :Text) -> (outcome :Common.Outcome(Common.Done));
  # Forgets a container: removes its writable layer. Idempotent. The sandbox must be gone.

  reconcile @3 (call :Common.Call, live :List(Text)) -> (outcome :Common.Outcome(Common.Done));
  # Removes what belongs to containers that are not in `live`. Idempotent.
}

struct MountSpec {
  layers @0 :List(Common.Layer); # base first, at least one
  volumes @1 :List(Common.Volume);
}

struct Names {
  hostname @0 :Text;
  hosts @1 :List(HostEntry);
}

struct HostEntry {
  address @0 :Text;
  hostname @1 :Text;
}
