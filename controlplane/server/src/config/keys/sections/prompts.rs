//! What is spoken.

use crate::config::keys::{Kind, Section, key};

pub(super) const SECTIONS: &[Section] = &[
    Section {
        name: "prompts",
        kind: Kind::Table,
        about: "WAV files (PCM or float, 4000 to 192000 Hz) in place of those that come with the program. { uploaded = \"NAME\" } is one that \
                is uploaded by PUT /v1/prompts/NAME; until then the one that comes with the program is played.",
        keys: &[
            key(
                "announcement",
                r#""announcement.wav""#,
                "To the caller: you are being connected; then while waiting, repeated.",
            )
            .example(),
            key(
                "disclosure",
                r#""announcement.wav""#,
                "Before it, where the context does not say { disclosure = { told = true } }: what the law wants the caller to be told. \
                 No default: nothing.",
            )
            .example(),
            key("hold", r#""hold.wav""#, "").example(),
            key("briefing", r#""briefing.wav""#, "To the human before the join.").example(),
            key(
                "busy",
                r#""busy.wav""#,
                "To the caller who goes back to the AI: busy, nobody answered, did not work.",
            )
            .example(),
            key("no_answer", r#""no_answer.wav""#, "").example(),
            key("failed", r#""failed.wav""#, "").example(),
            key(
                "after_hours",
                r#""after_hours.wav""#,
                "To the caller who goes back to the AI: every target is closed at this time.",
            )
            .example(),
            key("goodbye", r#""goodbye.wav""#, "To the caller where the AI is gone.").example(),
            key(
                "called_back",
                r#""called_back.wav""#,
                "To the caller who is called back, in place of the announcement.",
            )
            .example(),
            key(
                "estimate_every_s",
                "0",
                "How long it will take is said to who waits for a human: after the announcement, and again after so long, \
                 from 10 to 600. It is the median of the target's last 15 handoffs, less what has passed; nothing is said before \
                 three of them, nor when that time is over. 0: never, so that other announcements keep their voice.",
            ),
            key("estimate_soon", r#""estimate_soon.wav""#, "It takes less than a minute: below 45 s.").example(),
            key(
                "estimate_intro",
                r#""estimate_intro.wav""#,
                "It takes about ...; then the number, with its unit. It is rounded up to the next one that is here, and above the \
                 largest nothing is said. A table of one's own replaces that of the program (1, 2, 3, 5, 10, 15, 20, 30; from 1 \
                 to 120 can be had). What is to be uploaded is left out until it is.",
            )
            .example(),
            key(
                "estimate_minutes",
                r#"{ 1 = "minutes_1.wav", 2 = "minutes_2.wav", 10 = { uploaded = "ten" } }"#,
                "",
            )
            .example(),
            key(
                "place_every_s",
                "30",
                "Its place is said to who waits in a queue, before how long it will take: after the announcement, and again after so \
                 long, from 10 to 600. 0: never.",
            ),
            key(
                "place_intro",
                r#""place_intro.wav""#,
                "Your place in the line is ...; then the number. A place that there is no number for is not said. A table of one's own \
                 replaces that of the program (1 to 10; up to 100 can be had).",
            )
            .example(),
            key(
                "place_numbers",
                r#"{ 1 = "place_1.wav", 2 = "place_2.wav", 11 = { uploaded = "eleven" } }"#,
                "",
            )
            .example(),
        ],
    },
];
