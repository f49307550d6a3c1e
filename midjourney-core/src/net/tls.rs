//! How connections are made private: with the certificates of the system, which are read once for all clients. They are
//! some hundred files, and every process has several clients.

use std::sync::{Arc, OnceLock};

use rustls::{ClientConfig, crypto::CryptoProvider};
use rustls_platform_verifier::BuilderVerifierExt as _;

static SETTINGS: OnceLock<ClientConfig> = OnceLock::new();

/// What every client of this process checks the other side by.
///
/// **Errors:** the system's certificates cannot be used. The next call tries again.
pub(super) fn settings() -> Result<ClientConfig, rustls::Error> {
    if let Some(settings) = SETTINGS.get() {
        return Ok(settings.clone());
    }
    let mut settings = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth();
    settings.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(SETTINGS.get_or_init(|| settings).clone())
}

/// The program's own, where it has installed one.
fn provider() -> Arc<CryptoProvider> {
    match CryptoProvider::get_default() {
        Some(installed) => Arc::clone(installed),
        None => Arc::new(rustls::crypto::aws_lc_rs::default_provider()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_share_one_set_of_certificates() {
        let (first, second) = (settings().unwrap(), settings().unwrap());
        // The provider is made together with them.
        assert!(Arc::ptr_eq(first.crypto_provider(), second.crypto_provider()));
        assert_eq!(first.alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
    }
}
