//! For tests of the tools that open a lab: what a lab may not change, and what is said where there is none.

use std::fs;
use std::process::Output;

/// Names of interfaces and network namespaces, as everybody sees them: a lab leaves them as they were.
pub fn everything() -> Vec<String> {
    let names = |folder: &str| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect::<Vec<_>>()
    };
    let mut all = [names("/sys/class/net"), names("/run/netns")].concat();
    all.sort();
    all
}

/// Whether a tool found no lab here: no root, no XDP, or too few cores. Then the test has to say what it does not show: that is done.
pub fn is_refused(tried: &Output) -> bool {
    let refused = tried.status.code() == Some(2);
    if refused {
        say_skipped(&String::from_utf8_lossy(&tried.stderr));
    }
    refused
}

/// Says why a test shows nothing.
#[expect(
    clippy::print_stderr,
    reason = "whoever reads the test's output must see that it was skipped"
)]
pub fn say_skipped(why: &str) {
    eprintln!("skipped: {}", why.trim_end());
}
