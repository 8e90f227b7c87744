//! What the kernel says of our process (proc_pid_stat(5), proc_pid_status(5)); names as other exporters have them.

use std::fs;

use super::list;
use super::text::Page;

/// USER_HZ, in which the kernel tells times to everybody: 100 on every architecture that we build for.
const TICKS: f64 = 100.0;

/// Writes what can be read; where there is no /proc, nothing.
pub(super) fn write(page: &mut Page) {
    let read = |name: &str| fs::read_to_string(format!("/proc/{name}")).unwrap_or_default();
    let (stat, status, limits) = (read("self/stat"), read("self/status"), read("self/limits"));
    if let (Some(boot), Some(started)) = (field(&read("stat"), "btime"), stat_field(&stat, 22)) {
        page.one(&list::PROCESS_START, boot + started / TICKS);
    }
    if let (Some(user), Some(system)) = (stat_field(&stat, 14), stat_field(&stat, 15)) {
        page.one(&list::PROCESS_CPU, (user + system) / TICKS);
    }
    if let Some(kib) = field(&status, "VmRSS:") {
        page.one(&list::PROCESS_MEMORY, kib * 1024.0);
    }
    if let Some(kib) = field(&status, "VmSize:") {
        page.one(&list::PROCESS_VIRTUAL, kib * 1024.0);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // The folder itself is open while it is read.
        page.one(&list::PROCESS_FDS, open.count().saturating_sub(1));
    }
    if let Some(most) = field(&limits, "Max open files") {
        page.one(&list::PROCESS_FDS_MAX, most);
    }
    if let Some(threads) = field(&status, "Threads:") {
        page.one(&list::PROCESS_THREADS, threads);
    }
}

/// The first number of the line that begins so.
fn field(text: &str, name: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// A field of `/proc/self/stat`, numbered as its manual has them.
fn stat_field(stat: &str, number: usize) -> Option<f64> {
    // The name, in brackets, may hold anything: the last bracket ends it. The next field is the third one.
    let fields = stat.rsplit_once(')')?.1;
    fields.split_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_blanks_moves_no_field() {
        let stat = "42 (a) b (c) S 4 5 6 7 8 9 10 11 12 13 150 50 16 17 18 19 20 21 9000 23";
        assert_eq!(stat_field(stat, 14), Some(150.0));
        assert_eq!(stat_field(stat, 22), Some(9000.0));
        assert_eq!(stat_field("42 (a) S 4", 14), None);
    }

    #[test]
    fn a_line_is_found_by_its_beginning() {
        let status = "Name:\tVmRSS:\nVmRSS:\t    12 kB\n";
        assert_eq!(field(status, "VmRSS:"), Some(12.0));
        assert_eq!(field(status, "Threads:"), None);
        assert_eq!(
            field("Max open files            1024   4096   files\n", "Max open files"),
            Some(1024.0)
        );
    }
}
