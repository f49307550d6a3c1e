//! Submits that start from a prompt or from pictures.

use midjourney_core::{
    gateway::{Act, Imagine as Wish, Start},
    job::{Action, InputImage, Shape},
};
use serde_json::Value;

use super::{
    body::{MjJson, required, said},
    call::{Call, job_of, run, submits},
    pictures::Intake,
    wire::{
        Answer, Blend, BotType, Code, Describe, Edit, Film, Imagine, Shorten, Uploads, VideoAction, VideoType,
    },
};

submits! {
    /// Draw from a prompt.
    imagine "mj_imagine" "/submit/imagine" Imagine => draw;
    /// Make one picture of two to five.
    blend "mj_blend" "/submit/blend" Blend => mix;
    /// Suggest prompts for a picture.
    describe "mj_describe" "/submit/describe" Describe => tell;
    /// Shorten a prompt to what matters in it.
    shorten "mj_shorten" "/submit/shorten" Shorten => cut;
    /// Change a picture as a prompt says.
    edits "mj_edits" "/submit/edits" Edit => change;
    /// Change a picture as a prompt says; another name of `submit/edits`.
    edit "mj_edit" "/submit/edit" Edit => change;
    /// Draw a picture anew in a prompt's style, keeping its shapes.
    retexture "mj_retexture" "/submit/retexture" Edit => restyle;
    /// Make a video from a picture, or make one longer.
    video "mj_video" "/submit/video" Film => film;
    /// Keep pictures and give their addresses.
    upload "mj_upload" "/submit/upload-discord-images" Uploads => keep;
}

async fn draw(call: Call, body: Imagine) -> Result<Answer, Answer> {
    let prompt = required("prompt", body.prompt)?;
    let echo = call.echo(body.state, body.notify_hook)?;
    let mut texts = body.base64_array.unwrap_or_default();
    texts.extend(said(body.base64));
    let gateway = &call.app.gateway;
    let images = Intake::new(gateway).keep_all("base64Array", &texts).await?;
    let niji =
        (body.bot_type == Some(BotType::Niji)).then(|| gateway.prompt_rules().table.default_niji.clone());
    let wish = Wish::new(call.speed.applied(prompt))
        .with_images(images.into_iter().map(InputImage::Upload).collect())
        .with_version(niji)
        .with_echo(echo);
    call.imagine(wish).await
}

async fn mix(call: Call, body: Blend) -> Result<Answer, Answer> {
    let echo = call.echo(body.state, body.notify_hook)?;
    let texts = body.base64_array.unwrap_or_default();
    if !(2..=5).contains(&texts.len()) {
        let detail = format!("expected 2 to 5 pictures, not {}", texts.len());
        return Err(Answer::field("base64Array", &detail));
    }
    let images = Intake::new(&call.app.gateway)
        .keep_all("base64Array", &texts)
        .await?;
    let shape = body.dimensions.map_or(Shape::Square, Shape::from);
    let act = Act::new(Action::Blend { shape })
        .with_images(images.into_iter().map(InputImage::Upload).collect())
        .with_echo(echo);
    call.act(act).await
}

async fn tell(call: Call, body: Describe) -> Result<Answer, Answer> {
    let echo = call.echo(body.state, body.notify_hook)?;
    let image = match (said(body.base64), said(body.link)) {
        (Some(text), None) => Intake::new(&call.app.gateway).picture("base64", text).await?,
        (None, Some(link)) => InputImage::Url(link),
        _ => {
            return Err(Answer::field(
                "base64",
                "expected the picture here, or its address as link",
            ));
        }
    };
    let act = Act::new(Action::Describe)
        .with_images(vec![image])
        .with_echo(echo);
    call.act(act).await
}

async fn cut(call: Call, body: Shorten) -> Result<Answer, Answer> {
    let prompt = required("prompt", body.prompt)?;
    let echo = call.echo(body.state, body.notify_hook)?;
    call.act(
        Act::new(Action::Shorten)
            .with_prompt(Some(prompt))
            .with_echo(echo),
    )
    .await
}

async fn change(call: Call, body: Edit) -> Result<Answer, Answer> {
    rework(call, body, Action::Edit).await
}

async fn restyle(call: Call, body: Edit) -> Result<Answer, Answer> {
    rework(call, body, Action::Retexture).await
}

async fn rework(call: Call, body: Edit, action: Action) -> Result<Answer, Answer> {
    let prompt = required("prompt", body.prompt)?;
    let image = required("image", body.image)?;
    let echo = call.echo(body.state, body.notify_hook)?;
    let mut intake = Intake::new(&call.app.gateway);
    let image = intake.picture("image", image).await?;
    let mask = match said(body.mask_base64) {
        Some(mask) => Some(intake.picture("maskBase64", mask).await?),
        None => None,
    };
    let act = Act::new(action)
        .with_prompt(Some(call.speed.applied(prompt)))
        .with_images(vec![image])
        .with_mask(mask)
        .with_echo(echo);
    call.act(act).await
}

async fn film(call: Call, body: Film) -> Result<Answer, Answer> {
    let mut prompt = required("prompt", body.prompt)?;
    let echo = call.echo(body.state, body.notify_hook)?;
    let motion = body.motion.unwrap_or_default();
    let start = match said(body.task_id) {
        None => Start::default(),
        Some(id) => Start {
            job: Some(job_of(&id)?),
            // Counted from 0 here, unlike everywhere else at the proxy.
            index: Some(body.index.unwrap_or(0).saturating_add(1)),
            image: None,
        },
    };
    let action = match body.action {
        Some(VideoAction::Extend) => Action::Extend { motion },
        None => Action::Animate { motion },
    };
    if body.action == Some(VideoAction::Extend) && start.job.is_none() {
        return Err(Answer::field("taskId", "to extend a video, its task is needed"));
    }
    let mut options = Vec::new();
    if body.video_type == Some(VideoType::Hd) {
        options.push("--hd".to_owned());
    }
    match body.batch_size {
        // What is drawn where nothing is said.
        None | Some(4) => {}
        Some(videos @ (1 | 2)) => options.push(format!("--bs {videos}")),
        Some(_) => return Err(Answer::field("batchSize", "expected 1, 2 or 4")),
    }
    if body.r#loop == Some(true) {
        options.push("--loop".to_owned());
    }
    match said(body.end_image) {
        None => {}
        Some(link) if link.starts_with("http") => options.push(format!("--end {link}")),
        Some(_) => return Err(Answer::field("endImage", "expected the picture's address")),
    }
    for option in options {
        prompt = format!("{prompt} {option}");
    }
    let image = match said(body.image) {
        Some(image) if start.job.is_none() => {
            vec![Intake::new(&call.app.gateway).picture("image", image).await?]
        }
        _ => Vec::new(),
    };
    let parent = call.app.gateway.start(action, start).await?;
    let act = Act::new(action)
        .with_parent(parent)
        .with_prompt(Some(call.speed.applied(prompt)))
        .with_images(image)
        .with_echo(echo);
    call.act(act).await
}

async fn keep(call: Call, body: Uploads) -> Result<Answer, Answer> {
    let texts = body.base64_array.unwrap_or_default();
    if texts.is_empty() {
        return Err(Answer::field("base64Array", "expected at least one picture"));
    }
    let kept = Intake::new(&call.app.gateway)
        .keep_all("base64Array", &texts)
        .await?;
    let links = kept.into_iter().map(|id| Value::from(call.signer.upload(id)));
    Ok(Answer::new(Code::Success, "kept").with_result(links.collect::<Vec<_>>()))
}
