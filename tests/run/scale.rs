//! Many containers, one after another and at a time.

use harness::Instance;
use std::thread;

#[test]
fn a_hundred_one_after_another_leave_nothing() {
    let cctl = Instance::start();
    for number in 0..100 {
        assert_eq!(cctl.cctl(&["run", "--rm", "base", "echo", &number.to_string()]).ok(), number.to_string());
    }
}

#[test]
fn twenty_at_a_time_leave_nothing() {
    let cctl = Instance::start();
    thread::scope(|scope| {
        for number in 0..20 {
            let cctl = &cctl;
            scope.spawn(move || {
                let text = number.to_string();
                assert_eq!(cctl.cctl(&["run", "--rm", "base", "echo", &text]).ok(), text);
            });
        }
    });
}
