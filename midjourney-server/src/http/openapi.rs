//! The description of the interface (OpenAPI 3.1), gathered from the handlers.

use midjourney_core::gateway::EventView;
use utoipa::{
    OpenApi as _,
    openapi::{ContentBuilder, OpenApi, Ref, RefOr, ResponseBuilder, path::PathItem},
};

use super::{mj, problem, ws};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Midjourney gateway",
        description = "Durable jobs over Midjourney upstreams. Ask for pictures, get job ids at once, follow them to \
                       the stored files. Errors are problems as RFC 9457 has them, with a stable `code`.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    tags(
        (name = "jobs", description = "Ask for pictures and follow the work."),
        (name = "images", description = "The pictures and their files."),
        (name = "prompts", description = "The prompt language."),
        (name = "midjourney-proxy", description = "The wire format of midjourney-proxy, for programs written for it. \
            `/mj-fast/mj`, `/mj-turbo/mj` and `/mj-relax/mj` have the same routes and draw at that speed."),
        (name = "system", description = "The server itself."),
    ),
    components(schemas(problem::Document<'_>, EventView, ws::Command, ws::Answer)),
)]
struct Head;

/// What is not gathered from handlers.
pub(super) fn head() -> OpenApi {
    let mut head = Head::openapi();
    env!("CARGO_PKG_VERSION").clone_into(&mut head.info.version);
    head
}

/// The whole, with the answer that every operation can give: a problem.
pub(super) fn finish(mut api: OpenApi) -> OpenApi {
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .build();
    let problem = ResponseBuilder::new()
        .description("It was not done; the problem tells why.")
        .content(problem::MEDIA_TYPE, content)
        .build();
    // What the proxy's own clients cannot be refused in another form.
    let answer = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("MjAnswer")))
        .build();
    let answer = ResponseBuilder::new()
        .description("It was not done; `code` and `description` tell why.")
        .content("application/json", answer)
        .build();
    for (path, item) in &mut api.paths.paths {
        let default = if path.starts_with(mj::PLACE) {
            &answer
        } else {
            &problem
        };
        let PathItem {
            get,
            put,
            post,
            patch,
            delete,
            ..
        } = item;
        for operation in [get, put, post, patch, delete].into_iter().flatten() {
            operation
                .responses
                .responses
                .insert("default".to_owned(), RefOr::T(default.clone()));
        }
    }
    api
}
