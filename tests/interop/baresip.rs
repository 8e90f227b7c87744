//! baresip: a softphone with an audio pipeline of its own. It answers by itself, plays a file of speech to whoever it
//! talks with, and writes down what it heard.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use judge::Sound;

use crate::PATIENCE;
use crate::child::Program;
use crate::ports::Ports;
use crate::world::{local, write_wav_at};

/// What it says, over and over.
const SPEECH: &str = "tools/parties/prompts/human-hello.wav";

/// It hangs up where its file ends, so the file is longer than any test.
const SPEECH_TIMES: usize = 40;

/// Where Debian has its modules.
const MODULES: &str = "/usr/lib/baresip/modules";

/// What it speaks: nothing else is in its descriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tongue {
    G711,
    G722,
    Opus,
}

impl Tongue {
    /// Its module, as the codecs of an account name it, and the rate and channels that it records.
    fn words(self) -> (&'static str, &'static str, u32, u16) {
        match self {
            Tongue::G711 => ("g711.so", "pcmu,pcma", 8000, 1),
            Tongue::G722 => ("g722.so", "g722", 16_000, 1),
            Tongue::Opus => ("opus.so", "opus/48000/2", 48_000, 2),
        }
    }
}

/// A running baresip.
pub(crate) struct Baresip {
    program: Program,
    folder: PathBuf,
    tongue: Tongue,
    /// Where it receives SIP.
    pub(crate) at: SocketAddr,
    control: SocketAddr,
}

impl Baresip {
    pub(crate) fn start(ports: &mut Ports, tongue: Tongue, tests_folder: &Path) -> Baresip {
        let (module, codecs, rate, _) = tongue.words();
        let folder = tests_folder.join("baresip");
        std::fs::create_dir_all(&folder).expect("a folder");
        // It takes the port after that of SIP for TLS, whether that is wanted or not.
        let (at, control, audio) = (local(ports.take(2)), local(ports.take(1)), ports.take(8));
        // At the rate of its codec: its own resampler takes away more of speech than any codec does.
        let speech = judge::resampled(Sound::new(&speech(), 8000), rate);
        write_wav_at(&folder.join("speech.wav"), rate, &speech.repeat(SPEECH_TIMES));
        let mut config = String::new();
        let path = folder.display();
        for line in [
            // By itself it offers the address of the first interface that is none of loopback.
            &format!("net_interface {}", at.ip()),
            &format!("sip_listen {at}"),
            &format!("ctrl_tcp_listen {control}"),
            &format!("rtp_ports {audio}-{}", audio + 7),
            &format!("module_path {MODULES}"),
            &format!("module {module}"),
            "module aufile.so",
            "module aubridge.so",
            "module sndfile.so",
            "module_tmp account.so",
            "module_app menu.so",
            "module_app ctrl_tcp.so",
            &format!("audio_source aufile,{path}/speech.wav"),
            // A loudspeaker that is none: without a player it would not decode. What it decodes, sndfile writes down.
            "audio_player aubridge,nobody",
            "audio_alert aubridge,nobody",
            &format!("snd_path {path}"),
            &format!("ausrc_srate {rate}"),
            &format!("auplay_srate {rate}"),
            "ausrc_channels 1",
            "auplay_channels 1",
            "audio_path /nonexistent",
            "call_local_timeout 120",
            "rtcp_mux no",
        ] {
            let _ = writeln!(config, "{line}");
        }
        let account = format!(
            "<sip:support@{}>;regint=0;answermode=auto;audio_codecs={codecs}\n",
            at.ip()
        );
        for (name, text) in [("config", &*config), ("accounts", &account), ("contacts", "")] {
            std::fs::write(folder.join(name), text).expect("a file in our folder");
        }
        let words = ["-f".to_owned(), path.to_string(), "-v".to_owned()];
        let mut phone = Baresip {
            program: Program::start("phone", "baresip", words, tests_folder),
            folder,
            tongue,
            at,
            control,
        };
        // The module for its control is the last one that it loads; SIP is up before.
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(control).is_err() {
            phone.program.assert_running();
            assert!(Instant::now() < end, "baresip is not ready: {}", phone.said());
            std::thread::sleep(Duration::from_millis(10));
        }
        phone
    }

    /// Sends a command by its own protocol: JSON in a netstring. What it answers is of no interest; what it does is.
    pub(crate) fn command(&self, name: &str) {
        let mut stream = TcpStream::connect(self.control).expect("baresip's control");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        let command = format!("{{\"command\":\"{name}\"}}");
        write!(stream, "{}:{command},", command.len()).expect("sent");
        let _ = stream.read(&mut [0; 1024]);
    }

    /// Everything that it heard in its call, which must be over: mono, 8000 Hz.
    pub(crate) fn heard(&self) -> Vec<i16> {
        let is_heard = |path: &PathBuf| path.to_string_lossy().ends_with("-dec.wav");
        let entries = std::fs::read_dir(&self.folder).expect("its folder");
        let mut recordings: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_heard).collect();
        assert_eq!(recordings.len(), 1, "recordings: {recordings:?}");
        let recording = recordings.remove(0);
        let mut reader = hound::WavReader::open(&recording).expect("a recording");
        let (_, _, rate, channels) = self.tongue.words();
        assert_eq!((reader.spec().channels, reader.spec().sample_rate), (channels, rate));
        let samples: Vec<i16> = reader
            .samples::<i16>()
            .step_by(usize::from(channels))
            .map(|sample| sample.expect("a sample"))
            .collect();
        judge::resampled(Sound::new(&samples, rate), 8000)
    }

    /// Lets it end.
    pub(crate) fn finish(&mut self) {
        self.command("quit");
        self.program.wait(PATIENCE);
    }

    pub(crate) fn said(&self) -> String {
        self.program.said()
    }
}

/// What it says once, and 200 ms of a pause.
pub(crate) fn speech() -> Vec<i16> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(SPEECH);
    let mut reader = hound::WavReader::open(&path).expect("the speech of the demo's human");
    let samples = reader.samples::<i16>().map(|sample| sample.expect("a sample"));
    samples.chain([0; 1600]).collect()
}
