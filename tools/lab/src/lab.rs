//! Two network namespaces without names, joined by a veth: the load here, who carries it there. They, and all that was set in them,
//! end with the processes in them, however these end.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::{fs, mem};

use crate::cpu;
use crate::udp::End;

/// The address of whom the load goes through.
pub const THEIRS: Ipv4Addr = Ipv4Addr::new(10, 87, 0, 1);

/// The address of the load.
pub const OURS: Ipv4Addr = Ipv4Addr::new(10, 87, 0, 2);

/// RFC 863.
const DISCARD: u16 = 9;

/// Length of the addresses' network.
const PREFIX: u8 = 24;

/// How many times the receive path of the subject looks for packets in vain before it waits for a wake-up.
const LOOKS: i32 = 2;

/// How often that of the load looks, µs.
const LOAD_LOOKS_US: u32 = 50;

/// The two ends, and the cores that they run on.
#[derive(Debug)]
pub struct Lab {
    holder: Child,
    ours: String,
    theirs: String,
    subject_core: usize,
    load_core: usize,
    own_thread: bool,
}

impl Lab {
    /// This process moves into the load's namespace, and onto its core. `moderation_us`: how long the receive path of the
    /// subject's end gathers packets.
    ///
    /// # Errors
    /// Where the kernel refuses: it wants root, or CAP_SYS_ADMIN and CAP_NET_ADMIN.
    pub fn open(subject_core: usize, load_core: usize, moderation_us: u32) -> Result<Lab, String> {
        // SAFETY: no pointers.
        if unsafe { libc::geteuid() } != 0 {
            return Err("namespaces, a veth and AF_XDP are wanted: run this as root".to_owned());
        }
        let refused = |what: &str| {
            let what = what.to_owned();
            move |error: io::Error| format!("{what}: {error} (CAP_SYS_ADMIN and CAP_NET_ADMIN are wanted)")
        };
        pin(0, load_core)
            .and_then(|()| hurry(0))
            .map_err(refused(&format!("core {load_core}")))?;
        enter_new().map_err(refused("a network namespace"))?;
        let mut sleep = Command::new("sleep");
        sleep.arg("infinity").stdin(Stdio::null()).stdout(Stdio::null());
        // SAFETY: between fork and exec only system calls are made.
        unsafe { sleep.pre_exec(|| enter_new().and_then(|()| die_with_parent())) };
        let holder = sleep.spawn().map_err(refused("the second network namespace"))?;
        // Short, for the kernel's threads have 15 letters; and of this process, for another load may run, too.
        let number = base36(std::process::id());
        let lab = Lab {
            ours: format!("l{number}"),
            theirs: format!("s{number}"),
            holder,
            subject_core,
            load_core,
            own_thread: false,
        };
        lab.join(moderation_us)?;
        Ok(lab)
    }

    fn join(&self, moderation_us: u32) -> Result<(), String> {
        let (ours, theirs) = (self.ours.as_str(), self.theirs.as_str());
        let holder = self.holder.id().to_string();
        ip(
            &[
                "link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", &holder,
            ],
            None,
        )?;
        for (name, ip_of, there) in [(ours, OURS, None), (theirs, THEIRS, Some(self))] {
            let place = there
                .map_or(PathBuf::from("/"), Lab::root)
                .join("sys/class/net")
                .join(name);
            ip(&["addr", "add", &format!("{ip_of}/{PREFIX}"), "dev", name], there)?;
            // Without GRO here, or with TSO at the other end, a veth does without NAPI: packets are received in the sender's time.
            self.set_features(name, there.is_some())
                .map_err(|error| format!("GRO and TSO of {name}: {error}"))?;
            let set = |file: &str, value: String| {
                let file = place.join(file);
                fs::write(&file, value).map_err(|error| format!("{}: {error}", file.display()))
            };
            // The subject's end works as a network card's does. The load's looks for packets by a timer of its core, without end.
            let (gather_us, looks) = match there {
                Some(_) => (moderation_us, LOOKS),
                None => (LOAD_LOOKS_US, i32::MAX),
            };
            set("gro_flush_timeout", (gather_us * 1000).to_string())?;
            set("napi_defer_hard_irqs", looks.to_string())?;
            ip(&["link", "set", "lo", "up"], there)?;
            ip(&["link", "set", name, "up"], there)?;
            set("threaded", u8::from(there.is_some()).to_string())?;
        }
        // So that no packet waits for an address, nor is lost to it.
        let (our_mac, their_mac) = (self.mac(false)?, self.mac(true)?);
        let neighbour = |address: Ipv4Addr, mac: [u8; 6], name: &str, there| {
            let mac = mac.map(|byte| format!("{byte:02x}")).join(":");
            let address = address.to_string();
            ip(
                &[
                    "neigh",
                    "replace",
                    &address,
                    "lladdr",
                    &mac,
                    "dev",
                    name,
                    "nud",
                    "permanent",
                ],
                there,
            )
        };
        neighbour(THEIRS, their_mac, ours, None)?;
        neighbour(OURS, our_mac, theirs, Some(self))?;
        self.pin_receive_paths();
        Ok(())
    }

    /// What the other end sends waits in a queue of so many packets where ours has no room, as before a network card (Linux 6.16; an older one
    /// throws away what comes above 256).
    ///
    /// # Errors
    /// Where it cannot be set.
    pub fn give_queue(&self, packets: u32) -> Result<(), String> {
        let packets = packets.to_string();
        let words = [
            "qdisc",
            "replace",
            "dev",
            &self.theirs,
            "root",
            "pfifo",
            "limit",
            &packets,
        ];
        tool("tc", &words, Some(self))
    }

    /// Our end, too, receives by a thread of the kernel, on our core and as much in a hurry as this process: for a tool that sleeps, and has others on its
    /// core who might keep the kernel's own time for it waiting.
    ///
    /// # Errors
    /// Where it cannot be set.
    pub fn receive_by_thread(&mut self) -> Result<(), String> {
        let file = format!("/sys/class/net/{}/threaded", self.ours);
        fs::write(&file, "1").map_err(|error| format!("{file}: {error}"))?;
        self.own_thread = true;
        self.pin_receive_paths();
        Ok(())
    }

    /// Puts each end's receive path on its core. To be called again once a program is on an interface: it has a new one then.
    pub fn pin_receive_paths(&self) {
        for thread in self.receive_threads() {
            // One that has just ended needs no core.
            let _ = pin(thread as i32, self.subject_core).and_then(|()| hurry(thread as i32));
        }
        if self.own_thread {
            for thread in cpu::napi_threads(&self.ours) {
                let _ = pin(thread as i32, self.load_core).and_then(|()| hurry(thread as i32));
            }
        }
        // Otherwise the load's has no thread: it would have to wait for the load. Its timer stays on the core on which a packet came first: this one.
        let knock = || UdpSocket::bind((THEIRS, 0)).and_then(|socket| socket.send_to(b"knock", (OURS, DISCARD)));
        let _ = self.there(knock);
    }

    /// The threads of the kernel that receive for the subject.
    pub fn receive_threads(&self) -> Vec<u32> {
        cpu::napi_threads(&self.theirs)
    }

    /// Makes the command run there: in that namespace, on that core, before everybody else on it, and not longer than this process.
    ///
    /// # Errors
    /// Where the namespace is gone.
    pub fn place(&self, command: &mut Command) -> io::Result<()> {
        let core = self.subject_core;
        self.put(command, c"-20", move || pin(0, core).and_then(|()| hurry(0)))
    }

    /// The same for a service, whose threads are scheduled among each other as it asks itself. `anywhere`: on any core, and after the load where
    /// that is.
    ///
    /// # Errors
    /// Where the namespace is gone.
    pub fn place_service(&self, command: &mut Command, anywhere: bool) -> io::Result<()> {
        let core = self.subject_core;
        match anywhere {
            true => self.put(command, c"-10", || unpin(0).and_then(|()| relax(0))),
            false => self.put(command, c"-20", move || pin(0, core).and_then(|()| relax(0))),
        }
    }

    /// The threads of this process leave the subject's core to those of them whose names begin so.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn leave_core_to(&self, process: u32, names: &str) -> io::Result<()> {
        let others = |name: &str| !name.starts_with(names);
        threads(process, others)?
            .into_iter()
            .try_for_each(|thread| pin_to(thread, |core| core != self.subject_core))
    }

    /// The threads of this process whose names begin so come before others on their core. A service asks for that itself, but may not have it where
    /// even root cannot raise RLIMIT_NICE (CAP_SYS_RESOURCE), and nobody who starts it has.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn let_hurry(&self, process: u32, names: &str) -> io::Result<()> {
        let threads = threads(process, |name| name.starts_with(names))?;
        match threads.is_empty() {
            true => Err(io::Error::other(format!("no thread's name begins with {names}"))),
            false => threads.into_iter().try_for_each(hurry),
        }
    }

    fn put(
        &self,
        command: &mut Command,
        group: &'static CStr,
        schedule: impl Fn() -> io::Result<()> + Send + Sync + 'static,
    ) -> io::Result<()> {
        let namespace = |kind: &str| File::open(format!("/proc/{}/ns/{kind}", self.holder.id()));
        let (net, mnt) = (namespace("net")?, namespace("mnt")?);
        // SAFETY: between fork and exec only system calls are made.
        unsafe {
            command.pre_exec(move || {
                set_namespace(&net)?;
                set_namespace(&mnt)?;
                own_session(group)?;
                schedule()?;
                die_with_parent()
            });
        }
        Ok(())
    }

    /// The index of our end.
    ///
    /// # Errors
    /// Where it is gone.
    pub fn interface(&self) -> Result<u32, String> {
        index(Path::new("/"), &self.ours)
    }

    /// The index of the other end, in its namespace.
    ///
    /// # Errors
    /// Where it is gone.
    pub fn other_interface(&self) -> Result<u32, String> {
        index(&self.root(), &self.theirs)
    }

    /// Our end.
    ///
    /// # Errors
    /// Where it is gone.
    pub fn ours(&self) -> Result<End, String> {
        Ok(End {
            mac: self.mac(false)?,
            ip: OURS,
        })
    }

    /// The other end.
    ///
    /// # Errors
    /// Where it is gone.
    pub fn theirs(&self) -> Result<End, String> {
        Ok(End {
            mac: self.mac(true)?,
            ip: THEIRS,
        })
    }

    /// The core of whom the load goes through.
    pub fn subject_core(&self) -> usize {
        self.subject_core
    }

    /// Packets that did not get into the receive queue of the load's end, and of the other one.
    pub fn overruns(&self) -> (u64, u64) {
        // A veth counts them at the end that sends.
        let dropped = |root: &Path, name: &str| {
            let file = root.join("sys/class/net").join(name).join("statistics/tx_dropped");
            let text = fs::read_to_string(file).unwrap_or_default();
            text.trim().parse().unwrap_or(0)
        };
        (dropped(&self.root(), &self.theirs), dropped(Path::new("/"), &self.ours))
    }

    /// Does it in the other namespace.
    ///
    /// # Errors
    /// Where the namespace is gone.
    pub fn there<T>(&self, work: impl FnOnce() -> T) -> io::Result<T> {
        let here = File::open("/proc/thread-self/ns/net")?;
        set_namespace(&File::open(format!("/proc/{}/ns/net", self.holder.id()))?)?;
        let result = work();
        set_namespace(&here)?;
        Ok(result)
    }

    /// Its files, as the other namespace sees them.
    fn root(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.holder.id()))
    }

    fn mac(&self, there: bool) -> Result<[u8; 6], String> {
        let (root, name) = match there {
            true => (self.root(), &self.theirs),
            false => (PathBuf::from("/"), &self.ours),
        };
        let file = root.join("sys/class/net").join(name).join("address");
        let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let mut mac = [0; 6];
        for (byte, part) in mac.iter_mut().zip(text.trim().split(':')) {
            *byte = u8::from_str_radix(part, 16).map_err(|error| format!("{}: {error}", file.display()))?;
        }
        Ok(mac)
    }

    fn set_features(&self, name: &str, there: bool) -> io::Result<()> {
        match there {
            true => self.there(|| set_features(name))?,
            false => set_features(name),
        }
    }
}

fn base36(mut number: u32) -> String {
    let mut text = Vec::new();
    while number > 0 {
        text.push(char::from_digit(number % 36, 36).unwrap_or('0'));
        number /= 36;
    }
    text.iter().rev().collect()
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// A network namespace of its own, and a /sys that shows it.
fn enter_new() -> io::Result<()> {
    // SAFETY: no pointers but to strings that end with 0.
    unsafe {
        check(libc::unshare(libc::CLONE_NEWNET | libc::CLONE_NEWNS))?;
        let (none, nothing) = (c"none".as_ptr(), std::ptr::null());
        let private = libc::MS_REC | libc::MS_PRIVATE;
        check(libc::mount(none, c"/".as_ptr(), nothing, private, nothing.cast()))?;
        check(libc::mount(
            none,
            c"/sys".as_ptr(),
            c"sysfs".as_ptr(),
            0,
            nothing.cast(),
        ))
    }
}

fn set_namespace(of: &File) -> io::Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::setns(of.as_raw_fd(), 0) })
}

fn die_with_parent() -> io::Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) })
}

/// 0: this thread.
fn pin(thread: i32, core: usize) -> io::Result<()> {
    pin_to(thread, |other| other == core)
}

/// On all cores that there are.
fn unpin(thread: i32) -> io::Result<()> {
    pin_to(thread, |_| true)
}

fn pin_to(thread: i32, wanted: impl Fn(usize) -> bool) -> io::Result<()> {
    // SAFETY: all bits zero is a set of no cores; the kernel reads so many bytes of it, and leaves out those that are not there.
    unsafe {
        let mut set: libc::cpu_set_t = mem::zeroed();
        for core in (0..libc::CPU_SETSIZE as usize).filter(|core| wanted(*core)) {
            libc::CPU_SET(core, &mut set);
        }
        check(libc::sched_setaffinity(thread, size_of_val(&set), &raw const set))
    }
}

/// Runs this program again with the same words, in a session of its own, and gives its exit status; `None`: this is that one.
///
/// A nice value counts only within a session where the kernel groups processes by it (sched(7), "The autogroup feature").
///
/// # Errors
/// Where it does not start.
pub fn in_own_session() -> Result<Option<ExitCode>, String> {
    const MARK: &str = "BATON_LAB_SESSION";
    if std::env::var_os(MARK).is_some() {
        return Ok(None);
    }
    let again = || -> io::Result<ExitStatus> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(std::env::args_os().skip(1))
            .env(MARK, "1")
            .stdin(Stdio::null());
        // SAFETY: between fork and exec only system calls are made.
        unsafe { command.pre_exec(|| own_session(c"-20").and_then(|()| die_with_parent())) };
        command.status()
    };
    let status = again().map_err(|error| format!("this program in a session of its own: {error}"))?;
    Ok(Some(ExitCode::from(status.code().map_or(2, |code| code as u8))))
}

/// `nice`: of the whole session among others.
fn own_session(nice: &CStr) -> io::Result<()> {
    // SAFETY: no pointers but to bytes that are there.
    unsafe {
        check(libc::setsid())?;
        let file = libc::open(c"/proc/self/autogroup".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        // Not every kernel has it.
        if file >= 0 {
            libc::write(file, nice.as_ptr().cast(), nice.count_bytes());
            libc::close(file);
        }
    }
    Ok(())
}

/// The threads of a process with such names.
fn threads(process: u32, wanted: impl Fn(&str) -> bool) -> io::Result<Vec<i32>> {
    let all = fs::read_dir(format!("/proc/{process}/task"))?.flatten();
    let wanted = all.filter(|thread| wanted(&fs::read_to_string(thread.path().join("comm")).unwrap_or_default()));
    Ok(wanted
        .filter_map(|thread| thread.file_name().to_str()?.parse().ok())
        .collect())
}

/// Whoever else is on the core waits for it; and as it shares the core with the receive path that feeds it, the two of them take turns
/// quickly, or the one's packets would lie while the other has its time (sched(7), sched_setattr(2)). 0: this thread.
fn hurry(thread: i32) -> io::Result<()> {
    schedule(thread, -20, 100_000)
}

/// As everybody is by default.
fn relax(thread: i32) -> io::Result<()> {
    schedule(thread, 0, 0)
}

fn schedule(thread: i32, nice: i32, slice_ns: u64) -> io::Result<()> {
    let attributes = libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: libc::SCHED_OTHER as u32,
        sched_flags: 0,
        sched_nice: nice,
        sched_priority: 0,
        sched_runtime: slice_ns,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: the kernel reads `size` bytes.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, thread, &raw const attributes, 0) };
    check(result as i32)
}

/// ethtool(8)'s `-K NAME gro on tso off`.
fn set_features(name: &str) -> io::Result<()> {
    const SET_GRO: u32 = 0x2c;
    const SET_TSO: u32 = 0x1f;
    // SAFETY: no pointers.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    check(socket)?;
    // SAFETY: it is new, and ours.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    // `struct ethtool_value`
    for mut wanted in [[SET_GRO, 1], [SET_TSO, 0]] {
        // SAFETY: all bits zero is a request about an interface without a name.
        let mut request: libc::ifreq = unsafe { mem::zeroed() };
        for (to, from) in request.ifr_name.iter_mut().zip(CString::new(name)?.as_bytes()) {
            *to = *from as libc::c_char;
        }
        request.ifr_ifru.ifru_data = wanted.as_mut_ptr().cast();
        // SAFETY: the request and what it points to live for the length of the call.
        check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL, &raw mut request) })?;
    }
    Ok(())
}

fn check(result: i32) -> io::Result<()> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

fn index(root: &Path, name: &str) -> Result<u32, String> {
    let file = root.join("sys/class/net").join(name).join("ifindex");
    let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    text.trim()
        .parse()
        .map_err(|error| format!("{}: {error}", file.display()))
}

/// ip(8) of iproute2.
fn ip(words: &[&str], there: Option<&Lab>) -> Result<(), String> {
    tool("ip", words, there)
}

fn tool(program: &str, words: &[&str], there: Option<&Lab>) -> Result<(), String> {
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null());
    if let Some(lab) = there {
        lab.place(&mut command).map_err(|error| error.to_string())?;
    }
    let line = || format!("{program} {}", words.join(" "));
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!(
            "{}: {}",
            line(),
            String::from_utf8_lossy(&output.stderr).trim()
        )),
        Err(error) => Err(format!("{}, of iproute2: {error}", line())),
    }
}
