//! `[voicemail]`: Baton's own answering machine.

use std::path::PathBuf;
use std::time::Duration;

use super::reader::Table;
use super::values::{prompt, seconds};
use crate::prompts::{BuiltIn, Prompt};

/// `[voicemail]`
#[derive(Clone, Debug)]
pub struct Voicemail {
    /// Where messages are kept.
    pub folder: PathBuf,
    /// What the caller hears before the tone.
    pub greeting: Prompt,
    /// How long a message may be.
    pub max: Duration,
    /// A message ends after so long without speech.
    pub silence: Duration,
    /// Somebody responds within so much opening time.
    pub respond_within: Duration,
}

pub(super) fn read(table: Table<'_, '_>) -> Voicemail {
    let folder = table.string("folder");
    let line = table.line;
    let greeting = prompt(&table, "greeting", BuiltIn::Voicemail);
    if greeting.as_ref().is_some_and(|greeting| greeting.uploaded.is_some()) {
        table.problem(
            line,
            "greeting",
            "must be a WAV file: one that is uploaded is not played here",
        );
    }
    let voicemail = Voicemail {
        folder: table.path(folder.as_ref().map_or("voicemail", |found| &found.value)),
        greeting: greeting.unwrap_or_else(|| BuiltIn::Voicemail.prompt()),
        max: seconds(&table, "max_s", 5..=600, 180),
        silence: seconds(&table, "silence_s", 2..=60, 6),
        respond_within: seconds(&table, "respond_within_h", 1..=720, 4) * 3_600,
    };
    table.finish();
    voicemail
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use calls::config::Machine;

    use super::super::tests::{good, problems};

    #[test]
    fn a_target_that_is_a_machine_has_no_address_and_speaks_one_codec() {
        let config = good("[voicemail]\nfolder = \"box\"\nmax_s = 60\n[[targets]]\nname = \"box\"\nvoicemail = true\n");
        assert!(config.voicemail.folder.ends_with("box"));
        let target = &config.targets[0];
        assert!(target.machine == Some(Machine::Voicemail) && target.next_hop.ip().is_loopback());
        assert_eq!(target.codecs.as_deref(), Some(&[sip::sdp::Encoding::Pcmu][..]));
        for machine in ["voicemail", "callback"] {
            let own = format!("[[targets]]\nname = \"box\"\n{machine} = true\n");
            for key in [
                "uri = \"sip:a@127.0.0.1\"",
                "next_hop = \"127.0.0.1:5070\"",
                "codecs = [\"pcmu\"]",
                "patterns = [\"sip:*@127.0.0.1\"]",
                "briefing = \"prompts/briefing.wav\"",
            ] {
                let found = problems(&format!("{own}{key}\n"));
                let named = format!("is of no use to a {machine}");
                assert!(matches!(&found[..], [one] if one.contains(&named)), "{key}: {found:?}");
            }
            let found = problems(&format!("[media]\ncodecs = [\"opus\"]\n{own}"));
            let named = format!("{machine}: speaks pcmu");
            assert!(matches!(&found[..], [one] if one.contains(&named)), "{found:?}");
        }
        let config = good("[[targets]]\nname = \"line\"\ncallback = true\n");
        assert_eq!(config.targets[0].machine, Some(Machine::Callback));
        let found = problems("[[targets]]\nname = \"both\"\nvoicemail = true\ncallback = true\n");
        assert!(
            matches!(&found[..], [one] if one.contains("it is the one or the other")),
            "{found:?}"
        );
        let found = problems("[voicemail]\ngreeting = { uploaded = \"hello\" }\n");
        assert!(
            matches!(&found[..], [one] if one.contains("must be a WAV file")),
            "{found:?}"
        );
        // Without the key it is a file beside the configuration.
        assert_eq!(
            good("").voicemail.folder,
            Path::new(env!("CARGO_MANIFEST_DIR")).join("voicemail")
        );
    }
}
