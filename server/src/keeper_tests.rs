//! A gateway that comes back, and what it finds.

use std::fs;

use tidegate_protocol::{Feed, Pong, ServerMessage, Strategy};

use super::*;
use crate::hub::{Outbox, Position};

struct World {
    folder: PathBuf,
    history: HistoryConfig,
    market: MarketConfig,
}

impl World {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("tidegate-keeper-{}", uuid::Uuid::now_v7()));
        fs::create_dir(&folder).unwrap();
        let history = HistoryConfig { file: folder.join("history"), ..HistoryConfig::default() };
        Self { folder, history, market: MarketConfig::default() }
    }

    /// A start at `now_ms`, before the market's past is computed.
    fn start(&self, now_ms: u64) -> (Arc<Hub>, Keeper) {
        let hub = Arc::new(Hub::new([feed()]));
        let keeper = Keeper::open(&self.history, &self.market, &hub, now_ms).unwrap().expect("it is kept");
        (hub, keeper)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| name != "history.lock");
        names.sort_unstable();
        names
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn feed() -> Feed {
    Feed { symbol: "BTCUSDT".parse().unwrap(), strategy: Strategy::RangeTrading }
}

fn publish(hub: &Hub, seq: u64, text: &str) {
    let message = |prev: u64| Pong { id: seq, server_time: format!("{text} after {prev}") };
    hub.publish(feed(), seq, |prev| ServerMessage::Pong(message(prev)));
}

/// What a client hears that comes back with everything up to `since`.
fn resumed(hub: &Hub, since: u64) -> (bool, Vec<String>) {
    let backlog = hub.follow(feed(), Position::Since(since), &Arc::new(Outbox::default()));
    let text = |frame: &str| match ServerMessage::parse(frame).unwrap() {
        ServerMessage::Pong(pong) => format!("{}: {}", pong.id, pong.server_time),
        other => panic!("{other:?}"),
    };
    (backlog.recovered, backlog.frames.iter().map(|frame| text(frame)).collect())
}

#[tokio::test]
async fn what_was_published_stays_and_only_what_came_after_it_is_computed_anew() {
    let world = World::new();
    let (hub, keeper) = world.start(0);
    hub.begin_after(feed(), 5);
    publish(&hub, 10, "live");
    hub.pass(feed(), 20);
    publish(&hub, 30, "live");
    hub.pass(feed(), 40);
    keeper.save().await.unwrap();
    publish(&hub, 50, "never saved");
    drop((hub, keeper));

    let (hub, _) = world.start(100);
    // The past as it is computed anew: it begins later, and knows less.
    hub.begin_after(feed(), 25);
    publish(&hub, 30, "computed");
    publish(&hub, 40, "computed, although nothing was published then");
    publish(&hub, 50, "computed");
    publish(&hub, 60, "computed");
    let chain = ["30: live after 10", "50: computed after 30", "60: computed after 50"];
    assert_eq!(resumed(&hub, 10), (true, chain.map(str::to_owned).into()));
    assert!(!resumed(&hub, 4).0, "older than what is known");
}

#[tokio::test]
async fn a_longer_absence_than_the_market_can_tell_of_is_a_hole_and_is_told() {
    let world = World::new();
    let (hub, keeper) = world.start(0);
    publish(&hub, 10, "live");
    keeper.save().await.unwrap();
    drop(keeper);
    let (hub, _) = world.start(1_000);
    hub.begin_after(feed(), 500);
    publish(&hub, 530, "computed");
    assert_eq!(resumed(&hub, 10), (false, vec!["530: computed after 0".into()]));
}

#[tokio::test]
async fn a_damaged_file_is_set_aside_and_the_gateway_starts() {
    let world = World::new();
    for damage in [b"".to_vec(), b"rubbish".to_vec(), vec![0; 100_000]] {
        fs::write(&world.history.file, damage).unwrap();
        let (hub, keeper) = world.start(0);
        assert_eq!(world.names(), ["history.damaged"]);
        publish(&hub, 10, "live");
        keeper.save().await.unwrap();
        assert_eq!(world.names(), ["history", "history.damaged"]);
    }
    let (hub, _) = world.start(20);
    assert_eq!(resumed(&hub, 9).1, ["10: live after 0"]);
    let mut bytes = fs::read(&world.history.file).unwrap();
    bytes.truncate(bytes.len() / 2);
    fs::write(&world.history.file, bytes).unwrap();
    let (hub, _) = world.start(20);
    assert_eq!(resumed(&hub, 9), (false, vec![]));
}

#[tokio::test]
async fn the_history_of_another_market_or_of_the_future_is_not_taken_up() {
    let mut world = World::new();
    let (hub, keeper) = world.start(0);
    publish(&hub, 100_000, "live");
    keeper.save().await.unwrap();
    drop(keeper);
    let (hub, _) = world.start(30_000);
    assert_eq!(resumed(&hub, 0).1, [] as [String; 0], "the clock says that this is yet to come");
    world.market.source = "sim:2".into();
    let (hub, _) = world.start(200_000);
    assert_eq!(resumed(&hub, 0).1, [] as [String; 0]);
    assert_eq!(world.names(), ["history.other-market"]);
    world.market.source = "replay:file.csv".into();
    assert!(Keeper::open(&world.history, &world.market, &hub, 0).unwrap().is_none(), "it begins anew");
    world.history.file = PathBuf::new();
    world.market.source = "sim".into();
    assert!(Keeper::open(&world.history, &world.market, &hub, 0).unwrap().is_none(), "no file, no history");
}

#[tokio::test]
async fn a_disk_that_takes_nothing_is_survived() {
    let mut world = World::new();
    world.history.file = world.folder.join("no such folder/history");
    let (hub, keeper) = world.start(0);
    publish(&hub, 10, "live");
    assert!(keeper.save().await.is_err());
    fs::create_dir(world.folder.join("no such folder")).unwrap();
    keeper.save().await.unwrap();
    drop(keeper);
    let (hub, _) = world.start(20);
    assert_eq!(resumed(&hub, 10), (true, vec![]));
}

#[tokio::test]
async fn a_second_gateway_does_not_write_into_the_history_of_the_first() {
    let world = World::new();
    let (hub, first) = world.start(0);
    let refused = Keeper::open(&world.history, &world.market, &hub, 0).expect_err("somebody keeps it");
    let said = refused.to_string();
    assert!(said.contains("TG-HIS-001") && said.contains("another gateway"), "{said}");
    drop(first);
    world.start(0);
}
