use super::*;

fn library() -> (Prompts, PromptId) {
    let mut prompts = Prompts::new();
    let samples: Vec<i16> = (0..1000).map(|at| (at * 31) as i16).collect();
    let id = prompts.add("hold", &samples).unwrap();
    (prompts, id)
}

#[test]
fn is_encoded_for_each_codec_at_load() {
    let (prompts, id) = library();
    for law in Law::ALL {
        let mut samples = [0; 1000];
        law.decode(prompts.encoded(id, law).unwrap(), &mut samples);
        for (at, sample) in samples.into_iter().enumerate() {
            let original = at as i32 * 31;
            assert!(
                (i32::from(sample) - original).abs() <= original / 16 + 8,
                "{law:?} {at}"
            );
        }
    }
    assert_eq!(prompts.duration(id), Some(Duration::from_millis(125)));
    assert_eq!(prompts.find("hold"), Some(id));
    assert_eq!(prompts.find("other"), None);
}

#[test]
fn an_empty_prompt_is_refused() {
    assert_eq!(Prompts::new().add("nothing", &[]), None);
}

#[test]
fn any_packet_time_plays_the_whole_prompt_once() {
    let (prompts, id) = library();
    let whole = prompts.encoded(id, Law::A).unwrap();
    for ptime in [10, 20, 30, 40] {
        let mut payload = vec![0; 8 * ptime];
        let (mut played, mut offset) = (Vec::new(), 0);
        loop {
            payload.fill(0xee);
            let progress = prompts.fill(id, Law::A, offset, false, &mut payload).unwrap();
            played.extend_from_slice(&payload[..progress.filled]);
            // The rest is left to whoever comes next.
            assert!(payload[progress.filled..].iter().all(|&byte| byte == 0xee));
            assert_eq!(progress.offset, offset + progress.filled);
            assert_eq!(progress.ended, progress.offset == whole.len());
            offset = progress.offset;
            if progress.ended {
                break;
            }
        }
        assert_eq!(played, whole, "{ptime} ms");
    }
}

#[test]
fn a_repeated_prompt_has_no_gap() {
    let (prompts, id) = library();
    let whole = prompts.encoded(id, Law::Mu).unwrap();
    let mut payload = [0; 160];
    let (mut played, mut offset, mut ends) = (Vec::new(), 0, 0);
    for _ in 0..25 {
        let progress = prompts.fill(id, Law::Mu, offset, true, &mut payload).unwrap();
        assert_eq!(progress.filled, payload.len());
        played.extend_from_slice(&payload);
        ends += u32::from(progress.ended);
        offset = progress.offset;
    }
    assert_eq!(played, whole.repeat(4));
    assert_eq!(ends, 4);
}

#[test]
fn a_prompt_shorter_than_a_packet_is_repeated_within_it() {
    let mut prompts = Prompts::new();
    let id = prompts.add("click", &[0, 8000, -8000]).unwrap();
    let mut payload = [0; 160];
    let progress = prompts.fill(id, Law::Mu, 0, true, &mut payload).unwrap();
    assert_eq!(
        progress,
        Progress {
            filled: 160,
            offset: 1,
            ended: true
        }
    );
    let click = prompts.encoded(id, Law::Mu).unwrap();
    assert!(payload.iter().enumerate().all(|(at, &byte)| byte == click[at % 3]));
}

#[test]
fn past_the_end_or_unknown_fills_nothing() {
    let (prompts, id) = library();
    let mut payload = [7; 160];
    let progress = prompts.fill(id, Law::Mu, 5000, false, &mut payload).unwrap();
    assert_eq!(
        progress,
        Progress {
            filled: 0,
            offset: 1000,
            ended: true
        }
    );
    assert_eq!(prompts.fill(PromptId(1), Law::Mu, 0, false, &mut payload), None);
    assert_eq!(payload, [7; 160]);
}

#[test]
fn what_comes_later_is_played_and_what_was_there_stays() {
    let mut prompts = Prompts::new();
    let first = prompts.add("first", &[1; 160]).expect("room");
    prompts.reserve(1);
    assert_eq!(prompts.add("too late", &[1; 160]), None);
    let second = prompts.add_later("second", &[2000; 320]).expect("room");
    assert_ne!(first, second);
    assert_eq!(prompts.duration(first), Some(Duration::from_millis(20)));
    assert_eq!(prompts.duration(second), Some(Duration::from_millis(40)));
    assert_eq!(prompts.add_later("no room", &[3; 160]), None);
    assert_eq!(prompts.add_later("empty", &[]), None);
    assert_eq!(prompts.duration(PromptId(second.0 + 1)), None);
}
