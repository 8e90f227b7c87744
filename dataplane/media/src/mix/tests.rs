use super::*;
use crate::codec::l16;
use crate::codec::opus::{Encoder, Settings};
use crate::coders::Coders;
use crate::rtp::Seq;
use crate::voice::Needs;
use crate::voice::tests::coders;

const MS: u64 = 1_000_000;
const ONE: Slot = Slot(1);
const TWO: Slot = Slot(2);

/// A listener with frames of 20 ms in a band, and those that he hears.
struct Listener {
    mixer: Mixer,
    band: Band,
    now: u64,
}

impl Listener {
    fn new(coders: &Coders, band: Band, heard: &[(Slot, Codec, i8)]) -> Listener {
        let mut mixer = Mixer::new();
        for &(source, codec, _) in heard {
            let voice = Voice::default().lacking(Needs::to_hear(codec, band), coders.listeners());
            mixer.lend(source, voice.unwrap());
        }
        let row: Vec<_> = heard.iter().map(|&(source, _, gain_db)| (source, gain_db)).collect();
        mixer.want(&row, band, 80 * MS);
        mixer.start();
        let now = 1_000 * MS;
        Listener { mixer, band, now }
    }

    /// The nth packet of 20 ms comes.
    fn put(&mut self, source: Slot, codec: Codec, n: u16, payload: &[u8]) -> Put {
        let duration = codec.clock_hz() / 50;
        let incoming = Incoming {
            ssrc: source.0.into(),
            codec,
            sequence: Seq(n),
            timestamp: u32::from(n) * duration,
            duration,
            payload,
        };
        self.mixer.ear(source).unwrap().put(self.now, &incoming, true)
    }

    /// The next frame, 20 ms later.
    fn frame(&mut self) -> (Vec<i16>, Mixed) {
        let mut samples = vec![0; self.band.hz() as usize / 50];
        let mixed = self.mixer.fill(self.now, &mut samples);
        self.now += 20 * MS;
        (samples, mixed)
    }
}

/// A packet of one value.
fn flat(value: i16) -> Vec<u8> {
    let mut payload = vec![0; 320];
    l16::encode(&[value; 160], &mut payload);
    payload
}

fn tone(band: Band, hz: f64, ms: usize) -> Vec<i16> {
    let step = hz * std::f64::consts::TAU / f64::from(band.hz());
    let count = band.hz() as usize / 1_000 * ms;
    (0..count)
        .map(|at| (6_000.0 * (at as f64 * step).sin()) as i16)
        .collect()
}

#[test]
fn who_hears_nothing_yet_has_silence() {
    let mut listener = Listener::new(&coders(), Band::Narrow, &[(ONE, Codec::L16, 0)]);
    let (samples, mixed) = listener.frame();
    assert_eq!((samples, mixed), (vec![0; 160], Mixed::default()));
    assert_eq!(listener.mixer.level(ONE), Some(0));
    assert_eq!(listener.mixer.level(TWO), None);
}

#[test]
fn each_source_has_its_gain_and_the_level_is_that_before_it() {
    let heard = [(ONE, Codec::L16, -20), (TWO, Codec::L16, 12)];
    let mut listener = Listener::new(&coders(), Band::Narrow, &heard);
    listener.put(ONE, Codec::L16, 0, &flat(5_000));
    listener.put(TWO, Codec::L16, 0, &flat(-1_000));
    let (samples, mixed) = listener.frame();
    assert!(mixed.sounds);
    // 500 − 3981.
    assert!(
        samples.iter().all(|sample| (-3_484..=-3_478).contains(sample)),
        "{samples:?}"
    );
    assert_eq!(listener.mixer.level(ONE), Some(25_000_000));
}

#[test]
fn a_gain_changes_over_a_frame_without_a_click() {
    let mut listener = Listener::new(&coders(), Band::Narrow, &[(ONE, Codec::L16, 12)]);
    for n in 0..3 {
        listener.put(ONE, Codec::L16, n, &flat(5_000));
    }
    assert!(
        listener
            .frame()
            .0
            .iter()
            .all(|&sample| (19_900..19_910).contains(&sample))
    );
    listener.mixer.want(&[(ONE, -40)], Band::Narrow, 80 * MS);
    listener.mixer.start();
    let (changes, _) = listener.frame();
    let steps = changes.windows(2).map(|pair| pair[0] - pair[1]);
    assert!(steps.into_iter().all(|step| (123..126).contains(&step)), "{changes:?}");
    assert!((19_900 - 130..19_910).contains(&changes[0]), "{}", changes[0]);
    assert!(listener.frame().0.iter().all(|&sample| (45..=50).contains(&sample)));
}

#[test]
fn what_leaves_the_row_is_not_heard_from_the_next_frame_on() {
    let heard = [(ONE, Codec::L16, 0), (TWO, Codec::L16, 0)];
    let mut listener = Listener::new(&coders(), Band::Narrow, &heard);
    for n in 0..3 {
        listener.put(ONE, Codec::L16, n, &flat(5_000));
        listener.put(TWO, Codec::L16, n, &flat(1));
    }
    assert!(listener.frame().0.contains(&5_001));
    listener.mixer.want(&[(TWO, 0)], Band::Narrow, 80 * MS);
    listener.mixer.start();
    listener.mixer.settle();
    assert!(listener.frame().0.iter().all(|&sample| sample == 1));
    assert!(listener.mixer.ear(ONE).is_none() && listener.mixer.voice(ONE).is_none());
    // When it comes back, what was queued is not heard.
    listener.mixer.lend(ONE, Voice::default());
    listener.mixer.want(&[(ONE, 0), (TWO, 0)], Band::Narrow, 80 * MS);
    listener.mixer.start();
    assert!(listener.frame().0.iter().all(|&sample| sample == 1));
}

#[test]
fn a_lost_packet_is_made_up_for_and_what_is_made_up_is_told() {
    let mut listener = Listener::new(&coders(), Band::Narrow, &[(ONE, Codec::L16, 0)]);
    let said = tone(Band::Narrow, 200.0, 200);
    let mut concealed = 0;
    for (n, samples) in said.chunks_exact(160).enumerate() {
        let mut payload = [0; 320];
        l16::encode(samples, &mut payload);
        if n != 7 {
            listener.put(ONE, Codec::L16, n as u16, &payload);
        }
        let (heard, mixed) = listener.frame();
        assert!(n >= 7 || mixed.concealed == 0, "{n}");
        concealed += mixed.concealed;
        // Faded by a fifth after 10 ms.
        assert!(mean_square(&heard) > mean_square(samples) / 2, "{n}");
    }
    assert_eq!(concealed, 20 * MS);
}

/// Every tenth packet is lost; by what the next one says of it, where that is there in time, more of it is heard.
#[test]
fn a_lost_packet_of_opus_is_made_up_for_by_what_the_next_one_says() {
    let off = |fec: bool| {
        let mut listener = Listener::new(&coders(), Band::Wide, &[(ONE, Codec::Opus, 0)]);
        let settings = Settings {
            fec,
            expected_loss: 25,
            ..Settings::default()
        };
        let mut encoder = Encoder::new(Band::Wide, &settings).unwrap();
        // A tone that is another one each 20 ms: the past does not say what is lost.
        let said: Vec<i16> = (0..100)
            .flat_map(|n| tone(Band::Wide, [300.0, 450.0, 700.0][n % 3], 20))
            .collect();
        let (mut lost, mut energy) = (0.0, 0.0);
        let mut packets = said.chunks_exact(320).map(|samples| {
            let mut packet = [0; 1_400];
            let len = encoder.encode(samples, &mut packet).unwrap();
            packet[..len].to_vec()
        });
        let packets: Vec<Vec<u8>> = packets.by_ref().collect();
        let mut clean = crate::codec::opus::Decoder::new(Band::Wide).unwrap();
        let mut heard_of = Vec::new();
        for (n, packet) in packets.iter().enumerate() {
            let mut decoded = [0; 1_920];
            clean.decode(packet, &mut decoded).unwrap();
            heard_of.push(decoded[..320].to_vec());
            // The next one is there already.
            if n == 0 {
                listener.put(ONE, Codec::Opus, 0, packet);
            }
            let next = n + 1;
            if next < packets.len() && next % 10 != 9 {
                listener.put(ONE, Codec::Opus, next as u16, &packets[next]);
            }
            let (heard, mixed) = listener.frame();
            assert_eq!(mixed.concealed != 0, n % 10 == 9, "{n}");
            if n % 10 == 9 {
                for (heard, clean) in heard.iter().zip(&heard_of[n]) {
                    lost += f64::from(*heard - *clean).powi(2);
                    energy += f64::from(*clean).powi(2);
                }
            }
        }
        lost / energy
    };
    let (with, without) = (off(true), off(false));
    assert!(with < without / 2.0, "{with} {without}");
}

#[test]
fn a_source_that_goes_over_to_another_codec_goes_on() {
    let coders = coders();
    let mut listener = Listener::new(&coders, Band::Narrow, &[(ONE, Codec::L16, 0)]);
    let needs = Needs::to_hear(Codec::Pcmu, Band::Narrow);
    listener
        .mixer
        .lend(ONE, Voice::default().lacking(needs, coders.listeners()).unwrap());
    for n in 0..4 {
        match n < 2 {
            true => listener.put(ONE, Codec::L16, n, &flat(988)),
            false => listener.put(ONE, Codec::Pcmu, n, &[0xce; 160]),
        };
        let (heard, mixed) = listener.frame();
        assert_eq!((mixed.sounds, mixed.concealed), (true, 0));
        let level = mean_square(&heard).isqrt();
        assert!((200..1_500).contains(&level), "{n}: {level}");
    }
}

/// What cannot be decoded is as long as it was to be.
#[test]
fn what_is_broken_is_made_up_for() {
    let mut listener = Listener::new(&coders(), Band::Wide, &[(ONE, Codec::Opus, 0)]);
    // Code 3 with a padding that is not there.
    for n in 0..3 {
        listener.put(ONE, Codec::Opus, n, &[0x4b, 0x41]);
    }
    let (_, mixed) = listener.frame();
    assert!(mixed.sounds && mixed.concealed >= 20 * MS);
    let held = listener.mixer.ear(ONE).unwrap().held();
    assert!((25 * MS..=40 * MS).contains(&held), "{held}");
}

#[test]
fn a_sum_that_is_too_much_is_not_cut() {
    let heard = [(ONE, Codec::L16, 0), (TWO, Codec::L16, 0)];
    let mut listener = Listener::new(&coders(), Band::Narrow, &heard);
    for n in 0..3 {
        listener.put(ONE, Codec::L16, n, &flat(30_000));
        listener.put(TWO, Codec::L16, n, &flat(20_000));
        let (samples, _) = listener.frame();
        assert!(samples.iter().all(|sample| (20_000..32_767).contains(sample)), "{n}");
    }
}
