//! From an address to a session: connect, shake hands, or say in words why not.

use std::io;
use std::time::{Duration, Instant};

use rgpu_proto::handle::FIRST_MINTED;
use rgpu_proto::hello::{
    self, ClientHello, FEATURE_RDMA, FEATURE_SHM, HelloKind, Intent, OLDEST_VERSION, PREAMBLE_LEN,
    Preamble, Refusal, RefusalCode, ServerHello, VERSION,
};
use rgpu_proto::limits::MAX_TEXT;
use rgpu_proto::msg::PRIMARY_CONTEXT;
use rgpu_proto::wire;
use rgpu_transport::{Address, Connection, Receiver, Url, rdma, shm};

/// A program without a server must know within 3 s: this is for connecting, and again, but in all, for the
/// server's first word.
const CONNECT: Duration = Duration::from_millis(2500);

/// A server that asks for patience is starting a worker: as long as it gives the worker itself.
const PATIENCE: Duration = Duration::from_secs(60);

/// Devices of a session: the ids of their primary contexts come before those that a client mints.
const MOST_DEVICES: usize = (FIRST_MINTED - PRIMARY_CONTEXT) as usize;

/// Connects to the server at `address` and asks for `memory` bytes of a GPU. With `share`, memory is shared with a server
/// on this host. The error is for people.
pub(crate) fn open(
    address: &str,
    memory: u64,
    share: bool,
) -> Result<(Connection, ServerHello), String> {
    let url: Address = address.parse().map_err(|error| format!("{error}"))?;
    let mut deadline = Instant::now() + CONNECT;
    let share = share && matches!(url.url, Url::Unix(_));
    let (connection, upgrade) = match url.url {
        Url::Rdma { .. } => {
            rdma::reach(&url, CONNECT).map(|(connection, upgrade)| (connection, Some(upgrade)))
        }
        _ if share => shm::connect(&url, CONNECT).map(|connection| (connection, None)),
        _ => rgpu_transport::connect(&url, CONNECT).map(|connection| (connection, None)),
    }
    .map_err(|error| format!("cannot reach a server at {url}: {}", in_words(&error)))?;
    let features = match &upgrade {
        Some(_) => {
            // The server is not to blame for the time that devices of this host took.
            deadline = Instant::now() + CONNECT;
            FEATURE_RDMA
        }
        None if share => FEATURE_SHM,
        None => 0,
    };
    let (connection, server) = greet(connection, &client_hello(memory, features), deadline)
        .map_err(|reason| format!("no GPU from {url}: {reason}"))?;
    let connection = match upgrade {
        None => connection,
        Some(_) if server.features & FEATURE_RDMA == 0 => {
            return Err(format!(
                "no GPU from {url}: its host has no RDMA (its log says why); tcp:// in the address works without"
            ));
        }
        Some(upgrade) => upgrade
            .finish(connection)
            .map_err(|error| format!("no GPU from {url}: {error}"))?,
    };
    Ok((connection, server))
}

fn in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "connection refused (is `rgpu serve` running there?)".into()
        }
        io::ErrorKind::NotFound => "no such socket or host".into(),
        io::ErrorKind::TimedOut => "timed out".into(),
        _ => error.to_string(),
    }
}

fn client_hello(memory: u64, features: u64) -> ClientHello {
    let short = |text: String| text.chars().take(MAX_TEXT / 16).collect::<String>();
    let program = std::env::args_os().next().map_or_else(String::new, |path| {
        std::path::Path::new(&path)
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    });
    ClientHello {
        min_version: OLDEST_VERSION,
        max_version: VERSION,
        features,
        intent: Intent::Session,
        memory,
        pid: std::process::id(),
        host: short(host_name()),
        program: short(program),
    }
}

fn host_name() -> String {
    let mut name = [0_u8; 256];
    // SAFETY: the buffer is live and its length is passed; its last byte stays 0.
    unsafe { libc::gethostname(name.as_mut_ptr().cast(), name.len() - 1) };
    std::ffi::CStr::from_bytes_until_nul(&name).map_or_else(
        |_| String::new(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// The handshake over a fresh connection.
pub(super) fn greet(
    connection: Connection,
    words: &ClientHello,
    deadline: Instant,
) -> Result<(Connection, ServerHello), String> {
    let peer = connection.peer().to_owned();
    let (mut sender, mut receiver, closer) = connection.split();
    sender
        .send(&[io::IoSlice::new(&hello::to_bytes(HelloKind::Client, words))])
        .map_err(|error| error.to_string())?;
    let (mut kind, mut body) = receive_message(&mut receiver, deadline)?;
    if kind == HelloKind::Patience {
        (kind, body) = receive_message(&mut receiver, Instant::now() + PATIENCE)?;
    }
    let server = read_answer(kind, &body, words)?;
    let announced = server.features & words.features & FEATURE_SHM != 0;
    if announced && closer.shared_memory().is_none() {
        // What lies between, such as `ssh -L`, passes no descriptors on.
        sender
            .send(&[io::IoSlice::new(&[shm::NOT_TAKEN])])
            .map_err(|error| error.to_string())?;
    }
    Ok((Connection::new(sender, receiver, closer, peer), server))
}

/// One handshake message, until `deadline`.
fn receive_message(
    receiver: &mut Receiver,
    deadline: Instant,
) -> Result<(HelloKind, Vec<u8>), String> {
    let mut fill = |bytes: &mut [u8]| {
        let left = deadline.saturating_duration_since(Instant::now());
        match receiver.wait_ready(Some(left)) {
            Ok(false) => Err("timed out: it accepts connections but does not answer".to_owned()),
            Ok(true) => receiver.receive(bytes).map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => "the server closed the connection".into(),
                _ => error.to_string(),
            }),
            Err(error) => Err(error.to_string()),
        }
    };
    let mut preamble = [0; PREAMBLE_LEN];
    fill(&mut preamble)?;
    let preamble = Preamble::from_bytes(&preamble).map_err(|error| error.to_string())?;
    let mut body = vec![0; preamble.len];
    if !body.is_empty() {
        fill(&mut body)?;
    }
    Ok((preamble.kind, body))
}

fn read_answer(kind: HelloKind, body: &[u8], words: &ClientHello) -> Result<ServerHello, String> {
    match kind {
        HelloKind::Server => {
            let server: ServerHello = wire::from_bytes(body).map_err(|error| error.to_string())?;
            check(&server)?;
            Ok(server)
        }
        HelloKind::Refusal => {
            let refusal: Refusal = wire::from_bytes(body).map_err(|error| error.to_string())?;
            Err(match refusal.code {
                RefusalCode::Version => hello::version_mismatch(
                    (words.min_version, words.max_version),
                    (refusal.min_version, refusal.max_version),
                ),
                _ => refusal.reason,
            })
        }
        HelloKind::Client | HelloKind::Inventory | HelloKind::Patience => {
            Err("the server answered something else than was asked".into())
        }
    }
}

/// What the rest of the client relies on.
fn check(server: &ServerHello) -> Result<(), String> {
    let granularity = server.granularity;
    let end = server.window_base.checked_add(server.window_size);
    match server.devices.len() {
        0 => return Err("the server has no GPU".into()),
        1..=MOST_DEVICES => {}
        more => return Err(format!("the server offers {more} GPUs at once")),
    }
    if server.version < OLDEST_VERSION || server.version > VERSION {
        return Err(format!(
            "the server chose protocol version {}, which was not offered",
            server.version
        ));
    }
    if !granularity.is_power_of_two()
        || granularity < 4096
        || !server.window_base.is_multiple_of(granularity)
        || !server.window_size.is_multiple_of(granularity)
        || end.is_none_or(|end| end > 1 << 47)
        || server.window_base == 0
        || server.window_size == 0
    {
        return Err("the server's driver offers no usable window of device addresses".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_at_the_address_is_said_in_words() {
        let since = Instant::now();
        let error = open("tcp://127.0.0.1:1", 0, true).expect_err("nobody listens there");
        assert!(
            error.contains("tcp://127.0.0.1:1") && error.contains("refused"),
            "{error}"
        );
        let error = open("unix:/no/such/socket", 0, true).expect_err("nothing there");
        assert!(error.contains("unix:/no/such/socket"), "{error}");
        let error = open("gpu1", 0, true).expect_err("no address");
        assert!(error.contains("tcp://HOST:PORT"), "{error}");
        assert!(since.elapsed() < Duration::from_secs(3));
    }

    #[test]
    fn a_refusal_is_passed_on() {
        let refusal = Refusal {
            code: RefusalCode::Version,
            reason: String::new(),
            min_version: VERSION + 1,
            max_version: VERSION + 2,
        };
        let words = client_hello(0, 0);
        let error = read_answer(HelloKind::Refusal, &wire::to_bytes(&refusal), &words)
            .expect_err("refused");
        assert!(error.ends_with("upgrade the client"), "{error}");
        let refusal = Refusal {
            code: RefusalCode::Memory,
            reason: "3 GiB left".into(),
            ..refusal
        };
        let error = read_answer(HelloKind::Refusal, &wire::to_bytes(&refusal), &words)
            .expect_err("refused");
        assert_eq!(error, "3 GiB left");
    }
}
