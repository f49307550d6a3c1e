//! The store of pictures that the configuration names.

use std::{path::Path, sync::Arc};

use midjourney_core::{
    config::{Config, StorageKind},
    image::ImageStore,
};

use super::AssembleError;
use crate::{fs::LocalImageStore, linked::LinkedImageStore};

pub(super) async fn open(config: &Config, data_dir: &Path) -> Result<Arc<dyn ImageStore>, AssembleError> {
    let store: Arc<dyn ImageStore> = match config.storage.kind {
        StorageKind::Local => Arc::new(LocalImageStore::open(config.images_dir(data_dir)).await?),
        kind => bucket(config, kind)?,
    };
    Ok(match &config.storage.public_base_url {
        Some(base) => Arc::new(LinkedImageStore::new(store, base.as_str())),
        None => store,
    })
}

#[cfg(feature = "_object")]
fn bucket(config: &Config, kind: StorageKind) -> Result<Arc<dyn ImageStore>, AssembleError> {
    use midjourney_core::key::Secret;
    use secrecy::ExposeSecret as _;

    use crate::object::{Bucket, BucketKind, Credentials, ObjectImageStore};

    let storage = &config.storage;
    let service = match kind {
        StorageKind::S3 => BucketKind::S3,
        StorageKind::Gcs => BucketKind::Gcs,
        StorageKind::Azure => BucketKind::Azure,
        _ => return Err(AssembleError::NoSuchStorage { kind }),
    };
    if !service.is_built_in() {
        return Err(AssembleError::NoSuchStorage { kind });
    }
    let credentials = match (
        &storage.access_key_id,
        &storage.secret_access_key,
        &storage.credentials_file,
    ) {
        (Some(name), Some(secret), _) => Credentials::Key {
            name: name.clone(),
            secret: Secret::new(secret.expose_secret()),
        },
        (.., Some(file)) => Credentials::File(file.clone()),
        _ => Credentials::Environment,
    };
    let bucket = Bucket {
        prefix: storage.prefix.clone(),
        region: storage.region.clone(),
        endpoint: storage
            .endpoint
            .as_ref()
            .map(|url| url.as_str().trim_end_matches('/').to_owned()),
        credentials,
        ..Bucket::new(service, storage.bucket.clone().unwrap_or_default())
    };
    Ok(Arc::new(
        ObjectImageStore::open(&bucket)?.with_signed_links(storage.signed_links),
    ))
}

#[cfg(not(feature = "_object"))]
fn bucket(_: &Config, kind: StorageKind) -> Result<Arc<dyn ImageStore>, AssembleError> {
    Err(AssembleError::NoSuchStorage { kind })
}
