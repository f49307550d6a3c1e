//! What a traced server wrote, synced and answered, in order.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
};

/// Writes to a file, those that were synced and those that were not yet.
#[derive(Default)]
struct Content {
    synced: Vec<u8>,
    waiting: Vec<Change>,
}

enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Cut { length: usize },
}

impl Content {
    /// Makes what waits durable; tells the pages in it.
    fn sync(&mut self) -> Vec<Vec<u8>> {
        let mut pages = Vec::new();
        for change in self.waiting.drain(..) {
            match change {
                Change::Write { at, bytes } => {
                    let end = at + bytes.len();
                    if self.synced.len() < end {
                        self.synced.resize(end, 0);
                    }
                    self.synced[at..end].copy_from_slice(&bytes);
                    pages.push(bytes);
                }
                Change::Cut { length } => self.synced.truncate(length),
            }
        }
        pages
    }
}

const DATABASE: &str = "/midjourney.db";
const LOG: &str = "/midjourney.db-wal";

#[derive(Default)]
struct Files {
    database: Content,
    log: Content,
}

impl Files {
    fn get(&mut self, path: &str) -> Option<&mut Content> {
        if path.ends_with(LOG) {
            Some(&mut self.log)
        } else {
            path.ends_with(DATABASE).then_some(&mut self.database)
        }
    }
}

/// One system call of interest.
enum Call {
    Write {
        file: String,
        at: usize,
        bytes: Vec<u8>,
    },
    Cut {
        file: String,
        length: usize,
    },
    Sync {
        file: String,
    },
    /// The jobs of an order, acknowledged.
    Acknowledge(Vec<String>),
}

/// What became of a trace.
#[derive(Default)]
pub(super) struct Replay {
    /// The database, as far as it was synced.
    pub(super) database: Vec<u8>,
    /// Its log, as far as that was synced.
    pub(super) log: Vec<u8>,
    /// How many syncs of the log there were.
    pub(super) syncs: usize,
    /// The jobs whose rows were synced into the log before they were acknowledged.
    pub(super) covered: HashSet<String>,
}

impl Replay {
    /// Reads the trace at `path` of a server whose database began as `base`, with no log.
    pub(super) fn of(path: &Path, base: Vec<u8>) -> Self {
        let answered = calls(path).filter_map(|(call, _)| match call {
            Call::Acknowledge(ids) => Some(ids),
            _ => None,
        });
        let ids: HashSet<[u8; 16]> = answered.flatten().map(|id| bytes_of(&id)).collect();
        let mut replay = Self::default();
        let mut files = Files::default();
        files.database.synced = base;
        let mut durable: HashSet<[u8; 16]> = HashSet::new();
        for (call, good) in calls(path) {
            match call {
                Call::Write { file, at, bytes } => {
                    if let Some(content) = files.get(&file) {
                        content.waiting.push(Change::Write { at, bytes });
                    }
                }
                Call::Cut { file, length } => {
                    if let Some(content) = files.get(&file) {
                        content.waiting.push(Change::Cut { length });
                    }
                }
                Call::Sync { file } if good => {
                    let is_log = file.ends_with(LOG);
                    replay.syncs += usize::from(is_log);
                    let pages = files.get(&file).map(Content::sync).unwrap_or_default();
                    for page in pages.iter().filter(|_| is_log) {
                        durable.extend(page.windows(16).filter_map(|it| ids.get(it).copied()));
                    }
                }
                Call::Sync { .. } => {}
                Call::Acknowledge(ids) => {
                    let covered = ids.into_iter().filter(|id| durable.contains(&bytes_of(id)));
                    replay.covered.extend(covered);
                }
            }
        }
        (replay.database, replay.log) = (files.database.synced, files.log.synced);
        replay
    }
}

/// The 16 bytes of `job_<32 hexadecimal digits>`, as they stand in the row.
fn bytes_of(id: &str) -> [u8; 16] {
    let digits = id.rsplit('_').next().unwrap();
    u128::from_str_radix(digits, 16).unwrap().to_be_bytes()
}

/// The calls of a trace, and whether each succeeded. A write or sync comes when it is done; an answer when it begins.
fn calls(path: &Path) -> impl Iterator<Item = (Call, bool)> {
    let mut begun: HashMap<String, Option<Call>> = HashMap::new();
    let lines = BufReader::new(File::open(path).unwrap()).lines();
    lines.filter_map(move |line| {
        let line = line.unwrap();
        let (thread, rest) = line.split_once(' ').unwrap();
        let rest = rest.trim_start();
        if rest.starts_with("<... ") {
            let call = begun.remove(thread).flatten()?;
            return Some((call, succeeded(rest)));
        }
        let call = parsed(rest);
        if rest.ends_with("<unfinished ...>") {
            if let Some(Call::Acknowledge(_)) = call {
                begun.insert(thread.to_owned(), None);
                return call.map(|call| (call, true));
            }
            begun.insert(thread.to_owned(), call);
            return None;
        }
        call.map(|call| (call, succeeded(rest)))
    })
}

fn succeeded(rest: &str) -> bool {
    let result = rest.rsplit_once(" = ").map(|(_, result)| result);
    result.is_some_and(|result| result.starts_with(|it: char| it.is_ascii_digit()))
}

fn parsed(rest: &str) -> Option<Call> {
    let (name, arguments) = rest.split_once('(')?;
    let file = || {
        let (_, path) = arguments.split_once('<')?;
        Some(String::from_utf8_lossy(&unescaped(path.split('>').next()?)).into_owned())
    };
    // Without strings, what is left are the numbers.
    let numbers = || {
        let after = arguments.rsplit_once('"').map_or(arguments, |(_, after)| after);
        let digits = after.split(|it: char| !it.is_ascii_digit());
        digits
            .filter_map(|it| it.parse::<usize>().ok())
            .collect::<Vec<_>>()
    };
    let text = || arguments.split('"').nth(1).map(unescaped);
    match name {
        "pwrite64" => Some(Call::Write {
            file: file()?,
            // `, length, offset`
            at: *numbers().get(1)?,
            bytes: text()?,
        }),
        "ftruncate" => {
            let (_, length) = arguments.split_once(">, ")?;
            let length = length.split(|it: char| !it.is_ascii_digit()).next()?;
            Some(Call::Cut {
                file: file()?,
                length: length.parse().ok()?,
            })
        }
        "fsync" | "fdatasync" => Some(Call::Sync { file: file()? }),
        "sendto" => {
            let answer = String::from_utf8_lossy(&text()?).into_owned();
            let ids = answer.starts_with("HTTP/1.1 202").then(|| {
                let (_, jobs) = answer.split_once("\"jobs\":")?;
                let ids = jobs.split("\"id\":\"").skip(1);
                Some(
                    ids.filter_map(|it| it.split('"').next().map(str::to_owned))
                        .collect(),
                )
            });
            ids.flatten().map(Call::Acknowledge)
        }
        _ => None,
    }
}

/// The bytes of `\x48\x54...`.
fn unescaped(text: &str) -> Vec<u8> {
    let digits = text.split("\\x").skip(1);
    digits
        .filter_map(|it| u8::from_str_radix(it.get(..2)?, 16).ok())
        .collect()
}
