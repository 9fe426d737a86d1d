//! What the server has and who uses it: one handshake with `Intent::Inventory`, kept for a second. Without a server,
//! what the driver of this process has.

use std::io::IoSlice;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rgpu_proto::hello::{
    self, ClientHello, HelloKind, Intent, Inventory, OLDEST_VERSION, PREAMBLE_LEN, Preamble,
    Refusal, VERSION,
};
use rgpu_proto::wire;
use rgpu_transport::Address;

use crate::local;

/// How old an answer may be.
const FRESH: Duration = Duration::from_secs(1);

/// How long a server may take.
const PATIENCE: Duration = Duration::from_millis(2500);

/// Asks the server at `address`. The error is for people.
///
/// # Errors
/// No server there, or one that does not answer the question.
pub fn ask(address: &str) -> Result<Inventory, String> {
    let url: Address = address.parse().map_err(|error| format!("{error}"))?;
    let connection = rgpu_transport::connect(&url, PATIENCE)
        .map_err(|error| format!("cannot reach a server at {url}: {error}"))?;
    let (mut sender, mut receiver, _closer) = connection.split();
    let question = ClientHello {
        min_version: OLDEST_VERSION,
        max_version: VERSION,
        features: 0,
        intent: Intent::Inventory,
        memory: 0,
        pid: std::process::id(),
        host: String::new(),
        program: "nvml".into(),
    };
    let deadline = Instant::now() + PATIENCE;
    let mut fill = |bytes: &mut [u8]| {
        let left = deadline.saturating_duration_since(Instant::now());
        match receiver.wait_ready(Some(left)) {
            Ok(true) => receiver.receive(bytes).map_err(|error| error.to_string()),
            Ok(false) => Err(format!("the server at {url} does not answer")),
            Err(error) => Err(error.to_string()),
        }
    };
    sender
        .send(&[IoSlice::new(&hello::to_bytes(HelloKind::Client, &question))])
        .map_err(|error| error.to_string())?;
    let mut preamble = [0; PREAMBLE_LEN];
    fill(&mut preamble)?;
    let preamble = Preamble::from_bytes(&preamble).map_err(|error| error.to_string())?;
    let mut body = vec![0; preamble.len];
    fill(&mut body)?;
    read(preamble.kind, &body)
}

fn read(kind: HelloKind, body: &[u8]) -> Result<Inventory, String> {
    match kind {
        HelloKind::Inventory => wire::from_bytes(body).map_err(|error| error.to_string()),
        HelloKind::Refusal => {
            let refusal: Refusal = wire::from_bytes(body).map_err(|error| error.to_string())?;
            Err(refusal.reason)
        }
        HelloKind::Client | HelloKind::Server | HelloKind::Patience => {
            Err("the server answered something else than was asked".into())
        }
    }
}

/// The server's answers, and how often the library was initialised.
#[derive(Debug, Default)]
pub(crate) struct Source {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    users: u32,
    last: Option<(Instant, Arc<Inventory>)>,
}

impl Source {
    /// One more user.
    pub(crate) fn open(&self) -> Result<(), String> {
        self.refresh()?;
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .users += 1;
        Ok(())
    }

    /// One user less; `false` where there is none.
    pub(crate) fn close(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let open = state.users > 0;
        state.users = state.users.saturating_sub(1);
        open
    }

    /// The server's answer, at most a second old; `None` where nobody has initialised the library. A server
    /// that is gone leaves its last answer.
    pub(crate) fn get(&self) -> Option<Arc<Inventory>> {
        let open = self
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .users
            > 0;
        if !open {
            return None;
        }
        self.refresh().ok().or_else(|| {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state
                .last
                .as_ref()
                .map(|(_, inventory)| Arc::clone(inventory))
        })
    }

    fn refresh(&self) -> Result<Arc<Inventory>, String> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, inventory)) = &state.last
            && at.elapsed() < FRESH
        {
            return Ok(Arc::clone(inventory));
        }
        let inventory = Arc::new(match std::env::var("RGPU_SERVER") {
            Ok(address) => ask(&address)?,
            Err(_) => local::ask("libcuda.so.1")
                .map_err(|error| format!("RGPU_SERVER is not set, and {error}"))?,
        });
        state.last = Some((Instant::now(), Arc::clone(&inventory)));
        Ok(inventory)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use rgpu_proto::hello::{ClientInfo, Device};
    use rgpu_transport::Listener;

    pub(crate) fn example() -> Inventory {
        let device = |name: &str, bus: &str| Device {
            name: name.into(),
            uuid: [0xab; 16],
            total_memory: 1 << 30,
            pci_bus_id: bus.into(),
            attributes: vec![(75, 9), (76, 0), (16, 4)],
        };
        let client = |device, used| ClientInfo {
            session: 1,
            pid: 77,
            worker_pid: 88,
            host: "h".into(),
            program: "p".into(),
            device,
            lease: 256 << 20,
            used,
        };
        Inventory {
            server: "0.1.0".into(),
            driver_version: 13000,
            devices: vec![device("one", "0000:01:00.0"), device("two", "0000:02:00.0")],
            free: vec![1 << 29, 1 << 30],
            clients: vec![client(0, 5 << 20), client(0, 7 << 20)],
        }
    }

    /// A server that answers one client with `bytes`.
    pub(crate) fn answering(bytes: Vec<u8>) -> String {
        let url: rgpu_transport::Url = "tcp://127.0.0.1:0".parse().unwrap();
        let listener = Listener::bind(&url).unwrap();
        let address = listener.url().unwrap().to_string();
        std::thread::spawn(move || {
            let mut connection = listener.accept().unwrap();
            let mut question = [0; PREAMBLE_LEN];
            connection.receive(&mut question).unwrap();
            let mut body = vec![0; Preamble::from_bytes(&question).unwrap().len];
            connection.receive(&mut body).unwrap();
            let words: ClientHello = wire::from_bytes(&body).unwrap();
            assert_eq!(words.intent, Intent::Inventory);
            connection.send(&[IoSlice::new(&bytes)]).unwrap();
        });
        address
    }

    #[test]
    fn the_server_is_asked_once() {
        let address = answering(hello::to_bytes(HelloKind::Inventory, &example()));
        assert_eq!(ask(&address), Ok(example()));
    }

    #[test]
    fn a_server_that_answers_nonsense_is_said_in_words() {
        let address = answering(b"HTTP/1.1 400 Bad Request".to_vec());
        let error = ask(&address).unwrap_err();
        assert!(
            error.contains("does not speak the rgpu protocol"),
            "{error}"
        );
        assert!(ask("tcp://127.0.0.1:1").is_err());
        assert!(ask("nowhere").is_err());
    }
}
