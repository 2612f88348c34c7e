//! Which container a user means.

use schema::{ContainerId, Failure};

/// Ids shown when a prefix is ambiguous.
const SHOWN: usize = 4;

/// Finds a container by its whole id, its name, or a unique prefix of its id, in this order of precedence.
pub(crate) fn find<'a>(
    reference: &str,
    containers: impl Iterator<Item = (&'a ContainerId, &'a str)> + Clone,
) -> Result<&'a ContainerId, Failure> {
    let exact = containers
        .clone()
        .find(|(id, _)| id.as_str() == reference)
        .or_else(|| containers.clone().find(|(_, name)| *name == reference && !name.is_empty()));
    if let Some((id, _)) = exact {
        return Ok(id);
    }
    let candidates: Vec<_> =
        containers.map(|(id, _)| id).filter(|id| !reference.is_empty() && id.as_str().starts_with(reference)).collect();
    match candidates.as_slice() {
        [] => Err(unknown(reference)),
        [id] => Ok(id),
        several => Err(ambiguous(reference, several)),
    }
}

/// The failure that no container has this name or id.
pub(crate) fn unknown(reference: &str) -> Failure {
    Failure::not_found(format_args!("No such container: {reference}")).hint("see `cctl ps -a` for those that exist")
}

fn ambiguous(reference: &str, ids: &[&ContainerId]) -> Failure {
    let mut shown = ids.iter().take(SHOWN).map(|id| id.short()).collect::<Vec<_>>().join(", ");
    if ids.len() > SHOWN {
        shown.push_str(", …");
    }
    Failure::conflict(format_args!("{reference:?} is the beginning of {} container ids: {shown}", ids.len()))
        .hint("give more digits, or the name")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use schema::Code;

    fn id(start: &str) -> ContainerId {
        format!("{start:0<64}").parse().unwrap()
    }

    #[test]
    fn exact_names_and_ids_win_over_prefixes() {
        let (one, two, three) = (id("ab1"), id("ab2"), id("cd"));
        let all = [(&one, "cd"), (&two, "web"), (&three, "ab")];
        let found = |reference| find(reference, all.iter().copied());
        assert_eq!(found("cd"), Ok(&one));
        assert_eq!(found("cd0"), Ok(&three));
        assert_eq!(found("ab"), Ok(&three));
        assert_eq!(found("ab1"), Ok(&one));
        assert_eq!(found(two.as_str()), Ok(&two));
        assert_eq!(found("a").unwrap_err().code, Code::Conflict);
        assert!(found("a").unwrap_err().message.contains(one.short()));
        for none in ["", "we", "zz", "AB1"] {
            assert_eq!(found(none).unwrap_err().code, Code::NotFound, "{none:?}");
        }
    }

    #[test]
    fn an_id_is_never_hidden_by_a_name() {
        let (one, two) = (id("1"), id("2"));
        let all = [(&one, two.as_str()), (&two, "x")];
        assert_eq!(find(two.as_str(), all.iter().copied()), Ok(&two));
    }

    proptest! {
        #[test]
        fn a_prefix_finds_the_only_id_that_begins_with_it(
            bytes in prop::collection::btree_set(any::<[u8; 2]>(), 1..40), pick in any::<prop::sample::Index>(), length in 1_usize..=64
        ) {
            let ids: Vec<_> = bytes.iter().map(|start| {
                let mut all = [7_u8; 32];
                all[..2].copy_from_slice(start);
                ContainerId::from_bytes(all)
            }).collect();
            let wanted = &ids[pick.index(ids.len())];
            let prefix = &wanted.as_str()[..length];
            let sharing = ids.iter().filter(|id| id.as_str().starts_with(prefix)).count();
            let found = find(prefix, ids.iter().map(|id| (id, "")));
            match sharing {
                1 => prop_assert_eq!(found, Ok(wanted)),
                _ => prop_assert_eq!(found.unwrap_err().code, Code::Conflict),
            }
        }
    }
}
