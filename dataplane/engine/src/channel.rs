//! Bounded queues between the control plane and the workers, with wake-ups that cost nothing while the other side is awake.
//!
//! A worker comes before whoever else is on its core, so it must never wait for anybody who may be interrupted there, not even for the few
//! instructions in which a command is written: that would not end. Its ends of the queues are wait-free, and where workers hand moves to each other
//! none waits for one that is interrupted.

mod handed;

use std::io;
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrayvec::ArrayVec;
use media::command::{Command, Event, SessionId};
use rtrb::{Consumer, Producer, RingBuffer};

use crate::moving::{MOVES_MAX, Move, MoveError, Stage};
use handed::Handed;

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
    /// Locked among those who send.
    commands: Mutex<Producer<Command>>,
    commands_max: usize,
    /// Moves of sessions that this worker is to bring a step further.
    moves: Handed,
    /// The worker waits, or is about to, and wants to be woken for a command.
    sleeping: AtomicBool,
    /// The worker found the queue of events full and wants to be woken when there is room.
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

/// The worker's side of it, which nobody else has.
#[derive(Debug)]
pub(crate) struct WorkerSide {
    channel: Arc<Channel>,
    commands: Consumer<Command>,
    events: Producer<Said>,
    /// Events that were pushed.
    said: u64,
}

/// The side of who reads the events.
#[derive(Debug)]
pub(crate) struct ReaderSide {
    channel: Arc<Channel>,
    events: Consumer<Said>,
    /// Events that were read.
    read: u64,
    /// The next one is read once so many of that worker's are: a session has come from there, and what was said of it there comes first.
    after: Option<(usize, u64)>,
}

/// Room for so many commands and events.
pub(crate) fn channel(commands: usize, events: usize, events_wake: Arc<Wake>) -> io::Result<(WorkerSide, ReaderSide)> {
    let (commands_in, commands_out) = RingBuffer::new(commands);
    let (events_in, events_out) = RingBuffer::new(events);
    let channel = Arc::new(Channel {
        commands: Mutex::new(commands_in),
        commands_max: commands,
        moves: Handed::default(),
        sleeping: AtomicBool::new(false),
        starved: AtomicBool::new(false),
        nudged: AtomicBool::new(false),
        stop: AtomicBool::new(false),
        ended: AtomicBool::new(false),
        #[cfg(test)]
        fails: AtomicBool::new(false),
        wake: Wake::new(true)?,
        events_wake,
    });
    let worker = WorkerSide {
        channel: channel.clone(),
        commands: commands_out,
        events: events_in,
        said: 0,
    };
    let reader = ReaderSide {
        channel,
        events: events_out,
        read: 0,
        after: None,
    };
    Ok((worker, reader))
}

impl Channel {
    /// The control plane's side.
    #[expect(clippy::result_large_err, reason = "as `Engine::send`")]
    pub(crate) fn send(&self, command: Command) -> Result<(), Full> {
        let pushed = locked(&self.commands).push(command);
        pushed.map_err(|rtrb::PushError::Full(command)| Full(command))?;
        self.wake_sleeper();
        Ok(())
    }

    /// The control plane's side: how many commands wait.
    pub(crate) fn commands_waiting(&self) -> usize {
        self.commands_max - locked(&self.commands).slots()
    }

    /// Anybody's side: hands a move on.
    pub(crate) fn hand_on(&self, step: Box<Move>) {
        self.moves.push(step);
        self.wake_sleeper();
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

    /// The worker's side: whether it has to end.
    pub(crate) fn stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// The worker's side: it is awake and looks at the queues by itself.
    pub(crate) fn awake(&self) {
        self.sleeping.store(false, Ordering::Relaxed);
    }

    /// The worker's side: events were pushed.
    pub(crate) fn wake_reader(&self) {
        self.events_wake.wake();
    }
}

impl WorkerSide {
    /// For who is to send, or to wake.
    pub(crate) fn shared(&self) -> Arc<Channel> {
        self.channel.clone()
    }

    /// The next command.
    pub(crate) fn command(&mut self) -> Option<Command> {
        self.commands.pop().ok()
    }

    /// The moves that it is to bring further, in their order.
    pub(crate) fn moves(&self) -> ArrayVec<Box<Move>, MOVES_MAX> {
        self.moves.take()
    }

    /// Asks for a wake-up; `false` where there is something to do already. What is being handed over at this moment comes with a wake-up.
    pub(crate) fn may_sleep(&self) -> bool {
        self.sleeping.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let nudged = self.nudged.load(Ordering::Relaxed) && self.nudged.swap(false, Ordering::Relaxed);
        !nudged && self.commands.is_empty() && self.moves.is_empty() && !self.stop.load(Ordering::Relaxed)
    }

    /// Whether an event can be pushed. If not, a wake-up comes when it can.
    pub(crate) fn room_for_event(&self) -> bool {
        if !self.events.is_full() {
            return true;
        }
        self.starved.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        !self.events.is_full()
    }

    /// After [`WorkerSide::room_for_event`]: only the worker pushes, so the room is still there.
    pub(crate) fn push_event(&mut self, said: Said) {
        let pushed = self.events.push(said);
        debug_assert!(pushed.is_ok(), "there was room for the event");
        self.said += 1;
    }

    /// How many events were pushed until now.
    pub(crate) fn said(&self) -> u64 {
        self.said
    }
}

impl Deref for WorkerSide {
    type Target = Channel;

    fn deref(&self) -> &Channel {
        &self.channel
    }
}

impl ReaderSide {
    fn try_recv(&mut self) -> Option<Said> {
        let event = self.events.pop().ok()?;
        self.read += 1;
        fence(Ordering::SeqCst);
        if self.channel.starved.load(Ordering::Relaxed) && self.channel.starved.swap(false, Ordering::Relaxed) {
            self.channel.wake.wake();
        }
        Some(event)
    }
}

/// No thread panics while it has one of our locks; and if one did, what it guards is whole.
fn locked<T>(it: &Mutex<T>) -> MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Events of all workers, for one reader.
///
/// To wait: poll [`Events::as_fd`] until it is readable, [`Events::clear`] it, and only then read with
/// [`Events::try_recv`] until it is empty. An event that comes in between makes it readable again.
#[derive(Debug)]
pub struct Events {
    channels: Vec<Arc<Channel>>,
    reader: Mutex<Reader>,
    wake: Arc<Wake>,
    /// Moves that have not been told.
    under_way: AtomicUsize,
}

#[derive(Debug)]
struct Reader {
    sides: Vec<ReaderSide>,
    /// The worker that is asked first next time: none waits for the others.
    next: usize,
}

impl Events {
    pub(crate) fn new(sides: Vec<ReaderSide>, wake: Arc<Wake>) -> Events {
        Events {
            channels: sides.iter().map(|side| side.channel.clone()).collect(),
            reader: Mutex::new(Reader { sides, next: 0 }),
            wake,
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

    /// How many events of a worker wait.
    pub(crate) fn waiting(&self, worker: usize) -> usize {
        locked(&self.reader).sides[worker].events.slots()
    }

    /// The next event, with the index of its worker. Those of one worker come in their order, and those of a session in theirs, though
    /// it moves. Never waits for a worker.
    pub fn try_recv(&self) -> Option<(usize, Event)> {
        let (worker, said) = locked(&self.reader).next()?;
        let event = match said {
            Said::Event(event) => event,
            Said::Moved(step) => {
                self.under_way.fetch_sub(1, Ordering::Relaxed);
                Event::Moved {
                    session: step.session,
                    moved: step.stage == Stage::Told(true),
                }
            }
        };
        Some((worker, event))
    }

    /// Makes the descriptor unreadable until the next event. To be called before reading, not after.
    pub fn clear(&self) {
        self.wake.clear();
    }
}

impl Reader {
    fn next(&mut self) -> Option<(usize, Said)> {
        let count = self.sides.len();
        let first = self.next;
        (0..count).find_map(|step| {
            let worker = (first + step) % count;
            if self.waits(worker) {
                return None;
            }
            let said = self.sides[worker].try_recv()?;
            self.sides[worker].after = match &said {
                Said::Event(_) => None,
                Said::Moved(step) => Some((step.from, step.said)),
            };
            self.next = (worker + 1) % count;
            Some((worker, said))
        })
    }

    /// Whom it waits for has something to be read: what was said there was said before the session came here. So no two wait for each other.
    fn waits(&self, worker: usize) -> bool {
        let after = self.sides[worker].after;
        after.is_some_and(|(other, said)| self.sides[other].read < said)
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
        let (mut channel, _reader) = channel(2, 1, wake()).expect("a channel");
        assert!(channel.send(end(1)).is_ok());
        assert!(channel.send(end(2)).is_ok());
        let Err(Full(back)) = channel.send(end(3)) else {
            panic!("the queue holds two");
        };
        assert_eq!(back, end(3));
        assert_eq!(channel.commands_waiting(), 2);
        assert_eq!(channel.command(), Some(end(1)));
        assert!(channel.send(back).is_ok());
        assert_eq!(channel.command(), Some(end(2)));
        assert_eq!(channel.command(), Some(end(3)));
        assert_eq!(channel.command(), None);
    }

    #[test]
    fn who_is_interrupted_while_it_sends_holds_up_no_worker() {
        let (mut channel, _reader) = channel(8, 1, wake()).expect("a channel");
        let shared = channel.shared();
        {
            let mut sender = locked(&shared.commands);
            let _half = sender.write_chunk_uninit(1).expect("there is room");
            assert_eq!(channel.command(), None);
            assert!(
                channel.may_sleep(),
                "or it would take the processor from who is to send the rest"
            );
        }
        assert!(shared.send(end(1)).is_ok());
        assert!(readable(&channel.wake));
        assert_eq!(channel.command(), Some(end(1)));
    }

    #[test]
    fn only_a_sleeper_is_woken() {
        let (mut channel, _reader) = channel(8, 1, wake()).expect("a channel");
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
        let (channel, _reader) = channel(8, 1, wake()).expect("a channel");
        assert!(channel.may_sleep());
        channel.stop();
        assert!(readable(&channel.wake));
        assert!(channel.stopping());
        assert!(!channel.may_sleep());
    }

    #[test]
    fn a_nudge_is_good_for_one_turn_whether_it_finds_the_worker_asleep_or_not() {
        let (channel, _reader) = channel(8, 1, wake()).expect("a channel");
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
        let (mut channel, reader) = channel(1, 2, wake.clone()).expect("a channel");
        let events = Events::new(vec![reader], wake);
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
        let sides = (0..3).map(|_| channel(1, 4, wake.clone()).expect("a channel"));
        let (mut channels, readers): (Vec<_>, Vec<_>) = sides.unzip();
        let events = Events::new(readers, wake);
        assert!(!readable(&events));
        for (worker, channel) in channels.iter_mut().enumerate() {
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
        let sides = (0..3).map(|_| channel(1, 8, wake.clone()).expect("a channel"));
        let (mut channels, readers): (Vec<_>, Vec<_>) = sides.unzip();
        let events = Events::new(readers, wake);
        assert_eq!(events.begin(SessionId(1), 1, 1), Err(MoveError::Same));
        for _ in 0..MOVES_MAX {
            assert_eq!(events.begin(SessionId(1), 0, 2), Ok(()));
        }
        assert_eq!(events.begin(SessionId(1), 0, 2), Err(MoveError::TooMany));
        let mut step = channels[2].moves().remove(0);
        assert_eq!((step.stage, step.from, step.to), (Stage::Room, 0, 2));
        for session in [1, 2, 3] {
            channels[0].push_event(Said::Event(ended(session)));
        }
        (step.stage, step.said) = (Stage::Told(true), channels[0].said());
        channels[2].push_event(Said::Moved(step));
        channels[2].push_event(Said::Event(ended(4)));
        // The new worker is asked first.
        locked(&events.reader).next = 2;
        let told: Vec<_> = std::iter::from_fn(|| events.try_recv()).collect();
        let moved = Event::Moved {
            session: SessionId(1),
            moved: true,
        };
        let wanted = [(2, moved), (0, ended(1)), (0, ended(2)), (0, ended(3)), (2, ended(4))];
        assert_eq!(told, wanted);
        assert_eq!(events.begin(SessionId(1), 0, 2), Ok(()), "one is over");
    }

    #[test]
    fn so_it_does_where_another_comes_to_where_it_was() {
        let wake = wake();
        let sides = (0..3).map(|_| channel(1, 8, wake.clone()).expect("a channel"));
        let (mut channels, readers): (Vec<_>, Vec<_>) = sides.unzip();
        let events = Events::new(readers, wake);
        let moved = |from: usize, to: usize, channels: &mut Vec<WorkerSide>| {
            assert_eq!(events.begin(SessionId(from as u64), from, to), Ok(()));
            let mut step = channels[to].moves().remove(0);
            (step.stage, step.said) = (Stage::Told(true), channels[from].said());
            channels[to].push_event(Said::Moved(step));
        };
        // One comes from 1 to 0, and then another, of which 0 has said something, goes from there to 2.
        channels[1].push_event(Said::Event(ended(10)));
        moved(1, 0, &mut channels);
        channels[0].push_event(Said::Event(ended(20)));
        moved(0, 2, &mut channels);
        channels[2].push_event(Said::Event(ended(21)));
        locked(&events.reader).next = 2;
        let told: Vec<_> = std::iter::from_fn(|| events.try_recv()).collect();
        let place = |wanted: &Event| told.iter().position(|(_, event)| event == wanted);
        assert_eq!(told.len(), 5);
        assert!(place(&ended(20)) < place(&ended(21)), "{told:?}");
    }

    /// Waits until it is woken, as a worker does.
    fn sleep(channel: &WorkerSide) {
        let mut poll = libc::pollfd {
            fd: channel.wake_fd().as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one writable `pollfd` for the length of the call.
        assert_eq!(unsafe { libc::poll(&mut poll, 1, 20_000) }, 1, "nobody has woken it");
        channel.woken();
    }

    #[test]
    fn no_wake_up_for_a_command_is_lost() {
        const COMMANDS: usize = 20_000;
        let (mut channel, _reader) = channel(1, 1, wake()).expect("a channel");
        let (shared, taken) = (channel.shared(), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..COMMANDS {
                    assert!(shared.send(end(number as u64)).is_ok());
                    // At once: so it meets the worker where that is about to sleep.
                    for waited in 0_u32.. {
                        if taken.load(Ordering::Acquire) > number {
                            break;
                        }
                        match waited % 1000 {
                            999 => std::thread::yield_now(),
                            _ => std::hint::spin_loop(),
                        }
                    }
                }
            });
            while taken.load(Ordering::Relaxed) < COMMANDS {
                if channel.may_sleep() {
                    sleep(&channel);
                }
                channel.awake();
                while let Some(command) = channel.command() {
                    assert_eq!(command, end(taken.load(Ordering::Relaxed) as u64));
                    taken.fetch_add(1, Ordering::Release);
                }
            }
        });
    }

    #[test]
    fn no_wake_up_for_room_is_lost() {
        const EVENTS: u64 = 20_000;
        let wake = wake();
        let (mut channel, reader) = channel(1, 1, wake.clone()).expect("a channel");
        let events = Events::new(vec![reader], wake);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..EVENTS {
                    let next = std::iter::from_fn(|| Some(events.try_recv())).find_map(|event| {
                        if event.is_none() {
                            std::thread::yield_now();
                        }
                        event
                    });
                    assert_eq!(next, Some((0, ended(number))));
                }
            });
            for number in 0..EVENTS {
                while !channel.room_for_event() {
                    sleep(&channel);
                }
                channel.push_event(Said::Event(ended(number)));
            }
        });
    }
}
