//! A server that lets everybody in and says nothing more.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
    time::Duration,
};

use midjourney_core::{
    error::{Applied, Retry},
    job::StoreError,
};
use midjourney_storage::postgres::{PostgresJobStore, PostgresOptions};

/// "Welcome", and "ask".
const WELCOME: &[u8] = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";

/// One row of one text, `off`, to the question whether this server only reads.
const WRITABLE: &[u8] = b"T\0\0\0\x1a\0\x01a\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0\
    D\0\0\0\x0d\0\x01\0\0\0\x03offC\0\0\0\x09SHOW\0Z\0\0\0\x05I";

/// Reads the length of a message, and what comes after it.
fn message(client: &mut TcpStream) {
    let mut length = [0; 4];
    client.read_exact(&mut length).unwrap();
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap();
    client.read_exact(&mut vec![0; length - 4]).unwrap();
}

fn serve(listener: &TcpListener) {
    let mut silent = Vec::new();
    for client in listener.incoming() {
        let mut client = client.unwrap();
        message(&mut client);
        client.write_all(WELCOME).unwrap();
        client.read_exact(&mut [0]).unwrap();
        message(&mut client);
        client.write_all(WRITABLE).unwrap();
        silent.push(client);
    }
}

#[tokio::test]
async fn a_server_that_falls_silent_is_not_waited_for_without_end() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || serve(&listener));
    let mut options = PostgresOptions::default();
    options.connect_limit = Duration::from_secs(1);
    let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
    let connecting = PostgresJobStore::connect(&url, options);
    let ended = tokio::time::timeout(Duration::from_secs(30), connecting).await;
    let error = ended.expect("it ends").unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Backend {
                applied: Applied::No,
                retry: Retry::Soon,
                ..
            }
        ),
        "{error:?}"
    );
}
