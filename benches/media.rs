//! The parts of the media path, one function at a time: 20 ms of 8000 Hz, 160 bytes of payload.

use std::hint::black_box;
use std::time::Instant;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use media::codec::g711::Law;
use media::codec::g722::{Decoder, Encoder, Mode};
use media::codec::opus::{self, Band, Effort};
use media::command::Latch;
use media::conceal::Concealer;
use media::dtmf::Tone;
use media::dtmf::detect::Detector;
use media::latch::Latched;
use media::resample::{Downsampler, Upsampler};
use media::rtcp::{Compound, Packet, Reception, Report, ReportBlock, SenderInfo};
use media::rtp::{self, Header, Seq};
use media::stretch::{self, Need};
use media::vad::Ear;

fn packet() -> Vec<u8> {
    let header = Header {
        marker: false,
        payload_type: 0,
        sequence: Seq(1),
        timestamp: 160,
        ssrc: 7,
    };
    let mut bytes = vec![0x55; rtp::HEADER + 160];
    header.write(&mut bytes);
    bytes
}

fn packets(criterion: &mut Criterion) {
    let mut bytes = packet();
    criterion.bench_function("rtp parse and rewrite", |bencher| {
        bencher.iter(|| {
            let mut view = rtp::Packet::parse(black_box(&mut bytes)).expect("valid");
            let next = view.sequence().next();
            view.set_sequence(next);
            let timestamp = view.timestamp().wrapping_add(160);
            view.set_timestamp(timestamp);
            view.set_ssrc(9);
        });
    });

    let start = Instant::now();
    let mut latch = Latched::new(Latch::SignalledIp);
    let peer = "192.0.2.1:4000".parse().expect("an address");
    latch.set(start, Latch::SignalledIp, Some(peer), 1);
    criterion.bench_function("latch accept", |bencher| {
        bencher.iter(|| latch.accept(black_box(start), black_box(peer), 7, true));
    });

    let mut reception = Reception::new(8000);
    let mut seq = Seq(0);
    criterion.bench_function("reception statistics", |bencher| {
        bencher.iter(|| {
            seq = seq.next();
            reception.receive(black_box(start), seq, u32::from(seq.0) * 160)
        });
    });

    let report = Report {
        ssrc: 1,
        sender: Some(SenderInfo::default()),
        blocks: &[ReportBlock::default()],
        cname: "baton@192.0.2.1",
        bye: false,
    };
    let mut buffer = [0; 1500];
    criterion.bench_function("rtcp write", |bencher| {
        bencher.iter(|| black_box(&report).write(black_box(&mut buffer)));
    });
    let length = report.write(&mut buffer).expect("room");
    criterion.bench_function("rtcp parse", |bencher| {
        bencher.iter(|| {
            let compound = Compound::parse(black_box(&buffer[..length])).expect("valid");
            compound
                .packets()
                .filter(|packet| matches!(packet, Packet::SenderReport { .. }))
                .count()
        });
    });
}

fn codecs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("g711, 160 samples");
    group.throughput(Throughput::Elements(160));
    for law in Law::ALL {
        let mut samples: [i16; 160] = std::array::from_fn(|at| (at as i16).wrapping_mul(28_673));
        let mut payload = [0; 160];
        group.bench_function(format!("encode {law:?}"), |bencher| {
            bencher.iter(|| law.encode(black_box(&samples), black_box(&mut payload)));
        });
        group.bench_function(format!("decode {law:?}"), |bencher| {
            bencher.iter(|| law.decode(black_box(&payload), black_box(&mut samples)));
        });
        group.bench_function(format!("mean square {law:?}"), |bencher| {
            bencher.iter(|| law.mean_square(black_box(&payload)));
        });
        let tone = Tone::of(5).expect("a digit");
        group.bench_function(format!("tone {law:?}"), |bencher| {
            bencher.iter(|| tone.encode(law, black_box(160), black_box(&mut payload)));
        });
    }
    for (from, to) in [(Law::Mu, Law::A), (Law::A, Law::Mu)] {
        let mut payload = [0x55; 160];
        group.bench_function(format!("transcode {from:?} to {to:?}"), |bencher| {
            bencher.iter(|| from.transcode(to, black_box(&mut payload)));
        });
    }
    group.finish();
}

/// Something with pitch, noise and loudness that changes, so that the codec's quantizers have their usual work.
fn speech_like<const N: usize>(hz: f64) -> [i16; N] {
    let mut state = 1u32;
    std::array::from_fn(|at| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = f64::from((state >> 16) as i16) / 16.0;
        let time = at as f64 / hz;
        let pitch = (time * 150.0).fract() * 8000.0 - 4000.0;
        ((pitch + noise) * (time * 25.0).sin()) as i16
    })
}

/// 20 ms: 320 samples of 16 kHz, 160 of 8 kHz, 160 bytes of G.722.
fn wideband(criterion: &mut Criterion) {
    let wide: [i16; 320] = speech_like(16_000.0);
    let narrow: [i16; 160] = speech_like(8000.0);

    let mut group = criterion.benchmark_group("g722, 20 ms");
    group.throughput(Throughput::Elements(1));
    let mut payload = [0; 160];
    let mut encoder = Encoder::new();
    group.bench_function("encode", |bencher| {
        bencher.iter(|| encoder.encode(black_box(&wide), black_box(&mut payload)));
    });
    let mut samples = [0; 320];
    for mode in [Mode::Kbit64, Mode::Kbit56, Mode::Kbit48] {
        let mut decoder = Decoder::new();
        group.bench_function(format!("decode {mode:?}"), |bencher| {
            bencher.iter(|| decoder.decode(mode, black_box(&payload), black_box(&mut samples)));
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("resample, 20 ms");
    group.throughput(Throughput::Elements(1));
    let mut upsampler = Upsampler::new();
    group.bench_function("8 to 16 kHz", |bencher| {
        bencher.iter(|| upsampler.process(black_box(&narrow), black_box(&mut samples)));
    });
    let mut downsampler = Downsampler::new();
    let mut halved = [0; 160];
    group.bench_function("16 to 8 kHz", |bencher| {
        bencher.iter(|| downsampler.process(black_box(&wide), black_box(&mut halved)));
    });
    group.finish();
}

/// 20 ms of speech at each band and complexity.
fn opus(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("opus, 20 ms");
    group.throughput(Throughput::Elements(1));
    for (band, kbits) in [(Band::Narrow, 24), (Band::Wide, 40)] {
        let speech: [i16; 16_000] = speech_like(band.hz().into());
        let frame = band.hz() as usize / 50;
        for complexity in [0, 3, 5, 10] {
            let effort = Effort {
                bitrate: kbits * 1_000,
                complexity,
            };
            let settings = opus::Settings {
                narrow: effort,
                wide: effort,
                ..opus::Settings::default()
            };
            let mut encoder = opus::Encoder::new(band, &settings).expect("settings that libopus has");
            let mut frames = speech.chunks_exact(frame).cycle();
            let mut packet = [0; 1_400];
            group.bench_function(
                format!("encode {band:?} {kbits} kbit/s, complexity {complexity}"),
                |bencher| {
                    bencher.iter(|| encoder.encode(frames.next().unwrap_or(&[]), black_box(&mut packet)));
                },
            );
        }
        let mut encoder = opus::Encoder::new(band, &opus::Settings::default()).expect("an encoder");
        let packets: Vec<Vec<u8>> = speech
            .chunks_exact(frame)
            .map(|samples| {
                let mut packet = vec![0; 1_400];
                let len = encoder.encode(samples, &mut packet).expect("20 ms");
                packet.truncate(len);
                packet
            })
            .collect();
        let mut decoder = opus::Decoder::new(band).expect("a decoder");
        let mut packets = packets.iter().cycle();
        let mut samples = [0; 640];
        group.bench_function(format!("decode {band:?}"), |bencher| {
            bencher.iter(|| decoder.decode(packets.next().map_or(&[], |packet| packet), black_box(&mut samples)));
        });
    }
    group.finish();
}

/// What is done to 20 ms that came late, early or not at all, and what is heard in them.
fn speech(criterion: &mut Criterion) {
    for band in [Band::Narrow, Band::Wide] {
        let said: [i16; 640] = speech_like(band.hz().into());
        let length = band.hz() as usize / 50;
        let mut group = criterion.benchmark_group(format!("speech at {} Hz, 20 ms", band.hz()));
        group.throughput(Throughput::Elements(1));
        let mut stretch = [0; 640];
        let mut concealer = Concealer::new(band);
        group.bench_function("remember", |bencher| {
            bencher.iter(|| concealer.heard(black_box(&mut stretch[..length])));
        });
        concealer.heard(&mut { said });
        group.bench_function("conceal", |bencher| {
            bencher.iter(|| concealer.clone().conceal(black_box(&mut stretch[..length])));
        });
        group.bench_function("shorten", |bencher| {
            bencher.iter(|| {
                stretch = said;
                stretch::shorten(black_box(&mut stretch[..length]), band, Need::Anyhow)
            });
        });
        group.bench_function("lengthen", |bencher| {
            bencher.iter(|| {
                stretch = said;
                stretch::lengthen(black_box(&mut stretch), length, band, Need::Anyhow)
            });
        });
        let mut ear = Ear::new(band);
        group.bench_function("hear a voice", |bencher| {
            bencher.iter(|| ear.heard(black_box(&said[..length])));
        });
        if band == Band::Narrow {
            let mut detector = Detector::new();
            let mut keys = 0;
            group.bench_function("hear keys", |bencher| {
                bencher.iter(|| detector.heard(black_box(&said[..length]), |_| keys += 1));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, packets, codecs, wideband, opus, speech);
criterion_main!(benches);
