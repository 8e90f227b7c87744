//! What is to be done by a handoff.

use std::sync::Arc;

use playbook::decisions::Manner;

use crate::estimate::Said;
use crate::notice::{HandoffId, Trigger};

/// A handoff that was asked for, with everything resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Its id; the window of evidence has the same number.
    pub id: HandoffId,
    /// How it goes. Its mode is the one that was asked for.
    pub manner: Arc<Manner>,
    /// By which line of the playbook's matrix.
    pub decision: Option<Line>,
    /// Whom to try, in order, at least one.
    pub targets: Vec<Choice>,
    /// Why, in the words of whoever asked.
    pub why: String,
    /// The rule of the playbook that asked, where one did.
    pub trigger: Option<Trigger>,
    /// Somebody is asked first where the caller goes.
    pub asks: bool,
    /// The caller is called back: nobody is there who hands off, and nobody to go back to.
    pub back: bool,
    /// The caller's carrier is asked first to do it.
    pub refer: bool,
    /// The AI talks on with the caller until the human is heard. Only where it is cold, and the AI's.
    pub talks_on: bool,
    /// What the caller is told of how long it will take. Nothing where we do not call, or where the AI talks on.
    pub said: Said,
    /// The caller is told first what is to be disclosed.
    pub discloses: bool,
    /// All is there of the context that the manner requires.
    pub complete: bool,
}

/// A line of the playbook's matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its place.
    pub at: usize,
    /// Its name.
    pub name: String,
}

/// What was said of where the caller goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Routed {
    /// To these, in order, at least one; `refer`: the caller's carrier is asked first.
    To {
        /// They.
        targets: Vec<Choice>,
        /// Whether.
        refer: bool,
    },
    /// As it would without asking.
    Unchanged(Unrouted),
}

/// Why nothing is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unrouted {
    /// It was said so.
    Said,
    /// No answer in time.
    Late,
    /// An answer of no use: an error, or no target that there is.
    Useless,
}

impl Unrouted {
    /// As the record shows it.
    pub fn name(self) -> &'static str {
        match self {
            Unrouted::Said => "said",
            Unrouted::Late => "late",
            Unrouted::Useless => "useless",
        }
    }
}

/// Whom to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// An index into the targets of the configuration.
    pub target: usize,
    /// Its name.
    pub name: String,
    /// Whom to call there, where it is not the target's own URI.
    pub uri: Option<String>,
    /// It is a queue: whom to call there is its agents' pool to say.
    pub queued: bool,
    /// It is closed at the time of the trigger, and is not called.
    pub closed: bool,
    /// It is our own answering machine, which nobody has to brief and no join waits for.
    pub machine: bool,
}
