//! A `WebSocket` behind send and close. JavaScript opened it and listens to it; it is detached here, so that
//! nothing is heard of a socket once the core has turned away from it.

use web_sys::WebSocket;

/// One socket. Detaches when the last clone goes.
#[derive(Clone)]
pub(crate) struct Socket {
    socket: WebSocket,
}

impl Socket {
    /// Takes over a socket that JavaScript opened.
    pub(crate) fn new(socket: WebSocket) -> Self {
        Self { socket }
    }

    /// Sends a text frame. A socket that is not open any more says so by its close event.
    pub(crate) fn send(&self, text: &str) {
        let _ = self.socket.send_with_str(text);
    }

    /// Detaches, and closes. A code that the browser refuses leaves a close without a code.
    pub(crate) fn close(&self, code: u16) {
        self.detach();
        if self.socket.close_with_code(code).is_err() {
            let _ = self.socket.close();
        }
    }

    /// All but `onerror`, which JavaScript leaves empty for good: in Node the error of a socket that is closed
    /// while it connects would otherwise end the process.
    fn detach(&self) {
        self.socket.set_onopen(None);
        self.socket.set_onmessage(None);
        self.socket.set_onclose(None);
    }
}
