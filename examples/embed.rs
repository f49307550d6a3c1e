//! The whole way in one small program: a prompt becomes a durable job, the job becomes four files.
//!
//! `cargo run -p midjourney-examples --example embed`

use std::time::Duration;

use midjourney_core::{config::Config, gateway::Imagine, job::ImageQuery};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    // Without configuration: SQLite and local files in that folder, the simulated upstream, nothing spent.
    let assembled = midjourney_storage::assemble(&Config::default(), folder.path()).await?;
    let gateway = assembled.gateway;
    let engine = gateway.start_engine(assembled.engine);

    let accepted = gateway
        .imagine(Imagine::new("a red fox in the snow --ar 3:2 --v 7"))
        .await?;
    for job in accepted.jobs {
        let job = gateway.wait(job.id, Duration::from_secs(60)).await?;
        println!("{} is {}", job.id, job.status().name());
        for image in gateway.images(&ImageQuery::of(job.id)).await?.items {
            println!("  {} {:?} {} bytes", image.key, image.size, image.bytes);
        }
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
