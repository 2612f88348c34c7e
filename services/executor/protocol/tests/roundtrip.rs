//! Everything that is written is read back as it was; nothing that is damaged makes a reader panic.
// The allowance in clippy.toml covers test functions, not what they share.
#![allow(clippy::unwrap_used)]

use proptest::collection::vec;
use proptest::prelude::*;
use shim_protocol::adoption::{self, Adoption};
use shim_protocol::control::{Phase, Report, Request};
use shim_protocol::exit::{self, Exit};
use shim_protocol::plan::{self, Numbers, Step, Steps, Strings};
use std::ffi::{CStr, CString};

/// The parts that steps borrow.
#[derive(Clone, Debug)]
struct Parts {
    texts: Vec<CString>,
    joined: Vec<u8>,
    numbers: Vec<u8>,
    bytes: Vec<u8>,
    word: u32,
    long: u64,
    flag: bool,
}

fn text() -> impl Strategy<Value = CString> {
    vec(1u8.., 0..20).prop_map(|bytes| CString::new(bytes).unwrap())
}

fn parts() -> impl Strategy<Value = Parts> {
    (vec(text(), 4), vec(text(), 0..5), vec(any::<u32>(), 0..5), vec(any::<u8>(), 0..40), any::<(u32, u64, bool)>())
        .prop_map(|(texts, list, numbers, bytes, (word, long, flag))| Parts {
            texts,
            joined: list.iter().flat_map(|text| text.to_bytes_with_nul().to_vec()).collect(),
            numbers: numbers.iter().flat_map(|number| number.to_le_bytes()).collect(),
            bytes,
            word,
            long,
            flag,
        })
}

impl Parts {
    fn text(&self, number: usize) -> &CStr {
        &self.texts[number]
    }

    /// One step of each kind.
    fn steps(&self) -> Vec<Step<'_>> {
        let strings = Strings::new(&self.joined).unwrap();
        let (uid, gid, flags, mode) = (self.word, self.word.rotate_left(8), self.word.rotate_left(16), self.word / 3);
        let (rows, columns) = (self.word as u16, (self.word >> 16) as u16);
        vec![
            Step::Unshare { flags },
            Step::Pivot {},
            Step::Directory { path: self.text(0), mode },
            Step::Mount {
                source: self.text(0),
                target: self.text(1),
                kind: self.text(2),
                flags: self.long,
                data: self.text(3),
                optional: self.flag,
            },
            Step::Node { path: self.text(1), mode, device: self.long },
            Step::Link { content: self.text(2), path: self.text(3) },
            Step::Mask { path: self.text(3) },
            Step::ReadOnly { path: self.text(0), flags: self.long },
            Step::Write { path: self.text(1), content: &self.bytes },
            Step::Terminal { uid, rows, columns },
            Step::Streams {},
            Step::WorkingDirectory { path: self.text(2), uid, gid },
            Step::Mask022 {},
            Step::Credentials {
                uid,
                gid,
                groups: Numbers::new(&self.numbers).unwrap(),
                capabilities: self.long,
                known_capabilities: mode,
            },
            Step::Identity {
                uid,
                gid,
                groups: Numbers::new(&self.numbers).unwrap(),
                capabilities: self.long,
                known_capabilities: mode,
            },
            Step::Give { path: self.text(0), uid, gid },
            Step::Limit { resource: mode, soft: self.long, hard: self.long / 2 },
            Step::Seccomp { program: &self.bytes },
            Step::Execute { candidates: strings, arguments: strings, environment: Strings::EMPTY },
        ]
    }

    fn encoded(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        plan::encode(self.steps(), &mut |piece| bytes.extend_from_slice(piece));
        bytes
    }
}

fn read(plan: &[u8]) -> Option<Vec<Step<'_>>> {
    Steps::new(plan).ok()?.collect::<Result<_, _>>().ok()
}

fn exits() -> impl Strategy<Value = Exit> {
    any::<(i32, i32, i32, i64, i64)>().prop_map(|(code, signal, pid, started_at, finished_at)| Exit {
        code,
        signal,
        pid,
        started_at,
        finished_at,
    })
}

fn phases() -> impl Strategy<Value = Phase> {
    prop_oneof![
        Just(Phase::Parked),
        Just(Phase::Starting),
        Just(Phase::SettingUp),
        Just(Phase::SetUp),
        any::<(u32, i32)>().prop_map(|(step, error)| Phase::Failed { step, error }),
        any::<(i32, i64)>().prop_map(|(pid, started_at)| Phase::Running { pid, started_at }),
        exits().prop_map(Phase::Ended),
    ]
}

fn requests() -> impl Strategy<Value = Request> {
    prop_oneof![
        Just(Request::Report),
        any::<bool>().prop_map(|born_in| Request::Start { born_in }),
        Just(Request::Lend),
        any::<bool>().prop_map(|born_in| Request::SetUp { born_in }),
        any::<(u16, u16)>().prop_map(|(rows, columns)| Request::Resize { rows, columns }),
        any::<i32>().prop_map(|number| Request::Signal { number }),
        Just(Request::Kill),
    ]
}

proptest! {
    #[test]
    fn plans_come_back(parts in parts()) {
        let plan = parts.encoded();
        prop_assert_eq!(read(&plan), Some(parts.steps()));
    }

    #[test]
    fn a_plan_that_is_cut_off_loses_steps_or_is_refused(parts in parts(), at in any::<prop::sample::Index>()) {
        let whole = parts.encoded();
        let cut = &whole[..at.index(whole.len())];
        if let Some(steps) = read(cut) {
            prop_assert!(steps.len() < parts.steps().len());
            prop_assert_eq!(&steps[..], &parts.steps()[..steps.len()]);
        }
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in vec(any::<u8>(), 0..200)) {
        let mut framed = Vec::new();
        plan::encode([], &mut |piece| framed.extend_from_slice(piece));
        framed.extend_from_slice(&bytes);
        if let Ok(steps) = Steps::new(&framed) {
            steps.for_each(drop);
        }
        let _ = Request::decode(&bytes);
        let _ = Report::decode(&bytes);
        let _ = Adoption::decode(&bytes);
        let _ = Exit::decode(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn requests_come_back(request in requests()) {
        prop_assert_eq!(Request::decode(&request.encode()), Ok(request));
    }

    #[test]
    fn reports_come_back(error in any::<i32>(), monitor in any::<i32>(), phase in phases()) {
        let report = Report { error, monitor, phase };
        prop_assert_eq!(Report::decode(&report.encode()), Ok(report));
    }

    #[test]
    fn adoptions_come_back(first in exits(), flags in any::<(bool, bool, bool)>(), size in any::<Option<(u16, u16)>>()) {
        let (ended, handle, master) = flags;
        let adoption = Adoption { first, ended, handle, master, size };
        prop_assert_eq!(adoption.encode().len(), adoption::SIZE);
        prop_assert_eq!(Adoption::decode(&adoption.encode()), Ok(adoption));
    }

    #[test]
    fn exit_records_come_back(exit in exits()) {
        let mut text = Vec::new();
        exit.encode(&mut |piece| text.extend_from_slice(piece));
        prop_assert!(text.len() <= exit::LONGEST);
        prop_assert_eq!(Exit::decode(std::str::from_utf8(&text).unwrap()), Ok(exit));
    }

    #[test]
    fn strings_come_back(list in vec(text(), 0..6)) {
        let joined: Vec<u8> = list.iter().flat_map(|text| text.to_bytes_with_nul().to_vec()).collect();
        let strings = Strings::new(&joined).unwrap();
        prop_assert_eq!(strings.count(), list.len());
        prop_assert_eq!(strings.iter().map(CStr::to_owned).collect::<Vec<_>>(), list);
    }
}

#[test]
fn statuses_are_told_as_a_shell_does() {
    let code = |status| Exit::from_status(status, 1, 0, 0);
    assert_eq!((code(7 << 8).code, code(7 << 8).signal), (7, 0));
    assert_eq!((code(9).code, code(9).signal), (137, 9));
    assert_eq!((code(11 | 0x80).code, code(11 | 0x80).signal), (139, 11));
}
