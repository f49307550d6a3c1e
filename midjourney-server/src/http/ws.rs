//! Jobs' events over a WebSocket (RFC 6455), where the client may change its mind about which.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Extension,
    body::Body,
    extract::{
        Request, State, WebSocketUpgrade,
        ws::{CloseCode, CloseFrame, Message, WebSocket, close_code, rejection::WebSocketUpgradeRejection},
    },
    http::{HeaderMap, Method, header},
    response::{IntoResponse as _, Response},
};
use midjourney_core::{
    clock::Timestamp,
    error::Chain,
    gateway::{EventView, SharedEvent, WatchAll},
    job::Position,
};
use serde::{Deserialize, Serialize};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_http::csrf::CsrfLayer;

use super::{
    App,
    events::HEARTBEAT,
    extract,
    follow::Jobs,
    problem::{self, Part, Problem},
    serve::Place,
};

/// The longest message that is heeded.
const MESSAGE_LIMIT: usize = 16 * 1024;
/// The longest message that is read, so that a longer one than is heeded can be answered.
const READ_LIMIT: usize = 4 * MESSAGE_LIMIT;
/// How long a client may be silent. It need only answer the pings, of which there are two in that time.
const SILENCE: Duration = Duration::from_secs(30);
/// How long a client may take to fetch a frame.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the client may take to say goodbye too.
const GOODBYE: Duration = Duration::from_secs(5);

/// What a client may send.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = SocketCommand)]
#[serde(deny_unknown_fields)]
pub(super) struct Command {
    /// Follow these: `"all"`, or a list of at most 100 job ids. Takes the place of what was followed before.
    #[schema(value_type = Option<serde_json::Value>)]
    watch: Option<Jobs>,
    /// With `watch`: only events after this position. Without it, those that come from now on.
    after: Option<u64>,
    /// `true`: follow nothing any more.
    unwatch: Option<bool>,
}

/// What a client hears beside events.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = SocketAnswer)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    /// From here on there are events after this position.
    Watching {
        /// The position.
        after: u64,
    },
    /// There are no more events; this is the position to go on from, where anything was followed.
    Unwatched {
        /// The position.
        after: Option<u64>,
    },
    /// The message was not heeded. The connection stays, and so does what is followed.
    Error {
        /// The stable machine-readable code.
        code: &'static str,
        /// What is wrong with it, and the mend.
        detail: String,
        /// Where in the message, as a JSON pointer.
        pointer: String,
    },
}

impl From<Problem> for Answer {
    fn from(problem: Problem) -> Self {
        let (detail, pointer) = match problem.fault() {
            Some(fault) => (fault.detail.clone(), fault.pointer.clone()),
            None => (problem.detail().to_owned(), String::new()),
        };
        Self::Error {
            code: problem.code(),
            detail,
            pointer,
        }
    }
}

/// Follow jobs over a WebSocket.
///
/// Send `{"watch": "all"}` or `{"watch": ["job_…"]}`, with `"after": <position>` to go on from there, to follow jobs, and
/// `{"unwatch": true}` to stop; a new `watch` takes the place of the one before. Each is answered, with
/// `{"watching": {"after": <position>}}` or `{"unwatched": {"after": <position>}}`. Every other message from the server is
/// one event, in the order of their commits and without gaps, as in `GET /events`; or `{"error": {"code", "detail",
/// "pointer"}}` where a message of yours was not heeded.
///
/// Messages to the server may have 16 KiB. It sends a ping every 15 s, and closes the connection after 30 s without a sign
/// of life (1011); where a frame is not taken within 10 s (1013); where its store fails (1011); and when it stops (1001).
/// The reason it gives then is the position to go on from. Pages of other sites are refused unless their origin is trusted.
#[utoipa::path(get, path = "/ws", tag = "jobs",
    responses(
        (status = 101, description = "A WebSocket; each message is an event.", body = EventView),
        (status = 403, description = "The page that asks is another site's."),
        (status = 426, description = "The request does not open a WebSocket over HTTP/1.1."),
    ),
)]
pub(super) async fn socket(
    State(app): State<Arc<App>>,
    place: Option<Extension<Place>>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    known_origin(&app.csrf, &headers).await?;
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => {
            let problem = Problem::new(&problem::UPGRADE, rejection.body_text());
            let protocol = [(header::UPGRADE, "websocket"), (header::CONNECTION, "upgrade")];
            return Ok((protocol, problem).into_response());
        }
    };
    Ok(upgrade
        .read_buffer_size(MESSAGE_LIMIT)
        .max_message_size(READ_LIMIT)
        .max_frame_size(READ_LIMIT)
        .on_upgrade(|socket| async move {
            let session = Session {
                heard: app.clock.now(),
                app,
                socket,
                watch: None,
            };
            session.run().await;
            drop(place);
        }))
}

/// Refuses pages of other sites, by the rule for what changes things: the layer lets every GET pass, as other sites' pages
/// cannot read the answer; but they could read what comes through a socket.
async fn known_origin(csrf: &CsrfLayer, headers: &HeaderMap) -> Result<(), Problem> {
    let mut asked = Request::new(Body::empty());
    *asked.method_mut() = Method::POST;
    // Every browser names the origin of the page that opens a socket: that alone decides.
    for name in [header::ORIGIN, header::HOST] {
        if let Some(value) = headers.get(&name) {
            asked.headers_mut().insert(name, value.clone());
        }
    }
    let allowed = service_fn(|_: Request| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
    match csrf.layer(allowed).oneshot(asked).await {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(_) | Err(_) => {
            let detail = "a page of another site may not listen here; its origin is not among the trusted";
            Err(Problem::new(&problem::FOREIGN_ORIGIN, detail))
        }
    }
}

/// Why there is no more to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The client has gone.
    Gone,
    /// The server goes, or does not want to go on.
    Close(CloseCode),
}

struct Session {
    app: Arc<App>,
    socket: WebSocket,
    watch: Option<WatchAll>,
    /// When the client last gave a sign of life.
    heard: Timestamp,
}

impl Session {
    async fn run(mut self) {
        if let Err(End::Close(code)) = self.talk().await {
            self.say_goodbye(code).await;
        }
    }

    async fn talk(&mut self) -> Result<Infallible, End> {
        let clock = Arc::clone(&self.app.clock);
        let stopping = self.app.stopping.clone();
        let mut beat = clock.sleep_until(clock.now().saturating_add(HEARTBEAT));
        loop {
            tokio::select! {
                () = stopping.begun() => return Err(End::Close(close_code::AWAY)),
                message = self.socket.recv() => {
                    self.heard = clock.now();
                    match message {
                        Some(Ok(message)) => self.hear(message).await?,
                        Some(Err(_)) | None => return Err(End::Gone),
                    }
                }
                event = next(&mut self.watch) => self.send(Message::text(event?.json())).await?,
                () = &mut beat => {
                    if clock.now().saturating_since(self.heard) >= SILENCE {
                        return Err(End::Close(close_code::ERROR));
                    }
                    self.send(Message::Ping(bytes::Bytes::new())).await?;
                    beat = clock.sleep_until(clock.now().saturating_add(HEARTBEAT));
                }
            }
        }
    }

    async fn hear(&mut self, message: Message) -> Result<(), End> {
        let heeded = match message {
            Message::Text(message) => self.heed(message.as_bytes()).await,
            Message::Binary(_) => Err(Problem::new(&problem::MALFORMED, "expected a text message")),
            Message::Ping(_) | Message::Pong(_) => return Ok(()),
            Message::Close(_) => return Err(End::Gone),
        };
        self.send(text(&heeded.unwrap_or_else(Answer::from))).await
    }

    async fn heed(&mut self, message: &[u8]) -> Result<Answer, Problem> {
        if message.len() > MESSAGE_LIMIT {
            let detail = format!("a message may have {MESSAGE_LIMIT} bytes at most");
            return Err(Problem::new(&problem::TOO_LARGE, detail));
        }
        let command: Command = extract::parse_object(message)?;
        match (command.watch, command.after, command.unwatch) {
            (Some(jobs), after, None) => {
                let watch = jobs.watch(&self.app, after.map(Position::new)).await?;
                let after = self.watch.insert(watch).position().get();
                Ok(Answer::Watching { after })
            }
            (None, None, Some(true)) => {
                let after = self.watch.take().map(|watch| watch.position().get());
                Ok(Answer::Unwatched { after })
            }
            _ => Err(Problem::at(
                &problem::INVALID,
                Part::Body,
                "",
                "expected either `watch`, with or without `after`, or `\"unwatch\": true`",
            )),
        }
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        let clock = &self.app.clock;
        tokio::select! {
            biased;
            sent = self.socket.send(message) => sent.map_err(|_| End::Gone),
            () = self.app.stopping.begun() => Err(End::Close(close_code::AWAY)),
            () = clock.sleep_until(clock.now().saturating_add(PATIENCE)) => Err(End::Close(close_code::AGAIN)),
        }
    }

    /// Closes the connection with the position to go on from. A frame that is on its way goes before it, so whoever reads
    /// the reason has had all events up to there.
    async fn say_goodbye(mut self, code: CloseCode) {
        let place = self
            .watch
            .as_ref()
            .map(|watch| watch.position().get().to_string());
        let frame = CloseFrame {
            code,
            reason: place.unwrap_or_default().into(),
        };
        let goodbye = async {
            if self.socket.send(Message::Close(Some(frame))).await.is_ok() {
                // A connection closed with messages unread is reset, and the client may not get to read the reason.
                while let Some(Ok(_)) = self.socket.recv().await {}
            }
        };
        let clock = &self.app.clock;
        tokio::select! {
            () = goodbye => {}
            () = clock.sleep_until(clock.now().saturating_add(GOODBYE)) => {}
        }
    }
}

/// The next event of what is followed; never, where nothing is.
async fn next(watch: &mut Option<WatchAll>) -> Result<SharedEvent, End> {
    let Some(watch) = watch else {
        return std::future::pending().await;
    };
    match watch.next().await {
        Ok(event) => Ok(event),
        Err(error) => {
            tracing::warn!(error = %Chain(&error), "an event stream broke off");
            Err(End::Close(close_code::ERROR))
        }
    }
}

/// Strings and numbers always serialise.
fn text(value: &impl Serialize) -> Message {
    Message::text(serde_json::to_string(value).unwrap_or_default())
}
