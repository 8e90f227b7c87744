//! Where nobody is there.

use crate::config::keys::{Kind, Section, key};

pub(super) const SECTIONS: &[Section] = &[
    Section {
        name: "voicemail",
        kind: Kind::Table,
        about: "The answering machine: of targets with voicemail = true.",
        keys: &[
            key(
                "folder",
                r#""voicemail""#,
                "Where messages are kept, each as a WAV file with a JSON file beside it. It is made where it is not there.",
            ),
            key(
                "greeting",
                r#""voicemail.wav""#,
                "What is said before the tone: a WAV file. Default: the one that comes with the program.",
            )
            .example(),
            key(
                "max_s",
                "180",
                "How long a message may be, seconds. Room for it is taken on the disk before the caller is asked to speak; where there is \
                 none, the next target is tried.",
            ),
            key("silence_s", "6", "A message is over after so long without speech, seconds; or at #."),
            key(
                "respond_within_h",
                "4",
                "Somebody responds within so many hours of opening time, by the hours of the target: events, records and GET /v1/voicemails \
                 say until when (respond_by).",
            ),
        ],
    },
    Section {
        name: "callback",
        kind: Kind::Table,
        about: "Callers who are called back where nobody is there: each is promised a slot in which there is room, and called in it by the \
                trunk that it came by. Slots lie on the clock of those who are to have the caller, within their hours.",
        keys: &[
            key(
                "target",
                r#""support""#,
                "Who is to have the caller. Default: the targets in order that are no machines.",
            )
            .example(),
            key("slot_min", "15", "Minutes of a slot: 1, 5, 6, 10, 15, 20, 30 or 60."),
            key(
                "lead_min",
                "10",
                "No slot begins sooner than so many minutes from now, up to a day. 0: the one that runs counts, too.",
            ),
            key("days_ahead", "7", "… nor later than so many days, from 1 to 30: then there is no callback."),
            key(
                "handle_s",
                "300",
                "Seconds that a talk takes, where nobody knows of any of the agents (GET /v1/agents has handle_s): a slot takes as many \
                 callers as there are agents who may be called for the target, whatever they do now, times its length, through this; one \
                 where there is anybody. A target that is no queue is one human.",
            ),
            key(
                "share",
                "0.5",
                "Of that so much is promised, from 0.01 to 1: the rest is for those who call.",
            ),
            key("attempts", "3", "A caller who is not reached, or whom no human has had, is called so often."),
            key("retry_min", "10", "Minutes between two attempts."),
            key(
                "shared_numbers",
                "false",
                "Several callers may share a number, as behind a switchboard: each has a callback of its own, which another call from there \
                 neither holds up nor keeps. Else who rings again is one and the same: it is not called meanwhile, nor any more once one of \
                 the humans whom it was promised has had it.",
            ),
        ],
    },
    Section {
        name: "callback.prompts",
        kind: Kind::Table,
        about: "What a caller hears who is promised a callback by a target with callback = true.",
        keys: &[
            key("offer", r#""callback_offer.wav""#, r#"What a caller hears who is promised a callback, WAV files: first this, then the day and the times, then choices."#)
            .example(),
            key("instead", r#""callback_instead.wav""#, r#"In place of offer, where it wanted a later time and there is one."#)
            .example(),
            key("no_later", r#""callback_no_later.wav""#, r#"… and where there is none."#)
            .example(),
            key("choices", r#""callback_choices.wav""#, r#"After the times: press 1 or hang up, press 2 for a later time, press 3 for no call."#)
            .example(),
            key("agreed", r#""callback_agreed.wav""#, r#"The last word to who agrees, or says nothing."#)
            .example(),
            key("declined", r#""callback_declined.wav""#, r#"… and to who wants no call."#)
            .example(),
            key("today", r#""callback_today.wav""#, r#"The day. One of the next week or later is said with its date: "on Monday", "the 30th"."#)
            .example(),
            key("tomorrow", r#""callback_tomorrow.wav""#, r#""#)
            .example(),
            key("monday", r#""callback_monday.wav""#, r#""#)
            .example(),
            key("tuesday", r#""callback_tuesday.wav""#, r#""#)
            .example(),
            key("wednesday", r#""callback_wednesday.wav""#, r#""#)
            .example(),
            key("thursday", r#""callback_thursday.wav""#, r#""#)
            .example(),
            key("friday", r#""callback_friday.wav""#, r#""#)
            .example(),
            key("saturday", r#""callback_saturday.wav""#, r#""#)
            .example(),
            key("sunday", r#""callback_sunday.wav""#, r#""#)
            .example(),
            key("between", r#""callback_between.wav""#, r#"The times, twelve hours: "between", "9", "15", "and", "9", "30", "in the morning"."#)
            .example(),
            key("and", r#""callback_and.wav""#, r#""#)
            .example(),
            key("oclock", r#""callback_oclock.wav""#, r#"In place of minutes where there are none."#)
            .example(),
            key("oh", r#""callback_oh.wav""#, r#"Before minutes below ten."#)
            .example(),
            key("night", r#""callback_night.wav""#, r#"From 0 to 5 o'clock."#)
            .example(),
            key("morning", r#""callback_morning.wav""#, r#"Until noon."#)
            .example(),
            key("afternoon", r#""callback_afternoon.wav""#, r#"Until 18 o'clock."#)
            .example(),
            key("evening", r#""callback_evening.wav""#, r#"Until midnight."#)
            .example(),
            key("numbers", r#"{ 9 = "number_9.wav" }"#, "Hours and minutes, 1 to 59; what is not here is said as the program says it.").example(),
            key("dates", r#"{ 31 = "day_31.wav" }"#, "Days of a month, 1 to 31, likewise.").example(),
        ],
    },
];
