//! Profiles of system calls: whatever is taken is compiled to a program that the kernel would take, or refused in one line.
#![no_main]

use seccomp::{Given, LONGEST_PROFILE, Machine, Profile};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Profile::parse(text) {
        Ok(profile) => {
            assert!(text.len() <= LONGEST_PROFILE);
            for machine in [Machine::X86_64, Machine::Aarch64] {
                for held in [false, true] {
                    let given = Given { machine, kernel: (6, 1), has: &|_| held };
                    match profile.program(&given) {
                        // struct sock_filter has 8 bytes, and a program at most 4096 of them.
                        Ok(filter) => assert!(filter.bytes().len().is_multiple_of(8) && filter.bytes().len() <= 4096 * 8),
                        Err(error) => assert!(!error.contains('\n')),
                    }
                }
            }
        }
        Err(error) => assert!(!error.contains('\n'), "{error}"),
    }
});
