@0xc0fdd3cc7c03807b;
# The network service owns the bridge, the addresses, and the one nftables table of this instance.

using Common = import "common.capnp";

interface Network extends(Common.Service) {
  # Caller: `containers`.

  attach @0 (call :Common.Call, id :Text, sandbox :Common.SandboxRef, spec :AttachSpec) -> (outcome :Common.Outcome(Attachment));
  # Configures the sandbox's network namespace: loopback up and, for `bridge`, an interface eth0 with an
  # address (and an IPv6 address where the host has IPv6), a default route through the bridge, and the published ports. The lease and the ports are
  # recorded durably before any effect. Again with the same spec: the same attachment.
  # Fails: resourceExhausted (no address, no port left), conflict (port in use; names it), notFound (sandbox gone).

  detach @1 (call :Common.Call, id :Text) -> (outcome :Common.Outcome(Common.Done));
  # Gives the address and the ports back. The veth is not deleted: it goes with the sandbox's namespace.
  # Idempotent.

  reconcile @2 (call :Common.Call, live :List(Text)) -> (outcome :Common.Outcome(Common.Done));
  # Releases what belongs to containers that are not in `live`, and restores table, bridge and published
  # ports of those that are. Idempotent.

  info @3 (call :Common.Call) -> (outcome :Common.Outcome(NetworkInfo));
  # What this instance uses on the host. Idempotent.

  tearDown @4 (call :Common.Call) -> (outcome :Common.Outcome(Common.Done));
  # Removes the bridge and the table when nothing is attached; the next attach makes them again. Idempotent.
  # Fails: conflict if a container is attached.

  check @5 (call :Common.Call, repair :Bool) -> (outcome :Common.Outcome(Common.CheckReport));
  # Compares bridge, table and published ports in the kernel with the records. With `repair`, makes anew what is
  # missing or other. Idempotent.
}

struct AttachSpec {
  mode @0 :Mode;
  ports @1 :List(Common.PortBinding);
}

enum Mode {
  bridge @0;
  none @1;   # only loopback
  host @2;   # the host's own namespace: never passed to `attach`
}

struct Attachment {
  address @0 :Text;       # IPv4 address; empty without a bridge
  prefixLength @1 :UInt8;
  gateway @2 :Text;
  mac @3 :Text;
  ports @4 :List(Common.PortBinding); # as bound: hostPort is never 0, and all addresses are 0.0.0.0 and ::, each by itself
  address6 @5 :Text;      # IPv6 address; empty without a bridge, or where the host has no IPv6
  prefixLength6 @6 :UInt8;
  gateway6 @7 :Text;
}

struct NetworkInfo {
  bridge @0 :Text;  # interface name
  subnet @1 :Text;  # CIDR
  gateway @2 :Text;
  table @3 :Text;   # nftables table, family inet
  attached @4 :UInt32;
  subnet6 @5 :Text;  # CIDR; empty where the host has no IPv6
  gateway6 @6 :Text;
}
