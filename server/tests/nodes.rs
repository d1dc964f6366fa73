//! Several gateways on one market behind a balancer: any of them goes on where another stopped.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tidegate_protocol::{Feed, Strategy};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::support::fleet::Fleet;
use crate::support::process::Process;

/// Longer than any wait on purpose, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
const NODES: usize = 3;
/// A signal every half second.
const FAST: &str = "60";
/// One every five seconds, for thousands of clients of debug builds on two cores.
const CALM: &str = "6";

/// Hands connections to gateways in turns, past those that do not answer.
struct Balancer {
    address: SocketAddr,
    nodes: Arc<Mutex<Vec<SocketAddr>>>,
    task: JoinHandle<()>,
}

impl Balancer {
    async fn start(nodes: Vec<SocketAddr>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let nodes = Arc::new(Mutex::new(nodes));
        let task = tokio::spawn(balance(listener, Arc::clone(&nodes)));
        Self { address, nodes, task }
    }

    /// A gateway took the place of another.
    fn replace(&self, node: usize, address: SocketAddr) {
        self.nodes.lock().unwrap()[node] = address;
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn balance(listener: TcpListener, nodes: Arc<Mutex<Vec<SocketAddr>>>) {
    for turn in 0.. {
        let (client, _) = listener.accept().await.expect("there are descriptors");
        let nodes = nodes.lock().unwrap().clone();
        tokio::spawn(async move {
            for step in 0..nodes.len() {
                if let Ok(node) = TcpStream::connect(nodes[(turn + step) % nodes.len()]).await {
                    return hand_over(client, node).await;
                }
            }
        });
    }
}

/// An end without a goodbye is one on the other side too.
async fn hand_over(mut client: TcpStream, mut node: TcpStream) {
    let _ = tokio::io::copy_bidirectional(&mut client, &mut node).await;
}

async fn start(speed: &'static str) -> Process {
    let flags = ["--speed", speed, "--symbols", "BTCUSDT"];
    let started = tokio::task::spawn_blocking(move || Process::start("127.0.0.1:0", &flags, &[])).await;
    started.expect("it does not panic")
}

async fn ended(process: Process) -> Option<i32> {
    tokio::task::spawn_blocking(|| process.wait().code).await.expect("it does not panic")
}

async fn nodes(speed: &'static str) -> (Vec<Process>, Balancer) {
    let mut nodes = Vec::new();
    for _ in 0..NODES {
        nodes.push(start(speed).await);
    }
    let balancer = Balancer::start(nodes.iter().map(|node| node.address).collect()).await;
    (nodes, balancer)
}

fn feed() -> Feed {
    Feed { symbol: "BTCUSDT".parse().unwrap(), strategy: Strategy::Scalp }
}

/// One of three dies without a word; its clients go on with the others.
async fn one_dies(clients: usize, speed: &'static str) {
    let (mut nodes, balancer) = nodes(speed).await;
    let fleet = Fleet::connect(balancer.address, clients, feed());
    fleet.beyond(0, PATIENCE).await;
    let victim = nodes.remove(0);
    victim.signal("KILL");
    assert_eq!(ended(victim).await, None);
    let died = fleet.latest();
    let back = fleet.beyond(died, PATIENCE).await;
    let delivered = fleet.check();
    println!(
        "figure: kill -9 of one node of {NODES} with {clients} clients: all had new signals {back:?} later, \
         {delivered} deliveries, 0 gaps, 0 duplicates"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t_69_ninety_clients_of_three_nodes_miss_nothing_when_one_dies() {
    one_dies(90, FAST).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: cargo xtask test --long"]
async fn long_t_69_three_thousand_clients_of_three_nodes_miss_nothing_when_one_dies() {
    one_dies(3_000, CALM).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t_70_three_nodes_are_replaced_one_after_the_other_and_nobody_misses_a_signal() {
    let (mut nodes, balancer) = nodes(FAST).await;
    let fleet = Fleet::connect(balancer.address, 60, feed());
    fleet.beyond(0, PATIENCE).await;
    let started = Instant::now();
    for (place, node) in nodes.iter_mut().enumerate() {
        let fresh = start(FAST).await;
        balancer.replace(place, fresh.address);
        let old = std::mem::replace(node, fresh);
        old.signal("TERM");
        assert_eq!(ended(old).await, Some(0));
        fleet.beyond(fleet.latest(), PATIENCE).await;
    }
    let delivered = fleet.check();
    println!(
        "figure: {NODES} nodes replaced under 60 clients in {:?}: {delivered} deliveries, 0 gaps, 0 duplicates",
        started.elapsed()
    );
}
