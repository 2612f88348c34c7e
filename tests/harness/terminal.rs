//! A program on a pseudo-terminal, and a person before it.

use crate::{eventually, sys};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::thread;

/// What no program shows.
const END: &[u8] = b"<the program has ended>";

/// A terminal with a program on it.
pub struct Terminal {
    keyboard: File,
    screen: Arc<Mutex<Vec<u8>>>,
    child: Child,
    /// Keeps the terminal, and its settings, beyond the program's end.
    line: File,
}

impl Terminal {
    pub(crate) fn start(mut command: Command) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
        grantpt(&master).expect("grantpt");
        unlockpt(&master).expect("unlockpt");
        let name = ptsname(&master, Vec::new()).expect("ptsname");
        let line = OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).expect("the terminal");
        let copy = || line.try_clone().expect("a descriptor");
        command.stdin(copy()).stdout(copy()).stderr(copy());
        sys::own_terminal(&mut command);
        let child = command.spawn().expect("cctl");
        let keyboard = File::from(master);
        let screen = Arc::new(Mutex::new(Vec::new()));
        let (mut source, sink) = (keyboard.try_clone().expect("a descriptor"), Arc::clone(&screen));
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = source.read(&mut buffer) {
                sink.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        let terminal = Self { keyboard, screen, child, line };
        terminal.resize(24, 80);
        terminal
    }

    /// Types.
    pub fn type_text(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).expect("the terminal takes input");
    }

    /// Changes the window's size.
    pub fn resize(&self, rows: u16, columns: u16) {
        tcsetwinsize(&self.line, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 })
            .expect("resize");
    }

    /// What has been shown so far.
    pub fn screen(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap()).into_owned()
    }

    /// Waits until `text` has been shown.
    pub fn shows(&self, text: &str) {
        let mut last = String::new();
        let shown = crate::within(std::time::Duration::from_secs(30), || {
            last = self.screen();
            last.contains(text).then_some(())
        });
        assert!(shown.is_some(), "{text:?} is not shown: {last:?}");
    }

    /// The terminal's settings.
    pub fn settings(&self) -> Termios {
        tcgetattr(&self.line).expect("settings")
    }

    /// Whether the terminal echoes and edits lines, as a shell expects to find it.
    pub fn is_cooked(&self) -> bool {
        use rustix::termios::LocalModes;
        self.settings().local_modes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG)
    }

    /// Process id of the program.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the program's end, and until all that it showed can be seen; its exit code, 128 + the signal if one
    /// ended it.
    pub fn wait(&mut self) -> i32 {
        use std::os::unix::process::ExitStatusExt;
        let status = eventually("the program ends", || self.child.try_wait().expect("wait"));
        // What is written now is read after it.
        self.line.write_all(END).expect("the terminal takes output");
        eventually("its last words are read", || {
            let mut screen = self.screen.lock().unwrap();
            let length = screen.len().checked_sub(END.len()).filter(|length| screen[*length..] == *END)?;
            screen.truncate(length);
            Some(())
        });
        status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
    }
}
