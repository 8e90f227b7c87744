//! Who takes part, and where: the server with its configuration, and the sockets of the parties.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Command;

use baton_lab::lab::{Lab, OURS, THEIRS};
use baton_load::cores;
use baton_load::server::{Place, Server};
use baton_parties::codec::Codec;

use crate::KEY;
use crate::options::{Options, Way};
use crate::post::Post;
use crate::rtp::Rtp;

/// Ports of SIP in the lab: the server's, and the first of ours.
const SIP: (u16, u16) = (5060, 5061);

/// Port of the server's API in the lab.
const HTTP: u16 = 8080;

/// What the names of the server's media workers begin with.
const MEDIA: &str = "baton-media";

/// Packets that may wait for this tool: a third of a second of 200 calls, or 20 ms of 3,000.
const QUEUE: u32 = 6000;

/// All that is measured with.
pub(crate) struct Setup {
    pub(crate) posts: [Post; 3],
    pub(crate) rtp: Rtp,
    pub(crate) server: Server,
}

/// The way that is asked for, or the better one that this process can go.
pub(crate) fn choose(options: &Options) -> Way {
    options.way.unwrap_or_else(|| {
        let core = options.server_core.and_then(cores::other);
        match rustix::process::geteuid().is_root() && core.is_some() {
            true => Way::Lab,
            false => Way::Loopback,
        }
    })
}

impl Setup {
    /// # Errors
    /// Where the kernel refuses, or the server does not start.
    pub(crate) fn new(options: &Options, way: Way) -> Result<Setup, String> {
        match way {
            Way::Loopback => Setup::over_loopback(options),
            Way::Lab => Setup::in_lab(options),
        }
    }

    fn over_loopback(options: &Options) -> Result<Setup, String> {
        eprintln!(
            "callload: over loopback, where the parties' packets take the kernel's time, too (--lab, as root, is the exact way)"
        );
        let socket = |error: std::io::Error| format!("a socket: {error}");
        let post = || Post::open((Ipv4Addr::LOCALHOST, 0).into()).map_err(socket);
        let posts = [post()?, post()?, post()?];
        let rtp = Rtp::over_loopback().map_err(socket)?;
        let place = Place::find("callload")?;
        let config = config(options, &place, &posts, &rtp, Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST)?;
        let core = options.server_core.filter(|_| !options.apart);
        let server = Server::start(&options.server, place, &config, core)?;
        Ok(Setup { posts, rtp, server })
    }

    fn in_lab(options: &Options) -> Result<Setup, String> {
        let core = options.server_core.ok_or("the lab wants a core for the server")?;
        let own = cores::other(core).ok_or("this host has no second core: --loopback --server-core any")?;
        eprintln!(
            "callload: through a link of its own, the server on core {core}, this tool on core {own} (--loopback is the other way)"
        );
        // Before there is a namespace of ours: whoever clears up is to see the folder when that is gone.
        let at = |port| SocketAddr::from((THEIRS, port));
        let place = Place::at("callload", at(SIP.0), at(HTTP))?;
        let mut lab = Lab::open(core as usize, own as usize, options.moderation_us)
            .map_err(|why| format!("{why}; --loopback does without"))?;
        lab.give_queue(QUEUE)?;
        lab.receive_by_thread()?;
        let rtp = Rtp::through(lab).map_err(|why| format!("{why}; --loopback does without"))?;
        let post = |number| {
            let at = SocketAddr::from((OURS, SIP.1 + number));
            Post::open(at).map_err(|error| format!("{at}: {error}"))
        };
        let posts = [post(0)?, post(1)?, post(2)?];
        let config = config(options, &place, &posts, &rtp, OURS, THEIRS)?;
        let mut command = Command::new(&options.server);
        if let Some(lab) = rtp.lab() {
            lab.place_service(&mut command, options.apart)
                .map_err(|error| format!("the server's namespace: {error}"))?;
        }
        let server = Server::start_by(command, place, &config)?;
        if let Some(lab) = rtp.lab() {
            let said = |error| format!("the server's threads: {error}");
            lab.let_hurry(server.id(), MEDIA).map_err(said)?;
            if options.apart {
                lab.leave_core_to(server.id(), MEDIA).map_err(said)?;
            }
        }
        Ok(Setup { posts, rtp, server })
    }
}

fn config(
    options: &Options,
    place: &Place,
    posts: &[Post; 3],
    rtp: &Rtp,
    ours: Ipv4Addr,
    theirs: Ipv4Addr,
) -> Result<String, String> {
    // Three legs of each call; a handed-off one lives some seconds, and its ports rest for two more.
    let legs = match options.hold {
        0 => 3 * options.calls + 3 * 12 * options.handoffs + 64,
        hold => 3 * hold + 64,
    };
    let first_port = rtp
        .servers_ports(2 * legs)
        .ok_or_else(|| format!("there are no {} ports beside each other", 2 * legs))?;
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
    let share = f64::from(options.core_share) / 100.0;
    // What would be put into another codec at the join has its states from the ring on.
    let transcoded = if options.codecs[2] == Codec::Opus {
        "transcode_share = 1.0\n"
    } else {
        ""
    };
    let cores = options
        .server_core
        .map_or(String::new(), |core| format!("cores = [{core}]\n"));
    let io = &options.io;
    let theirs = IpAddr::V4(theirs);
    let [_, ai, human] = posts.each_ref().map(|post| post.at);
    Ok(format!(
        "[[http.keys]]\nname = \"load\"\nkey = \"{KEY}\"\nscope = \"admin\"\n\
         [node]\ndrain_s = 1\nlog = \"warn\"\n\
         [budget]\ncore_share = {share:?}\n{transcoded}\
         [media]\nlisten = \"{theirs}\"\nfirst_port = {first_port}\nports_per_worker = {legs}\nsessions_per_worker = {legs}\nio = \"{io}\"\n{cores}\
         [store]\nurl = \"{store}\"\n\
         [[trunks]]\nname = \"load\"\naddresses = [\"{ours}\"]\n\
         [[ai_agents]]\nname = \"assistant\"\nuri = \"sip:ai@{ai}\"\n\
         [[targets]]\nname = \"human\"\nuri = \"sip:human@{human}\"\n\
         [playbook]\nmode = \"{mode}\"\naccept = {accept}\n"
    ))
}
