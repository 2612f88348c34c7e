//! Names of members, and the whiteouts among them: what a whiteout hides lies in its own directory.
#![no_main]

use layer_archive::{MemberPath, Whiteout};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(path) = MemberPath::parse(data) else { return };
    assert!(path.components().all(|part| part != ".." && part != "." && !part.is_empty()));
    match path.whiteout() {
        Ok(Some(Whiteout::Hide(hidden))) => {
            let name = hidden.split().map(|(_, name)| name.to_owned()).unwrap_or_default();
            assert!(!name.is_empty() && name != ".." && name != ".");
            assert_eq!(hidden.components().count(), path.components().count());
        }
        Ok(_) | Err(_) => {}
    }
});
