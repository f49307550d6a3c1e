//! The reference backends against the suites.

mod jobs {
    use std::sync::Arc;

    use midjourney_core::{job::JobStore, job_store_suite, memory::MemoryJobStore};

    async fn fresh() -> (Arc<dyn JobStore>, ()) {
        (Arc::new(MemoryJobStore::new()), ())
    }

    job_store_suite!(fresh);
}

mod deliveries {
    use std::sync::Arc;

    use midjourney_core::{delivery::DeliveryStore, delivery_store_suite, memory::MemoryDeliveryStore};

    async fn fresh() -> (Arc<dyn DeliveryStore>, ()) {
        (Arc::new(MemoryDeliveryStore::new()), ())
    }

    delivery_store_suite!(fresh);
}

mod images {
    use std::sync::Arc;

    use midjourney_core::{image::ImageStore, image_store_suite, memory::MemoryImageStore};

    async fn fresh() -> (Arc<dyn ImageStore>, ()) {
        (Arc::new(MemoryImageStore::new()), ())
    }

    image_store_suite!(fresh);
}

mod keys {
    use std::sync::Arc;

    use midjourney_core::{
        key::{KeyName, KeyProvider, KeyVault as _, Secret},
        key_provider_suite,
        memory::MemoryKeys,
        testing::key_provider::{NAME, SECRET},
    };

    #[expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]
    async fn fresh() -> (Arc<dyn KeyProvider>, ()) {
        let keys = MemoryKeys::new();
        keys.add(&KeyName::new(NAME), Secret::new(SECRET)).await.unwrap();
        (Arc::new(keys), ())
    }

    key_provider_suite!(fresh);
}

mod vault {
    use std::sync::Arc;

    use midjourney_core::{key::KeyVault, key_vault_suite, memory::MemoryKeys};

    async fn fresh() -> (Arc<dyn KeyVault>, ()) {
        (Arc::new(MemoryKeys::new()), ())
    }

    key_vault_suite!(fresh);
}
