//! Where frames and messages begin and end in what a client sends: enough of RFC 6455 to count them before the codec
//! does anything with them.
//!
//! It judges nothing: what breaks the protocol is the codec's to say.

/// Follows a client's bytes from frame to frame.
#[derive(Debug, Default)]
pub(super) struct Frames {
    header: Vec<u8>,
    /// Bytes of the running frame that have not come yet.
    payload_left: u64,
    /// A data frame has begun a message that no final frame has ended.
    in_message: bool,
}

/// What some bytes were made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Frames whose header was completed.
    pub(super) frames: u32,
    /// Of those, pings, pongs and closes.
    pub(super) control_frames: u32,
    /// Some byte was the last one of a message, so that nothing was unfinished after it.
    pub(super) finished: bool,
}

impl Frames {
    /// Reads on.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> Seen {
        let mut seen = Seen::default();
        while !bytes.is_empty() {
            if self.payload_left > 0 {
                let taken =
                    usize::try_from(self.payload_left).map_or(bytes.len(), |left| left.min(bytes.len()));
                self.payload_left -= taken as u64;
                bytes = &bytes[taken..];
            } else {
                self.header.push(bytes[0]);
                bytes = &bytes[1..];
                if self.header.len() < header_len(&self.header) {
                    continue;
                }
                self.begin_frame(&mut seen);
            }
            seen.finished |= !self.is_unfinished();
        }
        seen
    }

    /// Whether a frame or a message has begun and not ended.
    pub(super) fn is_unfinished(&self) -> bool {
        self.in_message || self.payload_left > 0 || !self.header.is_empty()
    }

    fn begin_frame(&mut self, seen: &mut Seen) {
        let (first, second) = (self.header[0], self.header[1]);
        self.payload_left = match second & 0x7f {
            126 => u64::from(u16::from_be_bytes([self.header[2], self.header[3]])),
            127 => u64::from_be_bytes(self.header[2..10].try_into().expect("eight bytes of length")),
            length => u64::from(length),
        };
        self.header.clear();
        seen.frames += 1;
        if first & 0x08 == 0 {
            self.in_message = first & 0x80 == 0;
        } else {
            seen.control_frames += 1;
        }
    }
}

/// How long the header is of which this is the beginning.
fn header_len(header: &[u8]) -> usize {
    let Some(second) = header.get(1) else { return 2 };
    let length = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    2 + length + mask
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(first: u8, payload: usize) -> Vec<u8> {
        let mut frame = vec![first];
        match payload {
            0..126 => frame.push(0x80 | u8::try_from(payload).unwrap()),
            126..65_536 => {
                frame.push(0x80 | 126);
                frame.extend(u16::try_from(payload).unwrap().to_be_bytes());
            }
            _ => {
                frame.push(0x80 | 127);
                frame.extend((payload as u64).to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.resize(frame.len() + payload, 0xaa);
        frame
    }

    #[test]
    fn a_message_ends_with_its_final_frame_whatever_control_frames_come_between() {
        let mut frames = Frames::default();
        let seen = frames.read(&frame(0x01, 5));
        assert_eq!(seen, Seen { frames: 1, control_frames: 0, finished: false });
        assert_eq!(frames.read(&frame(0x89, 0)), Seen { frames: 1, control_frames: 1, finished: false });
        assert_eq!(frames.read(&frame(0x00, 0)), Seen { frames: 1, control_frames: 0, finished: false });
        assert!(frames.is_unfinished());
        let seen = frames.read(&frame(0x80, 70_000));
        assert_eq!(
            (seen, frames.is_unfinished()),
            (Seen { frames: 1, control_frames: 0, finished: true }, false)
        );
        let claimed = [0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
        assert_eq!(frames.read(&claimed).frames, 1);
        assert!(frames.is_unfinished());
        assert!(!frames.read(&[0; 100_000]).finished);
    }

    proptest! {
        #[test]
        fn how_the_bytes_are_cut_changes_nothing(
            kinds in prop::collection::vec((prop::sample::select(vec![0x01u8, 0x00, 0x80, 0x81, 0x89, 0x8a]), 0..70_000usize), 1..8),
            cuts in prop::collection::vec(0..10_000usize, 0..40),
        ) {
            let bytes: Vec<u8> = kinds.iter().flat_map(|&(first, payload)| frame(first, payload)).collect();
            let whole = Frames::default().read(&bytes);
            prop_assert_eq!(whole.frames as usize, kinds.len());
            let (mut frames, mut rest, mut total) = (Frames::default(), &bytes[..], Seen::default());
            for cut in cuts.iter().copied().chain([usize::MAX]) {
                let (part, left) = rest.split_at(cut.min(rest.len()));
                let seen = frames.read(part);
                total.frames += seen.frames;
                total.control_frames += seen.control_frames;
                total.finished |= seen.finished;
                rest = left;
            }
            prop_assert_eq!(total, whole);
        }
    }
}
