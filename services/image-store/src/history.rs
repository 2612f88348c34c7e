//! How an image was made: its configuration's history, matched with its layers and with the images of this host.
//! Pure: no files.

use oci::config::{Config, Step};
use schema::Digest;
use schema::image_store::HistoryStep;

/// An image that may be a step of another.
pub(crate) struct Candidate {
    pub(crate) id: Digest,
    pub(crate) config: Config,
    pub(crate) references: Vec<String>,
}

/// The steps of the image with this configuration, newest first. `sizes` are those of its layers, unpacked, base
/// first.
pub(crate) fn steps(config: &Config, sizes: &[u64], candidates: &[Candidate]) -> Vec<HistoryStep> {
    let told = config.history.iter().filter(|step| step.makes_a_layer()).count();
    // Layers of which no step tells are older than those of which one does.
    let untold = sizes.len().saturating_sub(told);
    let nothing = Step::default();
    let mut steps: Vec<HistoryStep> = Vec::new();
    let mut layers = 0;
    let told = config.history.iter().enumerate().map(|(at, step)| (step, Some(at + 1)));
    for (step, known) in std::iter::repeat_n((&nothing, None), untold).chain(told) {
        let size = if step.makes_a_layer() { sizes.get(layers).copied().unwrap_or_default() } else { 0 };
        layers = (layers + usize::from(step.makes_a_layer())).min(sizes.len());
        let is_it = |candidate: &&Candidate| {
            candidate.config.diff_ids == config.diff_ids[..layers]
                && Some(&candidate.config.history[..]) == config.history.get(..known.unwrap_or_default())
        };
        let image = candidates.iter().find(is_it);
        steps.push(HistoryStep {
            image: image.map(|image| image.id.to_string()).unwrap_or_default(),
            created_at: step.created_at(),
            created_by: step.created_by.clone().unwrap_or_default(),
            size,
            comment: step.comment.clone().unwrap_or_default(),
            references: image.map(|image| image.references.clone()).unwrap_or_default(),
        });
    }
    steps.reverse();
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci::digest;
    use schema::image_store::ImageConfig;

    fn config(layers: &[&str], history: &[(&str, bool)]) -> Config {
        let step = |(by, empty): &(&str, bool)| Step {
            created_by: Some((*by).to_owned()),
            empty_layer: Some(*empty),
            ..Step::default()
        };
        Config {
            runtime: ImageConfig::default(),
            created_at: 0,
            author: String::new(),
            diff_ids: layers.iter().map(|layer| digest(layer.as_bytes())).collect(),
            history: history.iter().map(step).collect(),
        }
    }

    fn candidate(name: &str, config: Config) -> Candidate {
        Candidate { id: digest(name.as_bytes()), config, references: vec![format!("{name}:latest")] }
    }

    #[test]
    fn steps_know_their_layers_and_images() {
        let base = config(&["a"], &[("import", false)]);
        let whole = config(&["a", "b"], &[("import", false), ("ENV x=y", true), ("sh", false)]);
        let images =
            [candidate("base", base), candidate("other", config(&["b"], &[])), candidate("whole", whole.clone())];
        let steps = steps(&whole, &[10, 20], &images);
        let shown: Vec<_> =
            steps.iter().map(|step| (&*step.created_by, step.size, step.references.join(","))).collect();
        assert_eq!(
            shown,
            [
                ("sh", 20, "whole:latest".to_owned()),
                ("ENV x=y", 0, String::new()),
                ("import", 10, "base:latest".to_owned())
            ]
        );
        assert_eq!(steps[0].image, digest(b"whole").as_str());
    }

    #[test]
    fn layers_without_a_story_are_shown_all_the_same() {
        let silent = config(&["a", "b"], &[]);
        let base = candidate("base", config(&["a"], &[]));
        let of_silent = steps(&silent, &[1, 2], &[base, candidate("silent", silent.clone())]);
        assert_eq!(of_silent.iter().map(|step| step.size).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(of_silent[1].references, ["base:latest"]);
        let late = config(&["a", "b"], &[("sh", false)]);
        let told = steps(&late, &[1, 2], &[]);
        assert_eq!(told.iter().map(|step| (&*step.created_by, step.size)).collect::<Vec<_>>(), [("sh", 2), ("", 1)]);
        let boasting = config(&["a"], &[("1", false), ("2", false)]);
        assert_eq!(steps(&boasting, &[1], &[]).iter().map(|step| step.size).collect::<Vec<_>>(), [0, 1]);
    }
}
