//! A proxy between a client and a server, which loses answers.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// What the proxy does with what comes.
#[derive(Default)]
pub(crate) struct Faults {
    /// Breaks a connection instead of passing on what the server has sent on it, so often.
    pub(crate) lost_answers: AtomicUsize,
    /// How many answers were lost.
    pub(crate) lost: AtomicUsize,
    /// Accepts connections, and passes nothing on.
    pub(crate) is_silent: AtomicBool,
    /// Becomes silent when it loses an answer.
    pub(crate) is_silent_after_loss: AtomicBool,
    /// Keeps the next request of each connection until this is false again, whatever becomes of the client, and passes
    /// it on then: like the socket of a server that is stopped.
    pub(crate) holds_requests: AtomicBool,
    /// How many requests were kept.
    pub(crate) held: AtomicUsize,
}

pub(crate) struct Proxy {
    pub(crate) endpoint: String,
    pub(crate) faults: Arc<Faults>,
}

impl Proxy {
    /// Passes on the connections that are made to its endpoint. It ends with the test program.
    pub(crate) fn start(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = listener.local_addr().unwrap().to_string();
        let (faults, server) = (Arc::<Faults>::default(), server.to_owned());
        let shared = faults.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { continue };
                let Ok(upstream) = TcpStream::connect(&server) else { continue };
                let (from, to) = (client.try_clone().unwrap(), upstream.try_clone().unwrap());
                let faults = shared.clone();
                thread::spawn(move || pass_on(from, to, &faults, false));
                let faults = shared.clone();
                thread::spawn(move || pass_on(upstream, client, &faults, true));
            }
        });
        Proxy { endpoint, faults }
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, faults: &Faults, are_answers: bool) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if faults.is_silent.load(Ordering::SeqCst) {
            continue;
        }
        // An answer to a transaction has the data of a message; a frame of HTTP/2's own has not.
        if are_answers && has_message(&buffer[..count]) {
            let left = &faults.lost_answers;
            let order = Ordering::SeqCst;
            if left.fetch_update(order, order, |left| left.checked_sub(1)).is_ok() {
                faults.lost.fetch_add(1, Ordering::SeqCst);
                if faults.is_silent_after_loss.load(Ordering::SeqCst) {
                    faults.is_silent.store(true, Ordering::SeqCst);
                }
                break;
            }
        }
        if !are_answers
            && has_message(&buffer[..count])
            && faults.holds_requests.load(Ordering::SeqCst)
        {
            faults.held.fetch_add(1, Ordering::SeqCst);
            while faults.holds_requests.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(5));
            }
            let _ = to.write_all(&buffer[..count]);
            // What the client has sent since, such as that it has given up, does not reach the server.
            thread::sleep(Duration::from_millis(500));
            break;
        }
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

/// Whether these frames of HTTP/2 hold a DATA frame with content.
fn has_message(mut frames: &[u8]) -> bool {
    while frames.len() >= 9 {
        let length =
            usize::from(frames[0]) << 16 | usize::from(frames[1]) << 8 | usize::from(frames[2]);
        if frames[3] == 0 && length > 0 {
            return true;
        }
        frames = frames.get(9 + length..).unwrap_or_default();
    }
    false
}
