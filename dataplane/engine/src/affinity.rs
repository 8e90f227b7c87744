//! A worker stays on one core, so that its memory stays in that core's cache.

use core_affinity::CoreId;

use crate::config::StartError;

/// The cores that this process may use.
pub(crate) fn available() -> Vec<usize> {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    cores.into_iter().map(|core| core.id).collect()
}

/// Pins the calling thread.
pub(crate) fn pin(core: usize) -> Result<(), StartError> {
    let available = available();
    if available.contains(&core) && core_affinity::set_for_current(CoreId { id: core }) {
        return Ok(());
    }
    Err(StartError::Core { core, available })
}
