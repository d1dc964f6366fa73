use std::fs;
use std::path::PathBuf;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::store::{self, Store};

const NOW_MS: i64 = 1_762_252_200_000;

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("tidegate-audit-{}", uuid::Uuid::now_v7()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn log(&self) -> PathBuf {
        self.0.join("audit.jsonl")
    }

    fn lines(&self) -> Vec<Line> {
        let text = fs::read_to_string(self.log()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn verified(&self) -> (u64, Option<(u64, BrokenLink)>) {
        let (chain, broken) = verify(&*fs::read(self.log()).unwrap()).unwrap();
        (chain.lines(), broken)
    }

    fn names(&self) -> Vec<String> {
        let names =
            fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn ip(last: u8) -> IpAddr {
    [203, 0, 113, last].into()
}

fn refused(last: u8) -> Event {
    Event::new(EventKind::SignInRefused).ip(ip(last)).detail("no")
}

fn chain_of(events: impl IntoIterator<Item = Event>) -> String {
    let mut chain = Chain::default();
    let mut text = String::new();
    for event in events {
        let (line, after) = chain.append(&Told::single(event, NOW_MS));
        text += &line;
        chain = after;
    }
    text
}

#[test]
fn a_line_is_one_json_object_bound_to_the_one_before() {
    let event = Event::new(EventKind::SignIn).user("0x7E5F").ip("::ffff:203.0.113.9".parse().unwrap());
    let text = chain_of([event, refused(1)]);
    let first = text.lines().next().unwrap();
    let (canonical, hash) = first.split_once(",\"hash\":\"").unwrap();
    let zeros = "0".repeat(64);
    let expected = format!(
        "{{\"time\":\"2025-11-04T10:30:00Z\",\"seq\":1,\"event\":\"sign_in\",\"level\":\"info\",\"outcome\":\"ok\",\
         \"user\":\"0x7E5F\",\"ip\":\"203.0.113.9\",\"prev\":\"{zeros}\""
    );
    assert_eq!(canonical, expected);
    let digest = <sha2::Sha256 as sha2::Digest>::digest(format!("{expected}}}"));
    assert_eq!(hash.trim_end_matches("\"}"), alloy_primitives::hex::encode(digest));
    let second: Line = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
    assert_eq!((second.seq, second.prev.as_str()), (2, hash.trim_end_matches("\"}")));
}

#[test]
fn names_in_the_log_are_those_of_the_code() {
    use EventKind::*;
    let kinds = [
        SignIn,
        SignInRefused,
        TokenRefused,
        Connected,
        ConnectionRefused,
        Refresh,
        RefreshReused,
        Logout,
        Revoked,
        OriginRefused,
        Config,
        Opened,
        Damaged,
        Lost,
    ];
    for kind in kinds {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
    }
    for level in [Level::Info, Level::Notice, Level::Warning, Level::Alert] {
        assert_eq!(serde_json::to_value(level).unwrap(), level.as_str());
    }
}

#[test]
fn t_84_whatever_a_peer_sends_stays_one_line_of_ascii() {
    let nasty = "a\r\nb\u{1b}[31m\"\\\u{7f}\u{9b}2J\u{2028}\u{202e}\u{1f600}\0";
    let text = chain_of([Event::new(EventKind::OriginRefused).user(nasty).user_agent(nasty).detail(nasty)]);
    assert_eq!(text.matches('\n').count(), 1);
    assert!(text.trim_end().bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{text}");
    let line: Line = serde_json::from_str(&text).unwrap();
    for kept in [line.user, line.user_agent, line.detail] {
        assert_eq!(kept.as_deref(), Some(nasty));
    }
    let long = chain_of([Event::new(EventKind::Config)
        .user(&"\u{1f600}".repeat(1_000))
        .user_agent(&"\u{1f600}".repeat(1_000))
        .detail(&"\u{1f600}".repeat(1_000))]);
    assert!(long.len() < chain::LINE_MAX_BYTES, "{}", long.len());
    assert_eq!(serde_json::from_str::<Line>(&long).unwrap().user_agent.unwrap().chars().count(), 200);
    assert_eq!(verify(long.as_bytes()).unwrap().1, None);
}

#[test]
fn the_first_broken_link_is_found() {
    let text = chain_of((0..5).map(refused));
    let check = |text: &str| {
        let (chain, broken) = verify(text.as_bytes()).unwrap();
        (chain.lines(), broken)
    };
    assert_eq!(check(&text), (5, None));
    assert_eq!(check(""), (0, None));
    let lines: Vec<_> = text.lines().collect();
    let joined = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    assert_eq!(
        check(&joined(&[lines[0], lines[1], lines[3]])),
        (2, Some((3, BrokenLink::Detached))),
        "removed"
    );
    assert_eq!(check(&joined(&lines[1..])), (0, Some((1, BrokenLink::Detached))), "the beginning removed");
    assert_eq!(check(&joined(&[lines[0], lines[0]])), (1, Some((2, BrokenLink::Detached))), "repeated");
    let changed = text.replacen("203.0.113.2", "203.0.113.7", 1);
    assert_eq!(check(&changed), (2, Some((3, BrokenLink::Changed))));
    assert_eq!(check(&format!("{text}\n")), (5, Some((6, BrokenLink::Malformed))));
    assert_eq!(check(text.trim_end()), (4, Some((5, BrokenLink::CutOff))));
    assert_eq!(check(&format!("{text}{}\n", "x".repeat(100_000))), (5, Some((6, BrokenLink::Malformed))));
}

proptest! {
    #[test]
    fn any_changed_byte_breaks_the_chain(at in any::<prop::sample::Index>(), with in any::<u8>()) {
        let mut bytes = chain_of((0..4).map(refused)).into_bytes();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != with);
        bytes[at] = with;
        prop_assert!(verify(&*bytes).unwrap().1.is_some());
    }

    #[test]
    fn no_log_makes_it_panic(bytes in vec(any::<u8>(), 0..400)) {
        let _ = verify(&*bytes);
    }

    #[test]
    fn a_summary_loses_nothing(
        events in vec((0_i64..4_000, 0_u8..3, any::<bool>()), 0..200),
    ) {
        let (mut summary, mut now_ms, mut told) = (Summary::default(), NOW_MS, Vec::new());
        for (after_ms, last, ok) in &events {
            now_ms += after_ms;
            told.extend(summary.due(now_ms));
            let outcome = if *ok { Outcome::Ok } else { Outcome::Refused };
            told.extend(summary.offer(refused(*last).outcome(outcome), now_ms));
        }
        told.extend(summary.finish());
        let count: u64 = told.iter().map(|told| told.repeated.unwrap_or(1)).sum();
        prop_assert_eq!(count, events.len() as u64);
    }
}

#[test]
fn t_82_a_flood_is_one_line_every_ten_seconds() {
    let mut summary = Summary::default();
    let mut told = Vec::new();
    // 35 s of a hundred refusals a second, and one of another address.
    for step in 0..3_500 {
        let now_ms = NOW_MS + step * 10;
        told.extend(summary.due(now_ms));
        told.extend(summary.offer(refused(1), now_ms));
    }
    told.extend(summary.offer(refused(2), NOW_MS + 35_000));
    let repeated: Vec<_> = told.iter().map(|told| told.repeated).collect();
    let mut expected = vec![None; 10];
    expected.extend([Some(990), Some(1_000), Some(1_000), None]);
    assert_eq!(repeated, expected);
    let last = summary.due(NOW_MS + 40_000);
    assert_eq!((last.len(), last[0].repeated, last[0].ip.as_deref()), (1, Some(500), Some("203.0.113.1")));
    assert_eq!(last[0].event.detail.as_deref(), Some("no"), "what all have in common is kept");
    assert!(summary.due(NOW_MS + 60_000).is_empty(), "the flood is over");
    assert!(summary.offer(refused(1), NOW_MS + 60_001).is_some());
}

#[test]
fn t_82_a_flood_is_told_with_what_its_events_have_in_common() {
    let mut summary = Summary::default();
    for host in 0..30_u8 {
        let ip = format!("2001:db8::{host}").parse().unwrap();
        let event = Event::new(EventKind::TokenRefused).ip(ip).user_agent("same").detail(&host.to_string());
        let _ = summary.offer(event, NOW_MS);
    }
    let told = summary.finish();
    assert_eq!((told.len(), told[0].repeated), (1, Some(20)));
    assert_eq!(told[0].ip.as_deref(), Some("2001:db8::/64"));
    assert_eq!((told[0].event.user_agent.as_deref(), &told[0].event.detail), (Some("same"), &None));
}

#[test]
fn t_82_a_flood_from_many_networks_is_bounded() {
    let mut summary = Summary::default();
    let mut lines = 0;
    for number in 0..20_000_u32 {
        let event = Event::new(EventKind::TokenRefused).ip(std::net::Ipv4Addr::from_bits(number).into());
        lines += summary.offer(event, NOW_MS).iter().len();
    }
    assert_eq!(lines, 1_000 + 10);
    let told = summary.due(NOW_MS + 10_000);
    assert_eq!((told.len(), told[0].repeated, &told[0].ip), (1, Some(18_990), &None));
}

#[test]
fn the_chain_goes_on_over_restarts() {
    let folder = Folder::new();
    for round in 0..3 {
        let audit = Audit::open(&folder.log(), Policy::FailOpen).unwrap();
        audit.clone().record(refused(round));
    }
    assert_eq!(folder.verified(), (6, None));
    let events: Vec<_> = folder.lines().into_iter().map(|line| line.event).collect();
    assert_eq!(events, [EventKind::Opened, EventKind::SignInRefused].repeat(3));
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(folder.log()).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_torn_last_line_is_set_aside_and_the_chain_goes_on() {
    for torn in ["{\"time\":\"2025", "{\"time\":\"2025\"}\n", "\0\0\0\0", "\n"] {
        let folder = Folder::new();
        fs::write(folder.log(), format!("{}{torn}", chain_of((0..3).map(refused)))).unwrap();
        drop(Audit::open(&folder.log(), Policy::FailOpen).unwrap());
        assert_eq!(folder.verified(), (5, None), "{torn:?}");
        let note = &folder.lines()[3];
        assert_eq!((note.event, note.level), (EventKind::Damaged, Level::Alert));
        let name = &folder.names()[1];
        assert!(note.detail.as_ref().unwrap().contains(name), "{note:?}");
        assert_eq!(fs::read_to_string(folder.0.join(name)).unwrap(), torn);
    }
}

#[test]
fn a_log_of_which_nothing_can_be_continued_is_set_aside_as_a_whole() {
    for text in ["hello\nworld\n".to_owned(), "hello".into(), "\0".repeat(200_000), "x\n".repeat(50_000)] {
        let folder = Folder::new();
        fs::write(folder.log(), &text).unwrap();
        drop(Audit::open(&folder.log(), Policy::FailOpen).unwrap());
        assert_eq!(folder.verified(), (2, None));
        assert_eq!(folder.lines()[0].event, EventKind::Damaged);
        assert_eq!(fs::read_to_string(folder.0.join(&folder.names()[1])).unwrap(), text);
    }
}

#[test]
fn two_processes_cannot_write_one_log() {
    let folder = Folder::new();
    let first = Audit::open(&folder.log(), Policy::FailOpen).unwrap();
    let second = Audit::open(&folder.log(), Policy::FailOpen).unwrap_err();
    assert_eq!(second.kind(), io::ErrorKind::ResourceBusy);
    drop(first);
    assert!(Audit::open(&folder.log(), Policy::FailOpen).is_ok());
}

#[tokio::test]
async fn what_is_required_is_on_the_disk_and_never_summarised() {
    let folder = Folder::new();
    let audit = Audit::open(&folder.log(), Policy::FailClosed).unwrap();
    for _ in 0..15 {
        audit.require(Event::new(EventKind::SignIn).ip(ip(1))).await.unwrap();
    }
    assert_eq!(folder.verified(), (16, None));
    for _ in 0..15 {
        audit.record(refused(1));
    }
    drop(audit);
    let lines = folder.lines();
    assert_eq!((lines.len(), lines[26].repeated), (27, Some(5)));
    assert!(Audit::open(PathBuf::new().as_path(), Policy::FailClosed).is_ok(), "no log");
}

/// T-81: `/dev/full` refuses every write as a full disk does.
#[tokio::test]
async fn t_81_on_a_full_disk_the_policy_decides() {
    for (policy, expected) in [(Policy::FailOpen, Ok(())), (Policy::FailClosed, Err(NotWritten))] {
        let folder = Folder::new();
        let writer = Writer::open(&folder.log(), None, NOW_MS).unwrap();
        let audit = Audit::start(writer.on_a_full_disk(), policy).unwrap();
        assert_eq!(audit.require(Event::new(EventKind::SignIn)).await, expected);
        audit.record(refused(1));
        let log = audit.log.as_ref().unwrap().lost.clone();
        drop(audit);
        assert_eq!(log.load(Ordering::Relaxed), 2);
    }
}

#[test]
fn a_write_that_failed_half_way_leaves_nothing_and_what_was_lost_is_told() {
    let folder = Folder::new();
    let writer = Writer::open(&folder.log(), None, NOW_MS).unwrap();
    let lost = writer.lost();
    let audit = Audit::start(writer, Policy::FailOpen).unwrap();
    lost.fetch_add(7, Ordering::Relaxed);
    let mut file = fs::OpenOptions::new().append(true).open(folder.log()).unwrap();
    io::Write::write_all(&mut file, b"{\"time\":\"20").unwrap();
    audit.record(refused(1));
    drop(audit);
    assert_eq!(folder.verified(), (3, None));
    let lines = folder.lines();
    assert_eq!((lines[2].event, lines[2].repeated), (EventKind::Lost, Some(7)));
}

/// The file is the evidence, the store is what is searched: both say the same, floods in one row too.
#[tokio::test]
async fn the_store_gets_a_copy_of_every_line_and_needs_no_file() {
    for with_file in [true, false] {
        let folder = Folder::new();
        let settings = store::Settings {
            rotation_key: store::RotationKey::random(),
            refresh_lifetime_ms: store::REFRESH_LIFETIME_MS,
        };
        let store: Arc<dyn Store> = Arc::new(store::sqlite::SqliteStore::in_memory(settings).unwrap());
        let (sender, rows) = Rows::new();
        let path = if with_file { folder.log() } else { PathBuf::new() };
        let audit = Audit::open_with_rows(&path, Policy::FailOpen, sender).unwrap();
        audit.require(Event::new(EventKind::SignIn).user("0xa").user_agent("curl")).await.unwrap();
        for _ in 0..15 {
            audit.record(refused(1).level(Level::Alert));
        }
        drop(audit);
        rows.keep(Arc::clone(&store)).await;
        let found = store.events(0, None, Level::Info, 100).await.unwrap();
        assert_eq!(found.len(), 13);
        assert_eq!((found[1].kind.as_str(), found[1].outcome.as_str()), ("sign_in", "ok"));
        assert_eq!((found[1].user.as_deref(), found[1].user_agent.as_deref()), (Some("0xa"), Some("curl")));
        assert_eq!((found[12].level, found[12].repeated), (Level::Alert, Some(5)));
        assert_eq!(store.events(0, Some("0xa"), Level::Info, 100).await.unwrap().len(), 1);
        if with_file {
            let lines = folder.lines();
            let told: Vec<_> = lines.iter().map(|line| (line.event.as_str(), line.level)).collect();
            let kept: Vec<_> = found.iter().map(|row| (row.kind.as_str(), row.level)).collect();
            assert_eq!(told, kept);
        }
    }
}
