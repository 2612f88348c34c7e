//! A strict reader of the text format of Prometheus, version 0.0.4: what it does not know is an error.

use std::collections::{BTreeMap, BTreeSet};

/// Samples: a name with its labels as they are written, and the value.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// Kinds of families by their names.
    pub(crate) kinds: BTreeMap<String, String>,
    /// Values by `name{labels}`.
    pub(crate) samples: BTreeMap<String, f64>,
}

impl Figures {
    /// The value of a sample.
    #[track_caller]
    pub(crate) fn value(&self, sample: &str) -> f64 {
        *self.samples.get(sample).unwrap_or_else(|| panic!("{sample} is not among {:#?}", self.samples.keys()))
    }

    /// Samples that only grow.
    pub(crate) fn counters(&self) -> impl Iterator<Item = (&String, f64)> {
        self.samples
            .iter()
            .filter(|(sample, _)| {
                let name = sample.split('{').next().unwrap();
                let family =
                    ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name);
                let kind = self.kinds.get(name).or_else(|| self.kinds.get(family)).unwrap();
                kind == "counter" || kind == "histogram"
            })
            .map(|(sample, value)| (sample, *value))
    }
}

/// Reads a whole answer.
pub(crate) fn read(text: &str) -> Result<Figures, String> {
    let mut figures = Figures::default();
    let (mut helped, mut closed) = (BTreeSet::new(), BTreeSet::new());
    let mut current = String::new();
    if !text.ends_with('\n') {
        return Err("the last line does not end".to_owned());
    }
    for line in text.lines() {
        let wrong = |what: &str| Err(format!("{what}: {line:?}"));
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let Some((name, help)) = rest.split_once(' ') else { return wrong("no help") };
            if help.is_empty() || !helped.insert(name.to_owned()) {
                return wrong("help is empty or given twice");
            }
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let Some((name, kind)) = rest.split_once(' ') else { return wrong("no type") };
            if !["counter", "gauge", "histogram"].contains(&kind) || !is_name(name) || !helped.contains(name) {
                return wrong("a strange type, or no help");
            }
            if (kind == "counter") != name.ends_with("_total") {
                return wrong("counters end in _total, and nothing else does");
            }
            closed.insert(std::mem::replace(&mut current, name.to_owned()));
            if closed.contains(name) || figures.kinds.insert(name.to_owned(), kind.to_owned()).is_some() {
                return wrong("a family comes twice");
            }
        } else {
            let (sample, value) = line.rsplit_once(' ').ok_or(format!("no value: {line:?}"))?;
            let (name, labels) = match sample.split_once('{') {
                Some((name, rest)) => (name, rest.strip_suffix('}').ok_or(format!("labels do not end: {line:?}"))?),
                None => (sample, ""),
            };
            let suffix = name.strip_prefix(current.as_str());
            let allowed: &[&str] = match figures.kinds.get(&current).map(String::as_str) {
                Some("histogram") => &["_bucket", "_sum", "_count"],
                _ => &[""],
            };
            if suffix.is_none_or(|suffix| !allowed.contains(&suffix)) {
                return wrong("not of the family above");
            }
            check_labels(labels).map_err(|error| format!("{error}: {line:?}"))?;
            let value: f64 = value.parse().map_err(|_| format!("not a number: {line:?}"))?;
            if figures.samples.insert(sample.to_owned(), value).is_some() {
                return wrong("a sample comes twice");
            }
        }
    }
    check_histograms(&figures)?;
    Ok(figures)
}

fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    name.bytes().all(plain) && !name.starts_with(|first: char| first.is_ascii_digit()) && !name.is_empty()
}

fn check_labels(mut rest: &str) -> Result<(), String> {
    let mut names = BTreeSet::new();
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").ok_or("no label")?;
        if !is_name(name) || !names.insert(name) {
            return Err(format!("a strange label {name:?}"));
        }
        let mut characters = after.char_indices();
        let end = loop {
            match characters.next().ok_or("a value does not end")? {
                (_, '\\') if !matches!(characters.next(), Some((_, '\\' | '"' | 'n'))) => {
                    return Err("a strange escape".to_owned());
                }
                (at, '"') => break at,
                _ => {}
            }
        };
        rest = &after[end + 1..];
        rest = match rest.strip_prefix(',') {
            Some(more) if !more.is_empty() => more,
            None if rest.is_empty() => rest,
            _ => return Err("something after a value".to_owned()),
        };
    }
    Ok(())
}

/// Buckets never fall, and the last is the count.
fn check_histograms(figures: &Figures) -> Result<(), String> {
    let mut buckets: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for (sample, value) in &figures.samples {
        if let Some((name, rest)) = sample.split_once("_bucket{") {
            let (others, bound) = rest.rsplit_once(",le=\"").ok_or(format!("no bound: {sample}"))?;
            let bound = bound.trim_end_matches("\"}").replace("+Inf", "inf");
            let bound = bound.parse().map_err(|_| format!("a strange bound: {sample}"))?;
            buckets.entry(format!("{name}_count{{{others}}}")).or_default().push((bound, *value));
        }
    }
    for (count, mut buckets) in buckets {
        buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
        let last = *buckets.last().unwrap();
        if !buckets.is_sorted_by(|one, other| one.1 <= other.1) || last.0 != f64::INFINITY {
            return Err(format!("buckets fall, or have no end: {count}"));
        }
        if figures.samples.get(&count) != Some(&last.1) {
            return Err(format!("not the number of the last bucket: {count}"));
        }
    }
    Ok(())
}
