//! Owns the socket and the timer of one client: steps the core, releases the borrow, then calls JavaScript.
//!
//! JavaScript may call back at any moment. The core is borrowed only inside [`Driver::step`] and its like,
//! where no JavaScript runs; what the core wants is performed by the outermost call alone, in order.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::{Rc, Weak};

use gloo_timers::callback::Timeout;
use tidegate_client_core::{Action, Client, Event, FeedId, Input, Options, Output, SocketId, Usage, Verdict};
use wasm_bindgen::prelude::*;

use crate::Host;
use crate::convert::{rejection_of, tell_status, warning_code, warning_feed, warning_number};
use crate::socket::Socket;

/// One client.
pub(crate) struct Driver {
    core: RefCell<Client>,
    host: Host,
    clock: Clock,
    socket: RefCell<Option<Socket>>,
    timer: RefCell<Option<(u64, Timeout)>>,
    /// Set while outputs are performed: calls from inside only add to them.
    performing: Cell<bool>,
    closed: Cell<bool>,
    /// For the timer, which must not keep the driver alive.
    this: Weak<Driver>,
}

impl Driver {
    /// A driver at rest.
    pub(crate) fn new(host: Host, options: Options) -> Rc<Self> {
        Rc::new_cyclic(|this| Self {
            core: RefCell::new(Client::new(options)),
            host,
            clock: Clock::new(),
            socket: RefCell::new(None),
            timer: RefCell::new(None),
            performing: Cell::new(false),
            closed: Cell::new(false),
            this: this.clone(),
        })
    }

    /// Tells the core what happened, and performs what it wants.
    pub(crate) fn handle(&self, input: Input) {
        self.step(|core, now_ms| core.handle(input, now_ms));
    }

    /// One step of the core, and everything that follows from it.
    pub(crate) fn step<T>(&self, step: impl FnOnce(&mut Client, u64) -> T) -> T {
        let answer = step(&mut self.core.borrow_mut(), self.clock.now_ms());
        self.perform_all();
        self.set_timer();
        answer
    }

    /// The hot path: the timer stays as it is, because a signal that is not late never makes it earlier.
    pub(crate) fn signal(&self, socket: SocketId, feed: FeedId, seq: u64, prev: u64, date: f64) -> Verdict {
        let now_ms = self.clock.at_ms(date);
        let verdict = self.core.borrow_mut().handle_signal(socket, feed, seq, prev, now_ms);
        self.perform_all();
        if verdict == Verdict::Gap {
            self.set_timer();
        }
        verdict
    }

    /// Milliseconds until the next signal of a feed is due.
    pub(crate) fn due_in_ms(&self, feed: FeedId) -> Option<f64> {
        let due_at_ms = self.core.borrow().feed(feed)?.due_at_ms?;
        Some(due_at_ms as f64 - self.clock.now_ms() as f64)
    }

    /// What is used of the limits.
    pub(crate) fn usage(&self) -> Usage {
        self.core.borrow_mut().usage(self.clock.now_ms())
    }

    /// The last inputs and actions.
    pub(crate) fn debug_report(&self) -> String {
        self.core.borrow().debug_report()
    }

    /// Disconnects for good.
    pub(crate) fn close(&self) {
        self.handle(Input::Disconnect);
        self.closed.set(true);
        self.timer.take();
        // Called from inside a callback, the outermost call would only close it after this one.
        if let Some(open) = self.socket.take() {
            open.close(1000);
        }
    }

    fn perform_all(&self) {
        if self.performing.replace(true) {
            return;
        }
        loop {
            // Bound to a variable so that the borrow ends here.
            let output = self.core.borrow_mut().poll_output();
            match output {
                Some(Output::Action(action)) => self.perform(action),
                Some(Output::Event(event)) => self.tell(&event),
                None => break,
            }
        }
        self.performing.set(false);
    }

    fn perform(&self, action: Action) {
        match action {
            Action::FetchToken { request } => {
                if self.host.fetch_token(request.0).is_err() {
                    self.handle(Input::TokenErr { request, denied: false });
                }
            }
            Action::OpenSocket { socket } => self.open(socket),
            Action::CloseSocket { code, .. } => {
                if let Some(open) = self.socket.take() {
                    open.close(code.0);
                }
            }
            Action::Send { text, .. } => self.send(&text),
        }
    }

    fn open(&self, socket: SocketId) {
        match self.host.open_socket(socket.0) {
            Ok(open) => drop(self.socket.replace(Some(Socket::new(open)))),
            Err(_) => self.handle(Input::Closed { socket, code: 1006, reason: String::new() }),
        }
    }

    fn send(&self, text: &str) {
        // A clone, so that nothing is borrowed while the socket of a test calls back.
        let socket = self.socket.borrow().clone();
        if let Some(socket) = socket {
            socket.send(text);
            let _ = self.host.sent(text);
        }
    }

    /// What a handler throws is the application's: JavaScript reports it, and nothing here depends on it.
    fn tell(&self, event: &Event) {
        let host = &self.host;
        let _ = match event {
            Event::Status(status) => tell_status(host, status, self.clock.now_ms()),
            Event::Feed { feed, status } => host.on_feed(feed.0, status.as_str(), rejection_of(status)),
            Event::Gap { feed, after, before } => host.on_gap(feed.0, *after as f64, *before as f64),
            Event::Warn(warning) => {
                let (code, number) = (warning_code(warning), warning_number(warning));
                host.on_warning(warning.as_str(), code, number, warning_feed(warning))
            }
        };
    }

    fn set_timer(&self) {
        let due_ms = self.core.borrow().next_wakeup_ms().filter(|_| !self.closed.get());
        let armed_ms = self.timer.borrow().as_ref().map(|(at_ms, _)| *at_ms);
        if due_ms == armed_ms {
            return;
        }
        let timer = due_ms.map(|at_ms| (at_ms, self.timeout(at_ms)));
        drop(self.timer.replace(timer));
    }

    fn timeout(&self, at_ms: u64) -> Timeout {
        let wait_ms = at_ms.saturating_sub(self.clock.now_ms()).min(LONGEST_TIMER_MS);
        let this = self.this.clone();
        Timeout::new(wait_ms as u32, move || {
            let Some(driver) = this.upgrade() else { return };
            driver.timer.take();
            let _ = driver.host.wake();
        })
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}

/// Browsers take a longer time for none at all; waking up too early does no harm.
const LONGEST_TIMER_MS: u64 = 1 << 30;

/// Milliseconds that never go back, and that go on while the computer sleeps.
struct Clock {
    start: f64,
    /// What `performance.now` missed, and the two clocks at the last reading.
    asleep: Cell<f64>,
    last: Cell<(f64, f64)>,
}

impl Clock {
    fn new() -> Self {
        let last = (performance_now(), js_sys::Date::now());
        Self { start: last.0, asleep: Cell::new(0.0), last: Cell::new(last) }
    }

    /// `performance.now` stands still during sleep in some browsers; the date does not. Of the date only a
    /// jump ahead counts: smaller differences are rounding, and would add up.
    fn now_ms(&self) -> u64 {
        let (now, date) = (performance_now(), js_sys::Date::now());
        let (last_now, last_date) = self.last.replace((now, date));
        let missed = (date - last_date) - (now - last_now);
        if missed > SLEEP_MS {
            self.asleep.set(self.asleep.get() + missed);
        }
        (now - self.start + self.asleep.get()) as u64
    }

    /// The time at a date that JavaScript has just read. Shortly after a reading of both clocks the date alone
    /// tells: in a burst of signals a reading costs as much as all the rest.
    fn at_ms(&self, date: f64) -> u64 {
        let (last_now, last_date) = self.last.get();
        let since = date - last_date;
        if (0.0..SLEEP_MS).contains(&since) {
            (last_now + since - self.start + self.asleep.get()) as u64
        } else {
            self.now_ms()
        }
    }
}

/// How far the date must run ahead to count as sleep.
const SLEEP_MS: f64 = 1_000.0;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;
}
