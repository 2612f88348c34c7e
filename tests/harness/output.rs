//! What a program printed.

use std::process::Output as Raw;

/// A finished run of `cctl`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Exit code; 128 + the signal that ended it.
    pub code: i32,
    /// Standard output; bytes that are not UTF-8 replaced.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl From<Raw> for Output {
    fn from(raw: Raw) -> Self {
        use std::os::unix::process::ExitStatusExt;
        let code = raw.status.code().unwrap_or_else(|| 128 + raw.status.signal().unwrap_or_default());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code, stdout: text(&raw.stdout), stderr: text(&raw.stderr) }
    }
}

impl Output {
    /// The standard output of a run that must have succeeded, without the last newline.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.stdout.strip_suffix('\n').map(str::to_owned).unwrap_or(self.stdout)
    }

    /// A run that must have failed with this code, with one line of error (and perhaps a hint) that contains
    /// each of `words`, and with nothing on standard output.
    #[track_caller]
    pub fn fails(self, code: i32, words: &[&str]) {
        assert_eq!(self.code, code, "{self:?}");
        // `inspect` writes what it found, as JSON: an empty list.
        assert!(["", "[]\n"].contains(&self.stdout.as_str()), "{self:?}");
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is not named: {self:?}");
        }
        assert!(!self.stderr.contains("panicked"), "{self:?}");
    }
}
