//! One session of the Rust SDK from the handshake to a drain and the way back, cut once at every place: before and
//! within the handshake, the sign-in, each subscribe, a signal, an unsubscribe, the farewell of a gateway that stops,
//! a takeover and a replay; in either direction, with and without the gateway knowing.

use tidegate_client_native::Subscription;

use super::*;

/// Longer than it takes to come back after any cut, in virtual time.
const PATIENCE: Duration = Duration::from_secs(300);

/// Sessions of one gateway, one after the other, each of a user of its own.
struct Stage {
    world: Arc<World>,
    published: u64,
    users: usize,
}

impl Stage {
    async fn new() -> Self {
        Self { world: World::new().await, published: FIRST_SEQ, users: 0 }
    }

    fn publish(&mut self, feed: Feed) -> u64 {
        self.published += 1_000;
        self.world.app.hub.publish(feed, self.published, |prev| {
            signal(feed, self.published, prev, "Price trading at EMA.")
        });
        self.published
    }

    fn connect(&mut self) -> Client {
        self.users += 1;
        let (app, user) = (Arc::clone(&self.world.app), format!("0x{:040}", self.users));
        let source = TokenSource::new(move || {
            let jti = Uuid::now_v7().to_string();
            let token = app.tokens.mint(&user, &["user"], "sid", &jti, wall_ms()).token;
            async move { Ok(Token { text: token, expires_in: Some(Duration::from_secs(900)) }) }
        });
        let options = Options::new("ws://test/ws", source);
        Client::connect_with(options, Memory(Arc::clone(&self.world))).expect("a good address")
    }

    /// Plays a session whose first transports live so long, and says what each carried.
    async fn play(&mut self, lives: &[Life]) -> Vec<Carried> {
        self.world.carried.lock().unwrap().clear();
        *self.world.lives.lock().unwrap() = lives.iter().copied().chain([Life::FOREVER; 64]).collect();
        self.publish(feed());
        let client = self.connect();
        let mut reader = Reader::new(client.subscribe(feed()).await.expect("the client lives"));
        reader.read_to(self.published).await;
        reader.read_to(self.publish(feed())).await;
        let mut passing = client.subscribe(other_feed()).await.expect("it lives");
        self.publish(other_feed());
        timeout(PATIENCE, passing.next_signal()).await.expect("in time").expect("a signal");
        drop(passing);
        reader.read_to(self.publish(feed())).await;
        self.world.stop.send_replace(true);
        // Nobody is asked to come back sooner.
        tokio::time::sleep(Duration::from_millis(100)).await;
        self.publish(feed());
        self.world.stop.send_replace(false);
        reader.read_to(self.publish(feed())).await;
        reader.read_to(self.publish(feed())).await;
        // Whoever is back follows what the session is to follow, and nothing else.
        self.world.ghosts.lock().unwrap().clear();
        let settled = timeout(PATIENCE, async {
            while (self.world.app.hub.followers(feed()), self.world.app.hub.followers(other_feed())) != (1, 0)
            {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        settled.await.unwrap_or_else(|_| panic!("{lives:?}: it follows something else in the end"));
        client.close().await;
        while self.world.app.permits.census().connections > 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.world.carried.lock().unwrap().clone()
    }
}

/// Reads one feed and accepts neither a gap nor a duplicate.
struct Reader {
    subscription: Subscription,
    last: Option<u64>,
}

impl Reader {
    fn new(subscription: Subscription) -> Self {
        Self { subscription, last: None }
    }

    async fn read_to(&mut self, wanted: u64) {
        while self.last != Some(wanted) {
            let update = timeout(PATIENCE, self.subscription.next()).await;
            match update.unwrap_or_else(|_| panic!("{wanted} does not come after {:?}", self.last)) {
                Some(Update::Signal(message)) => {
                    let (_, seq, prev) = message.position().expect("a signal");
                    assert!(
                        self.last.is_none_or(|last| prev == last && seq > last),
                        "{seq}, {prev}: {:?}",
                        self.last
                    );
                    self.last = Some(seq);
                }
                Some(Update::Status(_)) => {}
                other => panic!("{other:?} after {:?}", self.last),
            }
        }
    }
}

/// Cuts at every `stride`-th byte that a session's two connections carry, in either direction.
async fn cut_at_every(stride: u64) {
    let mut stage = Stage::new().await;
    let whole = stage.play(&[]).await;
    let [first, second] = whole[..] else { panic!("a session is two connections, not {whole:?}") };
    let mut plans = Vec::new();
    for ghost in [false, true] {
        let life = Life { ghost, ..Life::FOREVER };
        for (before, carried) in [(&[][..], first), (&[Life::FOREVER][..], second)] {
            let downs = (0..carried.down).step_by(usize::try_from(stride).unwrap());
            let ups = (0..carried.up).step_by(usize::try_from(stride).unwrap());
            let cuts = downs.map(|down| Life { down, ..life }).chain(ups.map(|up| Life { up, ..life }));
            plans.extend(cuts.map(|cut| [before, &[cut]].concat()));
        }
    }
    let mut met = 0;
    for plan in &plans {
        let cuts = stage.world.cuts();
        stage.play(plan).await;
        met += stage.world.cuts() - cuts;
    }
    let takeovers = stage.world.app.metrics.takeovers.get("session");
    // Of random lengths a few are shorter in one session than in another, so that a cut falls behind its end.
    assert!(met * 10 >= plans.len() * 9, "{met} of {} cuts", plans.len());
    assert!(takeovers > 0, "no ghost was met");
    println!(
        "figure: a session of {first:?} and {second:?} bytes, cut {met} times, at every byte divisible by {stride}: \
         0 gaps, 0 duplicates, {takeovers} takeovers of ghosts"
    );
}

#[tokio::test(start_paused = true)]
async fn t_66_a_cut_at_any_step_of_the_protocol_changes_nothing_that_a_reader_sees() {
    cut_at_every(29).await;
}

#[tokio::test(start_paused = true)]
#[ignore = "long: cargo xtask test --long"]
async fn long_t_66_a_cut_at_any_byte_of_a_session_changes_nothing_that_a_reader_sees() {
    cut_at_every(1).await;
}
