//! The key in its two parts ("Resellers store it as `appId|secret` in one field", wire facts).

use crate::{
    client::ClientError,
    job::{Failure, FailureKind},
    key::Secret,
    net::OutboundRequest,
};

/// An application with its secret.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    app: Secret,
    secret: Secret,
}

impl Pair {
    /// The two parts of `key`.
    pub(super) fn read(key: &Secret) -> Result<Self, ClientError> {
        let (app, secret) = key.expose().split_once('|').unwrap_or_default();
        let (app, secret) = (app.trim(), secret.trim());
        if app.is_empty() || secret.is_empty() {
            let message = "the key of a YouChuan account is written `app|secret`";
            return Err(ClientError::refused(Failure::new(
                FailureKind::AccountBlocked,
                message,
            )));
        }
        Ok(Self {
            app: Secret::new(app),
            secret: Secret::new(secret),
        })
    }

    /// `request` under this key ("headers `x-youchuan-app` and `x-youchuan-secret`").
    pub(super) fn sign(&self, request: OutboundRequest) -> OutboundRequest {
        request
            .with_header("x-youchuan-app", self.app.clone())
            .with_header("x-youchuan-secret", self.secret.clone())
    }

    /// What must not be repeated from an answer.
    pub(super) fn secrets(&self) -> [&str; 2] {
        [self.secret.expose(), self.app.expose()]
    }
}
