//! Processor time of others: of a process with all its threads, and of the thread of the kernel that receives for it.

use std::fs;
use std::time::Duration;

/// Whose time is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// The process under test, where there is one.
    pub process: Option<u32>,
    /// The threads of NAPI of its end of the link.
    pub receive: Vec<u32>,
}

/// Since each of them began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Of the process.
    pub process: Duration,
    /// Of the threads that receive for it.
    pub receive: Duration,
}

impl Watched {
    /// Until now.
    pub fn spent(&self) -> Spent {
        let folder = self.process.map(|process| format!("/proc/{process}/task"));
        let threads = folder.into_iter().flat_map(fs::read_dir).flatten().flatten();
        let process =
            threads.map(|thread| on_core(&fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default()));
        let receive = self.receive.iter().map(|thread| {
            let schedstat = fs::read_to_string(format!("/proc/{thread}/schedstat"));
            on_core(&schedstat.unwrap_or_default())
        });
        Spent {
            process: process.sum(),
            receive: receive.sum(),
        }
    }
}

impl Spent {
    /// What came on top.
    #[must_use]
    pub fn since(self, before: Spent) -> Spent {
        Spent {
            process: self.process.saturating_sub(before.process),
            receive: self.receive.saturating_sub(before.receive),
        }
    }
}

/// proc_pid_schedstat(5): the first number is the time on a core, ns.
fn on_core(schedstat: &str) -> Duration {
    let ns = schedstat.split(' ').next().and_then(|ns| ns.parse().ok());
    Duration::from_nanos(ns.unwrap_or(0))
}

/// The threads of NAPI of an interface, by their name: `napi/f0-258`.
pub fn napi_threads(interface: &str) -> Vec<u32> {
    let wanted = format!("napi/{interface}-");
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = processes.filter_map(|process| process.file_name().to_str()?.parse().ok());
    numbers
        .filter(|number: &u32| {
            let name = fs::read_to_string(format!("/proc/{number}/comm")).unwrap_or_default();
            name.starts_with(&wanted)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_of_this_process_is_seen() {
        assert_eq!(on_core("1500 20 3\n"), Duration::from_nanos(1500));
        assert_eq!(on_core(""), Duration::ZERO);
        let watched = Watched {
            process: Some(std::process::id()),
            receive: Vec::new(),
        };
        let before = watched.spent();
        let mut sum = 0_u64;
        while watched.spent().since(before).process < Duration::from_millis(1) {
            sum = std::hint::black_box(sum + 1);
        }
        assert_eq!(watched.spent().receive, Duration::ZERO);
        assert!(napi_threads("no-such-interface").is_empty());
    }
}
