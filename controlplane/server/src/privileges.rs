//! Rights that a server needs to begin, and not to go on: given up before it reads the first byte of anybody.

use std::io;

use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};

/// Gives up every capability (capabilities(7)) for this thread and all that it starts, and the way to new ones (`no_new_privs`). To be
/// called once the sockets are open, and before there is a second thread.
///
/// # Errors
/// Where the kernel refuses what it never should.
pub(crate) fn give_up() -> io::Result<()> {
    let had = capabilities(None)?;
    // Rings count as locked memory (io_uring_setup(2)), and they come later.
    let unlimited = Rlimit {
        current: None,
        maximum: None,
    };
    let _ = setrlimit(Resource::Memlock, unlimited);
    // So do the workers, which come before whoever else is on their cores: 40 stands for -20 (getrlimit(2)).
    let any = Rlimit {
        current: Some(40),
        maximum: Some(40),
    };
    let _ = setrlimit(Resource::Nice, any);
    set_no_new_privs(true)?;
    // Who has no right to narrow it needs not: without capabilities and new privileges nothing comes of it.
    for capability in CapabilitySet::all().iter() {
        if capability_is_in_bounding_set(capability).unwrap_or(false) {
            let _ = remove_capability_from_bounding_set(capability);
        }
    }
    clear_ambient_capability_set()?;
    let none = CapabilitySet::empty();
    set_capabilities(
        None,
        CapabilitySets {
            effective: none,
            permitted: none,
            inheritable: none,
        },
    )?;
    let had: Vec<_> = had.permitted.iter_names().map(|(name, _)| name).collect();
    tracing::info!(had = had.len(), "gave up all capabilities and the way to new ones");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    const PROFILE: &str = include_str!("../../../tools/ops/seccomp.json");

    /// The profile for containers, `tools/ops/seccomp.json`.
    #[test]
    fn a_container_may_do_what_the_program_does_and_nothing_that_reaches_the_host() {
        let profile: Value = serde_json::from_str(PROFILE).expect("JSON");
        assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
        assert_eq!(profile["defaultErrnoRet"], 1, "EPERM");
        let mut calls: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for rule in profile["syscalls"].as_array().expect("rules") {
            for name in rule["names"].as_array().expect("names") {
                calls.entry(name.as_str().expect("a name")).or_default().push(rule);
            }
        }
        // The media plane, what gives rights up, and what starts a successor.
        for name in [
            "io_uring_setup",
            "io_uring_enter",
            "io_uring_register",
            "capset",
            "prctl",
            "execve",
        ] {
            let allowed = calls
                .get(name)
                .is_some_and(|rules| rules[0]["action"] == "SCMP_ACT_ALLOW");
            assert!(allowed, "{name}");
        }
        for name in [
            "add_key",
            "bpf",
            "chroot",
            "delete_module",
            "finit_module",
            "fsopen",
            "init_module",
            "iopl",
            "kexec_load",
            "keyctl",
            "mknodat",
            "mount",
            "move_mount",
            "open_by_handle_at",
            "perf_event_open",
            "personality",
            "pivot_root",
            "process_vm_readv",
            "process_vm_writev",
            "ptrace",
            "reboot",
            "setns",
            "setuid",
            "swapon",
            "unshare",
            "userfaultfd",
        ] {
            assert!(!calls.contains_key(name), "{name}");
        }
        // Unix, IPv4, IPv6: as in the unit.
        let families: Vec<_> = calls["socket"].iter().map(|rule| &rule["args"]).collect();
        let family = |number: u8| json!([{ "index": 0, "value": number, "op": "SCMP_CMP_EQ" }]);
        assert_eq!(families, [&family(1), &family(2), &family(10)]);
        // No flag of clone(2) that makes a namespace, and clone3(2), whose flags no filter sees, is not there.
        let namespaces = 0x7e02_0000;
        let none = json!([{ "index": 0, "value": namespaces, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ" }]);
        assert_eq!(
            calls["clone"].iter().map(|rule| &rule["args"]).collect::<Vec<_>>(),
            [&none]
        );
        assert_eq!(calls["clone3"][0]["errnoRet"], 38, "ENOSYS");
        assert!(
            calls
                .values()
                .all(|rules| rules.len() == 1 || rules.iter().all(|rule| rule["args"].is_array()))
        );
    }
}
