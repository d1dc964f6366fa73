//! Many clients, or a server that refuses for ever: what the network sees of it.

use tidegate_client_core::{Fact, Input, State};

use crate::rig::{Rig, connected, feed};

/// Most dials in any minute of ten, over many clients that meet the same server.
fn most_dials_a_minute(mut meet: impl FnMut(&mut Rig)) -> usize {
    let worst = (0..100).map(|seed| {
        let mut rig = Rig::with_seed(seed);
        rig.subscribe(feed("BTCUSDT/scalp"));
        rig.input(Input::Connect);
        let end_ms = rig.now_ms + 600_000;
        while rig.now_ms < end_ms && rig.client.next_wakeup_ms().is_some() {
            if rig.state() == State::Dialing {
                meet(&mut rig);
            } else {
                rig.pass_to_wakeup();
            }
        }
        let dials_ms = &rig.dials_ms;
        let within_a_minute = |start_ms: &u64| {
            dials_ms.iter().filter(|at_ms| (*start_ms..start_ms + 60_000).contains(at_ms)).count()
        };
        dials_ms.iter().map(within_a_minute).max().unwrap_or(0)
    });
    worst.max().unwrap()
}

fn assert_calm(name: &str, meet: impl FnMut(&mut Rig)) {
    let dials = most_dials_a_minute(meet);
    assert!(dials <= 15, "{name}: {dials} dials in one minute");
}

#[test]
fn a_server_that_refuses_is_dialled_at_most_15_times_a_minute() {
    assert_calm("refused", |rig| rig.close(1006));
}

#[test]
fn a_server_that_accepts_and_drops_is_dialled_at_most_15_times_a_minute() {
    assert_calm("accepted and dropped", |rig| {
        rig.input(Input::Open { socket: rig.socket() });
        rig.pass(20);
        rig.close(1006);
    });
}

#[test]
fn a_flapping_server_is_dialled_at_most_15_times_a_minute() {
    for life_ms in [0, 500, 2_000, 4_900] {
        assert_calm("flapping", |rig| {
            rig.accept();
            rig.pass(life_ms);
            rig.close(1006);
        });
    }
}

#[test]
fn a_connection_limit_is_dialled_at_most_3_times_a_minute() {
    assert!(most_dials_a_minute(|rig| rig.close(4008)) <= 3);
}

#[test]
fn a_bad_token_is_dialled_twice_and_never_again() {
    assert_eq!(most_dials_a_minute(|rig| rig.close(4001)), 2);
}

#[test]
fn a_server_that_finds_every_token_expired_is_dialled_at_most_15_times_a_minute() {
    assert_calm("expired", |rig| rig.close(4002));
}

#[test]
fn a_server_that_accepts_and_revokes_is_dialled_at_most_15_times_a_minute() {
    assert_calm("revoked", |rig| {
        rig.accept();
        rig.close(4001);
    });
}

#[test]
fn a_server_that_sends_everybody_away_at_once_is_dialled_at_most_15_times_a_minute() {
    assert_calm("drain", |rig| {
        rig.accept();
        rig.fact(Fact::GoingAway { reconnect_after_ms: 0 });
        rig.close(1012);
    });
    assert_calm("drain without close", |rig| {
        rig.accept();
        rig.fact(Fact::GoingAway { reconnect_after_ms: 0 });
    });
}

#[test]
fn a_restart_gets_1000_clients_back_over_the_drain_window_and_none_early() {
    let mut dials_ms: Vec<u64> = (0..1_000)
        .map(|seed| {
            let mut rig = Rig::with_seed(seed);
            rig.input(Input::Connect);
            rig.input(Input::Open { socket: rig.socket() });
            rig.fact(connected(900_000));
            rig.pass_healthy(60_000);
            // The server spreads its hints over ten seconds.
            let hint_ms = seed * 10;
            rig.fact(Fact::GoingAway { reconnect_after_ms: hint_ms });
            rig.close(1012);
            let closed_ms = rig.now_ms;
            rig.pass_to_dial();
            let dial_ms = rig.dials_ms[1] - closed_ms;
            assert!(dial_ms >= hint_ms, "{dial_ms} is before {hint_ms}");
            dial_ms
        })
        .collect();
    dials_ms.sort_unstable();
    let busiest = dials_ms.iter().map(|at| dials_ms.iter().filter(|b| (*at..at + 100).contains(b)).count());
    assert!(busiest.max().unwrap() <= 30, "too many in one tenth of a second");
    assert!((10_000..=16_000).contains(&dials_ms[999]), "{}", dials_ms[999]);
}

#[test]
fn clients_of_a_server_that_was_down_for_a_minute_come_back_within_20_seconds_and_without_a_peak() {
    let clients = 2_000;
    let mut back_ms: Vec<u64> = (0..clients)
        .map(|seed| {
            let mut rig = Rig::with_seed(seed * 7_919);
            rig.input(Input::Connect);
            rig.accept();
            rig.pass_healthy(60_000);
            rig.close(1006);
            let up_ms = rig.now_ms + 60_000;
            loop {
                rig.pass_to_dial();
                if rig.now_ms >= up_ms {
                    return rig.now_ms - up_ms;
                }
                rig.close(1006);
            }
        })
        .collect();
    back_ms.sort_unstable();
    assert!(back_ms[1_979] <= 19_000, "p99 is {} ms", back_ms[1_979]);
    let dials = |from_ms: u64| back_ms.iter().filter(|at| (from_ms..from_ms + 100).contains(*at)).count();
    // An even spread over the first seconds would be 20.
    let peak = (0..200).map(|slot| dials(slot * 100)).max().unwrap();
    assert!(peak <= 45, "{peak} dials in one tenth of a second");
}
