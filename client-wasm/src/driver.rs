//! Steps the core, releases the borrow, then calls JavaScript.
//!
//! JavaScript may call back at any moment. The core is borrowed only inside [`Driver::step`] and its like,
//! where no JavaScript runs; what the core wants is performed by the outermost call alone, in order.

use core::cell::{Cell, RefCell};
use core::fmt;

use tidegate_client_core::{Action, Client, Event, FeedId, Input, Options, Output, SocketId, Usage, Verdict};

use crate::Host;
use crate::convert::{rejection_of, tell_status, warning_code, warning_feed, warning_number, whole};

/// One client.
pub(crate) struct Driver {
    core: RefCell<Client>,
    host: Host,
    /// What the timer is set to.
    armed_ms: Cell<Option<u64>>,
    /// Set while outputs are performed: calls from inside only add to them.
    performing: Cell<bool>,
    closed: Cell<bool>,
}

impl Driver {
    /// A driver at rest.
    pub(crate) fn new(host: Host, options: Options) -> Self {
        Self {
            core: RefCell::new(Client::new(options)),
            host,
            armed_ms: Cell::new(None),
            performing: Cell::new(false),
            closed: Cell::new(false),
        }
    }

    /// Tells the core what happened, and performs what it wants.
    #[inline(never)]
    pub(crate) fn handle(&self, input: Input) {
        if matches!(input, Input::Tick) {
            self.armed_ms.set(None);
        }
        self.step(|core, now_ms| core.handle(input, now_ms));
    }

    /// One step of the core, and everything that follows from it.
    pub(crate) fn step<T>(&self, step: impl FnOnce(&mut Client, u64) -> T) -> T {
        let now_ms = self.now_ms();
        let answer = step(&mut self.core.borrow_mut(), now_ms);
        self.perform_all();
        self.set_timer();
        answer
    }

    /// The hot path: the timer stays as it is, because a signal that is not late never makes it earlier.
    pub(crate) fn signal(&self, socket: SocketId, feed: FeedId, seq: u64, prev: u64, now_ms: u64) -> Verdict {
        let verdict = self.core.borrow_mut().handle_signal(socket, feed, seq, prev, now_ms);
        self.perform_all();
        if verdict == Verdict::Gap {
            self.set_timer();
        }
        verdict
    }

    /// Looks at the core.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Client) -> T) -> T {
        read(&self.core.borrow())
    }

    /// Milliseconds until the next signal of a feed is due.
    pub(crate) fn due_in_ms(&self, feed: FeedId) -> Option<f64> {
        let due_at_ms = self.read(|core| core.due_at_ms(feed))?;
        Some(due_at_ms as f64 - self.now_ms() as f64)
    }

    /// What is used of the limits.
    pub(crate) fn usage(&self) -> Usage {
        let now_ms = self.now_ms();
        self.core.borrow_mut().usage(now_ms)
    }

    /// Disconnects for good.
    pub(crate) fn close(&self) {
        self.closed.set(true);
        self.handle(Input::Disconnect);
    }

    #[inline(never)]
    fn perform_all(&self) {
        if self.performing.replace(true) {
            return;
        }
        loop {
            // Bound to a variable so that the borrow ends here.
            let output = self.core.borrow_mut().poll_output();
            match output {
                Some(Output::Action(action)) => self.perform(&action),
                Some(Output::Event(event)) => self.tell(&event),
                None => break,
            }
        }
        self.performing.set(false);
    }

    fn perform(&self, action: &Action) {
        match action {
            Action::FetchToken { request } => self.host.fetch_token(request.0),
            Action::OpenSocket { socket } => self.host.open_socket(socket.0),
            Action::CloseSocket { code, .. } => self.host.close_socket(code.0),
            Action::Send { text, .. } => self.host.send(text),
        }
    }

    fn tell(&self, event: &Event) {
        let host = &self.host;
        match event {
            Event::Status(status) => tell_status(host, status, self.now_ms()),
            Event::Feed { feed, status } => host.on_feed(feed.0, status.as_str(), rejection_of(status)),
            Event::Gap { feed, after, before } => host.on_gap(feed.0, *after as f64, *before as f64),
            Event::Warn(warning) => {
                let (code, number) = (warning_code(warning), warning_number(warning));
                host.on_warning(warning.as_str(), code, number, warning_feed(warning));
            }
        }
    }

    #[inline(never)]
    fn set_timer(&self) {
        let due_ms = self.read(Client::next_wakeup_ms).filter(|_| !self.closed.get());
        if self.armed_ms.replace(due_ms) != due_ms {
            let in_ms = |due_ms: u64| due_ms.saturating_sub(self.now_ms()) as f64;
            self.host.set_timer(due_ms.map_or(-1.0, in_ms));
        }
    }

    fn now_ms(&self) -> u64 {
        whole(self.host.now())
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}
