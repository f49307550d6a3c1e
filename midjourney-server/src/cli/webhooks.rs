//! `webhooks`: what upstreams posted to us.

use std::process::ExitCode;

use midjourney_core::{gateway::CallbackView, job::CallbackQuery};

use super::{
    args::WebhooksCommand,
    context::Context,
    output::{Failure, note, say, say_json},
};

pub(super) async fn run(context: &Context, command: WebhooksCommand) -> Result<ExitCode, Failure> {
    let WebhooksCommand::Events {
        job,
        verdict,
        limit,
        after,
    } = command;
    let mut query = CallbackQuery::default();
    (query.job, query.verdict, query.after) = (job, verdict, after);
    query.limit = usize::from(limit);
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

fn line(view: &CallbackView) -> String {
    let about = view.job.map_or_else(|| "-".to_owned(), |job| job.to_string());
    format!("{} {:<9} {about} {}", view.received_at, view.verdict, view.detail)
}
