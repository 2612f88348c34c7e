//! Trying an overlay mount where the layers of containers are, in a mount namespace that goes at once.

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use std::fs;
use std::io;
use std::path::Path;

/// Mounts an overlay in a directory that is made below `place` and removed again, and writes into it.
pub(super) fn try_at(place: &Path) -> Result<(), String> {
    let directory = place.join(format!(".cctl-doctor-{}", std::process::id()));
    let tried =
        prepare(&directory).map_err(|error| format!("making {}: {error}", directory.display())).and_then(|()| {
            let directory = directory.clone();
            // The namespace is that of the thread, and ends with it.
            let thread = std::thread::spawn(move || mounted(&directory).map_err(|error| error.to_string()));
            thread.join().unwrap_or_else(|_| Err("the attempt has failed".to_owned()))
        });
    if let Err(error) = fs::remove_dir_all(&directory)
        && error.kind() != io::ErrorKind::NotFound
    {
        return tried.and(Err(format!("removing {}: {error}", directory.display())));
    }
    tried
}

fn prepare(directory: &Path) -> io::Result<()> {
    fs::create_dir(directory)?;
    ["lower", "upper", "work", "merged"].into_iter().try_for_each(|name| fs::create_dir(directory.join(name)))?;
    fs::write(directory.join("lower/file"), "below")
}

fn mounted(directory: &Path) -> io::Result<()> {
    unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS)?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
    // Short paths, whatever the directory's own has in it.
    std::env::set_current_dir(directory)?;
    mount(
        Some("overlay"),
        "merged",
        Some("overlay"),
        MsFlags::empty(),
        Some("lowerdir=lower,upperdir=upper,workdir=work"),
    )?;
    // A copy upwards and a whiteout: what layers live from.
    fs::write("merged/file", "above")?;
    fs::remove_file("merged/file")
}
