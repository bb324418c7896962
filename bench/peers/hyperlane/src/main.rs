//! hyperlane: raw framing, `try_send` in a task for each connection, events from a broadcast channel. Publishes by a timer
//! inside: prints its port, begins when it is sent a line, and prints the seconds that it took.
use hyperlane::*;
use std::{env, io, net, sync::LazyLock, time::Duration};
use tokio::{sync::broadcast, time::Instant};

/// As many events may wait for a connection that is behind; then it misses some.
static EVENTS: LazyLock<broadcast::Sender<std::sync::Arc<[u8]>>> = LazyLock::new(|| broadcast::channel(1 << 16).0);

struct Subscribe;

impl ServerHook for Subscribe {
    async fn new(_: &mut Stream, _: &mut Context) -> Self {
        Self
    }

    async fn handle(self, stream: &mut Stream, _: &mut Context) -> Status {
        let mut events = EVENTS.subscribe();
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
        if stream.try_send(head).await.is_err() {
            return Status::Reject;
        }
        loop {
            match events.recv().await {
                Ok(event) if stream.try_send(&event).await.is_err() => return Status::Reject,
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return Status::Reject,
            }
        }
    }
}

unsafe extern "C" {
    fn clock_gettime(clock: i32, at: *mut [i64; 2]) -> i32;
}

/// Rust's `Instant` tells no time that other programs could compare with theirs.
fn monotonic() -> i64 {
    let mut at = [0; 2];
    unsafe { clock_gettime(1, &mut at) };
    at[0] * 1_000_000_000 + at[1]
}

async fn publish(rate: f64, count: u32, size: usize) {
    let began = Instant::now();
    for n in 0..count {
        let due = began + Duration::from_secs_f64(n as f64 / rate);
        if due > Instant::now() {
            tokio::time::sleep_until(due).await;
        } else if n % 8 == 0 {
            tokio::task::yield_now().await; // behind: the connections' tasks need their turn
        }
        let mut text = format!("id: reference-{n}\nchannel: bench\ndata: n={n};t={};", monotonic());
        text.extend(std::iter::repeat_n('x', size - 2 - text.len()));
        text.push_str("\n\n");
        let _ = EVENTS.send(text.into_bytes().into());
    }
    println!("{{\"seconds\":{}}}", began.elapsed().as_secs_f64());
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let given: Vec<usize> = env::args().skip(1).map(|text| text.parse().unwrap()).collect();
    let port = net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut config = ServerConfig::default();
    config.set_address(format!("127.0.0.1:{port}")).set_nodelay(Some(true));
    let mut server = Server::default();
    server.server_config(config).route::<Subscribe>("/");
    let running = server.run().await.unwrap();
    println!("{{\"port\":{port}}}");
    tokio::task::spawn_blocking(|| io::stdin().read_line(&mut String::new())).await.unwrap().unwrap();
    publish(given[0] as f64, given[1] as u32, given[2]).await;
    running.wait().await;
}
