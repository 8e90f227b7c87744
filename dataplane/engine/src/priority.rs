//! How the kernel's scheduler treats a worker: a packet is due every 20 ms, whatever else the processor has to do.

use std::io;

/// The longest that a worker runs on where somebody waits who takes turns as quickly, ns: the least that the kernel grants (sched_setattr(2), Linux 6.12;
/// an older one decides by itself). Who feeds it, a thread of the kernel that receives on the same core, would else wait for some ms.
const SLICE_NS: u64 = 100_000;

/// Before everybody who is not asked to be so.
const NICE: i32 = -20;

/// `struct sched_attr`, its first version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    slice_ns: u64,
    deadline: u64,
    period: u64,
}

/// The calling thread comes before others on its processor, as far as this process may ask for that (RLIMIT_NICE or CAP_SYS_NICE), and takes quick turns
/// with its equals. Where somebody has chosen a policy other than SCHED_OTHER, that stays.
pub(crate) fn hurry() {
    let Ok(now) = attributes() else { return };
    if now.policy != libc::SCHED_OTHER as u32 {
        return;
    }
    let wanted = |nice| Attributes {
        size: size_of::<Attributes>() as u32,
        nice,
        slice_ns: SLICE_NS,
        ..Attributes::default()
    };
    // The second needs no right. Where a filter of system calls forbids both, it is as it was.
    let _ = set(&wanted(now.nice.min(NICE))).or_else(|_| set(&wanted(now.nice)));
}

fn attributes() -> io::Result<Attributes> {
    let mut found = Attributes::default();
    // SAFETY: the kernel writes at the most so many bytes there.
    let done = unsafe {
        libc::syscall(
            libc::SYS_sched_getattr,
            0,
            &raw mut found,
            size_of::<Attributes>() as u32,
            0,
        )
    };
    checked(done).map(|()| found)
}

fn set(wanted: &Attributes) -> io::Result<()> {
    // SAFETY: the kernel reads `size` bytes.
    checked(unsafe { libc::syscall(libc::SYS_sched_setattr, 0, std::ptr::from_ref(wanted), 0) })
}

fn checked(done: libc::c_long) -> io::Result<()> {
    match done {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// By itself: what one thread is asked to be stays with it.
    fn alone<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
        thread::spawn(work).join().expect("it ends")
    }

    #[test]
    fn a_thread_gets_what_this_process_may_ask_for_and_only_itself() {
        // SAFETY: no pointers.
        let may = alone(|| unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) } == 0);
        let before = attributes().expect("our own");
        let after = alone(|| {
            hurry();
            attributes().expect("our own")
        });
        assert_eq!(after.nice, if may { NICE } else { before.nice });
        // Linux before 6.12 has no slice of a thread's own, and says 0.
        let slice = if before.slice_ns == 0 { 0 } else { SLICE_NS };
        assert_eq!((after.slice_ns, after.policy), (slice, before.policy));
        assert_eq!(attributes().expect("our own"), before);
    }

    #[test]
    fn another_policy_stays() {
        let after = alone(|| {
            let batch = Attributes {
                size: size_of::<Attributes>() as u32,
                policy: libc::SCHED_BATCH as u32,
                nice: attributes().expect("our own").nice,
                ..Attributes::default()
            };
            set(&batch).expect("nobody needs a right for it");
            let before = attributes().expect("our own");
            hurry();
            (before, attributes().expect("our own"))
        });
        assert_eq!(after.0, after.1);
        assert_eq!(after.1.policy, libc::SCHED_BATCH as u32);
    }
}
