//! Cores: one for whom is measured, the others for who measures.

use std::process::Command;

/// The first core that is another one.
pub fn other(core: u32) -> Option<u32> {
    let cores = std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    listed(cores.trim()).find(|other| *other != core)
}

/// This process runs on every core but that one, by taskset of util-linux.
///
/// # Errors
/// Where there is no other one.
pub fn stay_off(core: u32) -> Result<(), String> {
    let cores = std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    let others: Vec<String> = listed(cores.trim())
        .filter(|other| *other != core)
        .map(|other| other.to_string())
        .collect();
    if others.is_empty() {
        return Err("this host has no second core: --server-core any".to_owned());
    }
    let pid = std::process::id().to_string();
    let set = Command::new("taskset")
        .args(["--all-tasks", "--cpu-list", "--pid", &others.join(","), &pid])
        .output();
    match set {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("taskset: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("taskset, of util-linux: {error}")),
    }
}

/// As the kernel lists processors: `0-3,6`.
fn listed(text: &str) -> impl Iterator<Item = u32> + '_ {
    let ranges = text.split(',').filter_map(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    });
    ranges.flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_listed_in_ranges() {
        let cores = |text| listed(text).collect::<Vec<_>>();
        assert_eq!(cores("0-3,6"), [0, 1, 2, 3, 6]);
        assert_eq!(cores("0"), [0]);
        assert!(cores("").is_empty());
    }
}
