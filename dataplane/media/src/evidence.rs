//! What each listener really got, measured where the packets pass.

use std::time::Duration;

/// The evidence of one listener over one window. What was not measured is `None`, never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Evidence {
    /// Packets sent to the listener.
    pub sent: u64,
    /// Packets that reached our socket from a source that the row then held, and were neither sent nor superseded:
    /// kernel drops of our socket and failed sends among them. Must be 0.
    pub lost: u64,
    /// Packets that left in another order than they came in. Must be 0.
    pub reordered: u64,
    /// Packets that left twice though they came once. Must be 0.
    pub duplicated: u64,
    /// Jumps of the outgoing sequence number that no upstream loss explains. Must be 0.
    pub sequence_breaks: u64,
    /// Jumps of the outgoing timestamp that neither passed time nor upstream explains. Must be 0.
    pub timestamp_breaks: u64,
    /// Longest time between two packets sent.
    pub longest_gap: Option<Duration>,
    /// At the last change of source: last packet of the old one to first packet of the new one, the longest of the window.
    pub longest_cut: Option<Duration>,
    /// Spans of 300 ms and more below −50 dBm0 in what was sent, from the window's start to the first human word, summed.
    pub dead_air: Option<Duration>,
    /// Comfort noise that stood in for a source that the row held and that fell silent.
    pub concealed: Option<Duration>,
    /// Packets that never reached us, by the gaps in the sources' sequence numbers.
    pub upstream_lost: u64,
    /// Packets that reached us out of order and were passed on so.
    pub upstream_reordered: u64,
    /// Packets that reached us twice and were passed on so.
    pub upstream_duplicated: u64,
    /// Packets of an old source that came after the switch, and were dropped for it.
    pub superseded: u64,
    /// Queued audio that was skipped when a mix went over to relay.
    pub skipped: Option<Duration>,
}
