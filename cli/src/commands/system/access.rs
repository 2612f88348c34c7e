//! What is wrong with who has access.

use schema::Instance;
use schema::access::Policy;
use std::fs;

/// Why nobody but admins has access, if it is so: the supervisor has written it down. None, too, where nothing runs.
pub(super) fn trouble(instance: &Instance) -> Option<String> {
    let text = fs::read(instance.policy()).ok()?;
    match serde_json::from_slice::<Policy>(&text) {
        Ok(policy) => Some(policy.error).filter(|error| !error.is_empty()),
        Err(error) => Some(format!("{}: {error}", instance.policy().display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let instance = Instance::new(directory.path(), directory.path());
        assert_eq!(trouble(&instance), None);
        fs::create_dir(instance.access()).unwrap();
        for (error, told) in [("", None), ("line 3", Some("line 3".to_owned()))] {
            let policy = Policy { error: error.to_owned(), ..Policy::default() };
            fs::write(instance.policy(), serde_json::to_vec(&policy).unwrap()).unwrap();
            assert_eq!(trouble(&instance), told);
        }
        fs::write(instance.policy(), "{").unwrap();
        assert!(trouble(&instance).unwrap().contains("policy.json"));
    }
}
