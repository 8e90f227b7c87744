//! A node among peers that speak SIP by endpoints of their own, with a data plane that only says yes.

mod auth;
mod bytes;
mod codecs;
mod conserve;
mod exchange;
mod failure;
mod families;
mod join;
mod keys;
mod load;
mod moving;
mod mux;
mod plane;
mod refer;
mod second;
mod spare;
mod standing;
mod start;
mod states;
mod supervise;
mod talks_on;
mod told;
mod transfer;
mod world;

use super::*;
use crate::notice::{End, HandoffId, Outcome, Step, What};
use crate::request::HandoffRequest;
use media::command::{Codec, Command, Dtmf, Event as Media, LegId, LegSpec, PlayId, PromptId};
use playbook::context::{Role, Turn, TurnDecision};
use playbook::{Accept, Mode, Playbook};
use serde_json::json;
use sip::endpoint::Invite;
use sip::sdp::{Direction, Encoding, Local};
use states::*;
use std::time::Duration;
use world::*;
