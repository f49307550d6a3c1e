//! Which bucket, and how it is reached.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use midjourney_core::{error::BoxError, key::Secret};
use object_store::{ClientOptions, ObjectStore, RetryConfig, signer::Signer};

/// The service that a bucket is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BucketKind {
    /// Amazon S3, or what speaks its protocol.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage, which says "container".
    Azure,
}

impl BucketKind {
    /// Its name in the configuration; the feature that has it is called the same.
    pub const fn name(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gcs => "gcs",
            Self::Azure => "azure",
        }
    }

    /// Whether this build has it.
    pub const fn is_built_in(self) -> bool {
        match self {
            Self::S3 => cfg!(feature = "s3"),
            Self::Gcs => cfg!(feature = "gcs"),
            Self::Azure => cfg!(feature = "azure"),
        }
    }
}

/// What proves who asks.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Credentials {
    /// What the service's own tools would take: variables of the environment, or the machine's identity.
    Environment,
    /// The name of a key, or of a storage account, and its secret. S3 and Azure.
    Key {
        /// The name.
        name: String,
        /// The secret.
        secret: Secret,
    },
    /// A file with the key of a service account. GCS.
    File(PathBuf),
}

/// Where pictures are.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Bucket {
    /// The service.
    pub kind: BucketKind,
    /// The name of the bucket.
    pub name: String,
    /// What stands in front of every key, such as `midjourney/pictures`; nothing by default.
    pub prefix: Option<String>,
    /// Where the bucket is; `us-east-1` where nothing says otherwise. S3.
    pub region: Option<String>,
    /// The service's address where it is not its own, such as `http://127.0.0.1:9000`. The operator's, so it may be
    /// private.
    pub endpoint: Option<String>,
    /// What proves who asks.
    pub credentials: Credentials,
}

impl Bucket {
    /// The bucket called `name`, by credentials of the environment.
    pub fn new(kind: BucketKind, name: impl Into<String>) -> Self {
        Self {
            kind,
            name: name.into(),
            prefix: None,
            region: None,
            endpoint: None,
            credentials: Credentials::Environment,
        }
    }

    /// Where this is, in words.
    pub(super) fn place(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.kind.name(), self.name)?;
        match &self.prefix {
            Some(prefix) => write!(f, "/{prefix}"),
            None => Ok(()),
        }
    }
}

/// A client of a service, which can also sign links.
pub(super) struct Service {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) signer: Arc<dyn Signer>,
}

impl Service {
    fn new(client: impl ObjectStore + Signer) -> Self {
        let store = Arc::new(client);
        let signer = Arc::clone(&store);
        Self { store, signer }
    }
}

/// The client for `bucket`.
pub(super) fn connect(bucket: &Bucket) -> Result<Service, BoxError> {
    match bucket.kind {
        #[cfg(feature = "s3")]
        BucketKind::S3 => s3(bucket),
        #[cfg(feature = "gcs")]
        BucketKind::Gcs => gcs(bucket),
        #[cfg(feature = "azure")]
        BucketKind::Azure => azure(bucket),
        #[cfg(not(all(feature = "s3", feature = "gcs", feature = "azure")))]
        kind => Err(format!(
            "{0} is not in this build; build it with the feature `{0}`",
            kind.name()
        )
        .into()),
    }
}

fn client(bucket: &Bucket) -> ClientOptions {
    let plain = bucket
        .endpoint
        .as_ref()
        .is_some_and(|endpoint| endpoint.starts_with("http://"));
    ClientOptions::new()
        .with_allow_http(plain)
        .with_connect_timeout(Duration::from_secs(5))
        // Of silence: a big picture may take its time.
        .with_read_timeout(Duration::from_secs(20))
        .with_timeout(Duration::from_secs(120))
}

fn retry() -> RetryConfig {
    RetryConfig {
        max_retries: 3,
        retry_timeout: Duration::from_secs(30),
        ..RetryConfig::default()
    }
}

#[cfg(feature = "s3")]
fn s3(bucket: &Bucket) -> Result<Service, BoxError> {
    use object_store::aws::AmazonS3Builder;
    let mut builder = match &bucket.credentials {
        Credentials::Key { name, secret } => AmazonS3Builder::new()
            .with_access_key_id(name)
            .with_secret_access_key(secret.expose()),
        _ => AmazonS3Builder::from_env(),
    };
    if let Some(region) = &bucket.region {
        builder = builder.with_region(region);
    }
    if let Some(endpoint) = &bucket.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    let builder = builder
        .with_bucket_name(&bucket.name)
        .with_client_options(client(bucket))
        .with_retry(retry());
    Ok(Service::new(builder.build()?))
}

#[cfg(feature = "gcs")]
fn gcs(bucket: &Bucket) -> Result<Service, BoxError> {
    use object_store::gcp::GoogleCloudStorageBuilder;
    let mut builder = match &bucket.credentials {
        Credentials::File(file) => {
            GoogleCloudStorageBuilder::new().with_service_account_path(file.to_string_lossy())
        }
        _ => GoogleCloudStorageBuilder::from_env(),
    };
    if let Some(endpoint) = &bucket.endpoint {
        builder = builder.with_base_url(endpoint);
    }
    let builder = builder
        .with_bucket_name(&bucket.name)
        .with_client_options(client(bucket))
        .with_retry(retry());
    Ok(Service::new(builder.build()?))
}

#[cfg(feature = "azure")]
fn azure(bucket: &Bucket) -> Result<Service, BoxError> {
    use object_store::azure::MicrosoftAzureBuilder;
    let mut builder = match &bucket.credentials {
        Credentials::Key { name, secret } => MicrosoftAzureBuilder::new()
            .with_account(name)
            .with_access_key(secret.expose()),
        _ => MicrosoftAzureBuilder::from_env(),
    };
    if let Some(endpoint) = &bucket.endpoint {
        builder = builder.with_endpoint(endpoint.clone());
    }
    let builder = builder
        .with_container_name(&bucket.name)
        .with_client_options(client(bucket))
        .with_retry(retry());
    Ok(Service::new(builder.build()?))
}
