//! A hash that is the same in every build and on every machine, which the standard library's is not.

/// FNV-1a, 64 bit, its halves mixed because the low bits are used alone.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    hash ^ (hash >> 32)
}
