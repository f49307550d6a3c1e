//! Whether the time that a comparison takes tells where a forgery is wrong.
//!
//! After `dudect` (Reparaz, Balasch, Verbauwhede: "Dude, is my code constant time?", 2017): a million forgeries, each wrong
//! in its first or in its last digit as chance has it, and Welch's t between the two groups of times. Beyond 4.5 either
//! way, the groups differ. A comparison that stops at the first difference is measured along, to show that it would be seen.
#![expect(clippy::disallowed_methods, reason = "measuring is asking the clock")]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use midjourney_core::{
    clock::{Entropy as _, OsEntropy, Timestamp},
    id::JobId,
    job::Nonce,
    key::Secret,
    link::PublicLinks,
    webhook::CallbackRegistration,
};

/// How many comparisons of each kind are timed.
const COMPARES: usize = 1_000_000;

/// Beyond this, two groups are not of one kind.
const LIMIT: f64 = 4.5;

/// What is given up of the slowest times, which others on the machine caused: nothing, and more and more.
const CROPS: [f64; 4] = [1.0, 0.99, 0.9, 0.5];

/// Mean and variance of the times of one group.
#[derive(Default)]
struct Group {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Group {
    /// Welford's way, which loses no digits.
    fn add(&mut self, time: f64) {
        self.count += 1.0;
        let off = time - self.mean;
        self.mean += off / self.count;
        self.squares += off * (time - self.mean);
    }

    fn error(&self) -> f64 {
        self.squares / (self.count - 1.0) / self.count
    }
}

/// Welch's t of two groups.
fn welch(groups: &[Group; 2]) -> f64 {
    let [first, last] = groups;
    (first.mean - last.mean) / (first.error() + last.error()).sqrt()
}

/// `right` with its digit at `place` changed.
fn wrong_at(right: &str, place: usize) -> String {
    let mut bytes = right.as_bytes().to_vec();
    if let Some(digit) = bytes.get_mut(place) {
        *digit = if *digit == b'0' { b'1' } else { b'0' };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Times `compare` on `right` made wrong at its digit `first`, and at its last one.
fn measure(name: &str, right: &str, first: usize, compare: impl Fn(&str) -> bool) {
    let forged = [wrong_at(right, first), wrong_at(right, right.len() - 1)];
    assert!(compare(right) && !forged.iter().any(|forged| compare(forged)));
    let mut chance = [0; COMPARES / 8];
    OsEntropy.fill(&mut chance);
    let mut times = Vec::with_capacity(COMPARES);
    // All are compared in the same place, so that only the bytes differ.
    let mut given = String::with_capacity(right.len());
    for (byte, bit) in chance.iter().flat_map(|byte| (0..8).map(move |bit| (byte, bit))) {
        let group = usize::from(byte >> bit & 1);
        given.clear();
        given.push_str(&forged[group]);
        let begun = Instant::now();
        black_box(compare(black_box(&given)));
        times.push((group, begun.elapsed()));
    }
    let mut sorted: Vec<Duration> = times.iter().map(|(_, time)| *time).collect();
    sorted.sort_unstable();
    let worst = CROPS
        .into_iter()
        .map(|part| {
            let longest = sorted[((sorted.len() - 1) as f64 * part) as usize];
            let mut groups = <[Group; 2]>::default();
            for (group, time) in times.iter().filter(|(_, time)| *time <= longest) {
                groups[*group].add(time.as_nanos() as f64);
            }
            welch(&groups)
        })
        // Where only one group is left, or all its times are one, there is nothing to tell.
        .filter(|t| t.is_finite())
        .max_by(|one, other| one.abs().total_cmp(&other.abs()))
        .unwrap_or_default();
    let verdict = if worst.abs() < LIMIT { "alike" } else { "DIFFERENT" };
    println!(
        "{name}: median {} ns, t {worst:+.2} at its worst of {} crops: {verdict}",
        sorted[sorted.len() / 2].as_nanos(),
        CROPS.len(),
    );
}

fn main() {
    let now = Timestamp::from_millis(1_795_341_600_000);
    let job = JobId::new(now, &OsEntropy);

    let registration = CallbackRegistration::new("https://gateway.example", Secret::new("a secret"));
    let address = registration.url_for(job, &Nonce::new(&OsEntropy));
    let segment = address.expose().rsplit('/').next().unwrap_or_default();
    let first = segment.len() - 64;
    measure("address of a callback", segment, first, |given| {
        registration.submit_of(given, now).is_some()
    });

    let links = PublicLinks::new("https://gateway.example", Secret::new("a secret"));
    let (path, life) = ("/images/img_1/content", Duration::from_secs(60));
    let link = links.sign(path, now, life);
    let signature = link.rsplit('=').next().unwrap_or_default();
    let expires = now.saturating_add(life).as_millis() / 1_000;
    measure("signed link", signature, 0, |given| {
        links.opens(path, expires, given, now)
    });

    let token = registration
        .clone()
        .with_verification_token(Secret::new(signature));
    measure("verification token", signature, 0, |given| {
        token.verifies_by(given)
    });

    let hasty = |given: &str| {
        given
            .bytes()
            .zip(signature.bytes())
            .all(|(one, other)| black_box(one == other))
    };
    measure("one that stops early, for comparison", signature, 0, hasty);
}
