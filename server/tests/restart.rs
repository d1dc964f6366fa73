//! Gateways that are killed, stopped and started again, as processes, with clients that stay.

use std::time::{Duration, Instant};

use tidegate_protocol::{Feed, Strategy};
use tokio::net::TcpStream;

use crate::command_line::Folder;
use crate::support::fleet::Fleet;
use crate::support::process::Process;
use crate::support::raw::Raw;

/// Longer than any wait on purpose, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// A signal every half second.
const FAST: [&str; 4] = ["--speed", "60", "--symbols", "BTCUSDT"];
/// One every five seconds: for thousands of clients two a second are more than two busy cores can hand out and read,
/// in debug builds, and what is measured is how clients come back.
const CALM: [&str; 4] = ["--speed", "6", "--symbols", "BTCUSDT"];

fn feed() -> Feed {
    Feed { symbol: "BTCUSDT".parse().unwrap(), strategy: Strategy::Scalp }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("it does not panic")
}

/// A gateway at the address of another, which has just ended.
async fn start_again(address: String, file: String) -> Process {
    start_with(FAST, address, file).await
}

async fn start_with(flags: [&'static str; 4], address: String, file: String) -> Process {
    blocking(move || Process::start(&address, &flags, &[("TIDEGATE_HISTORY__FILE", &file)])).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t_66_a_gateway_that_is_killed_leaves_no_gap() {
    let folder = Folder::new();
    let file = folder.path("history");
    let mut process = start_again("127.0.0.1:0".into(), file.clone()).await;
    let address = process.address;
    let fleet = Fleet::connect(address, 30, feed());
    fleet.beyond(0, PATIENCE).await;
    for _ in 0..2 {
        fleet.beyond(fleet.latest() + 60_000, PATIENCE).await;
        process.signal("KILL");
        assert_eq!(blocking(|| process.wait()).await.code, None);
        process = start_again(address.to_string(), file.clone()).await;
        let back = fleet.beyond(fleet.latest() + 30_000, PATIENCE).await;
        println!("figure: after kill -9, 30 clients had new signals within {back:?} of the start");
    }
    let delivered = fleet.check();
    println!("figure: kill -9 twice: {delivered} deliveries, 0 gaps, 0 duplicates");
    drop(fleet);
    process.signal("TERM");
    let ended = blocking(|| process.wait()).await;
    assert!(ended.log.contains("the history goes on from where it was saved"), "{}", ended.log);
}

async fn drain(clients: usize) {
    let folder = Folder::new();
    let file = folder.path("history");
    let process = start_again("127.0.0.1:0".into(), file.clone()).await;
    let address = process.address;
    let fleet = Fleet::connect(address, clients, feed());
    fleet.beyond(0, PATIENCE).await;
    process.signal("TERM");
    let ended = blocking(|| process.wait()).await;
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert!(ended.after < Duration::from_secs(10), "{:?}", ended.after);
    assert_eq!(ended.log.matches("code=1012").count(), clients, "each was told");
    let process = start_again(address.to_string(), file).await;
    let back = fleet.beyond(fleet.latest() + 30_000, PATIENCE).await;
    let delivered = fleet.check();
    println!(
        "figure: SIGTERM with {clients} clients: left with exit code 0 after {:?}, all were back {back:?} after \
         the new start, {delivered} deliveries, 0 gaps, 0 duplicates",
        ended.after
    );
    drop(fleet);
    process.signal("KILL");
    blocking(|| process.wait()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t_68_a_stopping_gateway_sends_sixty_clients_away_and_none_loses_a_signal() {
    drain(60).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: cargo xtask test --long"]
async fn long_t_68_a_stopping_gateway_sends_a_thousand_clients_away_and_none_loses_a_signal() {
    drain(1_000).await;
}

#[tokio::test]
async fn a_second_signal_ends_the_gateway_at_once() {
    let process = blocking(|| Process::start("127.0.0.1:0", &FAST, &[])).await;
    // A request whose body never comes holds a stopping gateway up for seconds.
    let mut stuck = Raw::connect(process.address).await;
    let head = "POST /api/auth/refresh HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\
                expect: 100-continue\r\n\r\n";
    stuck.send(head).await;
    assert_eq!(stuck.answer().await.status, 100, "the gateway waits for the body");
    let started = Instant::now();
    process.signal("TERM");
    while TcpStream::connect(process.address).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    process.signal("TERM");
    let ended = blocking(|| process.wait()).await;
    assert_eq!(ended.code, Some(1), "{}", ended.log);
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_damaged_history_is_set_aside_and_said_and_the_gateway_runs() {
    let folder = Folder::new();
    let file = folder.path("history");
    std::fs::write(&file, "tidegate history 1\nand then rubbish").unwrap();
    let process = start_again("127.0.0.1:0".into(), file.clone()).await;
    process.signal("TERM");
    let ended = blocking(|| process.wait()).await;
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert!(ended.log.contains("it is damaged") && ended.log.contains("history.damaged"), "{}", ended.log);
    let written = std::fs::read(&file).expect("a new one");
    assert!(written.starts_with(b"tidegate history 1\n"));
    assert_eq!(std::fs::read(format!("{file}.damaged")).unwrap(), b"tidegate history 1\nand then rubbish");
}

/// The server dies under so many clients. All of them come back by themselves, none faster than it can let in.
async fn storm(clients: usize, flags: [&'static str; 4], patience: Duration) {
    let folder = Folder::new();
    let file = folder.path("history");
    let process = start_with(flags, "127.0.0.1:0".into(), file.clone()).await;
    let address = process.address;
    let fleet = Fleet::connect(address, clients, feed());
    fleet.beyond(0, patience).await;
    process.signal("KILL");
    blocking(|| process.wait()).await;
    let died = fleet.latest();
    let process = start_with(flags, address.to_string(), file).await;
    let back = fleet.beyond(died, patience).await;
    let delivered = fleet.check();
    println!(
        "figure: reconnect storm: {clients} clients were all back {back:?} after the new start, {delivered} \
         deliveries, 0 gaps, 0 duplicates"
    );
    drop(fleet);
    process.signal("KILL");
    let ended = blocking(|| process.wait()).await;
    assert!(!ended.log.contains("panicked"), "{}", ended.log);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t_40_a_hundred_and_fifty_clients_come_back_from_a_server_that_died() {
    storm(150, FAST, PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: cargo xtask test --long"]
async fn long_t_40_five_thousand_clients_come_back_from_a_server_that_died() {
    storm(5_000, CALM, Duration::from_secs(600)).await;
}
