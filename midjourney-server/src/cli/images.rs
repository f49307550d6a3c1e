//! `images`: list, show and copy pictures.

use std::{path::Path, process::ExitCode};

use futures_util::StreamExt as _;
use midjourney_core::{
    gateway::{Gateway, ImageView},
    image::{Image, ImageKind},
    job::ImageQuery,
};
use tokio::io::AsyncWriteExt as _;

use super::{
    args::{Exported, ImagesCommand},
    context::Context,
    output::{Failure, note, say, say_json},
};

pub(super) async fn run(context: &Context, command: ImagesCommand) -> Result<ExitCode, Failure> {
    let gateway = context.gateway().await?;
    match command {
        ImagesCommand::List { job, limit, after } => {
            let mut query = ImageQuery::newest(usize::from(limit));
            (query.job, query.after) = (job, after);
            let page = gateway.images(&query).await?;
            if context.json {
                let images: Vec<_> = page.items.iter().map(ImageView::of).collect();
                say_json(&serde_json::json!({ "images": images, "next": page.next }))?;
            } else {
                page.items.iter().for_each(|image| say(line(image)));
                if let Some(next) = page.next {
                    note(format_args!("more: --after {next}"));
                }
            }
        }
        ImagesCommand::Show { image } => {
            let image = gateway.image(image).await?;
            if context.json {
                say_json(&ImageView::of(&image))?;
            } else {
                say(line(&image));
                say(format_args!("sha256 {}", image.digest));
            }
        }
        ImagesCommand::Export { what, to } => {
            let images = match what {
                Exported::Image(id) => vec![gateway.image(id).await?],
                Exported::Job(id) => {
                    gateway.job(id).await?;
                    gateway.images(&ImageQuery::of(id)).await?.items
                }
            };
            for image in &images {
                export(&gateway, image, &to, true).await?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn line(image: &Image) -> String {
    let size = image
        .size
        .map_or_else(|| "?".to_owned(), |(width, height)| format!("{width}x{height}"));
    format!(
        "{}  {:<6} {}  {size:<10} {:>9} bytes  {}",
        image.id,
        image.kind.name(),
        image.index,
        image.bytes,
        image.key
    )
}

/// Copies a picture into `folder` under a name of its own; a file that is there already is not touched.
pub(super) async fn export(
    gateway: &Gateway,
    image: &Image,
    folder: &Path,
    tell: bool,
) -> Result<(), Failure> {
    let failed = |error| Failure::failed(&format!("{} cannot be written to", folder.display()), error);
    tokio::fs::create_dir_all(folder).await.map_err(failed)?;
    let part = match image.kind {
        ImageKind::Grid => "grid".to_owned(),
        _ => image.index.to_string(),
    };
    let path = folder.join(format!("{}_{part}.{}", image.job, image.media_type.extension()));
    let mut picture = gateway.picture(image.id, None).await?;
    let mut file = match tokio::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)
        .await
    {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            note(format_args!(
                "{} is there already; not overwritten",
                path.display()
            ));
            return Ok(());
        }
        Err(error) => return Err(failed(error)),
    };
    while let Some(chunk) = picture.body.next().await {
        let chunk = chunk.map_err(std::io::Error::other).map_err(failed)?;
        file.write_all(&chunk).await.map_err(failed)?;
    }
    file.sync_all().await.map_err(failed)?;
    if tell {
        say(path.display());
    }
    Ok(())
}
