//! The submission and completion queues.

use std::io;
use std::time::Duration;

use io_uring::types::{SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, squeue};

use crate::config::{StartError, TaskRun};
use crate::uring::probe;

/// The queues, and how often the kernel was entered for them.
pub(crate) struct Ring {
    ring: IoUring,
    mode: TaskRun,
    enters: u64,
    overflows: u32,
}

impl Ring {
    /// Makes a ring with this many entries for submissions and at least this many for completions. It belongs to the
    /// calling thread (`IORING_SETUP_SINGLE_ISSUER` under `Defer`).
    pub(crate) fn new(submissions: u32, completions: u32, mode: TaskRun) -> Result<Ring, StartError> {
        let build = |mode: TaskRun| {
            let mut builder = IoUring::builder();
            builder.dontfork().setup_submit_all().setup_cqsize(completions);
            if mode == TaskRun::Defer {
                builder.setup_single_issuer().setup_defer_taskrun();
            } else {
                builder.setup_coop_taskrun();
            }
            builder.build(submissions)
        };
        let (built, mode) = match mode {
            TaskRun::Auto => match build(TaskRun::Defer) {
                // Unknown flags: the kernel is older than 6.1.
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => (build(TaskRun::Coop), TaskRun::Coop),
                built => (built, TaskRun::Defer),
            },
            mode => (build(mode), mode),
        };
        let bytes = submissions as usize * 64 + completions as usize * 16;
        Ok(Ring {
            ring: built.map_err(|error| probe::explain_setup(error, bytes))?,
            mode,
            enters: 0,
            overflows: 0,
        })
    }

    /// `Defer` or `Coop`.
    pub(crate) fn mode(&self) -> TaskRun {
        self.mode
    }

    /// Calls of io_uring_enter(2).
    pub(crate) fn enters(&self) -> u64 {
        self.enters
    }

    /// Completions that had to wait in the kernel because the queue was full.
    pub(crate) fn overflows(&self) -> u32 {
        self.overflows
    }

    /// What the kernel says that it can do.
    pub(crate) fn features(&self) -> &io_uring::Parameters {
        self.ring.params()
    }

    /// For registrations.
    pub(crate) fn submitter(&self) -> io_uring::Submitter<'_> {
        self.ring.submitter()
    }

    /// Queues a request. Where the queue is full it is handed over first; `false` where the kernel does not take it.
    ///
    /// # Safety
    /// Everything that the entry points to must stay valid until its (last) completion, and nobody else may write
    /// to what the kernel reads, or touch what it writes.
    pub(crate) unsafe fn push(&mut self, entry: &squeue::Entry) -> bool {
        // SAFETY: promised by the caller.
        if unsafe { self.ring.submission().push(entry) }.is_ok() {
            return true;
        }
        // An error leaves the queue full, which is what the second attempt finds.
        self.submit();
        // SAFETY: as above; the first attempt took nothing.
        unsafe { self.ring.submission().push(entry) }.is_ok()
    }

    /// Hands over what is queued, and waits for nothing.
    pub(crate) fn submit(&mut self) {
        self.enters += 1;
        // What cannot be handed over now is handed over later.
        let _ = self.ring.submit();
    }

    /// Hands over what is queued and waits until `want` completions (at least 1) lie ready or the time is over.
    pub(crate) fn enter(&mut self, want: usize, timeout: Option<Duration>) -> io::Result<()> {
        self.enters += 1;
        let submitter = self.ring.submitter();
        let result = match timeout {
            None => submitter.submit_and_wait(want),
            Some(timeout) => {
                let time = Timespec::from(timeout);
                submitter.submit_with_args(want, &SubmitArgs::new().timespec(&time))
            }
        };
        match result {
            Ok(_) => Ok(()),
            Err(error) => match error.raw_os_error() {
                // Time is over, a signal came, or the kernel wants completions to be walked before it takes more:
                // each is a reason to look at the queue and to come back.
                Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => Ok(()),
                _ => Err(error),
            },
        }
    }

    /// Completions that lie ready.
    pub(crate) fn ready(&mut self) -> usize {
        self.ring.completion().len()
    }

    /// The next completion.
    pub(crate) fn next(&mut self) -> Option<cqueue::Entry> {
        let mut queue = self.ring.completion();
        self.overflows = queue.overflow();
        queue.next()
    }
}
