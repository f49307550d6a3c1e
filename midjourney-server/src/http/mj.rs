//! The wire format of `midjourney-proxy`, on top of the gateway, so that programs written for that proxy work when they
//! are pointed here.
//!
//! Answers have that proxy's own form, errors too: HTTP 200 with a `code` in the body. Credentials that its clients send
//! (`mj-api-secret`, `Authorization`) are neither asked for nor looked at.
//!
//! - `wire` is what goes over the wire, `body` how requests are read, `call` how submits are carried
//!   out and answered.
//! - `submit` starts from prompts and pictures, `follow` goes on from finished tasks.
//! - `buttons` gives follow-ups their custom ids, `window` holds those that wait for a text or a mask.
//! - `task` shows a job as a task, `tasks` are the routes that look at them.
//! - `notify` posts tasks to their `notifyHook`.

mod body;
mod buttons;
mod call;
mod follow;
mod notify;
mod pictures;
mod submit;
mod task;
mod tasks;
mod window;
mod wire;

use std::sync::Arc;

use axum::{Extension, Router, http::StatusCode, response::Response};
use midjourney_core::prompt::Prompt;
use utoipa::openapi::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) use notify::{Notifier, resume};
pub(super) use wire::Answer;

use super::App;

/// Where the routes are in the description of the interface.
pub(super) const PLACE: &str = "/mj";

/// The speed that the path asks for.
#[derive(Clone, Copy, Debug)]
struct Speed(Option<&'static str>);

/// Every prefix that clients know, with the speed that it asks for.
const PREFIXES: [(&str, Speed); 4] = [
    (PLACE, Speed(None)),
    ("/mj-fast/mj", Speed(Some("fast"))),
    ("/mj-turbo/mj", Speed(Some("turbo"))),
    ("/mj-relax/mj", Speed(Some("relax"))),
];

/// The parameters that say a speed.
const SPEEDS: [&str; 3] = ["fast", "turbo", "relax"];

impl Speed {
    /// `prompt` at this speed, unless it names one itself.
    fn applied(self, prompt: String) -> String {
        match self.0 {
            Some(speed) if !names_speed(&prompt) => format!("{prompt} --{speed}"),
            _ => prompt,
        }
    }
}

fn names_speed(prompt: &str) -> bool {
    Prompt::parse(prompt)
        .params()
        .any(|param| SPEEDS.iter().any(|speed| param.name.eq_ignore_ascii_case(speed)))
}

/// All routes under all prefixes, and their description.
pub(super) fn routes() -> (Router<Arc<App>>, OpenApi) {
    let (routes, description) = api().split_for_parts();
    let routes = routes
        .fallback(no_route)
        .method_not_allowed_fallback(wrong_method);
    // The description has the first prefix alone: under the others are the same operations.
    let all = PREFIXES.iter().fold(Router::new(), |all, (prefix, speed)| {
        all.nest(prefix, routes.clone().layer(Extension(*speed)))
    });
    (all, description)
}

fn api() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(submit::imagine))
        .routes(routes!(submit::blend))
        .routes(routes!(submit::describe))
        .routes(routes!(submit::shorten))
        .routes(routes!(submit::edits))
        .routes(routes!(submit::edit))
        .routes(routes!(submit::retexture))
        .routes(routes!(submit::video))
        .routes(routes!(submit::upload))
        .routes(routes!(follow::change))
        .routes(routes!(follow::simple_change))
        .routes(routes!(follow::action))
        .routes(routes!(follow::modal))
        .routes(routes!(tasks::fetch))
        .routes(routes!(tasks::list))
        .routes(routes!(tasks::queue))
        .routes(routes!(tasks::by_condition))
        .routes(routes!(tasks::by_ids))
        .routes(routes!(tasks::cancel))
        .routes(routes!(tasks::image_seed))
}

async fn no_route() -> Response {
    Answer::not_found("there is no such route here; /openapi.json lists those there are")
        .at(StatusCode::NOT_FOUND)
}

async fn wrong_method() -> Response {
    Answer::invalid("the route takes another method: submits are POST, look-ups GET")
        .at(StatusCode::METHOD_NOT_ALLOWED)
}
