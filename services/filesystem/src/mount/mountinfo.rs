//! What /proc/<pid>/mountinfo says, proc_pid_mountinfo(5). Pure.

const OVERLAY: &str = "overlay";

/// Whether the topmost mount at `point` is an overlay.
pub(super) fn has_overlay(mountinfo: &str, point: &str) -> bool {
    let at_point = |line: &&str| line.split(' ').nth(4) == Some(point);
    mountinfo.lines().rfind(at_point).is_some_and(|line| filesystem(line) == Some(OVERLAY))
}

/// The type follows a lone dash, behind a variable number of optional fields.
fn filesystem(line: &str) -> Option<&str> {
    line.split_once(" - ")?.1.split(' ').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_topmost_mount_at_the_very_place_counts() {
        let info = "30 1 0:25 / / rw - tmpfs tmpfs rw\n\
                    31 30 0:26 / /rootfs rw,nodev shared:1 master:2 - overlay cctl rw,lowerdir=0\n\
                    32 31 8:1 / /rootfs/data rw - ext4 /dev/a rw\n\
                    33 30 0:27 / /other rw - overlay x rw\n\
                    34 33 0:28 / /other rw - tmpfs x rw\n";
        assert!(has_overlay(info, "/rootfs"));
        for not in ["/", "/rootfs/data", "/other", "/none"] {
            assert!(!has_overlay(info, not), "{not}");
        }
        assert!(!has_overlay("damaged", "/"));
    }
}
