//! Keeps one session alive.
//!
//! A renewal that two make at once, or whose outcome is not stored, ends the session for good. So one lock is held from
//! reading the tokens until the renewed ones are stored, and the work goes on when the call that started it is dropped.

use std::{fmt, sync::Arc};

use tokio::sync::{Mutex, OwnedMutexGuard};
use tracing::warn;
use url::form_urlencoded;

use super::{WebOptions, classify, pair::Pair, wire::Renewed};
use crate::{
    client::{ClientError, http::Caller},
    clock::Clock,
    error::Chain,
    job::{Failure, FailureKind},
    key::{KeyError, KeyName, KeyVault},
    net::OutboundRequest,
};

/// One session, shared by all copies of a client.
#[derive(Clone)]
pub(super) struct Session {
    parts: Arc<Parts>,
    state: Arc<Mutex<State>>,
}

/// What stays.
struct Parts {
    vault: Arc<dyn KeyVault>,
    name: KeyName,
    clock: Arc<dyn Clock>,
    /// Calls the token service.
    tokens: Caller,
    web_key: String,
}

/// What changes, under the lock.
#[derive(Default)]
struct State {
    /// Renewed, but the vault did not take it; and the version that it replaces.
    unsaved: Option<(u32, Pair)>,
    /// Not accepted though it should have lasted.
    doubted: Option<Pair>,
    /// What came of renewing a pair that was doubted.
    second: Option<Pair>,
    /// Who is signed in with which pair.
    user: Option<(Pair, String)>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("name", &self.parts.name)
            .finish_non_exhaustive()
    }
}

impl Session {
    pub(super) fn new(options: &WebOptions) -> Self {
        let mut tokens = options.http.clone();
        tokens.base_url = options.token_url.clone();
        Self {
            parts: Arc::new(Parts {
                vault: Arc::clone(&options.vault),
                name: options.http.key.clone(),
                clock: Arc::clone(&options.http.clock),
                tokens: Caller::new(tokens),
                web_key: options.web_key.clone(),
            }),
            state: Arc::default(),
        }
    }

    /// Tokens that are good for a call.
    pub(super) async fn pair(&self) -> Result<Pair, ClientError> {
        let mut state = Arc::clone(&self.state).lock_owned().await;
        let (version, pair) = self.parts.stored(&mut state).await?;
        let doubted = state.doubted.as_ref().is_some_and(|doubted| doubted.is(&pair));
        if !doubted && pair.lasts(self.parts.clock.now()) {
            return Ok(pair);
        }
        let parts = Arc::clone(&self.parts);
        let renewal = tokio::spawn(async move { parts.renew(state, version, &pair).await });
        renewal.await.unwrap_or_else(|error| {
            let failure = Failure::new(FailureKind::Transient, "renewing the session broke off");
            Err(ClientError::not_now(failure, None).with_source(error))
        })
    }

    /// Hears that `pair` was not accepted. Tells whether renewing it may help: once.
    pub(super) async fn doubt(&self, pair: &Pair) -> bool {
        let mut state = self.state.lock().await;
        if state.second.as_ref().is_some_and(|second| second.is(pair)) {
            return false;
        }
        state.doubted = Some(pair.clone());
        true
    }

    /// Who is signed in with `pair`, where that is known.
    pub(super) async fn user(&self, pair: &Pair) -> Option<String> {
        let state = self.state.lock().await;
        let known = state.user.as_ref().filter(|(known, _)| known.is(pair));
        known.map(|(_, user)| user.clone())
    }

    pub(super) async fn remember(&self, pair: &Pair, user: String) {
        self.state.lock().await.user = Some((pair.clone(), user));
    }
}

impl Parts {
    /// The newest tokens in the vault, with their version. What it did not take before goes there first.
    async fn stored(&self, state: &mut State) -> Result<(u32, Pair), ClientError> {
        let key = match self.read().await? {
            (version, _) if state.unsaved.as_ref().is_some_and(|(old, _)| *old == version) => {
                if let Some((old, pair)) = state.unsaved.clone() {
                    self.save(state, old, &pair).await?;
                }
                self.read().await?
            }
            // Somebody has signed in anew.
            key => key,
        };
        state.unsaved = None;
        Ok(key)
    }

    async fn read(&self) -> Result<(u32, Pair), ClientError> {
        let key = self.vault.current(&self.name, self.clock.now()).await;
        let key = key.map_err(|error| match error {
            KeyError::Missing { .. } | KeyError::Unusable { .. } => {
                let message = format!("there is no usable session named {}; store its tokens", self.name);
                ClientError::refused(Failure::new(FailureKind::NeedsPerson, message)).with_source(error)
            }
            error => {
                let failure = Failure::new(FailureKind::Transient, "the session could not be read");
                ClientError::not_now(failure, None).with_source(error)
            }
        })?;
        let pair = Pair::read(&key.secret).ok_or_else(|| {
            let message = format!(
                "the key named {} is no session; store it as `id token|refresh token`",
                self.name
            );
            ClientError::refused(Failure::new(FailureKind::NeedsPerson, message))
        })?;
        Ok((key.version, pair))
    }

    /// Renews `pair`, stores what comes of it, and only then lets go of the lock.
    async fn renew(
        &self,
        mut state: OwnedMutexGuard<State>,
        version: u32,
        pair: &Pair,
    ) -> Result<Pair, ClientError> {
        let mut url = self.tokens.base_url().clone();
        url.query_pairs_mut().append_pair("key", &self.web_key);
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "refresh_token")
            .append_pair("refresh_token", pair.refresh().expose())
            .finish();
        let request = OutboundRequest::post(url, body).with_content_type("application/x-www-form-urlencoded");
        let answer = self.tokens.ask(request).await?;
        let secrets = pair.secrets();
        let renewed: Renewed = match classify::renewed(&self.tokens.reply(&answer, &secrets)) {
            Ok(renewed) => renewed,
            Err(error) => return self.elsewhere(&mut state, version).await.ok_or(error),
        };
        // Where it does not rotate the second token, the old one stays good.
        let refresh = match renewed.refresh_token.as_str() {
            "" => pair.refresh().expose(),
            refresh => refresh,
        };
        let Some(renewed) = Pair::renewed(renewed.id_token.as_str(), refresh) else {
            let failure = Failure::new(
                FailureKind::BadAnswer,
                "the token service's answer holds no tokens",
            );
            return Err(ClientError::not_now(failure, None));
        };
        let doubted = state.doubted.take().is_some();
        state.second = doubted.then(|| renewed.clone());
        state.unsaved = Some((version, renewed.clone()));
        self.save(&mut state, version, &renewed).await?;
        Ok(renewed)
    }

    /// The session as another process may have renewed it in the meantime.
    async fn elsewhere(&self, state: &mut State, version: u32) -> Option<Pair> {
        let (newer, pair) = self.stored(state).await.ok()?;
        (newer != version && pair.lasts(self.clock.now())).then_some(pair)
    }

    /// Puts `pair` in the place of `version`.
    async fn save(&self, state: &mut State, version: u32, pair: &Pair) -> Result<(), ClientError> {
        if let Err(error) = self.vault.add(&self.name, pair.write()).await {
            let message = "the renewed session could not be stored; it is kept in memory until it can be";
            warn!(error = %Chain(&error), name = %self.name, "{message}");
            let failure = Failure::new(FailureKind::Transient, message);
            return Err(ClientError::not_now(failure, None).with_source(error));
        }
        state.unsaved = None;
        // The newest counts in any case.
        if let Err(error) = self.vault.retire(&self.name, version, self.clock.now()).await {
            warn!(error = %Chain(&error), name = %self.name, version, "an old session could not be retired");
        }
        Ok(())
    }
}
