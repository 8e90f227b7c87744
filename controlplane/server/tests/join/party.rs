//! A party from the test's side: what it is told to do, what it was told, and what it heard.

use std::net::SocketAddr;

use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::time::timeout;

use crate::PATIENCE;
use crate::phone::Phone;

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
    IsBusy,
}

/// What the caller's side does with a REFER.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Carrier {
    Connects,
    Refuses,
    SaysNothingMore,
}

pub(crate) enum Wish {
    /// And does this with a REFER.
    Call(SocketAddr, Carrier),
    HangUp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// An INVITE came, with these: the call's id, the handoff's id.
    Invited(Option<String>, Option<String>),
    Up,
    /// The other side's BYE.
    Bye,
    Over,
}

/// A party from the test's side.
pub(crate) struct Party {
    pub(crate) at: SocketAddr,
    wishes: UnboundedSender<Wish>,
    pub(crate) signals: UnboundedReceiver<Signal>,
    pub(crate) heard: UnboundedReceiver<Vec<u8>>,
}

impl Party {
    pub(crate) async fn start(voice: Voice, manner: Manner) -> Party {
        let (wishes, wished) = mpsc::unbounded_channel();
        let (signal, signals) = mpsc::unbounded_channel();
        let (hear, heard) = mpsc::unbounded_channel();
        let phone = Phone::new(voice, manner, signal, hear).await;
        let at = phone.at();
        tokio::spawn(phone.run(wished));
        Party {
            at,
            wishes,
            signals,
            heard,
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

    /// Waits for audio of this voice that has not been received yet.
    pub(crate) async fn hears(&mut self, voice: Voice) {
        while self.heard.try_recv().is_ok() {}
        let heard = async { while self.heard.recv().await.expect("the phone runs") != voice.payload() {} };
        timeout(PATIENCE, heard)
            .await
            .unwrap_or_else(|_| panic!("{voice:?} was not heard"));
    }

    /// Waits for audio that is none of the parties'.
    pub(crate) async fn hears_a_prompt(&mut self) {
        let voices = [Voice::Caller, Voice::Ai, Voice::Human].map(Voice::payload);
        let heard = async { while voices.contains(&self.heard.recv().await.expect("the phone runs")) {} };
        timeout(PATIENCE, heard).await.expect("a prompt was heard");
    }
}
