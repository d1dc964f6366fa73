//! What is written is read again, and nothing else is.

use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};
use tidegate_protocol::{HISTORY_PER_FEED, Strategy};

use super::*;

fn feed(strategy: Strategy) -> Feed {
    Feed { symbol: "BTCUSDT".parse().unwrap(), strategy }
}

fn history(count: u64) -> History {
    let mut history = History::default();
    history.begin_after(5);
    (1..=count).for_each(|number| history.push(number * 10, format!("{{\"seq\":{number}0}}").into()));
    history.pass(count * 10 + 3);
    history
}

fn snapshot(count: u64) -> Snapshot {
    let feeds = Strategy::ALL.map(|strategy| (feed(strategy), history(count)));
    Snapshot { market: "sim:1".into(), feeds: feeds.into() }
}

fn bytes(snapshot: &Snapshot) -> Vec<u8> {
    let body = snapshot.encode();
    [HEAD, &Sha256::digest(&body), &body].concat()
}

/// With a digest that fits, as somebody would write who means harm, or a gateway with a defect.
fn forged(body: &[u8]) -> Result<Snapshot, Unusable> {
    Snapshot::read(&[HEAD, &Sha256::digest(body), body].concat())
}

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("tidegate-snapshot-{}", uuid::Uuid::now_v7()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn what_is_written_is_read(count in 0_u64..1_100, since in 0_u64..11_100) {
        let read = Snapshot::read(&bytes(&snapshot(count))).unwrap();
        prop_assert_eq!(read.market.as_str(), "sim:1");
        prop_assert_eq!(read.feeds.len(), 3);
        let before = history(count);
        for (_, mut after) in read.feeds {
            prop_assert_eq!(after.last(HISTORY_PER_FEED).frames(), before.last(HISTORY_PER_FEED).frames());
            let frames = |history: &History| history.all_after(since).map(|excerpt| excerpt.frames());
            prop_assert_eq!(frames(&after), frames(&before));
            prop_assert_eq!(after.known_until(), before.known_until());
            // And it goes on.
            after.push(count * 10 + 10, "{}".into());
            prop_assert_eq!(after.last_seq(), count * 10 + 10);
        }
    }

    #[test]
    fn a_file_that_was_changed_or_cut_off_is_not_read(
        at in any::<proptest::sample::Index>(),
        bit in 0_u8..8,
        cut in any::<bool>(),
    ) {
        let mut bytes = bytes(&snapshot(40));
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] ^= 1 << bit }
        prop_assert!(Snapshot::read(&bytes).is_err());
    }

    /// Even with a digest that fits, nothing panics and nothing impossible is accepted.
    #[test]
    fn any_body_is_read_or_refused(
        body in proptest::collection::vec(any::<u8>(), 0..400),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let _ = forged(&body);
        let mut body = snapshot(40).encode();
        for (at, byte) in changes {
            let at = at.index(body.len());
            body[at] = byte;
        }
        for (_, history) in forged(&body).map(|read| read.feeds).unwrap_or_default() {
            let frames = history.last(HISTORY_PER_FEED).frames();
            prop_assert!(frames.len() <= HISTORY_PER_FEED && history.last_seq() <= history.known_until());
        }
    }
}

#[test]
fn what_is_something_else_or_of_another_version_is_told_apart() {
    let read = |bytes: &[u8]| Snapshot::read(bytes).unwrap_err();
    assert_eq!(read(b""), Unusable::Foreign);
    assert_eq!(read(b"SQLite format 3"), Unusable::Foreign);
    assert_eq!(read(b"tidegate history 2\nand so on"), Unusable::Version);
    assert_eq!(read(HEAD), Unusable::Damaged);
}

#[test]
fn a_file_is_replaced_as_a_whole() {
    let folder = Folder::new();
    let path = folder.0.join("history");
    for count in [3, 700] {
        snapshot(count).write(&path).unwrap();
        let read = Snapshot::read(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(read.feeds[0].1.last_seq(), count * 10);
    }
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1, "nothing else is left behind");
    assert!(snapshot(1).write(&folder.0.join("no such folder/history")).is_err());
    let aside = set_aside(&path, "damaged").unwrap();
    assert!(aside.ends_with("history.damaged") && aside.exists() && !path.exists());
}

#[test]
fn what_was_kept_before_a_hole_is_forgotten_and_what_reaches_the_start_is_kept() {
    let mut kept = history(4);
    kept.begin_after(43);
    assert_eq!((kept.last_seq(), kept.knows(43), kept.knows(44)), (40, true, false));
    kept.begin_after(44);
    assert_eq!((kept.last_seq(), kept.knows(43), kept.knows(44)), (0, true, false));
}
