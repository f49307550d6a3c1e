//! Commits whose answer never comes.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use midjourney_core::job::Job;
use midjourney_storage::postgres::{PostgresJobStore, PostgresOptions};
use tokio::time::{sleep, timeout};

use super::{
    ask,
    cluster::Cluster,
    nodes::{DEADLINE, all, insert},
};

/// What only the tests here do to a server.
impl Cluster {
    /// The socket of the server.
    fn socket(&self) -> PathBuf {
        self.folder.join(".s.PGSQL.5432")
    }

    /// Keeps a copy of all there is now, as another server would have it.
    fn copy(&self) {
        self.control("stop");
        self.run("cp", &["--archive", "data", "copy"]);
        self.control("restart");
    }

    /// Goes on with the copy: what came after it is gone.
    fn fail_over(&self) {
        self.control("stop");
        self.run("mv", &["data", "old"]);
        self.run("mv", &["copy", "data"]);
        self.control("restart");
    }
}

/// What happens on the way to the server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Open,
    /// The next commit is cut off before it arrives.
    CutBefore,
    /// The next commit arrives, and then the way is cut.
    CutAfter,
    /// The same, and nobody comes through from then on.
    CutForGood,
    Closed,
}

/// Stands between a store and the server.
struct Between {
    way: Arc<Mutex<Way>>,
    port: u16,
}

impl Between {
    fn start(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let way = Arc::new(Mutex::new(Way::Open));
        let here = Arc::clone(&way);
        thread::spawn(move || {
            for client in listener.incoming() {
                if *here.lock().unwrap() != Way::Closed {
                    join(client.unwrap(), &socket, Arc::clone(&here));
                }
            }
        });
        Self { way, port }
    }

    fn set(&self, way: Way) {
        *self.way.lock().unwrap() = way;
    }

    fn is(&self, way: Way) -> bool {
        *self.way.lock().unwrap() == way
    }

    async fn connect(&self, url: &str) -> Arc<PostgresJobStore> {
        let name = url.rsplit('/').next().unwrap();
        let url = format!("postgres://postgres@127.0.0.1:{}/{name}", self.port);
        let mut options = PostgresOptions::default();
        options.retry_limit = DEADLINE;
        Arc::new(PostgresJobStore::connect(&url, options).await.unwrap())
    }
}

/// Hands on what both say, until either ends or the way is cut.
fn join(mut client: TcpStream, socket: &Path, way: Arc<Mutex<Way>>) {
    let Ok(mut server) = UnixStream::connect(socket) else {
        return;
    };
    let (mut to_client, mut from_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    thread::spawn(move || {
        drop(std::io::copy(&mut from_server, &mut to_client));
        drop(to_client.shutdown(Shutdown::Both));
    });
    thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = client.read(&mut buffer) {
            let said = buffer.get(..read).unwrap();
            if said.ends_with(b"COMMIT\0") && cut(&client, &mut server, said, &way) {
                break;
            }
            if server.write_all(said).is_err() {
                break;
            }
        }
        drop(server.shutdown(Shutdown::Both));
        drop(client.shutdown(Shutdown::Both));
    });
}

/// Whether the way ends here.
fn cut(client: &TcpStream, server: &mut UnixStream, said: &[u8], way: &Mutex<Way>) -> bool {
    let now = *way.lock().unwrap();
    let next = match now {
        Way::Open | Way::Closed => return false,
        Way::CutBefore | Way::CutAfter => Way::Open,
        Way::CutForGood => Way::Closed,
    };
    *way.lock().unwrap() = next;
    client.shutdown(Shutdown::Both).unwrap();
    if now != Way::CutBefore {
        server.write_all(said).unwrap();
    }
    true
}

fn inserting(store: &Arc<PostgresJobStore>, seed: u64) -> tokio::task::JoinHandle<Job> {
    let store = Arc::clone(store);
    tokio::spawn(async move { insert(&store, seed).await })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_committed_is_known_though_the_answer_is_lost() {
    let cluster = Cluster::start();
    let url = cluster.database();
    let between = Between::start(cluster.socket());
    let store = between.connect(&url).await;
    let mut expected = 0;
    for way in [Way::CutBefore, Way::CutAfter, Way::CutBefore, Way::CutAfter] {
        between.set(way);
        expected += 1;
        timeout(DEADLINE, inserting(&store, expected))
            .await
            .unwrap()
            .unwrap();
        assert!(between.is(Way::Open), "nothing was cut");
        assert_eq!(all(&store).await.len(), usize::try_from(expected).unwrap());
    }
}

/// What takes over has the numbers of its transactions still to give, and gives them to others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_another_server_lacks_is_run_again_there() {
    let cluster = Cluster::start();
    let url = cluster.database();
    let between = Between::start(cluster.socket());
    let store = between.connect(&url).await;
    insert(&store, 1).await;
    cluster.copy();
    insert(&store, 2).await;
    between.set(Way::CutForGood);
    let unclear = inserting(&store, 3);
    let cut = async {
        while !between.is(Way::Closed) {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(DEADLINE, cut).await.unwrap();
    cluster.fail_over();
    let others = "DO $$ BEGIN FOR i IN 1..200 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$";
    ask(&url, others).await;
    between.set(Way::Open);
    let job = timeout(DEADLINE, unclear).await.unwrap().unwrap();
    assert!(all(&store).await.contains(&job.id), "an acknowledged job is lost");
}
