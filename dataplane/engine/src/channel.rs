//! Bounded queues between the control plane and the workers, with wake-ups that cost nothing while the other side is awake.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};

use crossbeam::queue::ArrayQueue;
use media::command::{Command, Event, SessionId};

use crate::moving::{MOVES_MAX, Move, MoveError, Stage};

/// The worker's queue of commands is full: the command comes back. Send it again when events have come.
#[derive(Debug, thiserror::Error)]
#[error("the worker's queue of commands is full")]
pub struct Full(pub Command);

/// A counter of the kernel that wakes who reads it (eventfd(2)).
#[derive(Debug)]
pub(crate) struct Wake(OwnedFd);

impl Wake {
    /// A blocking one is for a reader that is io_uring: to it, `O_NONBLOCK` means "fail rather than wait".
    pub(crate) fn new(blocking: bool) -> io::Result<Wake> {
        let flags = libc::EFD_CLOEXEC | if blocking { 0 } else { libc::EFD_NONBLOCK };
        // SAFETY: no pointer is passed.
        let fd = unsafe { libc::eventfd(0, flags) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was made just now and nobody else has it.
        Ok(Wake(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Makes it readable. It never waits: only a counter of 2^64 − 2 unread wake-ups would.
    pub(crate) fn wake(&self) {
        let one = 1u64.to_ne_bytes();
        // SAFETY: `one` is 8 readable bytes for the length of the call. The result does not matter: the only
        // failure left is a full counter, and then it is readable anyway.
        unsafe { libc::write(self.0.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    /// Makes it unreadable. Only for one that does not block, or is readable.
    fn clear(&self) {
        let mut count = [0u8; 8];
        // SAFETY: `count` is 8 writable bytes for the length of the call. EAGAIN means that it was clear.
        unsafe { libc::read(self.0.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What a worker says.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "an event is copied through a fixed queue; a box would be allocated on the worker"
)]
pub(crate) enum Said {
    Event(Event),
    /// A session has come from another worker, or not. What that one said of it before is in its queue.
    Moved(Box<Move>),
}

/// What the control plane and one worker share.
#[derive(Debug)]
pub(crate) struct Channel {
    commands: ArrayQueue<Command>,
    events: ArrayQueue<Said>,
    /// Moves of sessions that this worker is to bring a step further.
    moves: ArrayQueue<Box<Move>>,
    /// The worker waits, or is about to, and wants to be woken for a command.
    sleeping: AtomicBool,
    /// The worker found `events` full and wants to be woken when there is room.
    starved: AtomicBool,
    /// The worker is to turn its loop once more.
    nudged: AtomicBool,
    stop: AtomicBool,
    ended: AtomicBool,
    /// The worker is to panic.
    #[cfg(test)]
    pub(crate) fails: AtomicBool,
    wake: Wake,
    /// One for all workers, read by the control plane.
    events_wake: Arc<Wake>,
}

impl Channel {
    pub(crate) fn new(commands: usize, events: usize, events_wake: Arc<Wake>) -> io::Result<Channel> {
        Ok(Channel {
            commands: ArrayQueue::new(commands),
            events: ArrayQueue::new(events),
            moves: ArrayQueue::new(MOVES_MAX),
            sleeping: AtomicBool::new(false),
            starved: AtomicBool::new(false),
            nudged: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            #[cfg(test)]
            fails: AtomicBool::new(false),
            wake: Wake::new(true)?,
            events_wake,
        })
    }

    /// The control plane's side.
    #[expect(clippy::result_large_err, reason = "as `Engine::send`")]
    pub(crate) fn send(&self, command: Command) -> Result<(), Full> {
        self.commands.push(command).map_err(Full)?;
        self.wake_sleeper();
        Ok(())
    }

    /// Anybody's side: how many commands and events wait.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        (self.commands.len(), self.events.len())
    }

    /// Anybody's side: hands a move on. There is room for all that can be under way.
    pub(crate) fn hand_on(&self, step: Box<Move>) {
        let pushed = self.moves.push(step);
        debug_assert!(pushed.is_ok(), "more moves than there can be");
        self.wake_sleeper();
    }

    /// The worker's side: the next move that it is to bring further.
    pub(crate) fn next_move(&self) -> Option<Box<Move>> {
        self.moves.pop()
    }

    /// The control plane's side: the worker ends after what it is doing now.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.wake_sleeper();
    }

    /// The control plane's side: the worker turns its loop once after this, though there is nothing to do.
    pub(crate) fn nudge(&self) {
        self.nudged.store(true, Ordering::Relaxed);
        self.wake_sleeper();
    }

    fn wake_sleeper(&self) {
        // Either the worker sees what we stored, or we see that it sleeps: the same fence stands in `may_sleep`.
        fence(Ordering::SeqCst);
        if self.sleeping.load(Ordering::Relaxed) && self.sleeping.swap(false, Ordering::Relaxed) {
            self.wake.wake();
        }
    }

    /// The worker's side: its sockets are closed. Who is woken by this sees it, though the thread may live a little longer.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.wake_reader();
    }

    /// The control plane's side.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// The worker's side: takes note of a wake-up, where the descriptor is readable.
    pub(crate) fn woken(&self) {
        // It does not block: there is something to read, and nobody else reads.
        self.wake.clear();
    }

    /// What the worker reads, or its ring does, to be woken.
    pub(crate) fn wake_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// The worker's side: the next command.
    pub(crate) fn command(&self) -> Option<Command> {
        self.commands.pop()
    }

    /// The worker's side: whether it has to end.
    pub(crate) fn stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// The worker's side: asks for a wake-up; `false` where there is something to do already.
    pub(crate) fn may_sleep(&self) -> bool {
        self.sleeping.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let nudged = self.nudged.load(Ordering::Relaxed) && self.nudged.swap(false, Ordering::Relaxed);
        !nudged && self.commands.is_empty() && self.moves.is_empty() && !self.stop.load(Ordering::Relaxed)
    }

    /// The worker's side: it is awake and looks at the queues by itself.
    pub(crate) fn awake(&self) {
        self.sleeping.store(false, Ordering::Relaxed);
    }

    /// The worker's side: whether an event can be pushed. If not, a wake-up comes when it can.
    pub(crate) fn room_for_event(&self) -> bool {
        if !self.events.is_full() {
            return true;
        }
        self.starved.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        !self.events.is_full()
    }

    /// The worker's side, after [`Channel::room_for_event`]: only the worker pushes, so the room is still there.
    pub(crate) fn push_event(&self, said: Said) {
        let pushed = self.events.push(said);
        debug_assert!(pushed.is_ok(), "there was room for the event");
    }

    /// The worker's side: events were pushed.
    pub(crate) fn wake_reader(&self) {
        self.events_wake.wake();
    }

    fn try_recv(&self) -> Option<Said> {
        let event = self.events.pop()?;
        fence(Ordering::SeqCst);
        if self.starved.load(Ordering::Relaxed) && self.starved.swap(false, Ordering::Relaxed) {
            self.wake.wake();
        }
        Some(event)
    }
}

/// Events of all workers, for one reader.
///
/// To wait: poll [`Events::as_fd`] until it is readable, [`Events::clear`] it, and only then read with
/// [`Events::try_recv`] until it is empty. An event that comes in between makes it readable again.
#[derive(Debug)]
pub struct Events {
    channels: Vec<Arc<Channel>>,
    wake: Arc<Wake>,
    /// The worker that is asked first next time: none waits for the others.
    next: AtomicUsize,
    /// Events of each worker that come before all others: what it said before a session went from it.
    owed: Box<[AtomicUsize]>,
    /// Moves that have not been told.
    under_way: AtomicUsize,
}

impl Events {
    pub(crate) fn new(channels: Vec<Arc<Channel>>, wake: Arc<Wake>) -> Events {
        Events {
            owed: channels.iter().map(|_| AtomicUsize::new(0)).collect(),
            channels,
            wake,
            next: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
        }
    }

    /// Begins a move.
    pub(crate) fn begin(&self, session: SessionId, from: usize, to: usize) -> Result<(), MoveError> {
        if from == to {
            return Err(MoveError::Same);
        }
        let more = |count: usize| (count < MOVES_MAX).then_some(count + 1);
        let begun = self.under_way.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        begun.map_err(|_| MoveError::TooMany)?;
        self.channels[to].hand_on(Box::new(Move::new(session, from, to)));
        Ok(())
    }

    /// The next event, with the index of its worker. Those of one worker come in their order, and those of a session in theirs, though
    /// it moves. Never waits.
    pub fn try_recv(&self) -> Option<(usize, Event)> {
        for (worker, owed) in self.owed.iter().enumerate() {
            let left = owed.load(Ordering::Relaxed);
            if left > 0 {
                owed.store(left - 1, Ordering::Relaxed);
                if let Some(event) = self.take(worker) {
                    return Some((worker, event));
                }
                owed.store(0, Ordering::Relaxed);
            }
        }
        let count = self.channels.len();
        let first = self.next.load(Ordering::Relaxed);
        (0..count).find_map(|step| {
            let worker = (first + step) % count;
            let event = self.take(worker)?;
            self.next.store((worker + 1) % count, Ordering::Relaxed);
            Some((worker, event))
        })
    }

    fn take(&self, worker: usize) -> Option<Event> {
        match self.channels[worker].try_recv()? {
            Said::Event(event) => Some(event),
            Said::Moved(step) => {
                // What the others have said until now they said before it came.
                for (channel, owed) in self.channels.iter().zip(&self.owed) {
                    owed.store(channel.events.len(), Ordering::Relaxed);
                }
                self.owed[worker].store(0, Ordering::Relaxed);
                self.under_way.fetch_sub(1, Ordering::Relaxed);
                Some(Event::Moved {
                    session: step.session,
                    moved: step.stage == Stage::Told(true),
                })
            }
        }
    }

    /// Makes the descriptor unreadable until the next event. To be called before reading, not after.
    pub fn clear(&self) {
        self.wake.clear();
    }
}

impl AsFd for Events {
    /// Readable when events have come since [`Events::clear`], or a worker has ended
    /// ([`Engine::is_running`](crate::Engine::is_running)).
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(session: u64) -> Command {
        Command::End {
            session: SessionId(session),
        }
    }

    fn ended(session: u64) -> Event {
        Event::Ended {
            session: SessionId(session),
        }
    }

    fn wake() -> Arc<Wake> {
        Arc::new(Wake::new(false).expect("an eventfd"))
    }

    /// Whether a reader would be let go.
    fn readable(fd: impl AsFd) -> bool {
        let mut poll = libc::pollfd {
            fd: fd.as_fd().as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one writable `pollfd` for the length of the call.
        unsafe { libc::poll(&mut poll, 1, 0) == 1 }
    }

    #[test]
    fn a_full_queue_gives_the_command_back() {
        let channel = Channel::new(2, 1, wake()).expect("a channel");
        assert!(channel.send(end(1)).is_ok());
        assert!(channel.send(end(2)).is_ok());
        let Err(Full(back)) = channel.send(end(3)) else {
            panic!("the queue holds two");
        };
        assert_eq!(back, end(3));
        assert_eq!(channel.waiting(), (2, 0));
        assert_eq!(channel.command(), Some(end(1)));
        assert!(channel.send(back).is_ok());
        assert_eq!(channel.command(), Some(end(2)));
        assert_eq!(channel.command(), Some(end(3)));
        assert_eq!(channel.command(), None);
    }

    #[test]
    fn only_a_sleeper_is_woken() {
        let channel = Channel::new(8, 1, wake()).expect("a channel");
        assert!(channel.send(end(1)).is_ok());
        assert!(!readable(&channel.wake), "it is awake");
        assert!(!channel.may_sleep(), "there is a command");
        channel.awake();
        assert_eq!(channel.command(), Some(end(1)));
        assert!(channel.may_sleep());
        assert!(channel.send(end(2)).is_ok());
        assert!(readable(&channel.wake));
    }

    #[test]
    fn a_stop_wakes_too() {
        let channel = Channel::new(8, 1, wake()).expect("a channel");
        assert!(channel.may_sleep());
        channel.stop();
        assert!(readable(&channel.wake));
        assert!(channel.stopping());
        assert!(!channel.may_sleep());
    }

    #[test]
    fn a_nudge_is_good_for_one_turn_whether_it_finds_the_worker_asleep_or_not() {
        let channel = Channel::new(8, 1, wake()).expect("a channel");
        channel.nudge();
        assert!(!readable(&channel.wake), "it is awake");
        assert!(!channel.may_sleep());
        channel.awake();
        assert!(channel.may_sleep());
        channel.nudge();
        assert!(readable(&channel.wake));
    }

    #[test]
    fn a_full_queue_of_events_asks_for_a_wake_up() {
        let wake = wake();
        let channel = Arc::new(Channel::new(1, 2, wake.clone()).expect("a channel"));
        let events = Events::new(vec![channel.clone()], wake);
        for session in [1, 2] {
            assert!(channel.room_for_event());
            channel.push_event(Said::Event(ended(session)));
        }
        assert!(!channel.room_for_event());
        assert!(!readable(&channel.wake));
        assert_eq!(events.try_recv(), Some((0, ended(1))));
        assert!(readable(&channel.wake), "there is room again");
        assert!(channel.room_for_event());
    }

    #[test]
    fn no_worker_waits_for_the_others() {
        let wake = wake();
        let channels: Vec<_> = (0..3)
            .map(|_| Arc::new(Channel::new(1, 4, wake.clone()).expect("a channel")))
            .collect();
        let events = Events::new(channels.clone(), wake);
        assert!(!readable(&events));
        for (worker, channel) in channels.iter().enumerate() {
            channel.push_event(Said::Event(ended(worker as u64)));
            channel.push_event(Said::Event(ended(worker as u64 + 10)));
            channel.wake_reader();
        }
        assert!(readable(&events));
        events.clear();
        assert!(!readable(&events));
        let order: Vec<usize> = std::iter::from_fn(|| events.try_recv())
            .map(|(worker, _)| worker)
            .collect();
        assert_eq!(order, [0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn what_was_said_of_a_session_before_it_moved_comes_first() {
        let wake = wake();
        let channels: Vec<_> = (0..3)
            .map(|_| Arc::new(Channel::new(1, 8, wake.clone()).expect("a channel")))
            .collect();
        let events = Events::new(channels.clone(), wake);
        assert_eq!(events.begin(SessionId(1), 1, 1), Err(MoveError::Same));
        for _ in 0..MOVES_MAX {
            assert_eq!(events.begin(SessionId(1), 0, 2), Ok(()));
        }
        assert_eq!(events.begin(SessionId(1), 0, 2), Err(MoveError::TooMany));
        let mut step = channels[2].next_move().expect("the new worker is asked first");
        assert_eq!((step.stage, step.from, step.to), (Stage::Room, 0, 2));
        for session in [1, 2, 3] {
            channels[0].push_event(Said::Event(ended(session)));
        }
        step.stage = Stage::Told(true);
        channels[2].push_event(Said::Moved(step));
        channels[2].push_event(Said::Event(ended(4)));
        // The new worker is asked first.
        events.next.store(2, Ordering::Relaxed);
        let told: Vec<_> = std::iter::from_fn(|| events.try_recv()).collect();
        let moved = Event::Moved {
            session: SessionId(1),
            moved: true,
        };
        let wanted = [(2, moved), (0, ended(1)), (0, ended(2)), (0, ended(3)), (2, ended(4))];
        assert_eq!(told, wanted);
        assert_eq!(events.begin(SessionId(1), 0, 2), Ok(()), "one is over");
    }
}
