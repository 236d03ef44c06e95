//! A TCP connection, plain or TLS, whose writing half can be used from anywhere in the thread.
//!
//! Writers [`Conn::queue`] bytes and [`Conn::flush`] once per batch: one TLS record and one system call carry what
//! has gathered. The reading half belongs to one task.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    io::{self, Read, Write},
    net::SocketAddr,
    pin::Pin,
    rc::Rc,
    sync::Arc,
};

use rustls::{ClientConfig, ClientConnection};
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, ReadBuf},
    net::{
        TcpSocket,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::spawn_local,
};

use crate::Result;

thread_local! {
    /// Where every connection of the thread reads to, so that idle ones need no buffer.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; 128 * 1024]);
}

/// The writing half.
pub struct Conn {
    wr: OwnedWriteHalf,
    tls: RefCell<Option<Box<ClientConnection>>>,
    /// Not yet handed to TLS or the socket.
    queued: RefCell<Vec<u8>>,
    blocked: Cell<bool>,
    closed: Cell<bool>,
    /// Our own address.
    pub local: SocketAddr,
}

/// The reading half with what has been read and not been consumed.
pub struct Reader {
    rd: OwnedReadHalf,
    /// The writing half of the same connection.
    pub conn: Rc<Conn>,
    /// Received, decrypted, not yet consumed.
    pub buf: Vec<u8>,
}

/// Connects, from `source` if given.
pub async fn connect(target: SocketAddr, source: Option<SocketAddr>) -> Result<Reader> {
    let socket = if target.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(source) = source {
        socket.bind(source)?;
    }
    let stream = socket.connect(target).await?;
    stream.set_nodelay(true)?;
    let local = stream.local_addr()?;
    let (rd, wr) = stream.into_split();
    let conn = Rc::new(Conn {
        wr,
        tls: RefCell::default(),
        queued: RefCell::default(),
        blocked: Cell::new(false),
        closed: Cell::new(false),
        local,
    });
    Ok(Reader { rd, conn, buf: Vec::new() })
}

impl Conn {
    /// Lets `write` append to what the next flush sends.
    pub fn queue(&self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.queued.borrow_mut());
    }

    /// Sends what is queued. What the socket does not take now is sent when it can.
    pub fn flush(self: &Rc<Self>) {
        if self.blocked.get() || self.closed.get() {
            return;
        }
        match self.push() {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                self.blocked.set(true);
                let conn = self.clone();
                spawn_local(async move {
                    let ready = conn.wr.writable().await;
                    conn.blocked.set(false);
                    match ready {
                        Ok(()) => conn.flush(),
                        Err(_) => conn.closed.set(true),
                    }
                });
            }
            Err(_) => self.closed.set(true),
        }
    }

    fn push(&self) -> io::Result<()> {
        let mut queued = self.queued.borrow_mut();
        let mut tls = self.tls.borrow_mut();
        if let Some(tls) = tls.as_mut() {
            if !queued.is_empty() {
                tls.writer().write_all(&queued)?;
                queued.clear();
            }
            while tls.wants_write() {
                tls.write_tls(&mut TryWriter(&self.wr))?;
            }
        } else {
            while !queued.is_empty() {
                let n = self.wr.try_write(&queued)?;
                if n == queued.len() {
                    queued.clear();
                } else {
                    queued.drain(..n);
                }
            }
        }
        if queued.capacity() > 64 * 1024 && queued.is_empty() {
            *queued = Vec::new();
        }
        Ok(())
    }

    /// Whether writing has failed.
    pub fn is_closed(&self) -> bool {
        self.closed.get()
    }
}

impl Reader {
    /// Waits for bytes and appends them to `buf`; 0 means that the peer has closed.
    pub async fn fill(&mut self) -> Result<usize> {
        loop {
            match self.once().await? {
                Taken::Eof => return Ok(0),
                Taken::Bytes(0) => self.conn.flush(), // a handshake or ticket only
                Taken::Bytes(n) => return Ok(n),
            }
        }
    }

    /// Turns the connection into a TLS one.
    pub async fn secure(&mut self, config: &Arc<ClientConfig>, name: &str) -> Result<()> {
        let mut tls = ClientConnection::new(config.clone(), ServerName::try_from(name.to_owned())?)?;
        tls.set_buffer_limit(None);
        self.buf.clear();
        *self.conn.tls.borrow_mut() = Some(Box::new(tls));
        self.conn.flush();
        while self.conn.tls.borrow().as_ref().is_some_and(|t| t.is_handshaking()) {
            if matches!(self.once().await?, Taken::Eof) {
                return Err("closed during the TLS handshake".into());
            }
            self.conn.flush();
        }
        Ok(())
    }

    /// One successful read from the socket.
    async fn once(&mut self) -> Result<Taken> {
        let (rd, conn, buf) = (&mut self.rd, &self.conn, &mut self.buf);
        poll_fn(|cx| {
            SCRATCH.with_borrow_mut(|scratch| {
                let mut into = ReadBuf::new(scratch);
                Pin::new(&mut *rd)
                    .poll_read(cx, &mut into)
                    .map(|done| done.map_err(Into::into).and_then(|()| take(conn, into.filled(), buf)))
            })
        })
        .await
    }
}

enum Taken {
    Eof,
    Bytes(usize),
}

/// Puts what came from the socket into `buf`, through TLS if there is one.
fn take(conn: &Conn, mut wire: &[u8], buf: &mut Vec<u8>) -> Result<Taken> {
    if wire.is_empty() {
        return Ok(Taken::Eof);
    }
    let before = buf.len();
    let mut tls = conn.tls.borrow_mut();
    let Some(tls) = tls.as_mut() else {
        buf.extend_from_slice(wire);
        return Ok(Taken::Bytes(wire.len()));
    };
    while !wire.is_empty() {
        tls.read_tls(&mut wire)?;
        let state = tls.process_new_packets()?;
        let (start, fresh) = (buf.len(), state.plaintext_bytes_to_read());
        buf.resize(start + fresh, 0);
        tls.reader().read_exact(&mut buf[start..])?;
        if state.peer_has_closed() && buf.len() == before {
            return Ok(Taken::Eof);
        }
    }
    Ok(Taken::Bytes(buf.len() - before))
}

struct TryWriter<'a>(&'a OwnedWriteHalf);

impl Write for TryWriter<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.try_write(buf)
    }

    fn write_vectored(&mut self, bufs: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
