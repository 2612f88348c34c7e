//! Manifests, indexes and configurations: what is taken is bounded and names nothing but digests; no input is a crash.
#![no_main]

use oci::manifest::{Document, LONGEST_DOCUMENT, MOST_LAYERS};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(config) = oci::config::parse(data) {
        assert!(config.diff_ids.len() <= MOST_LAYERS);
        let _time = config.history.iter().map(oci::config::Step::created_at).max();
    }
    for announced in ["", oci::manifest::OCI_MANIFEST, oci::manifest::DOCKER_INDEX] {
        let Ok(Document::Manifest(manifest)) = oci::manifest::parse(data, announced) else { continue };
        assert!(manifest.layers.len() <= MOST_LAYERS && manifest.config.size <= LONGEST_DOCUMENT);
        for blob in manifest.blobs() {
            assert!(blob.digest.as_str().strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64));
        }
    }
});
