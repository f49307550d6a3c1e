//! What a probe of our own callback address tells about it.

use serde::Deserialize;

use super::{CallbackRegistration, Probe, ProbeAnswer, REPLAY_WINDOW};
#[cfg(feature = "http")]
use crate::{
    error::Chain,
    net::{Obstacle, OutboundError},
};

/// Why callbacks would not come through: the likely cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProbeCause {
    /// The name of the address leads nowhere.
    Dns,
    /// Nobody takes the connection, or it breaks off.
    Connection,
    /// The connection cannot be made private, or not with a certificate that is trusted.
    Tls,
    /// No answer in time.
    Timeout,
    /// The address is of this machine or of a private network.
    PrivateAddress,
    /// The answer sends the caller elsewhere, where upstreams do not go.
    Redirected,
    /// Something answers, and there is no such path.
    WrongPath,
    /// The proxy in front cannot reach this server.
    ProxyFailed,
    /// Something else answers.
    OtherServer,
    /// A gateway answers that does not go by this name.
    UnknownHost,
    /// A gateway answers that has another secret.
    WrongSecret,
    /// Something on the way takes headers out.
    HeadersStripped,
    /// The clock of the gateway that answers differs from the clock of the one that asks.
    ClockSkew,
    /// The right gateway answers that it cannot take callbacks at the moment.
    GatewayFailing,
}

impl ProbeCause {
    /// Every cause.
    pub const ALL: [Self; 14] = [
        Self::Dns,
        Self::Connection,
        Self::Tls,
        Self::Timeout,
        Self::PrivateAddress,
        Self::Redirected,
        Self::WrongPath,
        Self::ProxyFailed,
        Self::OtherServer,
        Self::UnknownHost,
        Self::WrongSecret,
        Self::HeadersStripped,
        Self::ClockSkew,
        Self::GatewayFailing,
    ];

    /// The stable machine-readable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connection => "connection",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::PrivateAddress => "private_address",
            Self::Redirected => "redirected",
            Self::WrongPath => "wrong_path",
            Self::ProxyFailed => "proxy_failed",
            Self::OtherServer => "other_server",
            Self::UnknownHost => "unknown_host",
            Self::WrongSecret => "wrong_secret",
            Self::HeadersStripped => "headers_stripped",
            Self::ClockSkew => "clock_skew",
            Self::GatewayFailing => "gateway_failing",
        }
    }

    /// What to do about it.
    pub const fn mend(self) -> &'static str {
        match self {
            Self::Dns => "check the name in webhook.public_url, and its record in DNS",
            Self::Connection => {
                "check that the proxy or tunnel runs, and the port and the firewall; a router that does not lead back \
                 inside looks the same from here"
            }
            Self::Tls => "check the certificate: its name, its end, its chain; and that the port speaks TLS",
            Self::Timeout => {
                "check the firewall; a router that does not lead back inside looks the same from here"
            }
            Self::PrivateAddress => {
                "write an address that the upstream can reach, or set outbound.allow_private for a network of your own"
            }
            Self::Redirected => "write the address that the redirect leads to, such as https instead of http",
            Self::WrongPath => {
                "webhook.public_url must end in /webhook/midjourney, and a proxy must pass on that path and all below it"
            }
            Self::ProxyFailed => {
                "check that this server runs, and the address that the proxy passes requests on to"
            }
            Self::OtherServer => "check where the name leads, and that nothing in front asks for a login",
            Self::UnknownHost => "have the proxy pass on the Host header as it comes",
            Self::WrongSecret => "give all gateways behind the address the same webhook.secret",
            Self::HeadersStripped => {
                "have the proxy pass on all headers, else signatures of upstreams do not come through"
            }
            Self::ClockSkew => "set the clocks by the network, else signatures look too old or too new",
            Self::GatewayFailing => "look at the log of the gateway",
        }
    }
}

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnosis {
    /// What is wrong; `None` where the probe came through as it should.
    pub cause: Option<ProbeCause>,
    /// What was seen, in one sentence; may be empty.
    pub detail: String,
}

impl Diagnosis {
    /// All is well.
    pub const fn well() -> Self {
        Self {
            cause: None,
            detail: String::new(),
        }
    }

    /// This is wrong.
    pub fn wrong(cause: ProbeCause, detail: impl Into<String>) -> Self {
        Self {
            cause: Some(cause),
            detail: detail.into(),
        }
    }

    /// What the gateway that took `probe` in knows of it.
    pub fn of_arrival(probe: &Probe, answer: &ProbeAnswer) -> Self {
        let (sent, received) = (probe.sent_at(), answer.received_at);
        let (ahead, behind) = (received.saturating_since(sent), sent.saturating_since(received));
        if ahead.max(behind) > REPLAY_WINDOW {
            let (gap, word) = if ahead > behind {
                (ahead, "ahead")
            } else {
                (behind, "behind")
            };
            let detail = format!("the clock there is {} s {word}", gap.as_secs());
            Self::wrong(ProbeCause::ClockSkew, detail)
        } else if answer.header {
            Self::well()
        } else {
            let detail = "the header of the probe did not arrive";
            Self::wrong(ProbeCause::HeadersStripped, detail)
        }
    }

    /// What an answer of HTTP status `status` to `probe` tells.
    pub fn of_answer(registration: &CallbackRegistration, probe: &Probe, status: u16, body: &[u8]) -> Self {
        if let Some(answer) = registration.read_answer(probe, body) {
            return Self::of_arrival(probe, &answer);
        }
        let detail = format!("HTTP {status}");
        let cause = match (problem(body).as_deref(), status) {
            (Some("not_proved"), _) => ProbeCause::WrongSecret,
            (Some("unknown_host"), _) => ProbeCause::UnknownHost,
            (Some("not_found" | "method_not_allowed"), _) => {
                let detail = format!("{detail}: a gateway answers, and takes no callbacks there");
                return Self::wrong(ProbeCause::WrongPath, detail);
            }
            (Some(_), 429 | 500..) => ProbeCause::GatewayFailing,
            (_, 300..=399) => ProbeCause::Redirected,
            (_, 404 | 405 | 410) => ProbeCause::WrongPath,
            (_, 500..) => ProbeCause::ProxyFailed,
            _ => ProbeCause::OtherServer,
        };
        Self::wrong(cause, detail)
    }

    /// What it tells that there was no answer.
    #[cfg(feature = "http")]
    pub fn of_error(error: &OutboundError) -> Self {
        let cause = match error.obstacle() {
            Obstacle::NotPublic(_) => ProbeCause::PrivateAddress,
            Obstacle::Name => ProbeCause::Dns,
            Obstacle::Tls => ProbeCause::Tls,
            Obstacle::Time => ProbeCause::Timeout,
            _ => match error {
                OutboundError::TooLarge { .. } => ProbeCause::OtherServer,
                _ => ProbeCause::Connection,
            },
        };
        Self::wrong(cause, Chain(error).to_string())
    }
}

/// The code of a problem as gateways send them.
fn problem(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Problem {
        code: String,
        #[serde(rename = "type")]
        kind: String,
    }
    let problem: Problem = serde_json::from_slice(body).ok()?;
    problem.kind.starts_with("/docs/errors#").then_some(problem.code)
}

#[cfg(all(test, feature = "http"))]
mod tests {
    use std::{io, time::Duration};

    use super::*;
    use crate::{
        clock::{OsEntropy, Timestamp},
        key::Secret,
        net::{BlockedAddress, RefusedUrl},
    };

    #[test]
    fn an_answer_tells_who_stands_there() {
        let registration = CallbackRegistration::new("https://gw.example/cb", Secret::new("ours"));
        let now = Timestamp::from_millis(1_795_000_000_000);
        let probe = Probe::new(now, &OsEntropy);
        let answered = |at: Timestamp, header| {
            serde_json::to_string(&registration.answer_probe(&probe, at, header)).unwrap()
        };
        let problem = |code: &str| format!(r#"{{"type":"/docs/errors#{code}","code":"{code}"}}"#);
        let early = Timestamp::from_millis(now.as_millis() - 301_000);
        let late = now.saturating_add(REPLAY_WINDOW + Duration::from_millis(1));
        let other = CallbackRegistration::new("https://gw.example/cb", Secret::new("theirs"));
        let theirs = serde_json::to_string(&other.answer_probe(&probe, now, true)).unwrap();
        for (status, body, expected) in [
            (200, answered(now, true), None),
            (200, answered(now.saturating_add(REPLAY_WINDOW), true), None),
            (200, answered(late, true), Some(ProbeCause::ClockSkew)),
            (200, answered(early, false), Some(ProbeCause::ClockSkew)),
            (200, answered(now, false), Some(ProbeCause::HeadersStripped)),
            (200, theirs, Some(ProbeCause::OtherServer)),
            (
                200,
                "<html>parked</html>".to_owned(),
                Some(ProbeCause::OtherServer),
            ),
            (200, "{}".to_owned(), Some(ProbeCause::OtherServer)),
            (204, String::new(), Some(ProbeCause::OtherServer)),
            (301, String::new(), Some(ProbeCause::Redirected)),
            (308, "<html>".to_owned(), Some(ProbeCause::Redirected)),
            (401, "login".to_owned(), Some(ProbeCause::OtherServer)),
            (401, problem("not_proved"), Some(ProbeCause::WrongSecret)),
            (403, "denied".to_owned(), Some(ProbeCause::OtherServer)),
            (404, "not found".to_owned(), Some(ProbeCause::WrongPath)),
            (404, problem("not_found"), Some(ProbeCause::WrongPath)),
            (405, problem("method_not_allowed"), Some(ProbeCause::WrongPath)),
            (405, String::new(), Some(ProbeCause::WrongPath)),
            (421, problem("unknown_host"), Some(ProbeCause::UnknownHost)),
            (429, problem("too_many_guesses"), Some(ProbeCause::GatewayFailing)),
            (500, problem("internal"), Some(ProbeCause::GatewayFailing)),
            (503, problem("unavailable"), Some(ProbeCause::GatewayFailing)),
            (502, "bad gateway".to_owned(), Some(ProbeCause::ProxyFailed)),
            (504, String::new(), Some(ProbeCause::ProxyFailed)),
            (
                530,
                r#"{"code":"tunnel"}"#.to_owned(),
                Some(ProbeCause::ProxyFailed),
            ),
        ] {
            let diagnosis = Diagnosis::of_answer(&registration, &probe, status, body.as_bytes());
            assert_eq!(diagnosis.cause, expected, "{status} {body}");
            assert_eq!(diagnosis.detail.is_empty(), expected.is_none(), "{diagnosis:?}");
        }
    }

    #[test]
    fn no_answer_tells_how_far_the_probe_came() {
        let connect = |kind| OutboundError::Connect(io::Error::from(kind).into());
        let blocked = BlockedAddress {
            address: [127, 0, 0, 1].into(),
        };
        for (error, expected) in [
            (
                OutboundError::Refused(RefusedUrl::Blocked(blocked)),
                ProbeCause::PrivateAddress,
            ),
            (OutboundError::Connect(blocked.into()), ProbeCause::PrivateAddress),
            (connect(io::ErrorKind::ConnectionRefused), ProbeCause::Connection),
            (connect(io::ErrorKind::InvalidData), ProbeCause::Tls),
            (connect(io::ErrorKind::TimedOut), ProbeCause::Timeout),
            (OutboundError::TimedOut, ProbeCause::Timeout),
            (OutboundError::Lost("closed".into()), ProbeCause::Connection),
            (OutboundError::TooLarge { limit: 1 }, ProbeCause::OtherServer),
        ] {
            assert_eq!(Diagnosis::of_error(&error).cause, Some(expected), "{error:?}");
        }
    }

    #[test]
    fn every_cause_has_a_code_of_its_own_and_a_mend() {
        let codes: std::collections::BTreeSet<_> = ProbeCause::ALL.map(ProbeCause::code).into();
        assert_eq!(codes.len(), ProbeCause::ALL.len());
        assert!(ProbeCause::ALL.iter().all(|cause| !cause.mend().is_empty()));
    }
}
