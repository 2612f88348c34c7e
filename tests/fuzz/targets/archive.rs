//! The members of a tar archive, plain or compressed: every name that comes out stays beneath its root, what
//! is read is bounded, and no input is a crash.
#![no_main]

use layer_archive::{Bounded, Compression, Members, decoder, expanded_limit};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(plain) = decoder(Compression::detect(data), data) else { return };
    let mut members = Members::new(Bounded::new(plain, expanded_limit(data.len() as u64).min(4 << 20)));
    let mut buffer = [0; 4096];
    while let Ok(Some(member)) = members.next() {
        let inside = member.path.components().all(|part| part != ".." && part != "." && !part.is_empty());
        assert!(inside, "{:?}", member.path.as_os_str());
        assert!(member.path.as_os_str().is_empty() || !member.path.as_os_str().as_encoded_bytes().contains(&0));
        while members.read(&mut buffer).is_ok_and(|length| length > 0) {}
    }
});
