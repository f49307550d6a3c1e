//! The state of our own callback address: what probes of it find, and what comes in there.

use std::collections::BTreeMap;
#[cfg(feature = "http")]
use std::time::Duration;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::Gateway;
use crate::{
    clock::Timestamp,
    error::Error,
    job::{CallbackQuery, CallbackRecord, Verdict},
    webhook::{Diagnosis, Incoming, PROBE_HEADER, Probe, ProbeAnswer, ProbeCause},
};
#[cfg(feature = "http")]
use crate::{
    error::{Chain, ErrorKind},
    id::CallbackId,
    net::{Outbound, OutboundError, OutboundRequest, RefusedUrl},
    webhook::PROBE_SEGMENT,
};

/// How often the address is probed.
#[cfg(feature = "http")]
const PROBE_EVERY: Duration = Duration::from_secs(3_600);

/// How long an answer may take: as long as upstreams wait at most.
#[cfg(feature = "http")]
const PROBE_TIME: Duration = Duration::from_secs(15);

/// What a probe of our own callback address found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct ProbeView {
    /// When it was sent, or came.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
    /// Whether it came through as it should.
    pub reached: bool,
    /// The likely cause where it did not: `dns`, `connection`, `tls`, `timeout`, `private_address`, `redirected`,
    /// `wrong_path`, `proxy_failed`, `other_server`, `unknown_host`, `wrong_secret`, `headers_stripped`, `clock_skew` or
    /// `gateway_failing`.
    #[cfg_attr(feature = "openapi", schema(example = "wrong_path"))]
    pub cause: Option<&'static str>,
    /// What was seen; may be empty.
    pub detail: String,
    /// What to do about it.
    pub mend: Option<&'static str>,
}

impl ProbeView {
    fn new(at: Timestamp, diagnosis: Diagnosis) -> Self {
        Self {
            at,
            reached: diagnosis.cause.is_none(),
            cause: diagnosis.cause.map(ProbeCause::code),
            detail: diagnosis.detail,
            mend: diagnosis.cause.map(ProbeCause::mend),
        }
    }
}

/// How our own callback address is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct CallbackStatusView {
    /// Whether upstreams are told an address: `webhook.public_url` and `webhook.secret` are set.
    pub configured: bool,
    /// The address, without what proves a caller.
    #[cfg_attr(
        feature = "openapi",
        schema(example = "https://mj.example.org/webhook/midjourney")
    )]
    pub public_url: Option<String>,
    /// Whether the last probe came through; absent before the first.
    pub reachable: Option<bool>,
    /// The last probe.
    pub last_probe: Option<ProbeView>,
    /// When the last callback came that was not refused, and was no probe.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub last_callback_at: Option<Timestamp>,
    /// How many callbacks of each verdict are in the history.
    #[cfg_attr(feature = "openapi", schema(value_type = std::collections::BTreeMap<String, u64>))]
    pub verdicts: BTreeMap<&'static str, u64>,
}

impl Gateway {
    /// How our own callback address is doing.
    pub async fn callback_status(&self) -> Result<CallbackStatusView, Error> {
        let registration = self.parts.callback.as_ref();
        let tallies = self.parts.jobs.callback_tallies().await?;
        let counted = |verdict: Verdict| tallies.get(&verdict).map_or(0, |tally| tally.count);
        let came = tallies
            .iter()
            .filter(|(verdict, _)| !verdict.is_refusal() && !verdict.is_of_probe());
        let last_probe = self.last_probe().await?;
        Ok(CallbackStatusView {
            configured: registration.is_some(),
            public_url: registration.map(|registration| registration.public_url().to_owned()),
            reachable: last_probe.as_ref().map(|probe| probe.reached),
            last_probe,
            last_callback_at: came.map(|(_, tally)| tally.newest).max(),
            verdicts: Verdict::ALL
                .map(|verdict| (verdict.name(), counted(verdict)))
                .into(),
        })
    }

    /// The last probe in the history, whichever process sent it.
    async fn last_probe(&self) -> Result<Option<ProbeView>, Error> {
        let mut query = CallbackQuery {
            limit: 1,
            ..CallbackQuery::default()
        };
        let mut newest: Option<CallbackRecord> = None;
        for verdict in [Verdict::Probe, Verdict::Missed] {
            query.verdict = Some(verdict);
            let found = self.parts.jobs.callbacks(&query).await?.items.pop();
            if found.as_ref().map(|one| one.id) > newest.as_ref().map(|one| one.id) {
                newest = found;
            }
        }
        Ok(newest.map(|record| ProbeView::new(record.at, diagnosis(&record))))
    }

    /// Takes in what came to the address of probes. Where it is a probe of ours, the answer proves that this is the right
    /// gateway, and says what became of the probe on its way.
    ///
    /// **Errors:** the store cannot be written to.
    pub async fn answer_probe(
        &self,
        incoming: Incoming,
    ) -> Result<(CallbackRecord, Option<ProbeAnswer>), Error> {
        let now = self.parts.clock.now();
        let record = self.unjudged(&incoming);
        let registration = self.parts.callback.as_ref();
        let ours = registration
            .and_then(|registration| Some((registration, registration.read_probe(&incoming.body)?)));
        let Some((registration, probe)) = ours else {
            let record = record.judged(Verdict::Forged, "it is no probe of ours");
            self.refused(&record);
            return Ok((record, None));
        };
        let (_, header) = registration.write_probe(&probe);
        let arrived = incoming.headers.get(PROBE_HEADER) == Some(header.expose());
        let answer = registration.answer_probe(&probe, now, arrived);
        let record = probed(record, &probe, &Diagnosis::of_arrival(&probe, &answer));
        self.parts
            .jobs
            .put_callbacks(std::slice::from_ref(&record))
            .await?;
        Ok((record, Some(answer)))
    }

    /// Posts a probe to our own callback address as an upstream would, and tells what came of it; it is in the history
    /// then.
    ///
    /// **Errors:** [`ErrorKind::Conflict`] where there is no such address; [`ErrorKind::Unavailable`] where the store
    /// cannot be written to. That the address cannot be reached is no error.
    #[cfg(feature = "http")]
    pub async fn probe_callbacks(&self, outbound: &Outbound) -> Result<ProbeView, Error> {
        let Some(registration) = &self.parts.callback else {
            let detail = "no upstream is told to call back: set webhook.public_url and webhook.secret";
            return Err(Error::new(ErrorKind::Conflict, detail));
        };
        let now = self.parts.clock.now();
        let probe = Probe::new(now, &*self.parts.entropy);
        let (body, header) = registration.write_probe(&probe);
        let bytes = u64::try_from(body.len()).unwrap_or(u64::MAX);
        let sent = match registration.address(PROBE_SEGMENT).expose().parse() {
            Ok(url) => {
                let request = OutboundRequest::post(url, body)
                    .with_header(PROBE_HEADER, header)
                    .within(PROBE_TIME);
                outbound.on_any_port().send(request).await
            }
            Err(_) => Err(OutboundError::Refused(RefusedUrl::Malformed)),
        };
        let diagnosis = match sent {
            Ok(answer) => Diagnosis::of_answer(registration, &probe, answer.status, &answer.body),
            Err(error) => Diagnosis::of_error(&error),
        };
        // Where the one who took it in shares our store, it has told the same, and this is left out.
        let now = self.parts.clock.now();
        let id = CallbackId::new(now, &*self.parts.entropy);
        let record = CallbackRecord::new(id, now, bytes, None, Verdict::Missed);
        let record = probed(record, &probe, &diagnosis);
        self.parts
            .jobs
            .put_callbacks(std::slice::from_ref(&record))
            .await?;
        Ok(ProbeView::new(probe.sent_at(), diagnosis))
    }

    /// Probes our own callback address now and every hour for as long as the future lives, and says in the log when it
    /// cannot be reached any more, and when it can again. Returns at once where there is no such address.
    #[cfg(feature = "http")]
    pub async fn watch_callbacks(&self, outbound: &Outbound) {
        let mut well = true;
        while self.parts.callback.is_some() {
            match self.probe_callbacks(outbound).await {
                Ok(probe) => {
                    let ProbeView {
                        cause, detail, mend, ..
                    } = &probe;
                    if well && !probe.reached {
                        tracing::warn!(cause, detail, mend, "callbacks of upstreams do not come through");
                    } else if probe.reached && !well {
                        tracing::info!("callbacks of upstreams come through again");
                    }
                    well = probe.reached;
                }
                Err(error) => {
                    tracing::warn!(error = %Chain(&error), "the callback address was not probed");
                }
            }
            let next = self.parts.clock.now().saturating_add(PROBE_EVERY);
            self.parts.clock.sleep_until(next).await;
        }
    }
}

/// The record of what became of `probe`. Two records that tell the same of one probe have the same mark.
fn probed(record: CallbackRecord, probe: &Probe, diagnosis: &Diagnosis) -> CallbackRecord {
    let mut record = match diagnosis.cause {
        None => record.judged(Verdict::Probe, ""),
        Some(cause) => record.judged(Verdict::Missed, format!("{}: {}", cause.code(), diagnosis.detail)),
    };
    let mut digest = Sha256::new();
    for part in ["probe", probe.nonce(), record.verdict.name()] {
        digest.update(part);
        digest.update([0]);
    }
    record.mark = Some(digest.finalize().into());
    record
}

/// What the record of a probe says, the other way round.
fn diagnosis(record: &CallbackRecord) -> Diagnosis {
    let (code, detail) = record.detail.split_once(": ").unwrap_or_default();
    let cause = ProbeCause::ALL.into_iter().find(|cause| cause.code() == code);
    match (record.verdict, cause) {
        (Verdict::Probe, _) => Diagnosis::well(),
        (_, Some(cause)) => Diagnosis::wrong(cause, detail),
        (_, None) => Diagnosis::wrong(ProbeCause::GatewayFailing, record.detail.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::OsEntropy, id::CallbackId};

    #[test]
    fn a_record_tells_what_its_probe_found() {
        let now = Timestamp::from_millis(1_795_000_000_000);
        let probe = Probe::new(now, &OsEntropy);
        let record = || {
            let id = CallbackId::new(now, &OsEntropy);
            CallbackRecord::new(id, now, 1, None, Verdict::Missed)
        };
        let all = ProbeCause::ALL.map(|cause| Diagnosis::wrong(cause, "seen: this, and that"));
        for told in all.into_iter().chain([Diagnosis::well()]) {
            let record = probed(record(), &probe, &told);
            assert!(record.verdict.is_of_probe());
            assert_eq!(diagnosis(&record), told);
        }
    }
}
