//! Steps the core, releases the borrow, then calls JavaScript.
//!
//! JavaScript may call back at any moment. The core is borrowed only inside [`Driver::step`] and its like,
//! where no JavaScript runs; what the core wants is performed by the outermost call alone, in order.

use core::cell::{Cell, RefCell};
use core::fmt;

use tidegate_client_core::{Action, Client, Event, FeedId, Input, Options, Output, SocketId, Verdict};

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
}

impl Driver {
    /// A driver at rest.
    pub(crate) fn new(host: Host, options: Options) -> Self {
        Self {
            core: RefCell::new(Client::new(options)),
            host,
            armed_ms: Cell::new(None),
            performing: Cell::new(false),
        }
    }

    /// Tells the core what happened, and performs what it wants.
    #[inline(never)]
    pub(crate) fn handle(&self, input: Input, now: f64) {
        if matches!(input, Input::Tick) {
            self.armed_ms.set(None);
        }
        self.step(now, |core, now_ms| core.handle(input, now_ms));
    }

    /// One step of the core, and everything that follows from it.
    pub(crate) fn step<T>(&self, now: f64, step: impl FnOnce(&mut Client, u64) -> T) -> T {
        let answer = self.read_at(now, step);
        self.perform_all(now);
        self.set_timer(now);
        answer
    }

    /// The hot path: the timer stays as it is, because a signal after which there is nothing to tell never makes it
    /// earlier.
    pub(crate) fn signal(
        &self,
        socket: SocketId,
        feed: FeedId,
        (seq, prev): (u64, u64),
        now: f64,
    ) -> Verdict {
        let (verdict, told) = self.read_at(now, |core, now_ms| {
            let verdict = core.handle_signal(socket, feed, seq, prev, now_ms);
            (verdict, core.has_output())
        });
        if told {
            self.perform_all(now);
        }
        if told || verdict == Verdict::Gap {
            self.set_timer(now);
        }
        verdict
    }

    /// Looks at the core.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Client) -> T) -> T {
        read(&self.core.borrow())
    }

    /// Looks at the core, which may forget what is over at this time.
    pub(crate) fn read_at<T>(&self, now: f64, read: impl FnOnce(&mut Client, u64) -> T) -> T {
        read(&mut self.core.borrow_mut(), whole(now))
    }

    #[inline(never)]
    fn perform_all(&self, now: f64) {
        if self.performing.replace(true) {
            return;
        }
        loop {
            // Bound to a variable so that the borrow ends here.
            let output = self.core.borrow_mut().poll_output();
            match output {
                Some(Output::Action(action)) => self.perform(&action),
                Some(Output::Event(event)) => self.tell(&event, now),
                None => break,
            }
        }
        self.performing.set(false);
    }

    fn perform(&self, action: &Action) {
        match action {
            Action::FetchToken { request } => self.host.fetch_token(request.0),
            Action::OpenSocket { socket } => self.host.open_socket(socket.0),
            Action::CloseSocket { socket, code } => self.host.close_socket(socket.0, code.0),
            Action::Send { socket, text } => self.host.send(socket.0, text),
        }
    }

    fn tell(&self, event: &Event, now: f64) {
        let host = &self.host;
        match event {
            Event::Status(status) => tell_status(host, status, now),
            Event::Feed { feed, status } => host.on_feed(feed.0, status.as_str(), rejection_of(status)),
            Event::Gap { feed, after, before } => host.on_gap(feed.0, *after as f64, *before as f64),
            Event::Warn(warning) => {
                let (code, number) = (warning_code(warning), warning_number(warning));
                host.on_warning(warning.as_str(), code, number, warning_feed(warning));
            }
        }
    }

    #[inline(never)]
    fn set_timer(&self, now: f64) {
        let due_ms = self.read(Client::next_wakeup_ms);
        if self.armed_ms.replace(due_ms) != due_ms {
            self.host.set_timer(due_ms.map_or(-1.0, |due_ms| (due_ms as f64 - now).max(0.0)));
        }
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}
