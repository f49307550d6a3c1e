//! The schemas of what the tools take and give.
//!
//! Flat and plain: lists of types and nested objects are refused by some clients. Short, because every client reads all of
//! them: what a result holds is said where it is used, in its text.

use serde_json::{Map, Value, json};

use super::{
    DEFAULT_WAIT, MAX_LIST, MAX_WAIT, flags,
    wishes::{EDITS, FILMS, MOTIONS, SHAPES, SIDES, STRENGTHS, UPSCALES},
};

fn closed(properties: &Value, required: &[&str]) -> Value {
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// The same with what every tool takes that makes jobs.
fn making(mut properties: Value, required: &[&str]) -> Value {
    if let Some(properties) = properties.as_object_mut() {
        properties.insert("wait_seconds".to_owned(), wait_seconds());
        let key = json!({"type": "string", "minLength": 1, "maxLength": 255});
        properties.insert("idempotency_key".to_owned(), key);
    }
    closed(&properties, required)
}

fn words<T>(words: &[(&str, T)]) -> Value {
    let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
    json!({"type": "string", "enum": words})
}

/// As [`words`], saying which is meant where nothing is said.
fn words_or<T>(all: &[(&str, T)], default: &str) -> Value {
    let mut schema = words(all);
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("default".to_owned(), Value::from(default));
    }
    schema
}

fn text(about: &str) -> Value {
    json!({"type": "string", "description": about})
}

fn texts(about: &str) -> Value {
    json!({"type": "array", "items": {"type": "string"}, "description": about})
}

fn wait_seconds() -> Value {
    json!({"type": "integer", "minimum": 0, "maximum": MAX_WAIT, "default": DEFAULT_WAIT})
}

/// A picture of a finished job, by its address.
fn ours() -> Value {
    text("mj://jobs/{job_id}/images/{index} of a finished job.")
}

/// A picture from anywhere.
fn any_picture() -> Value {
    text("mj://.., https link, absolute file path, data: URL or base64.")
}

fn job_id() -> Value {
    text("job_ and 32 hex digits.")
}

fn any_id() -> Value {
    text("A job_id, or a batch_id for all jobs of one prompt.")
}

pub(super) fn imagine() -> Value {
    let mut properties = flags::schemas();
    let mut put = |name: &str, schema| properties.insert(name.to_owned(), schema);
    put(
        "prompt",
        text("What to draw; Midjourney parameters may stand at its end."),
    );
    put("version", {
        json!({
            "type": "string", "pattern": "^(niji ?)?[0-9]{1,2}(\\.[0-9]{1,2})?$",
            "description": "Such as 7, 6.1 or niji 6.",
        })
    });
    put("images", texts("Reference pictures, each named as for describe."));
    making(Value::Object(properties), &["prompt"])
}

pub(super) fn vary() -> Value {
    making(
        json!({"image": ours(), "strength": words(&STRENGTHS)}),
        &["image"],
    )
}

pub(super) fn upscale() -> Value {
    let mode = words_or(&UPSCALES, "cutout");
    making(json!({"image": ours(), "mode": mode}), &["image"])
}

pub(super) fn edit() -> Value {
    making(
        json!({
            "mode": words(&EDITS),
            "image": any_picture(),
            "prompt": {"type": "string"},
            "mask": text("White where it may change, black elsewhere; named as image is."),
            "direction": words(&SIDES),
            "zoom": text("1.5x, 2x (default), square, or a factor such as 1.8."),
            "strength": words_or(&STRENGTHS, "strong"),
        }),
        &["mode", "image"],
    )
}

pub(super) fn blend() -> Value {
    let mut images = texts("Each named as for describe.");
    if let Some(images) = images.as_object_mut() {
        images.insert("minItems".to_owned(), json!(2));
        images.insert("maxItems".to_owned(), json!(5));
    }
    making(
        json!({"images": images, "shape": words_or(&SHAPES, "square")}),
        &["images"],
    )
}

pub(super) fn describe() -> Value {
    let prompt = text("Instead of image: a prompt to shorten.");
    making(json!({"image": any_picture(), "prompt": prompt}), &[])
}

pub(super) fn animate() -> Value {
    making(
        json!({
            "image": any_picture(),
            "mode": words_or(&FILMS, "animate"),
            "motion": words_or(&MOTIONS, "low"),
            "prompt": {"type": "string"},
        }),
        &["image"],
    )
}

pub(super) fn wait() -> Value {
    closed(
        &json!({"job_id": any_id(), "wait_seconds": wait_seconds()}),
        &["job_id"],
    )
}

pub(super) fn get_job() -> Value {
    let seed = json!({"type": "boolean", "description": "Ask the upstream for the seed too."});
    closed(&json!({"job_id": any_id(), "seed": seed}), &["job_id"])
}

pub(super) fn cancel() -> Value {
    closed(&json!({"job_id": job_id()}), &["job_id"])
}

pub(super) fn show() -> Value {
    closed(
        &json!({
            "job_id": job_id(),
            "index": {
                "type": "integer", "minimum": 0, "maximum": 16,
                "description": "Which picture, from 1. 0 or left out: the sheet of all.",
            },
            "size": {"type": "integer", "enum": [256, 512, 768, 1024], "default": 768},
        }),
        &["job_id"],
    )
}

pub(super) fn list_jobs() -> Value {
    closed(
        &json!({
            "status": {
                "type": "string",
                "enum": ["pending", "processing", "completed", "failed", "cancelled", "expired"],
            },
            "limit": {"type": "integer", "minimum": 1, "maximum": MAX_LIST, "default": 10},
            "after": text("next_cursor of the page before."),
        }),
        &[],
    )
}

pub(super) fn account() -> Value {
    closed(&json!({}), &[])
}

/// What every result may hold, good or bad: some clients hold errors to the output schema as well.
fn output(mut properties: Map<String, Value>, required: &[&str]) -> Value {
    properties.insert("code".to_owned(), json!({"type": "string"}));
    properties.insert("next".to_owned(), json!({"type": "object"}));
    let mut schema = json!({"type": "object", "properties": properties});
    if let Some(schema) = schema.as_object_mut().filter(|_| !required.is_empty()) {
        schema.insert("required".to_owned(), json!(required));
    }
    schema
}

fn typed(names: &[(&str, &str)]) -> Map<String, Value> {
    let schema = |(name, kind): &(&str, &str)| ((*name).to_owned(), json!({"type": kind}));
    names.iter().map(schema).collect()
}

pub(super) fn job_output() -> Value {
    let mut properties = typed(&[("job_id", "string"), ("images", "array"), ("actions", "array")]);
    let status = json!({"type": "string", "enum": ["running", "completed", "failed", "cancelled", "expired", "refused"]});
    properties.insert("status".to_owned(), status);
    output(properties, &["status"])
}

pub(super) fn show_output() -> Value {
    output(
        typed(&[
            ("job_id", "string"),
            ("index", "integer"),
            ("uri", "string"),
            ("path", "string"),
            ("width", "integer"),
            ("height", "integer"),
        ]),
        &[],
    )
}

pub(super) fn list_output() -> Value {
    output(typed(&[("jobs", "array"), ("next_cursor", "string")]), &[])
}

pub(super) fn account_output() -> Value {
    output(typed(&[("accounts", "array"), ("simulated", "boolean")]), &[])
}
