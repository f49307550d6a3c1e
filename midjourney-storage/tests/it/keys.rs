use std::sync::Arc;

use midjourney_core::{
    clock::Timestamp,
    key::{KeyError, KeyName, KeyProvider, Secret},
    key_provider_suite,
    testing::key_provider::{NAME, SECRET},
};
use midjourney_storage::keys::FixedKeys;

fn keys(secret: &str) -> FixedKeys {
    FixedKeys::new(
        "environment",
        "set MIDJOURNEY_API_KEY",
        [(KeyName::new(NAME), Secret::new(secret))],
    )
}

mod suite {
    use super::*;

    async fn fresh() -> (Arc<dyn KeyProvider>, ()) {
        (Arc::new(keys(SECRET)), ())
    }

    key_provider_suite!(fresh);
}

#[tokio::test]
async fn a_missing_key_comes_with_its_mend() {
    let missing = keys("x")
        .current(&KeyName::new("other"), Timestamp::default())
        .await;
    assert_eq!(
        missing.unwrap_err().to_string(),
        "no key named other is set; set MIDJOURNEY_API_KEY"
    );
}

#[tokio::test]
async fn a_key_that_no_header_can_carry_is_unusable_and_not_shown() {
    for bad in ["", "  ", "secret\n", "sec\r\nret", "a\0b"] {
        let keys = keys(bad);
        for error in [
            keys.current(&KeyName::new(NAME), Timestamp::default())
                .await
                .unwrap_err(),
            keys.usable(&KeyName::new(NAME), Timestamp::default())
                .await
                .unwrap_err(),
        ] {
            assert!(matches!(error, KeyError::Unusable { .. }), "{bad:?}");
            assert!(!error.to_string().contains("secret"));
        }
    }
}
