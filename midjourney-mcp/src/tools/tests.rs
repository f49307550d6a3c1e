use proptest::prelude::*;
use serde_json::json;

use super::*;

fn read(tool: &str, arguments: Value) -> Result<Call, Vec<FieldError>> {
    let Value::Object(arguments) = arguments else {
        panic!("arguments are an object");
    };
    Call::read(definition(tool).expect("a tool of that name"), &arguments)
}

#[test]
fn good_arguments_are_read_leniently() {
    let Ok(Call::Imagine(args)) = read(
        "imagine",
        json!({"prompt": "a fox", "version": 7, "wait_seconds": 12.0, "idempotency_key": null}),
    ) else {
        panic!("these are good");
    };
    assert_eq!(args.version.as_deref(), Some("7"));
    assert_eq!((args.common.wait_seconds, args.common.key), (12, None));
    assert_eq!(
        read("list_jobs", json!({})),
        Ok(Call::ListJobs(ListArgs {
            status: None,
            limit: 10,
            after: None
        }))
    );
}

#[test]
fn parameters_stand_behind_the_prompt_in_the_form_that_midjourney_reads() {
    let arguments = json!({
        "prompt": "a fox", "aspect": "3:2", "raw": true, "tile": false, "iw": 1.5, "quality": 2, "speed": "relax",
        "no": "text, frames", "seed": 4_294_967_295_u32, "stylize": 0,
    });
    let Ok(Call::Imagine(args)) = read("imagine", arguments) else {
        panic!("these are good");
    };
    assert_eq!(
        args.prompt,
        "a fox --aspect 3:2 --stylize 0 --no text, frames --seed 4294967295 --quality 2 --raw --iw 1.5 --relax"
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn every_wrong_field_is_named_with_its_mend() {
    let job = "job_019ab3c0d1e27f3a8b4c5d6e7f8091a2";
    let batch = "bat_019ab3c0d1e27f3a8b4c5d6e7f8091a2";
    let image = format!("mj://jobs/{job}/images/1");
    let table = [
        ("imagine", json!({}), "/prompt", "is missing"),
        ("imagine", json!({"prompt": null}), "/prompt", "is missing"),
        (
            "imagine",
            json!({"prompt": 5}),
            "/prompt",
            "expected a text, got 5",
        ),
        ("imagine", json!({"prompt": ["a"]}), "/prompt", "got a list"),
        (
            "imagine",
            json!({"prompt": "a".repeat(1 << 20)}),
            "/prompt",
            "at most 60000 characters",
        ),
        (
            "imagine",
            json!({"prompt": "a", "Prompt": "b"}),
            "/Prompt",
            "expected aspect, chaos",
        ),
        (
            "imagine",
            json!({"prompt": "a", "a/b~c": 1}),
            "/a~1b~0c",
            "no such argument",
        ),
        (
            "imagine",
            json!({"prompt": "a", "wait_seconds": 51}),
            "/wait_seconds",
            "from 0 to 50, got 51",
        ),
        (
            "imagine",
            json!({"prompt": "a", "wait_seconds": -1}),
            "/wait_seconds",
            "got -1",
        ),
        (
            "imagine",
            json!({"prompt": "a", "wait_seconds": 1.5}),
            "/wait_seconds",
            "got 1.5",
        ),
        (
            "imagine",
            json!({"prompt": "a", "wait_seconds": 1e300}),
            "/wait_seconds",
            "whole number",
        ),
        (
            "imagine",
            json!({"prompt": "a", "wait_seconds": "45"}),
            "/wait_seconds",
            "got the text \"45\"",
        ),
        (
            "imagine",
            json!({"prompt": "a", "version": "7 --chaos 100"}),
            "/version",
            "\"niji 6\"",
        ),
        (
            "imagine",
            json!({"prompt": "a", "version": "niji"}),
            "/version",
            "leave it out",
        ),
        (
            "imagine",
            json!({"prompt": "a", "version": {}}),
            "/version",
            "got an object",
        ),
        (
            "imagine",
            json!({"prompt": "a", "idempotency_key": "a b"}),
            "/idempotency_key",
            "visible ASCII",
        ),
        (
            "imagine",
            json!({"prompt": "a", "idempotency_key": ""}),
            "/idempotency_key",
            "1 to 255",
        ),
        (
            "wait",
            json!({"job_id": "../../etc/passwd"}),
            "/job_id",
            "32 hex digits",
        ),
        ("wait", json!({"job_id": 7}), "/job_id", "expected a text"),
        ("get_job", json!({"id": job}), "/job_id", "is missing"),
        ("show", json!({"job_id": batch}), "/job_id", "names a batch"),
        (
            "show",
            json!({"job_id": job, "size": 300}),
            "/size",
            "one of 256, 512, 768, 1024, got 300",
        ),
        ("show", json!({"job_id": job, "index": 17}), "/index", "0 to 16"),
        (
            "show",
            json!({"job_id": job, "index": true}),
            "/index",
            "got true",
        ),
        (
            "list_jobs",
            json!({"status": "done"}),
            "/status",
            "expected one of pending",
        ),
        (
            "imagine",
            json!({"prompt": "a", "seed": -1}),
            "/seed",
            "0 to 4294967295",
        ),
        (
            "imagine",
            json!({"prompt": "a", "iw": "2"}),
            "/iw",
            "a number from 0 to 3",
        ),
        ("imagine", json!({"prompt": "a", "iw": 3.5}), "/iw", "got 3.5"),
        (
            "imagine",
            json!({"prompt": "a", "raw": "yes"}),
            "/raw",
            "true or false",
        ),
        (
            "imagine",
            json!({"prompt": "a", "no": "text --v 5"}),
            "/no",
            "without `--`",
        ),
        (
            "imagine",
            json!({"prompt": "a", "aspect": " "}),
            "/aspect",
            "leave it out",
        ),
        (
            "imagine",
            json!({"prompt": "a", "speed": "slow"}),
            "/speed",
            "expected one of fast, relax, turbo, got the text \"slow\"",
        ),
        (
            "imagine",
            json!({"prompt": "a", "images": "x"}),
            "/images",
            "a list of pictures",
        ),
        (
            "imagine",
            json!({"prompt": "a", "images": [7]}),
            "/images/0",
            "got 7",
        ),
        ("vary", json!({}), "/image", "mj://jobs/"),
        (
            "vary",
            json!({"image": "https://a.example/b.png"}),
            "/image",
            "variation starts from a picture of a finished job",
        ),
        (
            "vary",
            json!({"image": image, "strength": "wild"}),
            "/strength",
            "expected one of subtle, strong",
        ),
        (
            "vary",
            json!({"image": format!("mj://jobs/{batch}/images/1")}),
            "/image",
            "as results name their pictures",
        ),
        (
            "upscale",
            json!({"image": image, "mode": "8x"}),
            "/mode",
            "expected one of cutout, subtle, creative, 2x, 4x",
        ),
        (
            "upscale",
            json!({"job_id": job}),
            "/job_id",
            "expected idempotency_key, image",
        ),
        ("edit", json!({"image": image}), "/mode", "is missing"),
        (
            "edit",
            json!({"mode": "pan", "image": image}),
            "/direction",
            "left, right",
        ),
        (
            "edit",
            json!({"mode": "pan", "image": image, "direction": "north"}),
            "/direction",
            "got the text \"north\"",
        ),
        (
            "edit",
            json!({"mode": "zoom", "image": image, "direction": "up"}),
            "/direction",
            "only mode pan takes it",
        ),
        (
            "edit",
            json!({"mode": "zoom", "image": image, "zoom": "3x"}),
            "/zoom",
            "2 at most",
        ),
        (
            "edit",
            json!({"mode": "inpaint", "image": "/tmp/fox.png"}),
            "/image",
            "inpaint starts from a picture of a finished job",
        ),
        ("edit", json!({"mode": "retexture"}), "/image", "is missing"),
        (
            "edit",
            json!({"mode": "edit", "image": image, "mask": 1}),
            "/mask",
            "a text",
        ),
        ("blend", json!({}), "/images", "two to five"),
        (
            "blend",
            json!({"images": [image, "b"]}),
            "/images/1",
            "absolute path",
        ),
        (
            "blend",
            json!({"images": [image], "shape": "round"}),
            "/shape",
            "portrait",
        ),
        ("describe", json!({}), "/image", "or a prompt to shorten"),
        ("describe", json!({"image": "fox.png"}), "/image", "absolute path"),
        ("animate", json!({}), "/image", "is missing"),
        (
            "animate",
            json!({"image": image, "motion": "fast"}),
            "/motion",
            "low, high",
        ),
        (
            "animate",
            json!({"image": "/tmp/a.mp4", "mode": "extend"}),
            "/image",
            "extend starts from a picture of a finished job",
        ),
        (
            "get_job",
            json!({"job_id": batch, "seed": true}),
            "/seed",
            "one of its jobs",
        ),
        (
            "get_job",
            json!({"job_id": job, "seed": "no"}),
            "/seed",
            "true or false",
        ),
        ("account", json!({"name": "main"}), "/name", "no such argument"),
        ("list_jobs", json!({"limit": 0}), "/limit", "1 to 50"),
        ("list_jobs", json!({"after": "x"}), "/after", "not a cursor"),
        ("cancel", json!({"job_id": batch}), "/job_id", "names a batch"),
    ];
    for (tool, arguments, pointer, detail) in table {
        let shown: String = arguments.to_string().chars().take(80).collect();
        let wrong = read(tool, arguments).expect_err(&shown);
        let found = wrong
            .iter()
            .any(|field| field.pointer == pointer && field.detail.contains(detail));
        assert!(found, "{tool} {shown}: {wrong:?}");
    }
}

#[test]
fn several_wrong_fields_are_told_at_once() {
    let wrong = read(
        "imagine",
        json!({"prompt": 1, "wait_seconds": "x", "sed": 3, "chaos": 101, "images": ["fox"]}),
    )
    .unwrap_err();
    let pointers: Vec<_> = wrong.iter().map(|field| field.pointer.as_str()).collect();
    assert_eq!(
        pointers,
        ["/sed", "/prompt", "/chaos", "/images/0", "/wait_seconds"]
    );
}

#[test]
fn descriptions_fit_what_clients_keep() {
    assert!(INSTRUCTIONS.len() < 1_700, "{}", INSTRUCTIONS.len());
    for tool in all() {
        assert!(tool.description.len() < 2_000, "{}", tool.name);
        let schema = (tool.input)();
        assert_eq!(schema["additionalProperties"], json!(false), "{}", tool.name);
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "(job|bat|c1)_[0-9a-f]{30,34}".prop_map(Value::from),
        "(mj|data|file|https):[a-z0-9/;,{}]{0,40}".prop_map(Value::from),
        "[0-9. nij-]{0,9}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_arguments_are_read_or_refused_in_few_words(
        tool in 0..all().len(),
        values in prop::collection::vec((0..21_usize, any_json()), 0..6),
    ) {
        let names = [
            "prompt", "version", "wait_seconds", "idempotency_key", "job_id", "index", "size", "status", "limit",
            "after", "", "extra/~", "image", "images", "mask", "mode", "zoom", "no", "seed", "iw", "raw",
        ];
        let arguments = values.into_iter().map(|(name, value)| (names[name].to_owned(), value)).collect();
        if let Err(wrong) = Call::read(&all()[tool], &arguments) {
            prop_assert!(!wrong.is_empty());
            for field in wrong {
                prop_assert!(field.pointer.starts_with('/') && field.detail.len() < 600, "{field:?}");
            }
        }
    }
}
