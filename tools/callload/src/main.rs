//! Calls, turns and handoffs at a rate through a `baton serve`: `cargo xtask callload`.

#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the command line speaks to people"
)]

mod figures;
mod heard;
mod http;
mod line;
mod options;
mod post;
mod records;
mod spread;
mod world;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use baton_load::cores::stay_off;
use baton_load::server::{Place, Server};
use baton_load::tool::{self, Tool};
use baton_load::words::Words;
use figures::Figures;
use options::Options;
use post::{Post, free_range};
use world::{Phase, World};

/// What the API wants to be shown.
const KEY: &str = "callload-0123456789abcdef0123456789abcdef";

struct CallLoad;

fn main() -> ExitCode {
    tool::main::<CallLoad>()
}

impl Tool for CallLoad {
    const NAME: &'static str = "callload";
    const HELP: &'static str = include_str!("help.txt");

    type Options = Options;

    fn options(words: Words) -> Result<Option<Options>, String> {
        options::read(words)
    }

    fn measure(options: &Options) -> Result<ExitCode, String> {
        let figures = measure(options)?;
        if options.json {
            println!("{:#}", figures.json(options));
        } else {
            println!("{}", figures.text(options));
        }
        Ok(if figures.good() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

fn measure(options: &Options) -> Result<Figures, String> {
    let post = || Post::open().map_err(|error| format!("a socket: {error}"));
    let posts = [post()?, post()?, post()?];
    // Three legs of each call; a handed-off one lives some seconds, and its ports rest for two more.
    let legs = match options.hold {
        0 => 3 * options.calls + 3 * 12 * options.handoffs + 64,
        hold => 3 * hold + 64,
    };
    let mut server = start(options, posts[1].at, posts[2].at, legs)?;
    // After its start: it may use cores that we may not.
    if let Some(core) = options.server_core {
        stay_off(core)?;
    }
    let idle_kib = server.memory_kib();

    let (requests, wanted) = mpsc::channel();
    let (done, answers) = mpsc::channel();
    http::start(server.http(), wanted, &done);
    let mut world = World::new(options, posts, server.sip(), requests, answers);
    let calls = if options.hold > 0 { options.hold } else { options.calls };
    eprintln!("callload: {calls} calls are placed");
    if !world.build_up(calls) {
        server.is_running()?;
        return Err(format!("the calls do not come up: {:?}", world.figures.faults));
    }
    world.idle(Duration::from_secs(2));
    let loaded_kib = server.memory_kib();
    let seconds = Duration::from_secs(u64::from(options.seconds));
    if options.hold > 0 {
        eprintln!(
            "callload: all of them are handed off, to humans who are briefed; then {} s are measured",
            options.seconds
        );
        if !world.put_on_hold() {
            server.is_running()?;
            return Err(format!("not all callers are on hold: {:?}", world.figures.faults));
        }
        world.idle(Duration::from_secs(2));
        measured(&mut world, &server, Phase::Hold, |world| world.idle(seconds));
    } else {
        if options.alone > 0 && options.calls > 0 {
            eprintln!("callload: the calls by themselves for {} s", options.alone);
            world.begin(Phase::Alone);
            world.idle(Duration::from_secs(u64::from(options.alone)));
            world.end();
        }
        eprintln!(
            "callload: warm-up of {} s, then {} s are measured",
            options.warm_up, options.seconds
        );
        world.load(options, Duration::from_secs(u64::from(options.warm_up)));
        measured(&mut world, &server, Phase::Load, |world| world.load(options, seconds));
        world.settle();
    }
    server.is_running()?;
    world.figures.server_lost = records::lost(server.http());
    world.finish();
    let mut figures = world.figures;
    if !figures.ids.is_empty() {
        figures.timelines = records::timelines(server.http(), &figures.ids)?;
    }
    figures.started = server.started();
    figures.idle_kib = idle_kib;
    figures.loaded_kib = loaded_kib;
    figures.loaded_calls = calls;
    Ok(figures)
}

fn measured(world: &mut World, server: &Server, phase: Phase, run: impl FnOnce(&mut World)) {
    let (before, begin) = (server.processor_ms(), Instant::now());
    world.begin(phase);
    run(world);
    world.end();
    world.figures.seconds = begin.elapsed().as_secs_f64();
    world.figures.processor_ms = server.processor_ms().saturating_sub(before);
}

/// A server for so many legs at one time, those whose ports rest included.
fn start(options: &Options, ai: SocketAddr, human: SocketAddr, legs: u32) -> Result<Server, String> {
    let place = Place::find("callload")?;
    let store = match &options.store {
        Some(url) => url.clone(),
        None => format!("sqlite:{}", place.folder.join("baton.db").display()),
    };
    let mode = if options.warm || options.hold > 0 {
        "warm"
    } else {
        "cold"
    };
    // Who is to stay on hold is joined by nobody.
    let accept = if options.hold > 0 {
        "\"api\"\naccept_s = 600"
    } else {
        "\"answer\""
    };
    let first_port =
        free_range(2 * legs).ok_or_else(|| format!("there are no {} ports beside each other", 2 * legs))?;
    let share = f64::from(options.core_share) / 100.0;
    let cores = options
        .server_core
        .map_or(String::new(), |core| format!("cores = [{core}]\n"));
    let config = format!(
        "[[http.keys]]\nname = \"load\"\nkey = \"{KEY}\"\nscope = \"admin\"\n\
         [node]\ndrain_s = 1\nlog = \"warn\"\n\
         [budget]\ncore_share = {share:?}\n\
         [media]\nfirst_port = {first_port}\nports_per_worker = {legs}\nsessions_per_worker = {legs}\n{cores}\
         [store]\nurl = \"{store}\"\n\
         [[trunks]]\nname = \"load\"\naddresses = [\"127.0.0.1\"]\n\
         [[ai_agents]]\nname = \"assistant\"\nuri = \"sip:ai@{ai}\"\n\
         [[targets]]\nname = \"human\"\nuri = \"sip:human@{human}\"\n\
         [playbook]\nmode = \"{mode}\"\naccept = {accept}\n"
    );
    Server::start(
        &options.server,
        place,
        &config,
        options.server_core.filter(|_| !options.apart),
    )
}
