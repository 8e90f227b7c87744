//! A call as the API shows it.

use media::command::{Heard, LegSpec};

use crate::leg::Leg;
use crate::node::{Live, Node};
use crate::request::{CallView, LegView};
use crate::spec::prompt_name;

impl Node {
    pub(super) fn view(&self, live: &Live) -> CallView {
        let agent = live
            .agents
            .get(live.agent)
            .and_then(|agent| live.config.ai_agents.get(*agent));
        CallView {
            id: live.id.to_string(),
            state: live.call.name().to_owned(),
            trunk: live.trunk.clone(),
            ai_agent: agent.map(|agent| agent.name.clone()).unwrap_or_default(),
            caller: live.caller.clone(),
            handoff: live.call.open().map(|handoff| handoff.to_string()),
            legs: live.legs.iter().map(|leg| self.leg_view(live, leg)).collect(),
        }
    }

    fn leg_view(&self, live: &Live, leg: &Leg) -> LegView {
        let row = live.desired.spec().legs.iter().find(|row| row.leg == leg.id);
        let codec = live.codec(leg);
        LegView {
            party: leg.party.name().to_owned(),
            state: leg.state.name().to_owned(),
            sip_call_id: leg.call_id.clone(),
            codec: codec.map(|(name, _)| name.to_owned()),
            codec_reason: codec.map(|(_, why)| why.to_owned()),
            hears: row.map_or_else(|| "nothing".to_owned(), |row| self.hears(live, row)),
        }
    }

    /// What the row is served by, as the table of [`media::command::Hears`] says.
    fn hears(&self, live: &Live, row: &LegSpec) -> String {
        if !row.send || row.remote.is_none() {
            return "nothing".to_owned();
        }
        if let Some(play) = &row.hears.play {
            let done = live
                .played
                .iter()
                .find(|(id, _)| *id == play.id)
                .map_or(0, |(_, item)| usize::from(*item) + 1);
            let last = play.queue.len().saturating_sub(1);
            let item = if play.repeat_last { done.min(last) } else { done };
            if let Some(prompt) = play.queue.get(item) {
                return format!("play({})", prompt_name(*prompt, &live.config));
            }
        }
        let heard = |heard: &Heard| {
            let name = live.parties.get(usize::from(heard.leg.0)).map_or("", |who| who.name());
            match heard.gain_db {
                0 => name.to_owned(),
                gain => format!("{name} {gain:+} dB"),
            }
        };
        let source = match &row.hears.legs[..] {
            [] => None,
            [one] if one.gain_db == 0 => Some(one.leg),
            several => {
                let names: Vec<String> = several.iter().map(heard).collect();
                return format!("mix({})", names.join(", "));
            }
        };
        let Some(source) = source.and_then(|id| live.desired.spec().legs.iter().find(|leg| leg.leg == id)) else {
            return "comfort".to_owned();
        };
        // By what was agreed: what is sent in longer packets than the listener takes goes through a mixer.
        let path = if row.maxptime_ms.is_some_and(|most| source.ptime_ms > most) {
            "mix"
        } else if source.format.codec == row.format.codec {
            "relay"
        } else {
            "transcode"
        };
        let name = live.parties.get(usize::from(source.leg.0)).map_or("", |who| who.name());
        format!("{path}({name})")
    }
}
