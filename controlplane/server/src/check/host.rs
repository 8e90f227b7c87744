//! Processors, interrupts, clock and random numbers.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{Finding, Level};
use crate::config::Config;

/// Of all processors together, in ticks (proc_stat(5)): all, and what a hypervisor has taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Times {
    all: u64,
    stolen: u64,
}

/// As they are now.
pub(super) fn processor_times() -> Option<Times> {
    times(&fs::read_to_string("/proc/stat").ok()?)
}

/// Reads the host. `before`: the processors' times when the check began.
pub(super) fn findings(config: &Config, before: Option<Times>) -> Vec<Finding> {
    let governors = (0..4096)
        .map_while(|cpu| {
            let folder = format!("/sys/devices/system/cpu/cpu{cpu}");
            Path::new(&folder).exists().then_some(folder)
        })
        .filter_map(|folder| fs::read_to_string(format!("{folder}/cpufreq/scaling_governor")).ok());
    let governors: Vec<_> = governors.collect();
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let online = list(&read("/sys/devices/system/cpu/online"));
    let names: Vec<_> = fs::read_dir("/sys/class/net")
        .map(|entries| {
            entries
                .flatten()
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .collect()
        })
        .unwrap_or_default();
    let interrupts = of_devices(&read("/proc/interrupts"), &names);
    let affinities: Vec<_> = interrupts
        .into_iter()
        .map(|(number, name)| (name, list(&read(&format!("/proc/irq/{number}/smp_affinity_list")))))
        .collect();
    let is_there = |path: &str| Path::new(path).exists();
    vec![
        governor(&governors),
        stolen(before, processor_times()),
        cores(&config.media.cores, usize::from(config.media.workers), &online),
        interrupted(&config.media.cores, &affinities),
        clock(
            is_there("/run/systemd/timesync/synchronized"),
            &read("/run/chrony/tracking"),
            is_there("/run/systemd/timesync"),
        ),
        entropy(&read("/proc/sys/kernel/random/entropy_avail")),
    ]
}

/// The first line of proc_stat(5): `cpu user nice system idle iowait irq softirq steal …`.
fn times(stat: &str) -> Option<Times> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = line.split_whitespace().map_while(|tick| tick.parse().ok()).collect();
    Some(Times {
        // What guests used is in user's and nice's already.
        all: ticks.iter().take(8).sum(),
        stolen: *ticks.get(7)?,
    })
}

fn governor(governors: &[String]) -> Finding {
    let what = "CPU governor";
    let kinds: BTreeSet<_> = governors.iter().map(|governor| governor.trim()).collect();
    let kinds: Vec<_> = kinds.into_iter().collect();
    match &kinds[..] {
        [] => Finding::ok(what, "none (a virtual machine, or the firmware decides)"),
        ["performance"] => Finding::ok(what, "performance"),
        kinds => Finding::new(
            Level::Warning,
            what,
            kinds.join(", "),
            "`cpupower frequency-set -g performance`: a core that sleeps deeply wakes late, and packets wait for it",
        ),
    }
}

fn stolen(before: Option<Times>, after: Option<Times>) -> Finding {
    let what = "steal time";
    let (Some(before), Some(after)) = (before, after) else {
        return Finding::new(Level::Unknown, what, "/proc/stat cannot be read", "mount /proc");
    };
    let all = after.all.saturating_sub(before.all).max(1);
    let share = after.stolen.saturating_sub(before.stolen) as f64 * 100.0 / all as f64;
    let found = format!("{share:.1} % while this was checked");
    match share {
        share if share >= 2.0 => Finding::new(
            Level::Warning,
            what,
            found,
            "other machines take this one's processors: ask for dedicated ones, or packets will be late",
        ),
        _ => Finding::ok(what, found),
    }
}

fn cores(wanted: &[usize], workers: usize, online: &BTreeSet<usize>) -> Finding {
    let what = "media.cores";
    if online.is_empty() {
        return Finding::new(Level::Unknown, what, "the processors cannot be counted", "mount /sys");
    }
    let missing: Vec<_> = wanted.iter().filter(|core| !online.contains(core)).collect();
    let used: BTreeSet<_> = wanted.iter().copied().collect();
    let found = format!("{wanted:?} of {}", online.len());
    if !missing.is_empty() {
        let remedy = format!("this host has no {missing:?}: name cores of /sys/devices/system/cpu/online");
        return Finding::new(Level::Error, what, found, remedy);
    }
    if used.len() < wanted.len() {
        return Finding::new(
            Level::Warning,
            what,
            found,
            "two workers share a core: give each its own",
        );
    }
    if workers >= online.len() && online.len() > 1 || (!used.is_empty() && used.len() == online.len()) {
        let found = format!("{workers} workers on {} cores", online.len());
        let remedy = "leave one core at the least to SIP, HTTP and the system: they share it with no packet then";
        return Finding::new(Level::Warning, what, found, remedy);
    }
    if wanted.is_empty() {
        return Finding::ok(what, format!("not pinned; {} are there", online.len()));
    }
    Finding::ok(what, found)
}

/// Numbers and names of the interrupts of network devices (proc_interrupts(5)).
fn of_devices(interrupts: &str, devices: &[String]) -> Vec<(u32, String)> {
    let of_device = |name: &str| {
        let known = devices.iter().any(|device| device != "lo" && name.contains(&**device));
        known || (name.starts_with("virtio") && (name.contains("input") || name.contains("output")))
    };
    let lines = interrupts.lines().filter_map(|line| {
        let (number, rest) = line.split_once(':')?;
        let name = rest.split_whitespace().last()?;
        let number = number.trim().parse().ok()?;
        of_device(name).then(|| (number, name.to_owned()))
    });
    lines.collect()
}

fn interrupted(cores: &[usize], interrupts: &[(String, BTreeSet<usize>)]) -> Finding {
    let what = "interrupts of network devices";
    if cores.is_empty() || interrupts.is_empty() {
        let found = if cores.is_empty() {
            "no worker is pinned"
        } else {
            "none was found"
        };
        return Finding::ok(what, found);
    }
    let on: BTreeSet<_> = interrupts
        .iter()
        .filter(|(_, allowed)| allowed.iter().any(|core| cores.contains(core)))
        .map(|(name, _)| name.as_str())
        .collect();
    if on.is_empty() {
        return Finding::ok(what, "none on a worker's core");
    }
    let found = format!(
        "{} may come on {cores:?}",
        on.into_iter().collect::<Vec<_>>().join(", ")
    );
    let remedy = "set /proc/irq/N/smp_affinity_list to the other cores (and stop irqbalance, or tell it so): each one interrupts a worker";
    Finding::new(Level::Warning, what, found, remedy)
}

/// `0-3,6` (cpuset(7)).
fn list(text: &str) -> BTreeSet<usize> {
    let ranges = text.trim().split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.trim().parse::<usize>().ok()?..=last.trim().parse().ok()?)
    });
    ranges.flatten().collect()
}

/// Webhooks' receivers refuse signatures of another time; records have to agree with those of others.
fn clock(synchronized: bool, chrony: &str, timesyncd: bool) -> Finding {
    let what = "clock";
    if synchronized || !chrony.is_empty() {
        return Finding::ok(what, "synchronised");
    }
    let remedy = "`timedatectl` or `chronyc tracking` says; receivers refuse webhooks whose time is off by minutes";
    match timesyncd {
        true => Finding::new(Level::Warning, what, "not synchronised yet", remedy),
        false => Finding::new(
            Level::Unknown,
            what,
            "nobody here says whether it is synchronised",
            remedy,
        ),
    }
}

fn entropy(available: &str) -> Finding {
    let what = "random numbers";
    match available.trim().parse::<u32>() {
        Ok(bits) if bits >= 128 => Finding::ok(what, "the kernel has enough"),
        Ok(bits) => Finding::new(
            Level::Warning,
            what,
            format!("the kernel has {bits} bits"),
            "give the machine a source (virtio-rng, or haveged): ids and tokens wait for it",
        ),
        Err(_) => Finding::new(
            Level::Unknown,
            what,
            "/proc/sys/kernel/random cannot be read",
            "mount /proc",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(finding: &Finding) -> Level {
        finding.level
    }

    #[test]
    fn steal_is_what_was_taken_meanwhile() {
        let before = times("cpu  100 0 100 800 0 0 0 50 0 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n");
        assert_eq!(before, Some(Times { all: 1050, stolen: 50 }));
        let after = |stolen: u64| times(&format!("cpu  100 0 100 {} 0 0 0 {stolen} 9 9\n", 900 - (stolen - 50)));
        assert_eq!(level(&stolen(before, after(51))), Level::Ok);
        let much = stolen(before, after(60));
        assert_eq!(
            (level(&much), &*much.found),
            (Level::Warning, "10.0 % while this was checked")
        );
        assert_eq!(level(&stolen(None, before)), Level::Unknown);
        assert_eq!(times("cpu 1 2\n"), None);
    }

    #[test]
    fn governors_and_cores() {
        assert_eq!(level(&governor(&[])), Level::Ok);
        assert_eq!(
            level(&governor(&["performance\n".to_owned(), "performance".to_owned()])),
            Level::Ok
        );
        assert_eq!(
            level(&governor(&["performance\n".to_owned(), "powersave".to_owned()])),
            Level::Warning
        );
        let four = list("0-2,7\n");
        assert_eq!(four.iter().copied().collect::<Vec<_>>(), [0, 1, 2, 7]);
        assert_eq!(level(&cores(&[], 1, &four)), Level::Ok);
        assert_eq!(level(&cores(&[1, 7], 2, &four)), Level::Ok);
        assert_eq!(level(&cores(&[3], 1, &four)), Level::Error);
        assert_eq!(level(&cores(&[1, 1], 2, &four)), Level::Warning);
        assert_eq!(level(&cores(&[0, 1, 2, 7], 4, &four)), Level::Warning);
        assert_eq!(level(&cores(&[], 4, &four)), Level::Warning);
        assert_eq!(level(&cores(&[0], 1, &list(""))), Level::Unknown);
    }

    #[test]
    fn interrupts_on_a_workers_core_are_named() {
        let text = "           CPU0       CPU1\n  1:  9  0  IO-APIC  1-edge  i8042\n 30: 5 5 PCI-MSIX-0000:00:03.0 1-edge eth0-rx-0\n\
                    31: 5 5 PCI-MSIX 2-edge virtio1-input.0\n 32: 1 1 PCI-MSIX 3-edge virtio0-config\nNMI: 0 0 Non-maskable\n";
        let devices = ["eth0".to_owned(), "lo".to_owned()];
        let found = of_devices(text, &devices);
        assert_eq!(
            found,
            [(30, "eth0-rx-0".to_owned()), (31, "virtio1-input.0".to_owned())]
        );
        let at = |cores: &str| [("eth0-rx-0".to_owned(), list(cores))];
        assert_eq!(level(&interrupted(&[1], &at("0"))), Level::Ok);
        let bad = interrupted(&[1], &at("0-1"));
        assert_eq!(level(&bad), Level::Warning);
        assert!(bad.found.starts_with("eth0-rx-0 may come on"), "{bad:?}");
        assert_eq!(level(&interrupted(&[], &at("0-1"))), Level::Ok);
    }

    #[test]
    fn clocks_and_random_numbers() {
        assert_eq!(level(&clock(true, "", true)), Level::Ok);
        assert_eq!(level(&clock(false, "ref", false)), Level::Ok);
        assert_eq!(level(&clock(false, "", true)), Level::Warning);
        assert_eq!(level(&clock(false, "", false)), Level::Unknown);
        assert_eq!(level(&entropy("256\n")), Level::Ok);
        assert_eq!(level(&entropy("10\n")), Level::Warning);
        assert_eq!(level(&entropy("")), Level::Unknown);
    }
}
