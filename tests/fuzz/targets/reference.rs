//! Names of images: what is taken stays itself when it is written and read again, and is safe in a path of a URL.
#![no_main]

use oci::reference::{Reference, Target};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(reference) = text.parse::<Reference>() {
        let again = reference.to_string();
        assert!(again.parse::<Reference>().is_ok_and(|read| read == reference), "{again:?}");
    }
    if let Ok(target) = text.parse::<Target>() {
        let (registry, path) = target.repository.location();
        for part in path.split('/') {
            assert!(!part.is_empty() && part != "." && part != "..", "{path:?}");
        }
        let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'%' | b'\\' | b'@');
        assert!(registry.bytes().all(plain) && path.bytes().all(plain), "{registry:?} {path:?}");
    }
});
