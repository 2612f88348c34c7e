//! That each kernel is asked in the way that it knows.

use crate::kernel;
use harness::Instance;

/// The root's line of mountinfo (proc(5)).
fn root(cctl: &Instance, image: &str) -> String {
    let text = cctl.cctl(&["run", "--rm", image, "cat", "/proc/self/mountinfo"]).ok();
    text.lines().find(|line| line.split(' ').nth(4) == Some("/")).unwrap().to_owned()
}

#[test]
fn layers_are_told_one_by_one_where_the_kernel_knows_that() {
    let cctl = Instance::start();
    // Two layers more.
    for (from, to) in [("base", "second"), ("second", "third")] {
        cctl.cctl(&["run", "--name", to, from, "sh", "-c", &format!("echo {to} > /{to}")]).ok();
        cctl.cctl(&["commit", to, to]).ok();
        cctl.cctl(&["rm", to]).ok();
    }
    let line = root(&cctl, "third");
    // The string of short names is what a kernel gets that takes one string.
    if kernel() >= (6, 8) {
        assert!(line.matches("lowerdir+=layers/").count() == 3, "{line}");
    } else {
        assert!(line.contains("lowerdir=0:1:2,"), "{line}");
    }
    assert!(line.contains("redirect_dir=nofollow") || !line.contains("redirect_dir=on"), "{line}");
    assert_eq!(cctl.cctl(&["run", "--rm", "third", "cat", "/second", "/third"]).ok(), "second\nthird");
    assert!(cctl.cctl(&["diff", &cctl.cctl(&["create", "third", "true"]).ok()]).ok().is_empty());
}
