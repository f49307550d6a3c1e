//! Load: many connections, each of which waits for its answer before it asks again.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use crate::{
    Outcome,
    connection::Connection,
    numbers::{figure, millis, quantile},
};

/// What is asked, over all connections.
pub(crate) trait Requests: Send + Sync + 'static {
    /// Writes the next request into `request`, which is empty, and gives its number; `None` where there are no more.
    fn write(&self, request: &mut Vec<u8>) -> Option<u64>;

    /// Its answer has come.
    fn answered(&self, _number: u64, _status: u16, _body: &[u8]) {}
}

/// How hard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strength {
    pub(crate) connections: u64,
    pub(crate) span: Duration,
    /// At most so many a second; as many as get answered where nothing is said.
    pub(crate) rate: Option<f64>,
}

impl Strength {
    pub(crate) const fn new(connections: u64, span: Duration) -> Self {
        let rate = None;
        Self {
            connections,
            span,
            rate,
        }
    }
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Load {
    /// Milliseconds from sending to the answer, of all answers.
    pub(crate) times: Vec<f64>,
    /// Answers with a status other than 2xx.
    pub(crate) refused: usize,
    /// Connections that broke off.
    pub(crate) broken: usize,
    pub(crate) took: Duration,
}

impl Load {
    /// Answers a second that were no refusals.
    pub(crate) fn per_second(&self) -> f64 {
        figure(self.times.len() - self.refused) / self.took.as_secs_f64()
    }

    /// Answers a second, refusals too.
    pub(crate) fn answers_per_second(&self) -> f64 {
        figure(self.times.len()) / self.took.as_secs_f64()
    }

    pub(crate) fn quantile(&self, part: f64) -> f64 {
        quantile(&self.times, part)
    }

    /// An error where the server let go of a connection.
    pub(crate) fn unbroken(self) -> Outcome<Self> {
        match self.broken {
            0 => Ok(self),
            broken => Err(format!("the server closed {broken} connections").into()),
        }
    }
}

/// Asks until the time is over, the requests are, or every connection is broken.
pub(crate) async fn load(
    address: SocketAddr,
    strength: Strength,
    requests: Arc<dyn Requests>,
) -> Outcome<Load> {
    let mut connections = Vec::new();
    for _ in 0..strength.connections {
        connections.push(Connection::open(address).await?);
    }
    let mut tasks = JoinSet::new();
    let begun = Instant::now();
    for (place, connection) in (0_u32..).zip(connections) {
        tasks.spawn(ask(place, connection, strength, begun, Arc::clone(&requests)));
    }
    let mut all = Load::default();
    while let Some(part) = tasks.join_next().await {
        let part = part?;
        all.times.extend(part.times);
        all.refused += part.refused;
        all.broken += part.broken;
    }
    all.took = begun.elapsed();
    Ok(all)
}

async fn ask(
    place: u32,
    mut connection: Connection,
    strength: Strength,
    begun: Instant,
    requests: Arc<dyn Requests>,
) -> Load {
    let mut part = Load::default();
    let mut request = Vec::with_capacity(4096);
    // Each connection has its share of the rate, and its place among the others.
    #[expect(clippy::cast_precision_loss, reason = "some hundreds")]
    let pause = strength
        .rate
        .map(|rate| Duration::from_secs_f64(strength.connections as f64 / rate));
    let mut due = begun
        + pause
            .unwrap_or_default()
            .mul_f64(f64::from(place) / figure(1.max(connections(strength))));
    while begun.elapsed() < strength.span {
        if let Some(pause) = pause {
            tokio::time::sleep_until(due.into()).await;
            due += pause;
        }
        request.clear();
        let Some(number) = requests.write(&mut request) else {
            break;
        };
        let sent = Instant::now();
        let answered: io::Result<()> = async {
            let answer = connection.ask(&request).await?;
            part.times.push(millis(sent.elapsed()));
            part.refused += usize::from(!(200..300).contains(&answer.status));
            requests.answered(number, answer.status, answer.body);
            Ok(())
        }
        .await;
        if answered.is_err() {
            part.broken = 1;
            break;
        }
    }
    part
}

fn connections(strength: Strength) -> usize {
    usize::try_from(strength.connections).unwrap_or(usize::MAX)
}
