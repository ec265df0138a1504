//! Numbers and strings in records: big-endian, without padding. Reading past the end gives `None`.

/// Appends.
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    pub(crate) fn u8(&mut self, n: u8) -> &mut Self {
        self.0.push(n);
        self
    }

    pub(crate) fn u16(&mut self, n: u16) -> &mut Self {
        self.bytes(&n.to_be_bytes())
    }

    pub(crate) fn u32(&mut self, n: u32) -> &mut Self {
        self.bytes(&n.to_be_bytes())
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// One byte of length, then the bytes: at most 255, which the caller has seen to.
    pub(crate) fn short(&mut self, bytes: &[u8]) -> &mut Self {
        self.u8(u8::try_from(bytes.len()).unwrap_or(u8::MAX)).bytes(bytes)
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Reads from the front.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    /// A number of so many bytes, at most 8.
    pub(crate) fn number(&mut self, width: usize) -> Option<u64> {
        Some(self.bytes(width)?.iter().fold(0, |n, b| (n << 8) | u64::from(*b)))
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.bytes(1)?.first().copied()
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.number(2).and_then(|n| u16::try_from(n).ok())
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.number(4).and_then(|n| u32::try_from(n).ok())
    }

    pub(crate) fn short(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(self.u8()?);
        self.bytes(length)
    }

    pub(crate) fn long(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.u32()?).ok()?;
        self.bytes(length)
    }

    pub(crate) const fn rest(self) -> &'a [u8] {
        self.0
    }
}
