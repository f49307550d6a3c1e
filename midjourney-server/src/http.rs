//! The HTTP adapter: routes, one table of errors, and serving.
//!
//! A handler takes its request apart, calls the [`Gateway`] once, and shows what came of it; it decides nothing.
//!
//! ```no_run
//! # async fn demo(gateway: midjourney_core::gateway::Gateway) -> std::io::Result<()> {
//! use midjourney_server::http::{self, HttpOptions, ServeOptions, Stopping};
//!
//! let stopping = Stopping::new();
//! let router = http::router(gateway, HttpOptions::new(stopping.clone())).await;
//! let listener = http::listen(([127, 0, 0, 1], 8000).into())?;
//! http::serve(router, vec![listener], ServeOptions::default(), stopping).await
//! # }
//! ```

mod actions;
mod callbacks;
mod conditional;
mod detach;
mod edge;
mod events;
mod extract;
mod follow;
mod images;
mod jobs;
mod library;
mod links;
mod mj;
mod openapi;
mod problem;
mod prompt;
mod rate;
mod sender;
mod serve;
mod system;
mod uploads;
mod webhooks;
mod ws;

use std::{num::NonZeroU32, sync::Arc};

use axum::{Router, response::IntoResponse as _, routing::get};
use bytes::Bytes;
use governor::clock::DefaultClock;
use ipnet::IpNet;
use midjourney_core::{
    clock::{Clock, SystemClock},
    gateway::Gateway,
    net::Outbound,
};
use tower_http::csrf::{CsrfLayer, ProtectionError};
use utoipa_axum::{router::OpenApiRouter, routes};

pub use serve::{ServeOptions, Stopping, listen, serve};

use edge::Edge;
use links::Links;
use problem::Problem;
use rate::Rates;

/// Which names this server goes by. Addresses are always fine; only names can be made to point here by others.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hosts {
    /// Any: right where everybody has to log in, or where something in front looks at the name.
    Any,
    /// `localhost` and these, without ports.
    Known(Vec<String>),
}

/// What the routes depend on beside the gateway.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HttpOptions {
    /// The names the server goes by; requests to others are refused. Default: `localhost` alone.
    pub hosts: Hosts,
    /// A name by which upstreams reach it: only callbacks are taken there. Default: none.
    pub callback_host: Option<String>,
    /// Whose word about the sender of a request is taken. Default: nobody's.
    pub trusted_proxies: Vec<IpNet>,
    /// What `GET /config` shows. Must hold no secrets. Default: an empty object.
    pub config: serde_json::Value,
    /// What the age of jobs is told by.
    pub clock: Arc<dyn Clock>,
    /// Ends waits and event streams.
    pub stopping: Stopping,
    /// How many requests one sender may make in a minute; callbacks and looks at the health do not count. Default: any
    /// number.
    pub requests_per_minute: Option<NonZeroU32>,
    /// What calls the addresses that clients want changes posted to, and our own public one. Default: none, and such
    /// requests are refused.
    pub outbound: Option<Outbound>,
    /// The address for links in what is posted, where the gateway has no public one. Default: none, which leaves them
    /// without a host until somebody asks.
    pub address: Option<String>,
    csrf: CsrfLayer,
}

/// The text is not the origin of a site.
#[derive(Debug, thiserror::Error)]
#[error("{origin:?} is not an origin such as https://gallery.example: {reason}")]
#[non_exhaustive]
pub struct InvalidOrigin {
    /// The text.
    pub origin: String,
    /// What is wrong with it.
    pub reason: String,
}

impl HttpOptions {
    /// The defaults, with waits and event streams that end when `stopping` begins.
    pub fn new(stopping: Stopping) -> Self {
        Self {
            hosts: Hosts::Known(Vec::new()),
            callback_host: None,
            trusted_proxies: Vec::new(),
            config: serde_json::Value::Object(serde_json::Map::new()),
            clock: Arc::new(SystemClock),
            stopping,
            requests_per_minute: None,
            outbound: None,
            address: None,
            csrf: CsrfLayer::new(),
        }
    }

    /// The same, for a server that goes by these names.
    pub fn with_hosts(mut self, hosts: Hosts) -> Self {
        self.hosts = hosts;
        self
    }

    /// The same, taking callbacks, and nothing else, under this name as well.
    pub fn with_callback_host(mut self, host: Option<String>) -> Self {
        self.callback_host = host;
        self
    }

    /// The same, behind these proxies.
    pub fn with_trusted_proxies(mut self, trusted: Vec<IpNet>) -> Self {
        self.trusted_proxies = trusted;
        self
    }

    /// The same, showing this configuration, which must hold no secrets.
    pub fn with_config(mut self, config: serde_json::Value) -> Self {
        self.config = config;
        self
    }

    /// The same, with another clock.
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The same, for senders that may make so many requests in a minute.
    pub const fn with_requests_per_minute(mut self, most: Option<NonZeroU32>) -> Self {
        self.requests_per_minute = most;
        self
    }

    /// The same, posting changes to addresses that clients name, and probes to our own, through this client.
    pub fn with_outbound(mut self, outbound: Outbound) -> Self {
        self.outbound = Some(outbound);
        self
    }

    /// The same, for a server that can be reached at `address`, such as `http://127.0.0.1:8000`.
    pub fn with_address(mut self, address: impl Into<String>) -> Self {
        self.address = Some(address.into());
        self
    }

    /// The same, letting pages of the site `origin` (`https://gallery.example`) change things here.
    pub fn trust_origin(mut self, origin: &str) -> Result<Self, InvalidOrigin> {
        self.csrf = self
            .csrf
            .add_trusted_origin(origin)
            .map_err(|error| InvalidOrigin {
                origin: origin.to_owned(),
                reason: error.to_string(),
            })?;
        Ok(self)
    }
}

/// What handlers share.
struct App {
    gateway: Gateway,
    clock: Arc<dyn Clock>,
    stopping: Stopping,
    hosts: Hosts,
    callback_host: Option<String>,
    trusted_proxies: Vec<IpNet>,
    rates: Option<Rates>,
    csrf: CsrfLayer,
    links: Links,
    outbound: Option<Outbound>,
    notifier: mj::Notifier,
    // What never changes is serialised once.
    config: Bytes,
    versions: Bytes,
    openapi: Bytes,
    swagger: Arc<utoipa_swagger_ui::Config<'static>>,
}

/// All routes over `gateway`, with guards, safe headers and problems as errors. It also goes on posting changes of open
/// jobs to those who asked for that; call it before the engine starts, else it misses those that are over by then.
pub async fn router(gateway: Gateway, options: HttpOptions) -> Router {
    let HttpOptions {
        hosts,
        callback_host,
        trusted_proxies,
        config,
        clock,
        stopping,
        requests_per_minute,
        outbound,
        address,
        csrf,
    } = options;
    let (routes, openapi) = api().split_for_parts();
    let (mj_routes, mj_openapi) = mj::routes();
    let openapi = openapi.nest(mj::PLACE, mj_openapi);
    let links = Links::new(gateway.links(), address.as_deref(), Arc::clone(&clock));
    let app = Arc::new(App {
        versions: to_bytes(&prompt::versions(gateway.prompt_rules())),
        config: to_bytes(&config),
        openapi: to_bytes(&openapi::finish(openapi)),
        swagger: Arc::new(utoipa_swagger_ui::Config::from("/openapi.json")),
        gateway,
        clock,
        stopping,
        hosts,
        callback_host,
        trusted_proxies,
        rates: requests_per_minute.map(|most| Rates::per_minute(most, DefaultClock::default())),
        csrf: csrf.clone(),
        links,
        notifier: mj::Notifier::new(outbound.clone()),
        outbound,
    });
    mj::resume(&app).await;
    let around = Arc::clone(&app);
    routes
        .merge(mj_routes)
        .route("/docs", get(system::docs_redirect))
        .route("/docs/", get(system::docs_index))
        .route("/docs/errors", get(system::errors_page))
        .route("/docs/{*path}", get(system::docs))
        .fallback(edge::no_route)
        // Both at once: each layer of its own makes every request a service and a future on the heap.
        .layer((
            tower::layer::layer_fn(move |inner| Edge::new(&around, inner)),
            csrf.with_rejection_response(|_: ProtectionError| {
                let detail =
                    "a page of another site may not change anything here; its origin is not among the trusted";
                Problem::new(&problem::FOREIGN_ORIGIN, detail).into_response()
            }),
        ))
        .with_state(app)
}

fn api() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(openapi::head())
        .routes(routes!(jobs::imagine))
        .routes(routes!(actions::upscale))
        .routes(routes!(actions::variation))
        .routes(routes!(actions::reroll))
        .routes(routes!(actions::remix))
        .routes(routes!(actions::zoom_out))
        .routes(routes!(actions::pan))
        .routes(routes!(actions::inpaint))
        .routes(routes!(actions::edit))
        .routes(routes!(actions::retexture))
        .routes(routes!(actions::blend))
        .routes(routes!(actions::describe))
        .routes(routes!(actions::shorten))
        .routes(routes!(actions::animate))
        .routes(routes!(actions::extend))
        .routes(routes!(jobs::list))
        .routes(routes!(jobs::get))
        .routes(routes!(jobs::seed))
        .routes(routes!(jobs::cancel))
        .routes(routes!(jobs::resolve))
        .routes(routes!(events::events))
        .routes(routes!(events::all_events))
        .routes(routes!(ws::socket))
        .routes(routes!(callbacks::receive, callbacks::verify))
        .routes(routes!(callbacks::receive_probe))
        .routes(routes!(callbacks::receive_for_job))
        .routes(routes!(callbacks::status))
        .routes(routes!(callbacks::test))
        .routes(routes!(callbacks::list))
        .routes(routes!(webhooks::subscribe, webhooks::subscriptions))
        .routes(routes!(
            webhooks::subscription,
            webhooks::change,
            webhooks::unsubscribe
        ))
        .routes(routes!(webhooks::rotate))
        .routes(routes!(webhooks::test))
        .routes(routes!(webhooks::replay_dead))
        .routes(routes!(webhooks::job_secret))
        .routes(routes!(webhooks::deliveries))
        .routes(routes!(webhooks::delivery))
        .routes(routes!(webhooks::replay))
        .routes(routes!(uploads::create))
        .routes(routes!(uploads::content))
        .routes(routes!(images::list))
        .routes(routes!(images::get, library::remove))
        .routes(routes!(images::content))
        .routes(routes!(library::pin, library::unpin))
        .routes(routes!(library::tag))
        .routes(routes!(library::tree))
        .routes(routes!(prompt::check))
        .routes(routes!(system::version))
        .routes(routes!(system::accounts))
        .routes(routes!(system::config))
        .routes(routes!(system::healthz))
        .routes(routes!(system::readyz))
        .routes(routes!(system::openapi))
        .routes(routes!(system::root))
}

/// Serialises what cannot fail to.
fn to_bytes(value: &impl serde::Serialize) -> Bytes {
    serde_json::to_vec(value).unwrap_or_default().into()
}
