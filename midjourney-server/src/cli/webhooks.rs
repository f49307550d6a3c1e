//! `webhooks`: who we tell what happens, and what became of it; what comes in is next door.

use std::{process::ExitCode, time::Duration};

use midjourney_core::{
    delivery::{DeliveryQuery, DeliveryState, EventFilter, Subscription, SubscriptionChange},
    gateway::{DeliveryView, Gateway, Subscribe, SubscriptionView},
    id::{DeliveryId, SubscriptionId},
    job::CallbackQuery,
    key::Secret,
};

use super::{
    args::WebhooksCommand,
    callbacks,
    context::Context,
    output::{Failure, note, say, say_json},
};

/// How long a test message is waited for: longer than a receiver may take.
const TEST_TIME: Duration = Duration::from_secs(20);

/// How often its delivery is looked at.
const LOOK: Duration = Duration::from_millis(50);

pub(super) async fn run(context: &Context, command: WebhooksCommand) -> Result<ExitCode, Failure> {
    match command {
        WebhooksCommand::Status => return callbacks::status(context).await,
        WebhooksCommand::Test => return callbacks::test(context).await,
        WebhooksCommand::Events {
            job,
            verdict,
            limit,
            after,
        } => {
            let mut query = CallbackQuery::default();
            (query.job, query.verdict, query.after) = (job, verdict, after);
            query.limit = usize::from(limit);
            return callbacks::events(context, query).await;
        }
        WebhooksCommand::Subscribe { url, events } => {
            let wish = Subscribe::new(url).to(filter(&events)?);
            let (subscription, secret) = context.gateway().await?.subscribe(wish).await?;
            with_secret(context, &subscription, &secret)?;
        }
        WebhooksCommand::Subscriptions => {
            let all = context.gateway().await?.subscriptions().await?;
            let views: Vec<_> = all.iter().map(SubscriptionView::of).collect();
            if context.json {
                say_json(&views)?;
            } else {
                for view in &views {
                    say(subscription_line(view));
                }
            }
        }
        WebhooksCommand::Unsubscribe { id } => context.gateway().await?.unsubscribe(id).await?,
        WebhooksCommand::Enable { id } => enable(context, id, true).await?,
        WebhooksCommand::Disable { id } => enable(context, id, false).await?,
        WebhooksCommand::Rotate { id } => {
            let (subscription, secret) = context.gateway().await?.rotate_secret(id).await?;
            with_secret(context, &subscription, &secret)?;
        }
        WebhooksCommand::SendTest { id } => return send_test(context, id).await,
        WebhooksCommand::Deliveries {
            subscription,
            job,
            state,
            limit,
            after,
        } => {
            let mut query = DeliveryQuery::default();
            (query.subscription, query.job, query.after) = (subscription, job, after);
            query.state = DeliveryState::NAMES
                .into_iter()
                .find(|name| Some(*name) == state.as_deref());
            query.limit = usize::from(limit);
            deliveries(context, &query).await?;
        }
        WebhooksCommand::Replay { id } => {
            let delivery = context.gateway().await?.replay_delivery(id).await?;
            show(context, &DeliveryView::of(&delivery))?;
            note("it is sent by the next process that works on this data, such as midjourney serve");
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn deliveries(context: &Context, query: &DeliveryQuery) -> Result<(), Failure> {
    let page = context.gateway().await?.deliveries(query).await?;
    let views: Vec<_> = page.items.iter().map(DeliveryView::of).collect();
    if context.json {
        return say_json(&serde_json::json!({ "deliveries": views, "next": page.next }));
    }
    for view in &views {
        say(delivery_line(view));
    }
    if let Some(next) = page.next {
        note(format_args!(
            "more: midjourney webhooks deliveries --after {next}"
        ));
    }
    Ok(())
}

fn filter(names: &[String]) -> Result<EventFilter, Failure> {
    if names.is_empty() {
        return Ok(EventFilter::default());
    }
    EventFilter::from_names(names.iter().map(String::as_str)).map_err(|place| {
        let known: Vec<_> = EventFilter::known().collect();
        let known = known.join(", ");
        let name = names.get(place).map_or("", String::as_str);
        Failure::usage(format!(
            "--events: {name:?} is no event; expected `*` or some of {known}"
        ))
    })
}

async fn enable(context: &Context, id: SubscriptionId, enabled: bool) -> Result<(), Failure> {
    let mut change = SubscriptionChange::default();
    change.enabled = Some(enabled);
    let changed = context.gateway().await?.change_subscription(id, &change).await?;
    let view = SubscriptionView::of(&changed);
    if context.json {
        return say_json(&view);
    }
    say(subscription_line(&view));
    Ok(())
}

/// The secret goes to standard output: it is what the command is for, and is shown nowhere else.
fn with_secret(context: &Context, subscription: &Subscription, secret: &Secret) -> Result<(), Failure> {
    let view = SubscriptionView::of(subscription);
    if context.json {
        return say_json(&serde_json::json!({ "subscription": view, "secret": secret.expose() }));
    }
    say(subscription_line(&view));
    say(secret.expose());
    note("keep the secret: it is not shown again");
    Ok(())
}

async fn send_test(context: &Context, id: SubscriptionId) -> Result<ExitCode, Failure> {
    let (assembled, engine) = context.working().await?;
    let sent = assembled.gateway.test_subscription(id).await?;
    let settled = tokio::time::timeout(TEST_TIME, tried(&assembled.gateway, sent.id)).await;
    engine.shutdown(assembled.rest).await;
    let Ok(view) = settled else {
        return Err(Failure::usage(
            "the message was not sent in time; is another process sending it?",
        ));
    };
    let view = view?;
    show(context, &view)?;
    Ok(if view.state == "delivered" {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn tried(gateway: &Gateway, id: DeliveryId) -> Result<DeliveryView, Failure> {
    loop {
        let view = DeliveryView::of(&gateway.delivery(id).await?);
        if view.attempts > 0 {
            return Ok(view);
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn show(context: &Context, view: &DeliveryView) -> Result<(), Failure> {
    if context.json {
        return say_json(view);
    }
    say(delivery_line(view));
    Ok(())
}

fn subscription_line(view: &SubscriptionView) -> String {
    let state = view
        .disabled_reason
        .map_or_else(|| "enabled".to_owned(), |why| format!("disabled ({why})"));
    format!("{} {state} {} {}", view.id, view.url, view.events.join(","))
}

fn delivery_line(view: &DeliveryView) -> String {
    let to = view.subscription.map(|id| id.to_string());
    let to = to.or_else(|| view.receiver.clone()).unwrap_or_default();
    let last = view
        .last_attempt
        .as_ref()
        .map(|last| match (last.status, &last.error) {
            (Some(status), _) => format!(" last: HTTP {status}"),
            (None, error) => format!(" last: {}", error.as_deref().unwrap_or("no answer")),
        });
    format!(
        "{} {} {:<9} {} to {to}, tries: {}{}",
        view.created_at,
        view.id,
        view.state,
        view.kind,
        view.attempts,
        last.unwrap_or_default()
    )
}
