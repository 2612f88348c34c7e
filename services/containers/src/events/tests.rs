//! The log of events on the disk.

use super::*;
use crate::fixture::id;
use std::fs;
use std::time::Duration;

fn noted(number: u64, action: &str) -> Noted {
    let at = i64::try_from(number).unwrap();
    Noted { number, at, action: action.to_owned(), attributes: vec!["name=web".to_owned()] }
}

fn open(directory: &tempfile::TempDir) -> Events {
    Events::open(directory.path(), "boot").unwrap()
}

fn told(events: &Events, after: u64) -> Vec<(u64, String)> {
    let list = events.read(after, 0).unwrap();
    list.events.into_iter().map(|event| (event.sequence, event.action)).collect()
}

#[test]
fn an_event_is_told_once_however_often_it_is_noted() {
    let directory = tempfile::tempdir().unwrap();
    let web = id(1);
    for _ in 0..3 {
        let events = open(&directory);
        events.tell(&web, &web, &[noted(1, "create")]).unwrap();
        events.catch_up(&web, &web, &[noted(1, "create"), noted(2, "start")]).unwrap();
        events.tell(&id(2), &id(2), &[noted(1, "create")]).unwrap();
        let expected = [(1, "create"), (2, "start"), (3, "create")].map(|(at, action)| (at, action.to_owned()));
        assert_eq!(told(&events, 0), expected);
        assert_eq!(told(&events, 2), expected[2..]);
        assert_eq!(events.told(&web), 2);
    }
}

#[test]
fn a_line_that_was_cut_off_or_damaged_takes_no_other_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let web = id(1);
    open(&directory).tell(&web, &web, &[noted(1, "create"), noted(2, "start"), noted(3, "die")]).unwrap();
    let path = directory.path().join("new.jsonl");
    let whole = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{}{}", whole.replacen("start", "stark", 1), &whole[..40])).unwrap();
    let events = open(&directory);
    assert_eq!(told(&events, 0), [(1, "create".to_owned()), (3, "die".to_owned())]);
    let (intact, _, damaged) = events.check().unwrap();
    assert_eq!((intact, damaged), (2, vec![path]));
    events.tell(&web, &web, &[noted(4, "destroy")]).unwrap();
    drop(events);
    assert_eq!(told(&open(&directory), 3), [(4, "destroy".to_owned())]);
}

#[test]
fn the_newest_are_kept_and_numbers_are_never_given_twice() {
    let directory = tempfile::tempdir().unwrap();
    let web = id(1);
    let (a_file, last) = (1200_usize, 2 * 1200 + 5);
    let open = |boot: &str| Events::bounded(directory.path(), boot, a_file).unwrap();
    let events = open("boot");
    for number in 1..=last {
        events.tell(&web, &web, &[noted(number, "start")]).unwrap();
    }
    let read = |events: &Events| {
        let (mut all, mut after) = (Vec::new(), 0);
        loop {
            let list = events.read(after, 0).unwrap();
            assert!(list.events.len() <= A_CALL);
            if list.events.is_empty() {
                break all;
            }
            after = list.next;
            all.extend(list.events.into_iter().map(|event| event.sequence));
        }
    };
    let expected: Vec<_> = (a_file as u64 + 1..=last).collect();
    assert_eq!(read(&events), expected);
    drop(events);
    let events = open("boot");
    assert_eq!(read(&events), expected);
    // The container's oldest events are forgotten, not untold.
    events.retain(&HashSet::new());
    events.catch_up(&web, &web, &[noted(3, "start")]).unwrap();
    assert_eq!(read(&events), expected);
    drop(events);
    let events = open("another boot");
    events.tell(&web, &web, &[noted(last + 1, "die")]).unwrap();
    assert_eq!(told(&events, last), [(last + GAP, "die".to_owned())]);
}

#[test]
fn a_time_leaves_out_what_was_before() {
    let directory = tempfile::tempdir().unwrap();
    let events = open(&directory);
    events.tell(&id(1), &id(1), &[noted(1, "create"), noted(2, "start"), noted(3, "die")]).unwrap();
    let list = events.read(0, 3).unwrap();
    assert_eq!((list.events.len(), list.events[0].sequence, list.next), (1, 3, 3));
    let none = events.read(0, 4).unwrap();
    assert_eq!((none.events.len(), none.next), (0, 3));
}

#[actix::test]
async fn who_waits_hears_of_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let events = open(&directory);
    events.tell(&id(1), &id(1), &[noted(1, "create")]).unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(20), events.later_than(1)).await.is_err());
    let next = events.later_than(1);
    events.tell(&id(1), &id(1), &[noted(2, "start")]).unwrap();
    next.await;
}

#[test]
fn a_damaged_log_is_written_anew_without_what_cannot_be_read() {
    let directory = tempfile::tempdir().unwrap();
    let (events, web) = (open(&directory), id(1));
    events.tell(&web, &web, &[noted(1, "create"), noted(2, "start"), noted(3, "die")]).unwrap();
    assert_eq!(events.mend().unwrap(), Vec::<PathBuf>::new());
    let path = directory.path().join("new.jsonl");
    fs::write(&path, fs::read_to_string(&path).unwrap().replacen("start", "stArt", 1)).unwrap();
    assert_eq!((events.check().unwrap().2.len(), events.kept().len()), (1, 0));
    assert_eq!(events.mend().unwrap(), [path]);
    assert_eq!((events.check().unwrap().2.len(), events.kept().len()), (0, 1));
    events.tell(&web, &web, &[noted(4, "destroy")]).unwrap();
    let expected = [(1, "create"), (3, "die"), (4, "destroy")].map(|(at, action)| (at, action.to_owned()));
    assert_eq!(told(&events, 0), expected);
    assert_eq!(told(&open(&directory), 0), expected);
}

#[test]
fn what_nobody_noted_is_told_and_hides_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let web = id(1);
    open(&directory).tell_of(&web, "damage", vec!["what=record".to_owned()]).unwrap();
    let events = open(&directory);
    events.tell(&web, &web, &[noted(1, "create")]).unwrap();
    events.tell_of(&web, "orphan", Vec::new()).unwrap();
    let expected = [(1, "damage"), (2, "create"), (3, "orphan")].map(|(at, action)| (at, action.to_owned()));
    assert_eq!(told(&open(&directory), 0), expected);
}
