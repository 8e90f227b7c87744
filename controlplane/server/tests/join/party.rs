//! A party from the test's side: what it is told to do, what it was told, and what it heard.

use std::net::SocketAddr;

use media::codec::g711::Law;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::PATIENCE;
use crate::phone::Phone;
use crate::way::Way;

/// Four µ-law codes, then their negatives: 1000 Hz, at a level that tells the parties apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Voice {
    Caller = 0x10,
    Ai = 0x18,
    Human = 0x20,
}

impl Voice {
    pub(crate) fn payload(self) -> Vec<u8> {
        let code = self as u8;
        [[code; 4], [code | 0x80; 4]].concat().repeat(20)
    }
}

/// What a party does with an INVITE.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Manner {
    Answers,
    /// Until it is told to answer.
    Rings,
    IsBusy,
}

/// What the caller's side does with a REFER.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Carrier {
    Connects,
    Refuses,
    SaysNothingMore,
    /// It takes it, and says how it went when the test wishes.
    Waits,
}

pub(crate) enum Wish {
    /// Call from this number from now on.
    Number(&'static str),
    /// And does this with a REFER.
    Call(SocketAddr, Carrier),
    Answer,
    /// Refuse a call that rings, with this status.
    Refuse(u16),
    HangUp,
    /// A key, by INFO.
    Press(char),
    /// Say how the REFER went that was taken last.
    Report(u16),
    /// Drop every connection that is there; how many these were.
    Cut(oneshot::Sender<usize>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// An INVITE came, with these: the call's id, the handoff's id.
    Invited(Option<String>, Option<String>),
    Up,
    /// A REFER came, with this Refer-To.
    Referred(String),
    /// The other side's BYE.
    Bye,
    Over,
}

/// One packet that was heard.
#[derive(Debug)]
pub(crate) struct Heard {
    /// Of all the legs that the party had, by their number.
    pub(crate) leg: u32,
    pub(crate) ssrc: [u8; 4],
    pub(crate) sequence: u16,
    /// µ-law; nothing where it is something else, as comfort noise.
    pub(crate) audio: Option<Vec<u8>>,
}

/// A party from the test's side.
pub(crate) struct Party {
    pub(crate) at: SocketAddr,
    wishes: UnboundedSender<Wish>,
    pub(crate) signals: UnboundedReceiver<Signal>,
    heard: UnboundedReceiver<Heard>,
    /// The leg, the SSRC and the sequence number of the last packet that was heard.
    line: Option<(u32, [u8; 4], u16)>,
}

impl Party {
    pub(crate) async fn start(voice: Voice, manner: Manner, way: Way) -> Party {
        let (wishes, wished) = mpsc::unbounded_channel();
        let (signal, signals) = mpsc::unbounded_channel();
        let (hear, heard) = mpsc::unbounded_channel();
        let phone = Phone::new(voice, manner, way, signal, hear).await;
        let at = phone.at();
        tokio::spawn(phone.run(wished));
        Party {
            at,
            wishes,
            signals,
            heard,
            line: None,
        }
    }

    pub(crate) fn wish(&self, wish: Wish) {
        assert!(self.wishes.send(wish).is_ok(), "the phone has stopped");
    }

    pub(crate) async fn until(&mut self, wanted: &Signal) {
        while self.next().await != *wanted {}
    }

    pub(crate) async fn next(&mut self) -> Signal {
        let next = timeout(PATIENCE, self.signals.recv()).await;
        next.expect("a signal came").expect("the phone runs")
    }

    /// Drops the connections that it has; how many these were.
    pub(crate) async fn cut(&self) -> usize {
        let (done, cut) = oneshot::channel();
        self.wish(Wish::Cut(done));
        cut.await.expect("the phone runs")
    }

    /// Waits for audio of this voice that has not been received yet.
    pub(crate) async fn hears(&mut self, voice: Voice) {
        self.forget();
        let wanted = Some(voice.payload());
        let heard = async { while self.next_audio().await != wanted {} };
        timeout(PATIENCE, heard)
            .await
            .unwrap_or_else(|_| panic!("{voice:?} was not heard"));
    }

    /// Waits for so many packets of µ-law with exactly these codes, those that came before included.
    pub(crate) async fn hears_codes(&mut self, codes: &[u8], packets: usize) {
        let heard = async {
            for _ in 0..packets {
                while self.next_audio().await.as_deref() != Some(codes) {}
            }
        };
        timeout(PATIENCE, heard).await.expect("these codes were heard");
    }

    /// Waits for audio that is none of the parties'.
    pub(crate) async fn hears_a_prompt(&mut self) {
        let others = [Voice::Caller, Voice::Ai, Voice::Human].map(|voice| Some(voice.payload()));
        let heard = async {
            loop {
                let audio = self.next_audio().await;
                if audio.is_some() && !others.contains(&audio) {
                    return;
                }
            }
        };
        timeout(PATIENCE, heard).await.expect("a prompt was heard");
    }

    /// Waits for half a second of a tone that no voice and no prompt of ours has, which has not been received yet.
    pub(crate) async fn hears_a_tone(&mut self, hz: f64) {
        self.forget();
        let heard = async {
            let mut packets = 0;
            while packets < 25 {
                let audio = self.next_audio().await;
                packets = match audio.is_some_and(|audio| share(&audio, hz) > 0.9) {
                    true => packets + 1,
                    false => 0,
                };
            }
        };
        timeout(PATIENCE, heard)
            .await
            .unwrap_or_else(|_| panic!("no tone of {hz} Hz was heard"));
    }

    /// Not one packet until now.
    pub(crate) fn has_heard_nothing(&mut self) {
        assert!(
            self.heard.try_recv().is_err() && self.line.is_none(),
            "something was heard"
        );
    }

    /// What came until now is of no interest, but that it was one line.
    pub(crate) fn forget(&mut self) {
        while let Ok(heard) = self.heard.try_recv() {
            self.follow(&heard);
        }
    }

    async fn next_audio(&mut self) -> Option<Vec<u8>> {
        let heard = self.heard.recv().await.expect("the phone runs");
        self.follow(&heard);
        heard.audio
    }

    /// What a party hears is one line for as long as its leg lives: one SSRC, and no packet missing, twice or late.
    fn follow(&mut self, heard: &Heard) {
        if let Some((leg, ssrc, sequence)) = self.line
            && leg == heard.leg
        {
            assert_eq!(
                (heard.ssrc, heard.sequence),
                (ssrc, sequence.wrapping_add(1)),
                "{heard:?}"
            );
        }
        self.line = Some((heard.leg, heard.ssrc, heard.sequence));
    }
}

/// How much of what a packet of µ-law has is at one frequency.
fn share(audio: &[u8], hz: f64) -> f64 {
    let mut samples = vec![0; audio.len()];
    Law::Mu.decode(audio, &mut samples);
    let (mut re, mut im, mut all) = (0.0, 0.0, 1.0);
    for (at, sample) in samples.iter().enumerate() {
        let (sin, cos) = (std::f64::consts::TAU * hz / 8_000.0 * at as f64).sin_cos();
        let sample = f64::from(*sample);
        (re, im, all) = (re + sample * cos, im + sample * sin, all + sample * sample);
    }
    2.0 * (re * re + im * im) / (samples.len() as f64 * all)
}
