//! The store: from the start to ready with 10,000 handoffs in it, and how long a turn waits for the disk.
//!
//! `cargo bench -p baton-benches --bench store`; on PostgreSQL with `BATON_BENCH_POSTGRES=postgres://USER@HOST/DATABASE`, an empty
//! database. SQLite's file lies beneath cargo's target folder: what is measured is its disk.
#![allow(clippy::print_stdout, reason = "figures are for whoever runs it")]

use std::path::Path;
use std::time::{Duration, Instant};

use server::config::Config;
use server::server::Server;
use server::store::Place;
use server::store::measure::{self, Failure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const HANDOFFS: u32 = 10_000;
const STARTS: usize = 5;
const LENGTH: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("store-bench");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder)?;
    let file = folder.join("baton.db");
    println!("SQLite");
    measure_all(
        &Place::Sqlite(file.clone()),
        &format!("sqlite:{}", file.display()),
        &folder,
    )
    .await?;
    if let Ok(url) = std::env::var("BATON_BENCH_POSTGRES") {
        println!("PostgreSQL");
        measure_all(&Place::Postgres(url.clone()), &url, &folder).await?;
    }
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

async fn measure_all(place: &Place, url: &str, folder: &Path) -> Result<(), Failure> {
    let began = Instant::now();
    measure::fill(place, HANDOFFS).await?;
    println!(
        "  {HANDOFFS} handoffs with their turns and events written in {:.1?}",
        began.elapsed()
    );
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        starts.push(start(url, folder).await?);
    }
    starts.sort();
    println!(
        "  start to ready: median {:.0?}, longest {:.0?}",
        starts[STARTS / 2],
        starts[STARTS - 1]
    );
    let rate = measure::turns_per_second(place, 50_000).await?;
    println!("  turns as fast as it goes: {rate:.0} a second");
    for (turns, handoffs) in [(100, 5), (1000, 50)] {
        let found = measure::latencies(place, turns, handoffs, LENGTH).await?;
        println!(
            "  {turns} turns and {handoffs} handoffs a second: a turn is on the disk after p50 {:.1?}, p99 {:.1?}, longest {:.1?} \
             ({} turns, {} commits)",
            found.percentile(50.0),
            found.percentile(99.0),
            found.percentile(100.0),
            found.count(),
            found.commits,
        );
    }
    Ok(())
}

/// From nothing to `/readyz` with 200.
async fn start(url: &str, folder: &Path) -> Result<Duration, Failure> {
    let text = format!(
        "[node]\ndrain_s = 0\n[sip]\nlisten = \"127.0.0.1:0\"\n[media]\nfirst_port = 30000\nports_per_worker = 64\n\
         [http]\nlisten = \"127.0.0.1:0\"\n[store]\nurl = {url:?}\n"
    );
    let config = Config::from_toml(&text, folder).map_err(|problems| format!("{problems:?}"))?;
    let began = Instant::now();
    let server = Server::start(config).await?;
    let mut answer = String::new();
    let mut stream = TcpStream::connect(server.http()).await?;
    stream
        .write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await?;
    stream.read_to_string(&mut answer).await?;
    let took = began.elapsed();
    server.stop().await;
    match answer.starts_with("HTTP/1.1 200 ") {
        true => Ok(took),
        false => Err(answer.into()),
    }
}
