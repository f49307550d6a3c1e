//! How long it takes to read and check a prompt.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use midjourney_core::prompt::{CheckOptions, Prompt, Table, check};

const PLAIN: &str = "a red fox in the snow --ar 3:2 --v 7";
const RICH: &str = "https://example.com/a.png cinematic portrait of a {red, blue, green} fox, 35mm, soft light, volumetric fog \
                    --ar 16:9 --stylize 250 --chaos 10 --no text, watermark --sref random --v 7";

fn prompts(c: &mut Criterion) {
    let table = Table::builtin();
    let options = CheckOptions::default();
    for (name, text) in [("plain", PLAIN), ("rich", RICH)] {
        let mut group = c.benchmark_group(format!("prompt/{name}"));
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function("parse", |b| b.iter(|| Prompt::parse(black_box(text))));
        group.bench_function("check", |b| b.iter(|| check(black_box(text), table, &options)));
        group.finish();
    }
    // The worst inputs known: time per byte must stay that of the plain ones.
    let mut group = c.benchmark_group("prompt/hostile");
    for (name, unit) in [
        ("braces", "{"),
        ("weights", "::"),
        ("dashes", "--"),
        ("typed_dashes", "—"),
    ] {
        let text = unit.repeat(100_000 / unit.len());
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |b| b.iter(|| Prompt::parse(black_box(&text))));
    }
    group.finish();
}

criterion_group!(benches, prompts);
criterion_main!(benches);
