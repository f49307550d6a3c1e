//! Submits that go on from a finished task: changes, buttons, and windows.

use midjourney_core::{
    clock::OsEntropy,
    error::ErrorKind,
    gateway::{Act, Imagine},
    id::JobId,
    job::{Action, Echo, ImageQuery, Job, JobState, Need, ParentRef, Strength, UpscaleMode, Zoom},
    prompt::Prompt,
};

use super::{
    body::{MjJson, required, said},
    buttons::{self, ANY_ZOOM, Deed, Pressed},
    call::{Call, job_of, no_task, run, submits},
    pictures::Intake,
    task::task,
    window::{TaskId, Window},
    wire::{Answer, Change, ChangeBody, Code, Modal, Press, SimpleChange},
};

submits! {
    /// Do something with a picture of a finished task.
    change "mj_change" "/submit/change" ChangeBody => by_change;
    /// The same in short: `<id> U2`, `<id> V3`, `<id> R`.
    simple_change "mj_simple_change" "/submit/simple-change" SimpleChange => by_words;
    /// Press a button of a finished task.
    action "mj_action" "/submit/action" Press => by_button;
    /// Give a window what it waits for.
    modal "mj_modal" "/submit/modal" Modal => by_window;
}

async fn by_change(call: Call, body: ChangeBody) -> Result<Answer, Answer> {
    let id = required("taskId", body.task_id)?;
    let expected = "expected UPSCALE, VARIATION or REROLL";
    let change = body.action.ok_or_else(|| Answer::field("action", expected))?;
    let echo = call.echo(body.state, body.notify_hook)?;
    call.act(changed(job_of(&id)?, change, body.index)?.with_echo(echo))
        .await
}

async fn by_words(call: Call, body: SimpleChange) -> Result<Answer, Answer> {
    let content = required("content", body.content)?;
    let echo = call.echo(body.state, body.notify_hook)?;
    let wrong = || Answer::field("content", "expected a task's id and U1 to U4, V1 to V4, or R");
    let (id, words) = content.trim().split_once(char::is_whitespace).ok_or_else(wrong)?;
    let words = words.trim();
    let index = |digits: &str| digits.parse().map(Some).map_err(|_| wrong());
    let (change, index) = match (words.get(..1), words.get(1..)) {
        (Some("U" | "u"), Some(digits)) => (Change::Upscale, index(digits)?),
        (Some("V" | "v"), Some(digits)) => (Change::Variation, index(digits)?),
        (Some("R" | "r"), Some("")) => (Change::Reroll, None),
        _ => return Err(wrong()),
    };
    call.act(changed(job_of(id)?, change, index)?.with_echo(echo))
        .await
}

fn changed(job: JobId, change: Change, index: Option<u8>) -> Result<Act, Answer> {
    let action = match change {
        Change::Upscale => Action::Upscale {
            mode: UpscaleMode::Cutout,
        },
        Change::Variation => Action::Variation { strength: None },
        Change::Reroll => return Ok(Act::new(Action::Reroll).on(ParentRef::new(job, 0))),
    };
    let index = index.ok_or_else(|| Answer::field("index", "expected 1 to 4: which picture"))?;
    Ok(Act::new(action).on(ParentRef::new(job, index)))
}

async fn by_button(call: Call, body: Press) -> Result<Answer, Answer> {
    let id = required("taskId", body.task_id)?;
    let button = required("customId", body.custom_id)?;
    let echo = call.echo(body.state, body.notify_hook)?;
    let parent = call.app.gateway.job(job_of(&id)?).await?;
    let pressed = pressed(&button, &parent)?;
    let remix = body.enable_remix == Some(true);
    let action = match (pressed.deed, remixed(pressed.deed)) {
        (Deed::Act(_), Some(action))
            if remix && is_possible(&call, &parent, action, pressed.index).await? =>
        {
            return open(&call, &parent, pressed, button.clone(), echo).await;
        }
        (Deed::Act(action), _) => action,
        _ => return open(&call, &parent, pressed, button.clone(), echo).await,
    };
    call.act(
        Act::new(action)
            .on(ParentRef::new(parent.id, pressed.index))
            .with_echo(echo),
    )
    .await
}

/// What a button does that must be one of this task's.
fn pressed<'a>(button: &'a str, parent: &Job) -> Result<Pressed<'a>, Answer> {
    let pressed = buttons::press(button).ok_or_else(|| {
        Answer::field(
            "customId",
            "there is no such button here; use one of the task's `buttons`",
        )
    })?;
    if pressed.mark.is_some_and(|mark| mark != buttons::mark(parent.id)) {
        return Err(Answer::field(
            "customId",
            "the button is of another task than taskId",
        ));
    }
    Ok(pressed)
}

/// The same with a prompt of its own, where there is such a thing.
const fn remixed(deed: Deed) -> Option<Action> {
    let Deed::Act(Action::Variation { strength }) = deed else {
        return None;
    };
    let strength = match strength {
        Some(strength) => strength,
        None => Strength::Strong,
    };
    Some(Action::Remix { strength })
}

async fn is_possible(call: &Call, parent: &Job, action: Action, index: u8) -> Result<bool, Answer> {
    let gateway = &call.app.gateway;
    let images = gateway.images(&ImageQuery::of(parent.id)).await?.items;
    Ok(!gateway.possible(parent, &images, &[(action, index)]).is_empty())
}

/// Answers with a window, where what it is for can be done at all.
async fn open(
    call: &Call,
    parent: &Job,
    pressed: Pressed<'_>,
    button: String,
    echo: Echo,
) -> Result<Answer, Answer> {
    let JobState::Completed { texts, .. } = &parent.life.state else {
        let detail = format!(
            "the task is {}; buttons are of finished tasks",
            parent.status().name()
        );
        return Err(Answer::field("taskId", &detail));
    };
    let prompt = &parent.request.prompt;
    let action = match pressed.deed {
        Deed::Act(action) => Some(action),
        Deed::CustomZoom => Some(Action::Zoom { zoom: ANY_ZOOM }),
        Deed::Inpaint => Some(Action::Inpaint),
        Deed::Suggestion(_) => None,
    };
    let proposed = match (action, suggestion(texts, pressed.index)) {
        (None, Some(text)) => text.clone(),
        (Some(action), _) if is_possible(call, parent, action, pressed.index).await? => match pressed.deed {
            Deed::CustomZoom => format!("{prompt} --zoom 2"),
            _ => prompt.clone(),
        },
        _ => return Err(Answer::field("customId", "the task has no such button")),
    };
    let window = Window {
        job: JobId::new(call.app.clock.now(), &OsEntropy),
        parent: parent.id,
        button,
        echo,
    };
    Ok(
        Answer::new(Code::Existed, "a window waits to be confirmed by submit/modal")
            .with_result(window.id())
            .with_property("finalPrompt", proposed)
            .with_property("remix", true),
    )
}

fn suggestion(texts: &[String], index: u8) -> Option<&String> {
    texts.get(usize::from(index).checked_sub(1)?)
}

async fn by_window(call: Call, body: Modal) -> Result<Answer, Answer> {
    let id = required("taskId", body.task_id)?;
    let window = match id.parse().map_err(|_| no_task())? {
        TaskId::Window(window) => window,
        TaskId::Job(job) => {
            call.app.gateway.job(job).await?;
            return Err(Answer::field("taskId", "the task waits for nothing"));
        }
    };
    if let Some(done) = confirmed(&call, &window, &id).await? {
        return Ok(done);
    }
    let parent = call.app.gateway.job(window.parent).await?;
    let pressed = pressed(&window.button, &parent)?;
    let own = window.echo.clone();
    let echo = call
        .echo(body.state.or(own.state), body.notify_hook.or(own.notify))?
        .with_name(id);
    let prompt = said(body.prompt);
    let (action, prompt) = match pressed.deed {
        Deed::Suggestion(_) => {
            let JobState::Completed { texts, .. } = &parent.life.state else {
                return Err(no_task());
            };
            let text = prompt.or_else(|| suggestion(texts, pressed.index).cloned());
            let wish = Imagine::new(call.speed.applied(required("prompt", text)?))
                .with_echo(echo)
                .with_key(window.key())
                .with_id(Some(window.job));
            return call.imagine(wish).await;
        }
        Deed::CustomZoom => custom_zoom(prompt.as_deref().unwrap_or_default())?,
        Deed::Inpaint => (Action::Inpaint, prompt),
        Deed::Act(action) => match remixed(pressed.deed) {
            Some(remix) if prompt.is_some() => (remix, prompt),
            _ => (action, None),
        },
    };
    let mask = match said(body.mask_base64) {
        Some(mask) if action.needs().mask != Need::No => {
            Some(Intake::new(&call.app.gateway).picture("maskBase64", mask).await?)
        }
        _ => None,
    };
    let act = Act::new(action)
        .on(ParentRef::new(parent.id, pressed.index))
        .with_prompt(prompt.map(|prompt| call.speed.applied(prompt)))
        .with_mask(mask)
        .with_echo(echo)
        .with_key(window.key())
        .with_id(Some(window.job));
    call.act(act).await
}

/// What a window that was confirmed before has become.
async fn confirmed(call: &Call, window: &Window, id: &str) -> Result<Option<Answer>, Answer> {
    let job = match call.app.gateway.job(window.job).await {
        Ok(job) => job,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let task = task(&call.app, &call.signer, &job).await?;
    Ok(Some(
        Answer::new(Code::Existed, "the window was confirmed before")
            .with_result(id)
            .with_property("status", task.status)
            .with_property("imageUrl", task.image_url),
    ))
}

/// How far a prompt says to zoom, and the prompt without it.
fn custom_zoom(prompt: &str) -> Result<(Action, Option<String>), Answer> {
    let read = Prompt::parse(prompt);
    let found = read.params().find(|param| param.name == "zoom");
    let zoom = found
        .as_ref()
        .and_then(|param| Zoom::custom(param.value.trim().parse().ok()?));
    let (Some(param), Some(zoom)) = (found, zoom) else {
        let detail = "it must hold --zoom with more than 1 and 2 at most, such as --zoom 1.5";
        return Err(Answer::field("prompt", detail));
    };
    let before = prompt.get(..param.span.start).unwrap_or_default();
    let after = prompt.get(param.span.end..).unwrap_or_default();
    let rest = format!("{} {}", before.trim_end(), after.trim_start());
    Ok((Action::Zoom { zoom }, said(Some(rest.trim().to_owned()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_custom_zoom_is_taken_out_of_its_prompt() {
        let zoomed = |prompt: &str| custom_zoom(prompt).ok();
        let zoom = |hundredths| Action::Zoom {
            zoom: Zoom::Custom(hundredths),
        };
        assert_eq!(
            zoomed("a fox --zoom 1.5 --v 7"),
            Some((zoom(150), Some("a fox --v 7".to_owned())))
        );
        assert_eq!(
            zoomed("a fox --zoom 2"),
            Some((zoom(200), Some("a fox".to_owned())))
        );
        assert_eq!(zoomed("--zoom 1.8"), Some((zoom(180), None)));
        for prompt in [
            "",
            "a fox",
            "a fox --zoom",
            "a fox --zoom 1",
            "a fox --zoom 2.1",
            "a --zoom x",
        ] {
            assert_eq!(zoomed(prompt), None, "{prompt}");
        }
    }
}
