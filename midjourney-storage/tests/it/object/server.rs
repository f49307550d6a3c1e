//! A server for S3 of the tests' own, which ends with the process that started it.

use std::{
    path::Path,
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use midjourney_core::key::Secret;
use midjourney_storage::object::{Bucket, BucketKind, Credentials};

use super::script::Script;

/// Serves, says where, and does what it is told line by line until there are no more lines.
const SCRIPT: &str = r#"
import logging, sys
import boto3
from moto.server import ThreadedMotoServer

logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
address = "http://127.0.0.1:%d" % server.get_host_and_port()[1]
print(address, flush=True)
s3 = boto3.client("s3", endpoint_url=address, region_name="us-east-1",
                  aws_access_key_id="tests", aws_secret_access_key="tests")
for line in sys.stdin:
    word, bucket = line.split()
    if word == "make":
        s3.create_bucket(Bucket=bucket)
        print("made", flush=True)
    else:
        print(len(s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])), flush=True)
server.stop()
"#;

/// A running server.
pub(crate) struct Server {
    address: String,
    script: Mutex<Script>,
    buckets: AtomicU32,
}

impl Server {
    /// The one that all tests share.
    pub(crate) fn s3() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    fn start() -> Self {
        let mut script = Script::start(SCRIPT, &[]);
        let address = script.line();
        assert!(
            address.starts_with("http"),
            "there is no server for S3 for {}, so nothing was tested of it: python3 -m venv /tmp/test-venv && \
             /tmp/test-venv/bin/pip install 'moto[server]', then set TEST_PYTHON to /tmp/test-venv/bin/python",
            Path::new(&Script::python()).display()
        );
        Self {
            address,
            script: Mutex::new(script),
            buckets: AtomicU32::new(0),
        }
    }

    /// A new, empty bucket.
    pub(crate) fn bucket(&self) -> Bucket {
        let number = self.buckets.fetch_add(1, Ordering::Relaxed);
        let name = format!("pictures-{number}");
        assert_eq!(self.ask(&format!("make {name}")), "made");
        let mut bucket = Bucket::new(BucketKind::S3, name);
        bucket.endpoint = Some(self.address.clone());
        bucket.credentials = Credentials::Key {
            name: "tests".to_owned(),
            secret: Secret::new("tests"),
        };
        bucket
    }

    /// What the script says to `line`.
    pub(crate) fn ask(&self, line: &str) -> String {
        self.script.lock().unwrap().ask(line)
    }
}
