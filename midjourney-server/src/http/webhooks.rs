//! Our own webhooks: who is told what, and what became of each message.

use std::{borrow::Cow, sync::Arc};

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use midjourney_core::{
    clock::Timestamp,
    delivery::{DeliveryQuery, DeliveryState, EventFilter, Message, SubscriptionChange},
    error::Error,
    gateway::{DeliveryView, Subscribe, SubscriptionView},
    id::{DeliveryId, JobId, SubscriptionId},
    job::Owner,
    key::Secret,
    page::Cursor,
};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use super::{
    App,
    extract::{self, ApiJson, ApiPath, ApiQuery},
    jobs::ROWS,
    problem::Problem,
};

/// Who wants to be told what.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SubscribeBody {
    /// Where messages go: a public https address.
    #[schema(example = "https://shop.example/midjourney")]
    url: String,
    /// Names of events, or `*` for all; the ends of jobs and what they need somebody for, where nothing is said.
    #[schema(example = json!(["job.completed", "job.failed"]))]
    events: Option<Vec<String>>,
}

/// What to change about a subscription; what is left out stays.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeBody {
    /// Where messages go from now on.
    url: Option<String>,
    /// Names of events, or `*` for all.
    events: Option<Vec<String>>,
    /// `false` stops it, and what waits for it is dead; `true` starts it again.
    enabled: Option<bool>,
}

/// A subscription with its secret, which is shown only now.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct WithSecret {
    /// The subscription.
    #[serde(flatten)]
    subscription: SubscriptionView,
    /// What messages are signed with, as Standard Webhooks 1.0 has it.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    secret: String,
}

impl WithSecret {
    fn answer(status: StatusCode, subscription: SubscriptionView, secret: &Secret) -> Response {
        let place = HeaderValue::try_from(format!("/webhooks/subscriptions/{}", subscription.id)).ok();
        let body = Self {
            subscription,
            secret: secret.expose().to_owned(),
        };
        let mut response = (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response();
        let created = place.filter(|_| status == StatusCode::CREATED);
        let headers = response.headers_mut();
        headers.extend(created.map(|place| (header::LOCATION, place)));
        response
    }
}

/// All subscriptions.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Subscriptions {
    /// Oldest first.
    subscriptions: Vec<SubscriptionView>,
}

/// The secret of messages to addresses that jobs name.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct JobSecret {
    /// What those messages are signed with.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    secret: String,
}

/// Since when to send again what was given up.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplayBody {
    /// Messages made at this time or later.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
}

/// How many messages are sent again.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Replayed {
    /// How many.
    replayed: u64,
}

/// Which messages to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct DeliveriesQuery {
    /// To this subscription only.
    #[param(value_type = Option<String>)]
    subscription: Option<SubscriptionId>,
    /// About this job only.
    #[param(value_type = Option<String>)]
    job: Option<JobId>,
    /// Only those that are `waiting`, `delivered` or `dead`.
    #[param(value_type = Option<String>)]
    state: Option<StateName>,
    /// How many rows, 1 to 200; 50 where nothing is said.
    #[serde(default, deserialize_with = "extract::limit")]
    limit: Option<usize>,
    /// `next` of the page before.
    #[param(value_type = Option<String>)]
    after: Option<Cursor>,
}

/// The name of a state.
#[derive(Debug)]
struct StateName(&'static str);

impl<'de> Deserialize<'de> for StateName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let known = DeliveryState::NAMES.into_iter().find(|name| *name == text);
        known.map(Self).ok_or_else(|| {
            let names = DeliveryState::NAMES.join(", ");
            D::Error::custom(format!("expected one of {names}, not {text:?}"))
        })
    }
}

/// A page of messages.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct DeliveryPage {
    /// The messages, newest first.
    deliveries: Vec<DeliveryView>,
    /// Where the next page begins; absent on the last.
    #[schema(value_type = Option<String>)]
    next: Option<Cursor>,
}

/// A message with what is sent.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct WholeDelivery {
    /// What became of it.
    #[serde(flatten)]
    delivery: DeliveryView,
    /// What is sent.
    #[schema(value_type = Message)]
    payload: serde_json::Value,
}

fn filter(names: Option<Vec<String>>) -> Result<Option<EventFilter>, Problem> {
    let Some(names) = names else {
        return Ok(None);
    };
    let filter = EventFilter::from_names(names.iter().map(String::as_str));
    filter.map(Some).map_err(|place| {
        let known: Vec<_> = EventFilter::known().collect();
        let known = known.join(", ");
        let detail = format!("no event has this name; expected `*` or one of {known}");
        Error::field(format!("/events/{place}"), detail).into()
    })
}

/// Be told what happens to jobs, or how accounts are doing.
///
/// From now on a message is posted for each event of the wanted kinds, signed as Standard Webhooks 1.0 has it. The secret
/// is shown in this answer only. Messages are tried eight times within 28 hours, come at least once and in any order:
/// `webhook-id` tells repetitions, `data.sequence` the order within a job.
#[utoipa::path(post, path = "/webhooks/subscriptions", tag = "webhooks", request_body = SubscribeBody,
    responses(
        (status = 201, description = "It is on disk.", body = WithSecret, headers(
            ("Location" = String, description = "Where it can be looked at."))),
    ))]
pub(super) async fn subscribe(
    State(app): State<Arc<App>>,
    ApiJson(body): ApiJson<SubscribeBody>,
) -> Result<Response, Problem> {
    let wish = Subscribe::new(body.url).to(filter(body.events)?.unwrap_or_default());
    let (subscription, secret) = app.gateway.subscribe(wish).await?;
    let view = SubscriptionView::of(&subscription);
    Ok(WithSecret::answer(StatusCode::CREATED, view, &secret))
}

/// List who is told.
#[utoipa::path(get, path = "/webhooks/subscriptions", tag = "webhooks",
    responses((status = 200, description = "All subscriptions.", body = Subscriptions)))]
pub(super) async fn subscriptions(State(app): State<Arc<App>>) -> Result<Json<Subscriptions>, Problem> {
    let all = app.gateway.subscriptions().await?;
    Ok(Json(Subscriptions {
        subscriptions: all.iter().map(SubscriptionView::of).collect(),
    }))
}

/// Look at one subscription.
#[utoipa::path(get, path = "/webhooks/subscriptions/{id}", tag = "webhooks",
    params(("id" = String, Path, description = "Its id.")),
    responses((status = 200, description = "The subscription.", body = SubscriptionView)))]
pub(super) async fn subscription(
    State(app): State<Arc<App>>,
    ApiPath(id): ApiPath<SubscriptionId>,
) -> Result<Json<SubscriptionView>, Problem> {
    Ok(Json(SubscriptionView::of(&app.gateway.subscription(id).await?)))
}

/// Change a subscription.
#[utoipa::path(patch, path = "/webhooks/subscriptions/{id}", tag = "webhooks", request_body = ChangeBody,
    params(("id" = String, Path, description = "Its id.")),
    responses((status = 200, description = "The subscription after the change.", body = SubscriptionView)))]
pub(super) async fn change(
    State(app): State<Arc<App>>,
    ApiPath(id): ApiPath<SubscriptionId>,
    ApiJson(body): ApiJson<ChangeBody>,
) -> Result<Json<SubscriptionView>, Problem> {
    let mut change = SubscriptionChange::default();
    change.events = filter(body.events)?;
    (change.url, change.enabled) = (body.url, body.enabled);
    let subscription = app.gateway.change_subscription(id, &change).await?;
    Ok(Json(SubscriptionView::of(&subscription)))
}

/// Tell somebody nothing more.
///
/// What waits is not sent, and its history is removed with it.
#[utoipa::path(delete, path = "/webhooks/subscriptions/{id}", tag = "webhooks",
    params(("id" = String, Path, description = "Its id.")),
    responses((status = 204, description = "It is removed.")))]
pub(super) async fn unsubscribe(
    State(app): State<Arc<App>>,
    ApiPath(id): ApiPath<SubscriptionId>,
) -> Result<StatusCode, Problem> {
    app.gateway.unsubscribe(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Give a subscription a new secret.
///
/// It is shown in this answer only. For 24 hours messages are signed with both, the new one and the one before.
#[utoipa::path(post, path = "/webhooks/subscriptions/{id}/rotate", tag = "webhooks",
    params(("id" = String, Path, description = "Its id.")),
    responses((status = 200, description = "The new secret.", body = WithSecret)))]
pub(super) async fn rotate(
    State(app): State<Arc<App>>,
    ApiPath(id): ApiPath<SubscriptionId>,
) -> Result<Response, Problem> {
    let (subscription, secret) = app.gateway.rotate_secret(id).await?;
    let view = SubscriptionView::of(&subscription);
    Ok(WithSecret::answer(StatusCode::OK, view, &secret))
}

/// Send a test message.
///
/// Of type `webhook.test`, sent as any other is. Look at the delivery for what came of it.
#[utoipa::path(post, path = "/webhooks/subscriptions/{id}/test", tag = "webhooks",
    params(("id" = String, Path, description = "Its id.")),
    responses((status = 202, description = "The message is on disk and on its way.", body = DeliveryView, headers(
        ("Location" = String, description = "Where it can be looked at.")))))]
pub(super) async fn test(
    State(app): State<Arc<App>>,
    ApiPath(id): ApiPath<SubscriptionId>,
) -> Result<Response, Problem> {
    let delivery = app.gateway.test_subscription(id).await?;
    let place = format!("/webhooks/deliveries/{}", delivery.id);
    let view = Json(DeliveryView::of(&delivery));
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, place)], view).into_response())
}

/// Send again what was given up of a subscription.
#[utoipa::path(post, path = "/webhooks/subscriptions/{id}/replay", tag = "webhooks", request_body = ReplayBody,
    params(("id" = String, Path, description = "Its id.")),
    responses((status = 202, description = "They are on their way.", body = Replayed)))]
pub(super) async fn replay_dead(
    State(app): State<Arc<App>>,
    ApiPath(id): ApiPath<SubscriptionId>,
    ApiJson(body): ApiJson<ReplayBody>,
) -> Result<Response, Problem> {
    let replayed = app.gateway.replay_dead(id, body.since).await?;
    Ok((StatusCode::ACCEPTED, Json(Replayed { replayed })).into_response())
}

/// The secret of messages about jobs that name an address of their own.
///
/// What goes to the `webhook_url` of a job is signed with it.
#[utoipa::path(get, path = "/webhooks/job-secret", tag = "webhooks",
    responses((status = 200, description = "The secret.", body = JobSecret)))]
pub(super) async fn job_secret(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let secret = app.gateway.job_webhook_secret(&Owner::local())?;
    let body = JobSecret {
        secret: secret.expose().to_owned(),
    };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response())
}

/// List what was sent, newest first.
#[utoipa::path(get, path = "/webhooks/deliveries", tag = "webhooks", params(DeliveriesQuery),
    responses((status = 200, description = "A page of messages.", body = DeliveryPage)))]
pub(super) async fn deliveries(
    State(app): State<Arc<App>>,
    ApiQuery(query): ApiQuery<DeliveriesQuery>,
) -> Result<Json<DeliveryPage>, Problem> {
    let mut wanted = DeliveryQuery::default();
    (wanted.subscription, wanted.job) = (query.subscription, query.job);
    wanted.state = query.state.map(|StateName(name)| name);
    wanted.after = query.after;
    wanted.limit = query.limit.unwrap_or(ROWS);
    let page = app.gateway.deliveries(&wanted).await?;
    Ok(Json(DeliveryPage {
        deliveries: page.items.iter().map(DeliveryView::of).collect(),
        next: page.next,
    }))
}

/// Look at one message.
#[utoipa::path(get, path = "/webhooks/deliveries/{id}", tag = "webhooks",
    params(("id" = String, Path, description = "Its id: what the receiver got as `webhook-id`.")),
    responses((status = 200, description = "The message.", body = WholeDelivery)))]
pub(super) async fn delivery(
    State(app): State<Arc<App>>,
    ApiPath(id): ApiPath<DeliveryId>,
) -> Result<Json<WholeDelivery>, Problem> {
    let delivery = app.gateway.delivery(id).await?;
    Ok(Json(WholeDelivery {
        delivery: DeliveryView::of(&delivery),
        payload: serde_json::from_str(&delivery.body).unwrap_or_default(),
    }))
}

/// Send a message again.
///
/// Whatever became of it; the receiver gets it under the same id.
#[utoipa::path(post, path = "/webhooks/deliveries/{id}/replay", tag = "webhooks",
    params(("id" = String, Path, description = "Its id.")),
    responses((status = 202, description = "It is on its way.", body = DeliveryView)))]
pub(super) async fn replay(
    State(app): State<Arc<App>>,
    ApiPath(id): ApiPath<DeliveryId>,
) -> Result<Response, Problem> {
    let delivery = app.gateway.replay_delivery(id).await?;
    Ok((StatusCode::ACCEPTED, Json(DeliveryView::of(&delivery))).into_response())
}
