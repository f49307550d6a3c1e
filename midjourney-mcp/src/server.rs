//! The protocol's face: turns requests into calls on the [`Desk`] and answers into the SDK's types.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
};

use async_trait::async_trait;
use futures_util::FutureExt as _;
use midjourney_core::error::{Error, ErrorKind};
use rmcp::{
    ErrorData, Peer, RoleServer, ServerHandler,
    model::{
        Annotations, CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, CustomRequest,
        CustomResult, ErrorCode, ImageContent, Implementation, JsonObject, ListResourceTemplatesResult,
        ListToolsResult, MetaObject, PaginatedRequestParams, ProgressNotificationParam, ProgressToken,
        ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, Resource, ResourceContents,
        ResourceTemplate, Role, ServerCapabilities, ServerConfig, Tool, ToolAnnotations,
    },
    service::{NotificationContext, RequestContext},
};
use serde_json::{Map, Value, json};
use tracing::debug;

use crate::{
    desk::{Desk, NoBlob},
    error,
    result::{Answer, MAX_RESULT},
    text,
    tools::{self, Definition},
    transport::Gone,
    wait::Caller,
};

/// Tools and templates only change with the program.
const LISTS_TTL_MS: u64 = 3_600_000;
/// A picture never changes.
const PICTURE_TTL_MS: u64 = 86_400_000;
/// What clients show of a progress message.
const MAX_MESSAGE: usize = 200;
/// What clients keep of the instructions, in bytes.
const MAX_INSTRUCTIONS: usize = 2_000;

/// One client's server.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    desk: Arc<Desk>,
    gone: Gone,
}

impl Server {
    pub(crate) const fn new(desk: Arc<Desk>, gone: Gone) -> Self {
        Self { desk, gone }
    }
}

/// Who waits for one request.
struct Waiting {
    peer: Peer<RoleServer>,
    token: Option<ProgressToken>,
    cancelled: RequestContext<RoleServer>,
    gone: Gone,
}

#[async_trait]
impl Caller for Waiting {
    async fn progress(&self, percent: f64, message: String) {
        let Some(token) = self.token.clone() else {
            return;
        };
        let news = ProgressNotificationParam::new(token, percent)
            .with_total(100.0)
            .with_message(text::cut(&message, MAX_MESSAGE));
        if let Err(error) = self.peer.notify_progress(news).await {
            debug!(%error, "progress could not be told");
        }
    }

    async fn gone(&self) {
        tokio::select! {
            () = self.cancelled.ct.cancelled() => {}
            () = self.gone.wait() => {}
        }
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_resources()
            .build();
        let mut instructions = tools::INSTRUCTIONS.to_owned();
        if let Some(notice) = self.desk.notice() {
            let room = MAX_INSTRUCTIONS.saturating_sub(instructions.len() + 2);
            let notice: String = notice.chars().take(room / 4).collect();
            instructions = format!("{notice}\n\n{instructions}");
        }
        ServerConfig::new(capabilities)
            .with_server_info(
                Implementation::new("midjourney", env!("CARGO_PKG_VERSION")).with_title("Midjourney gateway"),
            )
            .with_instructions(instructions)
    }

    async fn on_initialized(&self, _: NotificationContext<RoleServer>) {
        self.desk.warm_up().await;
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        // Clients of the newer protocol do not greet: this is the first that is heard of them.
        let desk = Arc::clone(&self.desk);
        tokio::spawn(async move { desk.warm_up().await });
        Ok(ListToolsResult::with_all_items(all().to_vec()).with_ttl_ms(LISTS_TTL_MS))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        all().iter().find(|tool| tool.name == name).cloned()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let tool = tools::definition(&request.name).ok_or_else(|| {
            let names: Vec<&str> = tools::all().iter().map(|tool| tool.name).collect();
            let message = format!(
                "there is no tool {}; expected one of {}",
                text::quoted(&request.name, 60),
                names.join(", ")
            );
            ErrorData::invalid_params(message, None)
        })?;
        let waiting = Waiting {
            peer: context.peer.clone(),
            token: context.meta.get_progress_token(),
            cancelled: context,
            gone: self.gone.clone(),
        };
        let arguments = request.arguments.unwrap_or_default();
        // A panic has been told on standard error by now; without this the caller would wait for ever.
        let answer = AssertUnwindSafe(self.desk.call(tool, &arguments, &waiting))
            .catch_unwind()
            .await
            .unwrap_or_else(|_| {
                let failure = Error::new(ErrorKind::Internal, "the tool failed unexpectedly");
                error::failed(tool, &failure, &arguments)
            });
        Ok(CallToolResponse::Complete(in_bounds(answer)))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let template = ResourceTemplate::new("mj://jobs/{job_id}/images/{index}", "picture")
            .with_title("Picture of a job")
            .with_description(
                "The file of one picture: index 0 is the grid, 1 to 4 the single pictures. A file too large for one \
                 message comes as a smaller copy, which says so.",
            );
        Ok(ListResourceTemplatesResult::with_all_items(vec![template]).with_ttl_ms(LISTS_TTL_MS))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let blob = self.desk.read(&request.uri).await.map_err(|error| match error {
            NoBlob::NotFound(why) => {
                let uri = text::cut(&request.uri, 200);
                ErrorData::resource_not_found(why, Some(json!({"uri": uri})))
            }
            NoBlob::Failed(why) => ErrorData::internal_error(why, None),
        })?;
        let mut contents =
            ResourceContents::blob(blob.picture.base64, request.uri).with_mime_type(blob.picture.media_type);
        if let Some((width, height)) = blob.scaled_from {
            contents = contents.with_meta(MetaObject(object(json!({
                "scaled": {
                    "width": blob.picture.width, "height": blob.picture.height,
                    "original_width": width, "original_height": height,
                }
            }))));
        }
        Ok(ReadResourceResponse::Complete(
            ReadResourceResult::new(vec![contents]).with_ttl_ms(PICTURE_TTL_MS),
        ))
    }

    /// Requests of a known method that do not have its form end up here as well.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let message = match request.method.as_str() {
            "tools/call" => "expected params {\"name\": a text, \"arguments\": an object}",
            "resources/read" => "expected params {\"uri\": a text}",
            method => {
                let method = text::cut(method, 100);
                return Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, method, None));
            }
        };
        Err(ErrorData::invalid_params(message, None))
    }
}

/// The tools as the SDK wants them, made once.
fn all() -> &'static [Tool] {
    static TOOLS: OnceLock<Vec<Tool>> = OnceLock::new();
    TOOLS.get_or_init(|| tools::all().iter().map(tool).collect())
}

fn tool(definition: &Definition) -> Tool {
    let kind = definition.kind;
    let mut annotations = ToolAnnotations::new()
        .read_only(kind.read_only())
        .open_world(kind.open_world())
        .idempotent(kind.idempotent());
    if !kind.read_only() {
        annotations = annotations.destructive(kind.destructive());
    }
    Tool::new(
        definition.name,
        definition.description,
        Arc::new(object((definition.input)())),
    )
    .with_title(definition.title)
    .with_raw_output_schema(Arc::new(object((definition.output)())))
    .with_annotations(annotations)
}

fn object(value: Value) -> JsonObject {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// The SDK's form of an answer, without its picture and then without its links where it would be too large.
fn in_bounds(answer: Answer) -> CallToolResult {
    let mut result = result(answer);
    if fits(&result) {
        return result;
    }
    result
        .content
        .retain(|block| !matches!(block, ContentBlock::Image(_)));
    let why = "The picture was left out: the result would have been too large. Call show.";
    result.content.push(ContentBlock::text(why));
    if !fits(&result) {
        result
            .content
            .retain(|block| matches!(block, ContentBlock::Text(_)));
    }
    result
}

fn fits(result: &CallToolResult) -> bool {
    serde_json::to_string(result).is_ok_and(|json| json.len() <= MAX_RESULT)
}

fn result(answer: Answer) -> CallToolResult {
    let mut content = vec![ContentBlock::text(answer.text.trim_end())];
    if let Some(picture) = answer.picture {
        let audience = Annotations::default().with_audience(vec![Role::User, Role::Assistant]);
        let picture = ImageContent::new(picture.base64, picture.media_type).with_annotations(audience);
        content.push(ContentBlock::Image(picture));
    }
    content.extend(answer.links.into_iter().map(|link| {
        let resource = Resource::new(link.uri, link.name)
            .with_title(link.title)
            .with_mime_type(link.media_type)
            .with_size(link.bytes);
        ContentBlock::resource_link(resource)
    }));
    let mut result = if answer.is_error {
        CallToolResult::error(content)
    } else {
        CallToolResult::success(content)
    };
    result.structured_content = Some(Value::Object(answer.structured));
    result
}
