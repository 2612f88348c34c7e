//! What is asked of an import: an image of one layer, an archive from elsewhere.

use crate::changes;
use crate::check::Checked;
use crate::plan::{Origin, Plan};
use oci::build::{Base, Story};
use oci::reference::Reference;
use schema::Failure;
use schema::image_store::{ImageConfig, ImportRequest};

const LONGEST_SOURCE: usize = 1000;
const CREATED_BY: &str = "cctl import";

/// What the caller wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    reference: Option<Reference>,
    runtime: ImageConfig,
}

impl Request {
    pub(crate) fn parse(request: &ImportRequest) -> Result<Self, Failure> {
        let ImportRequest { reference, source, message, changes, platform } = request;
        if source.len() > LONGEST_SOURCE {
            return Err(Failure::invalid(format_args!("the source has more than {LONGEST_SOURCE} bytes")));
        }
        let mut runtime = oci::plain_config();
        if !platform.is_empty() {
            set_platform(&mut runtime, platform)?;
        }
        changes::apply(&mut runtime, changes)?;
        runtime.comment = if message.is_empty() { format!("Imported from {source}") } else { message.clone() };
        let reference = if reference.is_empty() { None } else { Some(reference.parse()?) };
        Ok(Self { reference, runtime })
    }

    /// The image that was asked for, of a layer that was found to be sound.
    pub(crate) fn plan(&self, checked: Checked, created_at: i64) -> Result<Plan, Failure> {
        let Checked { layer, packed } = checked;
        let story = Story {
            runtime: &self.runtime,
            created_at,
            created_by: CREATED_BY,
            comment: &self.runtime.comment,
            author: "",
            container: None,
        };
        let documents = Base::scratch().extended(&layer, &story)?;
        Ok(Plan::new(documents, vec![layer], &story, Origin::default(), self.reference.as_ref(), packed))
    }
}

/// `os/architecture[/variant]`, as OCI names them.
fn set_platform(runtime: &mut ImageConfig, platform: &str) -> Result<(), Failure> {
    let parts: Vec<&str> = platform.split('/').collect();
    let is_word = |part: &&str| {
        (1..=32).contains(&part.len())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
    };
    let (os, architecture, variant) = match parts[..] {
        [os, architecture] => (os, architecture, ""),
        [os, architecture, variant] => (os, architecture, variant),
        _ => ("", "", ""),
    };
    if os.is_empty() || !parts.iter().all(is_word) {
        return Err(Failure::invalid(format_args!("{platform:?} is not a platform"))
            .hint("write it as OS/ARCHITECTURE[/VARIANT], such as linux/arm64/v8"));
    }
    (runtime.os, runtime.architecture, runtime.variant) = (os.to_owned(), architecture.to_owned(), variant.to_owned());
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use oci::digest;
    use schema::common::Layer;

    pub(crate) fn request(reference: &str, source: &str) -> ImportRequest {
        ImportRequest {
            reference: reference.to_owned(),
            source: source.to_owned(),
            message: String::new(),
            changes: vec![],
            platform: String::new(),
        }
    }

    #[test]
    fn the_documents_are_those_of_oci() {
        let request = Request::parse(&request("base", "x.tar")).unwrap();
        let media_type = "application/vnd.oci.image.layer.v1.tar".to_owned();
        let layer = Layer { digest: digest(b"l"), diff_id: digest(b"d"), media_type, size: 3 };
        let plan = request.plan(Checked { layer: layer.clone(), packed: false }, 0).unwrap();
        assert_eq!(plan.reference.as_deref(), Some("base:latest"));
        assert_eq!(plan.image.id(), &digest(plan.config.text.as_bytes()));
        let config: serde_json::Value = serde_json::from_str(&plan.config.text).unwrap();
        assert_eq!(config["rootfs"]["diff_ids"][0], layer.diff_id.as_str());
        assert_eq!(config["os"], "linux");
        assert_eq!(config["history"][0]["comment"], "Imported from x.tar");
        assert_eq!(config["created"], "1970-01-01T00:00:00.000000000Z");
        let manifest: serde_json::Value = serde_json::from_str(&plan.manifest.text).unwrap();
        assert_eq!(manifest["config"]["digest"], plan.image.id().as_str());
        assert_eq!(manifest["config"]["size"], plan.config.text.len());
        assert_eq!(manifest["layers"][0]["digest"], layer.digest.as_str());
    }

    #[test]
    fn message_changes_and_platform_are_in_the_image() {
        let mut wanted = request("base", "-");
        wanted.message = "mine".to_owned();
        wanted.changes = vec!["CMD sh".to_owned(), "ENV A=b".to_owned()];
        wanted.platform = "linux/arm64/v8".to_owned();
        let Request { runtime, .. } = Request::parse(&wanted).unwrap();
        assert_eq!((&*runtime.architecture, &*runtime.variant, &*runtime.comment), ("arm64", "v8", "mine"));
        assert_eq!((&runtime.command[2][..], &runtime.environment[0][..]), ("sh", "A=b"));
    }

    #[test]
    fn bad_requests_are_refused_before_anything_is_read() {
        assert!(Request::parse(&request("A", "")).is_err());
        assert!(Request::parse(&request("", &"s".repeat(1001))).is_err());
        for platform in ["linux", "linux/", "/amd64", "a/b/c/d", "linux/a b"] {
            let wanted = ImportRequest { platform: platform.to_owned(), ..request("", "") };
            assert!(Request::parse(&wanted).is_err(), "{platform}");
        }
        let wanted = ImportRequest { changes: vec!["RUN x".to_owned()], ..request("", "") };
        assert!(Request::parse(&wanted).unwrap_err().message.contains("RUN"));
    }
}
