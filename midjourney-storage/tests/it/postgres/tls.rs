//! Connections that nobody on the way can read, to the right database.

use std::{ffi::OsStr, fs, net::TcpListener, path::Path};

use midjourney_core::{error::Chain, job::JobStore as _};
use midjourney_storage::postgres::{PostgresJobStore, PostgresOptions};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

use super::cluster::Cluster;

/// An authority, and a certificate for `localhost` that it has signed.
fn certificates(folder: &Path) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let server = server.signed_by(&key, &authority).unwrap();
    fs::write(folder.join("ca.crt"), authority.pem()).unwrap();
    fs::write(folder.join("server.crt"), server.pem()).unwrap();
    fs::write(folder.join("server.key"), key.serialize_pem()).unwrap();
}

/// Where others may read what the server is given.
fn folder() -> TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = TempDir::new().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

async fn connected(url: &str, authority: Option<&Path>) -> Result<PostgresJobStore, String> {
    let mut options = PostgresOptions::default();
    options.ca = authority.map(Path::to_owned);
    PostgresJobStore::connect(url, options)
        .await
        .map_err(|error| format!("{error:?} {}", Chain(&error)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encrypted_connection_is_made_to_the_right_database_only() {
    let (ours, others) = (folder(), folder());
    certificates(ours.path());
    certificates(others.path());
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let _cluster = Cluster::start_with(&[ours.path().as_os_str(), OsStr::new(&port.to_string())]);
    let url = |host: &str| format!("postgres://postgres:hunter2@{host}:{port}/postgres");
    let authority = ours.path().join("ca.crt");

    let store = connected(&url("localhost"), Some(&authority)).await.unwrap();
    store.ping().await.unwrap();
    let (client, connection) = tokio_postgres::connect(
        &format!("host=127.0.0.1 port={port} user=postgres sslmode=disable"),
        tokio_postgres::NoTls,
    )
    .await
    .unwrap();
    tokio::spawn(connection);
    let ways = "SELECT count(*) FILTER (WHERE ssl), count(*) FILTER (WHERE NOT ssl)
                FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'midjourney'";
    let ways = client.query_one(ways, &[]).await.unwrap();
    let (encrypted, open): (i64, i64) = (ways.get(0), ways.get(1));
    assert!(encrypted >= 1 && open == 0, "{encrypted} encrypted, {open} not");

    let unknown = format!("{}?sslmode=require", url("localhost"));
    for (url, authority) in [
        // Nobody whom the system trusts has signed it.
        (unknown, None),
        (url("localhost"), Some(others.path().join("ca.crt"))),
        // It is for another host.
        (url("127.0.0.1"), Some(authority.clone())),
        (url("localhost"), Some(ours.path().join("nothing.crt"))),
        (url("localhost"), Some(ours.path().join("server.key"))),
    ] {
        let told = connected(&url, authority.as_deref()).await.unwrap_err();
        assert!(!told.contains("hunter2"), "{told}");
    }
}
