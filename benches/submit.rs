//! The whole submit path as an embedder has it: prompt text in, durable job out.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::join_all;
use midjourney_core::{config::Config, gateway::Imagine};
use tempfile::TempDir;
use tokio::runtime::Runtime;

fn submits(c: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let folder = TempDir::new().unwrap();
    let assembled = runtime
        .block_on(midjourney_storage::assemble(&Config::default(), folder.path()))
        .unwrap();
    let gateway = assembled.gateway;
    let mut group = c.benchmark_group("gateway/imagine");
    for callers in [1_usize, 64] {
        group.throughput(Throughput::Elements(callers as u64));
        group.bench_function(format!("{callers}_callers"), |b| {
            b.to_async(&runtime).iter(|| async {
                let requests = (0..callers)
                    .map(|_| gateway.imagine(Imagine::new("a red fox in the snow --ar 3:2 --v 7")));
                join_all(requests)
                    .await
                    .into_iter()
                    .for_each(|accepted| drop(accepted.unwrap()));
            });
        });
    }
    group.finish();
}

criterion_group!(benches, submits);
criterion_main!(benches);
