//! The task of one client: turns the crank of the core. Owns its socket, its timer and its token request, and
//! decides nothing.

use std::collections::{HashMap, VecDeque};
use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use tidegate_client_core::{
    Action, Client as Core, Event, Fact, FeedId, Input, Options as CoreOptions, Output, RequestId, SocketId,
    Status, Verdict, Warning,
};
use tidegate_protocol::{CloseCode, Feed, ServerMessage};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_tungstenite::tungstenite::handshake::client::Request;

use crate::convert;
use crate::options::TokenFuture;
use crate::transport::{Incoming, Socket};
use crate::{Dial, Options, Token, TokenError, TokenSource, Update};

/// Warnings that a slow reader may be behind.
const WARNINGS: usize = 32;
/// The timer while nothing is due.
const FAR: Duration = Duration::from_secs(86_400);

/// What a program wants of its client.
#[derive(Debug)]
pub(crate) enum Command {
    Subscribe { feed: Feed, reply: oneshot::Sender<(VecDeque<Update>, broadcast::Receiver<Update>)> },
    Release(Feed),
    Reconnect,
    NewToken,
    Report(oneshot::Sender<String>),
    Close(oneshot::Sender<()>),
}

pub(crate) struct Driver<D: Dial> {
    core: Core,
    started: Instant,
    dial: D,
    request: Request,
    source: TokenSource,
    buffer: usize,
    commands: mpsc::UnboundedReceiver<Command>,
    fetch: Option<(RequestId, TokenFuture)>,
    link: Link<D::Io>,
    feeds: HashMap<Feed, Line>,
    status: watch::Sender<Status>,
    warnings: broadcast::Sender<Warning>,
}

/// The one socket.
enum Link<Io> {
    None,
    Dialing(SocketId, Pin<Box<dyn Future<Output = Linked<Io>> + Send>>),
    Open(SocketId, Box<Socket<Io>>),
}

/// What became of a dial.
type Linked<Io> = Result<Box<Socket<Io>>, CloseCode>;

/// One feed, and its readers.
struct Line {
    id: FeedId,
    updates: broadcast::Sender<Update>,
    latest: Option<Arc<ServerMessage>>,
}

/// What a wait ended with.
enum Happened<Io> {
    Command(Option<Command>),
    Linked(SocketId, Linked<Io>),
    Heard(SocketId, Incoming),
    Token(RequestId, Result<Token, TokenError>),
    Tick,
}

impl<D: Dial> Driver<D> {
    pub(crate) fn new(
        core: CoreOptions,
        options: Options,
        request: Request,
        dial: D,
        commands: mpsc::UnboundedReceiver<Command>,
    ) -> Self {
        let core = Core::new(core);
        let status = watch::Sender::new(core.status());
        Self {
            core,
            started: Instant::now(),
            dial,
            request,
            source: options.token,
            buffer: options.buffer.max(1),
            commands,
            fetch: None,
            link: Link::None,
            feeds: HashMap::new(),
            status,
            warnings: broadcast::Sender::new(WARNINGS),
        }
    }

    pub(crate) fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    pub(crate) fn warnings(&self) -> broadcast::Sender<Warning> {
        self.warnings.clone()
    }

    /// Runs until the client is closed, or nobody holds it any more.
    pub(crate) async fn run(mut self) {
        let mut timer = pin!(sleep_until(self.started + FAR));
        self.input(Input::Connect);
        loop {
            self.set_timer(timer.as_mut());
            let happened = tokio::select! {
                command = self.commands.recv() => Happened::Command(command),
                happened = self.link.next() => happened,
                (request, token) = next_token(&mut self.fetch) => Happened::Token(request, token),
                () = timer.as_mut() => Happened::Tick,
            };
            match happened {
                Happened::Command(Some(Command::Close(reply))) => {
                    self.goodbye().await;
                    // Nobody waits any more if this fails.
                    let _ = reply.send(());
                    return;
                }
                Happened::Command(Some(command)) => self.command(command),
                Happened::Command(None) => return self.goodbye().await,
                Happened::Linked(socket, linked) => self.linked(socket, linked),
                Happened::Heard(socket, incoming) => self.heard(socket, incoming),
                Happened::Token(request, token) => self.token(request, token),
                Happened::Tick => self.input(Input::Tick),
            }
        }
    }

    /// Moves the timer only when it would fire too late or has fired: too early does no harm, and moving it
    /// for each signal would cost more than the signal.
    fn set_timer(&self, timer: Pin<&mut Sleep>) {
        let wakeup_ms = self.core.next_wakeup_ms();
        let due = self.started + wakeup_ms.map_or(FAR, Duration::from_millis);
        if due < timer.deadline() || timer.is_elapsed() {
            timer.reset(due);
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Subscribe { feed, reply } => self.subscribe(feed, reply),
            Command::Release(feed) => {
                if let Some(line) = self.feeds.get(&feed) {
                    let now_ms = self.now_ms();
                    self.core.release(line.id, now_ms);
                    self.perform();
                }
            }
            Command::Reconnect => self.input(Input::Connect),
            Command::NewToken => self.input(Input::NewToken),
            Command::Report(reply) => {
                let _ = reply.send(self.core.debug_report());
            }
            Command::Close(_) => unreachable!("the loop ends with it"),
        }
    }

    fn subscribe(
        &mut self,
        feed: Feed,
        reply: oneshot::Sender<(VecDeque<Update>, broadcast::Receiver<Update>)>,
    ) {
        let id = self.core.subscribe(feed, self.now_ms());
        // Other readers hear of it; this one is told how the feed stands when it has become one.
        self.perform();
        let buffer = self.buffer;
        let line = self.feeds.entry(feed).or_insert_with(|| Line::new(id, buffer));
        if line.id != id {
            // It was given back meanwhile: what was latest then is not any more.
            (line.id, line.latest) = (id, None);
        }
        let updates = line.updates.subscribe();
        let latest = line.latest.clone().map(Update::Signal);
        let status = self.core.feed(id).map(|info| Update::Status(info.status));
        if reply.send((status.into_iter().chain(latest).collect(), updates)).is_err() {
            // Whoever asked has gone, and with them the subscription that would give it back.
            self.core.release(id, self.now_ms());
            self.perform();
        }
    }

    fn linked(&mut self, socket: SocketId, linked: Linked<D::Io>) {
        match linked {
            Ok(open) => {
                self.link = Link::Open(socket, open);
                self.input(Input::Open { socket });
            }
            Err(code) => {
                self.link = Link::None;
                self.input(Input::Closed { socket, code: code.0, reason: String::new() });
            }
        }
    }

    fn heard(&mut self, socket: SocketId, incoming: Incoming) {
        match incoming {
            Incoming::Text(text) => {
                for message in convert::messages(&text) {
                    self.message(socket, message);
                }
            }
            Incoming::Other => self.input(Input::Message { socket, fact: Fact::Other }),
            Incoming::Closed { code, reason } => {
                tracing::debug!(code = code.0, reason, "the connection was closed");
                self.hang_up(CloseCode::NORMAL);
                self.input(Input::Closed { socket, code: code.0, reason });
            }
        }
    }

    fn message(&mut self, socket: SocketId, message: Result<ServerMessage, String>) {
        let fact = match message {
            Ok(message) => match message.position() {
                Some((feed, seq, prev)) => return self.signal(socket, message, feed, seq, prev),
                None => convert::fact(message),
            },
            Err(problem) => {
                tracing::debug!(problem, "a message that this client does not know");
                Fact::Other
            }
        };
        self.input(Input::Message { socket, fact });
    }

    fn signal(&mut self, socket: SocketId, message: ServerMessage, feed: Feed, seq: u64, prev: u64) {
        // A feed that nobody has asked for has no handle; 0 is never one.
        let id = self.feeds.get(&feed).map_or(FeedId(0), |line| line.id);
        let verdict = self.core.handle_signal(socket, id, seq, prev, self.now_ms());
        // A gap is told before the signal behind it.
        self.perform();
        let Some(line) = self.feeds.get_mut(&feed) else { return };
        match verdict {
            Verdict::Deliver | Verdict::Gap => {
                let message = Arc::new(message);
                line.latest = Some(Arc::clone(&message));
                line.tell(Update::Signal(message));
            }
            Verdict::Backfill => line.tell(Update::Backfill(Arc::new(message))),
            Verdict::Duplicate | Verdict::Unwanted => {}
        }
    }

    fn token(&mut self, request: RequestId, token: Result<Token, TokenError>) {
        self.fetch = None;
        self.input(match token {
            Ok(Token { text, expires_in }) => {
                let expires_in_ms =
                    expires_in.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
                Input::TokenOk { request, token: text, expires_in_ms }
            }
            Err(error) => {
                tracing::debug!(%error, "the token source has no token");
                Input::TokenErr { request, denied: matches!(error, TokenError::Denied(_)) }
            }
        });
    }

    fn input(&mut self, input: Input) {
        let now_ms = self.now_ms();
        self.core.handle(input, now_ms);
        self.perform();
    }

    /// Performs everything that the core wants done, and tells everything that it has to say.
    fn perform(&mut self) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Action(action) => self.act(action),
                Output::Event(event) => self.tell(&event),
            }
        }
        if self.feeds.len() > self.core.feeds().count() {
            let core = &self.core;
            self.feeds.retain(|feed, line| core.feed_id(*feed) == Some(line.id));
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::FetchToken { request } => self.fetch = Some((request, self.source.fetch())),
            Action::OpenSocket { socket } => {
                let open = Socket::open(self.dial.dial(&self.request), self.request.clone());
                self.link = Link::Dialing(socket, Box::pin(open));
            }
            Action::CloseSocket { code, .. } => self.hang_up(code),
            Action::Send { socket, text } => match &mut self.link {
                Link::Open(open, link) if *open == socket => link.send(text),
                _ => {}
            },
        }
    }

    fn tell(&self, event: &Event) {
        match *event {
            Event::Status(status) => {
                tracing::debug!(state = status.state.as_str(), attempt = status.attempt, "the state changed");
                self.status.send_replace(status);
            }
            Event::Feed { feed, status } => self.tell_feed(feed, Update::Status(status)),
            Event::Gap { feed, after, before } => self.tell_feed(feed, Update::Gap { after, before }),
            Event::Warn(warning) => {
                tracing::debug!(?warning, "something is wrong");
                // Nobody has to listen.
                let _ = self.warnings.send(warning);
            }
        }
    }

    fn tell_feed(&self, id: FeedId, update: Update) {
        if let Some(line) = self.feeds.values().find(|line| line.id == id) {
            line.tell(update);
        }
    }

    /// Gives the socket up, without waiting for the server to hear it.
    fn hang_up(&mut self, code: CloseCode) {
        if let Link::Open(_, socket) = std::mem::replace(&mut self.link, Link::None) {
            tokio::spawn(socket.close(code));
        }
    }

    /// Ends the connection, and waits until the server has heard it.
    async fn goodbye(&mut self) {
        let link = std::mem::replace(&mut self.link, Link::None);
        self.input(Input::Disconnect);
        if let Link::Open(_, socket) = link {
            socket.close(CloseCode::NORMAL).await;
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl<Io: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + std::fmt::Debug + 'static> Link<Io> {
    /// The next thing that the socket has for us; never, without one. Safe to cancel.
    async fn next(&mut self) -> Happened<Io> {
        match self {
            Self::None => pending().await,
            Self::Dialing(socket, open) => Happened::Linked(*socket, open.as_mut().await),
            Self::Open(socket, open) => Happened::Heard(*socket, open.next().await),
        }
    }
}

impl Line {
    fn new(id: FeedId, buffer: usize) -> Self {
        Self { id, updates: broadcast::Sender::new(buffer), latest: None }
    }

    fn tell(&self, update: Update) {
        // Fails when nobody reads at the moment, as while the feed lingers.
        let _ = self.updates.send(update);
    }
}

/// The answer of the token source; never, if it was not asked.
async fn next_token(fetch: &mut Option<(RequestId, TokenFuture)>) -> (RequestId, Result<Token, TokenError>) {
    match fetch {
        Some((request, future)) => (*request, future.as_mut().await),
        None => pending().await,
    }
}
