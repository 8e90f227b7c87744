//! After each test: nothing is left, and a real data plane would have refused nothing.

use super::*;
use media::codec::opus::Settings;
use media::coders::{Coders, Sizes};

impl World {
    /// Nothing is left: no call, port, dialog or transaction, and no phone rings.
    pub(super) fn conserve(&mut self) {
        // Longer than a forgotten REFER is remembered.
        self.pass(Duration::from_secs(240));
        assert_eq!(self.node.alive(), Alive::default());
        for (host, peer) in self.peers.iter().enumerate() {
            assert_eq!(peer.endpoint.alive().dialogs, 0, "peer {host}");
        }
        assert_eq!(self.node.poll_timeout(), None);
        for (state, input) in self.node.observed() {
            let why = crate::table::cannot_come(state, input);
            assert_eq!(why, None, "{state} | {input} came");
        }
        self.check_commands();
    }

    /// A real data plane refuses none of what it was asked, and has nothing left.
    pub(super) fn check_commands(&mut self) {
        let mut prompts = media::prompt::Prompts::new();
        for name in [
            "announcement",
            "hold",
            "briefing",
            "busy",
            "no_answer",
            "failed",
            "goodbye",
            "estimate_soon",
            "estimate_intro",
            "minutes_1",
            "minutes_2",
            "minutes_5",
            "disclosure",
            "own_announcement",
            "own_hold",
            "after_hours",
            "place_intro",
            "place_1",
            "place_2",
            "called_back",
        ] {
            prompts.add(name, &[0; 800]).unwrap();
        }
        let sizes = Sizes {
            wide: 16,
            opus_narrow: 4,
            opus_wide: 4,
            mixers: 4,
            ears: 1,
            keys: 1,
            listeners: 4,
        };
        let coders = Arc::new(Coders::new(sizes, &Settings::default()).unwrap());
        let config = media::core::Config {
            first_port: media::command::Port(20_000),
            pairs: 8,
            guests: 0,
            sessions: 8,
            pending: 64,
            prompts: Arc::new(prompts),
            cname: "test".to_owned(),
            seed: 1,
            coders: Arc::clone(&coders),
            silence: media::core::SILENCE,
            added_latency: media::core::ADDED_LATENCY,
        };
        let mut now = self.now;
        let mut core = media::core::Core::new(config, now);
        let (mut buffer, mut count) = ([0; 1_500], 0);
        for command in self.commands.drain(..) {
            core.handle_command(now, command.clone());
            // Longer than a row waits for its new source; where it waits for its first packet, that comes.
            for _ in 0..20 {
                now += Duration::from_millis(10);
                count += 1;
                for (port, from, mut packet) in voices(&command, count) {
                    core.handle_packet(now, port, from, &mut packet, 172);
                }
                core.handle_timeout(now);
                while core.poll_transmit(now, &mut buffer).is_some() {}
            }
            let events: Vec<_> = std::iter::from_fn(|| core.poll_event()).collect();
            let refused = events.iter().find(|event| matches!(event, Media::Refused { .. }));
            assert_eq!(refused, None, "{command:?}");
            let answered = events
                .iter()
                .any(|event| matches!(event, Media::Applied { .. } | Media::Ended { .. }));
            assert!(answered, "{command:?} is not answered: {events:?}");
        }
        assert_eq!(core.counters().sessions, 0);
        drop(core);
        assert_eq!(coders.free(), sizes, "every coder state is back");
    }
}

/// A packet of every leg that is waited for, the so-maniest.
fn voices(command: &Command, count: u16) -> Vec<(media::command::Port, SocketAddr, [u8; 200])> {
    let Command::Set { spec, .. } = command else {
        return Vec::new();
    };
    let awaited = |leg: LegId| {
        let row = spec.legs.iter().find(|row| row.hears.sources().any(|id| id == leg));
        row.is_some_and(|row| !row.hears.patience.is_zero())
    };
    let legs = spec.legs.iter().filter(|leg| awaited(leg.leg));
    legs.filter_map(|leg| {
        let mut packet = [0xd5; 200];
        packet[..2].copy_from_slice(&[0x80, leg.format.receive]);
        packet[2..4].copy_from_slice(&count.to_be_bytes());
        packet[4..8].copy_from_slice(&(u32::from(count) * 160).to_be_bytes());
        packet[8..12].copy_from_slice(&[7; 4]);
        Some((leg.port, leg.remote?, packet))
    })
    .collect()
}
