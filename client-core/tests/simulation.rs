//! Random half-hours of everything that can go wrong, and the invariants at every step of them.
//!
//! `TIDEGATE_SIMULATIONS=80000 cargo test -p tidegate-client-core --release simulation` runs more of them; a
//! failure names its seed, and `TIDEGATE_SEED=…` runs that one alone.

use std::sync::atomic::{AtomicU64, Ordering};

use tidegate_client_core::{FeedStatus, Input, State};
use tidegate_protocol::Feed;

use crate::replay::assert_replays;
use crate::rig::feed;
use crate::world::{Application, Counts, Dice, Network, Say, World};

/// Half-hours in an ordinary test run.
const RUNS: u64 = 2_000;
const HALF_HOUR_MS: u64 = 1_800_000;

/// Feeds that the server has: more than a connection may follow.
fn feeds() -> Vec<Feed> {
    let symbols = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT"];
    let strategies = ["scalp", "momentum", "range_trading"];
    let names = symbols.iter().flat_map(|symbol| strategies.map(|strategy| format!("{symbol}/{strategy}")));
    names.map(|name| feed(&name)).collect()
}

/// Runs one half-hour with faults, and then some minutes without.
fn simulate(seed: u64) -> Counts {
    let mut dice = Dice::new(seed ^ 0xD1CE);
    let feeds = feeds();
    let speed = [1, 1, 1, 10][dice.roll(4) as usize];
    let mut world = World::new(seed, &feeds, speed);
    // Some half-hours are merely lively, some are hell.
    let pause_ms = [60_000, 20_000, 5_000, 1_500][dice.roll(4) as usize];
    world.application.ttl_ms = [900_000, 120_000, 40_000][dice.roll(3) as usize];
    // Less than the client takes for granted before it is told; the server tells it at once.
    world.server.limits.messages_per_minute = [30, 30, 12][dice.roll(3) as usize];
    world.server.limits.subscriptions_per_connection = [10, 10, 4][dice.roll(3) as usize];
    world.input(Input::Connect);
    let end_ms = world.now_ms + HALF_HOUR_MS;
    let mut replayed = false;
    while world.now_ms < end_ms {
        world.run(1 + dice.roll(2 * pause_ms));
        if !world.is_asleep() {
            act_of_user(&mut world, &mut dice, &feeds);
        }
        act_of_god(&mut world, &mut dice);
        replayed = replayed || replay_if_about_to_forget(&world);
    }
    all_is_well(&mut world, &feeds);
    world.oracle.counts
}

/// Plays the report of the client back while it still reaches to the beginning, as late as possible.
fn replay_if_about_to_forget(world: &World) -> bool {
    let report = world.client.debug_report();
    let about_to = report.lines().count() > 150;
    let reaches_back = report.lines().next().is_some_and(|head| head.ends_with(" 0"));
    if about_to && reaches_back {
        assert_replays(&report);
    }
    about_to
}

/// What people, pages and systems do.
fn act_of_user(world: &mut World, dice: &mut Dice, feeds: &[Feed]) {
    let feed = feeds[dice.roll(feeds.len() as u64) as usize];
    match dice.roll(20) {
        0..=4 => world.subscribe(feed),
        5..=8 => world.release(feed),
        9 => {
            // A remount.
            world.subscribe(feed);
            world.release(feed);
            world.subscribe(feed);
        }
        10 => world.input(Input::Hidden),
        11 => world.input(Input::Visible),
        12 => world.input(Input::Offline),
        13 => world.input(Input::Online),
        14 => world.input(Input::Freeze),
        15 => world.input(Input::Thaw),
        16 if dice.one_in(3) => world.input(Input::Disconnect),
        17 if dice.one_in(3) => world.input(Input::NewToken),
        18 => world.hold(feed, dice.roll(20) as usize),
        _ => world.input(Input::Connect),
    }
}

/// What machines, networks, servers and token callbacks do.
fn act_of_god(world: &mut World, dice: &mut Dice) {
    match dice.roll(26) {
        0 => world.network.refuses = true,
        1 => world.network.swallows_dials = true,
        2 => world.network.loses = [20, 200, 1_000][dice.roll(3) as usize],
        3 => world.network.latency_ms = [20, 200, 900][dice.roll(3) as usize],
        4 => world.sever(),
        5 => world.server.mute = true,
        6 => world.server.others = dice.roll(4) as u32,
        7 => world.server.revoke_all(),
        8 => world.sleep(1_000 + dice.roll(300_000)),
        9 => world.application.fails = true,
        10 => world.application.hangs = true,
        11 => world.application.denies = dice.one_in(3),
        12 => world.application.repeats = true,
        13 => world.application.delay_ms = [5_000, 12_000, 40_000][dice.roll(3) as usize],
        14 => world.application.clock_error_ms = [-3_600_000, 3_600_000][dice.roll(2) as usize],
        15 => say_goodbye(world, dice),
        16 => {
            let codes = [1001, 1006, 1011, 1012, 1013, 4000, 4001, 4002, 4003, 4008, 4030, 4250, 4350, 4999];
            let code = codes[dice.roll(codes.len() as u64) as usize];
            world.say(Say::Close { code, reason: "" });
        }
        17 => world.network.conflates = [50, 500][dice.roll(2) as usize],
        // Most of the time something gets better.
        _ => something_heals(world, dice),
    }
}

fn say_goodbye(world: &mut World, dice: &mut Dice) {
    let reconnect_after_ms = dice.roll(20_000);
    world.say(Say::Fact(tidegate_client_core::Fact::GoingAway { reconnect_after_ms }));
    if dice.one_in(2) {
        world.say(Say::Close { code: 1012, reason: "Server restarting" });
    }
}

fn something_heals(world: &mut World, dice: &mut Dice) {
    let ttl_ms = world.application.ttl_ms;
    match dice.roll(4) {
        0 => world.network = Network { latency_ms: 60, ..Network::default() },
        1 => world.application = Application { ttl_ms, ..Application::default() },
        2 => (world.server.mute, world.server.others) = (false, 0),
        _ => {}
    }
}

/// Once faults end, everything wanted is live again, and nothing else is.
fn all_is_well(world: &mut World, feeds: &[Feed]) {
    world.network = Network { latency_ms: 60, ..Network::default() };
    world.application = Application { ttl_ms: 900_000, ..Application::default() };
    (world.server.mute, world.server.others) = (false, 0);
    world.run(10_000);
    world.sleep(0);
    world.heal();
    for input in [Input::Thaw, Input::Online, Input::Visible, Input::Connect] {
        world.input(input);
    }
    world.run(40_000);
    if let State::Blocked(_) = world.client.status().state {
        // The last faults took two fresh tokens in a row: that needs a person.
        world.input(Input::NewToken);
    }
    // Not while a signal is under way.
    let past_ms = world.now_ms % 3_000;
    world.run(180_000 + 4_500 - past_ms);
    assert_eq!(world.client.status().state, State::Live, "{}", world.client.debug_report());
    let wanted: Vec<Feed> =
        world.references.iter().filter(|(_, count)| **count > 0).map(|(feed, _)| *feed).collect();
    let infos: Vec<_> = world.client.feeds().collect();
    assert_eq!(infos.len(), wanted.len(), "{infos:?} of {wanted:?}");
    let live = infos.iter().filter(|info| info.status == FeedStatus::Live).count();
    let queued = infos.iter().filter(|info| info.status == FeedStatus::Queued).count();
    let places = world.server.limits.subscriptions_per_connection as usize;
    let expected = (wanted.len().min(places), wanted.len().saturating_sub(places));
    assert_eq!((live, queued), expected, "{infos:?}");
    let following = world.following();
    assert_eq!(following.len(), live, "the server follows {following:?}");
    for info in infos.iter().filter(|info| info.status == FeedStatus::Live) {
        assert!(following.contains(&info.feed));
        let (seen, truth) = world.positions(info.feed);
        assert_eq!(seen, truth, "{} is behind", info.feed);
    }
    assert!(feeds.len() >= wanted.len());
    let report = world.client.debug_report();
    assert!(!report.contains("secret"), "a secret in the report");
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

#[test]
fn the_invariants_hold_at_every_step_of_random_half_hours() {
    if let Some(seed) = from_environment("TIDEGATE_SEED") {
        println!("{:?}", simulate(seed));
        return;
    }
    let runs = from_environment("TIDEGATE_SIMULATIONS").unwrap_or(RUNS);
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let next = AtomicU64::new(0);
    let work = || {
        let mut totals = [0_u64; 7];
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= runs {
                return totals;
            }
            let result = std::panic::catch_unwind(|| simulate(seed));
            let Ok(counts) = result else { panic!("run it alone with TIDEGATE_SEED={seed}") };
            add(&mut totals, counts);
        }
    };
    let totals = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().fold([0; 7], |mut totals, worker| {
            let part = worker.join().expect("the invariants hold");
            totals.iter_mut().zip(part).for_each(|(total, part)| *total += part);
            totals
        })
    });
    let names = ["steps", "dials", "live", "delivered", "gaps", "backfilled", "duplicates"];
    println!("{runs} half-hours: {:?}", names.iter().zip(totals).collect::<Vec<_>>());
    // A simulation in which nothing happens proves nothing.
    assert!(totals.iter().all(|total| *total > runs / 10), "{totals:?}");
}

fn add(totals: &mut [u64; 7], counts: Counts) {
    let Counts { steps, dials, lives, delivered, gaps, backfilled, duplicates } = counts;
    let counts = [steps, dials, lives, delivered, gaps, backfilled, duplicates];
    totals.iter_mut().zip(counts).for_each(|(total, count)| *total += count);
}

#[test]
fn a_fourth_connection_beside_three_ghosts_takes_over_within_a_second() {
    let btc = feed("BTCUSDT/scalp");
    let mut world = World::new(7, &feeds(), 1);
    // Two places belong to other tabs whose network is gone too; the third is our own ghost.
    world.server.others = 2;
    world.subscribe(btc);
    world.input(Input::Connect);
    world.run(40_000);
    assert_eq!(world.client.status().state, State::Live);
    world.sever();
    world.run(10_000);
    world.input(Input::Visible);
    world.run(3_000);
    let gone_ms = world.now_ms;
    while world.client.status().state != State::Live {
        world.run(10);
        assert!(world.now_ms < gone_ms + 1_000, "{:?}", world.client.status());
    }
    world.run(61_000);
    assert_eq!(world.positions(btc).0, world.positions(btc).1);
}
