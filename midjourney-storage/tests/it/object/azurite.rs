//! Azurite, Microsoft's own imitation of its storage, which ends with the process that started it.

use std::{
    env,
    path::Path,
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use midjourney_core::key::Secret;
use midjourney_storage::object::{Bucket, BucketKind, Credentials};

use super::script::Script;

/// The account that every Azurite has, and its key: Microsoft publishes both.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// Serves, says where, and makes the containers whose names it is told until there are no more lines.
const SCRIPT: &str = r#"
import base64, hashlib, hmac, http.client, subprocess, sys
from email.utils import formatdate

program, account, key = sys.argv[1:]
options = "--inMemoryPersistence --blobHost 127.0.0.1 --blobPort 0 --silent --skipApiVersionCheck --disableTelemetry"
server = subprocess.Popen([program, *options.split()], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
address = next(line.split()[-1] for line in server.stdout if "successfully listens" in line)
print(f"{address}/{account}", flush=True)
for line in sys.stdin:
    path = f"/{account}/{line.strip()}"
    headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-12-02"}
    signed = "PUT" + "\n" * 12 + "".join(f"{name}:{value}\n" for name, value in headers.items())
    signed += f"/{account}{path}\nrestype:container"
    signature = base64.b64encode(hmac.digest(base64.b64decode(key), signed.encode(), hashlib.sha256)).decode()
    headers["Authorization"] = f"SharedKey {account}:{signature}"
    connection = http.client.HTTPConnection(address.removeprefix("http://"))
    connection.request("PUT", f"{path}?restype=container", headers=headers)
    print(connection.getresponse().status, flush=True)
    connection.close()
server.kill()
"#;

/// A running server.
pub(crate) struct Azurite {
    address: String,
    script: Mutex<Script>,
    containers: AtomicU32,
}

impl Azurite {
    /// The one that all tests share.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Azurite> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    fn start() -> Self {
        let program = env::var_os("TEST_AZURITE").unwrap_or_else(|| "azurite-blob".into());
        let mut script = Script::start(SCRIPT, &[program.clone(), ACCOUNT.into(), KEY.into()]);
        let address = script.line();
        assert!(
            address.starts_with("http"),
            "{} is no server for Azure, so nothing was tested of it: npm install --prefix /tmp/azurite azurite@3, then \
             set TEST_AZURITE to /tmp/azurite/node_modules/.bin/azurite-blob",
            Path::new(&program).display()
        );
        Self {
            address,
            script: Mutex::new(script),
            containers: AtomicU32::new(0),
        }
    }

    /// A new, empty container.
    pub(crate) fn bucket(&self) -> Bucket {
        let number = self.containers.fetch_add(1, Ordering::Relaxed);
        let name = format!("pictures-{number}");
        assert_eq!(self.script.lock().unwrap().ask(&name), "201");
        let mut bucket = Bucket::new(BucketKind::Azure, name);
        bucket.endpoint = Some(self.address.clone());
        bucket.credentials = Credentials::Key {
            name: ACCOUNT.to_owned(),
            secret: Secret::new(KEY),
        };
        bucket
    }
}
