//! `webhooks status | test | events`: what upstreams post to us, and whether it comes through.

use std::process::ExitCode;

use midjourney_core::{
    gateway::{CallbackStatusView, CallbackView, ProbeView},
    job::CallbackQuery,
};

use super::{
    context::Context,
    output::{Failure, note, say, say_json},
};

pub(super) async fn status(context: &Context) -> Result<ExitCode, Failure> {
    let status = context.gateway().await?.callback_status().await?;
    if context.json {
        say_json(&status)?;
        return Ok(ExitCode::SUCCESS);
    }
    let CallbackStatusView {
        public_url,
        last_probe,
        last_callback_at,
        verdicts,
        ..
    } = &status;
    match public_url {
        Some(url) => say(format_args!("address        {url}")),
        None => say("address        none; set webhook.public_url and webhook.secret"),
    }
    match last_probe {
        Some(probe) => say(format_args!("last probe     {} {}", probe.at, found(probe))),
        None => say("last probe     none; midjourney webhooks test sends one"),
    }
    match last_callback_at {
        Some(at) => say(format_args!("last callback  {at}")),
        None => say("last callback  none"),
    }
    for (verdict, count) in verdicts.iter().filter(|(_, count)| **count > 0) {
        say(format_args!("{verdict:<14} {count}"));
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn test(context: &Context) -> Result<ExitCode, Failure> {
    let outbound = context.outbound()?;
    let probe = context.gateway().await?.probe_callbacks(&outbound).await?;
    if context.json {
        say_json(&probe)?;
    } else {
        say(found(&probe));
    }
    Ok(if probe.reached {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

pub(super) async fn events(context: &Context, query: CallbackQuery) -> Result<ExitCode, Failure> {
    let page = context.gateway().await?.callbacks(&query).await?;
    let views: Vec<_> = page.items.iter().map(CallbackView::of).collect();
    if context.json {
        say_json(&serde_json::json!({ "callbacks": views, "next": page.next }))?;
        return Ok(ExitCode::SUCCESS);
    }
    for view in &views {
        say(line(view));
    }
    if let Some(next) = page.next {
        note(format_args!("more: midjourney webhooks events --after {next}"));
    }
    Ok(ExitCode::SUCCESS)
}

fn found(probe: &ProbeView) -> String {
    match (probe.cause, probe.mend) {
        (Some(cause), Some(mend)) => format!("{cause}: {}\n  {mend}", probe.detail),
        _ => "came through".to_owned(),
    }
}

fn line(view: &CallbackView) -> String {
    let about = view.job.map_or_else(|| "-".to_owned(), |job| job.to_string());
    format!("{} {:<9} {about} {}", view.received_at, view.verdict, view.detail)
}
