//! HTTP/1.1 as cheap as can be: what the load costs is not the servers'.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// A connection that is kept open.
pub(crate) struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

/// An answer, as long as the next one has not been asked for.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        // Waiters are many, and their answers short.
        let answer = Vec::with_capacity(512);
        Ok(Self { stream, answer })
    }

    /// Sends `request` and reads its answer, which must have a `Content-Length` or no body.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> io::Result<Answer<'_>> {
        self.send(request).await?;
        loop {
            let Some(head) = self.head() else {
                self.more().await?;
                continue;
            };
            let (status, length) = read_head(&self.answer[..head])?;
            while self.answer.len() < head + length {
                self.more().await?;
            }
            let body = &self.answer[head..head + length];
            return Ok(Answer { status, body });
        }
    }

    /// Sends something, and forgets what came before.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.answer.clear();
        self.stream.write_all(bytes).await
    }

    /// Reads until `sign` has come since the last send.
    pub(crate) async fn wait_for(&mut self, sign: &[u8]) -> io::Result<()> {
        let mut looked_at = 0;
        loop {
            let new = &self.answer[looked_at..];
            if new.windows(sign.len()).any(|part| part == sign) {
                return Ok(());
            }
            // The sign may have come in half.
            looked_at = (self.answer.len() + 1).saturating_sub(sign.len()).max(looked_at);
            self.more().await?;
        }
    }

    /// The status of the answer to the last send, whose head has come.
    pub(crate) fn status(&self) -> io::Result<u16> {
        let head = self.head().unwrap_or(self.answer.len());
        Ok(read_head(&self.answer[..head])?.0)
    }

    /// Where the body begins, once the head has come.
    fn head(&self) -> Option<usize> {
        let end = self.answer.windows(4).position(|part| part == b"\r\n\r\n");
        end.map(|end| end + 4)
    }

    async fn more(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.answer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// Status and length of the body.
fn read_head(head: &[u8]) -> io::Result<(u16, usize)> {
    let strange = || io::Error::new(io::ErrorKind::InvalidData, "no HTTP answer");
    let head = std::str::from_utf8(head).map_err(|_| strange())?;
    let status = head.get(9..12).and_then(|status| status.parse().ok());
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(Some(0), |(_, length)| length.trim().parse().ok());
    status.zip(length).ok_or_else(strange)
}
