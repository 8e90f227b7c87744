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
mod rtp;
mod setup;
mod spread;
mod world;

use std::process::ExitCode;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use baton_lab::cpu::Watched;
use baton_lab::lab;
use baton_load::cores::stay_off;
use baton_load::server::Server;
use baton_load::tool::{self, Tool};
use baton_load::words::Words;
use figures::Figures;
use options::{Options, Way};
use setup::{Setup, choose};
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
        let way = choose(options);
        if way == Way::Lab
            && let Some(status) = lab::in_own_session()?
        {
            return Ok(status);
        }
        let figures = measure(options, way)?;
        if options.json {
            println!("{:#}", figures.json(options, way == Way::Lab));
        } else {
            println!("{}", figures.text(options, way == Way::Lab));
        }
        Ok(if figures.good() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

fn measure(options: &Options, way: Way) -> Result<Figures, String> {
    let Setup { posts, rtp, mut server } = Setup::new(options, way)?;
    // After its start: it may use cores that we may not.
    if let (Way::Loopback, Some(core)) = (way, options.server_core) {
        stay_off(core)?;
    }
    let idle_kib = server.memory_kib();

    let (requests, wanted) = mpsc::channel();
    let (done, answers) = mpsc::channel();
    http::start(server.http(), wanted, &done);
    let mut world = World::new(options, posts, rtp, server.sip(), requests, answers);
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
    let receive = world.rtp.lab().map(|lab| Watched {
        process: None,
        receive: lab.receive_threads(),
    });
    let received = |watched: &Option<Watched>| watched.as_ref().map(|watched| watched.spent().receive);
    let (before, receive_before, begin) = (server.processor_ms(), received(&receive), Instant::now());
    world.begin(phase);
    run(world);
    world.end();
    world.figures.seconds = begin.elapsed().as_secs_f64();
    world.figures.processor_ms = server.processor_ms().saturating_sub(before);
    let spent = received(&receive).zip(receive_before);
    world.figures.receive_path = spent.map(|(after, before)| after.saturating_sub(before));
}
