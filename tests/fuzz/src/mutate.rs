//! Mutations that know lines, numbers and text.

use crate::random::Random;

/// No input is longer: a datagram cannot be, and a stream's reader gives up before.
pub const LENGTH_MAX: usize = 70_000;

/// Where arithmetic goes wrong.
const NUMBERS: &[&str] = &[
    "0",
    "00",
    "1",
    "-1",
    "127",
    "128",
    "255",
    "256",
    "65535",
    "65536",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "340282366920938463463374607431768211456",
    "-9223372036854775809",
    "1e308",
    "+5",
    "0x10",
];

/// Bytes that are no UTF-8, or are rarely meant: cut, overlong, a surrogate, beyond Unicode, a lone continuation, a BOM.
const BROKEN: &[&[u8]] = &[
    b"\xff",
    b"\xc3",
    b"\xc0\xaf",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\x80",
    b"\xef\xbb\xbf",
    "é漢\u{202e}".as_bytes(),
];

const ENDS: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\r\n",
    b"\n\r",
    b"\r\n ",
    b"\r\n\t",
    b"\r\n\r\n",
    b"",
];

/// What parsers split at.
const SPECIAL: &[u8] = b"\0\r\n \t:;,<>@\"\\=%?[]/*{}'";

/// What long tokens are made of.
const LONG: &[u8] = b"a0;,:<\"\\%( \t[";

const LENGTHS: &[usize] = &[1, 16, 127, 128, 255, 256, 1024, 4096, 8191, 8192, 8193, 30_000, 65_535];

/// Input `number` of a target: a member of the corpus with up to six mutations, now and then none.
pub fn input(seed: u64, target: &str, number: u64, corpus: &[Vec<u8>], words: &[&str]) -> Vec<u8> {
    let mut random = Random::of(seed, target, number);
    let mut data = pick(&mut random, corpus).to_vec();
    for _ in 0..random.below(7) {
        mutate(&mut random, &mut data, corpus, words);
        data.truncate(LENGTH_MAX);
    }
    data
}

fn pick<'a>(random: &mut Random, corpus: &'a [Vec<u8>]) -> &'a [u8] {
    corpus.get(random.below(corpus.len())).map_or(&[], Vec::as_slice)
}

fn mutate(random: &mut Random, data: &mut Vec<u8>, corpus: &[Vec<u8>], words: &[&str]) {
    let at = random.below(data.len() + 1);
    match random.below(20) {
        0 | 1 => {
            if let Some(byte) = data.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        2 => {
            if let Some(byte) = data.get_mut(at) {
                *byte = SPECIAL[random.below(SPECIAL.len())];
            }
        }
        3 => insert(data, at, &[random.next() as u8]),
        4 => {
            let end = (at + 1 + random.below(32)).min(data.len());
            data.drain(at.min(end)..end);
        }
        5 => {
            let end = (at + 1 + random.below(64)).min(data.len());
            let part = data[at.min(end)..end].to_vec();
            insert(data, at, &part);
        }
        6 | 7 => double_line(random, data),
        8 => {
            let line = some_line(random, data);
            data.drain(line);
        }
        9 => {
            let line = some_line(random, data);
            let text: Vec<u8> = data.drain(line).collect();
            let to = some_line(random, data).start;
            insert(data, to, &text);
        }
        10 => {
            // The other's head or tail at a point of ours, or at one of our lines.
            let other = pick(random, corpus);
            let from = random.below(other.len() + 1);
            let at = if random.one_in(2) {
                some_line(random, data).start
            } else {
                at
            };
            if random.one_in(2) {
                data.truncate(at);
                data.extend_from_slice(&other[from..]);
            } else {
                let line = some_line(random, other);
                insert(data, at, &other[line]);
            }
        }
        11 | 12 => number(random, data),
        13 => {
            let length = LENGTHS[random.below(LENGTHS.len())];
            let byte = LONG[random.below(LONG.len())];
            // The longest are rare, or nothing else would be done.
            if length < 9000 || random.one_in(8) {
                insert(data, at, &vec![byte; length]);
            }
        }
        14 => insert(data, at, BROKEN[random.below(BROKEN.len())]),
        15 => insert(data, at, &vec![0; 1 + random.below(4)]),
        16 => line_end(random, data),
        17 => data.truncate(at),
        _ => {
            if let Some(word) = words.get(random.below(words.len())) {
                insert(data, at, word.as_bytes());
            }
        }
    }
}

fn insert(data: &mut Vec<u8>, at: usize, what: &[u8]) {
    let at = at.min(data.len());
    data.splice(at..at, what.iter().copied());
}

/// A line with its end.
fn some_line(random: &mut Random, data: &[u8]) -> std::ops::Range<usize> {
    let at = random.below(data.len() + 1);
    let start = data[..at].iter().rposition(|c| *c == b'\n').map_or(0, |feed| feed + 1);
    let end = data[at..]
        .iter()
        .position(|c| *c == b'\n')
        .map_or(data.len(), |feed| at + feed + 1);
    start..end
}

/// A line once more, seldom hundreds of times.
fn double_line(random: &mut Random, data: &mut Vec<u8>) {
    let line = some_line(random, data);
    let text = data[line.clone()].to_vec();
    let times = if random.one_in(40) { 300 } else { 1 };
    let to = if random.one_in(2) {
        line.end
    } else {
        some_line(random, data).start
    };
    insert(data, to, &text.repeat(times));
}

/// A run of digits becomes a number at a boundary.
fn number(random: &mut Random, data: &mut Vec<u8>) {
    let at = random.below(data.len() + 1);
    let Some(first) = data[at..].iter().position(u8::is_ascii_digit).map(|first| at + first) else {
        return;
    };
    let length = data[first..].iter().take_while(|c| c.is_ascii_digit()).count();
    let number = NUMBERS[random.below(NUMBERS.len())];
    data.splice(first..first + length, number.bytes());
}

/// A line's end becomes another one.
fn line_end(random: &mut Random, data: &mut Vec<u8>) {
    let at = random.below(data.len() + 1);
    let Some(feed) = data[at..].iter().position(|c| *c == b'\n').map(|feed| at + feed) else {
        return insert(data, at, ENDS[random.below(ENDS.len())]);
    };
    let start = if feed > 0 && data[feed - 1] == b'\r' {
        feed - 1
    } else {
        feed
    };
    data.splice(start..=feed, ENDS[random.below(ENDS.len())].iter().copied());
}
