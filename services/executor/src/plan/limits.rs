//! What a container may do.

/// Capabilities that a container's root has: Docker's default, but for making device nodes (CAP_MKNOD), which in
/// our mounts nobody could open anyway.
pub(super) const DEFAULT_CAPABILITIES: u64 = {
    const CHOWN: u64 = 1 << 0;
    const DAC_OVERRIDE: u64 = 1 << 1;
    const FOWNER: u64 = 1 << 3;
    const FSETID: u64 = 1 << 4;
    const KILL: u64 = 1 << 5;
    const SETGID: u64 = 1 << 6;
    const SETUID: u64 = 1 << 7;
    const SETPCAP: u64 = 1 << 8;
    const NET_BIND_SERVICE: u64 = 1 << 10;
    const NET_RAW: u64 = 1 << 13;
    const SYS_CHROOT: u64 = 1 << 18;
    const AUDIT_WRITE: u64 = 1 << 29;
    const SETFCAP: u64 = 1 << 31;
    CHOWN
        | DAC_OVERRIDE
        | FOWNER
        | FSETID
        | KILL
        | SETGID
        | SETUID
        | SETPCAP
        | NET_BIND_SERVICE
        | NET_RAW
        | SYS_CHROOT
        | AUDIT_WRITE
        | SETFCAP
};
