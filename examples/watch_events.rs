//! Know at once: follow a job's committed events, leave in the middle, and go on where you left.

use std::time::Duration;

use midjourney_core::{config::Config, gateway::Imagine};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let assembled = midjourney_storage::assemble(&Config::default(), folder.path()).await?;
    let gateway = assembled.gateway;
    let engine = gateway.start_engine(assembled.engine);
    let job = gateway
        .imagine(Imagine::new("a lighthouse at dusk --ar 2:3"))
        .await?
        .jobs
        .remove(0);

    let mut seen = 0;
    let mut first = gateway.watch(job.id, seen).await?;
    while seen < 2
        && let Some(event) = first.next().await?
    {
        println!("{:>3} {} {}", event.sequence, event.at, event.kind.name());
        seen = event.sequence;
    }
    drop(first);

    // A new watcher, later or in another process: nothing is told twice, nothing is missed.
    let mut second = gateway.watch(job.id, seen).await?;
    while let Some(event) = second.next().await? {
        assert_eq!(event.sequence, seen + 1);
        seen = event.sequence;
        println!(
            "{:>3} {} {} {:?}",
            event.sequence,
            event.at,
            event.kind.name(),
            event.progress
        );
    }
    engine.shutdown(Duration::from_secs(10)).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_runs() {
        super::main().unwrap();
    }
}
