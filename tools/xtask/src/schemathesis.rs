//! schemathesis (PyPI) against a running server with one live call: whatever it sends, nothing answers 5xx, and every answer is as
//! `/openapi.json` says.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use crate::install::{self, Missing, Purpose, runs};
use crate::steps::{BUILD, cargo, refuse, release, root, run, target};

/// The version that is known to work.
const PACKAGE: &str = "schemathesis==4.32.5";

/// What must hold of every answer.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance";

const KEY: &str = "admin-key-of-this-run";

/// How long a part may take to be there.
const PATIENCE: Duration = Duration::from_secs(30);

/// Builds, starts everything, and runs it; further options are schemathesis's own.
#[expect(clippy::print_stderr, reason = "the command line speaks to people")]
pub(crate) fn schemathesis(options: &[String]) -> ExitCode {
    let program = match install::packages(Purpose::Build).and_then(|()| program()) {
        Ok(program) => program,
        Err(missing) => return refuse(missing),
    };
    eprintln!("xtask: cargo {}", BUILD.join(" "));
    if run(cargo(&BUILD).current_dir(root())) != ExitCode::SUCCESS {
        return ExitCode::FAILURE;
    }
    match Scene::new() {
        Ok(scene) => scene.run(&program, options),
        Err(why) => {
            eprintln!("xtask: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Where schemathesis is; it is installed where it is not.
#[expect(clippy::print_stderr, reason = "the command line speaks to people")]
fn program() -> Result<PathBuf, Missing> {
    let venv = target().join("tools").join(PACKAGE.replace("==", "-"));
    let program = venv.join("bin/st");
    if runs(&program.to_string_lossy(), &["--version"]) {
        return Ok(program);
    }
    if !runs("python3", &["-c", "import venv, ensurepip"]) {
        let line = "apt-get install -y --no-install-recommends python3-venv";
        return Err(Missing(format!("run this as root, and then the task again: {line}")));
    }
    eprintln!("xtask: pip install {PACKAGE}");
    let made = Command::new("python3").args(["-m", "venv"]).arg(&venv).status();
    let pip = || {
        Command::new(venv.join("bin/pip"))
            .args(["install", "--quiet", PACKAGE])
            .status()
    };
    match made.is_ok_and(|status| status.success()) && pip().is_ok_and(|status| status.success()) {
        true => Ok(program),
        false => Err(Missing(format!("{PACKAGE} cannot be installed in {}", venv.display()))),
    }
}

/// A server with a live call, and a handoff that reached nobody.
struct Scene {
    folder: PathBuf,
    http: SocketAddr,
    call: String,
    handoff: String,
    _parts: Vec<Part>,
}

/// A process that ends with us.
struct Part(Child);

impl Drop for Part {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Scene {
    fn new() -> Result<Scene, String> {
        let folder = target().join("schemathesis");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let (sip, http) = (free_udp()?, free_tcp()?);
        let mut ai = start(party("ai").args(["--say", "", "--limit-s", "3600"]))?;
        let ai_says = ai.0.stdout.take().ok_or("the AI has no output")?;
        let mut ai_says = BufReader::new(ai_says).lines();
        let ai_port = next_with(&mut ai_says, "\"sip\":")?;
        let ai_port = ai_port
            .split("\"sip\":")
            .nth(1)
            .and_then(|rest| rest.split([',', '}']).next());
        let ai_port = ai_port.ok_or("the AI says no port")?.to_owned();
        // Nobody has the port of the target and of the webhook.
        let config = format!(
            "[sip]\nlisten = \"{sip}\"\n[media]\nfirst_port = 31000\nports_per_worker = 8\n[http]\nlisten = \"{http}\"\n\
             [[http.keys]]\nname = \"admin\"\nkey = \"{KEY}\"\nscope = \"admin\"\n[[trunks]]\nname = \"carrier\"\n\
             [[ai_agents]]\nname = \"assistant\"\nuri = \"sip:ai@127.0.0.1:{ai_port}\"\n\
             [[targets]]\nname = \"support\"\nuri = \"sip:human@127.0.0.1:9\"\n\
             [[webhooks]]\nname = \"crm\"\nurl = \"http://127.0.0.1:9/\"\nallow_private = true\nsecrets = [\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"]\n"
        );
        let file = folder.join("baton.toml");
        std::fs::write(&file, config).map_err(|error| error.to_string())?;
        let log = std::fs::File::create(folder.join("server.log")).map_err(|error| error.to_string())?;
        let mut serve = Command::new(release().join("baton"));
        serve.args(["serve", "--config"]).arg(&file).stderr(log);
        let server = start(&mut serve)?;
        wait_for(http)?;
        // It hangs up when it has nothing to say any more, and each prompt that it hears is a sentence to answer.
        let sentences = ["caller-1"; 200].join(",");
        let (to, via) = (format!("sip:shop@{sip}"), sip.to_string());
        let caller = start(party("caller").args([
            "--to",
            &to,
            "--via",
            &via,
            "--say",
            &sentences,
            "--hangup-after-ms",
            "3600000",
            "--limit-s",
            "3600",
        ]))?;
        let call = id(&next_with(&mut ai_says, "call_")?, "call_")?;
        next_with(&mut ai_says, "answered")?;
        std::thread::spawn(move || ai_says.for_each(drop));
        let body = "{\"reason\":\"asked for a human\"}";
        let request = format!(
            "POST /v1/calls/{call}/handoffs HTTP/1.1\r\nHost: {http}\r\nAuthorization: Bearer {KEY}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let handoff = id(&ask(http, &request)?, "ho_")?;
        Ok(Scene {
            folder,
            http,
            call,
            handoff,
            _parts: vec![server, ai, caller],
        })
    }

    /// First with ids that there are (but nobody hangs up), then with whatever it thinks of.
    fn run(&self, program: &Path, options: &[String]) -> ExitCode {
        let file = self.folder.join("schemathesis.toml");
        let known = format!(
            "[[operations]]\ninclude-path-regex = \"^/v1/calls/\"\nparameters = {{ \"path.call\" = \"{}\" }}\n\
             [[operations]]\ninclude-path-regex = \"^/v1/handoffs/\"\nparameters = {{ \"path.id\" = \"{handoff}\" }}\n\
             [[operations]]\ninclude-path-regex = \"^/v1/deliveries/\"\n\
             parameters = {{ \"path.id\" = \"evt_{handoff}_00000001:crm\" }}\n",
            self.call,
            handoff = self.handoff,
        );
        for (text, more) in [
            (known, &["--exclude-operation-id", "hangUp"][..]),
            (String::new(), &[][..]),
        ] {
            if std::fs::write(&file, text).is_err() {
                return ExitCode::FAILURE;
            }
            let mut command = Command::new(program);
            command
                .arg("--config-file")
                .arg(&file)
                .args(["run", &format!("http://{}/openapi.json", self.http)])
                .args(["--header", &format!("Authorization: Bearer {KEY}"), "--checks", CHECKS])
                .args([
                    "--phases",
                    "examples,coverage,fuzzing",
                    "--max-examples",
                    "40",
                    "--seed",
                    "1",
                ])
                .args([
                    "--generation-database",
                    "none",
                    "--suppress-health-check",
                    "all",
                    "--continue-on-failure",
                ])
                // It does not end; the server's own tests read it.
                .args(["--request-timeout", "20", "--exclude-operation-id", "followEvents"])
                .args(more)
                .args(options)
                .current_dir(&self.folder)
                .stdin(Stdio::null());
            let code = run(&mut command);
            if code != ExitCode::SUCCESS {
                return code;
            }
        }
        ExitCode::SUCCESS
    }
}

fn party(role: &str) -> Command {
    let mut command = Command::new(release().join("baton-party"));
    command.arg(role);
    command
}

fn start(command: &mut Command) -> Result<Part, String> {
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let started = command.spawn();
    let name = command.get_program().display().to_string();
    started.map(Part).map_err(|error| format!("{name}: {error}"))
}

/// The next line with this in it.
fn next_with(lines: &mut impl Iterator<Item = std::io::Result<String>>, word: &str) -> Result<String, String> {
    let found = lines.map_while(Result::ok).find(|line| line.contains(word));
    found.ok_or_else(|| format!("a party ended before it said {word}"))
}

/// The first id of this kind in the text: the prefix and 16 hexadecimal digits.
fn id(text: &str, prefix: &str) -> Result<String, String> {
    let digits = |rest: &str| {
        rest.get(..16)
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .map(str::to_owned)
    };
    let found = text.split(prefix).skip(1).find_map(digits);
    found
        .map(|digits| format!("{prefix}{digits}"))
        .ok_or_else(|| format!("no {prefix}… in {text}"))
}

fn wait_for(http: SocketAddr) -> Result<(), String> {
    let begin = Instant::now();
    while TcpStream::connect(http).is_err() {
        if begin.elapsed() > PATIENCE {
            return Err(format!(
                "nobody listens at {http}: see server.log in target/schemathesis"
            ));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn ask(http: SocketAddr, request: &str) -> Result<String, String> {
    let why = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect(http).map_err(why)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(why)?;
    stream.write_all(request.as_bytes()).map_err(why)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(why)?;
    Ok(answer)
}

fn free_udp() -> Result<SocketAddr, String> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
    socket
        .and_then(|socket| socket.local_addr())
        .map_err(|error| error.to_string())
}

fn free_tcp() -> Result<SocketAddr, String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    listener
        .and_then(|listener| listener.local_addr())
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_where_it_is_whole() {
        let text = "{\"call\":\"call_0000\",\"id\":\"call_00112233445566ff\"}";
        assert_eq!(id(text, "call_").as_deref(), Ok("call_00112233445566ff"));
        assert!(id(text, "ho_").is_err());
    }
}
