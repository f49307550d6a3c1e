//! How long one step of a job's life takes.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use midjourney_core::{
    clock::{OsEntropy, Timestamp},
    job::{Input, Life, Moment, Nonce, Policy, RemoteStatus, UpstreamId, step},
};

fn steps(c: &mut Criterion) {
    let policy = Policy::default();
    let at = Moment {
        now: Timestamp::from_millis(1_795_341_600_000),
        chance: 0.5,
    };
    let start = Input::Start {
        nonce: Nonce::new(&OsEntropy),
    };
    let queued = Life::new(at.now);
    let submitting = step(&queued, start.clone(), &policy, at).unwrap().life;
    let accepted = Input::Accepted {
        upstream: UpstreamId::new("1700000000000123"),
    };
    let running = step(&submitting, accepted.clone(), &policy, at).unwrap().life;
    let news = Input::Observed(RemoteStatus::Running { progress: Some(40) });

    let mut group = c.benchmark_group("step");
    for (name, life, input) in [
        ("start", queued, start),
        ("accepted", submitting, accepted),
        ("progress", running, news),
    ] {
        group.bench_function(name, |b| {
            b.iter(|| step(black_box(&life), input.clone(), &policy, at))
        });
    }
    group.finish();
}

criterion_group!(benches, steps);
criterion_main!(benches);
