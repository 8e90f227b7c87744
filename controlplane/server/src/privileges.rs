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
