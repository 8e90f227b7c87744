//! Two small XDP programs, in the instructions of the machine itself (RFC 9669), and their way into the kernel by bpf(2): nothing has
//! to be compiled or installed for them.

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

/// One instruction: opcode, destination and source register, offset, immediate value.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
struct Instruction {
    opcode: u8,
    registers: u8,
    offset: i16,
    immediate: i32,
}

const R0: u8 = 0;
const R1: u8 = 1;
const R2: u8 = 2;
const R3: u8 = 3;
const R4: u8 = 4;
const R5: u8 = 5;
const R6: u8 = 6;
const R7: u8 = 7;

const XDP_PASS: i32 = 2;
const XDP_TX: i32 = 3;

/// Width of a load or store.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
enum Width {
    Word = 0x00,
    Half = 0x08,
    Byte = 0x10,
    Double = 0x18,
}

const fn instruction(opcode: u8, to: u8, from: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction {
        opcode,
        registers: from << 4 | to,
        offset,
        immediate,
    }
}

/// `to = *(from + offset)`
const fn load(width: Width, to: u8, from: u8, offset: i16) -> Instruction {
    instruction(0x61 | width as u8, to, from, offset, 0)
}

/// `*(to + offset) = from`
const fn store(width: Width, to: u8, offset: i16, from: u8) -> Instruction {
    instruction(0x63 | width as u8, to, from, offset, 0)
}

/// `to = from`
const fn copy(to: u8, from: u8) -> Instruction {
    instruction(0xbf, to, from, 0, 0)
}

/// `to = value`
const fn set(to: u8, value: i32) -> Instruction {
    instruction(0xb7, to, 0, 0, value)
}

/// `to += value`
const fn add(to: u8, value: i32) -> Instruction {
    instruction(0x07, to, 0, 0, value)
}

/// From the order of the network: 16 bits.
const fn from_network(register: u8) -> Instruction {
    instruction(0xdc, register, 0, 0, 16)
}

/// Jumps over so many instructions where `left > right`.
const fn jump_greater(left: u8, right: u8, over: i16) -> Instruction {
    instruction(0x2d, left, right, over, 0)
}

/// … where `left != value`.
const fn jump_other(left: u8, value: i32, over: i16) -> Instruction {
    instruction(0x55, left, 0, over, value)
}

/// … where `left < value`.
const fn jump_less(left: u8, value: i32, over: i16) -> Instruction {
    instruction(0xa5, left, 0, over, value)
}

const EXIT: Instruction = instruction(0x95, 0, 0, 0, 0);

/// Helpers, by their number: `bpf_ktime_get_ns` (CLOCK_MONOTONIC) and `bpf_redirect_map`.
const NOW: Instruction = instruction(0x85, 0, 0, 0, 5);
const REDIRECT_MAP: Instruction = instruction(0x85, 0, 0, 0, 51);

// `struct xdp_md`
const DATA: i16 = 0;
const DATA_END: i16 = 4;
const QUEUE: i16 = 16;

// Ethernet, IPv4 without options, UDP.
const ETHER_TYPE: i16 = 12;
const FIRST_BYTE_OF_IP: i16 = 14;
const PROTOCOL: i16 = 23;
const SOURCE_IP: i16 = 26;
const TARGET_IP: i16 = 30;
const SOURCE_PORT: i16 = 34;
const TARGET_PORT: i16 = 36;
const HEADERS: i32 = 42;

/// A packet of the load, to this port or a higher one, is behind it, `R2` is where it begins; all others have jumped over `over` more instructions.
fn of_the_load(first_port: u16, over: i16) -> Vec<Instruction> {
    let checks = [
        copy(R6, R1),
        load(Width::Word, R2, R1, DATA),
        load(Width::Word, R3, R1, DATA_END),
        copy(R4, R2),
        add(R4, HEADERS),
        jump_greater(R4, R3, over + 9),
        load(Width::Half, R5, R2, ETHER_TYPE),
        jump_other(R5, i32::from(0x0800_u16.to_be()), over + 7),
        load(Width::Byte, R5, R2, FIRST_BYTE_OF_IP),
        jump_other(R5, 0x45, over + 5),
        load(Width::Byte, R5, R2, PROTOCOL),
        jump_other(R5, 17, over + 3),
        load(Width::Half, R5, R2, TARGET_PORT),
        from_network(R5),
        jump_less(R5, i32::from(first_port), over),
    ];
    checks.into()
}

const PASS: [Instruction; 2] = [set(R0, XDP_PASS), EXIT];

/// Packets of the load go to the AF_XDP socket of their queue; the time at which they came, ns, stands where their first MAC address and a part of the
/// second one have been.
fn to_socket(first_port: u16, sockets: &Map) -> Vec<Instruction> {
    // The address of a map takes two instructions.
    let map = [
        instruction(0x18, R1, 1, 0, sockets.0.as_raw_fd()),
        instruction(0, 0, 0, 0, 0),
    ];
    let mut redirect = vec![
        copy(R7, R2),
        NOW,
        store(Width::Double, R7, 0, R0),
        load(Width::Word, R2, R6, QUEUE),
    ];
    redirect.extend(map);
    redirect.extend([set(R3, XDP_PASS), REDIRECT_MAP, EXIT]);
    let mut program = of_the_load(first_port, redirect.len() as i16);
    program.extend(redirect);
    program.extend(PASS);
    program
}

/// Packets of the load go back to where they came from.
fn reflect(first_port: u16) -> Vec<Instruction> {
    let swap = |width: Width, first: i16, second: i16| {
        [
            load(width, R3, R2, first),
            load(width, R4, R2, second),
            store(width, R2, first, R4),
            store(width, R2, second, R3),
        ]
    };
    let mut back: Vec<Instruction> = [
        swap(Width::Word, 0, 6),
        swap(Width::Half, 4, 10),
        swap(Width::Word, SOURCE_IP, TARGET_IP),
        swap(Width::Half, SOURCE_PORT, TARGET_PORT),
    ]
    .concat();
    back.extend([set(R0, XDP_TX), EXIT]);
    let mut program = of_the_load(first_port, back.len() as i16);
    program.extend(back);
    program.extend(PASS);
    program
}

/// A map from queues to AF_XDP sockets.
#[derive(Debug)]
pub struct Map(OwnedFd);

/// A program on an interface. It leaves with this value, also where the process is killed.
#[derive(Debug)]
pub struct Attached {
    _link: OwnedFd,
    _program: OwnedFd,
}

const MAP_CREATE: libc::c_long = 0;
const MAP_UPDATE: libc::c_long = 2;
const PROGRAM_LOAD: libc::c_long = 5;
const LINK_CREATE: libc::c_long = 28;

const MAP_TYPE_XSKMAP: u32 = 17;
const PROGRAM_TYPE_XDP: u32 = 6;
const ATTACH_TYPE_XDP: u32 = 37;
/// `XDP_FLAGS_DRV_MODE`: by the driver, before there is a socket buffer.
const DRIVER: u32 = 1 << 2;

#[derive(Default)]
#[repr(C)]
struct MapCreate {
    kind: u32,
    key: u32,
    value: u32,
    entries: u32,
}

#[derive(Default)]
#[repr(C)]
struct MapUpdate {
    map: u32,
    _hole: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[derive(Default)]
#[repr(C)]
struct ProgramLoad {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    expected_attach: u32,
}

#[derive(Default)]
#[repr(C)]
struct LinkCreate {
    program: u32,
    interface: u32,
    attach: u32,
    flags: u32,
    _rest: [u64; 4],
}

/// bpf(2).
fn bpf<T>(command: libc::c_long, attributes: &T) -> io::Result<libc::c_long> {
    // SAFETY: the kernel reads so many bytes from it, and by the addresses in it what the callers keep alive meanwhile.
    let done = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attributes), size_of::<T>()) };
    match done {
        0.. => Ok(done),
        _ => Err(io::Error::last_os_error()),
    }
}

fn descriptor(made: libc::c_long) -> OwnedFd {
    // SAFETY: the kernel has just made it for us.
    unsafe { OwnedFd::from_raw_fd(made as libc::c_int) }
}

impl Map {
    /// With one place.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn new() -> io::Result<Map> {
        let wanted = MapCreate {
            kind: MAP_TYPE_XSKMAP,
            key: 4,
            value: 4,
            entries: 1,
        };
        Ok(Map(descriptor(bpf(MAP_CREATE, &wanted)?)))
    }

    /// The socket of the first queue.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn set(&self, socket: &OwnedFd) -> io::Result<()> {
        let (key, value) = (0_u32, socket.as_raw_fd());
        let update = MapUpdate {
            map: self.0.as_raw_fd() as u32,
            key: (&raw const key) as u64,
            value: (&raw const value) as u64,
            ..MapUpdate::default()
        };
        bpf(MAP_UPDATE, &update).map(|_| ())
    }
}

impl Attached {
    /// What comes in by the interface and goes to this port or a higher one goes to the sockets of the map.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn to_socket(interface: u32, first_port: u16, sockets: &Map) -> io::Result<Attached> {
        Attached::new(interface, &to_socket(first_port, sockets))
    }

    /// What comes in by the interface and goes to this port or a higher one goes back to where it came from.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn reflect(interface: u32, first_port: u16) -> io::Result<Attached> {
        Attached::new(interface, &reflect(first_port))
    }

    fn new(interface: u32, instructions: &[Instruction]) -> io::Result<Attached> {
        let mut log = vec![0_u8; 65_536];
        let load = ProgramLoad {
            kind: PROGRAM_TYPE_XDP,
            count: instructions.len() as u32,
            instructions: instructions.as_ptr() as u64,
            license: c"Dual MIT/GPL".as_ptr() as u64,
            log_level: 1,
            log_size: log.len() as u32,
            log: log.as_mut_ptr() as u64,
            expected_attach: ATTACH_TYPE_XDP,
            ..ProgramLoad::default()
        };
        let program = bpf(PROGRAM_LOAD, &load).map_err(|error| {
            let said = log.split(|byte| *byte == 0).next().unwrap_or_default();
            io::Error::new(error.kind(), format!("{error}\n{}", String::from_utf8_lossy(said)))
        });
        let program = descriptor(program?);
        let link = LinkCreate {
            program: program.as_raw_fd() as u32,
            interface,
            attach: ATTACH_TYPE_XDP,
            flags: DRIVER,
            ..LinkCreate::default()
        };
        Ok(Attached {
            _link: descriptor(bpf(LINK_CREATE, &link)?),
            _program: program,
        })
    }
}
