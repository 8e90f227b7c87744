//! How the kernel's scheduler treats a worker: a packet is due every 20 ms, whatever else the processor has to do.

use std::io;

/// The longest that a worker runs on where somebody waits who takes turns as quickly, ns: the least that the kernel grants (sched_setattr(2), Linux 6.12;
/// an older one decides by itself). Who feeds it, a thread of the kernel that receives on the same core, would else wait for some ms.
const SLICE_NS: u64 = 100_000;

/// Before everybody who is not asked to be so.
const NICE: i32 = -20;

/// SCHED_OTHER, where `sched_runtime` is the slice; nothing is asked for.
const PLAIN: libc::sched_attr = libc::sched_attr {
    size: size_of::<libc::sched_attr>() as u32,
    sched_policy: libc::SCHED_OTHER as u32,
    sched_flags: 0,
    sched_nice: 0,
    sched_priority: 0,
    sched_runtime: 0,
    sched_deadline: 0,
    sched_period: 0,
};

/// The calling thread comes before others on its processor, as far as this process may ask for that (RLIMIT_NICE or CAP_SYS_NICE), and takes quick turns
/// with its equals. Where somebody has chosen a policy other than SCHED_OTHER, that stays.
pub(crate) fn hurry() {
    let Ok(now) = attributes(0) else { return };
    if now.sched_policy != PLAIN.sched_policy {
        return;
    }
    let wanted = |nice| libc::sched_attr {
        sched_nice: nice,
        sched_runtime: SLICE_NS,
        ..PLAIN
    };
    // The second needs no right. Where a filter of system calls forbids both, it is as it was.
    let _ = set(&wanted(now.sched_nice.min(NICE))).or_else(|_| set(&wanted(now.sched_nice)));
}

/// 0: the calling thread.
pub(crate) fn attributes(thread: i32) -> io::Result<libc::sched_attr> {
    let mut found = PLAIN;
    // SAFETY: the kernel writes at the most so many bytes there.
    let done = unsafe { libc::syscall(libc::SYS_sched_getattr, thread, &raw mut found, PLAIN.size, 0) };
    checked(done).map(|()| found)
}

fn set(wanted: &libc::sched_attr) -> io::Result<()> {
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

    /// The calling thread's policy, nice value and slice.
    fn own() -> (u32, i32, u64) {
        let own = attributes(0).expect("our own");
        (own.sched_policy, own.sched_nice, own.sched_runtime)
    }

    #[test]
    fn a_thread_gets_what_this_process_may_ask_for_and_only_itself() {
        // SAFETY: no pointers.
        let may = alone(|| unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) } == 0);
        let before = own();
        let after = alone(|| {
            hurry();
            own()
        });
        let (policy, nice, slice) = before;
        // Linux before 6.12 has no slice of a thread's own, and says 0.
        let slice = if slice == 0 { 0 } else { SLICE_NS };
        assert_eq!(after, (policy, if may { NICE } else { nice }, slice));
        assert_eq!(own(), before);
    }

    #[test]
    fn another_policy_stays() {
        let after = alone(|| {
            let batch = libc::sched_attr {
                sched_policy: libc::SCHED_BATCH as u32,
                sched_nice: attributes(0).expect("our own").sched_nice,
                ..PLAIN
            };
            set(&batch).expect("nobody needs a right for it");
            let before = own();
            hurry();
            (before, own())
        });
        assert_eq!(after.0, after.1);
        assert_eq!(after.1.0, libc::SCHED_BATCH as u32);
    }
}
