//! Callbacks: a post at each change of a task, as its upstream would send it.

use std::sync::{Arc, OnceLock, Weak};

use midjourney_core::{
    key::Secret,
    net::{Outbound, OutboundOptions, OutboundRequest},
};
use url::{Host, Url};

use super::{backend::Backend, faults::Fault};

/// How often a repeated callback is sent.
const REPEATS: usize = 3;

/// What is posted.
#[derive(Clone, Debug)]
pub(super) struct Posted {
    pub(super) body: Vec<u8>,
    pub(super) headers: Vec<(&'static str, String)>,
}

/// Posts callbacks. It calls this machine only: whoever can submit can name any address.
#[derive(Debug, Default)]
pub(super) struct Postman(OnceLock<Option<Outbound>>);

impl Postman {
    /// Sends `posted` once. What becomes of it is not looked at, and nothing is sent again, as upstreams do it.
    async fn post(&self, url: &Url, posted: &Posted) {
        let outbound = self.0.get_or_init(|| {
            // Setting up takes a while, and most simulations call nobody.
            Outbound::new(OutboundOptions::default().with_allow_private(true)).ok()
        });
        let Some(outbound) = outbound else {
            return tracing::warn!("callbacks cannot be sent from here");
        };
        let mut request = OutboundRequest::post(url.clone(), posted.body.clone());
        for (name, value) in &posted.headers {
            request = request.with_header(name, Secret::new(value.clone()));
        }
        if let Err(error) = outbound.send(request).await {
            tracing::info!(%error, "a callback was not taken");
        }
    }
}

/// Tells the caller about the task `id` until it is over, where the caller asked for that.
pub(super) fn follow(backend: &Arc<Backend>, id: &str, callback: Option<&str>) {
    let Some(url) = callback.and_then(near) else {
        if callback.is_some() {
            tracing::warn!("a callback address is not on this machine; nothing is sent there");
        }
        return;
    };
    if !backend.faults(id).has(Fault::NoCallbacks) {
        tokio::spawn(tell(Arc::downgrade(backend), id.to_owned(), url));
    }
}

/// An address on this machine.
fn near(url: &str) -> Option<Url> {
    let url = Url::parse(url).ok().filter(|url| url.scheme() == "http")?;
    let near = match url.host()? {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    near.then_some(url)
}

async fn tell(backend: Weak<Backend>, id: String, url: Url) {
    let mut last = None;
    let mut held = Vec::new();
    while let Some(backend) = backend.upgrade() {
        // Before looking and posting, which take time in which the task may go on.
        let wake = backend.clock.now().saturating_add(backend.step());
        let faults = backend.faults(&id);
        let seen = backend.peek(&id).await;
        let over = seen.as_ref().is_none_or(super::backend::Seen::is_over);
        if let Some(seen) = seen
            && last.as_ref() != Some(&seen.status)
        {
            held.extend(backend.signed(&seen));
            last = Some(seen.status);
        }
        let times = if faults.has(Fault::RepeatedCallbacks) {
            REPEATS
        } else {
            1
        };
        if over || !faults.has(Fault::ReorderedCallbacks) {
            // In order there is never more than one.
            for posted in held.drain(..).rev() {
                for _ in 0..times {
                    backend.postman.post(&url, &posted).await;
                }
            }
        }
        if over {
            return;
        }
        let clock = Arc::clone(&backend.clock);
        // A simulation that nobody holds ends while this sleeps.
        drop(backend);
        clock.sleep_until(wake).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_called() {
        for (url, is_near) in [
            ("http://127.0.0.1:9/hook", true),
            ("http://localhost/hook", true),
            ("http://[::1]:9/hook", true),
            ("http://10.0.0.1/hook", false),
            ("http://localhost.example/hook", false),
            ("https://127.0.0.1/hook", false),
            ("hook", false),
        ] {
            assert_eq!(near(url).is_some(), is_near, "{url}");
        }
    }
}
