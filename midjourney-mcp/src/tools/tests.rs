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
    assert_eq!((args.wait_seconds, args.key), (12, None));
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
#[expect(clippy::too_many_lines, reason = "a table")]
fn every_wrong_field_is_named_with_its_mend() {
    let job = "job_019ab3c0d1e27f3a8b4c5d6e7f8091a2";
    let batch = "bat_019ab3c0d1e27f3a8b4c5d6e7f8091a2";
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
            "expected idempotency_key, prompt",
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
    let wrong = read("imagine", json!({"prompt": 1, "wait_seconds": "x", "seed": 3})).unwrap_err();
    let pointers: Vec<_> = wrong.iter().map(|field| field.pointer.as_str()).collect();
    assert_eq!(pointers, ["/seed", "/prompt", "/wait_seconds"]);
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
        values in prop::collection::vec((0..12_usize, any_json()), 0..6),
    ) {
        let names = [
            "prompt", "version", "wait_seconds", "idempotency_key", "job_id", "index", "size", "status", "limit",
            "after", "", "extra/~",
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
