//! The `midjourney-proxy` family in its four varieties.

mod buttons;
mod task;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::{HeaderMap, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use midjourney_core::{
    clock::Timestamp,
    job::{Action, Motion, RemoteStatus, Shape, UpscaleMode},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Wire;
use crate::simulate::{
    backend::{AT_ONCE, Backend, Order, Refusal, Seen},
    callback::Posted,
};

/// Which line of the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variety {
    Java,
    Plus,
    TrueAi,
    NewApi,
}

#[derive(Debug)]
pub(super) struct MidjourneyProxy(pub(super) Variety);

impl Wire for MidjourneyProxy {
    fn routes(&self, backend: Arc<Backend>) -> Router {
        let variety = self.0;
        let gate = Gate { backend, variety };
        let mut routes = Router::new()
            .route("/submit/imagine", post(imagine))
            .route("/submit/blend", post(blend))
            .route("/submit/describe", post(describe))
            .route("/task/list", get(list))
            .route("/task/list-by-condition", post(list_some))
            .route("/task/{id}/fetch", get(fetch));
        if variety != Variety::TrueAi {
            routes = routes
                .route("/submit/change", post(change))
                .route("/submit/simple-change", post(simple_change))
                .route("/task/queue", get(queue));
        }
        if variety != Variety::Java {
            routes = routes
                .route("/submit/action", post(action))
                .route("/submit/modal", post(modal))
                .route("/submit/shorten", post(shorten))
                .route("/task/{id}/image-seed", get(seed));
        }
        if matches!(variety, Variety::TrueAi | Variety::NewApi) {
            routes = routes
                .route("/submit/edits", post(edits))
                .route("/submit/video", post(video));
        }
        if variety == Variety::TrueAi {
            routes = routes
                .route("/submit/edit", post(edits))
                .route("/submit/retexture", post(retexture))
                .route("/task/list-by-ids", post(list_some));
        }
        if matches!(variety, Variety::Plus | Variety::TrueAi) {
            routes = routes.route("/task/{id}/cancel", post(cancel));
        }
        let routes = routes
            .layer(middleware::from_fn_with_state(gate.clone(), authorise))
            .with_state(gate);
        ["/mj", "/mj-fast/mj", "/mj-turbo/mj", "/mj-relax/mj"]
            .into_iter()
            .fold(Router::new(), |all, prefix| all.nest(prefix, routes.clone()))
    }

    fn id(&self, number: u64, _random: u64) -> String {
        number.to_string()
    }

    fn callback(&self, task: &Seen, at: Timestamp, _secret: &str) -> Option<Posted> {
        let silent = matches!(task.status, RemoteStatus::AwaitingInput | RemoteStatus::Cancelled);
        // trueai drops changes that do not raise the rank, and gives these two none.
        if self.0 == Variety::TrueAi && silent {
            return None;
        }
        Some(Posted {
            body: task::json(self.0, task, at).to_string().into_bytes(),
            headers: Vec::new(),
        })
    }

    fn refuses_content(&self) -> bool {
        // trueai's word filter is commented out in its source.
        self.0 != Variety::TrueAi
    }
}

#[derive(Clone, Debug)]
struct Gate {
    backend: Arc<Backend>,
    variety: Variety,
}

/// Lets in who shows the key where this line looks for it.
async fn authorise(State(gate): State<Gate>, headers: HeaderMap, request: Request, next: Next) -> Response {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let shown = match gate.variety {
        Variety::Java | Variety::Plus => text("mj-api-secret"),
        Variety::TrueAi => text("authorization").or_else(|| text("mj-api-secret")),
        Variety::NewApi => text("authorization").and_then(|value| value.strip_prefix("Bearer ")),
    };
    if gate.backend.key.is_none() || shown == gate.backend.key.as_deref() {
        return next.run(request).await;
    }
    match gate.variety {
        Variety::TrueAi if shown.is_none() => {
            (StatusCode::UNAUTHORIZED, "Authorization header missing.").into_response()
        }
        Variety::TrueAi => (StatusCode::FORBIDDEN, "未登录").into_response(),
        Variety::NewApi => (
            StatusCode::UNAUTHORIZED,
            Json(json!({"error": {"message": "无效的令牌", "type": "new_api_error"}})),
        )
            .into_response(),
        _ => StatusCode::UNAUTHORIZED.into_response(),
    }
}

/// Whatever a submit may carry.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Submit {
    prompt: Option<String>,
    base64_array: Vec<String>,
    base64: Option<String>,
    link: Option<String>,
    image: Option<String>,
    mask_base64: Option<String>,
    dimensions: Option<String>,
    task_id: Option<String>,
    custom_id: Option<String>,
    action: Option<String>,
    index: Option<u8>,
    content: Option<String>,
    motion: Option<String>,
    enable_remix: bool,
    state: Option<String>,
    notify_hook: Option<String>,
}

impl Submit {
    fn prompt(&self) -> String {
        self.prompt.clone().unwrap_or_default()
    }

    /// The order for `action`, with what every submit has.
    fn order(&self, action: Action) -> Order {
        Order {
            mark: self.state.clone().unwrap_or_default(),
            callback: self.notify_hook.clone(),
            ..Order::new(action, self.prompt())
        }
    }

    fn follow_up(&self, action: Action, parent: &str, index: u8) -> Order {
        Order {
            parent: Some((parent.to_owned(), index)),
            ..self.order(action)
        }
    }
}

impl Gate {
    async fn submit(&self, order: Order) -> Response {
        let variety = self.variety;
        let said = |taken: Result<&Seen, Refusal>| match taken {
            Ok(task) => accepted(variety, task),
            Err(refusal) => refused(variety, refusal),
        };
        self.backend.submit(order, said).await
    }
}

fn coded(code: i64, description: &str, result: &Value, properties: &Value) -> Response {
    Json(json!({"code": code, "description": description, "result": result, "properties": properties}))
        .into_response()
}

fn accepted(variety: Variety, task: &Seen) -> Response {
    let result = if task.numeric {
        json!(task.id.parse::<u64>().unwrap_or_default())
    } else {
        json!(task.id)
    };
    let instance = json!({"discordInstanceId": "1100000000000000001"});
    if matches!(task.status, RemoteStatus::AwaitingInput) {
        // new-api rewrites the code, except for these two windows.
        let kept = matches!(task.order.action, Action::Inpaint | Action::Zoom { .. });
        return match variety {
            Variety::NewApi if !kept => coded(1, "提交成功", &result, &instance),
            Variety::TrueAi => {
                let properties = json!({"finalPrompt": task.order.prompt, "remix": true});
                coded(21, "Waiting for window confirm", &result, &properties)
            }
            _ => coded(21, "窗口等待", &result, &json!({})),
        };
    }
    if task.ahead >= AT_ONCE && variety != Variety::NewApi {
        let waiting = task.ahead - AT_ONCE + 1;
        let properties = json!({"numberOfQueues": waiting, "discordInstanceId": "1100000000000000001"});
        return coded(
            22,
            &format!("排队中，前面还有{waiting}个任务"),
            &result,
            &properties,
        );
    }
    coded(1, "提交成功", &result, &instance)
}

fn refused(variety: Variety, refusal: Refusal) -> Response {
    let said = |code, text| coded(code, text, &Value::Null, &json!({}));
    let reseller = |text| {
        let body = json!({"description": text, "type": "upstream_error", "code": 4});
        (StatusCode::BAD_REQUEST, Json(body)).into_response()
    };
    let new_api = variety == Variety::NewApi;
    match refusal {
        Refusal::Moderated => {
            let properties = json!({"promptEn": "", "bannedWord": "sim"});
            coded(24, "可能包含敏感词", &Value::Null, &properties)
        }
        Refusal::Invalid => said(4, "参数错误"),
        Refusal::QueueFull if variety == Variety::TrueAi => said(9, "提交失败，队列已满，请稍后重试"),
        Refusal::QueueFull | Refusal::RateLimited => said(23, "队列已满，请稍后尝试"),
        Refusal::NoCredit if new_api => reseller("quota_not_enough"),
        Refusal::NoCredit => said(4, "访客今日绘图次数已达上限"),
        Refusal::UnknownParent if new_api => reseller("task_no_found"),
        Refusal::UnknownParent if variety == Variety::TrueAi => {
            let mut answer = said(3, "关联任务不存在或已失效");
            *answer.status_mut() = StatusCode::NOT_FOUND;
            answer
        }
        Refusal::UnknownParent => said(3, "关联任务不存在或已失效"),
        Refusal::UnfinishedParent if new_api => reseller("task_status_not_success"),
        Refusal::UnfinishedParent => said(4, "关联任务状态错误"),
        Refusal::NotOffered => said(4, "关联任务不允许执行变化"),
    }
}

/// Turned away for what it says, before anything else is looked at.
fn wrong(text: &str) -> Response {
    coded(4, text, &Value::Null, &json!({}))
}

fn is_data_url(text: &str) -> bool {
    text.starts_with("data:image/") && text.contains(";base64,")
}

async fn imagine(State(gate): State<Gate>, Json(body): Json<Submit>) -> Response {
    if body.prompt().trim().is_empty() {
        return wrong("prompt不能为空");
    }
    if !body.base64_array.iter().all(|picture| is_data_url(picture)) {
        return wrong("base64格式错误");
    }
    let mut order = body.order(Action::Imagine);
    order.images = body.base64_array.len();
    gate.submit(order).await
}

async fn blend(State(gate): State<Gate>, Json(body): Json<Submit>) -> Response {
    if !(2..=5).contains(&body.base64_array.len()) || !body.base64_array.iter().all(|one| is_data_url(one)) {
        return wrong("base64List参数错误");
    }
    let shape = match body.dimensions.as_deref() {
        None | Some("SQUARE") => Shape::Square,
        Some("PORTRAIT") => Shape::Portrait,
        Some("LANDSCAPE") => Shape::Landscape,
        Some(_) => return wrong("dimensions参数错误"),
    };
    let mut order = body.order(Action::Blend { shape });
    order.images = body.base64_array.len();
    gate.submit(order).await
}

async fn describe(State(gate): State<Gate>, Json(body): Json<Submit>) -> Response {
    let linked =
        gate.variety == Variety::TrueAi && body.link.as_ref().is_some_and(|link| link.starts_with("http"));
    match &body.base64 {
        _ if linked => {}
        None => return wrong("base64不能为空"),
        Some(picture) if !is_data_url(picture) => return wrong("base64格式错误"),
        Some(_) => {}
    }
    let mut order = body.order(Action::Describe);
    order.images = 1;
    gate.submit(order).await
}

async fn shorten(State(gate): State<Gate>, Json(body): Json<Submit>) -> Response {
    if body.prompt().trim().is_empty() {
        return wrong("prompt不能为空");
    }
    gate.submit(body.order(Action::Shorten)).await
}

async fn edits(State(gate): State<Gate>, Json(body): Json<Submit>) -> Response {
    from_picture(gate, &body, Action::Edit).await
}

async fn retexture(State(gate): State<Gate>, Json(body): Json<Submit>) -> Response {
    from_picture(gate, &body, Action::Retexture).await
}

async fn from_picture(gate: Gate, body: &Submit, action: Action) -> Response {
    if body.prompt().trim().is_empty() || body.image.as_ref().is_none_or(String::is_empty) {
        return wrong("参数错误");
    }
    let mut order = body.order(action);
    order.images = 1;
    gate.submit(order).await
}

async fn video(State(gate): State<Gate>, Json(body): Json<Submit>) -> Response {
    let motion = match body.motion.as_deref() {
        None | Some("low") => Motion::Low,
        Some("high") => Motion::High,
        Some(_) => return wrong("参数错误"),
    };
    if body.prompt().trim().is_empty() {
        return wrong("Prompt 不能为空");
    }
    match (body.action.as_deref(), &body.task_id, body.index) {
        // Videos are counted from 0.
        (Some("extend"), Some(parent), Some(number @ 0..=3)) => {
            gate.submit(body.follow_up(Action::Extend { motion }, parent, number + 1))
                .await
        }
        (None | Some(""), _, _) if body.image.as_ref().is_some_and(|image| !image.is_empty()) => {
            let mut order = body.order(Action::Animate { motion });
            order.images = 1;
            gate.submit(order).await
        }
        _ => wrong("参数错误"),
    }
}

async fn change(State(gate): State<Gate>, Json(body): Json<Submit>) -> Response {
    let Some(parent) = &body.task_id else {
        return wrong("taskId不能为空");
    };
    let order = match (body.action.as_deref(), body.index) {
        (Some("UPSCALE"), Some(index @ 1..=4)) => body.follow_up(CUTOUT, parent, index),
        (Some("VARIATION"), Some(index @ 1..=4)) => body.follow_up(VARIATION, parent, index),
        (Some("REROLL"), _) => body.follow_up(Action::Reroll, parent, 0),
        _ => return wrong("action参数错误"),
    };
    gate.change(order).await
}

async fn simple_change(State(gate): State<Gate>, Json(body): Json<Submit>) -> Response {
    let content = body.content.clone().unwrap_or_default();
    let Some((parent, what)) = content.split_once(' ') else {
        return wrong("content参数错误");
    };
    let order = match (what.get(..1), what.get(1..).map(str::parse::<u8>)) {
        (Some("U"), Some(Ok(index @ 1..=4))) => body.follow_up(CUTOUT, parent, index),
        (Some("V"), Some(Ok(index @ 1..=4))) => body.follow_up(VARIATION, parent, index),
        _ if what == "R" => body.follow_up(Action::Reroll, parent, 0),
        _ => return wrong("content参数错误"),
    };
    gate.change(order).await
}

const CUTOUT: Action = Action::Upscale {
    mode: UpscaleMode::Cutout,
};

const VARIATION: Action = Action::Variation { strength: None };

impl Gate {
    /// Only pictures with four parts can be changed by number.
    async fn change(&self, order: Order) -> Response {
        let mut order = order;
        if let Some((parent, _)) = &order.parent {
            let parent = self.backend.peek(parent).await;
            order.offered = parent.is_some_and(|parent| task::is_grid(&parent));
        }
        self.submit(order).await
    }
}

async fn action(State(gate): State<Gate>, Json(body): Json<Submit>) -> Response {
    let (Some(parent), Some(custom)) = (&body.task_id, &body.custom_id) else {
        return wrong("taskId不能为空");
    };
    let Some(pressed) = buttons::pressed(custom) else {
        return wrong("未知的 Action 类型");
    };
    let offered = match gate.backend.peek(parent).await {
        Some(parent) => buttons::of(&parent).iter().any(|button| button.id == *custom),
        None => true,
    };
    let remixed = body
        .enable_remix
        .then(|| buttons::remixed(pressed.action))
        .flatten();
    let order = Order {
        window: pressed.window || remixed.is_some(),
        offered,
        ..body.follow_up(remixed.unwrap_or(pressed.action), parent, pressed.index)
    };
    gate.submit(order).await
}

async fn modal(State(gate): State<Gate>, Json(body): Json<Submit>) -> Response {
    let Some(id) = &body.task_id else {
        return wrong("taskId不能为空");
    };
    let prompt = body.prompt();
    let wants = gate.backend.peek(id).await.map(|task| task.order.action);
    match wants {
        Some(Action::Inpaint) if !body.mask_base64.as_deref().is_some_and(is_data_url) => {
            return wrong("base64格式错误");
        }
        Some(Action::Zoom { .. }) if !prompt.contains("--zoom ") => return wrong("参数错误"),
        _ => {}
    }
    let variety = gate.variety;
    let said = |taken: Result<&Seen, Refusal>| match taken {
        Ok(task) => accepted(variety, task),
        Err(refusal) => refused(variety, refusal),
    };
    gate.backend.confirm(id, prompt, said).await
}

async fn fetch(State(gate): State<Gate>, Path(id): Path<String>) -> Response {
    let at = gate.backend.clock.now();
    let said = |task: Option<&Seen>| match task {
        Some(task) => Json(task::json(gate.variety, task, at)).into_response(),
        None if gate.variety == Variety::TrueAi => Json(Value::Null).into_response(),
        None if gate.variety == Variety::NewApi => {
            let body = json!({"description": "task_no_found", "type": "upstream_error", "code": 4});
            (StatusCode::BAD_REQUEST, Json(body)).into_response()
        }
        // HTTP 200 and nothing at all.
        None => StatusCode::OK.into_response(),
    };
    gate.backend.show(&id, said).await
}

async fn list(State(gate): State<Gate>) -> Response {
    gate.list(None, |_| true).await
}

async fn queue(State(gate): State<Gate>) -> Response {
    gate.list(None, |task| matches!(task.status, RemoteStatus::Waiting))
        .await
}

#[derive(Debug, Deserialize)]
struct Ids {
    ids: Vec<String>,
}

async fn list_some(State(gate): State<Gate>, Json(Ids { ids }): Json<Ids>) -> Response {
    gate.list(Some(&ids), |_| true).await
}

impl Gate {
    async fn list(&self, ids: Option<&[String]>, wanted: fn(&Seen) -> bool) -> Response {
        let at = self.backend.clock.now();
        let said = |tasks: &[Seen]| {
            // No order is promised; the newest first is as good as any and catches those who rely on theirs.
            let tasks = tasks.iter().rev().filter(|task| wanted(task));
            let tasks: Vec<_> = tasks.map(|task| task::json(self.variety, task, at)).collect();
            Json(tasks).into_response()
        };
        self.backend.list(ids, said).await
    }
}

async fn cancel(State(gate): State<Gate>, Path(id): Path<String>) -> Response {
    let stopped = gate.backend.cancel(&id).await;
    match (gate.variety, stopped) {
        (Variety::TrueAi, _) => StatusCode::OK.into_response(),
        (_, Some(true)) => coded(1, "成功", &Value::Null, &json!({})),
        (_, Some(false)) => coded(4, "关联任务状态错误", &Value::Null, &json!({})),
        (_, None) => coded(3, "关联任务不存在或已失效", &Value::Null, &json!({})),
    }
}

async fn seed(State(gate): State<Gate>, Path(id): Path<String>) -> Response {
    let variety = gate.variety;
    let said = |task: Option<&Seen>| match task.map(|task| &task.status) {
        Some(RemoteStatus::Succeeded(result)) => {
            let seed = result.seed.map_or(Value::Null, |seed| json!(seed.to_string()));
            coded(1, "成功", &seed, &json!({}))
        }
        Some(_) if variety == Variety::TrueAi => {
            let mut answer = wrong("关联任务状态错误");
            *answer.status_mut() = StatusCode::BAD_REQUEST;
            answer
        }
        Some(_) => refused(variety, Refusal::UnfinishedParent),
        None => refused(variety, Refusal::UnknownParent),
    };
    gate.backend.show(&id, said).await
}
