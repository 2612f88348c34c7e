use super::*;

fn store(directory: &Path) -> Store<Vec<u32>> {
    Store::open(directory.join("records"), "list", 1).unwrap()
}

#[test]
fn records_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let lists = store(directory.path());
    lists.put("b", &vec![2], Durability::Disk).unwrap();
    lists.put("a", &vec![1], Durability::Process).unwrap();
    lists.put("a", &vec![1, 1], Durability::Disk).unwrap();
    lists.delete("b").unwrap();
    lists.delete("b").unwrap();
    lists.put("c", &vec![3], Durability::Process).unwrap();
    lists.drop_record("c").unwrap();
    lists.drop_record("c").unwrap();
    assert_eq!(lists.quarantined().unwrap(), []);
    assert_eq!(lists.load().unwrap(), (vec![("a".to_owned(), vec![1, 1])], vec![]));
}

#[test]
fn every_flipped_or_missing_byte_is_noticed_and_confined() {
    let directory = tempfile::tempdir().unwrap();
    let lists = store(directory.path());
    let path = directory.path().join("records/bad.json");
    lists.put("bad", &vec![1, 2, 3], Durability::Disk).unwrap();
    let intact = fs::read(&path).unwrap();
    let flipped = (0..intact.len()).map(|at| {
        let mut content = intact.clone();
        content[at] ^= 1;
        content
    });
    let truncated = (0..intact.len()).map(|length| intact[..length].to_vec());
    for content in flipped.chain(truncated) {
        lists.put("good", &vec![7], Durability::Process).unwrap();
        fs::write(&path, content).unwrap();
        let verified = lists.verify().unwrap();
        assert!(verified[0].2.is_err() && verified[1].2 == Ok(vec![7]));
        let (records, damaged) = lists.load().unwrap();
        assert_eq!(records, [("good".to_owned(), vec![7])]);
        assert_eq!(damaged.len(), 1);
        assert_eq!(damaged[0].name, "bad");
        assert!(damaged[0].kept.exists() && !path.exists());
        assert_eq!(lists.quarantined().unwrap(), [("bad".to_owned(), damaged[0].kept.clone())]);
    }
}

#[test]
fn a_record_of_another_version_is_named_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let newer: Store<Vec<u32>> = Store::open(directory.path().join("records"), "list", 2).unwrap();
    newer.put("new", &vec![1], Durability::Disk).unwrap();
    let lists = store(directory.path());
    lists.put("good", &vec![1], Durability::Disk).unwrap();
    let path = directory.path().join("records/bad.json");
    fs::write(&path, "junk").unwrap();
    let failure = lists.load().unwrap_err();
    assert_eq!(failure.code, schema::Code::Unimplemented);
    assert!(failure.message.contains("records/new.json") && failure.message.contains("version 2"), "{failure}");
    // Nothing was done, not even to what is damaged.
    assert!(path.exists() && newer.verify().unwrap().iter().any(|(name, _, found)| name == "new" && found.is_ok()));
}

#[test]
fn what_a_power_cut_tore_is_no_damage() {
    let directory = tempfile::tempdir().unwrap();
    let open = |boot: &str| -> Store<Vec<u32>> {
        let store = Store::open_volatile(directory.path().join("records"), "list", 1).unwrap();
        Store { boot: Some(boot.to_owned()), ..store }
    };
    let path = |name: &str| directory.path().join(format!("records/{name}.json"));
    open("a").put("whole", &vec![1], Durability::Process).unwrap();
    let whole = fs::read(path("whole")).unwrap();
    let torn = [&b""[..], &whole[..whole.len() - 1], &[0; 100], &whole[..30]];
    let tear =
        || torn.iter().zip(0..).for_each(|(content, number)| fs::write(path(&number.to_string()), content).unwrap());
    // An older boot, none that is known, and this one.
    for (boot, damaged) in [("a", 0), ("b", 0), ("b", torn.len())] {
        tear();
        let (records, found) = open(boot).load().unwrap();
        assert_eq!((records.len(), found.len()), (1, damaged), "{boot}");
        assert!((0..torn.len()).all(|number| !path(&number.to_string()).exists()));
    }
    // What looks like nothing that a power cut does is damage in every boot.
    let mut flipped = whole;
    *flipped.last_mut().unwrap() = b'}';
    fs::write(path("flipped"), flipped).unwrap();
    assert_eq!(open("c").load().unwrap().1.len(), 1);
}

#[test]
fn what_was_set_aside_is_read_as_far_as_it_can_be() {
    let directory = tempfile::tempdir().unwrap();
    let lists = store(directory.path());
    let path = |name: &str| directory.path().join(format!("records/{name}.json"));
    for name in ["header", "torn", "other", "good"] {
        lists.put(name, &vec![1, 2], Durability::Process).unwrap();
    }
    let whole = fs::read_to_string(path("header")).unwrap();
    fs::write(path("header"), whole.replacen("sha256:", "sha257:", 1)).unwrap();
    fs::write(path("torn"), &whole[..whole.len() - 1]).unwrap();
    fs::write(path("other"), "").unwrap();
    let damaged = lists.set_aside(|name| name != "other").unwrap();
    assert_eq!(damaged.iter().map(|damaged| &*damaged.name).collect::<Vec<_>>(), ["header", "torn"]);
    assert_eq!((lists.salvage("header"), lists.salvage("torn"), lists.salvage("good")), (Some(vec![1, 2]), None, None));
    assert!(path("other").exists() && path("good").exists());
    lists.forget_quarantined("header").unwrap();
    lists.forget_quarantined("header").unwrap();
    assert_eq!(lists.quarantined().unwrap().len(), 1);
}
