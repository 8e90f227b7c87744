//! Coder states: what a codec with a memory needs, and what mixes for a line, taken at the start and lent to lines.
//!
//! All cores share them, so that a session may go from one to another with what it has. Nothing waits for anybody here: a place is
//! found by a free list of indices, and its lock is only ever tried by whoever has the index.

mod effort;

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::codec::g722;
use crate::codec::opus::{Band, Decoder, Encoder, Settings};
use crate::command::Codec;
use crate::dtmf::detect::Detector;
use crate::mix::Mixer;
use crate::resample::{Downsampler, Upsampler};
use crate::vad::Ear;
use crate::voice::Needs;

use effort::Efforts;
pub(crate) use effort::LineEncoder;
pub use effort::{Ladder, Rung};

/// How many of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Sizes {
    /// Lines with G.722, or between codecs of 8 and 16 kHz: 0.4 kB each.
    pub wide: usize,
    /// Opus encoders, and as many decoders, for lines whose other side has 8 kHz: 50 kB a pair.
    pub opus_narrow: usize,
    /// … 16 kHz.
    pub opus_wide: usize,
    /// Lines for which several are mixed: 0.12 MB each.
    pub mixers: usize,
    /// Windows that wait for a first word at a time: 10 kB each. Where none is free, the word is found by its level.
    pub ears: usize,
    /// Legs without telephone-event whose keys are taken from their sound: 0.8 kB each. One for which there is none presses keys that nobody takes.
    pub keys: usize,
    /// Sources in Opus or of another band that are listened to beside the lines, in a mix, for a word, for keys: 45 kB each. What lines have
    /// is left to lines: who is called is promised that.
    pub listeners: usize,
}

impl Sizes {
    /// What a leg needs by itself, to hear prompts and noise.
    pub fn for_one(codec: Codec) -> Sizes {
        Sizes {
            wide: Needs::of(codec, None).is_wide().into(),
            ..Sizes::default()
        }
    }

    /// What another leg brings with it that one and it hear each other.
    pub fn for_another(one: Codec, other: Codec) -> Sizes {
        Sizes::for_two(one, other).map(Sizes::for_one(one), usize::saturating_sub)
    }

    /// What two legs need that hear each other.
    pub fn for_two(one: Codec, other: Codec) -> Sizes {
        let (here, there) = (Needs::of(one, Some(other)), Needs::of(other, Some(one)));
        Sizes {
            wide: [here, there].into_iter().filter(Needs::is_wide).count(),
            opus_narrow: (here.has(Band::Narrow) || there.has(Band::Narrow)).into(),
            opus_wide: (here.has(Band::Wide) || there.has(Band::Wide)).into(),
            ..Sizes::default()
        }
    }

    /// Whether there is as much of each kind.
    pub fn covers(self, needed: Sizes) -> bool {
        self.wide >= needed.wide
            && self.opus_narrow >= needed.opus_narrow
            && self.opus_wide >= needed.opus_wide
            && self.mixers >= needed.mixers
            && self.ears >= needed.ears
            && self.keys >= needed.keys
            && self.listeners >= needed.listeners
    }

    /// Each kind by itself.
    pub fn map(self, other: Sizes, each: impl Fn(usize, usize) -> usize) -> Sizes {
        Sizes {
            wide: each(self.wide, other.wide),
            opus_narrow: each(self.opus_narrow, other.opus_narrow),
            opus_wide: each(self.opus_wide, other.opus_wide),
            mixers: each(self.mixers, other.mixers),
            ears: each(self.ears, other.ears),
            keys: each(self.keys, other.keys),
            listeners: each(self.listeners, other.listeners),
        }
    }
}

/// All coder states of a process.
#[derive(Debug, Default)]
pub struct Coders {
    sizes: Sizes,
    lines: States,
    listeners: States,
    mixers: Arc<Pool<Mixer>>,
    ears: Arc<Pool<Ear>>,
    keys: Arc<Pool<Detector>>,
}

/// What a codec with a memory needs.
#[derive(Debug, Default)]
pub(crate) struct States {
    wide: Arc<Pool<Wide>>,
    encoders: [Arc<Pool<LineEncoder>>; 2],
    efforts: Arc<Efforts>,
    decoders: [Arc<Pool<Decoder>>; 2],
}

/// What a line needs that has to do with 16 kHz.
#[derive(Debug, Default)]
pub(crate) struct Wide {
    pub(crate) encoder: g722::Encoder,
    pub(crate) decoder: g722::Decoder,
    pub(crate) up: Upsampler,
    pub(crate) down: Downsampler,
}

impl Coders {
    /// Takes all the memory that there will be.
    ///
    /// # Errors
    /// libopus refuses a setting, or has no memory.
    pub fn new(sizes: Sizes, settings: &Settings) -> Result<Coders, opus::Error> {
        Coders::with_ladder(sizes, settings, Ladder::fixed(settings))
    }

    /// The same, with a complexity of Opus that goes by how much of it there is, and not by the settings.
    ///
    /// # Errors
    /// libopus refuses a setting, or has no memory.
    pub fn with_ladder(sizes: Sizes, settings: &Settings, ladder: Ladder) -> Result<Coders, opus::Error> {
        let efforts = Arc::new(Efforts::new(ladder));
        let of = |band| match band {
            Band::Narrow => sizes.opus_narrow,
            Band::Wide => sizes.opus_wide,
        };
        let encoder = |band| Encoder::new(band, settings).map(|encoder| LineEncoder::new(encoder, &efforts));
        let encoders = |band| Pool::new(of(band), || encoder(band));
        let decoders = |band, count| Pool::new(count, || Decoder::new(band));
        let wide = |count| Pool::new(count, || Ok(Wide::default()));
        Ok(Coders {
            sizes,
            lines: States {
                wide: wide(sizes.wide)?,
                encoders: [encoders(Band::Narrow)?, encoders(Band::Wide)?],
                decoders: [
                    decoders(Band::Narrow, sizes.opus_narrow)?,
                    decoders(Band::Wide, sizes.opus_wide)?,
                ],
                efforts: Arc::clone(&efforts),
            },
            listeners: States {
                wide: wide(sizes.listeners)?,
                encoders: Default::default(),
                efforts: Arc::default(),
                decoders: [
                    decoders(Band::Narrow, sizes.listeners)?,
                    decoders(Band::Wide, sizes.listeners)?,
                ],
            },
            mixers: Pool::new(sizes.mixers, || Ok(Mixer::new()))?,
            ears: Pool::new(sizes.ears, || Ok(Ear::new(Band::Narrow)))?,
            keys: Pool::new(sizes.keys, || Ok(Detector::new()))?,
        })
    }

    /// How many there are.
    pub fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// How many are free now.
    pub fn free(&self) -> Sizes {
        let Coders { lines, listeners, .. } = self;
        let least = |of: &States| {
            of.decoders
                .iter()
                .map(|pool| pool.free())
                .fold(of.wide.free(), usize::min)
        };
        let opus = |at: usize| lines.encoders[at].free().min(lines.decoders[at].free());
        Sizes {
            wide: lines.wide.free(),
            opus_narrow: opus(Band::Narrow as usize),
            opus_wide: opus(Band::Wide as usize),
            mixers: self.mixers.free(),
            ears: self.ears.free(),
            keys: self.keys.free(),
            listeners: least(listeners),
        }
    }

    /// The complexity with which Opus is encoded now, at 8 and at 16 kHz.
    pub fn complexity(&self) -> [u8; 2] {
        self.lines.efforts.complexity()
    }

    /// For what is said on lines.
    pub(crate) fn lines(&self) -> &States {
        &self.lines
    }

    /// For what is only listened to.
    pub(crate) fn listeners(&self) -> &States {
        &self.listeners
    }

    pub(crate) fn mixer(&self) -> Option<Lent<Mixer>> {
        Pool::lend(&self.mixers)
    }

    pub(crate) fn ear(&self) -> Option<Lent<Ear>> {
        let mut lent = Pool::lend(&self.ears)?;
        lent.reset();
        Some(lent)
    }

    pub(crate) fn key(&self) -> Option<Lent<Detector>> {
        let mut lent = Pool::lend(&self.keys)?;
        *lent = Detector::new();
        Some(lent)
    }
}

impl States {
    pub(crate) fn wide(&self) -> Option<Lent<Wide>> {
        let mut lent = Pool::lend(&self.wide)?;
        *lent = Wide::default();
        Some(lent)
    }

    pub(crate) fn encoder(&self, band: Band) -> Option<Lent<LineEncoder>> {
        let mut lent = Pool::lend(&self.encoders[band as usize])?;
        lent.begin();
        Some(lent)
    }

    pub(crate) fn decoder(&self, band: Band) -> Option<Lent<Decoder>> {
        let mut lent = Pool::lend(&self.decoders[band as usize])?;
        lent.reset();
        Some(lent)
    }
}

/// What is lent.
pub(crate) trait Lendable {
    /// It comes back: what was lent to it goes back, too.
    fn come_back(&mut self) {}
}

impl Lendable for Wide {}
impl Lendable for Decoder {}
impl Lendable for Ear {}
impl Lendable for Detector {}

/// Places, and which are free.
#[derive(Debug)]
struct Pool<T> {
    places: Box<[Mutex<Empty<T>>]>,
    /// Of a free place, the next free one.
    next: Box<[AtomicU32]>,
    /// The first free place, and above it how often it has changed: a place that came back is not taken for one that never went.
    first: AtomicU64,
    free: AtomicU32,
}

/// No place.
const NONE: u32 = u32::MAX;

/// Where a state was that is lent, or is.
type Empty<T> = Option<Box<Place<T>>>;

/// A state, and where it belongs: its index, and while it is lent its pool.
#[derive(Debug)]
struct Place<T> {
    value: T,
    at: u32,
    pool: Option<Arc<Pool<T>>>,
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Pool {
            places: Box::default(),
            next: Box::default(),
            first: AtomicU64::new(NONE.into()),
            free: AtomicU32::new(0),
        }
    }
}

impl<T: Lendable> Pool<T> {
    fn new<E>(count: usize, mut make: impl FnMut() -> Result<T, E>) -> Result<Arc<Self>, E> {
        let mut place = |at| {
            let (value, pool) = (make()?, None);
            Ok(Mutex::new(Some(Box::new(Place { value, at, pool }))))
        };
        let places: Result<_, E> = (0..count as u32).map(&mut place).collect();
        let next = (1..=count as u32).map(|at| AtomicU32::new(if at as usize == count { NONE } else { at }));
        Ok(Arc::new(Pool {
            places: places?,
            next: next.collect(),
            first: AtomicU64::new(if count == 0 { NONE.into() } else { 0 }),
            free: AtomicU32::new(count as u32),
        }))
    }

    fn free(&self) -> usize {
        self.free.load(Ordering::Relaxed) as usize
    }

    fn lend(pool: &Arc<Self>) -> Option<Lent<T>> {
        let mut first = pool.first.load(Ordering::Acquire);
        let place = loop {
            let place = first as u32;
            let next = pool.next.get(place as usize)?.load(Ordering::Relaxed);
            match pool.swap(first, next) {
                Ok(()) => break place,
                Err(now) => first = now,
            }
        };
        pool.free.fetch_sub(1, Ordering::Relaxed);
        let mut place = pool.places[place as usize].try_lock().ok()?.take()?;
        place.pool = Some(Arc::clone(pool));
        Some(Lent(Some(place)))
    }

    fn take_back(&self, value: Box<Place<T>>) {
        let place = value.at;
        if let Ok(mut slot) = self.places[place as usize].try_lock() {
            *slot = Some(value);
        }
        let mut first = self.first.load(Ordering::Acquire);
        loop {
            self.next[place as usize].store(first as u32, Ordering::Relaxed);
            match self.swap(first, place) {
                Ok(()) => break,
                Err(now) => first = now,
            }
        }
        self.free.fetch_add(1, Ordering::Relaxed);
    }

    fn swap(&self, from: u64, place: u32) -> Result<(), u64> {
        let to = ((from >> 32).wrapping_add(1) << 32) | u64::from(place);
        self.first
            .compare_exchange_weak(from, to, Ordering::AcqRel, Ordering::Acquire)
            .map(|_| ())
    }
}

/// A state that somebody has. It goes back by itself.
///
/// There until it is dropped. One word, since every leg has room for some.
#[derive(Debug)]
pub(crate) struct Lent<T: Lendable>(Option<Box<Place<T>>>);

impl<T: Lendable> Deref for Lent<T> {
    type Target = T;

    fn deref(&self) -> &T {
        let place = self.0.as_deref().expect("it goes back only when this is dropped");
        &place.value
    }
}

impl<T: Lendable> DerefMut for Lent<T> {
    fn deref_mut(&mut self) -> &mut T {
        let place = self.0.as_deref_mut().expect("it goes back only when this is dropped");
        &mut place.value
    }
}

impl<T: Lendable> Drop for Lent<T> {
    fn drop(&mut self) {
        if let Some(mut place) = self.0.take() {
            place.value.come_back();
            if let Some(pool) = place.pool.take() {
                pool.take_back(place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Lendable for AtomicU32 {}

    #[test]
    fn two_legs_need_what_is_lent_to_them() {
        let sizes = |wide, opus_narrow, opus_wide| Sizes {
            wide,
            opus_narrow,
            opus_wide,
            ..Sizes::default()
        };
        use Codec::{G722, L16, L16Wide, Opus, Pcma, Pcmu};
        for (one, other, needed) in [
            (Pcmu, Pcma, sizes(0, 0, 0)),
            (Pcmu, L16, sizes(0, 0, 0)),
            (Pcmu, L16Wide, sizes(2, 0, 0)),
            (Opus, Opus, sizes(0, 0, 0)),
            (Pcmu, Opus, sizes(0, 1, 0)),
            (L16Wide, Opus, sizes(0, 0, 1)),
            (Pcmu, G722, sizes(2, 0, 0)),
            (G722, G722, sizes(2, 0, 0)),
            (G722, Opus, sizes(2, 0, 1)),
        ] {
            assert_eq!(Sizes::for_two(one, other), needed, "{one:?} {other:?}");
            assert_eq!(Sizes::for_two(other, one), needed, "{other:?} {one:?}");
        }
        assert!(sizes(2, 0, 1).covers(sizes(2, 0, 1)) && !sizes(9, 9, 0).covers(sizes(0, 0, 1)));
    }

    #[test]
    fn each_is_lent_to_one_at_a_time_and_comes_back() {
        let sizes = Sizes {
            wide: 2,
            opus_narrow: 1,
            opus_wide: 0,
            mixers: 1,
            ears: 1,
            keys: 1,
            listeners: 1,
        };
        let coders = Coders::new(sizes, &Settings::default()).expect("settings that libopus has");
        assert_eq!((coders.free(), coders.sizes()), (sizes, sizes));
        let (one, two) = (coders.lines().wide(), coders.lines().wide());
        assert!(one.is_some() && two.is_some() && coders.lines().wide().is_none());
        drop(one);
        assert!(coders.lines().wide().is_some());
        let encoder = coders.lines().encoder(Band::Narrow);
        assert!(encoder.is_some() && coders.lines().encoder(Band::Narrow).is_none());
        assert_eq!(coders.free().opus_narrow, 0);
        assert!(coders.lines().encoder(Band::Wide).is_none());
        let mixer = coders.mixer();
        assert!(mixer.is_some() && coders.mixer().is_none());
        let ear = coders.ear();
        assert!(ear.is_some() && coders.ear().is_none());
        let key = coders.key();
        assert!(key.is_some() && coders.key().is_none());
        drop((two, encoder, mixer, ear, key));
        assert_eq!(coders.free(), sizes);
    }

    #[test]
    fn what_comes_back_has_forgotten_its_last_line() {
        let coders = Coders::new(
            Sizes {
                wide: 1,
                ..Sizes::default()
            },
            &Settings::default(),
        )
        .unwrap();
        let noise: Vec<i16> = (0..640i32).map(|at| (at * 7919 % 20_011 - 10_000) as i16).collect();
        let encode = || {
            let mut payload = [0; 320];
            coders.lines().wide().unwrap().encoder.encode(&noise, &mut payload);
            payload
        };
        assert_eq!(encode(), encode());
    }

    #[test]
    fn a_coder_of_opus_that_comes_back_has_forgotten_its_last_line() {
        let sizes = Sizes {
            opus_narrow: 1,
            ..Sizes::default()
        };
        let coders = Coders::new(sizes, &Settings::default()).unwrap();
        let noise: Vec<i16> = (0..480i32).map(|at| (at * 7919 % 20_011 - 10_000) as i16).collect();
        let encode = || -> Vec<Vec<u8>> {
            let mut encoder = coders.lines().encoder(Band::Narrow).unwrap();
            let packet = |samples: &[i16]| {
                let mut packet = [0; 400];
                let len = encoder.encode(samples, &mut packet).unwrap();
                packet[..len].to_vec()
            };
            noise.chunks(160).map(packet).collect()
        };
        let packets = encode();
        assert_eq!(packets, encode());
        let decode = || {
            let mut decoder = coders.lines().decoder(Band::Narrow).unwrap();
            let mut samples = [[0; 160]; 3];
            for (packet, samples) in packets.iter().zip(&mut samples) {
                decoder.decode(packet, samples).unwrap();
            }
            samples
        };
        assert_eq!(decode(), decode());
    }

    /// Threads take and give back as fast as they can; nobody ever has what another has.
    #[test]
    fn nobody_has_what_another_has() {
        const COUNT: usize = 3;
        let pool = Pool::new(COUNT, || Ok::<_, ()>(AtomicU32::new(0))).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..20_000 {
                        if let Some(lent) = Pool::lend(&pool) {
                            assert_eq!(lent.swap(1, Ordering::Relaxed), 0);
                            std::thread::yield_now();
                            assert_eq!(lent.swap(0, Ordering::Relaxed), 1);
                        }
                    }
                });
            }
        });
        assert_eq!(pool.free(), COUNT);
        let all: Vec<_> = (0..COUNT).map(|_| Pool::lend(&pool)).collect();
        assert!(all.iter().all(Option::is_some));
    }
}
