//! `images`: find, show, copy, mark and remove pictures.

use std::{path::Path, process::ExitCode};

use futures_util::{StreamExt as _, stream};
use midjourney_core::{
    gateway::{Gateway, ImageView, LineageView},
    id::ImageId,
    image::{ByteStream, Image, ImageKind, MarkChange, MediaType, Tag, rendition::Rendition},
    job::{ImageQuery, ImageSearch},
};
use tokio::io::AsyncWriteExt as _;

use super::{
    args::{Exported, Find, ImagesCommand},
    context::Context,
    output::{Failure, note, say, say_json},
};

pub(super) async fn run(context: &Context, command: ImagesCommand) -> Result<ExitCode, Failure> {
    let gateway = context.gateway().await?;
    match command {
        ImagesCommand::List(find) => list(context, &gateway, find).await?,
        ImagesCommand::Show { image } => {
            let image = gateway.image(image).await?;
            if context.json {
                say_json(&ImageView::of(&image))?;
            } else {
                say(line(&image));
                say(format_args!("sha256 {}", image.digest));
            }
        }
        ImagesCommand::Export {
            what,
            to,
            width,
            height,
            format,
            metadata,
        } => {
            let images = match what {
                Exported::Image(id) => vec![gateway.image(id).await?],
                Exported::Job(id) => {
                    gateway.job(id).await?;
                    gateway.images(&ImageQuery::of(id)).await?.items
                }
            };
            let rendition = Rendition::new(width, height, format);
            for image in &images {
                if metadata || !rendition.is_met_by(image.media_type, image.size) {
                    export_made(&gateway, image, &to, &rendition, metadata).await?;
                } else {
                    export(&gateway, image, &to, true).await?;
                }
            }
        }
        ImagesCommand::Pin { images } => mark(context, &gateway, &images, &MarkChange::pin(true)).await?,
        ImagesCommand::Unpin { images } => mark(context, &gateway, &images, &MarkChange::pin(false)).await?,
        ImagesCommand::Tag { image, tags } => {
            let change = MarkChange::tag(tags.into_iter().collect());
            mark(context, &gateway, &[image], &change).await?;
        }
        ImagesCommand::Remove { images } => {
            for image in images {
                gateway.remove_image(image).await?;
                note(format_args!("{image} is removed"));
            }
        }
        ImagesCommand::Tree { job } => {
            let tree = gateway.lineage(job).await?;
            if context.json {
                say_json(&tree)?;
            } else {
                branch(&tree, 0);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(context: &Context, gateway: &Gateway, find: Find) -> Result<(), Failure> {
    let page = if let Some(search) = search(&find) {
        gateway.search(&search).await?
    } else {
        let mut query = ImageQuery::newest(usize::from(find.limit));
        (query.job, query.after) = (find.job, find.after);
        gateway.images(&query).await?
    };
    if context.json {
        let images: Vec<_> = page.items.iter().map(ImageView::of).collect();
        return say_json(&serde_json::json!({ "images": images, "next": page.next }));
    }
    page.items.iter().for_each(|image| say(line(image)));
    if let Some(next) = page.next {
        note(format_args!("more: --after {next}"));
    }
    Ok(())
}

/// What is searched for; `None` where all pictures are meant, or those of a job.
fn search(find: &Find) -> Option<ImageSearch> {
    let mut search = ImageSearch::newest(0);
    search.text = find.text.clone().unwrap_or_default();
    search.parameters = find.parameters.clone().unwrap_or_default();
    (search.action, search.parent) = (find.action, find.parent);
    (search.from, search.to) = (find.from, find.to);
    search.pinned = find.pinned;
    search.tag.clone_from(&find.tag);
    if search == ImageSearch::default() {
        return None;
    }
    search.after = find.after;
    search.limit = usize::from(find.limit);
    Some(search)
}

async fn mark(
    context: &Context,
    gateway: &Gateway,
    images: &[ImageId],
    change: &MarkChange,
) -> Result<(), Failure> {
    for image in images {
        let image = gateway.mark(*image, change).await?;
        if context.json {
            say_json(&ImageView::of(&image))?;
        } else {
            say(line(&image));
        }
    }
    Ok(())
}

fn branch(view: &LineageView, depth: usize) {
    let from = view
        .parent_index
        .filter(|index| *index > 0)
        .map_or_else(String::new, |index| format!("of picture {index}, "));
    let pictures = view.images.len();
    say(format_args!(
        "{:indent$}{}  {}, {from}{pictures} files  {}",
        "",
        view.job,
        view.action,
        view.prompt,
        indent = depth * 2
    ));
    for child in &view.children {
        branch(child, depth.saturating_add(1));
    }
}

fn line(image: &Image) -> String {
    let size = image
        .size
        .map_or_else(|| "?".to_owned(), |(width, height)| format!("{width}x{height}"));
    let pin = if image.marks.pinned { "  pinned" } else { "" };
    let tags: Vec<_> = image.marks.tags.iter().map(Tag::as_str).collect();
    let tags = if tags.is_empty() {
        String::new()
    } else {
        format!("  {}", tags.join(" "))
    };
    format!(
        "{}  {:<6} {}  {size:<10} {:>9} bytes  {}{pin}{tags}",
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
    let picture = gateway.picture(image.id, None).await?;
    write(image, image.media_type, folder, picture.body, tell).await
}

/// The same in another size or format, or with its prompt inside.
async fn export_made(
    gateway: &Gateway,
    image: &Image,
    folder: &Path,
    wanted: &Rendition,
    metadata: bool,
) -> Result<(), Failure> {
    let mut made = gateway.rendition(image.id, wanted).await?;
    if metadata {
        made = gateway.described(made).await?;
    }
    let body = Box::pin(stream::iter([Ok(made.bytes)]));
    write(image, made.media_type, folder, body, true).await
}

async fn write(
    image: &Image,
    media_type: MediaType,
    folder: &Path,
    mut body: ByteStream,
    tell: bool,
) -> Result<(), Failure> {
    let failed = |error| Failure::failed(&format!("{} cannot be written to", folder.display()), error);
    tokio::fs::create_dir_all(folder).await.map_err(failed)?;
    let part = match image.kind {
        ImageKind::Grid => "grid".to_owned(),
        _ => image.index.to_string(),
    };
    let path = folder.join(format!("{}_{part}.{}", image.job, media_type.extension()));
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
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(std::io::Error::other).map_err(failed)?;
        file.write_all(&chunk).await.map_err(failed)?;
    }
    file.sync_all().await.map_err(failed)?;
    if tell {
        say(path.display());
    }
    Ok(())
}
