//! The only place of the data plane that reads a clock: the core is given the time.

use std::os::unix::thread::JoinHandleExt as _;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

/// Now, of the monotonic clock: a read of shared memory (vDSO), no system call.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Now, of the clock that the kernel stamps packets with, ns since 1970. It may step.
pub(crate) fn wall() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos() as u64)
}

/// How long a thread was on a processor; `None` where it has ended.
pub(crate) fn processor_time<T>(thread: &JoinHandle<T>) -> Option<Duration> {
    let mut clock: libc::clockid_t = 0;
    // SAFETY: the thread is not joined, for its handle is still there, so its id is valid even where it has ended; `clock` is writable.
    if unsafe { libc::pthread_getcpuclockid(thread.as_pthread_t(), &raw mut clock) } != 0 {
        return None;
    }
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is writable for the length of the call. The clock of a thread that has ended meanwhile is refused.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return None;
    }
    Some(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn a_thread_s_time_on_a_processor_is_its_own_and_ends_with_it() {
        let (work, wanted) = mpsc::channel::<Duration>();
        let (done, ended) = mpsc::channel();
        let thread = thread::spawn(move || {
            for time in wanted {
                let own = || {
                    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
                    // SAFETY: `time` is writable.
                    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
                    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
                };
                while own() < time {}
                done.send(()).unwrap();
            }
        });
        let mut last = Duration::ZERO;
        for ms in [5, 20] {
            work.send(Duration::from_millis(ms)).unwrap();
            ended.recv().unwrap();
            let time = processor_time(&thread).unwrap();
            assert!(time >= Duration::from_millis(ms) && time > last, "{time:?}");
            last = time;
        }
        drop(work);
        // It ends in its own time.
        while processor_time(&thread).is_some() {
            thread::yield_now();
        }
        thread.join().unwrap();
    }
}
